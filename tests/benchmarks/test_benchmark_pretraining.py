"""The benchmark of pretraining runs on next to nothing, and keeps what is finished."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from project import BENCHMARKS_DIR
from tiny import recipe


@pytest.mark.slow
def test_pretraining(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = [str(drawn), *recipe("train.epochs=1"), "--out", str(tmp_path), "--epochs", "1"]
    main = runpy.run_path(str(BENCHMARKS_DIR / "pretraining.py"))["main"]
    assert main(call) == 0
    told = capsys.readouterr().out
    assert [told.count(f"{name} 1: ") for name in ("pretraining", "plain", "pretrained")] == [1, 1, 1]
    assert "| pretrained | " in told
    assert "difference " in told
    assert main(call) == 0
    again = capsys.readouterr().out
    assert "minutes" not in again
    assert again.splitlines()[-1] == told.splitlines()[-1]
