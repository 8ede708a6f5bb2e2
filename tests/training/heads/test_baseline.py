"""The baseline of a training: fitted heads on the backbone as it was, on the same folds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny import hashes, recipe, resume, train

from maskcls import config, files
from maskcls.cli import run_app
from maskcls.config import without_automatic_baseline
from maskcls.errors import Exit
from maskcls.results.comparison.difference import paired_difference
from maskcls.results.predictions import Predictions
from maskcls.rundir import RepeatsDir, RunDir
from maskcls.runs.stages.ladder import CHOSEN, ladder, stage_config
from maskcls.synth.arms.arm_settings import build_arms
from maskcls.training import folds
from maskcls.training.heads import fittable
from maskcls.training.stored_experiment import open_experiment

FOLDS = "folds.k=3"


@pytest.fixture(scope="module")
def weights(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the setting of starting weights: a backbone of a run of other folds, copied out of it."""
    run = tmp_path_factory.mktemp("donor") / "run"
    assert train(drawn, run, "model.train=heads", FOLDS, "--folds", "0") == 0
    file = run.parent / "trunk.safetensors"
    file.write_bytes((run / "fold0/best/weights.safetensors").read_bytes())
    return f"model.weights={file}"


@pytest.fixture(scope="module")
def run(drawn: Path, weights: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train from such weights: without a word, there is a baseline."""
    path = tmp_path_factory.mktemp("baseline") / "run"
    assert train(drawn, path, FOLDS, weights, "train.epochs=1") == 0
    return path


def test_it_is_what_a_run_of_fitted_heads_predicts(drawn: Path, run: Path, weights: str, tmp_path: Path) -> None:
    heads = tmp_path / "heads"
    assert train(drawn, heads, FOLDS, weights, "model.train=heads") == 0
    for k in range(3):
        mine, theirs = (
            Predictions.load(path) for path in (RunDir(run).fold(k).frozen_heads, RunDir(heads).fold(k).oof)
        )
        assert mine.ids.tolist() == theirs.ids.tolist()
        np.testing.assert_array_equal(mine.prob, theirs.prob)
    found, alone = (json.loads((path / "summary.json").read_text()) for path in (run, heads))
    assert found["baseline"]["macro_f1"] == alone["pooled"]["macro_f1"]
    assert "baseline" not in alone
    experiment, _ = open_experiment(RunDir(run))
    truth_N = experiment.cfg.space.encode(experiment.labels)
    ids = experiment.manifest["id"].to_numpy()
    labels = [Predictions.load(RunDir(path).oof).align(ids).labels() for path in (heads, run)]
    gain = paired_difference(truth_N, *labels, experiment.people, 18)
    saved = found["baseline"]["gain"]
    assert (saved["value"], saved["low"], saved["high"]) == pytest.approx((gain.value, gain.low, gain.high))


def test_it_is_said_and_its_files_are_verified(
    drawn: Path, run: Path, weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert resume(run) == 0
    out = capsys.readouterr().out
    assert "heads on the frozen backbone: macro-F1 0." in out
    assert "; training it adds " in out
    done = json.loads((run / "fold0/DONE").read_text())
    assert "frozen_heads.npz" in done["files"]


def killed(run: Path, target: Path) -> RunDir:
    """Copy a run as a kill would leave it: the networks of its last fold are not finished."""
    copy = RunDir(target)
    shutil.copytree(run, target)
    for path in (copy.summary, copy.oof, copy.fold(2).done, copy.fold(2).oof, copy.fold(2).summary):
        path.unlink()
    return copy


@pytest.mark.parametrize(
    ("fold", "damage", "message", "fix"),
    [
        (2, lambda content, other: content[:-9], "damaged predictions", "delete the file, and compute it again"),
        (2, lambda content, other: other, "of other rows than the fold's", "delete the file, and compute it again"),
        (0, lambda content, other: other, "not the predictions that the training wrote", "delete the fold's folder"),
        (0, lambda content, other: None, "No such file", "delete the fold's folder"),
    ],
    ids=["damaged", "of another fold", "other than DONE names", "missing"],
)
def test_a_file_of_it_that_cannot_be_used_is_named_before_any_training(
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    fold: int,
    damage: Callable[[bytes, bytes], bytes | None],
    message: str,
    fix: str,
) -> None:
    copy = killed(run, tmp_path / "run")
    file = copy.fold(fold).frozen_heads
    content, before = file.read_bytes(), hashes(copy.path)
    found = damage(content, copy.fold(1).frozen_heads.read_bytes())
    file.unlink()
    if found is not None:
        file.write_bytes(found)
    with monkeypatch.context() as patch:
        patch.setattr(folds, "_train_networks", lambda *_: pytest.fail("trained before the file was read"))
        assert resume(copy.path) == Exit.RESULT
    said = " ".join(capsys.readouterr().err.split())
    assert f"where: {file}" in said
    assert message in said
    assert fix in said
    if fold == 2:
        file.unlink()  # as the message says
    else:
        file.write_bytes(content)
    assert resume(copy.path) == 0
    assert same_baseline(run, copy.path)
    assert hashes(copy.path).keys() == hashes(run).keys()
    assert before.keys() < hashes(run).keys()


def test_repeats_say_and_keep_the_mean_of_theirs(
    drawn: Path, weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = RepeatsDir(tmp_path / "repeats")
    assert train(drawn, folder.path, "folds.k=2", weights, "train.epochs=1", "folds.repeats=2") == 0
    out = " ".join(capsys.readouterr().out.split())
    each = [json.loads(folder.repeat(number).summary.read_text())["baseline"] for number in range(2)]
    found = json.loads(folder.scores.read_text())["baseline"]
    gains = [one["gain"]["value"] for one in each]
    assert found["macro_f1"] == pytest.approx(np.mean([one["macro_f1"] for one in each]))
    assert (found["gain"], found["gain_sd"]) == pytest.approx((np.mean(gains), np.std(gains, ddof=1)))
    assert found["each"] == {"repeat0": gains[0], "repeat1": gains[1]}
    assert f"macro-F1 {found['macro_f1']:.4f} (mean of 2 repeats); training it adds {found['gain']:+.4f}" in out
    assert run_app(["verify", str(folder.path)]) == 0

    of_repeats = files.without_digest(files.read_json(folder.scores), folder.scores, required=True)
    of_repeats["baseline"]["each"]["repeat0"] += 0.1
    files.commit_json(folder.scores, files.with_digest(of_repeats))
    assert run_app(["verify", str(folder.path)]) == Exit.RESULT


def same_baseline(run: Path, *made: Path) -> bool:
    def found(path: Path) -> list[object]:
        rows = [Predictions.load(RunDir(path).fold(k).frozen_heads).prob.tolist() for k in range(3)]
        return [rows, json.loads((path / "summary.json").read_text())["baseline"]["macro_f1"]]

    return all(found(one) == found(run) for one in made)


def test_folds_that_are_added_later_have_it_too(drawn: Path, run: Path, weights: str, tmp_path: Path) -> None:
    made = tmp_path / "run"
    assert train(drawn, made, FOLDS, weights, "train.baseline=true", "train.epochs=1", "--folds", "0") == 0
    assert resume(made, "--folds", "1,2") == 0
    assert same_baseline(run, made)


@pytest.mark.slow
def test_gathered_with_several_seeds_in_jobs_and_in_a_search(
    drawn: Path, run: Path, weights: str, tmp_path: Path
) -> None:
    """Seeds have one baseline, as they start from the same backbone; each trial of a search has its own."""
    words = (FOLDS, weights, "train.baseline=true", "train.epochs=1")
    first, others, whole, jobs, seeds = (tmp_path / name for name in ("first", "others", "whole", "jobs", "seeds"))
    assert train(drawn, first, *words, "--folds", "0") == 0
    assert train(drawn, others, *words, "--folds", "1,2") == 0
    assert run_app(["runs", "gather", str(first), str(others), "-o", str(whole), "--accept", "plan"]) == 0
    assert train(drawn, jobs, *words, "train.refit=true", "train.continue_epochs=1", "--on", "local:2") == 0
    study, space = tmp_path / "study", tmp_path / "space.yaml"
    space.write_text("optim.lr: {low: 1.0e-4, high: 1.0e-2, log: true}\n")
    search = ["tune", str(drawn), *recipe(*words), "--space", str(space), "--study", str(study), "--trials", "2"]
    assert run_app(search) == 0
    trials = sorted((study / "trials").glob("0*"))
    assert len(trials) == 2
    assert same_baseline(run, whole, jobs, *trials)
    assert train(drawn, seeds, *words, "train.seeds=2") == 0
    found, expected = (json.loads((path / "summary.json").read_text()) for path in (seeds, run))
    assert found["baseline"]["macro_f1"] == expected["baseline"]["macro_f1"]


def test_without_it_there_are_no_such_files(drawn: Path, weights: str, tmp_path: Path) -> None:
    words = (FOLDS, weights, "train.baseline=false", "train.epochs=1", "--folds", "0")
    assert train(drawn, tmp_path / "run", *words) == 0
    assert not [name for name in hashes(tmp_path / "run") if "frozen" in name]
    assert "baseline" not in json.loads((tmp_path / "run/summary.json").read_text())


@pytest.mark.parametrize("wanted", ["true", "auto"])
def test_random_weights_have_none_and_only_a_wanted_one_is_missed(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], wanted: str
) -> None:
    words = (FOLDS, f"train.baseline={wanted}", "train.epochs=1", "--folds", "0")
    assert train(drawn, tmp_path / "run", *words) == 0
    said = "no baseline of fitted heads: the backbone has random weights" in capsys.readouterr().err
    assert said == (wanted == "true")
    assert not [name for name in hashes(tmp_path / "run") if "frozen" in name]


@pytest.mark.parametrize(("wanted", "there"), [("auto", False), ("true", True)])
def test_features_that_take_too_much_memory(
    drawn: Path,
    weights: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    wanted: str,
    there: bool,
) -> None:
    monkeypatch.setattr(fittable, "available_bytes", lambda: 1000)
    assert train(drawn, tmp_path / "run", FOLDS, weights, f"train.baseline={wanted}", "--dry-run") == 0
    assert ("photos for train.baseline" in " ".join(capsys.readouterr().out.split())) == there
    assert train(drawn, tmp_path / "run", FOLDS, weights, f"train.baseline={wanted}", "train.epochs=1") == 0
    said = " ".join(capsys.readouterr().err.split())
    assert ("no baseline of fitted heads: it would take 0.0 of 0.0 GiB of memory" in said) != there
    assert ("baseline" in json.loads((tmp_path / "run/summary.json").read_text())) == there


@pytest.mark.parametrize(("wanted", "kept"), [("auto", False), (True, True), (False, False)])
def test_of_many_trainings_only_those_that_a_person_wants_one_for_have_it(wanted: str | bool, kept: bool) -> None:
    cfg, _ = config.load(None, [f"train.baseline={str(wanted).lower()}"])
    (stage, *_) = ladder(cfg, CHOSEN, 100)
    arms = build_arms(cfg, ["made.csv"], {"age": (">=60",)})
    for one in (without_automatic_baseline(cfg), stage_config(cfg, stage), *(arm.cfg for arm in arms)):
        assert one.train.baseline is kept


def test_the_forecast_counts_it(drawn: Path, weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = "batches of photos for train.baseline (the fitting of heads is not counted)"
    for word, counted in ((weights, True), ("model.weights=null", False)):
        capsys.readouterr()
        assert train(drawn, tmp_path / "run", FOLDS, word, "train.epochs=1", "--dry-run") == 0
        assert (said in " ".join(capsys.readouterr().out.split())) == counted
