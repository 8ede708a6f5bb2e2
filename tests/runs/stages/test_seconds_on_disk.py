"""The seconds of a stage whose process was killed: from its own files, never less than those on record."""

from __future__ import annotations

from pathlib import Path

import pytest
from surrogate_stages import begun, finish

from maskcls import files
from maskcls.runs.stages import seconds_on_disk as module
from maskcls.runs.stages.record import read_stages
from maskcls.runs.stages.seconds_on_disk import seconds_on_disk, with_known_seconds


def test_seconds_are_added_to_stages_that_have_none_on_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = begun(tmp_path, stages=4)
    for number in range(3):  # the process of the fourth was killed before its run was there
        files.commit(folder.stage(number).env, b"{}")
    finish(folder.stage(0), 0.5)  # and that of this one before it wrote the time of its stage
    record = read_stages(folder)
    stages = list(record.stages)
    stages[2] = stages[2].model_copy(update={"passed_s": 20.0})  # it was stopped once, and killed later
    known_s = {"stage0": 5.04, "stage1": 7.0, "stage2": 19.0}
    monkeypatch.setattr(module, "seconds_on_disk", lambda run: known_s[run.path.name])

    found = with_known_seconds(folder, record.model_copy(update={"stages": tuple(stages)})).stages
    assert [(one.passed_s, one.took_s) for one in found] == [(5.0, 5.0), (7.0, None), (20.0, None), (0.0, None)]
    timed = [one.model_copy(update={"passed_s": 1.0, "took_s": 1.0}) for one in stages]
    assert with_known_seconds(folder, record.model_copy(update={"stages": tuple(timed)})).stages == tuple(timed)


def test_files_that_cannot_be_read_say_nothing(tmp_path: Path) -> None:
    folder = begun(tmp_path, stages=1)
    files.commit(folder.stage(0).env, b"{}")
    assert seconds_on_disk(folder.stage(0)) == 0
