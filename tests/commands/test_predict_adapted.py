"""maskcls predict … predict.adapt=…: equal to the definition, kept apart, and refused where it has no meaning."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import experiment, train

from maskcls.cli import run_app
from maskcls.data.photos.images import read_image
from maskcls.data.views.transforms import eval_view
from maskcls.engine.checkpoint import load_predictor
from maskcls.results.predictions import Predictions
from maskcls.results.shift.coral import FeatureMoments, coral_map, pulled_in
from maskcls.rundir import RunDir

QUICK = ("train.epochs=1", "optim.lr=1e-2", "schedule.warmup_epochs=0", "average.kind=none")
PHOTOS = 21


def predict(run: Path, data: Path, output: Path, *words: str) -> int:
    return run_app(["predict", str(run), "--data", str(data), "-o", str(output), *words])


@pytest.fixture(scope="module")
def run(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folds of a backbone with batch norms, and their predictions: plain, coral and adabn."""
    made = tmp_path_factory.mktemp("adapted") / "run"
    assert train(drawn, made, *QUICK) == 0
    for adapt in ("none", "coral", "adabn"):
        assert predict(made, drawn, made.parent / f"{adapt}.csv", f"predict.adapt={adapt}") == 0
    return made


def kept(run: Path, adapt: str) -> Predictions:
    suffix = "" if adapt == "none" else f"-{adapt}"
    return Predictions.load(run / "test" / f"faces-none{suffix}.npz")


def sidecar(run: Path, adapt: str) -> dict[str, Any]:
    return json.loads((run.parent / f"{adapt}.json").read_text())["lineage"]


def images_of(root: Path, paths: list[str], spec: Any) -> torch.Tensor:
    pixels = np.stack([eval_view(read_image(root / path, at_least=spec.decode_size), spec) for path in paths])
    scaled = (pixels.astype(np.float64) / 255 - spec.mean) / spec.std
    return torch.tensor(scaled.transpose(0, 3, 1, 2), dtype=torch.float32)


def test_both_are_what_their_definitions_say(run: Path, drawn: Path) -> None:
    train_set = experiment(drawn, *QUICK)
    folds = pd.read_csv(run / "folds.csv")["fold"].tolist()
    with (drawn / "eval" / "info.csv").open() as file:
        ids = [row["ImageID"] for row in csv.DictReader(file)]
    found = {adapt: kept(run, adapt).align(ids).prob for adapt in ("none", "coral", "adabn")}
    want: dict[str, list[np.ndarray]] = {"coral": [], "adabn": []}
    for k in (0, 1):
        predictor = load_predictor(RunDir(run).fold(k).best)
        network, spec, space = predictor.network.eval(), predictor.spec, predictor.space
        new = images_of(drawn / "eval" / "images", ids, spec)
        own = images_of(
            train_set.photo_root, [p for p, fold in zip(train_set.photo_paths, folds, strict=True) if fold == k], spec
        )
        with torch.no_grad():
            old_ND, new_ND = (network.trunk(one).double().numpy() for one in (own, new))
            shrinkage = new_ND.shape[1] / (new_ND.shape[1] + PHOTOS)
            mapping = coral_map(
                FeatureMoments.of(pulled_in(old_ND)), FeatureMoments.of(pulled_in(new_ND)), shrinkage=shrinkage
            )
            features = {"coral": torch.tensor(mapping(new_ND), dtype=torch.float32)}
            for module in network.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.momentum = 1.0
                    module.training = True
            network.trunk(new)
            network.eval()
            features["adabn"] = network.trunk(new)
            for adapt, feature_ND in features.items():
                tasks = {n: torch.softmax(h(feature_ND).reshape(PHOTOS, -1), 1) for n, h in network.heads.items()}
                want[adapt].append(space.compose({n: p.numpy() for n, p in tasks.items()}, {}))
    for adapt, parts in want.items():
        np.testing.assert_allclose(found[adapt], np.mean(parts, axis=0), atol=1e-5, err_msg=adapt)
        assert np.abs(found[adapt] - found["none"]).max() > 2e-4, adapt


def test_predictions_with_and_without_are_different_files_and_say_so(run: Path) -> None:
    assert sorted(path.name for path in (run / "test").glob("*.npz")) == [
        "faces-none-adabn.npz",
        "faces-none-coral.npz",
        "faces-none.npz",
    ]
    assert "adapt" not in sidecar(run, "none")
    coral, adabn = sidecar(run, "coral")["adapt"], sidecar(run, "adabn")["adapt"]
    assert (coral["method"], coral["photos"], coral["train_photos"]) == ("coral", PHOTOS, 42)
    assert len(coral["shrinkage"]) == 2
    assert (adabn["method"], adabn["train_photos"], adabn["shrinkage"]) == ("adabn", 0, [])
    assert coral["ids_sha256"] == adabn["ids_sha256"]
    assert kept(run, "coral").lineage["adapt"] == coral


