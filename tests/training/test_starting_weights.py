"""Where starting weights come from: a network must not go on from one that learnt from its validation people."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from tiny import train

from maskcls.errors import Exit
from maskcls.rundir import RunDir
from maskcls.training.starting_weights import people_behind

ONE = ("train.epochs=1", "train.continue_epochs=1", "train.refit=true")


@pytest.fixture(scope="module")
def first(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two folds, with networks that went on, and one of all rows."""
    run = tmp_path_factory.mktemp("first") / "run"
    assert train(drawn, run, *ONE) == 0
    return run


def people(run: Path, *folds: int) -> set[str]:
    table = pd.read_csv(RunDir(run).folds, dtype=str)
    return set(table["person"][table["fold"].isin(list(map(str, folds)))])


def weights(run: Path, folder: str) -> Path:
    return run / folder / "best" / "weights.safetensors"


def test_people_behind(first: Path, tmp_path: Path) -> None:
    """A network of a fold learnt from the other folds' people; one that went on, or of all rows, from everybody."""
    assert len(people(first, 0)) > 1
    assert people_behind(weights(first, "fold0")) == people(first, 1)
    assert people_behind(weights(first, "fold1")) == people(first, 0)
    assert people_behind(weights(first, "fold0/continued")) == people(first, 0, 1)
    assert people_behind(weights(first, "refit")) == people(first, 0, 1)
    (tmp_path / "trunk.safetensors").write_bytes(weights(first, "fold0").read_bytes())
    assert people_behind(tmp_path / "trunk.safetensors") == frozenset()


def test_validation_people_are_not_met_before(
    first: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begin = f"model.weights={weights(first, 'fold0')}"
    for words in ([begin], [begin, "--folds", "1"], [f"model.weights={weights(first, 'refit')}", "--folds", "0"]):
        assert train(drawn, tmp_path / "run", *words, "train.epochs=1") == Exit.DATA
        told = capsys.readouterr().err
        assert "the starting weights were trained on people of the validation folds" in told
        assert "people of fold" in told
        assert not (tmp_path / "run" / "env.json").exists()
    assert train(drawn, tmp_path / "run", begin, "--dry-run") == Exit.DATA


def test_the_same_fold_may_go_on_and_its_offspring_are_known(first: Path, drawn: Path, tmp_path: Path) -> None:
    second = tmp_path / "second"
    begin = f"model.weights={weights(first, 'fold0')}"
    assert train(drawn, second, begin, "--folds", "0", "train.epochs=1") == 0
    assert people_behind(weights(second, "fold0")) == people(first, 1)
    # What a network began with counts as well: here its own run left everybody out.
    folds = RunDir(second).folds
    folds.write_text(re.sub(",1$", ",0", folds.read_text(), flags=re.MULTILINE))
    assert people(second, 1) == set()
    assert people_behind(weights(second, "fold0")) == people(first, 1)
