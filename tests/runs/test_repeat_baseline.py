"""What training adds to heads on the frozen backbone, over repeats: computed by hand, and as it is printed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from maskcls.results.comparison.difference import Difference
from maskcls.runs.repeats.repeat_baseline import RepeatedBaseline, repeated_baseline
from maskcls.runs.summary import HeadsBaseline
from maskcls.show.training.baseline import repeated_baseline_line

GAIN = Difference(value=0.01, low=-0.1, high=0.1, above_zero=0.5, level=0.95)
FIRST = HeadsBaseline(macro_f1=0.5, gain=GAIN)
SECOND = HeadsBaseline(macro_f1=0.4, gain=replace(GAIN, value=0.04))
UNLABELLED = HeadsBaseline(macro_f1=None, gain=None)


def test_means_and_the_spread_of_the_gains() -> None:
    found = repeated_baseline({"repeat0": FIRST, "repeat1": SECOND})
    assert found is not None
    assert (found.macro_f1, found.gain) == pytest.approx((0.45, 0.025))
    assert found.gain_sd == pytest.approx(0.03 / 2**0.5)
    assert found.each == {"repeat0": 0.01, "repeat1": 0.04}
    assert repeated_baseline_line(found) == (
        "heads on the frozen backbone: macro-F1 0.4500 (mean of 2 repeats); training it adds +0.0250 "
        "(mean, sd 0.0212: repeat0 +0.0100  repeat1 +0.0400)"
    )


def test_without_that_of_a_repeat_there_is_none_together() -> None:
    assert repeated_baseline({"repeat0": FIRST, "repeat1": None}) is None


def test_without_labels_of_every_task_there_are_no_scores() -> None:
    found = repeated_baseline({"repeat0": UNLABELLED, "repeat1": UNLABELLED})
    assert found == RepeatedBaseline(macro_f1=None, gain=None, gain_sd=None, each=dict.fromkeys(("repeat0", "repeat1")))
    assert repeated_baseline_line(found) == "heads on the frozen backbone: macro-F1 - (mean of 2 repeats)"
