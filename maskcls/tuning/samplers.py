"""Which settings the next trial gets: Optuna's samplers, each seeded by the number of the trial.

So a study that was interrupted goes on as if it had not been: the trial of a number depends on the seed and the trials
before it, not on how often the command was given.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, assert_never

from maskcls.errors import UsageError
from maskcls.tuning.facts import SamplerName
from maskcls.tuning.space.space import Choices, Dimension, Range, Space, Values

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.trial import Trial

STARTUP = 8  # trials at random before TPE draws from what was found
MOST_GRID = 10_000  # points of a grid
STAGES = (0.5, 0.75)  # of the trials, after which zoom narrows the space
BEST_SHARE, FEWEST_BEST = 0.25, 3  # of a stage's trials, around which the space is narrowed
SEEDS = 2**32


def sampler_for(name: SamplerName, seed: int, number: int) -> BaseSampler:
    """Return the sampler of the trial with this number."""
    from optuna.samplers import RandomSampler, TPESampler

    own = (seed * 1_000_003 + number) % SEEDS
    match name:
        case "tpe":  # group: a setting that exists beside one value alone is drawn together with those it occurs with
            return TPESampler(seed=own, n_startup_trials=STARTUP, multivariate=True, group=True, constant_liar=True)
        case "random" | "grid" | "zoom":
            return RandomSampler(seed=own)
        case _:
            assert_never(name)


def suggest(trial: Trial, space: Space) -> Values:
    """Return the values of a trial, drawn by its sampler or fixed when it was enqueued."""
    return space.walk(lambda key, dimension: _suggested(trial, key, dimension))


def params_of(space: Space, values: Values) -> dict[str, Any]:
    """Return values of the space as Optuna keeps them: lists and sections as text."""
    dimensions = dict(space.every())
    return {key: _kept(dimensions[key], value) for key, value in values.items()}


def _kept(dimension: Dimension, value: Any) -> Any:
    match dimension:
        case Choices(values, _):
            number = dimension.number(value)
            assert number is not None, (value, values)
            return dimension.labels[number]
        case Range():
            return value
        case _:
            assert_never(dimension)


def _suggested(trial: Trial, key: str, dimension: Dimension) -> Any:
    match dimension:
        case Choices(values):
            if len(values) == 1:
                return values[0]  # of a narrowed space: the storage takes no shorter list of choices
            number = dimension.number(trial.suggest_categorical(key, dimension.labels))
            assert number is not None
            return values[number]
        case Range(low, high, log, step, whole):
            if low == high:
                return dimension.clipped(low)
            if whole:
                drawn: float = trial.suggest_int(key, int(low), int(high), step=int(step or 1), log=log)
            else:
                drawn = trial.suggest_float(key, low, high, step=step, log=log)
            return dimension.clipped(drawn)
        case _:
            assert_never(dimension)


def grid_points(space: Space, seed: int, base: Values | None) -> list[Values]:
    """Return the points of the grid in a random order, without the base's own, which is trial 0.

    In a random order, a search that ends early has seen all parts of the grid. UsageError for too many points.
    """
    if (size := space.grid_size()) > MOST_GRID:
        got, fix = f"{size:,} points", "give fewer values, steps in place of ranges, or --sampler tpe"
        raise UsageError(
            "the grid is too large", where="--sampler grid", got=got, expected=f"at most {MOST_GRID:,}", fix=fix
        )
    points = [point for point in space.grid() if point != base]
    random.Random(seed).shuffle(points)
    return points


def stage_starts(trials: int) -> tuple[int, ...]:
    """Return the numbers of the trials with which the narrower stages of zoom begin.

    >>> stage_starts(20)
    (10, 15)
    """
    return tuple(dict.fromkeys(round(share * trials) for share in STAGES))


def best_of_stage(scored: Sequence[tuple[float, Values]]) -> list[Values]:
    """Return the settings of the best trials, the best first: a quarter of them, and at least three.

    None where there are fewer than three, so that the space is not narrowed by chance.
    """
    if len(scored) < FEWEST_BEST:
        return []
    count = max(FEWEST_BEST, round(BEST_SHARE * len(scored)))
    return [values for _, values in sorted(scored, key=lambda one: -one[0])[:count]]
