"""Runs and results of earlier versions: today's commands read them, or say in one message what to do.

The archives were made by `make.py` in this folder, with the last commits before a format changed.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import make
import numpy as np
import pytest
from edited import edit_json

from maskcls import config, files, typedjson
from maskcls.cli import run_app
from maskcls.csvfile import read_columns
from maskcls.errors import Exit
from maskcls.labels import CONTEST
from maskcls.results.people.group_file import read_groups
from maskcls.results.predictions import Predictions
from maskcls.results.pseudo.read_labels import read_pseudo
from maskcls.rundir import RunDir
from maskcls.runs.decision_file import DecisionFile

HERE = Path(__file__).resolve().parent
READ = ("soup_refit", "seeds_continued", "groups", "sealed", "tracked", "format1")  # from the oldest to the newest
WITH_RESULTS = ("groups", "sealed")
EXECUTION = ("device.precision=fp32", "device.memory_format=contiguous", "device.threads=1", "device.workers=0")
FIRST_DAY = "first_day"  # settings had other names, and runs no plans


def unpack(name: str, folder: Path) -> Path:
    """Unpack an archive; returns the folder with its run `runs/a`."""
    with tarfile.open(HERE / f"{name}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


def run_of(folder: Path) -> RunDir:
    return RunDir(folder / "runs" / "a")


def stdout_of(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    capsys.readouterr()
    assert run_app([str(word) for word in words]) == Exit.OK
    return capsys.readouterr().out


def test_the_archives_are_these_and_small() -> None:
    sizes = {path.name.removesuffix(".tar.xz"): path.stat().st_size for path in HERE.glob("*.tar.xz")}
    assert set(sizes) == {*READ, FIRST_DAY}
    assert sum(sizes.values()) < 300_000


def test_the_archives_hold_no_picture() -> None:
    for path in HERE.glob("*.tar.xz"):
        with tarfile.open(path) as archive:
            endings = {Path(name).suffix for name in archive.getnames()}
        assert endings <= {"", ".csv", ".json", ".jsonl", ".npy", ".npz", ".safetensors", ".yaml"}, path.name


@pytest.mark.parametrize("name", READ)
def test_evaluate_finds_the_score_that_was_found_then(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of(unpack(name, tmp_path))
    then = files.read_json(run.summary)["pooled"]["macro_f1"]
    found = json.loads(stdout_of(capsys, "evaluate", run.path, "--json"))
    assert found["macro_f1"] == pytest.approx(then, abs=1e-9)


def test_verify_says_what_it_cannot_compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_of(unpack("format1", tmp_path))
    found = json.loads(stdout_of(capsys, "verify", run.path, "--json"))["checks"]
    verdicts = {one["name"]: one["verdict"] for one in found}
    assert {name for name, verdict in verdicts.items() if verdict == "ok"} == {
        *("config.yaml", "labels.json", "manifest.csv", "folds.csv"),
        *("fold0/best/weights.safetensors", "fold1/best/weights.safetensors"),
    }
    assert {one["about"] for one in found if one["verdict"] == "skipped"} >= {
        "not compared: of an earlier version, without a digest"
    }
    files.commit(run.folds, run.folds.read_bytes() + b"x")
    assert run_app(["verify", str(run.path)]) == Exit.RESULT


def test_they_are_listed_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in (*READ, FIRST_DAY):
        unpack(name, tmp_path / name)
    listed = json.loads(stdout_of(capsys, "runs", "list", *(tmp_path / name for name in (*READ, FIRST_DAY)), "--json"))
    states = {Path(one["run"]).parents[1].name: one["state"] for one in listed["runs"]}
    assert states == dict.fromkeys(READ, "finished") | {FIRST_DAY: "broken"}


def predict(folder: Path, *settings: str) -> Predictions:
    """Predict the photos of the archive with today's version; returns the probabilities."""
    run = run_of(folder)
    (kept,) = run.path.glob("test/*.npz")
    kept.unlink()
    make.photos(folder / "photos")
    words = ["predict", run.path, "--data", folder / "photos", "-o", folder / "new.csv", *EXECUTION]
    assert run_app([*map(str, words), *settings]) == Exit.OK
    (made,) = run.path.glob("test/*.npz")
    return Predictions.load(made)


