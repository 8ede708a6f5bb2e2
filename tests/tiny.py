"""A recipe small enough for any machine, and what the end-to-end tests ask of a run folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from maskcls import config, files
from maskcls.cli import run_app
from maskcls.rundir import RunDir
from maskcls.schema import Config
from maskcls.training.experiment import Experiment, read_experiment

RECIPE = (
    "model.backbone=test_efficientnet",
    "transforms.size=[32, 32]",
    "folds.k=2",
    "train.epochs=2",
    "train.batch_size=16",
    "predict.views=none",
    "device.type=cpu",
    "device.threads=1",
    "device.workers=0",
    "device.precision=fp32",
    "device.memory_format=channels_last",
    "train.report=false",  # a page takes seconds; tests/commands/test_report_after_training.py
)
# No normalisation over the batch, no chance: what a step gives then depends on its rows alone.
PLAIN = ("model.backbone=test_convnext", "transforms.hflip=0", "transforms.geometry=0", "transforms.colour=0")

UNSCORED = {  # the files of a finished network without a score
    "log.jsonl",
    "first_batch.png",
    "best/weights.safetensors",
    "best/meta.json",
    "last/weights.safetensors",
    "last/meta.json",
    "resume/state.safetensors",
    "DONE",
}


def in_a_fold(epochs: int) -> set[str]:
    """Return the files of a finished fold of so many epochs."""
    return UNSCORED | {"oof.npz", "summary.json"} | {f"epochs/{epoch}.npy" for epoch in range(epochs)}


def tiny(*overrides: str) -> Config:
    """Return the tiny recipe with overrides."""
    return config.load(None, [*RECIPE, *overrides])[0]


def experiment(data: Path, *overrides: str) -> Experiment:
    """Read a data set under the tiny recipe; no file is written."""
    return read_experiment(tiny(*overrides), data, RunDir(Path("never-written")))


def recipe(*words: str) -> list[str]:
    """Return the tiny recipe and further words of a command line; of the overrides of one key the last one alone."""
    joined = [*RECIPE, *words]
    last = {word.partition("=")[0]: place for place, word in enumerate(joined)}
    return [word for place, word in enumerate(joined) if "=" not in word or last[word.partition("=")[0]] == place]


def train(data: Path, run: Path, *words: str) -> int:
    """Run `maskcls train` with the tiny recipe in this process; returns the exit code."""
    return run_app(["train", str(data), "--run", str(run), *recipe(*words)])


def resume(run: Path, *words: str) -> int:
    """Run `maskcls resume` in this process; returns the exit code."""
    return run_app(["resume", str(run), *words])


def hashes(folder: Path) -> dict[str, str]:
    """Return the hash of every file below the folder, by its path there."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): files.file_sha256(path) for path in paths}


def outcome(run: Path) -> dict[str, str]:
    """Return the hashes of what a training is for: weights, their meta, OOF rows and scores; no times, no machine."""
    endings = ("weights.safetensors", "meta.json", "oof.npz", "summary.json", "folds.csv", "DONE")
    return {name: digest for name, digest in hashes(run).items() if name.endswith(endings)}


def contents(run: Path) -> dict[str, Any]:
    """Return the outcome without what differs between configurations that train the same: owners, and their digests."""
    left_out = {"owner", "digest", "files"}
    return {
        name: {key: value for key, value in files.read_json(run / name).items() if key not in left_out}
        if name.endswith((".json", "DONE"))
        else digest
        for name, digest in outcome(run).items()
    }


def log_lines(fold: Path) -> list[dict[str, Any]]:
    """Return the lines of a fold's log, without the owner and the digest, which the last line has."""
    lines = [json.loads(line) for line in (fold / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in ("owner", "digest")} for line in lines]
