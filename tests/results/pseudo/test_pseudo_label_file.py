"""The file of pseudo labels: exact bytes and round trips, and every leak and damage planted and refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maskcls import files
from maskcls.csvfile import FORMULA
from maskcls.errors import BusyError, DataError, UsageError
from maskcls.files.source_code import code_sha256
from maskcls.labels import CONTEST, LabelSpace, Task
from maskcls.results.added.added_set import AddedSet
from maskcls.results.csv_with_origin import check_free
from maskcls.results.pseudo.label_columns import PSEUDO_LABELS
from maskcls.results.pseudo.read_labels import Pseudo, read_pseudo
from maskcls.results.pseudo.write_labels import write_pseudo
from maskcls.rundir import REFIT
from maskcls.spelling import lookalikes
from tests.edited import edit_json

FOLDS = "f" * 64
SPACE = LabelSpace((Task("hat", ("no", "yes")), Task("age", ("young", "old"), (30,))))
ODD = ["00123", "1e5", "NA", "null", 'say "hi"', "a,b", "한글", " padded ", "-1", "x\ty"]


def rows(ids: list[str], hat: list[int], age: list[int], *, soft: bool = False, weight: float = 1.0) -> AddedSet:
    prob = np.tile(np.array([0.1, 0.2, 0.3, 0.4], dtype=np.float32), (len(ids), 1)) if soft else None
    labels = {"hat": np.array(hat, dtype=np.int64), "age": np.array(age, dtype=np.int64)}
    return AddedSet(np.array(ids), np.array([f"eval/{id}" for id in ids]), labels, prob, np.full(len(ids), weight))


def three_sets(**options: Any) -> dict[int, AddedSet]:
    return {
        0: rows(["a", "b"], [1, 0], [0, -1], **options),
        1: rows(["b"], [1], [1], **options),
        REFIT: rows(["a"], [-1], [1], **options),
    }


def write(path: Path, sets: Mapping[int, AddedSet] | None = None, **options: Any) -> str:
    given = {"folds_sha256": FOLDS, "k": 2, "lineage": {"views": "hflip"}, **options}
    return write_pseudo(path, three_sets() if sets is None else sets, SPACE, **given)


def read(path: Path, space: LabelSpace = SPACE, **options: Any) -> Pseudo:
    return read_pseudo(path, space, **{"folds_sha256": FOLDS, "k": 2, **options})


def resign(path: Path, **changes: Any) -> None:
    """Change the sidecar, and give it the hash of the CSV as it now stands."""
    edit_json(path.with_suffix(".json"), {"sha256": files.file_sha256(path), **changes})


def assert_equal(got: AddedSet, wanted: AddedSet) -> None:
    assert got.ids.tolist() == wanted.ids.tolist()
    assert got.paths.tolist() == wanted.paths.tolist()
    assert got.labels.keys() == wanted.labels.keys()
    assert all(np.array_equal(got.labels[name], wanted.labels[name]) for name in wanted.labels)
    assert (got.weight.dtype, got.weight.tolist()) == (np.float64, wanted.weight.tolist())
    assert (got.prob is None) == (wanted.prob is None)
    if got.prob is not None and wanted.prob is not None:
        assert got.prob.dtype == np.float32
        assert got.prob.tobytes() == wanted.prob.tobytes()


# --- what is written ---


def test_golden_bytes(tmp_path: Path) -> None:
    sets = three_sets()
    digest = write(
        tmp_path / "pseudo.csv", {REFIT: sets[REFIT], 1: replace(sets[1], weight=np.array([0.1])), 0: sets[0]}
    )
    raw = (tmp_path / "pseudo.csv").read_bytes()
    assert raw == (
        b"set,id,path,weight,hat,age\n"
        b"0,a,eval/a,1.0,yes,young\n0,b,eval/b,1.0,no,\n1,b,eval/b,0.1,yes,old\nall,a,eval/a,1.0,,old\n"
    )
    assert digest == files.sha256(raw)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pseudo.csv", "pseudo.json"]


def test_golden_bytes_of_soft_targets(tmp_path: Path) -> None:
    write(tmp_path / "p.csv", {REFIT: rows(["a"], [1], [1], soft=True)}, leaky=True, folds_sha256=None)
    assert (tmp_path / "p.csv").read_bytes() == (
        b"set,id,path,weight,hat,age,p0,p1,p2,p3\n"
        b"all,a,eval/a,1.0,yes,old,0.100000001,0.200000003,0.300000012,0.400000006\n"
    )


def test_the_sidecar_says_where_it_comes_from(tmp_path: Path) -> None:
    digest = write(tmp_path / "pseudo.csv")
    sidecar = json.loads((tmp_path / "pseudo.json").read_bytes())
    content = {key: value for key, value in sidecar.items() if key != "digest"}
    assert sidecar == files.with_digest(content)
    assert content == {
        "kind": "maskcls pseudo-labels",
        "version": 1,
        "file": "pseudo.csv",
        "sha256": digest,
        "code_sha256": code_sha256(),
        "columns": ["set", "id", "path", "weight", "hat", "age"],
        "label_space": {"fingerprint": SPACE.fingerprint, "tasks": SPACE.to_json()},
        "folds": {"sha256": FOLDS, "k": 2},
        "leaky": False,
        "sets": [{"set": "0", "rows": 2}, {"set": "1", "rows": 1}, {"set": "all", "rows": 1}],
        "lineage": {"views": "hflip"},
    }


@pytest.mark.parametrize("soft", [False, True])
def test_each_fold_gets_its_own_set_back(tmp_path: Path, soft: bool) -> None:
    sets = three_sets(soft=soft, weight=1 / 3)
    digest = write(tmp_path / "pseudo.csv", sets)
    pseudo = read(tmp_path / "pseudo.csv")
    assert (pseudo.sets.keys(), pseudo.leaky, pseudo.sha256) == (sets.keys(), False, digest)
    assert pseudo.lineage == {"views": "hflip"}
    for k, wanted in sets.items():
        assert_equal(pseudo.for_fold(k), wanted)
    with pytest.raises(KeyError):
        pseudo.for_fold(2)


@st.composite
def any_rows(draw: st.DrawFn) -> AddedSet:
    text = st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"]), min_size=1, max_size=8)
    id = st.one_of(st.sampled_from(ODD), text).filter(lambda id: not FORMULA.match(id))
    # ids that look the same are refused
    ids = draw(st.lists(id, min_size=1, max_size=6, unique=True).filter(lambda ids: not lookalikes(ids)))
    n = len(ids)
    hat = draw(st.lists(st.integers(-1, 1), min_size=n, max_size=n))
    age = [draw(st.integers(-1 if label >= 0 else 0, 1)) for label in hat]
    weight = draw(st.lists(st.floats(1e-37, 1e38), min_size=n, max_size=n))
    cells = st.floats(0, 1, width=32)  # subnormal numbers too
    share = np.array(draw(st.lists(st.lists(cells, min_size=3, max_size=3), min_size=n, max_size=n)))
    prob = np.concatenate([share / 3, 1 - (share / 3).sum(axis=1, keepdims=True)], axis=1)
    clean = rows(ids, hat, age, soft=True)
    prob = np.maximum(prob, 0).astype(np.float32)
    return replace(clean, prob=prob, weight=np.array(weight), paths=np.array([f"eval/{id}" for id in ids]))


@given(wanted=any_rows(), soft=st.booleans())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_anything_comes_back_exactly(tmp_path: Path, wanted: AddedSet, soft: bool) -> None:
    wanted = wanted if soft else replace(wanted, prob=None)
    write(tmp_path / "p.csv", {0: wanted, REFIT: wanted}, k=1, force=True)
    pseudo = read(tmp_path / "p.csv", k=1)
    assert_equal(pseudo.for_fold(0), wanted)
    assert_equal(pseudo.for_fold(REFIT), wanted)


def test_equal_rows_give_equal_files(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    for folder in (tmp_path, tmp_path / "x"):
        write(folder / "p.csv", three_sets(soft=True))
    for name in ("p.csv", "p.json"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "x" / name).read_bytes()


def test_the_contest_at_its_size(tmp_path: Path) -> None:
    """12,600 photos in five folds: nothing here may grow faster than the rows."""
    rng, count = np.random.default_rng(0), 12_600
    ids = np.array([f"{i:040d}.jpg" for i in range(count)])
    labels = CONTEST.decode(rng.integers(0, 18, count))
    sets = {
        k: AddedSet(ids, np.strings.add("eval/images/", ids), labels, None, rng.random(count) + 0.1)
        for k in (0, 1, 2, 3, 4, REFIT)
    }
    write_pseudo(tmp_path / "p.csv", sets, CONTEST, folds_sha256=FOLDS, k=5, lineage={})
    pseudo = read_pseudo(tmp_path / "p.csv", CONTEST, folds_sha256=FOLDS, k=5)
    assert sum(len(pseudo.for_fold(k)) for k in sets) == 6 * count
    assert_equal(pseudo.for_fold(3), sets[3])


# --- leaks, planted ---


def test_labels_of_other_folds_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "p.csv")
    for folds in ({"folds_sha256": "e" * 64}, {"k": 3}):
        with pytest.raises(DataError, match="made with other folds") as caught:
            read(tmp_path / "p.csv", **folds)
        assert "labelled by one that saw its validation people" in caught.value.what
        assert "this run's folds" in str(caught.value.fix)
        assert "leaky" in str(caught.value.fix)
    assert caught.value.got == f"2 folds, sha256 {FOLDS[:16]}…"
    assert caught.value.expected == f"3 folds, sha256 {FOLDS[:16]}…"


def test_labels_of_other_folds_are_leaky_when_allowed(tmp_path: Path) -> None:
    write(tmp_path / "p.csv")
    pseudo = read(tmp_path / "p.csv", folds_sha256="e" * 64, k=5, allow_leaky=True)
    assert (pseudo.leaky, set(pseudo.sets)) == (True, {REFIT})
    for k in (0, 1, 4, REFIT):  # set 0 is of another fold 0
        assert_equal(pseudo.for_fold(k), three_sets()[REFIT])


def test_permission_alone_makes_nothing_leaky(tmp_path: Path) -> None:
    write(tmp_path / "p.csv")
    pseudo = read(tmp_path / "p.csv", allow_leaky=True)
    assert not pseudo.leaky
    assert_equal(pseudo.for_fold(0), three_sets()[0])


def test_leaky_labels_say_so_in_the_file(tmp_path: Path) -> None:
    write(tmp_path / "p.csv", {REFIT: three_sets()[0]}, leaky=True)
    assert json.loads((tmp_path / "p.json").read_bytes())["leaky"] is True
    with pytest.raises(DataError, match="networks of all folds"):
        read(tmp_path / "p.csv")
    pseudo = read(tmp_path / "p.csv", allow_leaky=True)
    assert pseudo.leaky
    assert_equal(pseudo.for_fold(1), three_sets()[0])


def test_a_flag_that_is_no_flag_counts_as_leaky(tmp_path: Path) -> None:
    write(tmp_path / "p.csv")
    for flag in ("false", None, 0):
        resign(tmp_path / "p.csv", leaky=flag)
        with pytest.raises(DataError, match="networks of all folds"):
            read(tmp_path / "p.csv")


@pytest.mark.parametrize(
    ("sets", "options"),
    [
        ({0, 1}, {}),
        ({0, REFIT}, {}),
        ({0, 1, 2, REFIT}, {}),
        ({REFIT}, {}),
        ({0, 1, REFIT}, {"leaky": True}),
        ({0, 1, REFIT}, {"folds_sha256": None}),
    ],
)
def test_other_sets_than_the_folds_are_not_written(tmp_path: Path, sets: set[int], options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="the sets are"):
        write(tmp_path / "p.csv", {k: three_sets()[0] for k in sets}, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("gone", "got"), [("1,b", "all, 0"), ("all,", "0, 1")])
def test_a_missing_set_is_refused(tmp_path: Path, gone: str, got: str) -> None:
    write(tmp_path / "p.csv")
    lines = (tmp_path / "p.csv").read_text().splitlines()
    (tmp_path / "p.csv").write_text("\n".join(line for line in lines if not line.startswith(gone)) + "\n")
    resign(tmp_path / "p.csv")
    with pytest.raises(DataError, match="not those expected") as caught:
        read(tmp_path / "p.csv")
    assert (caught.value.got, caught.value.expected) == (got, "all, 0, 1")


def test_leaky_labels_hold_no_set_of_a_fold(tmp_path: Path) -> None:
    write(tmp_path / "p.csv")
    resign(tmp_path / "p.csv", leaky=True)
    with pytest.raises(DataError, match="not those expected"):
        read(tmp_path / "p.csv", allow_leaky=True)


def test_a_changed_csv_is_refused_whatever_is_allowed(tmp_path: Path) -> None:
    write(tmp_path / "p.csv")
    raw = (tmp_path / "p.csv").read_bytes()
    for changed in (raw.replace(b"0,a", b"1,a"), raw + b" ", raw[:-1], b"", b'"'):
        (tmp_path / "p.csv").write_bytes(changed)
        with pytest.raises(DataError, match="does not match its sidecar"):
            read(tmp_path / "p.csv", allow_leaky=True)


@pytest.mark.parametrize(
    "space",
    [
        LabelSpace((Task("hat", ("yes", "no")), SPACE.tasks[1])),
        LabelSpace((SPACE.tasks[0], Task("age", ("young", "old"), (40,)))),
        LabelSpace((SPACE.tasks[1], SPACE.tasks[0])),
        LabelSpace((SPACE.tasks[0],)),
        LabelSpace((*SPACE.tasks, Task("hue", ("red", "blue")))),
    ],
    ids=["order", "bins", "tasks", "fewer", "more"],
)
def test_other_classes_are_refused_whatever_is_allowed(tmp_path: Path, space: LabelSpace) -> None:
    write(tmp_path / "p.csv")
    with pytest.raises(DataError, match="other classes than the training") as caught:
        read(tmp_path / "p.csv", space, allow_leaky=True)
    assert caught.value.got != caught.value.expected


# --- a table made by hand ---


def by_hand(folder: Path, text: str) -> Path:
    path = folder / "mine.csv"
    path.write_text(text)
    return path


def test_a_table_without_sidecar_is_refused(tmp_path: Path) -> None:
    path = by_hand(tmp_path, "id,path,hat,age\na,eval/a,yes,old\n")
    with pytest.raises(DataError, match="without a sidecar") as caught:
        read(path)
    assert "mine.json" in str(caught.value.fix)


def test_a_table_made_by_hand_is_leaky(tmp_path: Path) -> None:
    path = by_hand(tmp_path, "age,path,id,hat\nold,eval/a,a,\nyoung,eval/b,b,yes\n")
    pseudo = read(path, allow_leaky=True)
    assert (pseudo.leaky, pseudo.lineage, pseudo.sha256) == (True, {}, files.file_sha256(path))
    for k in (0, 1, REFIT):
        assert_equal(pseudo.for_fold(k), rows(["a", "b"], [-1, 1], [1, 0]))
    soft = "set,id,path,weight,hat,age,p0,p1,p2,p3\nall,a,eval/a,1e-1,yes,old,0.50,0.5,0,0e0\n"
    path = by_hand(tmp_path, soft)
    got = read(path, allow_leaky=True).for_fold(1)
    assert got.prob is not None
    assert (got.weight.tolist(), got.prob.tolist()) == ([0.1], [[0.5, 0.5, 0, 0]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,path,hat\na,a,yes\n", "age is missing"),
        ("id,hat,age\na,yes,old\n", "path is missing"),
        ("id,path,hat,age,wieght\na,a,yes,old,1\n", "wieght is not known"),
        ("id,path,hat,age,p0,p1,p2\na,a,yes,old,1,0,0\n", "p3 is missing"),
        ("id,path,hat,age,p1\na,a,yes,old,1\n", "p1 is not known"),
        ("set,id,path,hat,age\n0,a,a,yes,old\nall,a,a,yes,old\n", "not those expected"),
        ("set,id,path,hat,age\n00,a,a,yes,old\n", "row 1: '00'"),
        ("set,id,path,hat,age\n,a,a,yes,old\n", "row 1: ''"),
        ("set,id,path,hat,age\n-1,a,a,yes,old\n", "row 1: '-1'"),
        ("id,path,hat,age\na,a,Yes,old\n", "row 1: 'Yes'"),
        ("id,path,hat,age\na,a,1,old\n", "row 1: '1'"),
        ("id,path,hat,age\na,a,yes,35\n", "row 1: '35'"),
        ("id,path,hat,age\na,a,yes,\nb,b,,\n", "'b': no task has a label"),
        ("id,path,hat,age\na,a,yes,old\na,a,yes,old\n", "2 in total: 'a': the id occurs twice"),
        ("id,path,hat,age\n,a,yes,old\n", "'': the id or the path is empty"),
        ("id,path,hat,age\na,,yes,old\n", "'a': the id or the path is empty"),
        ('id,path,hat,age\n"a\nb",c,yes,old\n', "has a line break"),
        ("id,path,hat,age\n", "no rows"),
        *(
            (f"id,path,hat,age,weight\na,a,yes,old,1\nb,b,yes,old,{bad}\n", f"row 2: '{bad}'")
            for bad in ("", "nan", "inf", "1_0", " 1", "one", "0x1", "1e", "1.0.0", "\u0661")
        ),
        *(
            (f"id,path,hat,age,weight\na,a,yes,old,1\nb,b,yes,old,{bad}\n", "'b': the weight is not a finite")
            for bad in ("0", "-1", "1e999")
        ),
        *(
            (f"id,path,hat,age,p0,p1,p2,p3\na,a,yes,old,{bad}\n", message)
            for bad, message in (
                ("0.5,0.5,0.5,0", "does not sum to 1"),
                ("1.5,-0.5,0,0", "negative"),
                ("1e39,0,0,0", "not finite"),
                ("1,0,0,x", "row 1: 'x'"),
            )
        ),
    ],
)
def test_cells_and_rows_that_are_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read(by_hand(tmp_path, text), allow_leaky=True)
    assert message in str(caught.value)
    assert "mine.csv" in str(caught.value.where)


# --- what is not written ---


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: replace(r, ids=np.array(["a", "a"])), "occurs twice"),
        (lambda r: replace(r, ids=np.array(["a", ""])), "empty"),
        (lambda r: replace(r, paths=np.array(["a", "b\n"])), "line break"),
        (lambda r: replace(r, paths=np.array(["a", "\ud800"])), "line break"),
        (lambda r: replace(r, labels={"hat": np.array([1, -1]), "age": np.array([1, -1])}), "'b': no task"),
        (lambda r: replace(r, weight=np.array([1.0, np.nan])), "'b': the weight"),
        (lambda r: replace(r, weight=np.array([1.0, 0.0])), "'b': the weight"),
        (lambda r: replace(r, weight=np.array([1.0, 1e300])), "'b': the weight"),
        (lambda r: replace(r, paths=np.array(["x", "eval/b"])), "two paths"),
        (lambda r: rows([], [], []), "no photo reached the thresholds"),
    ],
)
@pytest.mark.parametrize("k", [0, REFIT])
def test_rows_that_would_not_be_read(
    tmp_path: Path, change: Callable[[AddedSet], AddedSet], message: str, k: int
) -> None:
    sets = {k: rows(["a", "b"], [1, 0], [0, -1]) for k in (0, 1, REFIT)}
    with pytest.raises(DataError, match=message):
        write(tmp_path / "p.csv", {**sets, k: change(sets[k])})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "change",
    [
        lambda r: replace(r, paths=np.array(["eval/a"])),
        lambda r: replace(r, weight=np.ones(3)),
        lambda r: replace(r, labels={"hat": np.array([1]), "age": np.array([1])}),
        lambda r: replace(r, labels={"hat": np.array([1, 2]), "age": np.array([1, 1])}),
        lambda r: replace(r, prob=np.full((2, 4), 0.25, dtype=np.float32)),
    ],
)
def test_arrays_that_do_not_fit_are_a_bug(tmp_path: Path, change: Callable[[AddedSet], AddedSet]) -> None:
    sets = three_sets()
    with pytest.raises(ValueError, match=r"do not fit|must lie"):
        write(tmp_path / "p.csv", {**sets, 0: change(sets[0])})
    assert not list(tmp_path.iterdir())


def test_a_task_named_like_a_column(tmp_path: Path) -> None:
    space = LabelSpace((Task("set", ("no", "yes")),))
    one = replace(rows(["a"], [1], [1]), labels={"set": np.array([1])})
    with pytest.raises(DataError, match="column name occurs twice"):
        write_pseudo(tmp_path / "p.csv", {REFIT: one}, space, folds_sha256=None, k=1, lineage={}, leaky=True)


# --- files ---


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_existing_files_are_replaced_by_force_alone(tmp_path: Path) -> None:
    write(tmp_path / "p.csv")
    before = content_of(tmp_path)
    with pytest.raises(BusyError, match="the output exists") as caught:
        write(tmp_path / "p.csv", three_sets(weight=0.5))
    assert "--force" in str(caught.value)
    assert content_of(tmp_path) == before
    with pytest.raises(BusyError, match="the output exists"):
        check_free(tmp_path / "p.csv", PSEUDO_LABELS, inputs=[], force=False)  # before any work is done
    check_free(tmp_path / "p.csv", PSEUDO_LABELS, inputs=[], force=True)
    check_free(tmp_path / "q.csv", PSEUDO_LABELS, inputs=[], force=False)
    write(tmp_path / "p.csv", three_sets(weight=0.5), force=True)
    assert read(tmp_path / "p.csv").for_fold(0).weight.tolist() == [0.5, 0.5]


def test_another_files_sidecar_is_not_replaced(tmp_path: Path) -> None:
    write(tmp_path / "p.csv")
    with pytest.raises(BusyError, match=r"p\.json"):
        write(tmp_path / "p.txt")  # it would share p.json
    (tmp_path / "q.json").write_text('{"mine": 1}')
    with pytest.raises(BusyError, match=r"q\.json"):
        write(tmp_path / "q.csv")
    assert (tmp_path / "q.json").read_text() == '{"mine": 1}'


def test_a_name_without_a_sidecar(tmp_path: Path) -> None:
    for act in (write, read):
        with pytest.raises(UsageError, match=r"\.json"):
            act(tmp_path / "p.json")


@pytest.mark.parametrize(
    "damaged",
    [
        "{",
        "[]",
        '{"kind": "maskcls submission", "version": 1}',
        '{"kind": "maskcls pseudo-labels", "version": 2}',
        '{"kind": "maskcls pseudo-labels", "version": 1}',
    ],
)
def test_a_damaged_sidecar_is_refused_whatever_is_allowed(tmp_path: Path, damaged: str) -> None:
    write(tmp_path / "p.csv")
    (tmp_path / "p.json").write_text(damaged)
    with pytest.raises(DataError, match="sidecar of the pseudo labels cannot be read"):
        read(tmp_path / "p.csv", allow_leaky=True)


@pytest.mark.parametrize("key", ["file", "sha256", "label_space", "folds", "leaky", "lineage"])
def test_every_entry_of_the_sidecar_is_needed(tmp_path: Path, key: str) -> None:
    write(tmp_path / "p.csv")
    edit_json(tmp_path / "p.json", {}, without=(key,))
    with pytest.raises(DataError, match="cannot be read") as caught:
        read(tmp_path / "p.csv", allow_leaky=True)
    assert "was changed" not in str(caught.value)
