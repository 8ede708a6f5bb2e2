"""The checks that train, on tiny networks: what they report, and that they use the people they say."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from tiny import tiny

from maskcls.commands.debug import debug
from maskcls.diagnosis.opened import open_probes
from maskcls.diagnosis.probe import Probe
from maskcls.diagnosis.with_training import curve, full
from maskcls.diagnosis.with_training.beside_baselines import check_baselines
from maskcls.diagnosis.with_training.curve import check_curve, curves_of
from maskcls.diagnosis.with_training.full import budget_of, full_checks
from maskcls.diagnosis.with_training.rare import check_rare_classes
from maskcls.diagnosis.with_training.study import COST, part_of, people_order, train_network, within_budget
from maskcls.errors import DivergedError
from maskcls.results.comparison.difference import Difference
from maskcls.results.diagnosis.chance import Chance
from maskcls.results.diagnosis.finding import CHECKS
from maskcls.results.diagnosis.learning_curve import Curve, Projection
from maskcls.results.diagnosis.rare_classes import RareClass
from maskcls.results.diagnosis.scored import Diagnosis
from maskcls.show.terminal.progress import Reporter

QUIET = Reporter(quiet=True)
TRAINS = [name for name, one in CHECKS.items() if one.trains]


@pytest.fixture(scope="module")
def probe(drawn: Path) -> Probe:
    return open_probes(drawn, tiny(), QUIET)[0]


def test_all_training_checks_report(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curve, "FEWEST_PEOPLE", 0.1)  # of six training people
    monkeypatch.setattr(curve, "CURVE", ((0.34, 1), (0.67, 1)))
    (found,) = debug(drawn, tiny(), checks=TRAINS, minutes=60, report=QUIET)
    assert [one.check for one in found.findings] == TRAINS
    assert [one.model for one in found.models] == ["constant", "colours", "neighbour", "backbone", "network"]
    assert [one.name for one in found.parts] == ["joint", "mask", "gender", "age"]
    assert [one.people for one in found.curves] == [(2, 4, 6)] * 4
    assert (found.people, found.of_people) == (6, 6)
    assert all(math.isnan(one.sealed) for one in found.parts)


def test_only_the_wanted_checks_are_made(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    titles = []

    def noted(one: Probe, title: str, report: Reporter) -> object:
        titles.append(title)
        return train_network(one, title, report)

    monkeypatch.setattr(full, "train_network", noted)
    found = full_checks(probe, ["shuffled labels"], 60, QUIET)
    assert [one.check for one in found.findings] == ["shuffled labels"]
    assert titles == ["shuffled labels"]


def test_a_failure_before_training_saves_the_training(drawn: Path) -> None:
    broken = tiny("transforms.std=[0.004,0.004,0.004]")
    (found,) = debug(drawn, broken, checks=["normalisation", "baselines"], minutes=60, report=QUIET)
    assert [one.check for one in found.findings] == ["normalisation"]


def test_a_training_that_diverges_is_a_finding(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverge(*_: object) -> None:
        raise DivergedError("training diverged", where="epoch 1, step 2", got="age is NaN")

    monkeypatch.setattr(full, "train_network", diverge)
    (found,) = full_checks(probe, TRAINS, 60, QUIET).findings
    assert (found.verdict, found.cause) == ("fail", "learning rate too high")
    assert "epoch 1, step 2" in found.found
    tiny(found.next[0])


def test_subsets_are_nested_and_of_whole_people(probe: Probe) -> None:
    small, large = part_of(probe, 0.34, 1), part_of(probe, 0.67, 1)
    assert set(small.rows.train) < set(large.rows.train) < set(probe.rows.train)
    assert len(people_order(large, 0)) == 4
    people = probe.rows.people
    assert not set(people[large.rows.train]) & (set(people[probe.rows.train]) - set(people[large.rows.train]))
    assert large.rows.valid.tolist() == probe.rows.valid.tolist()


def test_a_budget_uses_fewer_people_on_both_sides(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    half = within_budget(probe, 0.5)
    assert len(np.unique(probe.rows.people[half.rows.train])) == 3
    assert len(np.unique(probe.rows.people[half.rows.valid])) == 3
    assert within_budget(probe, 2.0) is probe
    monkeypatch.setattr(full, "fold_seconds", lambda *_: (100.0, 1))
    assert budget_of(probe, 5.0).seconds == 100 * COST
    assert budget_of(probe, 1.0).share == pytest.approx(60 / (100 * COST))
    assert pytest.approx(1 + 0.5 + 3 / 8 + 2 / 4 + 2 / 2) == COST


def test_the_minutes_decide_how_many_people_are_used(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(full, "fold_seconds", lambda *_: (120.0, 1))
    monkeypatch.setattr(full, "_trained_checks", lambda *_: Diagnosis("", ()))
    for minutes, people in ((2 * COST, 6), (COST, 3)):
        (found,) = debug(drawn, tiny(), checks=["learning curve"], minutes=minutes, report=QUIET)
        assert (found.people, found.of_people) == (people, 6)


def test_a_network_worse_than_a_simple_model_fails() -> None:
    good, bad = Difference(0.2, 0.1, 0.3, 1.0, 0.99), Difference(-0.2, -0.3, -0.1, 0.0, 0.99)
    known = {"mask": Chance(0.6, 0.3, 0.02)}
    assert check_baselines({"constant": good}, known, 0.9, 0.5, "").verdict == "pass"
    found = check_baselines({"constant": good, "colours": bad}, known, 0.9, 0.5, "")
    assert (found.verdict, found.cause) == ("fail", "under-trained")
    assert "colour histogram" in found.found


def test_a_network_at_chance_learned_by_heart_or_nothing() -> None:
    chance = {"mask": Chance(0.3, 0.3, 0.02)}
    assert check_baselines({}, chance, 0.9, 0.1, "").cause == "shuffled labels"
    assert check_baselines({}, chance, 0.1, 0.1, "").cause == "not trained"
    assert check_baselines({}, {"mask": Chance(0.3, 0.3, 0.2)}, 0.9, 0.1, "").verdict == "pass"  # too few people


def test_a_constant_task_beside_tasks_that_are_learned_is_no_failure() -> None:
    mask, gender = Chance(0.278, 0.278, 0, constant=True), Chance(0.66, 0.49, 0.09)  # 1.9 sd above chance: few people
    assert check_baselines({}, {"mask": mask, "gender": gender}, 0.9, 0.1, "").verdict == "pass"
    seen = Chance(0.5, 0.49, 0.02)
    assert check_baselines({}, {"mask": mask, "gender": seen}, 0.9, 0.1, "").cause == "shuffled labels"
    assert check_baselines({}, {"mask": mask}, 0.1, 0.1, "").cause == "not trained"


def test_rare_classes_name_the_head_that_is_trained() -> None:
    missed = RareClass("age", ">=60", 50, 9, 0, 3)
    found = check_rare_classes([missed, RareClass("age", "<30", 1, 90, 80, 30)], tiny(), "")
    assert (found.verdict, found.cause) == ("fail", "class without recall")
    assert "loss.age=la(tau=1)" in found.next
    joint = check_rare_classes([missed], tiny("model.heads=joint"), "")
    assert "loss.joint=la(tau=1)" in joint.next
    ordinal = check_rare_classes([missed], tiny("age.head=ordinal"), "")
    assert not any(step.startswith("loss.") for step in ordinal.next)
    assert check_rare_classes([RareClass("age", "<30", 1, 90, 80, 30)], tiny(), "").verdict == "pass"
    assert check_rare_classes([], tiny(), "").verdict == "unknown"
    few = check_rare_classes(
        [RareClass("age", ">=60", 50, 2, 0, 2), RareClass("age", "<30", 1, 90, 80, 30)], tiny(), ""
    )
    assert few.verdict == "unknown"
    assert few.found == "the least found class is age=>=60: 0 of 2 photos; too few held-out photos to tell"


def curve_with(low: float, class_low: float) -> Curve:
    one = Projection("b", 20, 0.04, class_low, 0.06)
    return Curve(
        "t", (10, 20, 40), (0.5, 0.4, 0.3), (1, 1, 1), (0, 1, 0.5), Projection("all", 80, 0.05, low, 0.1), (one,)
    )


def test_a_curve_says_what_it_can_tell() -> None:
    told = check_curve([curve_with(0.01, 0.01)], "")
    assert told.verdict == "pass"
    assert told.next[0] == "photos of more people of t=b"
    unclear = check_curve([curve_with(-0.01, -0.01)], "")
    assert unclear.verdict == "unknown"
    assert "cannot be told" in unclear.found
    assert check_curve([], "").verdict == "unknown"
    assert "which class needs more people cannot be told" in check_curve([curve_with(0.01, -0.01)], "").found


def test_curves_need_three_sizes(probe: Probe) -> None:
    prob = np.full((len(probe.rows.valid), 18), 1 / 18, np.float32)
    assert curves_of([(probe, prob)]) == ()
