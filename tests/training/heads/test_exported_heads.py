"""Runs of fitted heads as one file from photo to probabilities."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny import train

from maskcls.cli import run_app

WORDS = ("model.train=heads", "folds.k=3", "predict.views=hflip")
KINDS = {"linear": (), "hidden": ("heads.kind=mlp", "heads.hidden=8", "train.refit=true")}


@pytest.fixture(scope="module", params=sorted(KINDS))
def run(drawn: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A run of each kind of heads; the tests write nothing into it."""
    path = tmp_path_factory.mktemp("exported") / "run"
    assert train(drawn, path, *WORDS, *KINDS[request.param]) == 0
    return path


@pytest.mark.slow
@pytest.mark.parametrize(("to", "name"), [("onnx", "model.onnx"), ("torch-export", "model.pt2")])
def test_one_file_from_photo_to_probabilities(run: Path, tmp_path: Path, to: str, name: str) -> None:
    """`export` compares the file with the run before it writes it."""
    assert run_app(["export", str(run), "--to", to, "-o", str(tmp_path / name)]) == 0
    assert (tmp_path / name).stat().st_size > 10_000
