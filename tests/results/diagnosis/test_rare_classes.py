"""Classes without recall, and what to set."""

from __future__ import annotations

import numpy as np

from maskcls.results.diagnosis.rare_classes import Balancing, RareClass, class_recalls, what_to_set

RARE = RareClass("age", ">=60", 50.0, 10, 0, 3)


def test_recalls_are_counted() -> None:
    train = np.array([0] * 50 + [1] + [-1] * 9)
    true, pred = np.array([1] * 6 + [0] * 4 + [-1]), np.array([0] * 10 + [1])
    zero, one = class_recalls("t", ("a", "b"), train, true, pred, np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 3]))
    assert (one.rarity, one.support, one.found, one.people) == (50, 6, 0, 2)
    assert (zero.rarity, zero.support, zero.found, zero.people) == (1, 4, 4, 1)
    assert one.missed
    assert not zero.missed
    assert not class_recalls("t", ("a", "b"), train, true[:4], pred[:4], np.zeros(4, np.int64))[1].missed  # too few


def test_one_in_fifty_gets_settings_that_exist() -> None:
    advice = what_to_set(RARE, Balancing("shuffle", "ce"))
    assert advice[0] == "sampler.draw=oversample sampler.by=age sampler.power=0.5"
    assert "loss.age=la(tau=1)" in advice
    assert any("calibrate" in step for step in advice)
    from maskcls import config

    for step in advice[:3]:
        config.load(None, step.split())  # raises ConfigError for a setting that does not exist


def test_what_is_set_is_not_suggested() -> None:
    advice = what_to_set(RARE, Balancing("oversample", "ce(weights=effective)"))
    assert not any("sampler" in step or "loss." in step for step in advice)
    assert not any("loss." in step for step in what_to_set(RARE, Balancing("shuffle", "ce", head=False)))
    mild = what_to_set(RareClass("age", ">=60", 5.0, 30, 0, 9), Balancing("shuffle", "ce"))
    assert mild[0].endswith("power=1")
