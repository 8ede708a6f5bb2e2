"""Trainings of a generator that are killed at any moment, each in a forked process, until they are at their last step.

`python -m killed_generators FOLDER KILLS SEED` (with tests/ on the path) kills those of a tiny CycleGAN and prints how
many were killed and how many steps were done again. Forks, because importing torch takes longer than a training.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from maskcls.engine.checkpoint import load_state
from maskcls.rundir import SynthFoldDir
from maskcls.show.terminal.progress import Reporter
from maskcls.synth.loop.player import Player
from maskcls.synth.loop.train_generator import LoopPlan, train_generator

Build = Callable[[], Player]


def trained_in_parts(build: Build, folder: SynthFoldDir, plan: LoopPlan) -> None:
    """Train to the last step with a new player for every step, so that each one is saved and restored."""
    while train_generator(build(), folder, plan, Reporter(quiet=True)).step < plan.steps:
        pass


def killed(build: Build, folder: SynthFoldDir, plan: LoopPlan, *, after_s: float, renames: int) -> bool:
    """Train in a fork that dies after so many renames of files, or is killed after so many seconds; tell whether."""
    child = os.fork()
    if child == 0:
        rename, left = os.replace, [renames]

        def dying(source: str, target: str, **named: int) -> None:
            rename(source, target, **named)
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        os.replace = dying  # type: ignore[assignment]
        try:
            trained_in_parts(build, folder, plan)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    ends_s = time.monotonic() + after_s
    while time.monotonic() < ends_s:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            break
        time.sleep(0.001)
    else:
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0, "a training ended with an error"
    return os.WIFSIGNALED(status)


def differences(folder: SynthFoldDir, whole: SynthFoldDir) -> list[str]:
    """Return what differs between two finished generators: files, and tensors and texts of their states."""
    found = []
    sides = [
        {p.relative_to(one.path).as_posix() for p in one.path.rglob("*") if p.is_file()} for one in (folder, whole)
    ]
    found += [f"file {name}" for name in sides[0] ^ sides[1]]
    for name in sorted(sides[0] & sides[1] - {"resume/state.safetensors"}):  # its two texts are in any order
        if (folder.path / name).read_bytes() != (whole.path / name).read_bytes():
            found.append(f"content of {name}")
    (tensors, progress), (others, other_progress) = (load_state(one.state) for one in (folder, whole))
    if progress != other_progress or tensors.keys() != others.keys():
        found.append("progress")
    return found + [f"tensor {name}" for name in tensors if not torch.equal(tensors[name], others[name])]


def kill_until(build: Build, top: Path, plan: LoopPlan, kills: int, seed: int) -> dict[str, int]:
    """Kill `kills` trainings at random moments; AssertionError when one differs at its end.

    It is compared with a training of one player that was never restored. Half of the kills come right after a rename
    of a file, the others at any time.
    """
    whole, folder = (SynthFoldDir(top / name) for name in ("whole", "killed"))
    train_generator(build(), whole, replace(plan, ends_s=None), Reporter(quiet=True))  # one player, never restored
    began_s = time.monotonic()
    train_generator(build(), SynthFoldDir(top / "timed"), plan, Reporter(quiet=True))
    one_s = time.monotonic() - began_s
    rng, done, finished = random.Random(seed), 0, 0
    while done < kills:
        by_rename = rng.random() < 0.5
        renames = rng.randint(1, 9) if by_rename else -1
        died = killed(build, folder, plan, after_s=60.0 if by_rename else rng.uniform(0, 4 * one_s), renames=renames)
        done += died
        if not died:
            finished += 1
            assert not (found := differences(folder, whole)), found
            shutil.rmtree(folder.path)
    if folder.path.exists():
        trained_in_parts(build, folder, plan)
        finished += 1
        assert not (found := differences(folder, whole)), found
    return {"kills": done, "finished": finished, "tensors": len(load_state(whole.state)[0])}


if __name__ == "__main__":
    from cyclegan_rows import cyclegan_player

    torch.set_num_threads(1)
    steps = 8
    plan_of_parts = LoopPlan("generator", steps=steps, sheet_steps=3, save_minutes=None, ends_s=0.0)
    print(kill_until(cyclegan_player, Path(sys.argv[1]), plan_of_parts, int(sys.argv[2]), int(sys.argv[3])))
