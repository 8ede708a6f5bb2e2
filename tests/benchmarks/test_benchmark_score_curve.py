"""The benchmark of score over time: its arithmetic and picture, timm's network, and a short measurement as a whole."""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from project import BENCHMARKS_DIR
from safetensors.torch import save_file

from maskcls.labels import CONTEST
from maskcls.results.labelled_predictions import LabelledPredictions

BACKBONE = "mobilenetv4_conv_small"
LOADED = ("alternate", "photos", "bare", "step", "peer", "timm_folds", "score_curve")


@pytest.fixture(scope="module")
def scripts() -> Iterator[SimpleNamespace]:
    """Import the scripts as they import each other, and take their names back: tests have a `photos` of their own."""
    before = {name: sys.modules.pop(name) for name in LOADED if name in sys.modules}
    sys.path.insert(0, str(BENCHMARKS_DIR))
    loaded: dict[str, ModuleType] = {name: importlib.import_module(name) for name in LOADED}
    yield SimpleNamespace(**loaded)
    sys.path.remove(str(BENCHMARKS_DIR))
    for name in LOADED:
        sys.modules.pop(name, None)
    sys.modules.update(before)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a trunk with random weights."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "trunk.safetensors"
    save_file(timm.create_model(BACKBONE, num_classes=0).state_dict(), path)
    return path


# --- timm's network


@pytest.mark.parametrize("frozen", [False, True])
def test_a_frozen_network_trains_its_classifier_alone(scripts: SimpleNamespace, weights: Path, frozen: bool) -> None:
    recipe = scripts.timm_folds.Recipe(BACKBONE, weights, (64, 48), 1, 1e-3, 0, frozen)
    torch.manual_seed(1)
    network = scripts.timm_folds.network_of(recipe, 18).eval()
    images_BCHW = torch.rand(2, 3, 64, 48)
    logits_BJ = scripts.timm_folds.logits_of(network, images_BCHW, frozen=frozen)
    torch.testing.assert_close(logits_BJ, network(images_BCHW))
    logits_BJ.sum().backward()
    with_gradient = {name for name, one in network.named_parameters() if one.grad is not None}
    own = {"classifier.weight", "classifier.bias"}
    assert with_gradient == (own if frozen else {name for name, _ in network.named_parameters()})


def test_weights_of_another_network_are_refused(scripts: SimpleNamespace, tmp_path: Path) -> None:
    save_file({"conv_stem.weight": torch.zeros(32, 3, 3, 3)}, tmp_path / "one.safetensors")
    recipe = scripts.timm_folds.Recipe(BACKBONE, tmp_path / "one.safetensors", (64, 48), 1, 1e-3, 0, False)
    with pytest.raises(SystemExit, match="without"):
        scripts.timm_folds.network_of(recipe, 18)


# --- arithmetic


def test_shorter_trainings_come_first_and_heads_once(scripts: SimpleNamespace) -> None:
    curve = scripts.score_curve
    heads, steps = curve.Curve("heads", (0,), ("first_minutes",)), curve.Curve("steps", (1, 2, 4))
    found = [(point.curve.name, point.epochs, point.seed) for point in curve.points_of([steps, heads], [3, 5], 2)]
    assert found == [("heads", 0, 3), ("steps", 1, 3), ("steps", 1, 5), ("steps", 2, 3), ("steps", 2, 5)]


def test_rows_are_put_in_order_and_others_refused(scripts: SimpleNamespace) -> None:
    record = {"ids": ["b", "a"], "predicted": [7, 3]}
    assert scripts.score_curve.in_order(record, ["a", "b"]).tolist() == [3, 7]
    with pytest.raises(SystemExit, match="different rows"):
        scripts.score_curve.in_order(record, ["a", "c"])


def test_a_point_with_another_rate_is_measured_again(scripts: SimpleNamespace, tmp_path: Path) -> None:
    assert not scripts.score_curve.is_finished(tmp_path, 1e-3)
    (tmp_path / "point.json").write_text('{"minutes": 1.0, "lr": 0.001}\n')
    assert scripts.score_curve.is_finished(tmp_path, 1e-3)
    assert not scripts.score_curve.is_finished(tmp_path, 1e-2)
    assert not scripts.score_curve.is_finished(tmp_path, None)


