"""submission check: every kind of fault is named, all at once; nothing of an honest file is."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edited import edit_json
from made_run import make_run

from maskcls import files
from maskcls.cli import run_app
from maskcls.commands.submission.check import CONTEST_PEOPLE, CONTEST_PHOTOS, check_submission, refuse_faulty
from maskcls.data.layouts import contest
from maskcls.data.layouts.source import read_unlabelled
from maskcls.data.rows import manifest as tables
from maskcls.errors import Exit, ResultError
from maskcls.labels import CONTEST, LabelSpace, Task
from maskcls.results.submissions.checks import Check, check_ids, check_labels
from maskcls.results.submissions.shares import compare_shares, person_classes
from maskcls.results.submissions.write import write_submission
from maskcls.rundir import RunDir
from maskcls.show.answers.submission_checks import print_checks

BANDS_OF_58 = LabelSpace((*CONTEST.tasks[:2], Task("age", ("<30", "30-57", ">=58"), (30, 58))))
NAMES = [
    "table",
    "header",
    "ids",
    "order",
    "labels",
    "tasks",
    "meaning",
    "classes",
    "sidecar",
    "run",
    "weights",
    "data",
    "code",
]


def shown(path: Path, data: Path | None = None, run: Path | None = None, *, json: bool = False) -> None:
    """Check, print, and raise as the verb does."""
    found = check_submission(path, data, None if run is None else RunDir(run))
    print_checks(found, json=json)
    refuse_faulty(found, strict=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, drawn: Path) -> RunDir:
    """A finished run on the drawn faces; tests must not write there."""
    return make_run(tmp_path_factory.mktemp("made") / "run", drawn)


def asked(data: Path) -> list[str]:
    return [line.split(",")[0] for line in (data / "eval" / "info.csv").read_text().splitlines()[1:]]


def truths(data: Path) -> list[int]:
    return [int(line.split(",")[1]) for line in (data / "eval" / "answers.csv").read_text().splitlines()[1:]]


def written(path: Path, data: Path, run: RunDir, *, space: LabelSpace = CONTEST, **lineage: Any) -> Path:
    """Write the true answers with the lineage that predict gives."""
    weights = [files.file_sha256(run.fold(k).best.tensors) for k in (0, 1)]
    told = {
        "run": "run",
        "run_hashes": files.read_json(run.env)["hashes"],
        "weights": [{"member": "", "fold": k, "sha256": digest} for k, digest in enumerate(weights)],
        "data_sha256": tables.sha256(contest.read_eval(data, CONTEST)),
    }
    labels = np.array(truths(data))
    write_submission(
        path, header=("ImageID", "ans"), ids=asked(data), labels=labels, space=space, lineage=told | lineage, force=True
    )
    return path


def verdicts(found: list[Check]) -> dict[str, str]:
    return {check.name: check.verdict for check in found}


def faults(found: list[Check], name: str) -> tuple[str, ...]:
    return next(check.faults for check in found if check.name == name)


def test_an_honest_submission_passes(
    tmp_path: Path, drawn: Path, run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "s.csv", drawn, run)
    found = check_submission(path, drawn, run).checks
    assert verdicts(found) == dict.fromkeys(NAMES, "ok")
    shown(path, drawn, run.path)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["ok", name] for name in NAMES]
    shown(path, drawn, run.path, json=True)
    data = json.loads(capsys.readouterr().out)
    assert (data["ok"], [check["name"] for check in data["checks"]]) == (True, NAMES)


def test_what_has_nothing_to_compare_with_is_skipped(tmp_path: Path, drawn: Path, run: RunDir) -> None:
    path = written(tmp_path / "s.csv", drawn, run)
    found = verdicts(check_submission(path).checks)
    assert {name for name, verdict in found.items() if verdict == "skipped"} == {"run", "weights", "data"}
    assert "order" not in found
    (tmp_path / "s.json").unlink()
    found = verdicts(check_submission(path, drawn, run).checks)
    assert (found["sidecar"], found["run"], found["data"]) == ("warning", "skipped", "skipped")


# A change to the lines of an honest file, header first, and the checks that fail with the first fault of each.
BROKEN: dict[str, tuple[Callable[[list[str]], list[str]], dict[str, str]]] = {
    "header": (lambda rows: ["id,ans", *rows[1:]], {"header": "found id, ans; expected ImageID, ans"}),
    "index": (
        lambda rows: [f"{i},{row}" for i, row in enumerate(rows)],
        {"header": "found 0, ImageID, ans", "ids": ""},
    ),
    "order": (lambda rows: [rows[0], *rows[:0:-1]], {"order": "row 1: "}),
    "missing": (lambda rows: rows[:-1], {"ids": "is missing"}),
    "twice": (lambda rows: [*rows, rows[1]], {"ids": "occurs 2 times, expected 1"}),
    "ending": (lambda rows: [row.replace(".jpg", "") for row in rows], {"ids": "is missing"}),
    "strange": (lambda rows: [*rows, "x.jpg,3"], {"ids": "'x.jpg' is not expected"}),
    "range": (lambda rows: [*rows[:-1], rows[-1].split(",")[0] + ",18"], {"labels": "'18'"}),
    "float": (lambda rows: [rows[0], *(row + ".0" for row in rows[1:])], {"labels": "row 1, "}),
    "empty": (lambda rows: [*rows[:-1], rows[-1].split(",")[0] + ","], {"labels": "''"}),
    "two": (lambda rows: [*rows[:-1], rows[-1] + ";3"], {"labels": ";3'"}),
    "fields": (lambda rows: [*rows[:-1], rows[-1] + ",3"], {"table": "3"}),
    "nothing": (lambda rows: rows[:1], {"table": "header ImageID, ans"}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_fails_the_right_check(tmp_path: Path, drawn: Path, run: RunDir, name: str) -> None:
    change, expected = BROKEN[name]
    path = tmp_path / "s.csv"
    rows = (written(tmp_path / "honest.csv", drawn, run)).read_text().splitlines()
    path.write_text("\n".join(change(rows)) + "\n")
    found = check_submission(path, drawn).checks
    failed = {check.name: check.faults[0] for check in found if check.verdict == "FAILED"}
    if name == "index":
        assert failed.keys() >= expected.keys()
    else:
        assert failed.keys() == expected.keys()
    for check, words in expected.items():
        assert words in failed[check]
    with pytest.raises(ResultError, match="fails") as caught:
        shown(path, drawn)
    assert len(caught.value.offenders) >= len(failed)


def test_all_faults_are_told_at_once(
    tmp_path: Path, drawn: Path, run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "s.csv", drawn, run)
    rows = path.read_text().splitlines()
    path.write_text("\n".join(["ImageID,label,ans", *(f"{row.split(',')[0]},0,99" for row in rows[2:])]) + "\n")
    with pytest.raises(ResultError) as caught:
        shown(path, drawn, run.path)
    out = capsys.readouterr().out
    failed = [line.split()[1] for line in out.splitlines() if line.startswith("FAILED")]
    assert failed == ["header", "ids", "labels", "sidecar"]
    assert caught.value.exit_code == 9
    assert len(caught.value.offenders) == 1 + 1 + 20 + 1
    assert "… and 15 more" in out
    with pytest.raises(ResultError):
        shown(path, drawn, run.path, json=True)
    assert json.loads(capsys.readouterr().out)["ok"] is False


def test_an_origin_that_does_not_fit_fails_alone(tmp_path: Path, drawn: Path, run: RunDir) -> None:
    path = written(tmp_path / "s.csv", drawn, run, data_sha256="0" * 64, weights=[{"fold": 0, "sha256": "f" * 64}])
    with pytest.raises(ResultError) as caught:
        shown(path, drawn, run.path)
    assert caught.value.exit_code == 9
    assert [fault.split(":")[0] for fault in caught.value.offenders] == ["weights", "data"]
    assert "fold 0: sha256 ffffffffffffffff… is not among the run's weights" in caught.value.offenders[0]


def test_a_run_changed_since_and_another_run_are_told(tmp_path: Path, drawn: Path, run: RunDir) -> None:
    path = written(tmp_path / "s.csv", drawn, run)
    other = make_run(tmp_path / "other", drawn, seed=8)
    (other.fold(1).best.tensors).write_text("others")
    found = check_submission(path, drawn, other).checks
    assert verdicts(found)["run"] == verdicts(found)["weights"] == "FAILED"
    assert faults(found, "run") == ("config.yaml has other content than when this was predicted",)
    assert len(faults(found, "weights")) == 1
    other.folds.unlink()
    assert len(faults(check_submission(path, drawn, other).checks, "run")) == 2


def test_other_code_than_that_which_wrote_it_is_warned_about(
    tmp_path: Path, drawn: Path, run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "s.csv", drawn, run)
    monkeypatch.setattr("maskcls.runs.origin.code_sha256", lambda: "0" * 64)
    found = check_submission(path, drawn, run).checks
    assert [check.name for check in found if check.verdict == "warning"] == ["code"]
    assert "other code of maskcls" in faults(found, "code")[0]
    edit_json(path.with_suffix(".json"), {}, without=("code_sha256",))  # of an earlier version
    assert verdicts(check_submission(path, drawn, run).checks)["code"] == "skipped"


@pytest.mark.parametrize(
    "content", ["{", '{"kind": "maskcls submission"}', '{"kind": "maskcls submission", "lineage": 1}']
)
def test_a_damaged_sidecar_fails(tmp_path: Path, drawn: Path, run: RunDir, content: str) -> None:
    path = written(tmp_path / "s.csv", drawn, run)
    path.with_suffix(".json").write_text(content)
    assert verdicts(check_submission(path, drawn, run).checks)["sidecar"] == "FAILED"
    path.with_suffix(".json").write_text('{"kind": "a recipe"}')
    assert verdicts(check_submission(path, drawn, run).checks)["sidecar"] == "warning"


@pytest.mark.parametrize("weights", [[3], ["a"], [{"fold": 0}], [{"sha256": ["a"]}]])
def test_strange_weights_in_a_sidecar_fail(tmp_path: Path, drawn: Path, run: RunDir, weights: list[Any]) -> None:
    found = check_submission(written(tmp_path / "s.csv", drawn, run, weights=weights), drawn, run).checks
    assert {name for name, verdict in verdicts(found).items() if verdict == "FAILED"} == {"weights"}
    assert faults(found, "weights") == ("the sidecar's list of weights cannot be read",)


def test_an_answer_to_a_folder_of_photos(tmp_path: Path) -> None:
    for name in ("b.jpg", "sub/a.png"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(b"not looked at")
    rows = read_unlabelled(tmp_path / "photos", "contest", BANDS_OF_58)
    options: dict[str, Any] = {"header": ("ImageID", "ans"), "space": BANDS_OF_58, "labels": np.array([1, 0])}
    lineage = {"data_sha256": tables.sha256(rows)}
    write_submission(tmp_path / "s.csv", ids=rows["id"].tolist(), lineage=lineage, **options)
    found = verdicts(check_submission(tmp_path / "s.csv", tmp_path / "photos").checks)
    assert [found[name] for name in ("header", "ids", "order", "meaning", "data")] == ["ok"] * 5
    (tmp_path / "photos" / "c.jpg").write_bytes(b"")
    found = verdicts(check_submission(tmp_path / "s.csv", tmp_path / "photos").checks)
    assert (found["ids"], found["data"]) == ("FAILED", "FAILED")


def test_a_photo_with_other_content_than_at_the_prediction_fails(tmp_path: Path, drawn: Path, run: RunDir) -> None:
    data = Path(shutil.copytree(drawn, tmp_path / "data"))
    photos = [data / "eval" / "images" / name for name in asked(data)]
    digests = [hashlib.blake2b(photo.read_bytes(), digest_size=16).digest() for photo in photos]
    path = written(tmp_path / "s.csv", data, run, photos_sha256=hashlib.sha256(b"".join(digests)).hexdigest())
    assert verdicts(check_submission(path, data, run).checks)["data"] == "ok"
    photos[0].write_bytes(photos[1].read_bytes())
    found = check_submission(path, data, run).checks
    assert verdicts(found)["data"] == "FAILED"
    assert faults(found, "data") == ("photos have other content than those that were predicted",)


def test_classes_of_another_meaning_are_warned_about(tmp_path: Path, drawn: Path, run: RunDir) -> None:
    path = written(tmp_path / "s.csv", drawn, run, space=BANDS_OF_58)
    assert verdicts(check_submission(path).checks)["meaning"] == "warning"


def test_a_constant_answer_is_warned_about_and_passes(tmp_path: Path, drawn: Path, run: RunDir) -> None:
    path = tmp_path / "s.csv"
    path.write_text("ImageID,ans\n" + "".join(f"{i}.jpg,4\n" for i in range(2100)))
    found = check_submission(path, None, run).checks
    assert verdicts(found)["classes"] == "warning"
    assert faults(found, "classes")[0].startswith("4 wear/female/30-59: 2,100 rows, expected ")
    shown(path)


def test_with_strict_a_warning_fails(tmp_path: Path, run: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "s.csv"
    path.write_text("ImageID,ans\n" + "".join(f"{i}.jpg,4\n" for i in range(2100)))
    words = ["submission", "check", str(path), "--run", str(run.path)]
    assert run_app(words) == Exit.OK
    capsys.readouterr()
    assert run_app([*words, "--strict"]) == Exit.RESULT
    error = capsys.readouterr().err
    assert error.startswith("error[result] the submission fails 2 of 12 checks\n  2 in total: classes: 4 wear/female/")
    assert "; sidecar: " in error  # a warning as well: the table was made by hand


def test_a_table_of_other_questions(tmp_path: Path) -> None:
    space = LabelSpace((Task("hat", ("no", "yes")),))
    (tmp_path / "asked.csv").write_text("path\nb.png\na.png\n")
    path, answers = tmp_path / "s.csv", np.array([1, 0])
    extra = {"hat": ["yes", "no"]}
    options: dict[str, Any] = {"header": ("path", "ans"), "space": space, "lineage": {}, "extra_columns": extra}
    write_submission(path, ids=["b.png", "a.png"], labels=answers, **options)
    found = verdicts(check_submission(path, tmp_path / "asked.csv").checks)
    assert [found[name] for name in ("header", "ids", "order", "labels", "tasks", "meaning")] == ["ok"] * 6
    assert found["classes"] == "skipped"
    path.write_text("path,ans,hat\nb.png,1,no\na.png,0,no\n")
    found_now = check_submission(path, tmp_path / "asked.csv").checks
    assert faults(found_now, "tasks") == ("'b.png': hat 'no', but ans is 'yes'",)


def test_ids_that_lost_zeros_suffix_or_ending_are_matched_with_what_was_asked_for() -> None:
    found = check_ids(["1498.jpg", "b"], ["001498-1.jpg", "b.jpg"])
    assert found.faults == (
        "'001498-1.jpg' is missing",
        "'b.jpg' is missing",
        "'1498.jpg' is not expected, but '001498-1.jpg'",
        "'b' is not expected, but 'b.jpg'",
    )
    assert check_ids(["b", "a"], ["a", "b"]).verdict == "ok"


def test_an_id_with_two_labels_fails() -> None:
    found, labels_N = check_labels(["a", "a", "b"], ["1", "2", "01"], CONTEST)
    assert found.faults == ("row 3, 'b': '01'", "'a': labels '1' and '2'")
    assert labels_N.tolist() == [1, 2, -1]


# ---- class shares ----------------------------------------------------------------------------------------------------


def contest_people() -> Any:
    kinds = np.repeat(np.eye(6, dtype=np.int64), CONTEST_PEOPLE, axis=0)
    return np.hstack([photos * kinds for photos in CONTEST_PHOTOS])


def test_the_contest_has_2700_people_and_18900_photos() -> None:
    assert contest_people().sum(axis=0).tolist() == [
        2745, 2050, 415, 3660, 4085, 545, 549, 410, 83, 732, 817, 109, 549, 410, 83, 732, 817, 109,
    ]  # fmt: skip


def test_honest_people_rarely_stand_out_though_photos_are_seven_a_person() -> None:
    people_PJ, rng = contest_people(), np.random.default_rng(0)
    unusual = far = 0
    for seed in range(10):
        rows_J = people_PJ[rng.integers(2700, size=1800)].sum(axis=0)
        found = compare_shares(rows_J, people_PJ, draws=200, seed=seed)
        unusual, far = unusual + bool(found.unusual), far + (found.distance > found.usual)
    assert unusual == 0
    assert far <= 1  # one in a hundred would be usual, a chi-square of single photos finds fault with most


def test_a_class_that_is_avoided_stands_out_by_hand() -> None:
    people_PJ = np.repeat(np.eye(2, dtype=np.int64), 50, axis=0)  # a hundred people, one photo each
    found = compare_shares(np.array([90, 10]), people_PJ, draws=2000, seed=0)
    assert found.distance == pytest.approx(0.4)
    assert [one.expected for one in found.classes] == [50.0, 50.0]
    # the difference of two draws of 100 coins: sd sqrt(2 * 100 / 4)
    assert found.classes[0].sd == pytest.approx(50**0.5, rel=0.06)
    assert [one.label for one in found.unusual] == [0, 1]
    assert compare_shares(np.array([55, 45]), people_PJ, draws=200, seed=0).unusual == ()


def test_people_and_their_classes_are_counted_without_the_unknown() -> None:
    got = person_classes(np.array([0, 1, 1, -1, 2]), np.array(["b", "a", "a", "a", "b"]), 3)
    assert got.tolist() == [[0, 2, 0], [1, 0, 1]]
    assert person_classes(np.array([-1]), np.array(["a"]), 3).shape == (0, 3)
