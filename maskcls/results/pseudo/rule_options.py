"""The rule of pseudo-labelling as options give it: thresholds as text, and names that a person typed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from maskcls.errors import UsageError
from maskcls.labels import LabelSpace
from maskcls.results.pseudo.selection_rule import SelectionRule, thresholds
from maskcls.spelling import plain_number

# Each field of the rule that is an option with a range -> the option, and its range in words.
OPTIONS = {
    "agree": ("--agree", "0 to 1"),
    "cap_rows": ("--max-per-class", "1 or more"),
    "cap_share": ("--max-share", "above 0, and at most 1"),
    "balance": ("--balance", "1 or more"),
    "weight": ("--weight", "above 0"),
    "temperature": ("--temperature", "above 0"),
}


def read_rule(given: Mapping[str, Any], space: LabelSpace) -> SelectionRule:
    """Return the rule with one threshold per class; raises ConfigError or UsageError.

    given  the arguments of `Rule`; thresholds also as text, see `read_thresholds`, and prior as True for the training
           set's own, computed per set, without its fold's people.
    """
    text = given["thresholds"]
    spelt = thresholds(read_thresholds(text) if isinstance(text, str) else text, space)
    if given.get("temperature", 1.0) != 1.0 and not given.get("soft"):
        raise UsageError("--temperature is for soft labels", fix="add --soft, or leave it out")
    if given.get("prior") and given.get("balance") is not None:
        raise UsageError("--balance and --like-train both say how many of a class", fix="give one of them")
    try:
        return SelectionRule(**{**given, "thresholds": spelt, "prior": None})
    except ValueError as error:
        name = str(error).partition(" ")[0]
        option, expected = OPTIONS[name]
        got = str(given[name])
        raise UsageError("the option is out of range", where=option, got=got, expected=expected) from None


def read_thresholds(text: str) -> float | dict[str, Any]:
    """Read `0.9`, or `mask=0.9,age=0.8`, or by class `mask.wear=0.5,mask.incorrect=0.95`; raises UsageError.

    >>> read_thresholds("mask.wear=0.5,mask.normal=0.9,age=0.8")
    {'mask': {'wear': 0.5, 'normal': 0.9}, 'age': 0.8}
    """
    wrong = UsageError(
        "not a confidence",
        where="--min-confidence",
        got=repr(text),
        expected="0.9, or mask=0.9,age=0.8, or mask.wear=0.5",
    )
    found: dict[str, Any] = {}
    try:
        if "=" not in text:
            return plain_number(text)
        for part in text.split(","):
            key, _, value = part.partition("=")
            task, dot, name = key.strip().partition(".")
            if name in found.get(task, {}) if dot and isinstance(found.get(task, {}), dict) else task in found:
                raise wrong
            if dot:
                found.setdefault(task, {})[name] = plain_number(value)
            else:
                found[task] = plain_number(value)
    except (ValueError, TypeError, AttributeError):
        raise wrong from None
    return found
