"""What training adds to heads on the frozen backbone, over the repeats of a cross-validation (train.baseline)."""

from __future__ import annotations

import statistics
from collections.abc import Mapping

from maskcls.runs.summary import HeadsBaseline
from maskcls.typedjson import JsonFile


class RepeatedBaseline(JsonFile):
    """The baselines of all repeats, each on the folds of its repeat.

    macro_f1  of the heads, the mean over the repeats. None where no row has a label of every task.
    gain      macro-F1 of a repeat's networks minus that of its heads, the mean over the repeats; None as before.
    gain_sd   standard deviation of the repeats' gains: how much folds and seeds alone change it. It says nothing about
              people. None with fewer than two gains.
    each      the gain of each repeat, by its folder's name.
    """

    macro_f1: float | None
    gain: float | None
    gain_sd: float | None
    each: dict[str, float | None]


def repeated_baseline(of_repeats: Mapping[str, HeadsBaseline | None]) -> RepeatedBaseline | None:
    """Put the baselines of the repeats together, by their folders' names; None unless every repeat has one."""
    found = {name: baseline for name, baseline in of_repeats.items() if baseline is not None}
    if len(found) < len(of_repeats):
        return None
    scores = [one.macro_f1 for one in found.values() if one.macro_f1 is not None]
    each = {name: None if one.gain is None else one.gain.value for name, one in found.items()}
    gains = [value for value in each.values() if value is not None]
    return RepeatedBaseline(
        macro_f1=statistics.fmean(scores) if scores else None,
        gain=statistics.fmean(gains) if gains else None,
        gain_sd=statistics.stdev(gains) if len(gains) > 1 else None,
        each=each,
    )
