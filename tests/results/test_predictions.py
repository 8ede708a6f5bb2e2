"""Predictions: what is refused, joining by id, and the file."""

from __future__ import annotations

import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from maskcls import files
from maskcls.errors import DataError, ResultError, WeightsError
from maskcls.labels import CONTEST, LabelSpace, Task
from maskcls.results.predictions import Predictions

ODD_IDS = ["00123", "1e5", "NA", "null", 'say "hi"', "a,b", "한글.jpg", " padded ", "-1", "😀"]
SWAPPED = LabelSpace((Task("mask", ("normal", "incorrect", "wear")), *CONTEST.tasks[1:]))


def some(ids: list[str], seed: int = 0, space: LabelSpace = CONTEST, **lineage: object) -> Predictions:
    prob = np.random.default_rng(seed).dirichlet(np.ones(space.size), len(ids)).astype(np.float32)
    return Predictions(np.array(ids), prob, space, lineage)


def test_fields_come_back_as_text_float32_and_plain_data() -> None:
    prob = np.full((2, 18), 1 / 18)
    one = Predictions(["a", "bcd"], prob, CONTEST, {"views": ("none", "hflip")})
    assert (one.ids.dtype, one.prob.dtype, len(one)) == (np.dtype("<U3"), np.dtype("f4"), 2)
    assert one.lineage == {"views": ["none", "hflip"]}
    assert (prob.flags.writeable, one.prob.flags.writeable, one.ids.flags.writeable) == (True, False, False)


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (np.nan, "not finite"),
        (np.inf, "not finite"),
        (-np.inf, "not finite"),
        (-0.5, "negative"),
        (0.5, "does not sum to 1"),
    ],
)
def test_a_bad_row_is_named(value: float, what: str) -> None:
    prob = np.full((25, 18), 1 / 18, dtype=np.float32)
    prob[[3, 7], 5] = value
    with pytest.raises(ResultError, match=what) as caught:
        Predictions([f"p{i}" for i in range(25)], prob, CONTEST)
    assert caught.value.offenders == ("p3", "p7")


def test_opposite_infinities_in_one_row_are_not_finite() -> None:
    prob = np.full((1, 18), 1 / 18, dtype=np.float32)
    prob[0, :2] = np.inf, -np.inf
    with pytest.raises(ResultError, match="not finite"):
        Predictions(["a"], prob, CONTEST)


@pytest.mark.parametrize(("off", "good"), [(0.9e-3, True), (1.1e-3, False)])
def test_the_tolerance_of_a_row_sum(off: float, good: bool) -> None:
    prob = np.full((1, 18), 1 / 18)
    prob[0, 0] += off
    if good:
        assert len(Predictions(["a"], prob, CONTEST)) == 1
    else:
        with pytest.raises(ResultError):
            Predictions(["a"], prob, CONTEST)


@pytest.mark.parametrize(
    ("ids", "shape"),
    [(["a"], (2, 18)), (["a", "b"], (2, 6)), (["a"], (18,)), ([["a"], ["b"]], (2, 18))],
)
def test_shapes_must_fit(ids: list[str], shape: tuple[int, ...]) -> None:
    with pytest.raises(ResultError, match="fit together"):
        Predictions(np.array(ids), np.full(shape, 1 / 18, dtype=np.float32), CONTEST)


def test_whole_number_probabilities_are_refused() -> None:
    with pytest.raises(ResultError, match="floating point"):
        Predictions(["a"], np.eye(18, dtype=np.int64)[:1], CONTEST)


def test_repeated_ids_are_named_once() -> None:
    with pytest.raises(ResultError, match="twice") as caught:
        some(["a", "b", "a", "c", "b", "a"])
    assert caught.value.offenders == ("'a'", "'b'")


@pytest.mark.parametrize("bad", [7, None, 1.5, b"x", "nul\0"])
def test_ids_are_never_turned_into_text(bad: object) -> None:
    with pytest.raises(ResultError, match="plain text"):
        Predictions(["a", bad], np.full((2, 18), 1 / 18), CONTEST)  # type: ignore[list-item]


def test_lineage_must_be_plain_data() -> None:
    with pytest.raises(TypeError):
        some(["a"], path=Path("x"))
    with pytest.raises(ValueError, match="JSON compliant"):
        some(["a"], f1=float("nan"))


