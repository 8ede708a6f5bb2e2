"""Runs whose heads have a hidden layer: rebuilt from their files alone, and read by every verb that reads a run."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from interrupted import Moments, ending
from tiny import outcome, recipe, resume, train

from maskcls.cli import run_app
from maskcls.data.photos.images import read_image
from maskcls.engine.checkpoint import load_predictor
from maskcls.engine.device import start
from maskcls.errors import Exit, UsageError
from maskcls.export.open_model import open_model
from maskcls.labels import CONTEST
from maskcls.nn.heads import Hidden
from maskcls.rundir import RunDir
from maskcls.show.terminal.progress import Reporter
from maskcls.synth.embedded.retrained_fold import refuse_other_heads
from maskcls.training.heads.frozen_features import frozen_features
from maskcls.training.stored_experiment import open_experiment

FITTED = ("model.train=heads", "folds.k=3", "predict.views=hflip")
WORDS = (*FITTED, "heads.kind=mlp", "heads.hidden=8")


@pytest.fixture(scope="module")
def moments(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Moments:
    """The uninterrupted run, with a copy after each of its commits."""
    made = Moments(tmp_path_factory.mktemp("moments"))
    with pytest.MonkeyPatch.context() as patch:
        made.record(drawn, patch, *WORDS, "train.refit=true")
    return made


@pytest.fixture
def run(moments: Moments, tmp_path: Path) -> Path:
    """A copy, as verbs write into a run."""
    return Path(shutil.copytree(moments.run, tmp_path / "run"))


def app(*words: object) -> int:
    return run_app([str(word) for word in words])


def test_the_file_alone_says_how_its_heads_are_built(moments: Moments) -> None:
    for name in ("fold0", "refit"):
        heads = json.loads((moments.run / name / "best/meta.json").read_text())["heads"]
        assert [head["hidden"] for head in heads] == [8, 8, 8]
    network = load_predictor(RunDir(moments.run).fold(0).best).network
    for head in network.heads.children():
        assert isinstance(head, Hidden)
        assert head.hidden.out_features == 8
        assert float(head.output.weight.detach().abs().max()) > 0


def test_killed_after_any_commit_it_ends_with_the_same_bits(moments: Moments) -> None:
    expected = ending(moments.run)
    for index in range(moments.commits.index("times.json"), len(moments.commits), 12):
        run = moments.after(index)
        assert resume(run) == 0
        assert ending(run) == expected, f"killed after {moments.commits[index]}"


def test_the_bits_do_not_depend_on_threads_and_settings_change_them(
    drawn: Path, moments: Moments, tmp_path: Path
) -> None:
    weights = "fold0/best/weights.safetensors"
    first = outcome(moments.run)[weights]
    found = {}
    for number, words in enumerate(
        (["device.threads=2"], ["heads.hidden=9"], ["heads.strength=0.5"], ["heads.balance=1"], ["heads.kind=lda"])
    ):
        assert train(drawn, tmp_path / str(number), *WORDS, *words, "--folds", "0") == 0
        found[words[0]] = outcome(tmp_path / str(number))[weights]
    assert found.pop("device.threads=2") == first
    assert len({first, *found.values()}) == 5


def test_seeds_are_networks_of_their_own(drawn: Path, tmp_path: Path) -> None:
    """The heads of both seeds are on the same backbone, of which the file is given."""
    assert train(drawn, tmp_path / "donor", *FITTED, "--folds", "0") == 0
    weights = f"model.weights={tmp_path / 'donor/fold0/best/weights.safetensors'}"
    run = tmp_path / "run"
    assert train(drawn, run, *WORDS, weights, "train.seeds=2", "--folds", "0") == 0
    one, other = (load_predictor(folder.best).network.state_dict() for folder in _folders(run))
    assert all((one[name] == other[name]).all() for name in one if name.startswith("trunk."))
    assert all((one[name] != other[name]).any() for name in one if name.startswith("heads."))
    assert app("evaluate", run) == 0


def _folders(run: Path) -> list[RunDir]:
    experiment, _ = open_experiment(RunDir(run))
    return [experiment.fold_dir(member, 0) for member in experiment.members]


def test_with_a_geometric_mean_heads_are_fitted_on_every_view(drawn: Path, tmp_path: Path) -> None:
    """A head that is not linear predicts the mean logits of the views, not what it would of mean features."""
    run = tmp_path / "run"
    assert train(drawn, run, *WORDS, "predict.views=geometric:hflip", "--folds", "0") == 0
    experiment, _ = open_experiment(RunDir(run))
    (member,) = experiment.members
    features = frozen_features(experiment, member, start(experiment.cfg.device), Reporter(quiet=True))
    np.testing.assert_array_equal(features.all_views, features.eval_VND)
    assert len(features.all_views) == 2


@pytest.mark.parametrize("heads", ["joint", "separate"])
def test_joint_and_separate_heads(drawn: Path, tmp_path: Path, heads: str) -> None:
    run = tmp_path / "run"
    assert train(drawn, run, *WORDS, f"model.heads={heads}", "--folds", "0") == 0
    metas = [json.loads(path.read_text())["heads"] for path in run.rglob("best/meta.json")]
    assert sorted((head["name"], head["hidden"]) for meta in metas for head in meta) == (
        [("joint", 8)] if heads == "joint" else [("age", 8), ("gender", 8), ("mask", 8)]
    )


def test_verbs_that_read_a_run(drawn: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tables = ["-o", tmp_path / "s.csv", "--probabilities", tmp_path / "p.csv"]
    assert app("predict", run, "--data", drawn, *tables) == 0
    with (tmp_path / "p.csv").open() as file:
        rows = {row["ImageID"]: row for row in csv.DictReader(file)}
    paths = sorted((drawn / "eval/images").iterdir())[:3]
    with Reporter(quiet=True) as report:
        model = open_model(run, report=report)
    marginals = CONTEST.marginals(model.predict([read_image(path, at_least=model.decode_size) for path in paths]))
    for number, path in enumerate(paths):
        for task in CONTEST.tasks:
            expected = [float(rows[path.name][f"{task.name}/{name}"]) for name in task.classes]
            np.testing.assert_allclose(marginals[task.name][number], expected, atol=2e-5)  # batches of another length
    assert app("explain", run, paths[0], "-o", tmp_path / "why.png", "--folds", "0,1,2") == 0
    for verb in ("verify", "evaluate", "tta", "calibrate", "report"):
        assert app(verb, run) == 0, verb
    linear = tmp_path / "linear"
    assert train(drawn, linear, *FITTED) == 0
    assert app("ensemble", run, linear, "--data", drawn, "-o", tmp_path / "both.csv") == 0
    capsys.readouterr()
    assert app("export", run, "--to", "safetensors", "-o", tmp_path / "timm") == Exit.USAGE
    assert "this head cannot be written as a linear layer" in capsys.readouterr().err


def test_a_dry_run_and_a_baseline_beside_it(drawn: Path, run: Path, tmp_path: Path) -> None:
    assert train(drawn, tmp_path / "plan", *WORDS, "--dry-run") == 0
    weights = f"model.weights={run / 'fold0/best/weights.safetensors'}"
    words = ("folds.k=3", "train.epochs=1", "train.start_heads=fitted", "heads.kind=mlp", "train.baseline=true")
    assert train(drawn, tmp_path / "whole", *words, weights, "--folds", "0") == 0
    assert (tmp_path / "whole/fold0/frozen_heads.npz").exists()
    assert isinstance(load_predictor(RunDir(tmp_path / "whole").fold(0).best).network.heads["age"], Hidden)


def test_its_heads_are_not_fitted_again_with_interpolated_examples(moments: Moments) -> None:
    experiment, _ = open_experiment(RunDir(moments.run))
    with pytest.raises(UsageError, match="cannot be fitted again") as error:
        refuse_other_heads(experiment.members[0])
    assert list(error.value.offenders) == [
        "mask: softmax, 8 hidden units, 3 outputs",
        "gender: softmax, 8 hidden units, 2 outputs",
        "age: softmax, 8 hidden units, 3 outputs",
    ]


@pytest.mark.slow
def test_its_networks_in_8_bits(drawn: Path, run: Path, tmp_path: Path) -> None:
    words = ("--int8", "--calibration", "16", "--max-loss", "1")
    assert app("export", run, "-o", tmp_path / "small.onnx", *words) == 0
    assert (tmp_path / "small.onnx").stat().st_size > 10_000


@pytest.mark.slow
def test_a_search_over_hidden_units(drawn: Path, tmp_path: Path) -> None:
    space = tmp_path / "space.yaml"
    space.write_text("heads.hidden: [4, 16]\nheads.strength: {low: 0.01, high: 1, log: true}\n")
    study = tmp_path / "study"
    assert app("tune", drawn, *recipe(*WORDS), "--space", space, "--study", study, "--trials", "2") == 0
    assert "hidden:" in (study / "best.yaml").read_text()