@pytest.fixture
def scored(scripts: SimpleNamespace) -> tuple[list[object], LabelledPredictions]:
    """Return made-up points of eight photos of four people: heads are right on all, timm on the first half."""
    truth_N = np.array([0, 0, 1, 1, 0, 0, 1, 1])
    half_N = np.array([0, 0, 1, 1, 1, 1, 0, 0])
    truth = {task.name: CONTEST.decode(truth_N)[task.name] for task in CONTEST.tasks}
    ids, people = [f"{place}" for place in range(8)], np.array(["a", "a", "b", "b", "c", "c", "d", "d"])
    reference = LabelledPredictions(ids, truth_N, truth, CONTEST, people_N=people)
    curve = scripts.score_curve
    heads = curve.Scored(curve.CURVES[0], 0, {0: 0.5, 1: 0.5}, {0: truth_N, 1: truth_N}, {0: 1.0, 1: 1.0})
    timm_1 = curve.Scored(curve.CURVES[5], 1, {0: 1.0, 1: 2.0}, {0: half_N, 1: half_N}, {0: 0.5, 1: 0.5})
    timm_2 = curve.Scored(curve.CURVES[5], 2, {0: 2.0, 1: 3.0}, {0: truth_N, 1: half_N}, {0: 1.0, 1: 0.5})
    multi = curve.Scored(curve.CURVES[2], 1, {1: 4.0}, {1: truth_N}, {1: 1.0})
    return [heads, timm_1, timm_2, multi], reference


def test_the_table_compares_with_the_best_point_of_timm(
    scripts: SimpleNamespace, scored: tuple[list[object], LabelledPredictions]
) -> None:
    table = scripts.score_curve.table_of(*scored, [0, 1])
    assert table.head[-1] == "over timm, 2 epochs"
    assert [row[:5] for row in table.rows] == [
        ["first_minutes", "0.5", "1.000", "1.000", "1.000"],
        ["timm, 1 epoch", "1.5", "0.500", "0.500", "0.500"],
        ["timm, 2 epochs", "2.5", "1.000", "0.500", "0.750"],
        ["multi, 1 epoch", "4.0", "-", "1.000", "1.000"],
    ]
    assert [row[-1].partition(" ")[0] for row in table.rows] == ["+0.250", "-0.250", "", "+0.500"]


def test_the_picture_is_drawn(scripts: SimpleNamespace, scored: tuple[list[object], LabelledPredictions]) -> None:
    points, reference = scored
    figure = scripts.score_curve.picture_of(points, scripts.score_curve.table_of(points, reference, [0, 1]))
    with Image.open(io.BytesIO(scripts.score_curve.to_png(figure))) as picture:
        assert len(picture.convert("RGB").resize((400, 250)).getcolors(100_000) or ()) > 3
        assert picture.width > picture.height


# --- as a whole


@pytest.mark.slow
def test_a_short_measurement(
    scripts: SimpleNamespace, drawn: Path, weights: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    call = [str(drawn), "--weights", str(weights), "--out", str(tmp_path / "out"), "--seeds", "0", "--longest", "1"]
    call += ["--rates", "1e-3", "--frozen-rates", "1e-3", "1e-2", "--only", "multi", "timm", "timm frozen"]
    assert scripts.score_curve.main([*call, "--picture", str(tmp_path / "curve.png")]) == 0
    told = capfd.readouterr()
    assert told.err.count(" minutes") == 4
    assert told.err.count("rates on fold 4") == 2
    lines = told.out.splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        "| multi, 1 epoch",
        "| timm, 1 epoch",
        "| timm frozen, 1 epoch",
    ]
    assert (tmp_path / "curve.png").exists()
    assert scripts.score_curve.main(call) == 0
    again = capfd.readouterr()
    assert again.err.count("rates on fold 4") == len(again.err.splitlines()) == 2
    assert again.out == told.out
