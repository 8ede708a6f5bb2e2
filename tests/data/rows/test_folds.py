"""Folds: people never cross, strata are shared out evenly, and nothing but seed, names and labels decides."""

import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedKFold

from maskcls.data.rows import folds, manifest
from maskcls.errors import DataError, Exit, MaskclsError, ResultError
from maskcls.labels import CONTEST, LabelSpace, Task

PEOPLE = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 4)), min_size=2, max_size=60)


def rows(people: list[tuple[int, int]]) -> tuple[list[str], np.ndarray]:
    """Return each photo's person and stratum, from each person's stratum and number of photos."""
    names = [f"p{i}" for i, (_, photos) in enumerate(people) for _ in range(photos)]
    return names, np.array([stratum for stratum, photos in people for _ in range(photos)])


def frame(people: dict[str, tuple[int, int]], masks: tuple[int, ...] = (0, 1, 2)) -> pd.DataFrame:
    """Return a manifest from {person: (gender, age)} with one photo a mask label."""
    ids = [f"{name}/{mask}" for name in people for mask in masks]
    gender, age = (np.repeat([p[i] for p in people.values()], len(masks)) for i in (0, 1))
    labels = {"mask": np.tile(masks, len(people)), "gender": gender}
    return manifest.build(ids, ids, CONTEST, person=[i[:-2] for i in ids], labels=labels, values={"age": age})


def twelve() -> pd.DataFrame:
    """Return 12 people: two of each gender and age band."""
    return frame({f"p{i:02d}": (i % 2, (20, 40, 70)[i % 3]) for i in range(12)})


@settings(deadline=None, max_examples=60)
@given(PEOPLE, st.integers(2, 10), st.integers(0, 5))
def test_people_stay_whole_and_strata_are_shared_out(people: list[tuple[int, int]], k: int, seed: int) -> None:
    names, stratum = rows(people)
    if len(people) < k:
        with pytest.raises(DataError, match="too few people"):
            folds.make_folds(names, stratum, k=k, seed=seed)
        return
    fold_N = folds.make_folds(names, stratum, k=k, seed=seed)
    assert fold_N.dtype == np.int8
    fold = dict(zip(names, fold_N.tolist(), strict=True))
    assert [fold[name] for name in names] == fold_N.tolist()  # one fold a person
    for members in [list(fold), *([f"p{i}" for i, (s, _) in enumerate(people) if s == want] for want in range(5))]:
        counts = Counter(fold[name] for name in members)
        share = [counts[f] for f in range(k)]
        assert max(share) - min(share) <= 1
    assert set(fold.values()) == set(range(k))


