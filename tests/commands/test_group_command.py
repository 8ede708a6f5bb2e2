"""group: drawn people in, groups.csv out; what it says, what it must not look at, and what it refuses."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_run import make_run
from sklearn.metrics import adjusted_rand_score

from maskcls import files
from maskcls.commands.group import group
from maskcls.csvfile import read_columns
from maskcls.data.drawn.faces import make_faces
from maskcls.data.drawn.people import SHOTS
from maskcls.data.layouts import contest
from maskcls.errors import BusyError, DataError, UsageError
from maskcls.labels import CONTEST
from maskcls.results.people.averaging import average_groups
from maskcls.results.people.clustering import pair_quality
from maskcls.results.people.expected_gain import ExpectedGain, MeasuredGain
from maskcls.results.people.group_file import read_groups
from maskcls.results.predictions import Predictions
from maskcls.results.scores.metrics import confusion, macro_f1
from maskcls.results.submissions.answers import read_answers
from maskcls.rundir import RunDir
from maskcls.runs.read_labelled import read_out_of_fold
from maskcls.show.answers.group import GroupResult, print_group
from maskcls.show.terminal.progress import Reporter

PEOPLE, EVAL_PEOPLE = 30, 8


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Draw people; tests must not write there."""
    root = tmp_path_factory.mktemp("group") / "faces"
    make_faces(root, people=PEOPLE, seed=3, eval_people=EVAL_PEOPLE, size=(48, 36))
    return root


def work(data: Path, output: Path | None = None, *, json: bool = False, **options: Any) -> GroupResult:
    """Group and print, as the verb does."""
    with Reporter(quiet=True) as report:
        found = group(data, output=output, report=report, **options)
    print_group(found, json=json)
    return found


def whole_people(root: Path, ids: list[str], group_N: np.ndarray) -> int:
    """Count groups that look like a whole person by answers.csv: one gender and age, and each kind of photo in full."""
    _, truth = read_answers(root / "eval" / "answers.csv", CONTEST)  # in the order of info.csv
    whole = 0
    for number in np.unique(group_N):
        rows = np.flatnonzero(group_N == number)
        one = all(len(np.unique(truth[name][rows])) == 1 for name in ("gender", "age"))
        whole += one and np.bincount(truth["mask"][rows], minlength=3).tolist() == [5, 1, 1]
    return whole


