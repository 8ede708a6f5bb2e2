"""What pydantic found wrong with a configuration, in the words of the person who wrote it."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from maskcls.errors import ConfigError, nearest

COMMAND_LINE = "command line"
SHOWN_CHARS = 60

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
    """One setting that is wrong, or (key "") several that contradict each other."""

    key: str
    expected: str
    got: str | None = None
    near: str | None = None

    def __str__(self) -> str:
        got = f", got {self.got}" if self.got else ""
        near = f" (did you mean {self.near!r}?)" if self.near else ""
        return f"{self.key or 'settings'}: expected {self.expected}{got}{near}"

    def below(self, prefix: str) -> Fault:
        """Return the fault with its key moved below a dotted prefix."""
        return replace(self, key=f"{prefix}.{self.key}" if self.key else prefix)


@dataclass(frozen=True)
class Source:
    """Where a configuration came from: a place for the whole, and the dotted keys set on the command line since."""

    where: str = "config"
    overridden: Collection[str] = ()

    def place(self, key: str) -> str:
        """Name the place a key was set at, or both places when it cannot be told."""
        if not self.overridden or self.where == COMMAND_LINE:
            return self.where
        if not key:
            return f"{self.where} and {COMMAND_LINE}"
        theirs = (f"{other}." for other in self.overridden)
        return COMMAND_LINE if any(f"{key}.".startswith(o) or o.startswith(f"{key}.") for o in theirs) else self.where


def config_error(faults: Sequence[Fault], source: Source) -> ConfigError:
    """Make one error of all faults; each names its place when they do not share one."""
    places = [source.place(fault.key) for fault in faults]
    if len(faults) == 1:
        fault, place = faults[0], places[0]
        return ConfigError(
            "a setting is wrong" if fault.key else "settings contradict each other",
            where=f"{place}: {fault.key}" if fault.key else place,
            got=fault.got,
            expected=fault.expected,
            fix=f"did you mean {fault.near!r}?" if fault.near else None,
        )
    shared = len(set(places)) == 1
    lines = [str(f) if shared or p == source.where else f"{p}: {f}" for f, p in zip(faults, places, strict=True)]
    return ConfigError(
        f"{len(faults)} settings are wrong", where=places[0] if shared else source.place(""), offenders=lines
    )


def shown(value: object) -> str:
    """Write a value as JSON for a message, cut when it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…"


def read_faults(error: ValidationError, root: type[BaseModel]) -> list[Fault]:
    """Return every fault of a failed validation of `root`, without those that only follow from another one."""
    errors = error.errors(include_url=False)
    # A tuple whose item was refused is reported as too short as well.
    outer = {e["loc"][:depth] for e in errors for depth in range(len(e["loc"]))}
    faults: dict[str, Fault] = {}
    for fault in (_fault(dict(e), root) for e in errors if e["loc"] not in outer):
        first = faults.get(fault.key)  # each alternative of a type refuses the value in its own words
        faults[fault.key] = replace(first, expected=f"{first.expected} or {fault.expected}") if first else fault
    return list(faults.values())


def _fault(error: dict[str, Any], root: type[BaseModel]) -> Fault:
    loc, kind, context = _declared(root, error["loc"]), error["type"], error.get("ctx", {})
    key, got = ".".join(_part(part) for part in loc), shown(error["input"])
    null = " or null" if type(None) in get_args(_annotation(root, loc)) else ""
    if kind == "extra_forbidden":
        known = sorted(_annotation(root, loc[:-1]).model_fields)
        near = nearest(str(loc[-1]), known) or next(_elsewhere(root, str(loc[-1])), None)
        return Fault(key, "one of " + ", ".join(known), "an unknown key", near)
    if kind == "value_error":  # ours: a message that follows "expected"
        return Fault(key, str(context["error"]), got if key else None)
    if kind == "literal_error":
        choices = re.findall(r"'([^']*)'", context["expected"])
        one_of = "one of " if len(choices) > 1 else ""
        return Fault(key, f"{one_of}{', '.join(choices)}{null}", got, nearest(str(error["input"]), choices))
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


def _elsewhere(root: type[BaseModel], name: str) -> Iterator[str]:
    """Yield the dotted keys of other sections that end in `name`."""
    for section, field in root.model_fields.items():
        if name in getattr(field.annotation, "model_fields", {}):
            yield f"{section}.{name}"


def _part(part: str | int) -> str:
    return str(part) if re.fullmatch(r"[\w-]+", str(part)) else repr(part)
