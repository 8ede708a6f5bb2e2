"""Runs with model.train=heads: the same run folder as any other, features once, and the same bits after any kill."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from interrupted import Moments, copied, ending
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.preprocessing import StandardScaler
from tiny import hashes, log_lines, outcome, resume, tiny, train

from maskcls.cli import run_app
from maskcls.commands.data.cache import list_packs, prune_cache
from maskcls.data.photos.cache_folder import cache_folder
from maskcls.engine.checkpoint import load_predictor, load_state, save_state
from maskcls.engine.compute.plan import Execution
from maskcls.engine.device import start
from maskcls.engine.fit import validation_reader
from maskcls.engine.infer import infer
from maskcls.errors import Exit, ResultError, UsageError
from maskcls.jobs.farm import next_jobs
from maskcls.results.predictions import Predictions
from maskcls.rundir import RunDir
from maskcls.show.terminal.progress import Reporter
from maskcls.training.heads import fit_networks as fitting
from maskcls.training.heads import frozen_features as freezing
from maskcls.training.stored_experiment import open_experiment

WORDS = ("model.train=heads", "folds.k=3", "predict.views=hflip")
SEVERAL = {"joint": ("model.heads=joint", "heads.kind=ridge"), "separate": ("model.heads=separate",)}
IN_A_FOLD = {
    *("log.jsonl", "first_batch.png", "oof.npz", "summary.json", "DONE"),
    *(f"{name}/{file}" for name in ("best", "last") for file in ("weights.safetensors", "meta.json")),
}


@pytest.fixture(scope="module")
def moments(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moments]:
    """The uninterrupted run, with a copy after each of its commits."""
    made = Moments(tmp_path_factory.mktemp("moments"))
    with pytest.MonkeyPatch.context() as patch:
        made.record(drawn, patch, *WORDS, "train.refit=true")
    before = hashes(made.run)
    yield made
    assert hashes(made.run) == before, "a test has written into the run that all read"


@pytest.fixture(scope="module")
def whole(moments: Moments) -> Path:
    return moments.run


def feature_files() -> list[Path]:
    return sorted(cache_folder().glob("*.features"))


def summary(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "summary.json").read_text())
    return found


def test_a_fold_has_the_files_of_every_run_but_those_of_its_steps(whole: Path) -> None:
    for name in ("fold0", "fold1", "fold2", "refit"):
        expected = IN_A_FOLD - ({"oof.npz", "summary.json"} if name == "refit" else set())
        assert set(hashes(whole / name)) == expected
    heads = json.loads((whole / "fold0/summary.json").read_text())["heads"]
    assert list(heads) == ["mask", "gender", "age"]
    assert all(set(one) == {"strength", "scale", "loss"} for one in heads.values())
    (line,) = log_lines(whole / "fold0")
    assert line["train/age"] == pytest.approx(heads["age"]["loss"])
    assert summary(whole).get("selection") is None


def test_every_network_has_the_backbone_that_was_given(whole: Path) -> None:
    networks = [load_predictor(RunDir(whole).fold(k).best).network for k in (0, 1, 2)]
    first, *others = (network.trunk.state_dict() for network in networks)
    assert all((first[name] == other[name]).all() for other in others for name in first)
    heads = [network.heads["age"].weight for network in networks]
    assert (heads[0] != heads[1]).any()


def test_out_of_fold_rows_are_what_the_saved_networks_predict(whole: Path) -> None:
    experiment, env = open_experiment(RunDir(whole))
    (member,), accelerator = experiment.members, start(experiment.cfg.device)
    for k in env.folds:
        rows = experiment.rows(member, k)
        reader = validation_reader(rows, member.cfg, accelerator)
        predictor = load_predictor(experiment.fold_dir(member, k).best)
        (prob,) = infer([predictor], reader, accelerator=accelerator, execution=Execution())
        stored = Predictions.load(experiment.fold_dir(member, k).oof)
        assert stored.ids.tolist() == experiment.manifest["id"].to_numpy()[rows.valid].tolist()
        np.testing.assert_allclose(stored.prob, prob, atol=2e-5)  # batches of another length


@pytest.mark.parametrize("apart", [15, pytest.param(5, marks=pytest.mark.slow)])
def test_killed_after_any_commit_it_ends_with_the_same_bits(apart: int, moments: Moments, tmp_path: Path) -> None:
    assert len(moments.commits) > 30
    expected = ending(moments.run)
    first = moments.commits.index("times.json")
    for index in range(first, len(moments.commits), apart):
        run = copied(moments.root / str(index), tmp_path / str(index))
        assert resume(run) == 0
        assert ending(run) == expected, f"killed after {moments.commits[index]}"


def test_features_are_computed_once_for_all_runs_of_the_same_photos(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise ResultError("features are computed again")

    monkeypatch.setenv("MASKCLS_CACHE", str(tmp_path / "cache"))  # that of all tests has features of others
    assert train(drawn, tmp_path / "first", *WORDS) == 0
    before = feature_files()
    monkeypatch.setattr(freezing, "view_features", refuse)
    assert train(drawn, tmp_path / "run", *WORDS, "heads.kind=ridge", "model.heads=joint") == 0
    assert feature_files() == before
    for number, other in enumerate(("predict.views=none", "heads.augmented=1", "transforms.size=[40, 32]", "seed=1")):
        capsys.readouterr()
        assert train(drawn, tmp_path / str(number), *WORDS, other) == Exit.RESULT
        assert "features are computed again" in capsys.readouterr().err


def test_the_log_has_what_features_took_also_where_they_are_from_the_cache(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From it `train --budget` forecasts larger images, whose features are not in the cache."""
    monkeypatch.setenv("MASKCLS_CACHE", str(tmp_path / "cache"))
    assert train(drawn, tmp_path / "first", *WORDS) == 0
    (file,) = feature_files()
    tensors, about = load_state(file)
    for number, (seconds, known) in enumerate([(about["seconds"] + 6000, True), (None, False)]):
        save_state(file, tensors, {"seconds": seconds} if known else {})  # without: a file of an earlier version
        assert train(drawn, tmp_path / str(number), *WORDS) == 0
        logs = [json.loads((tmp_path / f"{number}/fold{k}/log.jsonl").read_text()) for k in range(3)]
        assert [log["seconds"] > 2000 for log in logs] == [known] * 3


