"""Runs with model.options: every verb builds the network that was trained, and no other network's results are used."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import RECIPE, hashes, resume, train

from maskcls.cli import run_app
from maskcls.data.photos.cache_folder import cache_folder
from maskcls.engine.checkpoint import load_predictor, read_meta
from maskcls.errors import Exit
from maskcls.results.predictions import Predictions
from maskcls.rundir import RunDir

SAME = "model.options={pad_type: same}"
FIRST = "fold0/best/weights.safetensors"


@pytest.fixture(scope="module")
def run(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run with an option; the tests write nothing into it but what they delete."""
    path = tmp_path_factory.mktemp("options") / "run"
    assert train(drawn, path, SAME, "optim.lr=1e-2") == 0
    return path


@pytest.fixture(scope="module")
def plain(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run without the option."""
    path = tmp_path_factory.mktemp("plain") / "run"
    assert train(drawn, path, "optim.lr=1e-2") == 0
    return path


def predicted(run: Path, data: Path, to: Path) -> np.ndarray:
    words = ["-o", str(to / "s.csv"), "--probabilities", str(to / "p.csv"), "--force"]
    assert run_app(["predict", str(run), "--data", str(data), *words]) == 0
    return pd.read_csv(to / "p.csv").select_dtypes("number").to_numpy()


def test_the_option_is_saved_with_the_weights_and_changes_the_result(run: Path, plain: Path) -> None:
    written = json.loads((run / "fold0/best/meta.json").read_text())
    assert written["options"] == {"pad_type": "same"}
    assert "options" not in json.loads((plain / "fold0/best/meta.json").read_text())  # as of an earlier version
    assert read_meta(RunDir(plain).fold(0).best).blueprint.backbone.options == {}
    assert "pad_type: same" in (run / "config.yaml").read_text()
    prob = [Predictions.load(RunDir(one).oof).prob for one in (run, plain)]
    assert not np.allclose(*prob)
    trunk = load_predictor(RunDir(run).fold(0).best).network.trunk
    assert "Conv2dSame" in str(trunk)


def test_weights_without_their_option_are_another_network(run: Path, drawn: Path, tmp_path: Path) -> None:
    """Names and shapes are the same, so nothing but the recorded option tells them apart."""
    want = predicted(run, drawn, tmp_path)
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    assert np.array_equal(predicted(copy, drawn, tmp_path), want)
    meta = copy / "fold0/best/meta.json"
    meta.write_text(meta.read_text().replace('"same"', '""'))
    assert run_app(["predict", str(copy), "--data", str(drawn), "-o", str(tmp_path / "x.csv")]) == Exit.WEIGHTS


def test_a_killed_run_resumes_to_the_same_bits_and_verifies(run: Path, drawn: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    want = hashes(copy)["fold1/best/weights.safetensors"]
    shutil.rmtree(copy / "fold1")
    for name in ("oof.npz", "summary.json"):
        (copy / name).unlink()
    assert resume(copy) == 0
    assert hashes(copy)["fold1/best/weights.safetensors"] == want
    assert run_app(["verify", str(copy)]) == 0


def test_a_run_is_continued_with_its_own_option_alone(run: Path, drawn: Path) -> None:
    for words in ((), ("model.options.pad_type=''",), ("model.options={}",)):
        assert train(drawn, run, "optim.lr=1e-2", *words) == Exit.BUSY


def test_a_plain_timm_checkpoint_is_built_with_the_option(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_app(["export", str(run), "--to", "safetensors", "-o", str(tmp_path / "out")]) == 0
    about = json.loads((tmp_path / "out/config.json").read_text())["networks"]
    assert [(one["backbone"], one["options"]) for one in about] == [("test_efficientnet", {"pad_type": "same"})] * 2
    names: dict[str, Any] = {"__file__": str(tmp_path / "out/load.py"), "__name__": "load"}
    exec(compile((tmp_path / "out/load.py").read_text(), "load.py", "exec"), names)
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        wanted = load_predictor(RunDir(run).fold(0).best).network.eval()(images)
    for head, logits in names["load"](about[0]["name"])(images).items():
        torch.testing.assert_close(logits, wanted[head], atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize(("to", "name"), [("onnx", "model.onnx"), ("torch-export", "model.pt2")])
def test_one_file_has_the_option(run: Path, drawn: Path, tmp_path: Path, to: str, name: str) -> None:
    """`export` compares the file with the run before it writes it."""
    assert run_app(["export", str(run), "--to", to, "-o", str(tmp_path / name)]) == 0
    assert (tmp_path / name).stat().st_size > 10_000


def test_features_of_one_option_are_not_those_of_another(
    run: Path, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same tensors, in networks that compute other things of them; a separate network may have its own option."""
    monkeypatch.setenv("MASKCLS_CACHE", str(tmp_path / "cache"))
    words = ["model.train=heads", f"model.weights={run / FIRST}", "--folds", "0"]
    probs = []
    for count, option in enumerate((SAME, "model.options={}", SAME), start=1):
        path = tmp_path / str(count)
        assert train(drawn, path, *words, option) == 0
        assert len(list(cache_folder().glob("*.features"))) == min(count, 2)
        probs.append(Predictions.load(RunDir(path).oof).prob)
    assert np.array_equal(probs[0], probs[2])
    assert not np.allclose(probs[0], probs[1])
    path, own = tmp_path / "separate", "separate={mask: {model.options: {}}, age: {model.options.pad_type: ''}}"
    assert train(drawn, path, *words, SAME, "model.heads=separate", own) == 0
    options = {task: read_meta(RunDir(path).fold(0, task).best).options for task in ("mask", "gender", "age")}
    assert options == {"mask": {}, "gender": {"pad_type": "same"}, "age": {"pad_type": ""}}
    oof = Predictions.load(RunDir(path).oof)
    want = [oof.space.marginals(prob) for prob in probs[:2]]
    got = oof.space.marginals(oof.prob)
    for task, one in (("mask", 1), ("gender", 0), ("age", 1)):
        np.testing.assert_allclose(got[task], want[one][task], atol=1e-5)
    written = tmp_path / "out"
    written.mkdir()
    assert np.isfinite(predicted(path, drawn, written)).all()


def test_weights_of_another_option_are_noted(
    run: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = 'was trained in test_efficientnet {"pad_type": "same"}, and is used in test_efficientnet\n'
    words = [f"model.weights={run / FIRST}", "--folds", "0", "train.epochs=1", "--dry-run"]
    assert train(drawn, tmp_path / "a", *words) == 0
    assert told in capsys.readouterr().err
    assert train(drawn, tmp_path / "b", *words, SAME) == 0
    assert "was trained in" not in capsys.readouterr().err


def test_a_pretrained_trunk_records_its_option(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "trunk.safetensors"
    words = [word for word in RECIPE if not word.startswith(("train.epochs", "predict"))]
    begin = ["pretrain", str(drawn), "-o", str(output), *words, "--epochs", "1", "--lr", "0.1"]
    assert run_app([*begin, SAME, "--minutes", "0"]) == 0
    assert run_app(begin) == Exit.BUSY  # the state is of another network
    assert run_app([*begin, SAME]) == 0
    assert json.loads(output.with_suffix(".json").read_text())["options"] == {"pad_type": "same"}
    capsys.readouterr()
    assert train(drawn, tmp_path / "run", f"model.weights={output}", "train.epochs=1", "--dry-run") == 0
    assert 'was trained in test_efficientnet {"pad_type": "same"}' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("model.options.pad_typ=same", "did you mean 'pad_type'?"),
        ("model.options.pad_type=sme", "the backbone is the same without these options"),
        ("model.options.drop_path_rate=0.1", "model.drop_path in its place"),
    ],
)
def test_a_wrong_option_ends_a_training_before_it_begins(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, told: str
) -> None:
    assert train(drawn, tmp_path / "run", option) == Exit.CONFIG
    error = capsys.readouterr().err
    assert "model.options" in error
    assert told in error
    assert not (tmp_path / "run" / "env.json").exists()
    assert "Traceback" not in error


def test_the_forecast_and_the_card_name_the_option(
    run: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(drawn, tmp_path / "x", SAME, "--dry-run") == 0
    assert 'test_efficientnet {"pad_type": "same"}, 32 x 32 pixels' in capsys.readouterr().out
