"""What becomes of a training and of a command where the register of choices is damaged or held by another process."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny import resume, train

from maskcls.errors import ResourceError
from maskcls.rundir import RunDir
from maskcls.runs.choices.register import read_register
from maskcls.runs.locks.waiting_lock import waiting_lock


def test_a_damaged_register_loses_no_training(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "choices.json").write_text('{"version":1,"attempts":[{"rows"')
    assert train(drawn, tmp_path / "a", "train.epochs=1") == 0
    shown = capsys.readouterr()
    assert "out-of-fold macro-F1" in shown.out
    assert "not counted" in shown.err
    (tmp_path / "choices.json").unlink()
    assert resume(tmp_path / "a") == 0  # there is nothing to train, and the run is counted
    assert [one.kind for one in read_register(RunDir(tmp_path / "a")).attempts] == ["run"]


def test_a_lock_that_is_never_released_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with (
        waiting_lock(path),
        pytest.raises(ResourceError, match="another process holds a lock"),
        waiting_lock(path, wait_s=0.05),
    ):
        pass
    with waiting_lock(path, wait_s=0.05):  # released
        pass