def test_without_the_cache_and_after_damage_the_bits_are_the_same(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASKCLS_CACHE", str(tmp_path / "cache"))
    assert train(drawn, tmp_path / "once", *WORDS) == 0
    (file,) = feature_files()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert train(drawn, tmp_path / "damaged", *WORDS) == 0
    os.unlink(file)
    assert train(drawn, tmp_path / "off", *WORDS, "data.cache=off") == 0
    assert feature_files() == []
    for name in ("damaged", "off"):
        for k in range(3):
            for part in ("best/weights.safetensors",):
                one, other = (outcome(tmp_path / run)[f"fold{k}/{part}"] for run in ("once", name))
                assert one == other


@pytest.mark.parametrize("name", SEVERAL)
def test_joint_and_separate_heads(drawn: Path, tmp_path: Path, name: str) -> None:
    run = tmp_path / "run"
    assert train(drawn, run, *WORDS, *SEVERAL[name]) == 0
    found = sorted(path.parent.parent.relative_to(run).as_posix() for path in run.rglob("best/meta.json"))
    assert len(found) == {"joint": 3, "separate": 9}[name]
    assert summary(run)["pooled"]["macro_f1"] > 0


def test_separate_heads_on_one_backbone_share_its_features(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With weights of its own, a backbone is the same for every task."""
    monkeypatch.setenv("MASKCLS_CACHE", str(tmp_path / "cache"))
    donor = tmp_path / "donor"
    assert train(drawn, donor, *WORDS, "--folds", "0", "predict.views=none") == 0
    weights = f"model.weights={donor / 'fold0/best/weights.safetensors'}"
    assert len(feature_files()) == 1
    assert train(drawn, tmp_path / "run", *WORDS, weights, "model.heads=separate", "--folds", "0") == 0
    assert len(feature_files()) == 2


def test_with_a_geometric_mean_heads_are_fitted_on_mean_features(drawn: Path, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert train(drawn, run, *WORDS, "predict.views=geometric:hflip", "heads.strength=0.3") == 0
    experiment, env = open_experiment(RunDir(run))
    (member,), accelerator = experiment.members, start(experiment.cfg.device)
    features = freezing.frozen_features(experiment, member, accelerator, Reporter())
    assert [features.eval_VND.shape[0], features.all_views.shape[0]] == [2, 1]
    mean_ND = features.eval_VND.astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(features.all_views[0], mean_ND, rtol=1e-6)
    for k in env.folds:
        rows = experiment.rows(member, k)
        stored = Predictions.load(experiment.fold_dir(member, k).oof)
        for task in experiment.cfg.space.tasks:
            label_n = rows.labels[task.name][rows.train]
            other = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3)
            standard = StandardScaler().fit(mean_ND[rows.train])
            other.fit(standard.transform(mean_ND[rows.train]), label_n)
            logit_nC = other.decision_function(standard.transform(mean_ND[rows.valid]))
            if len(task.classes) > 2:  # the scale was fitted, and does not change the order of two photos' margins
                logit_nC -= logit_nC.mean(axis=1, keepdims=True)
                margin_n = logit_nC[:, 0] - logit_nC[:, 1]
                prob_nC = experiment.cfg.space.marginals(stored.prob)[task.name].astype(np.float64)
                mine_n = np.log(prob_nC[:, 0]) - np.log(prob_nC[:, 1])
            else:
                margin_n = logit_nC
                prob_nC = experiment.cfg.space.marginals(stored.prob)[task.name].astype(np.float64)
                mine_n = np.log(prob_nC[:, 1]) - np.log(prob_nC[:, 0])
            assert np.corrcoef(margin_n, mine_n)[0, 1] > 0.9999, task.name
    assert outcome(run)["oof.npz"] != outcome(whole)["oof.npz"]


def test_augmented_views_change_the_heads(drawn: Path, whole: Path, tmp_path: Path) -> None:
    assert train(drawn, tmp_path / "run", *WORDS, "heads.augmented=2", "--folds", "0") == 0
    one, other = (outcome(run)["fold0/best/weights.safetensors"] for run in (whole, tmp_path / "run"))
    assert one != other


def test_further_folds_are_added(drawn: Path, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert train(drawn, run, *WORDS, "--folds", "1") == 0
    assert resume(run, "--folds", "0,2") == 0
    for k in range(3):
        name = f"fold{k}/best/weights.safetensors"
        assert outcome(run)[name] == outcome(whole)[name]


def test_what_follows_a_training_works(drawn: Path, whole: Path, tmp_path: Path) -> None:
    out, run, other = tmp_path / "out.csv", tmp_path / "run", tmp_path / "other"
    shutil.copytree(whole, run)
    shutil.copytree(whole, other)
    assert run_app(["predict", str(run), "--data", str(drawn), "-o", str(out)]) == 0
    assert len(out.read_text().splitlines()) > 20
    for verb in ("verify", "evaluate", "tta", "calibrate"):
        assert run_app([verb, str(run)]) == 0, verb
    assert run_app(["runs", "list", str(tmp_path)]) == 0
    both = ["ensemble", str(run), str(other), "--data", str(drawn), "-o", str(tmp_path / "both.csv")]
    assert run_app(both) == 0


def test_several_processes_are_refused() -> None:
    fake: Any = SimpleNamespace(num_processes=2)
    nothing: Any = None
    with pytest.raises(UsageError, match="heads are fitted by one process"):
        fitting.fit_networks(nothing, [0], fake, nothing)


def test_a_backbone_without_weights_is_said(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(drawn, tmp_path / "run", *WORDS, "--folds", "0") == Exit.OK
    assert "random weights" in capsys.readouterr().err
    assert tiny(*WORDS).model.train == "heads"


def test_a_matrix_product_takes_one_thread_while_heads_are_fitted() -> None:
    """Also that of scipy, which loads a library of its own."""
    code = (
        "from threadpoolctl import threadpool_info\n"
        "from maskcls.training.heads.blas_threads import one_thread_of_blas\n"
        "with one_thread_of_blas():\n"
        "    import scipy.linalg\n"
        "    print([one['num_threads'] for one in threadpool_info() if one['user_api'] == 'blas'])"
    )
    env = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name} | {
        "OPENBLAS_NUM_THREADS": "2"
    }
    found = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    assert len(json.loads(found)) >= 2
    assert set(json.loads(found)) == {1}


def test_one_job_fits_the_heads_of_all_folds(whole: Path) -> None:
    experiment, env = open_experiment(RunDir(whole))
    (only,) = next_jobs(replace(experiment, run=RunDir(whole.parent / "none")), env.folds)
    assert (only.job.kind, only.job.title) == ("finish", "fitting the heads")


def test_features_are_listed_and_deleted(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASKCLS_CACHE", str(tmp_path))
    old, new = tmp_path / f"{'a' * 24}.features", tmp_path / f"{'b' * 24}.features"
    for file, seconds in ((old, 1000.0), (new, time.time())):
        file.write_bytes(b"x" * 10)
        os.utime(file, (seconds, seconds))
    assert [one.path for one in list_packs().features] == [new, old]
    assert list_packs().leftovers == ()
    assert [part.name for part in prune_cache(days=30, yes=False).parts] == [old.name]
    assert prune_cache(days=30, yes=True).parts[0].bytes == 10
    assert [one.path for one in list_packs().features] == [new]