@pytest.mark.parametrize(
    "name", ["soup_refit", *(pytest.param(name, marks=pytest.mark.slow) for name in ("seeds_continued", "tracked"))]
)
def test_predict_finds_the_probabilities_that_were_found_then(name: str, tmp_path: Path) -> None:
    folder = unpack(name, tmp_path)
    (kept,) = run_of(folder).path.glob("test/*.npz")
    then = Predictions.load(kept)
    now = predict(folder)
    assert then.prob.std(axis=0).max() > 1e-3  # the photos differ, so that equal rows mean something
    np.testing.assert_allclose(now.align(then.ids).prob, then.prob, atol=1e-4)  # other kernels on other processors
    assert (folder / "new.csv").read_text() == (folder / "answers.csv").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", READ)
def test_calibrate_and_resume_read_them(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_of(unpack(name, tmp_path))
    assert run_app(["calibrate", str(run.path)]) == Exit.OK
    assert run_app(["resume", str(run.path), "--folds", "0,1"]) == Exit.OK
    assert "is complete; nothing to do" in capsys.readouterr().err


@pytest.mark.slow
def test_averaged_predictions_of_an_earlier_run_are_made(tmp_path: Path) -> None:
    assert predict(unpack("groups", tmp_path)).prob.shape == (4, 18)


@pytest.mark.parametrize("name", WITH_RESULTS)
def test_results_are_read(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = unpack(name, tmp_path)
    run = run_of(folder)
    decision = typedjson.read(run.decision, DecisionFile)
    assert set(decision.temperatures) == {"mask", "gender", "age"}
    groups = read_columns(folder / "groups.csv")
    ids = next(iter(groups.values()))
    assert len(read_groups(folder / "groups.csv", list(ids)).group_N) == len(ids) > 20
    cfg = config.of_run(run.config)
    labels = read_pseudo(folder / "pseudo.csv", CONTEST, folds_sha256=files.file_sha256(run.folds), k=cfg.folds.k)
    assert {0, 1} <= set(labels.sets)
    make.photos(folder / "photos")
    for result in ("answers.csv", "together.csv"):
        assert "ok" in stdout_of(capsys, "submission", "check", folder / result, "--data", folder / "photos")


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_RESULTS)
def test_a_recipe_gives_the_same_ensemble(name: str, tmp_path: Path) -> None:
    folder = unpack(name, tmp_path)
    recipe = folder / "together.recipe.yaml"
    recipe.write_text(recipe.read_text().replace(str(make.WORK), str(folder)))
    make.photos(folder / "photos")
    words = ["ensemble", "--recipe", str(recipe), "--data", str(folder / "photos"), "-o", str(folder / "again.csv")]
    assert run_app(words) == Exit.OK
    assert (folder / "again.csv").read_text() == (folder / "together.csv").read_text()


@pytest.mark.parametrize("words", [["evaluate"], ["calibrate"], ["resume"], ["predict", "--data", "photos"]])
def test_runs_of_the_first_day_are_refused_with_the_reason(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(unpack(FIRST_DAY, tmp_path))
    make.photos(Path("photos"))
    assert run_app([words[0], "runs/a", *words[1:]]) == Exit.RESULT
    said = capsys.readouterr().err
    assert "the run's settings are of another version of maskcls, or were changed by hand" in said
    assert "ema" in said
    assert "optim.warmup_epochs" in said
    assert "fix: use the version in the run's env.json, or train the run again" in said


def redraw(run: RunDir, data: Path) -> None:
    """Write plain photos in place of those a run was trained on, with the same names and labels."""
    tables = [read_columns(table) for table in (run.manifest, run.sealed) if table.exists()]
    for path in (path for table in tables for path in table["path"]):
        (data / path).parent.mkdir(parents=True, exist_ok=True)
        make.Image.new("RGB", (48, 64), (90, 120, len(path))).save(data / path)
    people = sorted({person for table in tables for person in table["person"]})
    rows = [",".join([*person.split("_"), person]) for person in people]  # 000001_female_Drawn_37
    (data / "train" / "train.csv").write_text("\n".join(["id,gender,race,age,path", *rows, ""]))
    edit_json(run.env, {"data": str(data)})


@pytest.mark.slow
@pytest.mark.parametrize("name", ["soup_refit", "seeds_continued", "sealed", "tracked"])
def test_a_fold_that_is_missing_is_trained_by_resume(name: str, tmp_path: Path) -> None:
    folder = unpack(name, tmp_path)
    run = run_of(folder)
    redraw(run, folder / "faces")
    for path in [run.summary, run.oof, *run.path.glob("**/fold1"), run.path / "refit"]:
        make.shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    assert run_app(["resume", str(run.path)]) == Exit.OK
    assert files.read_json(run.summary)["pooled"]["rows"] == len(Predictions.load(run.oof).ids) > 80
    assert all(file.read_text() for file in run.path.glob("**/fold1/DONE"))
