"""Killed after any commit, with one after every optimizer step, a run ends with the same bytes: whole runs, all kinds.

`tests/engine/test_within_epoch.py` goes through the kinds of networks and steps, without the files of a run.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from interrupted import STATE, Moments, copied, ending, save_every_step
from processes import PATIENCE_S, all_end
from tiny import log_lines, recipe, resume, train

BASE = ("train.epochs=2", "model.drop=0.3", "average.decay=0.9", "optim.lr=1e-3", "mix.kind=cutmix", "mix.prob=1")
KINDS: dict[str, tuple[tuple[str, ...], int]] = {  # with the number of optimizer steps of all networks
    "base": ((*BASE, "train.epochs=3"), 2 * 3 * 3),
    "accumulated, workers": ((*BASE, "train.accumulate=2", "device.workers=2"), 2 * 2 * 3),
    "bf16, plateau": ((*BASE, "device.precision=bf16", "schedule.kind=plateau"), 2 * 2 * 3),
    "members, seeds": ((*BASE, "model.heads=separate", "train.epochs=1", "train.seeds=2"), 2 * 3 * 2 * 3),
    "continued, refit": (
        (*BASE, "train.epochs=1", "train.continue_epochs=1", "train.refit=true", "model.backbone=test_convnext"),
        2 * 3 + 2 * 6 + 6,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_killed_after_any_step_it_ends_the_same(drawn: Path, tmp_path: Path, kind: str) -> None:
    words, steps = KINDS[kind]
    plain = tmp_path / "plain"
    assert train(drawn, plain, *words) == 0
    moments = Moments(tmp_path / "moments")
    moments.root.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        save_every_step(patch)
        moments.record(drawn, patch, *words)
    whole = ending(plain)
    assert ending(moments.run) == whole
    states = [index for index, name in enumerate(moments.commits) if name.endswith(STATE)]
    networks = len({moments.commits[index] for index in states})
    epochs = sum(len(log_lines(path.parent)) for path in moments.run.rglob("log.jsonl"))
    assert len(states) == steps + epochs
    assert networks >= 2
    for index in states:
        run = copied(moments.root / str(index), tmp_path / "killed")
        assert resume(run) == 0
        assert ending(run) == whole, f"after commit {index}, {moments.commits[index]}"
        shutil.rmtree(run)


@pytest.mark.slow
def test_killed_within_a_resume_again_and_again_it_ends_the_same(drawn: Path, tmp_path: Path) -> None:
    """Each resume is killed at its twelfth commit, of which about six write again what the state holds."""
    words, _ = KINDS["accumulated, workers"]
    plain, run = tmp_path / "plain", tmp_path / "run"
    assert train(drawn, plain, *words) == 0
    child = (
        "import os, sys; from maskcls.files import atomic; from maskcls.engine.saving import SaveClock\n"
        "from maskcls.cli import run_app\n"
        "SaveClock.due, replace, left = True, atomic._replace, [int(sys.argv[1])]\n"
        "def dying(*given):\n"
        "    replace(*given); left[0] -= 1\n"
        "    if not left[0]: os.kill(os.getpid(), 9)\n"
        "atomic._replace = dying\n"
        "sys.exit(run_app(sys.argv[2:]))\n"
    )
    kills, code = 0, -9
    begun = [sys.executable, "-c", child, "14", "train", str(drawn), "--run", str(run), *recipe(*words)]
    again = [sys.executable, "-c", child, "12", "resume", str(run)]
    while code == -9 and kills < 40:
        done = subprocess.run(again if kills else begun, capture_output=True, text=True, timeout=PATIENCE_S)
        code, kills = done.returncode, kills + 1
    assert code == 0, done.stderr
    assert kills > 4
    assert ending(run) == ending(plain)


def processes_below(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_the_whole_group_ends_it_soon_with_all_steps_kept(
    drawn: Path, tmp_path: Path, number: signal.Signals, code: int, jobs: int
) -> None:
    """As from a terminal or a scheduler: to the loader processes and the folds side by side too."""
    words = (*BASE, "train.epochs=400", "schedule.warmup_epochs=1", "train.keep_epochs=1", "device.workers=1")
    run = tmp_path / "run"
    command = [sys.executable, "-m", "maskcls", "train", str(drawn), "--run", str(run), *recipe(*words)]
    process = subprocess.Popen(
        [*command, f"train.fold_jobs={jobs}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + PATIENCE_S
    while not all((run / f"fold{k}" / STATE).exists() for k in range(jobs)):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    helpers = processes_below(process)
    assert len(helpers) >= 2
    os.killpg(process.pid, number)
    _, told = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code, told
    assert f"what was trained is kept. Continue with: maskcls resume {run}" in told
    assert "Traceback" not in told
    assert all_end(helpers)
