"""The average of the best epochs: which they are, what is kept of them, and when it takes the best one's place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny import hashes, log_lines, resume, train

from maskcls import files
from maskcls.errors import ResourceError
from maskcls.nn.average import soup
from maskcls.training import soup as training
from maskcls.training.soup import best_epochs

WORDS = ("average.soup=3", "average.kind=none", "train.epochs=5", "optim.lr=3e-3", "--folds", "0")


def line(score: float | None) -> dict[str, float | None]:
    return {"val/macro_f1": score}


@pytest.mark.parametrize(
    ("scores", "count", "want"),
    [
        ([0.1, 0.3, 0.2], 2, [1, 2]),
        ([0.1, 0.3, 0.2], 9, [0, 1, 2]),
        ([0.2, 0.2, 0.2], 2, [0, 1]),  # of equals the first
        ([None, 0.1, None], 2, [1]),
        ([None], 2, []),
    ],
)
def test_the_best_epochs(scores: list[float | None], count: int, want: list[int]) -> None:
    assert best_epochs([line(score) for score in scores], count) == want


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[list[dict[str, torch.Tensor]]]:
    """The states every soup is made of."""
    seen: list[list[dict[str, torch.Tensor]]] = []

    def noting(states: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        seen.append([{name: value.clone() for name, value in state.items()} for state in states])
        return soup(states)

    monkeypatch.setattr(training, "soup", noting)
    return seen


@pytest.mark.parametrize("better", [True, False])
def test_it_takes_the_best_one_s_place_where_it_scores_higher(
    drawn: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    watched: list[list[dict[str, torch.Tensor]]],
    better: bool,
) -> None:
    run = tmp_path / "run"
    honest = training.flat_scores
    shift = 1.0 if better else -1.0
    monkeypatch.setattr(training, "flat_scores", lambda *a: honest(*a) | {"macro_f1": honest(*a)["macro_f1"] + shift})
    assert train(drawn, run, *WORDS) == 0
    (states,) = watched
    chosen = best_epochs(log_lines(run / "fold0"), 3)
    meta = json.loads((run / "fold0/best/meta.json").read_text())
    summary = json.loads((run / "fold0/summary.json").read_text())
    saved = load_file(run / "fold0/best/weights.safetensors")
    assert len(states) == len(chosen) == 3
    assert not (run / "fold0/soup").exists()
    if better:
        assert meta["soup"] == summary["soup"] == chosen
        for name, value in soup(states).items():
            torch.testing.assert_close(saved[name], value)
    else:
        assert "soup" not in meta
        assert "soup" not in summary
        (same,) = [s for s in states if all(torch.equal(s[name], value) for name, value in saved.items())]
        assert same


def test_the_states_are_those_of_the_best_epochs(
    drawn: Path, tmp_path: Path, watched: list[list[dict[str, torch.Tensor]]]
) -> None:
    run = tmp_path / "run"
    assert train(drawn, run, *WORDS) == 0
    last = load_file(run / "fold0/last/weights.safetensors")
    chosen = best_epochs(log_lines(run / "fold0"), 3)
    among = [all(torch.equal(state[name], value) for name, value in last.items()) for state in watched[0]]
    assert sum(among) == (4 in chosen)
    flat = [np.concatenate([v.numpy().ravel() for v in state.values()]) for state in watched[0]]
    assert len({part.tobytes() for part in flat}) == 3


def test_one_epoch_is_no_soup(drawn: Path, tmp_path: Path, watched: list[list[dict[str, torch.Tensor]]]) -> None:
    run = tmp_path / "run"
    assert train(drawn, run, *WORDS, "train.epochs=1") == 0
    assert watched == []
    assert not (run / "fold0/soup").exists()


def test_interrupted_after_stirring_it_ends_the_same(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, commit = training.flat_scores, files.commit_json
    monkeypatch.setattr(training, "flat_scores", lambda *a: honest(*a) | {"macro_f1": 1.0})
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert train(drawn, whole, *WORDS) == 0

    def stopped(path: Path, data: Any) -> str:
        if path == cut / "fold0/summary.json":
            raise ResourceError("the disk is full")
        return commit(path, data)

    monkeypatch.setattr(files, "commit_json", stopped)
    assert train(drawn, cut, *WORDS) == 6
    assert "soup" in json.loads((cut / "fold0/best/meta.json").read_text())
    monkeypatch.setattr(files, "commit_json", commit)
    assert resume(cut) == 0
    assert not (cut / "fold0/soup").exists()
    for name in ("fold0/best/weights.safetensors", "fold0/oof.npz", "fold0/summary.json", "oof.npz", "summary.json"):
        assert hashes(cut)[name] == hashes(whole)[name], name
