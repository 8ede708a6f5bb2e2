"""maskcls predict RUN WHAT…: the same classes as with --data, tables, single photos, shards, and what is refused."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from dying import killed_after
from tiny import hashes, train

from maskcls.cli import run_app
from maskcls.commands.predicting import photos as command
from maskcls.labels import CONTEST
from maskcls.results.predicted.plan import remove_parts
from maskcls.results.predictions import Predictions
from maskcls.runs.lineage import RunLineage

QUICK = ("model.backbone=test_convnext", "train.epochs=1", "schedule.warmup_epochs=0", "average.kind=none")
EVAL_PHOTOS = 21


@pytest.fixture(scope="module")
def made(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run, and beside it the submission and the probabilities of --data."""
    run = tmp_path_factory.mktemp("photos") / "run"
    assert train(drawn, run, *QUICK, "optim.lr=1e-2") == 0
    words = ["-o", str(run.parent / "s.csv"), "--probabilities", str(run.parent / "p.csv")]
    assert run_app(["predict", str(run), "--data", str(drawn), *words]) == 0
    return run


@pytest.fixture
def here(tmp_path: Path, drawn: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder: the photos to predict in photos/."""
    shutil.copytree(drawn / "eval" / "images", tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def predict(run: Path, *words: str) -> int:
    return run_app(["predict", str(run), *words])


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_submission_is_as_without_probabilities(made: Path, drawn: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(made, run)
    assert predict(run, "--data", str(drawn), "-o", str(tmp_path / "s.csv")) == 0
    for name in ("s.csv", "s.json"):
        assert (tmp_path / name).read_bytes() == (made.parent / name).read_bytes()


def test_probabilities_of_a_data_set(made: Path) -> None:
    (stored,) = (made / "test").glob("*.npz")
    want, rows = Predictions.load(stored), rows_of(made.parent / "p.csv")
    assert [row["ImageID"] for row in rows] == want.ids.tolist()
    assert [row["ans"] for row in rows] == [row["ans"] for row in rows_of(made.parent / "s.csv")]
    for task, shares in CONTEST.marginals(want.prob).items():
        for c, name in enumerate(CONTEST.task(task).classes):
            found = [np.float32(row[f"{task}/{name}"]) for row in rows]
            np.testing.assert_array_equal(found, shares[:, c])
        assert [row[f"{task}_probability"] for row in rows] == [row[f"{task}/{row[task]}"] for row in rows]
    assert json.loads((made.parent / "p.json").read_text())["lineage"] == want_lineage(made.parent / "s.json")


def want_lineage(sidecar: Path) -> Mapping[str, object]:
    lineage: Mapping[str, object] = json.loads(sidecar.read_text())["lineage"]
    return lineage


@pytest.mark.slow
def test_an_ensemble_takes_the_probabilities(made: Path, drawn: Path, tmp_path: Path) -> None:
    words = [str(made.parent / "p.csv"), str(made), "--data", str(drawn), "-o", str(tmp_path / "e.csv")]
    assert run_app(["ensemble", *words]) == 0
    # One network per fold and the product of its heads: the mean over folds is no product, but nearly.
    same = [
        a["ans"] == b["ans"] for a, b in zip(rows_of(tmp_path / "e.csv"), rows_of(made.parent / "s.csv"), strict=True)
    ]
    assert len(same) == EVAL_PHOTOS
    assert np.mean(same) > 0.8


@pytest.mark.slow
def test_tables_of_a_data_set_in_other_formats(made: Path, drawn: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(made, run)
    assert predict(run, "--data", str(drawn), "-o", str(tmp_path / "s.jsonl")) == 0
    lines = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()]
    assert [(row["ImageID"], str(row["ans"])) for row in lines] == [
        (row["ImageID"], row["ans"]) for row in rows_of(made.parent / "s.csv")
    ]
    assert predict(run, "--data", str(drawn), "-o", str(tmp_path / "t.csv"), "--format", "jsonl", "--force") == 0
    assert (tmp_path / "t.csv").read_bytes() == (tmp_path / "s.jsonl").read_bytes()


def test_photos_are_predicted_as_in_a_data_set(made: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = hashes(made)
    first = sorted(os.listdir("photos"))[3]
    assert predict(made, f"photos/{first}", "photos", "-o", "a.csv", "--probabilities", "p.jsonl") == 0
    shown = capsys.readouterr()
    assert f"1 name of photos that were named before, also by another path: photos/{first}" in shown.err
    assert "a.csv  21 rows\n" in shown.out
    rows, want = rows_of(here / "a.csv"), {r["ImageID"]: r for r in rows_of(made.parent / "p.csv")}
    others = [name for name in sorted(os.listdir("photos")) if name != first]
    assert [row["path"] for row in rows] == [f"photos/{name}" for name in (first, *others)]
    assert list(rows[0]) == ["path", "ans", "mask", "gender", "age"]
    for row in rows:
        known = want[Path(row["path"]).name]
        assert [row[name] for name in ("ans", "mask", "gender", "age")] == [
            known[n] for n in ("ans", "mask", "gender", "age")
        ]
    lines = [json.loads(line) for line in (here / "p.jsonl").read_text().splitlines()]
    # Batches have another length than with --data, which changes last bits.
    found = [line["age/>=60"] for line in lines]
    assert found == pytest.approx([float(want[Path(r["path"]).name]["age/>=60"]) for r in rows], abs=1e-5)
    assert {path.name for path in here.iterdir()} == {"photos", "a.csv", "a.json", "p.jsonl", "p.json"}
    lineage = RunLineage.model_validate_json(json.dumps(json.loads((here / "a.json").read_text())["lineage"]))
    theirs = want_lineage(made.parent / "s.json")
    assert [w.to_json() for w in lineage.weights] == theirs["weights"]
    assert (lineage.data, lineage.run_hashes) == (f"{first}, photos", theirs["run_hashes"])
    assert lineage.oof_macro_f1 == theirs["oof_macro_f1"]
    assert hashes(made) == before  # nothing is kept in the run


def test_one_photo_is_printed(made: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = sorted(os.listdir("photos"))[0]
    assert predict(made, f"photos/{name}") == 0
    lines = capsys.readouterr().out.splitlines()
    want = next(row for row in rows_of(made.parent / "p.csv") if row["ImageID"] == name)
    label = CONTEST.joint_names[int(want["ans"])]
    assert lines[:2] == [f"photos/{name}", f"  predicted (*): {label}, joint class {want['ans']}"]
    assert sum("█" in line for line in lines) == 8
    assert sum(" * " in line for line in lines) == 3
    assert predict(made, f"photos/{name}", "--json") == 0
    (photo,) = json.loads(capsys.readouterr().out)["photos"]
    assert (photo["path"], photo["ans"], photo["mask"]) == (f"photos/{name}", int(want["ans"]), want["mask"])
    assert photo["age/<30"] == pytest.approx(float(want["age/<30"]), abs=1e-5)


def test_some_photos_are_printed_and_more_need_a_file(
    made: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"photos/{name}" for name in sorted(os.listdir("photos"))]
    (here / "bad.jpg").write_bytes(b"junk\n")
    assert predict(made, *names[:2], "bad.jpg") == 4
    assert "1 in total: bad.jpg: not an image: text" in capsys.readouterr().err
    assert predict(made, *names[:2], "bad.jpg", "--skip-unreadable") == 4
    out = capsys.readouterr().out
    assert "bad.jpg: cannot be read: not an image: text" in " ".join(out.split())  # broken where the terminal is narrow
    assert out.count("█") >= 3
    assert predict(made, "photos") == 2
    assert "-o answers.csv" in capsys.readouterr().err


def test_unreadable_photos_are_listed_or_become_rows(
    made: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "photos" / "000.jpg").write_bytes(b"junk\n")
    assert predict(made, "photos", "-o", "a.csv") == 4
    assert "1 in total: photos/000.jpg: not an image: text" in capsys.readouterr().err
    assert not (here / "a.csv").exists()
    assert (here / "a.csv.parts").is_dir()
    assert predict(made, "photos", "-o", "a.csv", "--skip-unreadable", "--json") == 4
    shown = capsys.readouterr()
    assert "continuing with the parts in a.csv.parts" in shown.err
    found = json.loads(shown.out)
    assert (found["rows"], found["unreadable"], found["tables"][0]["file"]) == (22, 1, "a.csv")
    row = rows_of(here / "a.csv")[0]
    assert row == {
        "path": "photos/000.jpg",
        "ans": "",
        "mask": "",
        "gender": "",
        "age": "",
        "error": "not an image: text",
    }


def test_shards_and_their_gathering(
    made: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "PART_PHOTOS", 4)
    assert predict(made, "photos", "-o", "one.csv", "--probabilities", "one_p.csv") == 0
    for i in (1, 2):
        assert predict(made, "photos", "-o", "g.csv", "--shard", f"{i}/2") == 0
    folders = ["g.csv.shard-1-of-2", "g.csv.shard-2-of-2"]
    assert run_app(["predict", "--gather", folders[1], "-o", "g.csv"]) == 2
    assert "1/2" in capsys.readouterr().err
    assert run_app(["predict", "--gather", *folders, "-o", "g.csv", "--probabilities", "g_p.csv"]) == 0
    assert (here / "g.csv").read_bytes() == (here / "one.csv").read_bytes()
    assert (here / "g_p.csv").read_bytes() == (here / "one_p.csv").read_bytes()
    assert predict(made, "photos", "-o", "h.csv", "--shard", "1/1") == 0  # as scripts say it for one machine
    assert run_app(["predict", "--gather", "h.csv.shard-1-of-1", "-o", "h.csv"]) == 0
    assert (here / "h.csv").read_bytes() == (here / "one.csv").read_bytes()
    assert run_app(["predict", "--gather", "h.csv.shard-1-of-1", "-o", "h2.txt", "--format", "jsonl"]) == 0
    assert (here / "h2.txt").read_text().startswith('{"path": "photos/')
    assert predict(made, "photos", "-o", "one.csv") == 7


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("", 2, "nothing to predict"),
        ("photos --data photos", 2, "photos are named twice"),
        ("gone.jpg -o a.csv", 4, "gone.jpg: no such file or folder"),
        ("photos -o a.csv data.cache=off", 2, "not kept in the cache"),
        ("photos -o a.csv predict.groups=look", 2, "needs all photos together"),
        ("photos -o a.csv --groups g.csv", 2, "photos without --data and --groups exclude each other"),
        ("photos -o a.csv --decide", 9, "the run is not calibrated"),
        ("photos -o a.csv --shard 3/2", 2, "no such shard"),
        ("photos -o a.csv --shard \uff11/\uff12", 2, "no such shard"),
        (f"photos -o a.csv --shard 1/{'9' * 5000}", 2, "no such shard"),
        ("photos -o a.csv --shard 1/999999999", 2, "more shards than photos"),
        ("photos --shard 1/2", 2, "name the table"),
        ("photos -o a.csv --probabilities a.jsonl", 2, "two outputs are one file"),
        ("photos -o a.csv optim.lr=1", 3, "optim.lr"),
        ("--data photos --shard 1/2", 2, "--data and --shard exclude each other"),
        ("--data photos --skip-unreadable", 2, "--data and --skip-unreadable exclude each other"),
        ("--data photos --engine torch", 2, "--data and --engine exclude each other"),
        ("photos -o a.csv --engine onnxruntime", 2, ""),
        ("--gather x --shard 1/2", 2, "--gather and --shard exclude each other"),
        ("--gather x", 2, "--gather writes tables"),
        ("- - -o a.csv", 2, "names on stdin can be read once"),
    ],
)
def test_what_is_refused(
    made: Path, here: Path, capsys: pytest.CaptureFixture[str], words: str, code: int, message: str
) -> None:
    assert predict(made, *words.split()) == code
    assert message in capsys.readouterr().err
    assert {path.name for path in here.iterdir()} == {"photos"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("list.csv -o list.csv", "the output is a file that is read"),
        ("@list.csv -o other.csv --probabilities list.csv", "the output is a file that is read"),
        ("@list.json -o list.csv", "the output is a file that is read"),  # the sidecar of list.csv
        ("photos/a.jpg -o photos/a.jpg", "the output is a file that is read"),
        ("photos -o photos/a.jpg", "the output is inside a folder that is read"),
    ],
)
def test_an_input_is_never_replaced(
    made: Path, here: Path, capsys: pytest.CaptureFixture[str], words: str, message: str
) -> None:
    shutil.copy(sorted((here / "photos").iterdir())[0], "photos/a.jpg")
    (here / "list.csv").write_text("path\nphotos/a.jpg\n" if words.startswith("list") else "photos/a.jpg\n")
    (here / "list.json").write_text("photos/a.jpg\n")
    before = hashes(here)
    assert predict(made, *words.split(), "--force") == 2
    assert message in capsys.readouterr().err
    assert hashes(here) == before


def test_tables_beside_their_parts_are_finished_by_the_same_command(
    made: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A kill after a table was placed, before the parts were removed: the same command ends as an undisturbed one."""
    words = ["photos", "-o", "a.csv", "--probabilities", "p.csv"]
    with monkeypatch.context() as killed:
        killed.setattr(command, "remove_parts", lambda folder: None)
        assert predict(made, *words) == 0
    left = here / "left"
    shutil.copytree(here / "a.csv.parts", left)
    want = {name: (here / name).read_bytes() for name in ("a.csv", "a.json", "p.csv", "p.json")}

    def finishes() -> bool:
        code = predict(made, *words)
        there = {path.name for path in here.iterdir()} - {"photos", "left"}
        return code == 0 and there == {*want} and all((here / name).read_bytes() == want[name] for name in want)

    assert finishes()
    assert predict(made, *words) == 7  # without the parts, it is a finished table
    shutil.copytree(left, "a.csv.parts")
    (here / "p.csv").unlink()  # killed between the sidecar and its table
    assert finishes()
    shutil.copytree(left, "a.csv.parts")
    (here / "a.csv.parts/00000000.npz").unlink()  # killed while the parts were removed
    assert finishes()
    shutil.copytree(left, "a.csv.parts")
    (here / "a.csv").write_text("edited")
    capsys.readouterr()
    assert predict(made, *words) == 7
    assert "the output exists" in capsys.readouterr().err
    assert (here / "a.csv").read_text() == "edited"


def test_the_plan_is_removed_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("0.npz", "plan.json"):
        (tmp_path / "x.parts" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "x.parts" / name).write_text("")
    with monkeypatch.context() as killed:
        killed.setattr(shutil, "rmtree", lambda folder: None)
        remove_parts(tmp_path / "x.parts")
    assert [path.name for path in (tmp_path / "x.parts").iterdir()] == ["plan.json"]
    remove_parts(tmp_path / "x.parts")
    assert not (tmp_path / "x.parts").exists()


@pytest.mark.parametrize("setting", ["predict.groups=look", "data.cache=off"])
def test_a_model_file_has_the_same_limits(here: Path, capsys: pytest.CaptureFixture[str], setting: str) -> None:
    (here / "model.onnx").write_bytes(b"not read")
    assert predict(Path("model.onnx"), "photos", "-o", "a.csv", setting) == 2
    assert setting.partition("=")[0] in capsys.readouterr().err


def test_sealed_people_are_refused(made: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    shutil.copytree(made, run)
    lines = (run / "manifest.csv").read_text().splitlines(keepends=True)
    (run / "sealed.csv").write_text("".join(lines[:3]))  # a run with folds.sealed has it; training one takes seconds
    sealed, other = (rows_of(run / "manifest.csv")[row]["path"] for row in (0, 5))
    (tmp_path / "link.jpg").symlink_to(drawn / sealed)
    assert predict(run, str(drawn / other), str(tmp_path / "link.jpg")) == 4
    assert "sealed people" in capsys.readouterr().err
    assert predict(run, str(drawn / other)) == 9  # not refused for them: a run that did not have the file
    assert "sealed people" not in capsys.readouterr().err


def test_photos_cropped_in_another_way_are_noted(made: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    window = {"x": 0.5, "y": 0.4, "width": 0.4, "height": 0.4, "spread": [0.1] * 4, "faces": 3}
    about = {"detector": "d", "fixed": False, "margin": 0.3, "aspect": [4, 3], "window": window}
    (here / "photos" / "deep").mkdir()
    name = sorted(os.listdir("photos"))[0]
    shutil.move(f"photos/{name}", f"photos/deep/{name}")
    assert predict(made, f"photos/deep/{name}") == 0
    assert "not cropped" not in capsys.readouterr().err
    (here / "photos" / "crops.json").write_text(json.dumps(about))
    assert predict(made, f"photos/deep/{name}") == 0
    assert capsys.readouterr().err.count("these photos are not cropped like the training photos") == 1


@pytest.mark.slow
def test_a_killed_prediction_continues_with_the_same_bytes(made: Path, here: Path) -> None:
    """kill -9 at three moments: the same command goes on, and in the end gives the bytes of an undisturbed one."""
    names = sorted(os.listdir("photos"))
    for copy in range(200):  # 4200 photos: 9 parts
        (here / "many" / f"{copy:03d}").mkdir(parents=True)
        for name in names:
            os.link(f"photos/{name}", f"many/{copy:03d}/{name}")
    words = ["predict", str(made), "@list.txt", "-o"]
    paths = [f"many/{copy:03d}/{name}" for copy in range(200) for name in names]
    (here / "list.txt").write_text("\n".join(paths))
    assert run_app([*words, "whole.csv", "--probabilities", "whole_p.csv"]) == 0
    for made_parts in (1, 2, 2):  # by each process
        assert killed_after(made_parts, "k.csv.parts/0", [*words, "k.csv", "--probabilities", "k_p.csv"]) == -9
    assert len(list(here.glob("k.csv.parts/*.npz"))) == 5
    assert run_app([*words, "k.csv", "--probabilities", "k_p.csv"]) == 0
    assert (here / "k.csv").read_bytes() == (here / "whole.csv").read_bytes()
    assert (here / "k_p.csv").read_bytes() == (here / "whole_p.csv").read_bytes()
    assert not (here / "k.csv.parts").exists()
