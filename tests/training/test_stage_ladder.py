"""The ladder of a data set: whether its labels allow a first stage of fitted heads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import tiny

from maskcls.rundir import StagesDir
from maskcls.runs.stages.ladder import CHOSEN
from maskcls.training.forecasting import stage_ladder as of_data
from maskcls.training.forecasting.stage_ladder import StageLadder, stage_ladder
from maskcls.training.heads import fittable

WEIGHTS = "model.weights=w.safetensors"  # is not read
TRAINED = tuple(key for key in CHOSEN if key != "model.train")


def ladder_of(data: Path, *settings: str, free: tuple[str, ...] = CHOSEN) -> StageLadder:
    return stage_ladder(data, tiny.tiny(WEIGHTS, *settings), free, StagesDir(Path("never-written")))


def test_heads_are_fitted_where_every_fold_has_labels_of_them(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ladder_of(drawn)
    assert (whole.without_heads, whole.free) == ("", CHOSEN)
    assert [rung.fitted for rung in whole.rungs] == [True, *[False] * (len(whole.rungs) - 1)]

    read = tiny.experiment(drawn, WEIGHTS)
    of_fold_0 = read.manifest.assign(age=read.manifest["age"].where(read.fold == 0))
    monkeypatch.setattr(of_data, "read_experiment", lambda *_: replace(read, manifest=of_fold_0))
    found = ladder_of(drawn)  # the network that fold 0 validates has no label of an age to learn from
    assert found.without_heads == "age: a head cannot be fitted: no training row has a label of it"
    assert (found.rungs, found.free) == (whole.rungs[1:], TRAINED)


def test_no_stage_fits_heads_on_features_that_take_too_much_memory(
    drawn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    features, photos, views = 256, 84, 1  # of test_efficientnet; 12 people with seven photos
    needed = features * photos * views * fittable.BYTES_PER_VALUE
    monkeypatch.setattr(fittable, "MEMORY_SHARE", 0.5)
    for free, why in ((2 * needed, ""), (2 * needed - 1, "it would take 0.0 of 0.0 GiB of memory")):
        monkeypatch.setattr(fittable, "available_bytes", lambda free=free: free)
        assert ladder_of(drawn).without_heads == why
    assert ladder_of(drawn, "model.train=heads", free=("transforms.size",)).without_heads == ""


def test_the_reason_is_the_first_that_holds(drawn: Path) -> None:
    assert ladder_of(drawn, "model.train=all", free=TRAINED).without_heads == "model.train=all was given"
    assert "random weights" in ladder_of(drawn, "model.weights=null", free=TRAINED).without_heads
    assert ladder_of(drawn, "model.train=heads", free=("transforms.size",)).without_heads == ""
