"""Seconds of one save of a training, and the share of the time that saves take.

Measured  within an epoch: `Saves` writes weights, their average, the moments of AdamW and the generators as one file,
          with fsync; end of an epoch: the same, and the log, and the averaged weights twice (`last/`, `candidates/`).
How       The training path of the program, on random images, after one optimizer step; the median of several rounds.
Run       python benchmarks/saves.py [--backbones mobilenetv4_conv_small vit_small_patch16_224] [--rounds 5]
Read      Seconds by the clock, and of the processor in parentheses. A save within an epoch comes every
          train.save_minutes, and at least 100 times its own duration after the last one, so its share is at most
          1 / 101. Ends of epochs are always saved: the last column says with which length of an epoch they take 1 %.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from maskcls import config
from maskcls.engine import checkpoint
from maskcls.engine.compute.plan import Plan
from maskcls.engine.device import start
from maskcls.engine.random_state import generator_states
from maskcls.engine.saving import COST_SHARE
from maskcls.engine.session import EpochSoFar, Session, open_session, session_state
from maskcls.rundir import WeightsDir
from maskcls.training.experiment import Member
from maskcls.training.plans import fresh_network

SAVE_MINUTES = 10.0  # the default of train.save_minutes


class Seconds(NamedTuple):
    """Seconds by the clock, which other programs lengthen, and of the processor, which lack the wait for the disk."""

    clock: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.clock:.2f} ({self.cpu:.2f}) s"


class Measured(NamedTuple):
    """Size of a state in MB, seconds of a save within an epoch, and of one at its end."""

    mb: float
    within: Seconds
    at_end: Seconds


def share(save_s: float, every_s: float) -> float:
    """Return the share of the time that a save of `save_s` takes, made `every_s` after the last, or by the rule later.

    >>> share(1.0, 99.0), share(10.0, 600.0) < COST_SHARE
    (0.009900990099009901, True)
    """
    return save_s / (max(every_s, save_s / COST_SHARE) + save_s)


def opened(backbone: str, size: Sequence[int]) -> tuple[Session, Member]:
    """Return a session after one step of AdamW with an average."""
    words = [f"model.backbone={backbone}", "model.pretrained=false", f"transforms.size={list(size)}"]
    cfg, _ = config.load(None, [*words, "average.kind=ema", "device.type=cpu"])
    member = Member("", 0, cfg)
    network, _ = fresh_network(member, 0, 0)
    session = open_session(network, cfg, member.space, start(cfg.device), Plan(), total_steps=100)
    images = torch.rand(2, 3, *size).contiguous(memory_format=torch.channels_last)
    torch.stack([logits.sum() for logits in session.model(images).values()]).sum().backward()
    session.optimizer.step()
    session.epoch, session.history = 1, [{"epoch": 0}]
    return session, member


def seconds(work: Callable[[], object], rounds: int) -> Seconds:
    """Return the median seconds of some calls; the first, which creates folders, does not count."""
    work()
    found = []
    for _ in range(rounds):
        began, cpu = time.perf_counter(), time.process_time()
        work()
        found.append((time.perf_counter() - began, time.process_time() - cpu))
    return Seconds(*(statistics.median(column) for column in zip(*found, strict=True)))


def state_mb(save: Callable[[], object], state: Path) -> float:
    """Return the size of the file that a save leaves, in MB."""
    save()
    return state.stat().st_size / 1e6


def measured(backbone: str, size: Sequence[int], rounds: int, folder: Path) -> Measured:
    """Measure the saves of one network in this folder."""
    session, member = opened(backbone, size)
    state = folder / "state.safetensors"

    def within() -> None:
        so_far = EpochSoFar(1, 2, (1.0,), 1.0, generator_states(session.accelerator))
        checkpoint.save_state(state, *session_state(session, so_far))

    def at_end() -> None:
        checkpoint.save_state(state, *session_state(session))
        tensors = session.scored_network.inference_state()
        for name in ("last", "candidate"):
            checkpoint.save_weights(WeightsDir(folder / name), tensors, member.blueprint, epoch=0, scores={})

    return Measured(state_mb(within, state), seconds(within, rounds), seconds(at_end, rounds))


def main() -> None:
    """Print one line per network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbones", nargs="+", default=["mobilenetv4_conv_small", "vit_small_patch16_224"])
    parser.add_argument("--size", nargs=2, type=int, default=(224, 224))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where to write; default: the system's temporary folder")
    asked = parser.parse_args()
    print("| network | state | save within an epoch | share | at an end | below 1 % from epochs of |")
    print("|---|---|---|---|---|---|")
    for backbone in asked.backbones:
        with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
            found = measured(backbone, asked.size, asked.rounds, Path(folder))
        cells = [backbone, f"{found.mb:.0f} MB", str(found.within)]
        cells += [f"{share(found.within.clock, 60 * SAVE_MINUTES):.2%}", str(found.at_end)]
        print(f"| {' | '.join(cells)} | {(1 / COST_SHARE - 1) * found.at_end.clock:.0f} s |")


if __name__ == "__main__":
    main()
