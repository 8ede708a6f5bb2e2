"""Members from elsewhere: every form, any order of rows and columns, and files that must be refused."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from maskcls import files
from maskcls.errors import DataError, MaskclsError, ResultError, WeightsError
from maskcls.labels import CONTEST, Floats, LabelSpace, Task
from maskcls.results.ensembles.combine import combine
from maskcls.results.ensembles.external import read_member
from maskcls.results.predictions import Predictions
from maskcls.results.submissions.write import write_submission

ODD_IDS = ["00123", "1e5", "NA", 'say "hi"', "a,b", "한글.jpg", " padded "]
SWAPPED = LabelSpace((Task("mask", ("normal", "incorrect", "wear")), *CONTEST.tasks[1:]))
NUMBERS = [str(j) for j in range(18)]
TASK_NAMES = [f"{task.name}/{name}" for task in CONTEST.tasks for name in task.classes]


def prob_of(rows: int, columns: int = 18, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).dirichlet(np.ones(columns), rows).astype(np.float32)


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def write(path: Path, ids: Sequence[str], names: Sequence[str], cells: object) -> Path:
    lines = [",".join(map(quoted, ["image", *names]))]
    table = np.asarray(cells).tolist()
    lines += [",".join([quoted(name), *map(str, row)]) for name, row in zip(ids, table, strict=True)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def check_origin(got: Predictions, path: Path, kind: str) -> None:
    assert got.lineage == {"kind": kind, "file": path.name, "sha256": files.file_sha256(path)}


# --- probabilities in a CSV


@pytest.mark.parametrize(
    "names", [CONTEST.joint_names, NUMBERS, [f"p{j}" for j in range(18)]], ids=["names", "numbers", "p"]
)
def test_columns_by_name_in_any_order(tmp_path: Path, names: Sequence[str]) -> None:
    prob = prob_of(len(ODD_IDS))
    order = np.random.default_rng(1).permutation(18)
    path = write(tmp_path / "other.csv", ODD_IDS, [names[j] for j in order], prob[:, order])
    got = read_member(path, CONTEST)
    assert got.ids.tolist() == ODD_IDS
    assert np.allclose(got.prob, prob, atol=1e-7)  # decimals there and back
    check_origin(got, path, "probabilities")


def test_another_order_of_classes_in_the_names_is_mapped(tmp_path: Path) -> None:
    """The planted mistake: a file whose columns follow another label space, but say so."""
    prob = prob_of(4)
    path = write(tmp_path / "other.csv", list("abcd"), SWAPPED.joint_names, prob)
    got = read_member(path, CONTEST)
    for j, name in enumerate(SWAPPED.joint_names):
        assert np.allclose(got.prob[:, CONTEST.joint_names.index(name)], prob[:, j], atol=1e-7)
    assert not np.allclose(got.prob, prob, atol=1e-3)


def test_rows_in_another_order_are_joined_by_id(tmp_path: Path) -> None:
    ours = Predictions(list("abcd"), prob_of(4), CONTEST)
    shuffled = write(tmp_path / "o.csv", list("dbca"), NUMBERS, ours.prob[[3, 1, 2, 0]])
    assert np.allclose(combine([ours, read_member(shuffled, CONTEST)], "mean").prob, ours.prob, atol=1e-6)
    short = write(tmp_path / "short.csv", list("dbc"), NUMBERS, ours.prob[[3, 1, 2]])
    with pytest.raises(DataError, match="ids of two tables differ") as caught:
        combine([ours, read_member(short, CONTEST)], "mean", names=("ours", "short.csv"))
    assert "'a'" in str(caught.value)


def test_task_columns_are_multiplied(tmp_path: Path) -> None:
    parts = {task.name: prob_of(3, len(task.classes), seed) for seed, task in enumerate(CONTEST.tasks)}
    cells = np.concatenate(list(parts.values()), axis=1)
    order = np.random.default_rng(2).permutation(8)
    path = write(tmp_path / "tasks.csv", list("abc"), [TASK_NAMES[i] for i in order], cells[:, order])
    got = read_member(path, CONTEST)
    expected = np.einsum("nm,ng,na->nmga", *parts.values()).reshape(3, 18)
    assert np.allclose(got.prob, expected, atol=1e-6)
    check_origin(got, path, "task probabilities")


def refused(path: Path, error: type[MaskclsError] = DataError) -> MaskclsError:
    with pytest.raises(error) as caught:
        read_member(path, CONTEST)
    assert str(path) in (caught.value.where or "")
    return caught.value


@pytest.mark.parametrize(
    ("value", "what"),
    [("0.9", "does not sum to 1"), ("-0.01", "negative"), ("nan", "not finite"), ("inf", "not finite")],
)
def test_rows_that_are_no_probabilities(tmp_path: Path, value: str, what: str) -> None:
    cells = np.full((3, 18), 1 / 18).astype(object)
    cells[1, 4] = value
    fault = refused(write(tmp_path / "o.csv", ["a", "bad one", "c"], NUMBERS, cells))
    assert what in fault.what
    assert fault.offenders == ("bad one",)
    tasks = np.tile([1 / 3] * 3 + [1 / 2] * 2 + [1 / 3] * 3, (3, 1)).astype(object)
    tasks[1, 4] = value
    fault = refused(write(tmp_path / "t.csv", ["a", "bad one", "c"], TASK_NAMES, tasks))
    assert what in fault.what
    assert "task gender" in (fault.where or "")


def test_nothing_is_rescaled(tmp_path: Path) -> None:
    """Percent, logits and sums that are nearly right are all refused; within 1e-3 they are kept as they are."""
    for cells in (100 * prob_of(2), prob_of(2) * 1.002, np.log(prob_of(2))):
        refused(write(tmp_path / "o.csv", ["a", "b"], NUMBERS, cells))
    near = prob_of(2) * 1.0005
    assert np.allclose(read_member(write(tmp_path / "o.csv", ["a", "b"], NUMBERS, near), CONTEST).prob, near, atol=1e-7)


def test_a_cell_that_is_no_number_is_named(tmp_path: Path) -> None:
    cells = prob_of(3).astype(object)
    cells[2, 5], cells[0, 7] = "high", ""
    fault = refused(write(tmp_path / "o.csv", ["a", "b", "c"], NUMBERS, cells))
    assert fault.offenders == ("'c', column 5: 'high'", "'a', column 7: ''")


def test_repeated_ids(tmp_path: Path) -> None:
    assert "twice" in refused(write(tmp_path / "o.csv", ["a", "b", "a"], NUMBERS, prob_of(3))).what
    assert "twice" in refused(write(tmp_path / "l.csv", ["a", "b", "a"], ["ans"], [[1], [2], [1]])).what


@pytest.mark.parametrize(
    ("names", "got"),
    [
        (NUMBERS[:-1], "missing: 17"),
        ([*NUMBERS, "18"], "not expected: 18"),
        ([*NUMBERS, "ans"], "not expected: ans"),  # labels and probabilities: which are meant?
        ([*NUMBERS[:-1], "ans"], "missing: 17; not expected: ans"),
        ([f"class_{j}" for j in range(18)], "after the id: class_0, class_1, class_2, …, class_17"),
        (TASK_NAMES[:-1], "missing: age/>=60"),
        (
            [*CONTEST.joint_names[:-1], "normal/female/60+"],
            "missing: normal/female/>=60; not expected: normal/female/60+",
        ),
        (["", "a"], "after the id: , a"),
    ],
)
def test_columns_that_are_none(tmp_path: Path, names: list[str], got: str) -> None:
    fault = refused(write(tmp_path / "o.csv", ["a", "b"], names, prob_of(2, len(names))))
    assert fault.got == got
    expected = fault.expected or ""
    assert "0, 1, 2, …, 17 (18 columns)" in expected
    assert "wear/male/<30, wear/male/30-59, wear/male/>=60, …, normal/female/>=60 (18 columns)" in expected
    assert "mask/wear, mask/incorrect, mask/normal, …, age/>=60 (8 columns)" in expected
    assert "labels: ans, or all of mask, gender, age" in expected


# --- labels only


def test_a_submission_is_a_member_that_is_sure(tmp_path: Path) -> None:
    path = write(tmp_path / "sub.csv", ["b", "a"], ["ans"], [[17], [0]])
    got = read_member(path, CONTEST)
    assert got.ids.tolist() == ["b", "a"]
    assert np.array_equal(got.prob, np.eye(18, dtype=np.float32)[[17, 0]])
    check_origin(got, path, "labels")


def test_labels_of_every_task_and_other_columns(tmp_path: Path) -> None:
    cells = [["wear", "male", "29", "x"], ["normal", "female", ">=60", "y"]]
    got = read_member(write(tmp_path / "t.csv", ["a", "b"], ["mask", "gender", "age", "note"], cells), CONTEST)
    assert got.labels().tolist() == [0, 17]


def test_labels_that_are_empty_or_unknown(tmp_path: Path) -> None:
    cells = [["wear", "male", ""], ["normal", "female", ">=60"]]
    fault = refused(write(tmp_path / "t.csv", ["a", "b"], ["mask", "gender", "age"], cells))
    assert (fault.what, fault.offenders) == ("a member leaves labels empty", ("'a'",))
    assert "no label" in refused(write(tmp_path / "l.csv", ["a"], ["ans"], [[18]])).what


def test_a_submission_of_another_label_space(tmp_path: Path) -> None:
    path = tmp_path / "sub.csv"
    write_submission(
        path, header=("ImageID", "ans"), ids=["a", "b"], labels=np.array([0, 17]), space=SWAPPED, lineage={"run": "a"}
    )
    assert "another label space" in refused(path, WeightsError).what
    assert read_member(path, SWAPPED).labels().tolist() == [0, 17]
    assert read_member(path, SWAPPED).lineage["lineage"] == {"run": "a"}


# --- npz


def test_ours(tmp_path: Path) -> None:
    ours = Predictions(ODD_IDS, prob_of(len(ODD_IDS)), CONTEST, {"run": "a"})
    digest = ours.save(tmp_path / "oof.npz")
    got = read_member(tmp_path / "oof.npz", CONTEST)
    assert np.array_equal(got.prob, ours.prob)
    assert got.ids.tolist() == ODD_IDS
    assert got.lineage == {"kind": "maskcls", "file": "oof.npz", "sha256": digest, "lineage": {"run": "a"}}
    with pytest.raises(WeightsError, match="another label space"):
        read_member(tmp_path / "oof.npz", SWAPPED)
    raw = bytearray((tmp_path / "oof.npz").read_bytes())
    raw[len(raw) // 2] ^= 1
    (tmp_path / "oof.npz").write_bytes(raw)
    with pytest.raises((DataError, ResultError)):
        read_member(tmp_path / "oof.npz", CONTEST)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_any_npz(tmp_path: Path, save: object, dtype: type) -> None:
    path, prob = tmp_path / "theirs.npz", np.full((2, 18), 1 / 18)
    save(path, ids=np.array(["a", "b"]), prob=prob.astype(dtype), epoch=3)  # type: ignore[operator]
    got = read_member(path, CONTEST)
    assert np.allclose(got.prob, prob, atol=1e-4)
    check_origin(got, path, "npz")


def test_an_npz_may_name_its_classes(tmp_path: Path) -> None:
    path, prob, order = tmp_path / "theirs.npz", prob_of(3), np.random.default_rng(3).permutation(18)
    np.savez(path, ids=np.array(list("abc")), prob=prob[:, order], classes=np.array(CONTEST.joint_names)[order])
    assert np.array_equal(read_member(path, CONTEST).prob, prob)
    for classes in (np.array(CONTEST.joint_names)[:-1], np.array(["x"] * 18), np.array("x")):
        np.savez(path, ids=np.array(list("abc")), prob=prob, classes=classes)
        assert "does not name the columns" in refused(path).what


@pytest.mark.parametrize(
    ("arrays", "what"),
    [
        ({"prob": prob_of(2)}, "lacks an array"),
        ({"ids": np.array(["a", "b"])}, "lacks an array"),
        ({"ids": np.array([1, 2]), "prob": prob_of(2)}, "not a list of text"),
        ({"ids": np.array(["a", "b"], dtype=object), "prob": prob_of(2)}, "cannot be read"),
        ({"ids": np.array([b"a", b"b"]), "prob": prob_of(2)}, "not a list of text"),
        ({"ids": np.array([["a", "b"]]), "prob": prob_of(2)}, "not a list of text"),
        ({"ids": np.array(["a", "a"]), "prob": prob_of(2)}, "twice"),
        ({"ids": np.array(["a", "b"]), "prob": prob_of(3)}, "fit together"),
        ({"ids": np.array(["a", "b"]), "prob": prob_of(2, 17)}, "fit together"),
        ({"ids": np.array(["a", "b"]), "prob": np.eye(18, dtype=np.int64)[:2]}, "floating point"),
        ({"ids": np.array(["a", "b"]), "prob": 2 * prob_of(2)}, "does not sum to 1"),
    ],
)
def test_an_npz_that_is_none(tmp_path: Path, arrays: dict[str, np.ndarray], what: str) -> None:
    path = tmp_path / "theirs.npz"
    np.savez(path, allow_pickle=True, **arrays)  # type: ignore[arg-type]
    assert what in refused(path).what


def test_no_npz_at_all(tmp_path: Path) -> None:
    path = tmp_path / "theirs.npz"
    array, archive = io.BytesIO(), io.BytesIO()
    np.save(array, prob_of(2))
    with zipfile.ZipFile(archive, "w") as entries:
        entries.writestr("ids", "no array")
        entries.writestr("prob", "no array")
    for raw in (b"", b"image,0\n", array.getvalue(), archive.getvalue()):
        path.write_bytes(raw)
        refused(path)


def test_a_missing_file(tmp_path: Path) -> None:
    for name in ("gone.csv", "gone.npz"):
        assert "cannot read a member" in refused(tmp_path / name).what
