"""The commands that are killed: how each is given, and what it must leave behind in the end."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskcls.engine.saving import SaveClock
from maskcls.errors import Exit
from maskcls.rundir import RunDir, SynthDir
from soak import forks
from soak.world import LIMIT_S, SURE, call, network

TIMES = {"seconds", "images_per_second", "commands"}  # keys of JSON that hold times
DIGEST = "digest"  # of a log, it counts the times in
# Files that must be there, but hold times of photos or of this machine: only their names are compared.
UNEQUAL = {".lock", "times.json", "pack.json", "rows.bin"}


@dataclass(frozen=True)
class Command:
    """words: the command line, given in a copy of the world; without: files that are removed from the copy before.

    again   the command line after a kill; the same one, but for `train`, whose message says `maskcls resume`.
    before  what is called in the process before it.
    """

    name: str
    words: tuple[str, ...]
    without: tuple[str, ...] = ()
    again: Callable[[Path], tuple[str, ...]] | None = None
    before: Callable[[], None] = lambda: None

    def start(self, folder: Path) -> Callable[[], int]:
        """Return a function that gives the command in a folder for the first time."""
        return self._prepared(call(folder, list(self.words)))

    def repeat(self, folder: Path) -> Callable[[], int]:
        """Return a function that gives it after a kill."""
        return self._prepared(call(folder, list(self.again(folder) if self.again else self.words)))

    def _prepared(self, given: Callable[[], int]) -> Callable[[], int]:
        def called() -> int:
            self.before()
            return given()

        return called


def commands() -> list[Command]:
    """Return all commands that are killed."""
    train = ("train", "faces", "--run", "runs/new", *network("train.batch_size=8", "seed=2"))
    own = ("device.type=cpu",)
    smote = (
        "synth",
        "train",
        "runs/a",
        "--kind",
        "smote",
        "--run",
        "runs/new",
        "--force",
        "synth.classes={mask: [wear]}",
    )
    return [
        Command("train", train, again=lambda folder: _resume_or(folder, train), before=_save_every_step),
        Command("predict data", ("predict", "runs/a", "--data", "faces", "-o", "out.csv")),
        Command(
            "predict photos",
            ("predict", "runs/a", "faces/eval/images", "-o", "out.csv", "--probabilities", "out_p.csv", *own),
        ),
        Command("ensemble", ("ensemble", "runs/a", "runs/b", "--data", "faces", "-o", "out.csv")),
        Command("group", ("group", "faces", "--run", "runs/a", "-o", "out.csv")),
        Command("pseudo-label", ("pseudo-label", "runs/a", "--data", "faces", "-o", "out.csv", *SURE)),
        Command("cache", ("predict", "runs/b", "--data", "more", "-o", "out.csv"), without=("cache",)),
        *(_generators(kind) for kind in ("dcgan", "wgan-gp", "cyclegan")),
        Command("synth smote", smote, again=lambda folder: _resume_or(folder, smote)),
        Command("data make", ("data", "make", "out", "--people", "3", "--eval-people", "1")),
    ]


def _generators(kind: str) -> Command:
    """Return the training of generators of one kind, of two folds and a few steps each, saved after every step."""
    small = ("synth.size=[16,16]", "synth.width=4", "synth.latent=4", "synth.batch_size=4", "synth.steps=4")
    small = (*small, "synth.sheet_steps=2", "synth.critic_steps=2", "synth.blocks=1", "synth.pool=3", "folds.k=2")
    line = ("synth", "train", "faces", "--kind", kind, "--run", "runs/new", "--force", "--folds", "0,1")
    line = (*line, *small, "device.type=cpu", "device.threads=1", "synth.classes={mask: [wear]}")
    return Command(f"synth {kind}", line, again=lambda folder: _synth_resume_or(folder, line), before=_save_every_step)


def _synth_resume_or(folder: Path, train: tuple[str, ...]) -> tuple[str, ...]:
    made = SynthDir(folder / "runs" / "new")
    return ("synth", "resume", "runs/new") if made.experiment.env.exists() else train


def _save_every_step() -> None:
    """Save a training after every step; by train.save_minutes, saves may take one percent of the time only."""
    SaveClock.due = property(lambda self: True)  # type: ignore[assignment, method-assign]


def _resume_or(folder: Path, train: tuple[str, ...]) -> tuple[str, ...]:
    run = RunDir(folder / "runs" / "new")
    return ("resume", "runs/new") if run.env.exists() else train


def complete(command: Command, folder: Path, wanted: dict[str, str]) -> str:
    """Give a killed command again until it is done, and return what is wrong with its outcome, "" for nothing."""
    ended = forks.run(command.repeat(folder), limit_s=LIMIT_S)
    if ended.code not in (Exit.OK, Exit.BUSY):
        return f"given again, it ended with {ended.code}: {last_error(ended.text)}"
    wrong = differences(outcome(folder), wanted)
    if ended.code == Exit.BUSY and wrong:
        return f"given again, it was refused ({last_error(ended.text)}), but {wrong}"
    return wrong


def outcome(folder: Path) -> dict[str, str]:
    """Return the digest of every file below a folder by its path; of JSON, without times."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            timed = path.name in UNEQUAL or path.suffix == ".lock" or path.parent.name == "speeds"
            found[name] = "" if timed else _digest(path)
    return found


def differences(found: dict[str, str], wanted: dict[str, str]) -> str:
    """Return in words which files are missing, left over or different; "" for none."""
    missing, more = wanted.keys() - found.keys(), found.keys() - wanted.keys()
    other = [name for name in found.keys() & wanted.keys() if found[name] != wanted[name]]
    parts = (("missing", missing), ("left over", more), ("different", other))
    return "; ".join(f"{what}: {', '.join(sorted(names)[:4])}" for what, names in parts if names)


def last_error(text: str) -> str:
    """Return the error and its place from what a command printed, on one line."""
    lines = text.splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith("error[")]
    return " ".join(" ".join(lines[starts[-1] :][:4] if starts else lines[-1:]).split())


def _digest(path: Path) -> str:
    data = path.read_bytes()
    if path.suffix in (".json", ".jsonl"):
        data = json.dumps([_without_times(json.loads(line)) for line in _documents(path, data)]).encode()
    if path.suffix == ".safetensors":  # the seconds of each epoch stand in the metadata of a resume state
        length = int.from_bytes(data[:8], "little")
        header = {name: one for name, one in json.loads(data[8 : 8 + length]).items() if name != "__metadata__"}
        data = json.dumps(header).encode() + data[8 + length :]
    return hashlib.sha256(data).hexdigest()


def _documents(path: Path, data: bytes) -> list[bytes]:
    return data.splitlines() if path.suffix == ".jsonl" else [data]


def _without_times(tree: Any) -> Any:
    if isinstance(tree, dict):
        kept = tree.keys() - TIMES - ({DIGEST} if TIMES & tree.keys() else set())
        return {key: _without_times(tree[key]) for key in sorted(kept)}
    return [_without_times(one) for one in tree] if isinstance(tree, list) else tree
