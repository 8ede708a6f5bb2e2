"""summary.json of a run and of a fold: written as before, read back, and refused in another form."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from edited import edit_json

from maskcls import files
from maskcls.errors import ResultError
from maskcls.labels import CONTEST
from maskcls.results.scores.intervals import Interval, PredictionInterval
from maskcls.results.scores.metrics import score
from maskcls.rundir import FoldDir, RunDir
from maskcls.runs.summary import (
    FoldSummary,
    RunSummary,
    SavedScores,
    read_fold_summary,
    read_summary,
    scored_fold,
    write_fold_summary,
    write_summary,
)

TRUTH = {"mask": np.array([0, 1, 2, 0]), "gender": np.array([0, 1, 0, 1]), "age": np.array([-1, -1, -1, -1])}
SCORES = score(np.array([0, 3, 6, 9]), TRUTH, CONTEST)  # no row has a label of every task: the joint score is NaN
INTERVAL = Interval(0.1, 0.2, 0.95)


def test_scores_are_written_as_they_write_themselves() -> None:
    assert math.isnan(SCORES.macro_f1)
    assert SavedScores.of(SCORES).to_json() == SCORES.to_json()
    assert list(SavedScores.of(SCORES).to_json()) == list(SCORES.to_json())


def test_a_run_s_summary_comes_back(tmp_path: Path) -> None:
    run, folds = RunDir(tmp_path), {"0": {"macro_f1": 0.5}, "2": {"macro_f1": None}}
    assert read_summary(run) is None
    wanted = RunSummary(
        pooled=SavedScores.of(SCORES), interval=INTERVAL, people=3, folds=folds, mean={}, sd={"a": None}
    )
    write_summary(run, wanted)
    assert (read_summary(run), wanted.fold_numbers) == (wanted, [0, 2])
    assert list(files.read_json(run.summary)) == ["pooled", "interval", "people", "folds", "mean", "sd", files.DIGEST]
    assert files.read_json(run.summary)["interval"] == {"low": 0.1, "high": 0.2, "level": 0.95}
    predicted = wanted.model_copy(update={"prediction_interval": PredictionInterval(0.05, 0.3, 3, 0.95)})
    write_summary(run, predicted)
    assert read_summary(run) == predicted
    assert files.read_json(run.summary)["prediction_interval"] == {"low": 0.05, "high": 0.3, "people": 3, "level": 0.95}


def test_a_summary_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """Its interval came from a bootstrap and named the draws, and it had no prediction interval."""
    run = RunDir(tmp_path)
    write_summary(run, RunSummary(pooled=SavedScores.of(SCORES), interval=INTERVAL, folds={}, sd={}))
    old = files.read_json(run.summary)
    old["interval"] |= {"draws": 1000}
    edit_json(run.summary, old)
    found = read_summary(run)
    assert found is not None
    assert (found.interval, found.prediction_interval) == (INTERVAL, None)


def test_a_fold_s_summary_comes_back(tmp_path: Path) -> None:
    folder = FoldDir(tmp_path)
    for soup in ([], [1, 3]):
        write_fold_summary(folder, scored_fold(3, soup, SCORES))
        data = files.without_digest(files.read_json(folder.summary), folder.summary, required=True)
        assert data == {"best_epoch": 3} | ({"soup": soup} if soup else {}) | SCORES.to_json()
        assert read_fold_summary(folder).best_epoch == 3
        assert read_fold_summary(folder).soup == tuple(soup)
    write_fold_summary(folder, FoldSummary(best_epoch=1, leaky=True))
    assert files.read_json(folder.summary) == files.with_digest({"best_epoch": 1, "leaky": True})


@pytest.mark.parametrize(
    "change", [{"pooled": None}, {"leaky": True}, {"folds": []}, {"interval": {"low": 0.1}}, {"sd": {"a": "0.1"}}]
)
def test_another_form_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    run = RunDir(tmp_path)
    write_summary(run, RunSummary(pooled=SavedScores.of(SCORES), interval=None, folds={}, sd={}))
    edit_json(run.summary, change)
    with pytest.raises(ResultError, match="unexpected form") as caught:
        read_summary(run)
    assert caught.value.where == str(run.summary)
