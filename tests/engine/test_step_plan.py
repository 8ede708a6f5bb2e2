"""The plan of a training's steps: rows, turns and partners of every step, whoever computes it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from tiny import experiment

from maskcls.data.dataset import Key
from maskcls.engine.step_plan import PARTNER, FoldRows, StepPlan

CUTMIX = ("mix.kind=cutmix", "mix.prob=0.5")


def step_plan(drawn: Path, *overrides: str) -> StepPlan:
    plan = experiment(drawn, *overrides)
    member = plan.members[0]
    return StepPlan(plan.rows(member, 0), member.cfg)


def rows_of(it: StepPlan, epoch: int) -> list[int]:
    return [row for step in it.steps(epoch) for row in step.rows.tolist()]


def test_a_plain_course_shows_every_row_once(drawn: Path) -> None:
    plain = step_plan(drawn)
    for epoch in range(2):
        assert sorted(rows_of(plain, epoch)) == sorted(plain.rows.train.tolist())
        assert all(step.mixes is None and not step.turns.any() for step in plain.steps(epoch))
    assert rows_of(plain, 0) != rows_of(plain, 1)
    assert (plain.epoch_images, plain.steps_per_epoch) == (42, 3)  # steps of 16, 16 and 10


def test_a_part_of_the_rows_makes_an_epoch(drawn: Path) -> None:
    part = step_plan(drawn, "sampler.epoch_fraction=0.5")
    assert (part.epoch_images, part.steps_per_epoch) == (21, 2)
    assert sorted(rows_of(part, 0) + rows_of(part, 1)) == sorted(part.rows.train.tolist())


def test_weighted_draws_even_the_groups_out(drawn: Path) -> None:
    even = step_plan(drawn, "sampler.draw=weighted", "sampler.by=mask")
    shown = Counter(int(even.rows.labels["mask"][row]) for epoch in range(60) for row in rows_of(even, epoch))
    total = sum(shown.values())
    assert [round(shown[mask] / total, 1) for mask in range(3)] == [0.3, 0.3, 0.3]  # of five to one to one
    raw = step_plan(drawn, "sampler.draw=weighted", "sampler.by=mask", "sampler.power=0")
    shown = Counter(int(raw.rows.labels["mask"][row]) for epoch in range(60) for row in rows_of(raw, epoch))
    assert [round(7 * shown[mask] / total) for mask in range(3)] == [5, 1, 1]


def test_oversampling_repeats_and_counts_the_turns(drawn: Path) -> None:
    more = step_plan(drawn, "sampler.draw=oversample", "sampler.by=mask")
    steps = more.steps(0)
    shown = Counter((row, turn) for step in steps for row, turn in zip(step.rows.tolist(), step.turns, strict=True))
    assert max(shown.values()) == 1
    times = Counter(row for step in steps for row in step.rows.tolist())
    masks = more.rows.labels["mask"]
    assert {times[row] for row in more.rows.train.tolist() if masks[row] == 0} == {1}
    assert {times[row] for row in more.rows.train.tolist() if masks[row] != 0} == {5}


def test_one_photo_a_person_and_label(drawn: Path) -> None:
    one = step_plan(drawn, "sampler.one_per_person=true")
    found = Counter((int(one.rows.people[r]), int(one.rows.labels["mask"][r])) for r in rows_of(one, 0))
    assert set(found.values()) == {1}
    assert one.epoch_images == len(found) == 18  # six people, three states of the mask
    assert len({row for epoch in range(5) for row in rows_of(one, epoch)}) == 42  # all get their turn


def test_balance_by_person_and_by_joint_class_differ(drawn: Path) -> None:
    groups = {
        by: step_plan(drawn, "sampler.draw=weighted", f"sampler.by={by}").group for by in ("joint", "person", "age")
    }
    assert len(set(groups["person"].tolist())) == 6
    assert set(groups["age"].tolist()) <= {0, 1, 2}
    assert groups["joint"].max() > 2


def test_partners_follow_their_images_in_a_piece(drawn: Path) -> None:
    mixed = step_plan(drawn, *CUTMIX)
    keys = mixed.keys(0, processes=1, accumulate=1, process=0)
    for step in mixed.steps(0):
        assert step.mixes is not None
        partners = step.mixes.partner[step.mixes.partner >= 0].tolist()
        assert partners
        assert set(partners) <= set(mixed.rows.train.tolist())
        want = [Key(int(row), 0) for row in step.rows] + [Key(row, 0, PARTNER) for row in partners]
        assert next(keys) == want


@pytest.mark.parametrize(("processes", "accumulate"), [(1, 1), (1, 3), (2, 2)])
def test_what_a_row_is_mixed_with_does_not_depend_on_who_computes_it(
    drawn: Path, processes: int, accumulate: int
) -> None:
    mixed = step_plan(drawn, *CUTMIX)
    for step in mixed.steps(1):
        assert step.mixes is not None
        whole = {int(row): int(p) for row, p in zip(step.rows, step.mixes.partner, strict=True)}
        seen: dict[int, int] = {}
        for process in range(processes):
            share = {"processes": processes, "accumulate": accumulate, "process": process}
            for piece in mixed.pieces(step, **share):
                part = step.take(piece.places)
                assert part.mixes is not None
                for row, partner, real in zip(part.rows, part.mixes.partner, piece.real, strict=True):
                    assert whole[int(row)] == partner
                    if real:
                        seen[int(row)] = int(partner)
        assert seen == whole


def test_partners_can_be_asked_for_by_class(drawn: Path) -> None:
    old = step_plan(drawn, *CUTMIX, "mix.partner_classes={age: ['>=60', '<30'], mask: [wear]}")
    found = [int(p) for epoch in range(3) for step in old.steps(epoch) for p in step.mixes.partner if p >= 0]  # type: ignore[union-attr]
    assert found
    assert {int(old.rows.labels["age"][p]) for p in found} <= {0, 2}
    assert {int(old.rows.labels["mask"][p]) for p in found} == {0}


def test_partners_of_the_same_class(drawn: Path) -> None:
    same = step_plan(drawn, *CUTMIX, "mix.partner=same")
    joint = same.cfg.space.encode(same.rows.labels)
    for step in same.steps(0):
        assert step.mixes is not None
        for row, partner in zip(step.rows, step.mixes.partner, strict=True):
            assert partner < 0 or (joint[row] == joint[partner] and row != partner)


def test_dropped_ages_do_not_train_and_still_validate(drawn: Path) -> None:
    plan = experiment(drawn)
    years = plan.values["age"]
    age = int(years[plan.rows(plan.members[0], 0).train[0]])
    less = experiment(drawn, f"age.drop=[{age}]")
    before, after = (p.rows(p.members[0], 0) for p in (plan, less))
    assert set(before.train) - set(after.train) == {row for row in before.train if years[row] == age}
    assert len(after.train) < len(before.train)
    assert after.valid.tolist() == before.valid.tolist()
    other = less.rows(less.members[0], 1)
    assert age in years[other.valid]  # of that age, and scored


def test_rows_are_those_of_the_fold(drawn: Path) -> None:
    plan = experiment(drawn)
    rows: FoldRows = plan.rows(plan.members[0], 1)
    assert not set(rows.train) & set(rows.valid)
    assert np.array_equal(np.sort(np.concatenate([rows.train, rows.valid])), np.arange(84))
    assert not set(rows.people[rows.train]) & set(rows.people[rows.valid])
    assert len(set(rows.people.tolist())) == 12
