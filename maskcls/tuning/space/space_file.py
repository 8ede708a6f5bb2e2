"""A space read from YAML: each dotted setting with a list of values, a range, or cases with their own settings."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maskcls.config.faults import shown
from maskcls.config.files import shipped_spaces
from maskcls.config.short_names import whole_key
from maskcls.config.yaml12 import parse_yaml, quoted_yaml, read_yaml
from maskcls.errors import ConfigError, nearest
from maskcls.tuning.space.space import Choices, Dimension, Range, Space

CASES = "cases"
RANGE_KEYS = ("low", "high", "log", "step", "int")
MOST_VALUES = 1000  # of one setting
EXPECTED = "a list of values, {low, high} with log, step or int, or {cases: {VALUE: {SETTING: ...}}}"


def find_space(name: str) -> Path:
    """Return a space's file: the path itself, or the shipped one of that name; ConfigError names the shipped ones."""
    if Path(name).is_file():
        return Path(name)
    shipped = shipped_spaces()
    if name in shipped:
        return shipped[name]
    hint = nearest(name, list(shipped))
    raise ConfigError(
        "there is no such space",
        where="--space",
        got=repr(name),
        expected="a YAML file, or one of " + ", ".join(sorted(shipped)),
        fix=f"did you mean {hint!r}?" if hint else None,
    )


def read_space(path: Path) -> Space:
    """Read a space; ConfigError names the file, the setting, what was found and what was expected."""
    return parse_space(read_yaml(path), where=str(path))


def parse_space(data: Mapping[str, Any], *, where: str) -> Space:
    """Read a space from plain data, such as `to_plain` makes."""
    space = _space(data, where)
    if not space.dimensions:
        raise ConfigError(
            "the space is empty", where=where, expected="at least one setting", fix=f"add one: {EXPECTED}"
        )
    return space


def to_plain(space: Space) -> dict[str, Any]:
    """Return a space as plain data that `parse_space` reads back equal."""
    return {key: _plain(dimension) for key, dimension in space.dimensions.items()}


def _plain(dimension: Dimension) -> Any:
    if isinstance(dimension, Range):
        plain: dict[str, Any] = {"low": dimension.low, "high": dimension.high}
        plain |= {"log": True} if dimension.log else {}
        plain |= {} if dimension.step is None else {"step": dimension.step}
        return plain | ({"int": True} if dimension.whole else {})
    if not dimension.cases:
        return list(dimension.values)
    every = enumerate(dimension.values)
    return {CASES: {_case_name(v): to_plain(dimension.cases.get(number, Space({}))) for number, v in every}}


def _case_name(value: Any) -> str:
    if isinstance(value, str):
        return value if parse_yaml(value, where=CASES) == value else quoted_yaml(value)
    return json.dumps(value)


def _space(data: Mapping[str, Any], where: str) -> Space:
    dimensions: dict[str, Dimension] = {}
    for name, given in data.items():
        key = whole_key(name, None)
        if key in dimensions:
            raise ConfigError("a setting is in the space twice", where=f"{where}: {key}", fix="leave one of them out")
        dimensions[key] = _dimension(given, f"{where}: {key}", where)
    space = Space(dimensions)
    _check_keys(space, where)
    return space


def _check_keys(space: Space, where: str) -> None:
    """Raise ConfigError for a setting that exists twice at a time, or in two cases with other values."""
    seen: dict[str, Dimension] = {}

    def visit(inner: Space, outer: tuple[str, ...]) -> None:
        for key, dimension in inner.dimensions.items():
            if key in outer:
                fix = "leave it out of the case, or out of the space above it"
                raise ConfigError("a setting is in the space twice", where=f"{where}: {key}", fix=fix)
            if seen.setdefault(key, dimension) != dimension:
                fix = "give it the same values in all cases"
                raise ConfigError("a setting has other values in another case", where=f"{where}: {key}", fix=fix)
        for dimension in inner.dimensions.values():
            if isinstance(dimension, Choices):
                for case in dimension.cases.values():
                    visit(case, (*outer, *inner.dimensions))

    visit(space, ())


def _dimension(given: Any, place: str, where: str) -> Dimension:
    if isinstance(given, list):
        return _choices(given, place)
    if isinstance(given, dict) and CASES in given:
        return _cases(given, place, where)
    if isinstance(given, dict) and given and set(given) <= set(RANGE_KEYS):
        return _range(given, place)
    if isinstance(given, dict) and (strange := [key for key in given if key not in RANGE_KEYS]) and "low" in given:
        hint = nearest(strange[0], RANGE_KEYS)
        fix = f"did you mean {hint!r}?" if hint else None
        raise ConfigError("an unknown key", where=place, got=strange[0], expected=", ".join(RANGE_KEYS), fix=fix)
    raise ConfigError("not the values of a setting", where=place, got=shown(given), expected=EXPECTED)


def _choices(given: list[Any], place: str) -> Choices:
    if not given or len(given) > MOST_VALUES:
        expected = f"a list of 1 to {MOST_VALUES:,} values"
        raise ConfigError("not the values of a setting", where=place, got=f"{len(given)} values", expected=expected)
    repeated = [value for number, value in enumerate(given) if Choices(tuple(given)).number(value) != number]
    if repeated:
        raise ConfigError("a value is in the list twice", where=place, got=shown(repeated[0]), fix="leave one out")
    return Choices(tuple(given))


def _cases(given: Mapping[str, Any], place: str, where: str) -> Choices:
    if set(given) != {CASES} or not isinstance(given[CASES], dict) or not given[CASES]:
        expected = f"{{{CASES}: {{VALUE: {{SETTING: ...}}}}}}, with {{}} for a value without settings of its own"
        raise ConfigError("not the cases of a setting", where=place, got=shown(given), expected=expected)
    values = [parse_yaml(text, where=place) for text in given[CASES]]
    cases = {}
    for number, (text, own) in enumerate(given[CASES].items()):
        if not isinstance(own, dict):
            expected = "settings with their values, or {}"
            raise ConfigError("not the settings of a case", where=f"{place}={text}", got=shown(own), expected=expected)
        if own:
            cases[number] = _space(own, where)
    return Choices(_choices(values, place).values, cases)


def _range(given: Mapping[str, Any], place: str) -> Range:
    low, high, step = given.get("low"), given.get("high"), given.get("step")
    log, whole = given.get("log", False), given.get("int", False)

    def wrong(what: str, got: object, expected: str) -> ConfigError:
        return ConfigError(what, where=place, got=shown(got), expected=expected)

    for name, flag in (("log", log), ("int", whole)):
        if not isinstance(flag, bool):
            raise wrong("not a range", {name: flag}, f"{name}: true or false")
    for name, number in (("low", low), ("high", high), *([] if step is None else [("step", step)])):
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            raise wrong("not a range", {name: number}, f"a finite number for {name}")
        if whole and number != round(number):
            raise wrong("not a range", {name: number}, f"a whole number for {name}, with int: true")
    assert low is not None
    assert high is not None
    if not low < high:
        raise wrong("not a range", {"low": low, "high": high}, "low below high")
    if log and low <= 0:
        raise wrong("not a range", {"low": low}, "low above 0, with log: true")
    if log and step is not None:
        raise wrong("not a range", {"log": True, "step": step}, "log or step, not both")
    if step is not None and (step <= 0 or step > high - low):
        raise wrong("not a range", {"step": step}, "a step above 0 and at most high - low")
    return Range(low, high, log, step, whole)
