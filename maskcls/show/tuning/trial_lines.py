"""The lines of a search while it goes on: one per trial that ended."""

from __future__ import annotations

from collections.abc import Callable

from maskcls.durations import duration
from maskcls.errors import visible
from maskcls.results.search.study import SearchStudy, SearchTrial, SettingValue
from maskcls.show.terminal.text import number, plural
from maskcls.show.tuning.value_axis import value_text


class TrialLines:
    """Prints each trial once, when it has ended.

    print_line  prints one line.
    of          trials that the search makes in all; None: not known.
    """

    def __init__(self, print_line: Callable[[str], object], of: int | None) -> None:
        self.print_line, self.of = print_line, of
        self.seen: set[int] = set()
        self.best: float | None = None

    def begin(self, study: SearchStudy) -> None:
        """Leave out the trials of an earlier command, with one line about them."""
        ended = [one for one in study.trials if one.state != "running"]
        self.seen = {one.number for one in ended}
        if ended:
            best = study.best
            found = "" if best is None else f"; the best is trial {best.number} with macro-F1 {number(best.score)}"
            self.print_line(f"{plural(len(ended), 'trial')} of an earlier command are kept{found}")
            self.best = None if best is None else best.score

    def update(self, study: SearchStudy) -> None:
        """Print the trials that have ended since."""
        for one in study.trials:
            if one.state == "running" or one.number in self.seen:
                continue
            self.seen.add(one.number)
            better = one.state == "done" and one.score is not None and (self.best is None or one.score > self.best)
            if better:
                self.best = one.score
            self.print_line(trial_line(one, len(self.seen), self.of, best=better))


def trial_line(one: SearchTrial, ended: int, of: int | None = None, *, best: bool = False) -> str:
    """Write a trial in one line, after how many have ended with it.

    >>> trial_line(SearchTrial(3, "done", {"optim.lr": 0.001234}, 0.41234, seconds=12.0), 4, 20, best=True)
    '4 of 20  trial 3  done     macro-F1 0.4123  best so far  12 s  optim.lr=0.001234'
    >>> trial_line(SearchTrial(4, "failed", {}, why="the memory of the GPU is full"), 5)
    '5  trial 4  failed   the memory of the GPU is full  0 s'
    """
    place = f"{ended}  {trial_name(one)}" if of is None else f"{ended} of {of}  {trial_name(one)}"
    if one.state == "done":
        result = [f"macro-F1 {number(one.score)}", *(["best so far"] if best else [])]
    else:
        result = [visible(one.why)]
    changed = [values_line(dict(one.values))] if one.values else []
    return "  ".join([place, f"{one.state:7s}", *result, duration(one.seconds), *changed])


def trial_name(one: SearchTrial) -> str:
    """Write which trial it is: the first one has the settings of the base configuration.

    >>> trial_name(SearchTrial(0, "done", {})), trial_name(SearchTrial(7, "done", {}))
    ('trial 0 (base)', 'trial 7')
    """
    return f"trial {one.number}{'' if one.number else ' (base)'}"


def values_line(values: dict[str, SettingValue]) -> str:
    """Write settings in one line, numbers with four digits.

    >>> values_line({"optim.lr": 0.00123456, "loss.all": "ce", "sampler.one_per_person": True})
    'optim.lr=0.001235 loss.all=ce sampler.one_per_person=true'
    """
    return " ".join(f"{key}={value_text(value)}" for key, value in values.items())