def test_labels_take_the_first_of_equal_maxima() -> None:
    prob = np.zeros((3, 18), dtype=np.float32)
    prob[0, 17] = 1
    prob[1, [4, 9]] = 0.5
    prob[2] = 1 / 18
    labels = Predictions(["a", "b", "c"], prob, CONTEST).labels()
    assert labels.tolist() == [17, 4, 0]
    assert labels.dtype == np.int64


def test_file_round_trip(tmp_path: Path) -> None:
    before = some(ODD_IDS, run="runs/a", nested={"fold": 0, "f1": [0.5, None]})
    digest = before.save(tmp_path / "new" / "oof.npz")
    after = Predictions.load(tmp_path / "new" / "oof.npz")
    assert after.ids.tolist() == ODD_IDS
    assert np.array_equal(after.prob, before.prob)
    assert after.space == CONTEST
    assert after.lineage == before.lineage
    assert digest == files.file_sha256(tmp_path / "new" / "oof.npz")


def test_empty_predictions_round_trip(tmp_path: Path) -> None:
    some([]).save(tmp_path / "empty.npz")
    assert Predictions.load(tmp_path / "empty.npz").prob.shape == (0, 18)


def test_numpy_reads_the_file_without_pickle(tmp_path: Path) -> None:
    some(["a", "b"], fold=1).save(tmp_path / "oof.npz")
    with np.load(tmp_path / "oof.npz", allow_pickle=False) as archive:
        assert sorted(archive.files) == ["ids", "meta", "prob"]
        assert archive["ids"].tolist() == ["a", "b"]
        assert '"fold": 1' in str(archive["meta"])


def test_equal_predictions_give_equal_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    prob = some(["a", "b"]).prob
    first = Predictions(["a", "b"], prob, CONTEST, {"x": 1, "y": 2}).to_bytes()
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000.0)
    wide = np.array(["a", "b"], dtype=">U40")
    second = Predictions(wide, np.asfortranarray(prob.astype(">f4")), CONTEST, {"y": 2, "x": 1}).to_bytes()
    assert first == second
    assert Predictions(["a", "c"], prob, CONTEST, {"x": 1, "y": 2}).to_bytes() != first


def test_every_changed_byte_is_found_or_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = some(["a"], space=LabelSpace((Task("t", ("x", "y")),)), run="r").to_bytes()
    found = 0
    for i in range(len(raw)):
        changed = raw[:i] + bytes([raw[i] ^ 0x11]) + raw[i + 1 :]
        monkeypatch.setattr(files, "read_file", lambda path, kind, changed=changed: changed)
        try:
            after = Predictions.load(Path("oof.npz"))
        except ResultError:
            found += 1
        else:  # bytes that carry nothing, such as a time stamp in a zip header
            assert after.to_bytes() == raw
    assert len(raw) * 0.7 < found < len(raw)


@pytest.mark.parametrize("raw", [b"", b"PK", b"not an archive", b"\x93NUMPY"])
def test_other_files_are_refused(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "x.npz").write_bytes(raw)
    with pytest.raises(ResultError, match=r"x\.npz"):
        Predictions.load(tmp_path / "x.npz")


def test_cut_files_are_refused(tmp_path: Path) -> None:
    raw, path = some(["a", "b", "c"]).to_bytes(), tmp_path / "x.npz"
    for length in range(0, len(raw), 7):
        path.write_bytes(raw[:length])
        with pytest.raises(ResultError):
            Predictions.load(path)


def test_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="No such file"):
        Predictions.load(tmp_path / "none.npz")


def test_pickles_compression_and_nan_in_a_file_are_refused(tmp_path: Path) -> None:
    one, path = some(["a"]), tmp_path / "x.npz"
    meta = np.array('{"version": 1}')
    np.savez(path, ids=np.array(["a"], dtype=object), prob=one.prob, meta=meta, allow_pickle=True)
    with pytest.raises(ResultError, match="ValueError: an array of Python objects"):
        Predictions.load(path)
    np.savez_compressed(path, ids=one.ids, prob=one.prob, meta=meta)
    with pytest.raises(ResultError, match="compressed"):
        Predictions.load(path)
    _write_npz(path, one, one.prob * np.float32(np.nan))
    with pytest.raises(ResultError, match="not finite") as caught:
        Predictions.load(path)
    assert str(path) in str(caught.value)


