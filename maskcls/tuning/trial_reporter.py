"""What a training reports to while it is a trial: it compares epochs and folds with other trials, and stops it."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from maskcls.show.terminal.progress import Reporter
from maskcls.tuning.pruning import TrialPrunedError

if TYPE_CHECKING:
    from maskcls.engine.fit import EpochResult
    from maskcls.engine.step import Tick

FIRST = "fold 0"  # the title of the network whose epochs are compared
FOLD = re.compile(r"fold (\d+)")


class OutOfTimeError(Exception):
    """The time of the search is over: the trial stops after a saved epoch, and a later command continues it."""


class TrialReporter(Reporter):
    """A Reporter of one trial: no line per epoch, and notes of the first trial alone, as those of others repeat them.

    name       of the trial, for the bar over it.
    first      whether it is the first trial of this process.
    deadline   on the clock of `time.monotonic`, after which the trial ends behind a saved epoch; None: it does not.
    bad_epoch  gets the number of epochs and the score of the first fold, and says why to stop, or nothing.
    bad_folds  gets the scores by fold so far, and says why to stop, or nothing.
    fold_scores  those that an earlier attempt reached.

    Only networks for all tasks are compared, with one seed: their title is `fold` and a number.
    """

    def __init__(
        self,
        name: str,
        *,
        quiet: bool,
        first: bool,
        deadline: float | None,
        bad_epoch: Callable[[int, float], str | None],
        bad_folds: Callable[[Mapping[str, float]], str | None],
        fold_scores: Mapping[str, float],
    ) -> None:
        super().__init__(quiet=quiet)
        self.name, self.deadline, self.bad_epoch, self.bad_folds = name, deadline, bad_epoch, bad_folds
        self.epoch_counts: dict[str, int] = {}
        self.last_scores: dict[str, float] = {}
        self.fold_scores = dict(fold_scores)
        self.epochs_trained = 0
        self.muted = not first

    def note(self, text: str) -> None:
        """Print one line, for the first trial."""
        if not self.muted:
            super().note(text)

    def begin(self, what: str, epochs_in_all: int, expected_s: float | None = None) -> None:
        """Open the bar over the trial, which has its name, without a line about it."""
        muted, self.muted = self.muted, True
        super().begin(self.name, epochs_in_all, expected_s)
        self.muted = muted

    def fold(self, title: str, epochs: int, done: int, steps_done: int = 0, of_steps: int = 0) -> None:
        """Begin a fold, unless the time is over."""
        self._end_in_time()
        self.epoch_counts[title] = done
        super().fold(title, epochs, done, steps_done, of_steps)

    def tick(self, title: str, tick: Tick) -> None:
        """Go on within an epoch, unless the time is over: the epoch before is saved."""
        if self.epoch_counts.get(title, 0):
            self._end_in_time()
        super().tick(title, tick)

    def epoch(self, title: str, result: EpochResult) -> None:
        """Compare the epoch; TrialPrunedError where it is bad."""
        self.epoch_counts[title] = result.epoch + 1
        self.epochs_trained += 1
        score = result.val.get("macro_f1", math.nan)
        if math.isfinite(score):
            self.last_scores[title] = score
            if title == FIRST and (why := self.bad_epoch(result.epoch + 1, score)):
                raise TrialPrunedError(why)
        if self.training:
            self.training.epoch(title)
            self._show_total()

    def fold_done(self, title: str) -> None:
        """Compare the folds so far; TrialPrunedError where they are bad."""
        super().fold_done(title)
        if title in self.last_scores and (found := FOLD.fullmatch(title)):
            self.fold_scores[found[1]] = self.last_scores[title]
            if why := self.bad_folds(self.fold_scores):
                raise TrialPrunedError(why)

    def _end_in_time(self) -> None:
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise OutOfTimeError
