"""Heads fitted anew with interpolated examples: a run as any other, never of a fold's own people, and killed anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny

from maskcls import config
from maskcls.cli import run_app
from maskcls.commands.synth.smote import RetrainedHeads, retrain_heads
from maskcls.rundir import RunDir
from maskcls.runs.integrity.run_checks import run_checks
from maskcls.schema.synth import SynthConfig
from maskcls.show.terminal.progress import Reporter

QUIET = Reporter(quiet=True)
WORDS = ("train.epochs=1", "transforms.hflip=0", "transforms.geometry=0", "transforms.colour=0")
SYNTH = {"classes": {"age": (">=60",)}, "per_class": 3, "neighbours": 2, "least_groups": 1}


def _synth(**changes: object) -> SynthConfig:
    return SynthConfig(**{**SYNTH, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def trained(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    run = RunDir(tmp_path_factory.mktemp("heads") / "run")
    assert tiny.train(drawn, run.path, *WORDS, "train.refit=true") == 0
    return run


@pytest.fixture(scope="module")
def made(trained: RunDir) -> tuple[RunDir, RetrainedHeads]:
    run = RunDir(trained.path.parent / "smote")
    return run, retrain_heads(trained, run, _synth(), force=False, report=QUIET)


def test_it_is_a_run_whose_files_all_are_right(
    made: tuple[RunDir, RetrainedHeads], drawn: Path, tmp_path: Path
) -> None:
    run, found = made
    checks = {check.name: check for check in run_checks(run)}
    assert {name for name, check in checks.items() if check.verdict in ("FAILED", "warning")} == set()
    assert {"heads.json", "fold0/plain_heads.npz", "fold1/balanced_heads.npz", "refit/DONE"} <= set(checks)
    assert len(checks) >= 35
    cfg = config.of_run(run.config)
    assert (cfg.synth.kind, cfg.synth.per_class) == ("smote", 3)
    pooled = found.summary.pooled
    assert pooled is not None
    assert pooled.rows == 84
    for words in (
        ["evaluate", str(run.path)],
        ["predict", str(run.path), "--data", str(drawn), "-o", str(tmp_path / "a.csv"), "predict.networks=all"],
        ["runs", "list", str(run.path.parent)],
        ["runs", "compare", str(run.path.parent / "run"), str(run.path)],
        ["ensemble", str(run.path.parent / "run"), str(run.path), "-o", str(tmp_path / "b.csv"), "--data", str(drawn)],
        ["report", str(run.path), "-o", str(tmp_path / "page.html")],
        ["resume", str(run.path)],
    ):
        assert run_app(words) == 0, words