def _write_npz(path: Path, one: Predictions, prob: np.ndarray) -> None:
    path.write_bytes(one.to_bytes())
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    entries["prob.npy"] = entries["prob.npy"][: -prob.nbytes] + prob.tobytes()
    with zipfile.ZipFile(path, "w") as archive:
        for name, raw in entries.items():
            archive.writestr(name, raw)


def test_align_follows_the_ids() -> None:
    one = some(list("abcd"), run="r")
    other = one.align(["c", "a", "d", "b"])
    assert other.ids.tolist() == ["c", "a", "d", "b"]
    assert np.array_equal(other.prob, one.prob[[2, 0, 3, 1]])
    assert other.lineage == {"run": "r"}


def test_align_names_what_is_missing_on_either_side() -> None:
    with pytest.raises(DataError) as caught:
        some(["a", "b", "c", "d"]).align(["a", "x"], names=("runs/a", "info.csv"))
    text = str(caught.value)
    assert "runs/a (4 ids) and info.csv (2 ids)" in text
    assert "3 only in runs/a: 'b', 'c', 'd'; 1 only in info.csv: 'x'" in text


def test_align_refuses_a_repeated_id() -> None:
    with pytest.raises(ResultError, match="twice"):
        some(["a", "b"]).align(["a", "b", "a"])


def test_mean_joins_by_id() -> None:
    space = LabelSpace((Task("t", ("x", "y")),))
    first = Predictions(["a", "b"], np.array([[1, 0], [0.5, 0.5]]), space, {"m": 1})
    second = Predictions(["b", "a"], np.array([[0, 1], [0.25, 0.75]]), space, {"m": 2})
    mean = Predictions.mean([first, second])
    assert mean.ids.tolist() == ["a", "b"]
    assert mean.prob.tolist() == [[0.625, 0.375], [0.25, 0.75]]
    assert mean.lineage == {"mean": [{"m": 1}, {"m": 2}]}


def test_mean_of_one_member_is_that_member() -> None:
    one = some(ODD_IDS)
    assert np.array_equal(Predictions.mean([one]).prob, one.prob)


def test_mean_refuses_other_ids_and_other_class_orders() -> None:
    with pytest.raises(DataError, match="1 only in runs/b: 'c'; 1 only in runs/a: 'b'"):
        Predictions.mean([some(["a", "b"]), some(["a", "c"])], names=["runs/a", "runs/b"])
    with pytest.raises(WeightsError) as caught:
        Predictions.mean([some(["a"]), some(["a"], space=SWAPPED)])
    assert "member 1 and member 2" in str(caught.value)
    assert "['normal', 'incorrect', 'wear']" in str(caught.value)


def test_concat_keeps_every_row_once() -> None:
    parts = [some(["b", "a"], 0, fold=0), some(["long id"], 1, fold=1)]
    whole = Predictions.concat(parts)
    assert whole.ids.tolist() == ["b", "a", "long id"]
    assert np.array_equal(whole.prob, np.concatenate([part.prob for part in parts]))
    assert whole.lineage == {"concat": [{"fold": 0}, {"fold": 1}]}


def test_concat_refuses_a_row_in_two_parts_and_other_spaces() -> None:
    with pytest.raises(ResultError, match="twice") as caught:
        Predictions.concat([some(["a", "b"]), some(["c", "a"])])
    assert caught.value.offenders == ("'a'",)
    with pytest.raises(WeightsError, match="fold0 and fold1"):
        Predictions.concat([some(["a"]), some(["b"], space=SWAPPED)], names=["fold0", "fold1"])


@pytest.mark.parametrize("join", [Predictions.mean, Predictions.concat])
def test_joining_nothing_or_with_wrong_names_is_a_bug(join: object) -> None:
    with pytest.raises(ValueError, match="no predictions"):
        join([])  # type: ignore[operator]
    with pytest.raises(ValueError, match="2 names for 1"):
        join([some(["a"])], names=["x", "y"])  # type: ignore[operator]


def test_printing_predictions_is_one_line() -> None:
    prob = np.full((2, 18), 1 / 18, np.float32)
    assert repr(Predictions(np.array(["a", "b"]), prob, CONTEST)) == (
        "Predictions(2 rows, 18 joint classes of mask, gender, age)"
    )
