"""What is wrong with a configuration: the errors of pydantic, as messages that name the setting and its place."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import NoneType, UnionType
from typing import Any, ParamSpec, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from maskcls.errors import ConfigError, nearest
from maskcls.schema.contradictions import WrongValue
from maskcls.schema.options import keys_by_name

P = ParamSpec("P")
T = TypeVar("T")

COMMAND_LINE = "command line"
SHOWN_CHARS = 60
UNKNOWN_KEY = "an unknown key"

# Filled in from the context of pydantic's error. A type that is missing here falls back on pydantic's own sentence.
EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "a section",
    "finite_number": "a finite number",
    "float_type": "a number",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "int_type": "a whole number",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "missing": "a value",
    "model_type": "a section",
    "string_pattern_mismatch": "a short name of lower-case letters, digits and _, a letter first",
    "string_too_short": "text that is not empty",
    "string_type": "text",
    "too_long": "a list of at most {max_length}",
    "too_short": "a list of at least {min_length}",
    "tuple_type": "a list",
}


@dataclass(frozen=True)
class Fault:
    """One wrong setting, or with the key "" several that contradict each other."""

    key: str
    expected: str
    got: str | None = None
    near: tuple[str, ...] = ()  # what may have been meant

    def __str__(self) -> str:
        got = f", got {self.got}" if self.got else ""
        near = f" ({self.question})" if self.near else ""
        return f"{self.key or 'settings'}: expected {self.expected}{got}{near}"

    @property
    def question(self) -> str | None:
        """Ask for what may have been meant; None where nothing is similar."""
        return f"did you mean {' or '.join(map(repr, self.near))}?" if self.near else None

    def below(self, prefix: str) -> Fault:
        """Return the fault with its key moved below a dotted prefix."""
        return replace(self, key=f"{prefix}.{self.key}" if self.key else prefix)


@dataclass(frozen=True)
class ConfigSource:
    """Where a configuration comes from.

    where      the place of most settings, such as the last file.
    elsewhere  dotted key -> the place where it was set, for all other settings, in the order in which the places apply.
    """

    where: str = "config"
    elsewhere: Mapping[str, str] = field(default_factory=dict)

    def place(self, key: str) -> str:
        """Name the place where a key was set, or all places for the key ""."""
        if not key:
            others = list(dict.fromkeys(self.elsewhere.values()))
            before = [other for other in others if other != COMMAND_LINE]
            places = [*before, self.where, *others[len(before) :]]
            return f"{', '.join(places[:-1])} and {places[-1]}" if others else self.where
        found = [place for other, place in self.elsewhere.items() if _overlap(f"{other}.", f"{key}.")]
        return found[-1] if found else self.where


def _overlap(one: str, other: str) -> bool:
    """Tell whether one of two dotted keys, each with a dot at its end, is a part of the other."""
    return one.startswith(other) or other.startswith(one)


def config_error(faults: Sequence[Fault], source: ConfigSource) -> ConfigError:
    """Make one error of all faults; each names its place when they do not share one."""
    places = [source.place(fault.key) for fault in faults]
    if len(faults) == 1:
        fault, place = faults[0], places[0]
        return ConfigError(
            "a setting is wrong" if fault.key else "settings contradict each other",
            where=f"{place}: {fault.key}" if fault.key else place,
            got=fault.got,
            expected=fault.expected,
            fix=fault.question,
        )
    shared = len(set(places)) == 1
    lines = [str(f) if shared or p == source.where else f"{p}: {f}" for f, p in zip(faults, places, strict=True)]
    return ConfigError(
        f"{len(faults)} settings are wrong", where=places[0] if shared else source.place(""), offenders=lines
    )


def at(place: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function on dotted keys; `place` is added to the position that its error names."""
    try:
        return function(*args, **kwargs)
    except ConfigError as error:
        error.where = f"{place}{error.where}"
        raise


def shown(value: object) -> str:
    """Write a value as JSON for a message, cut when it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…"


def read_faults(error: ValidationError, root: type[BaseModel]) -> list[Fault]:
    """Return every fault of a failed validation of `root`, without those that only follow from another one."""
    errors = error.errors(include_url=False)
    # A tuple with a wrong item is reported as too short as well.
    outer = {e["loc"][:depth] for e in errors for depth in range(len(e["loc"]))}
    faults: dict[str, Fault] = {}
    for fault in (fault for e in errors if e["loc"] not in outer for fault in _faults(dict(e), root)):
        first = faults.get(fault.key)  # each alternative of a type has its own message
        faults[fault.key] = replace(first, expected=f"{first.expected} or {fault.expected}") if first else fault
    return list(faults.values())


def _faults(error: dict[str, Any], root: type[BaseModel]) -> list[Fault]:
    """Return what an error of pydantic is about: one setting, or the rules between settings that do not hold."""
    (rules,) = error["ctx"]["error"].args if error["type"] == "value_error" else (None,)
    if not isinstance(rules, list):
        return [_fault(error, root)]
    found = [_wrong_value(rule) for rule in rules if isinstance(rule, WrongValue)]
    texts = [rule for rule in rules if not isinstance(rule, WrongValue)]
    return [*found, Fault("", "; ".join(texts))] if texts else found


def _wrong_value(rule: WrongValue) -> Fault:
    return Fault(rule.key, rule.expected, UNKNOWN_KEY if rule.got is None else shown(rule.got), rule.near)


def _fault(error: dict[str, Any], root: type[BaseModel]) -> Fault:
    loc, kind, context = _declared(root, error["loc"]), error["type"], error.get("ctx", {})
    key, got = ".".join(_part(part) for part in loc), shown(error["input"])
    null = " or null" if type(None) in get_args(_annotation(root, loc)) else ""
    if kind == "extra_forbidden":
        known = sorted(_annotation(root, loc[:-1]).model_fields)
        return Fault(key, "one of " + ", ".join(known), UNKNOWN_KEY, _near(str(loc[-1]), known))
    if kind == "value_error":  # ours: a message that follows "expected"
        return Fault(key, str(context["error"]), got if key else None)
    if kind == "literal_error":
        choices = re.findall(r"'([^']*)'", context["expected"])
        one_of = "one of " if len(choices) > 1 else ""
        near = nearest(str(error["input"]), choices)
        return Fault(key, f"{one_of}{', '.join(choices)}{null}", got, (near,) if near else ())
    if kind == "missing":
        got = "nothing"
    words = EXPECTED.get(kind, error["msg"]).format(**context)
    return Fault(key, words + null, got)


def _declared(root: type[BaseModel], loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Return the place without the name that pydantic gives to an alternative of the type declared there."""
    return next((loc[:n] for n in range(len(loc)) if _has_alternatives(_annotation(root, loc[:n]))), loc)


def _has_alternatives(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, UnionType) and len(set(get_args(annotation)) - {NoneType}) > 1


def _annotation(root: Any, loc: Sequence[str | int]) -> Any:
    """Return the type declared at a place, or Any below a dict with free keys."""
    for part in loc:
        if isinstance(part, int):
            root = get_args(root)[0]
        else:
            fields = getattr(root, "model_fields", {})
            root = fields[part].annotation if part in fields else Any
    return root


def _near(name: str, known: Sequence[str]) -> tuple[str, ...]:
    """Return the keys that an unknown one may have meant: settings of that name in other sections, or similar names."""
    if name in (keys := keys_by_name()):
        return keys[name]
    if near := nearest(name, known):
        return (near,)
    return keys.get(nearest(name, list(keys)) or "", ())


def _part(part: str | int) -> str:
    return str(part) if re.fullmatch(r"[\w-]+", str(part)) else repr(part)
