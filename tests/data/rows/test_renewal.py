"""Renewed folds: as balanced as before, and apart from those that people were with before."""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from maskcls.data.rows import balance, folds, manifest
from maskcls.data.rows.renewal import cheapest, pairs_kept
from maskcls.errors import DataError
from maskcls.labels import CONTEST
from maskcls.results.pseudo.leaks import check_same_folds
from maskcls.training.added.added_source import folds_sha256

EARLIER = [1, 1, 0, 2, 2, 1, 0, 1, 0, 2, 0, 2]  # of version 0.x, without renewals
STRATA = st.lists(st.integers(0, 3), min_size=4, max_size=60)


def renewals(stratum: np.ndarray, k: int, count: int, **how: float) -> list[np.ndarray]:
    """Return the folds of renewals 0, 1, … of people with one photo each."""
    names, found = [f"p{i}" for i in range(len(stratum))], []
    for _ in range(count):
        found.append(folds.make_folds(names, stratum, k=k, before=found, **how))  # type: ignore[arg-type]
    return found


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 5), st.lists(st.integers(0, 5), min_size=25, max_size=25))
def test_the_assignment_is_the_cheapest_of_all(rows: int, numbers: list[int]) -> None:
    cost = [numbers[rows * i : rows * (i + 1)] for i in range(rows)]

    def price(columns: tuple[int, ...]) -> int:
        return sum(row[column] for row, column in zip(cost, columns, strict=True))

    found = cheapest(cost)
    assert sorted(found) == list(range(len(cost)))
    assert price(tuple(found)) == min(map(price, permutations(range(len(cost)))))


@settings(deadline=None, max_examples=40)
@given(STRATA, st.integers(2, 6), st.integers(1, 3), st.integers(0, 5))
def test_renewed_folds_share_out_strata_as_evenly(strata: list[int], k: int, renew: int, seed: int) -> None:
    if len(strata) < k:
        return
    stratum = np.array(strata)
    fold_N = renewals(stratum, k, renew + 1, seed=seed)[renew]
    for members in [np.full(len(strata), True), *(stratum == want for want in range(4))]:
        share = np.bincount(fold_N[members], minlength=k)
        assert share.max() - share.min() <= 1


@settings(deadline=None, max_examples=20)
@given(STRATA, st.integers(1, 4), st.randoms(use_true_random=False))
def test_only_names_and_labels_decide(strata: list[int], renew: int, random: object) -> None:
    names, before, shuffled = [f"p{i}" for i in range(len(strata))], [], []
    order = np.array(random.sample(range(len(strata)), len(strata)))  # type: ignore[attr-defined]
    others = [names[i] for i in order]
    for _ in range(renew + 1):
        before.append(folds.make_folds(names, np.array(strata), k=2, before=before))
        shuffled.append(folds.make_folds(others, np.array(strata)[order], k=2, before=shuffled))
    assert before[-1][order].tolist() == shuffled[-1].tolist()


@pytest.mark.parametrize("k", [3, 5, 7])
def test_nobody_meets_anybody_again_where_that_is_possible(k: int) -> None:
    """k * k people can be dealt into k folds apart from two earlier deals: a Latin square."""
    found = renewals(np.zeros(k * k, int), k, 3)
    assert pairs_kept(found[1], found[:1]) == 0
    assert pairs_kept(found[2], found[:2]) == 0


def test_as_few_meet_again_as_can_be_and_fewer_than_by_chance() -> None:
    stratum = np.repeat([0, 1, 2], [83, 109, 48])  # 240 people
    found = renewals(stratum, 5, 5)
    by_chance = 240 * 239 / 2 / 25
    for renew in range(1, 5):
        kept = [pairs_kept(found[renew], [one]) for one in found[:renew]]
        at_least = 25 * (240 / 25) * (240 / 25 - 1) / 2  # every pair of folds shares 9.6 people
        assert max(kept) < at_least * 1.03, kept
        assert max(kept) < by_chance - 80
        for old in range(3):  # the few people of a stratum are spread as well
            together = Counter(
                zip(found[0][stratum == old].tolist(), found[renew][stratum == old].tolist(), strict=True)
            )
            assert max(together.values()) <= int(np.ceil((stratum == old).sum() / 25)) + 2
    assert len({one.tobytes() for one in found}) == 5


def test_strata_of_one_person_meet_others_as_well() -> None:
    found = renewals(np.arange(12), 3, 4)
    assert len({one.tobytes() for one in found}) == 4
    assert all(pairs_kept(one, found[:1]) < pairs_kept(found[0], found[:1]) for one in found[1:])


