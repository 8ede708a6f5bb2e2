"""A training that starts with fitted heads: before its first step it predicts what a run of fitted heads does."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from interrupted import Moments, copied, ending
from tiny import PLAIN, resume, train

from maskcls.cli import run_app
from maskcls.engine.checkpoint import load_predictor, load_state
from maskcls.errors import Exit, UsageError
from maskcls.jobs.work import train_one_network
from maskcls.labels import Floats
from maskcls.results.predictions import Predictions
from maskcls.rundir import RunDir
from maskcls.show.terminal.progress import Reporter
from maskcls.training.heads import frozen_features as freezing
from maskcls.training.heads.starting_heads import save_starting_heads
from maskcls.training.stored_experiment import open_experiment

STEPS = ("train.epochs=1", "train.fold_jobs=1")
# Steps so small that the weights of a network do not change: its layers normalise each row alone.
STILL = (*STEPS, "optim.lr=1e-12", "average.kind=none")
FITTED = "train.start_heads=fitted"
KINDS = {
    "multi": ("heads.kind=ridge", "heads.augmented=1"),
    "joint": ("model.heads=joint", "predict.views=hflip"),
    "separate": ("model.heads=separate", "heads.strength=0.5", "heads.balance=1"),
    "hidden": ("heads.kind=mlp", "heads.hidden=8"),
}


@pytest.fixture(scope="module")
def words(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Return the settings of a backbone with weights, of no run."""
    root = tmp_path_factory.mktemp("donor")
    assert train(drawn, root / "run", *PLAIN, "model.train=heads", "--folds", "0") == 0
    file = root / "trunk.safetensors"
    file.write_bytes((root / "run/fold0/best/weights.safetensors").read_bytes())
    return *PLAIN, f"model.weights={file}"