@settings(deadline=None, max_examples=60)
@given(PEOPLE, st.integers(1, 5), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(people: list[tuple[int, int]], k: int, random: object) -> None:
    names, stratum = rows(people)
    if len(people) < max(k, 2):
        return
    fold_N = folds.make_folds(names, stratum, k=k)
    order = list(range(len(names)))
    random.shuffle(order)
    shuffled = folds.make_folds([names[i] for i in order], stratum[order], k=k)
    assert shuffled.tolist() == fold_N[order].tolist()


@pytest.mark.parametrize("k", [2, 3, 5, 7])
def test_counts_by_fold_and_stratum_are_those_of_scikit_learn(k: int) -> None:
    stratum = np.sort(np.random.default_rng(0).integers(0, 4, 101))
    fold_N = folds.make_folds([f"p{i}" for i in range(101)], stratum, k=k)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        splits = list(StratifiedKFold(k, shuffle=True, random_state=0).split(stratum, stratum))
    want = [np.bincount(stratum[valid], minlength=4).tolist() for _, valid in splits]
    assert [np.bincount(stratum[fold_N == f], minlength=4).tolist() for f in range(k)] == want


def test_the_table_is_the_same_for_ever() -> None:
    # Written down once; a change here makes every saved run's folds differ from new ones.
    fold_N = folds.make_folds([f"p{i}" for i in range(10)], np.arange(10) % 2, k=3, seed=7)
    assert fold_N.tolist() == [1, 2, 0, 1, 0, 0, 2, 2, 1, 0]


def test_the_seed_moves_people() -> None:
    names = [f"p{i}" for i in range(30)]
    tables = {tuple(folds.make_folds(names, np.zeros(30, int), k=k, seed=s).tolist()) for k in (1, 3) for s in range(5)}
    assert len(tables) == 10


def test_strata_smaller_than_k_are_spread_without_a_warning() -> None:
    # 9 people in strata of 1, 2, 3 and 3; five folds.
    stratum = np.array([0, 1, 1, 2, 2, 2, 3, 3, 3])
    fold_N = folds.make_folds([f"p{i}" for i in range(9)], stratum, k=5)
    assert sorted(Counter(fold_N.tolist()).values()) == [1, 2, 2, 2, 2]
    for s in range(4):
        assert len(set(fold_N[stratum == s].tolist())) == (stratum == s).sum()


@settings(deadline=None, max_examples=60)
@given(PEOPLE, st.floats(0.01, 0.99), st.integers(0, 5))
def test_the_hold_out_takes_its_share_of_each_stratum(people: list[tuple[int, int]], share: float, seed: int) -> None:
    names, stratum = rows(people)
    fold = dict(zip(names, folds.make_folds(names, stratum, k=1, holdout=share, seed=seed).tolist(), strict=True))
    assert set(fold.values()) == {0, -1}
    taken = sum(f == 0 for f in fold.values())
    assert taken == min(max(1, round(len(people) * share)), len(people) - 1)
    for want in range(5):
        members = [f"p{i}" for i, (s, _) in enumerate(people) if s == want]
        assert abs(sum(fold[name] == 0 for name in members) - len(members) * taken / len(people)) < 1


def test_a_hold_out_of_a_fifth() -> None:
    fold_N = folds.make_folds([f"p{i}" for i in range(50)], np.repeat([0, 1], [40, 10]), k=1, holdout=0.2)
    assert (fold_N[:40] == 0).sum() == 8
    assert (fold_N[40:] == 0).sum() == 2


def test_a_small_stratum_is_neither_always_spared_nor_always_taken() -> None:
    taken = {int(folds.make_folds([*"abcdefghij"], np.array([0] * 9 + [1]), k=1, seed=s)[9]) for s in range(30)}
    assert taken == {0, -1}


@pytest.mark.parametrize(("people", "k"), [(1, 1), (1, 2), (4, 5)])
def test_too_few_people(people: int, k: int) -> None:
    with pytest.raises(DataError, match="too few people") as caught:
        folds.make_folds([f"p{i}" for i in range(people)] * 3, np.zeros(3 * people, int), k=k)
    assert caught.value.got == str(people)


def test_a_person_in_two_strata_is_our_mistake() -> None:
    with pytest.raises(ValueError, match="two strata"):
        folds.make_folds(["a", "a", "b"], np.array([0, 1, 0]), k=2)


def test_strata_are_made_of_what_is_constant_within_people() -> None:
    data = twelve()
    assert manifest.person_tasks(data, CONTEST) == ("gender", "age")
    stratum = folds.strata(data, CONTEST, ("gender", "age"))
    pairs = set(zip(stratum.tolist(), data["gender"], data["age"], strict=True))
    assert len(pairs) == len({p[0] for p in pairs}) == 6  # a bijection between strata and label pairs


def test_an_unknown_label_takes_the_persons_other_photos_or_a_stratum_of_its_own() -> None:
    space = LabelSpace((Task("g", ("x", "y")),))
    data = manifest.build([*"abcd"], [*"abcd"], space, person=[*"ppqr"], labels={"g": np.array([-1, 1, 1, -1])})
    assert manifest.person_tasks(data, space) == ("g",)
    a, b, c, d = folds.strata(data, space, ("g",)).tolist()
    assert a == b == c != d


def test_photos_are_balanced_and_stratify_names_the_classes() -> None:
    # 40 people with 1 to 7 photos with a mask and 1 to 7 without; every fifth person is old.
    rng = np.random.default_rng(0)
    masks = [[0] * on + [1] * off for on, off in rng.integers(1, 8, (40, 2)).tolist()]
    person = [f"p{i}" for i in range(40) for _ in masks[i]]
    old = np.repeat(np.arange(40) % 5 == 0, [len(one) for one in masks]).astype(np.int64)
    space = LabelSpace((Task("mask", ("on", "off")), Task("age", ("young", "old"))))
    ids, labels = [f"{name}/{n}" for n, name in enumerate(person)], {"mask": np.concatenate(masks), "age": old}
    data = manifest.build(ids, ids, space, person=person, labels=labels)

    def spreads(stratify: tuple[str, ...] | None) -> tuple[int, int, int]:
        """Return the largest difference between folds of all photos, those without a mask, those of old people."""
        tables = [folds.build(data, space, k=4, holdout=0.2, seed=s, stratify=stratify)["fold"] for s in range(4)]
        kinds = (data["age"] >= 0, data["mask"] == 1, data["age"] == 1)
        found = [[int(np.ptp(np.bincount(t[kind], minlength=4))) for kind in kinds] for t in tables]
        every, off, of_old = np.array(found).max(axis=0).tolist()
        return every, off, of_old

    even = {None: (True, True), (): (False, False), ("age",): (False, True), ("mask",): (True, False)}
    for stratify, (even_off, even_old) in even.items():
        every, off, of_old = spreads(stratify)
        assert (every <= 1, off <= 2, of_old <= 5) == (True, even_off, even_old), stratify
    assert spreads(("age", "mask")) == spreads(None)


def test_build_gives_a_checked_table() -> None:
    data = twelve()
    table = folds.build(data, CONTEST, k=2, holdout=0.2, seed=0)
    assert list(table.columns) == ["id", "person", "fold"]
    assert str(table["fold"].dtype) == "Int8"
    assert table["id"].tolist() == data["id"].tolist()
    counts = pd.crosstab(folds.strata(data, CONTEST, ("gender", "age")), table["fold"])
    assert (counts == 3).to_numpy().all()  # two people a stratum, three photos each, one person a fold


def test_stratify_is_obeyed() -> None:
    # 20 people of each age band: stratified by age, ten in each fold (30 photos); by gender alone, as it comes.
    data = frame({f"p{i}": (i % 2, (20, 40, 70)[i // 20]) for i in range(60)})

    def old_by_fold(seed: int, names: tuple[str, ...] | None) -> set[int]:
        table = folds.build(data, CONTEST, k=2, holdout=0.2, seed=seed, stratify=names)
        return set(Counter(table.loc[data["age"] == 2, "fold"].tolist()).values())

    assert all(old_by_fold(seed, None) == {30} for seed in range(5))
    assert any(old_by_fold(seed, ("gender",)) != {30} for seed in range(5))


def test_the_table_does_not_depend_on_the_order_of_rows() -> None:
    data = twelve()
    table = folds.build(data, CONTEST, k=3, holdout=0.2, seed=1)
    shuffled = data.sample(frac=1, random_state=3)
    again = folds.build(shuffled, CONTEST, k=3, holdout=0.2, seed=1)
    pd.testing.assert_frame_equal(again.sort_index(), table)


def test_a_class_that_a_fold_cannot_learn_is_named_with_its_count() -> None:
    data = frame({f"p{i}": (i % 2, 70 if i == 0 else 20 + 20 * (i % 2)) for i in range(8)})
    with pytest.raises(DataError, match="missing from a fold") as caught:
        folds.build(data, CONTEST, k=4, holdout=0.2, seed=0)
    fold = folds.make_folds(data["person"].tolist(), folds.strata(data, CONTEST, ("gender", "age")), k=4)[0]
    assert caught.value.offenders == (f"fold {fold} trains on 0 of 3 photos of age=>=60",)


def test_a_class_that_never_occurs_is_missing_from_every_fold() -> None:
    data = frame({f"p{i}": (i % 2, 20 + 20 * (i % 3 == 0)) for i in range(8)})
    with pytest.raises(DataError) as caught:
        folds.build(data, CONTEST, k=2, holdout=0.2, seed=0)
    assert caught.value.offenders == tuple(f"fold {f} trains on 0 of 0 photos of age=>=60" for f in (0, 1))


def table_of(person: str, fold: list[int | None]) -> pd.DataFrame:
    ids = [f"i{n}" for n in range(len(person))]
    return pd.DataFrame({"id": ids, "person": [*person], "fold": pd.array(fold, dtype="Int8")})


def test_a_good_table_passes() -> None:
    folds.check_folds(table_of("aabc", [0, 0, 1, -1]))
    folds.check_folds(table_of("aab", [0, 0, -1]))


@pytest.mark.parametrize(
    ("table", "offender"),
    [
        (table_of("aab", [0, 1, 1]), "person 'a' is in folds 0 and 1"),
        (table_of("aab", [0, -1, 1]), "person 'a' is in folds -1 and 0"),
        (table_of("abc", [0, 2, 2]), "the folds are [0, 2], expected 0..k-1"),
        (table_of("abc", [0, -2, 1]), "the folds are [-2, 0, 1], expected 0..k-1"),
        (table_of("abc", [-1, -1, -1]), "the folds are [], expected 0..k-1"),
        (table_of("abc", [0, None, 1]), "1 rows have no fold"),
        (table_of("ab", [0, 1]).assign(id=["x", "x"]), "id 'x' occurs twice"),
        (table_of("ab", [0, 1]).drop(columns="person"), "columns id, fold, expected id, person, fold"),
    ],
)
def test_a_table_that_leaks_or_gapes_is_an_internal_fault(table: pd.DataFrame, offender: str) -> None:
    with pytest.raises(MaskclsError) as caught:
        folds.check_folds(table)
    assert caught.value.exit_code == Exit.INTERNAL
    assert offender in caught.value.offenders


def test_the_table_is_read_back_equal(tmp_path: Path) -> None:
    table = table_of("aabc", [0, 0, 1, -1]).assign(id=["00123", "1e5", "NA", "null"])
    assert folds.to_csv(table) == b"id,person,fold\n00123,a,0\n1e5,a,0\nNA,b,1\nnull,c,-1\n"
    (tmp_path / "folds.csv").write_bytes(folds.to_csv(table))
    again = folds.from_csv(tmp_path / "folds.csv")
    pd.testing.assert_frame_equal(again, table)
    assert folds.sha256(again) == folds.sha256(table) != folds.sha256(table.iloc[::-1])


@pytest.mark.parametrize("body", ["x,a,0\ny,a,1\n", "x,a,0\ny,b,\n", "x,a,0\ny,b,1.0\n", "x,a,0\ny,b,2\n"])
def test_an_edited_table_is_refused(tmp_path: Path, body: str) -> None:
    path = tmp_path / "folds.csv"
    path.write_text("id,person,fold\n" + body)
    with pytest.raises(ResultError) as caught:
        folds.from_csv(path)
    assert caught.value.where == str(path)


def test_counts_by_fold_and_class() -> None:
    data = frame({"a": (0, 20), "b": (1, 40), "c": (1, 70)}, masks=(0, 2))
    table = pd.DataFrame({"id": data["id"], "person": data["person"], "fold": pd.array([0, 0, 0, 0, -1, -1], "Int8")})
    counts = folds.fold_counts(data, table, CONTEST).set_index(["fold", "task", "class"])
    got = {key: (int(row["people"]), int(row["photos"])) for key, row in counts.iterrows()}
    assert got == {
        **{(-1, "all", "all"): (1, 2), (0, "all", "all"): (2, 4)},
        **{(-1, "mask", "wear"): (1, 1), (-1, "mask", "incorrect"): (0, 0), (-1, "mask", "normal"): (1, 1)},
        **{(0, "mask", "wear"): (2, 2), (0, "mask", "incorrect"): (0, 0), (0, "mask", "normal"): (2, 2)},
        **{(-1, "gender", "male"): (0, 0), (-1, "gender", "female"): (1, 2)},
        **{(0, "gender", "male"): (1, 2), (0, "gender", "female"): (1, 2)},
        **{(-1, "age", "<30"): (0, 0), (-1, "age", "30-59"): (0, 0), (-1, "age", ">=60"): (1, 2)},
        **{(0, "age", "<30"): (1, 2), (0, "age", "30-59"): (1, 2), (0, "age", ">=60"): (0, 0)},
    }


def test_counts_show_unknown_labels_and_refuse_another_manifest() -> None:
    space = LabelSpace((Task("g", ("x", "y")),))
    data = manifest.build([*"abc"], [*"abc"], space, person=[*"abc"], labels={"g": np.array([0, 1, -1])})
    table = pd.DataFrame({"id": data["id"], "person": data["person"], "fold": pd.array([0, 0, 0], "Int8")})
    counts = folds.fold_counts(data, table, space)
    assert counts["class"].tolist() == ["all", "unknown", "x", "y"]
    assert counts["photos"].tolist() == [3, 1, 1, 1]
    with pytest.raises(ValueError, match="does not belong"):
        folds.fold_counts(data.iloc[::-1], table, space)