def test_kept_pairs_are_those_a_loop_counts() -> None:
    rng = np.random.default_rng(0)
    now, *before = rng.integers(0, 4, (4, 30))
    counted = sum(int(now[a] == now[b] and one[a] == one[b]) for one in before for a in range(30) for b in range(a))
    assert pairs_kept(now, before) == counted


@pytest.mark.parametrize(("people", "share"), [(20, 0.2), (23, 0.2), (13, 0.25), (40, 0.5), (9, 0.1)])
def test_a_renewed_hold_out_takes_people_who_were_not_held_out(people: int, share: float) -> None:
    taken = max(1, round(people * share))
    found = renewals(np.zeros(people, int), 1, people // taken, holdout=share)
    held = [set(np.flatnonzero(one == 0).tolist()) for one in found]
    assert [len(one) for one in held] == [taken] * len(held)
    assert len(set.union(*held)) == taken * len(held)  # nobody twice
    more = renewals(np.zeros(people, int), 1, people // taken + 1, holdout=share)
    assert {0, -1} == set(more[-1].tolist())  # a new round


def uneven() -> pd.DataFrame:
    """Return people with 1 to 5 photos of several classes, whose folds need exchanges."""
    rng = np.random.default_rng(5)
    person = np.repeat([f"p{i:02d}" for i in range(60)], rng.integers(1, 6, 60))
    ids = [f"{name}/{n}" for n, name in enumerate(person)]
    gender, age = (dict(zip(np.unique(person), rng.integers(0, top, 60), strict=True)) for top in (2, 3))
    labels = {"mask": rng.integers(0, 3, len(ids)), "gender": np.array([gender[name] for name in person])}
    values = {"age": np.array([(20, 40, 70)[age[name]] for name in person])}
    return manifest.build(ids, ids, CONTEST, person=person.tolist(), labels=labels, values=values)


def test_uneven_people_stay_as_balanced() -> None:
    frame = uneven()
    tables = [folds.build(frame, CONTEST, k=4, holdout=0.2, seed=0, renew=renew) for renew in range(3)]
    assert len({folds.sha256(table) for table in tables}) == 3
    photos = [np.bincount(table["fold"].to_numpy(np.int64)) for table in tables]
    assert all(np.ptp(one) <= max(2, np.ptp(photos[0])) for one in photos)
    who_N = pd.factorize(frame["person"], sort=True)[0]
    row_P = np.unique(who_N, return_index=True)[1]
    count_PF = balance.photo_counts(who_N, manifest.labels(frame, CONTEST))
    uneven_by = [
        balance.unevenness(table["fold"].to_numpy(np.int64)[row_P], count_PF, np.ones(4, np.int64)) for table in tables
    ]
    assert max(uneven_by) < 3 * uneven_by[0]


def test_no_renewal_gives_the_folds_of_earlier_versions() -> None:
    names = [f"p{i}" for i in range(12)]
    assert folds.make_folds(names, np.zeros(12, int), k=3).tolist() == EARLIER
    frame = uneven()
    asked = [folds.build(frame, CONTEST, k=4, holdout=0.2, seed=0, **how) for how in ({}, {"renew": 0})]
    assert folds.sha256(asked[0]) == folds.sha256(asked[1])


def test_the_setting_renews_the_folds_and_keeps_the_sealed_people(drawn: Path) -> None:
    how = ("folds.sealed=0.2", "folds.stratify=[age]")
    old, new = (tiny.experiment(drawn, *how, f"folds.renew={renew}") for renew in (0, 1))
    assert old.sealed is not None
    assert new.sealed is not None
    assert old.sealed.equals(new.sealed)
    assert old.manifest.equals(new.manifest)
    assert not old.folds.equals(new.folds)
    assert pairs_kept(new.fold, [old.fold]) < pairs_kept(old.fold, [old.fold])
    assert tiny.experiment(drawn, *how, "folds.renew=1").folds.equals(new.folds)


def test_pseudo_labels_of_other_renewals_are_refused(drawn: Path) -> None:
    digests = {
        f"renew={renew}": folds_sha256(one.manifest, one.folds)
        for renew in (0, 1)
        for one in [tiny.experiment(drawn, f"folds.renew={renew}")]
    }
    with pytest.raises(DataError, match="different folds"):
        check_same_folds(digests)
