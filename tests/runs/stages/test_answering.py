"""The stage that answers for a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from surrogate_stages import begun, finish

from maskcls.config import load
from maskcls.errors import BusyError, ResultError, UsageError
from maskcls.rundir import RunDir, StagesDir
from maskcls.runs.environment import read_environment
from maskcls.runs.stages.answering import answering_run, answering_stage, best_place, stage_score
from maskcls.runs.stages.limits import check_resuming_stages, check_staging
from maskcls.runs.stages.record import read_stages, refuse_begun_stages
from maskcls.runs.summary import RunSummary, SavedScore, SavedScores


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([], None),
        ([0.1], 0),
        ([0.3, 0.5, 0.4], 1),
        ([0.3, 0.3], 1),
        ([None, 0.2], 1),
        ([0.2, None], 0),
        ([None] * 2, 1),
    ],
)
def test_a_later_stage_answers_if_it_is_not_worse(scores: list[float | None], expected: int | None) -> None:
    assert best_place(scores) == expected


def test_without_joint_labels_the_tasks_are_compared_and_a_leaky_run_has_no_score() -> None:
    tasks = {"a": SavedScore(macro_f1=0.2), "b": SavedScore(macro_f1=0.4), "c": SavedScore(macro_f1=None)}
    parts = {"interval": None, "folds": {}, "sd": {}}

    assert stage_score(RunSummary(pooled=SavedScores(macro_f1=None, tasks=tasks), **parts)) == pytest.approx(0.3)
    assert stage_score(RunSummary(pooled=SavedScores(macro_f1=0.9, tasks=tasks), **parts)) == 0.9
    assert stage_score(RunSummary(pooled=None, leaky=True, **parts)) is None


def test_only_finished_stages_answer(tmp_path: Path) -> None:
    folder = begun(tmp_path / "r", stages=3)
    assert answering_stage(folder) is None
    with pytest.raises(ResultError, match="no stage"):
        answering_run(folder.path)

    finish(folder.stage(0), 0.3)
    assert answering_run(folder.path) == folder.path / "stage0"
    finish(folder.stage(1), 0.2)
    assert answering_run(folder.path) == folder.path / "stage0"
    finish(folder.stage(2), 0.3)
    assert answering_run(folder.path) == folder.path / "stage2"
    assert answering_run(folder.path / "stage1") == folder.path / "stage1"
    assert answering_run(tmp_path) == tmp_path


def test_the_folder_itself_is_no_run_and_names_its_stages(tmp_path: Path) -> None:
    folder = begun(tmp_path / "r", stages=1)

    with pytest.raises(ResultError, match="stages of a training") as found:
        read_environment(RunDir(folder.path))
    assert "stage0" in str(found.value.fix)


def test_a_changed_record_is_refused(tmp_path: Path) -> None:
    folder = begun(tmp_path / "r", stages=1)
    folder.record.write_text(folder.record.read_text().replace('"photos": 100', '"photos": 101'))

    with pytest.raises(ResultError, match="changed"):
        read_stages(folder)


def test_a_folder_of_stages_is_not_begun_again(tmp_path: Path) -> None:
    folder = begun(tmp_path / "r", stages=1)
    refuse_begun_stages(folder)  # killed before its first stage
    folder.stage(0).path.mkdir()
    folder.stage(0).env.write_text("{}")

    with pytest.raises(BusyError, match="stages of a training") as found:
        refuse_begun_stages(folder)
    assert "resume" in str(found.value.fix)


def test_what_a_time_limit_cannot_do_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = begun(tmp_path / "r", stages=1)
    with pytest.raises(UsageError, match="further folds"):
        check_resuming_stages(folder, None, "0")
    with pytest.raises(UsageError, match="length of time"):
        check_resuming_stages(folder, "soon", None)
    assert check_resuming_stages(folder, None, None) == float("inf")
    assert check_resuming_stages(folder, "2m", None) == 120
    with pytest.raises(ResultError, match="before its first stage"):
        check_resuming_stages(StagesDir(tmp_path), None, None)

    with pytest.raises(UsageError, match="single cross-validations"):
        check_staging(load(None, ["folds.repeats=2"])[0])
    check_staging(load(None)[0])
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="one process"):
        check_staging(load(None)[0])
