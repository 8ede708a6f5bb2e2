"""What a report reads of a run: logs, choices, calibration, rows."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from finished_run import finish_run

from maskcls import config
from maskcls.commands.calibrate import calibrate
from maskcls.errors import ResultError
from maskcls.labels import CONTEST
from maskcls.results.decisions.calibration import qualities
from maskcls.rundir import RunDir
from maskcls.runs.calibration import calibrate_run
from maskcls.runs.choices.register import Attempt, add_attempts
from maskcls.runs.choices.tried import rows_of_run
from maskcls.runs.reported.choices_made import read_choices
from maskcls.runs.reported.network_logs import read_logs
from maskcls.runs.reported.reported_run import read_reported_run
from maskcls.runs.reported.saved_calibration import qualities_from_json, read_calibration


def test_logs_of_all_networks_with_the_epoch_that_is_used(tmp_path: Path) -> None:
    run = finish_run(tmp_path / "a", settings=("model.heads=separate", "train.seeds=2", "train.refit=true"))
    found = read_logs(run, config.load(run.config)[0], (0, 1))
    titles = [one.title for one in found]
    assert len(titles) == 2 * 3 * 3
    assert {"mask-seed0 fold 0", "age-seed1 fold 1", "gender-seed1 all rows"} <= set(titles)
    assert {one.chosen for one in found if one.network.scored} == {1}
    assert {one.chosen for one in found if not one.network.scored} == {None}
    assert found[0].column("train/loss") == [1, 0.5, pytest.approx(1 / 3)]
    assert found[0].column("no such key") == [None] * 3


def test_a_null_in_a_log_is_no_value(tmp_path: Path) -> None:
    run = finish_run(tmp_path / "a")
    run.fold(0).log.write_text(json.dumps({"val/macro_f1": None, "is_best": True}) + "\n")
    assert read_logs(run, config.load(run.config)[0], (0,))[0].column("val/macro_f1") == [None]


def test_a_damaged_log_is_named(tmp_path: Path) -> None:
    run = finish_run(tmp_path / "a")
    run.fold(1).log.write_text("{")
    with pytest.raises(ResultError, match="a log cannot be read") as error:
        read_logs(run, config.load(run.config)[0], (0, 1))
    assert error.value.where == str(run.fold(1).log)


def test_choices_of_other_rows_are_not_counted(tmp_path: Path) -> None:
    run = finish_run(tmp_path / "a")
    rows = rows_of_run(run)
    before = run.choices.read_bytes()
    new = [
        Attempt(rows=rows, kind="rule", what="x/expected", name="expected a"),
        Attempt(rows="other", kind="run", what="y"),
    ]
    add_attempts(run, new)
    found = read_choices(run).by_kind
    assert {kind: [one.name for one in attempts] for kind, attempts in found.items()} == {
        "run": ["a"],
        "rule": ["expected a"],
    }
    assert run.choices.read_bytes() != before  # by add_attempts alone:
    after = run.choices.read_bytes()
    read_choices(run)
    assert run.choices.read_bytes() == after


def test_qualities_come_back_from_their_json() -> None:
    rng = np.random.default_rng(0)
    truth = {"mask": rng.integers(3, size=50), "gender": np.full(50, -1), "age": rng.integers(3, size=50)}
    found = qualities(rng.dirichlet(np.ones(18), 50), truth, CONTEST)
    again = qualities_from_json(found.to_json())
    assert repr(again) == repr(found)  # by text, as NaN is not equal to itself
    assert asdict(again).keys() == asdict(found).keys()


def test_the_calibration_is_that_of_calibrate(tmp_path: Path) -> None:
    run = finish_run(tmp_path / "a")
    assert read_calibration(run) is None
    expected = calibrate_run(run)
    calibrate(run)
    found = read_calibration(run)
    assert found is not None
    assert found.after is not None
    assert found.after.joint.log_loss == expected.after.joint.log_loss
    assert found.temperatures == expected.decision.temperatures
    assert found.fault == ""


def test_a_calibration_of_other_predictions_is_not_shown(tmp_path: Path) -> None:
    run, other = finish_run(tmp_path / "a"), finish_run(tmp_path / "b", seed=1)
    calibrate(run)
    run.oof.write_bytes(other.oof.read_bytes())
    found = read_calibration(run)
    assert found is not None
    assert found.after is None
    assert "other out-of-fold predictions" in found.fault


def test_rows_are_joined_by_id(tmp_path: Path) -> None:
    found = read_reported_run(finish_run(tmp_path / "a", trained=(1,))).rows
    assert found is not None
    assert list(found.paths) == [f"{name}.jpg" for name in found.labelled.ids]
    bands = CONTEST.task("age").band(found.values["age"])
    assert bands.tolist() == found.labelled.truth["age"].tolist()
    assert len(bands) == 36


def test_an_unfinished_run_has_no_report(tmp_path: Path) -> None:
    run = finish_run(tmp_path / "a")
    run.summary.unlink()
    with pytest.raises(ResultError, match="not finished"):
        read_reported_run(RunDir(run.path))
