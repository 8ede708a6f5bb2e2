"""A space checked against the configuration, before the first trial: every value alone, and every two together."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, assert_never

from maskcls.config.faults import shown
from maskcls.config.unused_settings import switched_off
from maskcls.errors import ConfigError
from maskcls.schema import Config
from maskcls.tuning.space.space import Choices, Dimension, Range, Space, Values
from maskcls.tuning.space.trial_config import all_settings, with_values

# What all trials share, so that their scores can be compared: rows, folds, seed, tasks; and what changes no score.
FIXED_SECTIONS = ("data", "folds", "tasks", "device", "track", "tracking", "synth", "seed")
FIXED = ("train.fold_jobs", "train.report", "train.save_minutes", "train.accumulate")
MOST_PAIRS = 3000  # of values that are checked together, about half a second per thousand

# Settings with which epochs of two trials are not comparable.
LENGTHS = ("train.epochs", "train.seeds", "train.stages", "model.heads", "train.select")


def check_search_space(space: Space, base: Config, *, where: str) -> None:
    """Raise ConfigError for a setting or value that the configuration refuses, or for two that exclude each other.

    where  the file, for messages.
    """
    for key, _ in space.every():
        if key.split(".")[0] in FIXED_SECTIONS or key in FIXED:
            why = "all trials have the same rows, folds, seed and device"
            raise ConfigError("this setting cannot be searched", where=f"{where}: {key}", expected=why, fix="remove it")
    known = all_settings(base)
    for values in _single(space):
        _check(base, values, where, known)
    for values in itertools.islice(_pairs(space), MOST_PAIRS):
        _check_pair(base, values, where)


def unused_dimensions(space: Space, base: Config, *, where: str) -> list[str]:
    """Return a line for every searched setting that has no effect in any trial, such as `optim.lr has no effect: …`.

    A setting whose effect depends on another one that is searched too is passed over. Raises ConfigError if none has an
    effect: all trials would have the same score.
    """
    searched = [key for key, _ in space.every()]
    found = {key: by for key, by in switched_off(base, searched).items() if by not in searched}
    known = all_settings(base)
    lines = [f"{key} has no effect: {by} is {shown(known[by])}" for key, by in found.items()]
    if len(found) == len(set(searched)):
        fix = "search others; maskcls config list prints all"
        raise ConfigError("no setting of the space has an effect", where=where, offenders=lines, fix=fix)
    return lines


def epochs_compare(space: Space) -> bool:
    """Tell whether the same epoch of two trials is the same share of a training of the same networks."""
    return not any(key in LENGTHS or key.startswith("separate.") for key, _ in space.every())


def _check(base: Config, values: Values, where: str, known: Values) -> None:
    """Check one value, with the values of the cases it is in."""
    key = next(reversed(values))
    try:
        with_values(base, values, where=where)
    except ConfigError as error:
        if key in known and not error.offenders and error.where == where and not error.got:  # a contradiction
            raise _refused(values, error, where) from None
        raise


def _check_pair(base: Config, values: Values, where: str) -> None:
    try:
        with_values(base, values, where=where)
    except ConfigError as error:
        raise _refused(values, error, where) from None


def _refused(values: Values, error: ConfigError, where: str) -> ConfigError:
    return ConfigError(
        "the space holds settings that contradict each other" if len(values) > 1 else "a value contradicts the base",
        where=f"{where}: {', '.join(values)}",
        got=", ".join(f"{key}={shown(value)}" for key, value in values.items()),
        expected=error.expected or "; ".join(error.offenders) or error.what,
        fix="remove one of the values, or put the setting under `cases` of the other",
    )


def _ends(dimension: Dimension) -> Sequence[Any]:
    match dimension:
        case Choices(values):
            return values
        case Range():
            return list(dict.fromkeys([dimension.clipped(dimension.low), dimension.clipped(dimension.high)]))
        case _:
            assert_never(dimension)


def _single(space: Space, outer: Values | None = None) -> Iterator[Values]:
    """Yield each value of each setting, after the values of the cases it is in."""
    for key, dimension in space.dimensions.items():
        for value in _ends(dimension):
            values = {**(outer or {}), key: value}
            yield values
            if isinstance(dimension, Choices) and (number := dimension.number(value)) in dimension.cases:
                assert number is not None
                yield from _single(dimension.cases[number], values)


def _pairs(space: Space) -> Iterator[Values]:
    """Yield every two values of different settings that exist at the same time, with the cases they are in."""
    every = list(_single(space))
    for one, other in itertools.combinations(every, 2):
        if next(reversed(one)) == next(reversed(other)):
            continue
        if all(one.get(key, value) == value for key, value in other.items()):
            yield {**one, **other}