def test_eval_photos_are_grouped_by_person(faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "groups.csv"
    found = work(faces, path)
    assert {file.name for file in tmp_path.iterdir()} == {"groups.csv", "groups.json"}
    ids = contest.read_eval(faces, CONTEST)["id"].tolist()
    assert list(read_columns(path)["id"]) == ids
    groups = read_groups(path, ids)
    assert groups.group_N.size == EVAL_PEOPLE * len(SHOTS)
    assert groups.weights is None
    assert found.most == len(SHOTS)
    assert np.bincount(groups.group_N).max() <= len(SHOTS)
    # Drawn people keep clothes and background from photo to photo, so nearly all should be found.
    assert whole_people(faces, ids, groups.group_N) >= EVAL_PEOPLE - 1
    about = json.loads((tmp_path / "groups.json").read_text())
    assert about["held_out"] == found.quality.to_json()
    assert (about["photos"], about["groups"]) == (EVAL_PEOPLE * len(SHOTS), len(np.unique(found.group_N)))
    said = capsys.readouterr().out
    assert f"{path}  {len(ids)} photos in {about['groups']} groups" in said
    assert f"pair precision {found.quality.precision:.4f}" in said


@pytest.mark.parametrize("train", [False, True])
def test_the_sidecar_says_what_the_photos_were(faces: Path, tmp_path: Path, train: bool) -> None:
    work(faces, tmp_path / "g.csv", train=train)
    frame = contest.read_train(faces, CONTEST) if train else contest.read_eval(faces, CONTEST)
    contents = {
        id: hashlib.blake2b((faces / path).read_bytes(), digest_size=16).digest()
        for id, path in zip(frame["id"], frame["path"], strict=True)
    }
    assert read_groups(tmp_path / "g.csv", frame["id"].tolist()).contents == contents


def test_the_same_photos_give_the_same_bytes(faces: Path, tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        work(faces, tmp_path / name)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_names_of_files_and_their_order_do_not_group(faces: Path, tmp_path: Path) -> None:
    there = tmp_path / "faces"
    shutil.copytree(faces, there)
    ids = contest.read_eval(there, CONTEST)["id"].tolist()
    order = np.random.default_rng(0).permutation(len(ids))
    renamed = [f"{place:03d}{Path(ids[row]).suffix}" for place, row in enumerate(order.tolist())]
    for row, name in zip(order.tolist(), renamed, strict=True):
        (there / "eval" / "images" / ids[row]).rename(there / "eval" / "images" / f"new-{name}")
    with (there / "eval" / "info.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("ImageID", "ans"), *((f"new-{name}", 0) for name in renamed)])
    before, after = work(faces), work(there)
    assert adjusted_rand_score(before.group_N[order], after.group_N) == 1.0


def test_train_photos_are_grouped_by_what_the_other_half_taught(faces: Path, tmp_path: Path) -> None:
    found = work(faces, tmp_path / "g.csv", train=True)
    frame = contest.read_train(faces, CONTEST)
    assert list(found.ids) == frame["id"].tolist()
    assert found.quality == pair_quality(found.group_N, frame["person"].to_numpy(np.str_))
    assert found.quality.precision > 0.8  # by chance 0.06
    assert found.quality.people == PEOPLE


def test_the_train_photos_precision_is_expected_among_all_of_them(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each half is grouped alone: among twice as many photos, twice as many pairs are wrong (and one more is added)."""
    asked: list[float] = []
    among = MeasuredGain.among

    def watched(self: MeasuredGain, precision: float) -> ExpectedGain:
        asked.append(precision)
        return among(self, precision)

    monkeypatch.setattr(MeasuredGain, "among", watched)
    found = work(faces, train=True, run=noisy_run(tmp_path / "run", faces))
    pairs = sum(size * (size - 1) / 2 for size in np.bincount(found.group_N).tolist())
    wrong = pairs * (1 - found.quality.precision) + 1
    assert found.expected_precision == pytest.approx(1 - 2 * wrong / pairs)
    assert found.expected_precision < found.quality.precision
    assert asked == [found.expected_precision]


def test_photos_of_another_set_are_grouped_by_what_this_one_taught(faces: Path, drawn: Path) -> None:
    found = work(faces, unlabelled=drawn)
    assert list(found.ids) == contest.read_eval(drawn, CONTEST)["id"].tolist()
    assert found.quality.people == PEOPLE


def test_a_table_teaches_by_its_groups(faces: Path, tmp_path: Path) -> None:
    frame = contest.read_train(faces, CONTEST)
    table, other = tmp_path / "table.csv", tmp_path / "other.csv"
    for name in ("train", "eval"):
        shutil.copytree(faces / name, tmp_path / name)
    rows = zip(frame["path"].tolist(), frame["person"].tolist(), strict=True)
    table.write_text("path,group\n" + "".join(f"{path},{person}\n" for path, person in rows))
    ids = contest.read_eval(faces, CONTEST)["id"].tolist()
    other.write_text("path\n" + "".join(f"eval/images/{id}\n" for id in ids))
    found, expected = work(table, unlabelled=other), work(faces)
    assert list(found.ids) == [f"eval/images/{id}" for id in ids]
    # The same photos in another order: sums, and so near ties, may differ in the last bits.
    assert adjusted_rand_score(found.group_N, expected.group_N) > 0.9
    with pytest.raises(UsageError, match="no photos to predict"):
        work(table)
    table.write_text("path,group\n" + "".join(f"{path},\n" for path in frame["path"].tolist()))
    with pytest.raises(DataError, match="column group: empty"):
        work(table, train=True)


def noisy_run(path: Path, data: Path) -> RunDir:
    """Return a run whose photos are right about gender and age two times in three, each photo for itself."""
    run = make_run(path, data)
    oof = Predictions.load(run.oof)
    frame = contest.read_train(data, CONTEST).set_index("id").loc[oof.ids.tolist()]
    rng, parts = np.random.default_rng(0), {}
    for task in CONTEST.tasks:
        true_N, classes = frame[task.name].to_numpy(np.int64), len(task.classes)
        right = 1.0 if task.name == "mask" else 0.55
        shown_N = np.where(rng.random(len(true_N)) < right, true_N, rng.integers(classes, size=len(true_N)))
        parts[task.name] = (np.eye(classes)[shown_N] * 0.9 + 0.1 / classes).astype(np.float32)
    Predictions(oof.ids, CONTEST.compose(parts), CONTEST).save(run.oof)
    return run


def test_a_run_is_scored_on_its_own_rows(faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = noisy_run(tmp_path / "run", faces)
    before = {file: files.file_sha256(file) for file in run.path.rglob("*.*") if file.is_file()}
    found = work(faces, tmp_path / "g.csv", run=run)
    gain = found.gain
    assert gain is not None
    assert gain.tasks == ("gender", "age")
    assert gain.rows == PEOPLE * len(SHOTS)
    labelled = read_out_of_fold(run)
    true_N = CONTEST.encode(labelled.truth)
    assert gain.plain == pytest.approx(macro_f1(confusion(true_N, labelled.pred_N, 18)))
    train = work(faces, train=True)
    group_of = dict(zip(train.ids, train.group_N.tolist(), strict=True))
    oof = Predictions.load(run.oof)
    own = average_groups(oof, np.array([group_of[id] for id in oof.ids.tolist()]), ("gender", "age"))
    assert gain.equal == pytest.approx(macro_f1(confusion(true_N, own.labels(), 18)))
    assert gain.equal > gain.plain + 0.1
    assert gain.gain.low > 0
    assert gain.proven
    assert gain.log_loss[1] < gain.log_loss[0]
    said = capsys.readouterr().out
    assert "averaging helps: predict with --groups" in said
    assert f"not averaged    macro-F1 {gain.plain:.4f}" in said
    ids = contest.read_eval(faces, CONTEST)["id"].tolist()
    assert read_groups(tmp_path / "g.csv", ids).weights == gain.weights
    assert json.loads((tmp_path / "g.json").read_text())["worth"]["worth_it"] is True
    assert {file: files.file_sha256(file) for file in run.path.rglob("*.*") if file.is_file()} == before


def test_a_run_whose_photos_know_nothing_gains_nothing(
    faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = work(faces, run=make_run(tmp_path / "run", faces))  # random probabilities
    assert found.gain is not None
    assert not found.gain.proven
    assert "no proven gain" in capsys.readouterr().out


def test_json_is_one_object_with_everything(faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = work(faces, run=noisy_run(tmp_path / "run", faces), json=True)
    data = json.loads(capsys.readouterr().out)
    assert data == {"version": 1, "file": None} | json.loads(json.dumps(found.to_json()))
    assert {
        "version",
        "file",
        "photos",
        "groups",
        "most",
        "held_out",
        "expected_precision",
        "worth",
        "train_sha256",
        "photos_sha256",
        "left_out",
        "maskcls",
    } == set(data)


def test_wrong_calls_are_refused(faces: Path, drawn: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken.csv"
    taken.write_text("")
    with pytest.raises(BusyError):
        work(faces, taken)
    with pytest.raises(UsageError, match="different photos"):
        work(faces, train=True, unlabelled=drawn)
    with pytest.raises(DataError, match="not in the data"):
        work(drawn, run=make_run(tmp_path / "run", faces))
    shutil.copytree(faces / "eval", tmp_path / "bare" / "eval")
    with pytest.raises(DataError, match="no train people"):
        work(tmp_path / "bare")
    with pytest.raises(DataError, match="no such data"):
        work(tmp_path / "nowhere")


def test_too_few_people_are_refused(tmp_path: Path) -> None:
    make_faces(tmp_path / "two", people=2, seed=0, eval_people=1, size=(48, 36))
    with pytest.raises(DataError, match="do not suffice to recognise people"):
        work(tmp_path / "two")