@pytest.fixture(scope="module")
def moments(drawn: Path, words: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Moments:
    """An uninterrupted run that starts with fitted heads, with a copy after each of its commits."""
    made = Moments(tmp_path_factory.mktemp("moments"))
    with pytest.MonkeyPatch.context() as patch:
        made.record(drawn, patch, *words, *STEPS, FITTED, "train.refit=true")
    return made


def rows_of(run: Path) -> tuple[list[str], Floats]:
    found = Predictions.load(RunDir(run).oof)
    return found.ids.tolist(), found.prob


@pytest.mark.parametrize("name", KINDS)
def test_before_the_first_step_it_predicts_what_fitted_heads_do(
    drawn: Path, words: tuple[str, ...], tmp_path: Path, name: str
) -> None:
    common = (*words, *KINDS[name], "--folds", "0")
    assert train(drawn, tmp_path / "heads", *common, "model.train=heads") == 0
    assert train(drawn, tmp_path / "run", *common, *STILL, FITTED) == 0
    expected, found = (rows_of(tmp_path / run) for run in ("heads", "run"))
    assert expected[0] == found[0]
    np.testing.assert_allclose(found[1], expected[1], atol=1e-4)  # float32 passes over batches of other lengths
    assert expected[1].std(axis=0).max() > 0.005  # new heads predict the same for every photo


def test_steps_change_heads_and_backbone(moments: Moments, words: tuple[str, ...], drawn: Path, tmp_path: Path) -> None:
    fitted = tmp_path / "heads"
    assert train(drawn, fitted, *words, "model.train=heads", "--folds", "0") == 0
    start, end = (load_predictor(RunDir(run).fold(0).best).network.state_dict() for run in (fitted, moments.run))
    for part in ("trunk.", "heads."):
        assert any((start[name] != end[name]).any() for name in start if name.startswith(part))


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_all_folds_share_one_computation_of_features(
    drawn: Path, words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    """Also where nothing is kept in the cache, and folds are trained in processes of their own."""
    calls = []
    real = freezing.view_features  # type: ignore[attr-defined]

    def counting(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        return real(*args, **kwargs)

    monkeypatch.setattr(freezing, "view_features", counting)
    run = tmp_path / "run"
    more = ("train.refit=true", "data.cache=off", f"train.fold_jobs={jobs}", "train.baseline=false")
    assert train(drawn, run, *words, *STEPS, FITTED, *more) == 0
    assert len(calls) == 1
    assert len(list(run.glob("*/resume/start_heads.safetensors"))) == 3


def heads_committed(moments: Moments) -> list[int]:
    """Return the places of the commits of fitted heads."""
    return [place for place, name in enumerate(moments.commits) if name.endswith("start_heads.safetensors")]


@pytest.mark.parametrize("every", [pytest.param(False, id="some"), pytest.param(True, marks=pytest.mark.slow)])
def test_killed_after_any_commit_it_ends_with_the_same_bits(every: bool, moments: Moments, tmp_path: Path) -> None:
    """Some: before and after the first heads, after the last ones, and within the training that follows."""
    expected, heads = ending(moments.run), heads_committed(moments)
    assert len(heads) == 3
    some = {heads[0] - 1, heads[0], heads[-1], (heads[-1] + len(moments.commits)) // 2}
    all_of_heads = {*range(heads[0] - 1, heads[-1] + 2), *range(heads[-1], len(moments.commits), 25)}
    for index in sorted(all_of_heads if every else some):
        run = copied(moments.root / str(index), tmp_path / str(index))
        assert resume(run) == 0
        assert ending(run) == expected, f"killed after {moments.commits[index]}"


def test_a_job_of_one_network_fits_its_own_heads(moments: Moments, tmp_path: Path) -> None:
    """To the bits of the command that trains every fold."""
    run = RunDir(copied(moments.root / str(heads_committed(moments)[0] - 1), tmp_path / "run"))
    train_one_network(run, "fold1", None, Reporter(quiet=True))
    assert not run.fold(0).start_heads.exists()
    files = [one.fold(1).start_heads for one in (run, RunDir(moments.run))]
    (mine, chosen), (theirs, as_chosen) = (load_state(file) for file in files)
    assert chosen["heads"] == as_chosen["heads"]
    assert set(mine) == {f"{name}.{part}" for name in ("mask", "gender", "age") for part in ("weight", "bias")}
    assert all((mine[name] == theirs[name]).all() for name in mine)
    assert resume(run.path) == 0
    assert ending(run.path) == ending(moments.run)


def test_damaged_heads_are_refused_and_named_before_any_training(
    moments: Moments, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunDir(copied(moments.root / str(heads_committed(moments)[-1]), tmp_path / "run"))
    file = run.fold(1).start_heads
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.unlink()  # a link to the fixture's file
    file.write_bytes(content)
    capsys.readouterr()
    assert resume(run.path) == Exit.WEIGHTS
    assert not run.fold(0).state.exists()
    assert "start_heads.safetensors" in capsys.readouterr().err
    assert run_app(["verify", str(run.path)]) == Exit.RESULT
    assert "start_heads.safetensors" in capsys.readouterr().out
    file.unlink()
    assert resume(run.path) == 0
    assert ending(run.path) == ending(moments.run)


def test_a_network_that_is_continued_starts_with_its_own_heads(
    drawn: Path, words: tuple[str, ...], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert train(drawn, run, *words, *STEPS, FITTED, "train.continue_epochs=1", "--folds", "0") == 0
    assert len(list(run.rglob("start_heads.safetensors"))) == 1
    assert (run / "fold0/continued/DONE").exists()


def test_several_processes_are_refused_where_heads_are_to_be_fitted(moments: Moments, tmp_path: Path) -> None:
    fake: Any = SimpleNamespace(num_processes=2)
    nothing: Any = None
    experiment, env = open_experiment(RunDir(moments.run))
    save_starting_heads(experiment, experiment.trainings(env.folds), fake, nothing)  # all are fitted
    before = copied(moments.root / str(heads_committed(moments)[0] - 1), tmp_path / "run")
    experiment, env = open_experiment(RunDir(before))
    with pytest.raises(UsageError, match="heads are fitted by one process"):
        save_starting_heads(experiment, experiment.trainings(env.folds), fake, nothing)


@pytest.mark.parametrize("more", [(), ("model.heads=separate",)])
def test_random_weights_are_refused(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...]
) -> None:
    assert train(drawn, tmp_path / "run", *STEPS, FITTED, *more) == Exit.CONFIG
    assert "heads cannot be fitted on the features of random weights" in capsys.readouterr().err
