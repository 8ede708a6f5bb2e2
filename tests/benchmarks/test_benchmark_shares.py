"""The benchmarks of class shares and of all kinds of samples run on next to nothing."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest
from project import BENCHMARKS_DIR
from tiny import train


@pytest.mark.slow
def test_class_shares(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(drawn, tmp_path / "run", "train.epochs=1", "folds.k=3") == 0
    capsys.readouterr()
    assert runpy.run_path(str(BENCHMARKS_DIR / "shares.py"))["main"]([str(tmp_path / "run")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 5 * (1 + 2 * 8)  # five ways; no change, and each of eight classes twice
    assert lines[2].startswith("| none | plain |")


@pytest.mark.slow
def test_all_kinds(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["synth.size=[32, 16]", "synth.width=4", "synth.batch_size=8", "synth.latent=4", "synth.per_class=2"]
    words += ["synth.agree=false", "synth.least_groups=1", "synth.classes={age: ['>=60']}", "train.epochs=1"]
    words += ["device.threads=1", "device.workers=0", "device.type=cpu", "--config", "tiny_cpu"]
    out = tmp_path / "out"
    call = [str(drawn), *words, "--out", str(out), "--kinds", "dcgan", "--steps", "dcgan=2"]
    main = runpy.run_path(str(BENCHMARKS_DIR / "verdicts.py"))["main"]
    assert main(call) == 0
    told = capsys.readouterr().out
    assert [
        one for one in ("nothing", "oversample", "mix", "smote", "copies", "dcgan") if f"| {one} |" not in told
    ] == []
    assert json.loads((out / "plan.json").read_text()) == {"dcgan": 2}
    assert "recommended: " in told