def test_evaluate_says_how_the_networks_were_adapted(
    run: Path, drawn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of predictions, and of a submission by its sidecar; nothing is said of plain ones."""
    answers = ["--answers", str(drawn / "eval" / "answers.csv")]
    for adapt in ("none", "coral", "adabn"):
        suffix, expected = ("", []) if adapt == "none" else (f"-{adapt}", [adapt])
        for what in (run / "test" / f"faces-none{suffix}.npz", run.parent / f"{adapt}.csv"):
            capsys.readouterr()
            assert run_app(["evaluate", str(what), *answers]) == 0
            assert ("adapted to these photos: predict.adapt=" + adapt in capsys.readouterr().out) == bool(expected)
            assert run_app(["evaluate", str(what), *answers, "--json"]) == 0
            assert json.loads(capsys.readouterr().out)["adapted"] == expected


@pytest.mark.parametrize("adapt", ["coral", "adabn"])
def test_neither_the_order_of_the_photos_nor_the_batch_size_matters(
    run: Path, drawn: Path, tmp_path: Path, adapt: str
) -> None:
    data, table = tmp_path / "faces", drawn / "eval" / "info.csv"
    shutil.copytree(drawn, data)
    head, *lines = table.read_text().splitlines()
    (data / "eval" / "info.csv").write_text("\n".join([head, *lines[::-1]]) + "\n")
    before = kept(run, adapt)
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    assert predict(copy, data, tmp_path / "a.csv", f"predict.adapt={adapt}") == 0
    turned = kept(copy, adapt)
    assert turned.ids.tolist() == before.ids.tolist()[::-1]
    np.testing.assert_allclose(turned.align(before.ids).prob, before.prob, atol=1e-6)
    words = (f"predict.adapt={adapt}", "predict.batch_size=4", "data.cache=off")
    assert predict(copy, data, tmp_path / "b.csv", *words) == 0
    np.testing.assert_allclose(kept(copy, adapt).align(before.ids).prob, before.prob, atol=1e-5)


def test_an_ensemble_predicts_its_runs_with_adapted_networks(run: Path, drawn: Path, tmp_path: Path) -> None:
    copy, output = tmp_path / "run", tmp_path / "e.csv"
    shutil.copytree(run, copy)
    kept_before = kept(copy, "none").to_bytes()
    words = ["ensemble", str(copy), "--data", str(drawn), "-o", str(output), "predict.adapt=coral"]
    assert run_app(words) == 0
    assert output.read_text() == (run.parent / "coral.csv").read_text()
    (member,) = json.loads(output.with_suffix(".json").read_text())["lineage"]["members"]
    assert member["adapt"]["method"] == "coral"
    assert kept(copy, "none").to_bytes() == kept_before
    assert run_app(["ensemble", str(copy), "--data", str(drawn), "-o", str(tmp_path / "p.csv")]) == 0
    assert (tmp_path / "p.csv").read_text() == (run.parent / "none.csv").read_text()


def test_pseudo_labels_say_that_the_networks_were_adapted(run: Path, drawn: Path, tmp_path: Path) -> None:
    for adapt in ("none", "coral"):
        words = ["--min-confidence", "0", "--agree", "0", f"predict.adapt={adapt}"]
        output = tmp_path / f"{adapt}.csv"
        assert run_app(["pseudo-label", str(run), "--data", str(drawn), "-o", str(output), *words]) == 0
    (plain,), (adapted,) = (
        json.loads((tmp_path / f"{adapt}.json").read_text())["lineage"]["runs"] for adapt in ("none", "coral")
    )
    assert "adapt" not in plain
    assert adapted["adapt"]["method"] == "coral"
    assert (tmp_path / "none.csv").read_text() != (tmp_path / "coral.csv").read_text()


def test_refused_where_it_has_no_meaning(
    run: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = next((drawn / "eval" / "images").iterdir())

    def told(*words: str) -> str:
        capsys.readouterr()
        assert run_app(list(words)) in (2, 3, 4)
        return capsys.readouterr().err

    adapt = "predict.adapt=coral"
    assert "not in a training" in told("train", str(drawn), "--run", str(tmp_path / "no"), adapt)
    assert not (tmp_path / "no").exists()
    assert "to all photos together" in told("predict", str(run), str(photo), adapt)
    assert "tta tries every view" in told("tta", str(run), adapt)
    assert "as they are" in told("explain", str(run), str(photo), "-o", str(tmp_path / "e.png"), adapt)
    words = ("predict", str(run), "--data", str(drawn), "-o", str(tmp_path / "d.csv"), "--decide", adapt)
    assert "without adaptation" in told(*words)
    words = ("ensemble", str(run), "--data", str(drawn), "-o", str(tmp_path / "e.csv"), "--decide", adapt)
    assert "without adaptation" in told(*words)
    few = tmp_path / "few"
    shutil.copytree(drawn, few)
    table = few / "eval" / "info.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join(lines[:20]) + "\n")  # the head and 19 photos
    for line in lines[20:]:
        (few / "eval" / "images" / line.split(",")[0]).unlink()
    found = told("predict", str(run), "--data", str(few), "-o", str(tmp_path / "f.csv"), adapt)
    assert "too few photos" in found
    assert "19" in found


def test_adabn_is_refused_for_a_backbone_without_batch_norm(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "run"
    assert train(drawn, made, *QUICK, "model.backbone=test_convnext") == 0
    capsys.readouterr()
    assert predict(made, drawn, tmp_path / "a.csv", "predict.adapt=adabn") == 3
    found = capsys.readouterr().err
    assert "no batch norm" in found
    assert "predict.adapt=coral" in found
    assert predict(made, drawn, tmp_path / "a.csv", "predict.adapt=coral") == 0


def test_coral_says_that_it_needs_the_training_photos(
    run: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, made = tmp_path / "faces", tmp_path / "run"
    shutil.copytree(drawn, data)
    assert train(data, made, *QUICK) == 0
    shutil.rmtree(data)
    capsys.readouterr()
    assert predict(made, drawn, tmp_path / "a.csv", "predict.adapt=coral") == 4
    said = capsys.readouterr().err
    assert "the run's data set is not there" in said
    assert "fix: restore it there" in said  # --data of predict names the photos to predict
    assert predict(made, drawn, tmp_path / "a.csv", "predict.adapt=adabn") == 0
