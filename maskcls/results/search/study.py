"""The trials of a study: a search over settings, in which every trial is scored on the same out-of-fold rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from maskcls.results.scores.intervals import Interval

SettingValue = str | int | float | bool | None
TrialState = Literal["done", "pruned", "failed", "running"]


@dataclass(frozen=True)
class SearchTrial:
    """One trial: a run with these settings.

    number       0, 1, … in the order of the start; unique in its study.
    state        done: all folds are scored; pruned: stopped early, because it was not promising; failed: stopped by an
                 error; running: not at an end.
    values       {dotted setting: its value}, of the settings that the study varies.
    score        macro-F1 of the joint classes on the out-of-fold rows; of a pruned or running trial, on the rows scored
                 so far; None without any.
    fold_scores  {fold: macro-F1 on its rows}.
    interval     of a done trial's score, as if it were the only one; None without.
    epochs       trained, summed over folds.
    seconds      of training, from the start to the end; 0 or more.
    why          why it was pruned or failed, in one line; empty otherwise.
    """

    number: int
    state: TrialState
    values: Mapping[str, SettingValue]
    score: float | None = None
    fold_scores: Mapping[int, float] = field(default_factory=dict)
    interval: Interval | None = None
    epochs: int = 0
    seconds: float = 0.0
    why: str = ""


@dataclass(frozen=True)
class SearchDimension:
    """A setting that a study varies.

    name     dotted.
    is_log   searched, and drawn, on a logarithmic scale; only for numbers above 0.
    choices  its values, if they are few and named; empty for a range of numbers.
    """

    name: str
    is_log: bool = False
    choices: tuple[SettingValue, ...] = ()


@dataclass(frozen=True)
class SearchStudy:
    """A search over settings.

    name        of the study.
    sampler     what proposed the trials, such as "tpe".
    dimensions  in the order of the search space; a trial may lack the value of one (a conditional setting).
    trials      in the order of their numbers.
    """

    name: str
    sampler: str
    dimensions: tuple[SearchDimension, ...]
    trials: tuple[SearchTrial, ...]

    @property
    def done(self) -> tuple[SearchTrial, ...]:
        """Trials with all folds scored."""
        return tuple(one for one in self.trials if one.state == "done" and one.score is not None)

    @property
    def ranked(self) -> tuple[SearchTrial, ...]:
        """Done trials, the best first; of equal scores the one that started first."""
        return tuple(sorted(self.done, key=lambda one: (-(one.score or 0.0), one.number)))

    @property
    def best(self) -> SearchTrial | None:
        """The done trial with the highest score; None without any."""
        return self.ranked[0] if self.done else None

    def count(self, state: TrialState) -> int:
        """Return the number of trials in this state."""
        return sum(one.state == state for one in self.trials)


def trial_scores(trials: Iterable[SearchTrial]) -> list[float]:
    """Return the scores of the trials that have one, in their order."""
    return [one.score for one in trials if one.score is not None]
