"""`maskcls train` end to end, against the bare loop that makes the same passes on data in memory.

Compared  The time of the bare loop (bare.py, its best layout and number type) for an epoch's training steps and
          validation passes, divided by the time of `maskcls train` for that epoch with loading, augmentation, the
          average of the weights, gradient clipping, scores and saving. The bare loop runs directly before and after
          each run of maskcls, and the mean of both is used, because the speed of a shared machine changes.
Counted   epoch            `seconds` of log.jsonl, training and validation, from the second epoch on.
          epoch + saving   from one line of log.jsonl to the next on disk, which includes writing the weights.
          training alone   `images_per_second` of log.jsonl; too high if the loader works ahead during validation.
          start + epoch 1  from the start of the process to the first line of log.jsonl, from an empty MASKCLS_CACHE:
                           imports, reading and checking photos, filling the cache, epoch 1, saving. The files are in
                           the system's page cache, so the disk does not count.
          epoch 1          the same, minus the time of a process that only imports torch and timm.
Run       python benchmarks/step.py [--photos DIR] [--backbones resnet18] [--rounds 5] [--json step.json]
          python benchmarks/step.py --count 5000 --views hflip --set device.precision=bf16
Read      Shares of the bare speed: 1.00 is as fast as the bare loop, 0.50 takes twice its time. Higher is better. More
          than 1 is possible if maskcls does something that the bare loop does not, such as fusing normalisation layers
          for validation; on a busy machine it is noise.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from alternate import (
    MASKCLS,
    Between,
    Contestant,
    Record,
    Spread,
    add_arguments,
    between,
    environment,
    in_process,
    maskcls_train,
    report_backbones,
    say,
    spread,
)
from photos import Order, ensure_photos

HERE = Path(__file__).resolve().parent
VIEWS = {"none": 1, "hflip": 2}
IMPORTS = "import torch, timm"


def bare_s(bare: Record, *, train_images: int, valid_passes: int) -> float:
    """Return the seconds of the bare loop for so many trained images and forward passes of one image.

    >>> bare_s({"train_images_per_s": 100.0, "infer_images_per_s": 500.0}, train_images=400, valid_passes=200)
    4.4
    """
    return train_images / bare["train_images_per_s"] + valid_passes / bare["infer_images_per_s"]


def shares(one: Between, *, views: int, start_up_s: float) -> dict[str, float]:
    """Return the shares of the bare speed that one run of maskcls reached."""
    ours, both = one.middle, (one.before, one.after)
    passes = ours["valid_images"] * views
    epoch_s = statistics.mean(bare_s(b, train_images=ours["train_images"], valid_passes=passes) for b in both)
    image_s = statistics.mean(1 / b["train_images_per_s"] for b in both)
    return {
        "epoch": epoch_s / ours["epoch_s"],
        "epoch + saving": epoch_s / ours["epoch_wall_s"],
        "training alone": image_s * ours["images_per_second"],
        "start + epoch 1": epoch_s / ours["first_s"],
        "epoch 1": epoch_s / (ours["first_s"] - start_up_s),
    }


def bare_command(backbone: str, a: argparse.Namespace, chosen: Mapping[str, str], steps: int) -> list[str]:
    """Return the command line of one bare run."""
    command = [sys.executable, str(HERE / "bare.py"), "--backbone", backbone, "--batch", str(a.batch)]
    command += ["--size", *map(str, a.size), "--threads", str(a.threads), "--steps", str(steps)]
    return [*command, "--setting", chosen["train"], "--infer-setting", chosen["infer"]]


def choose(backbone: str, a: argparse.Namespace) -> tuple[dict[str, str], Record]:
    """Find the fastest setting of the bare loop, for training and for the forward pass."""
    found = in_process(bare_command(backbone, a, {"train": "best", "infer": "best"}, 1), environment(a.threads))
    return {kind: found[f"{kind}_setting"] for kind in ("train", "infer")}, found


def ours(data: Path, backbone: str, a: argparse.Namespace) -> Record:
    """Train with maskcls once, from an empty cache."""
    arguments = ["--config", "multi", f"model.backbone={backbone}", f"train.epochs={a.epochs}"]
    arguments += [f"train.batch_size={a.batch}", f"transforms.size={list(a.size)}", f"predict.views={a.views}"]
    with tempfile.TemporaryDirectory() as scratch:
        env = environment(a.threads, MASKCLS_CACHE=str(Path(scratch) / "cache"))
        return maskcls_train(data, Path(scratch) / "run", [*arguments, *a.set], env)


def start_up(threads: int) -> Record:
    """Return the start-up seconds of Python with torch and timm, and of `maskcls train --help`."""
    env = environment(threads)
    in_process([sys.executable, "-c", IMPORTS], env)  # once without timing, because it may write bytecode
    imports = [in_process([sys.executable, "-c", IMPORTS], env)["wall_s"] for _ in range(3)]
    helps = [in_process([*MASKCLS, "train", "--help"], env)["wall_s"] for _ in range(3)]
    return {"imports_s": statistics.median(imports), "help_s": statistics.median(helps)}


def measure(data: Path, backbone: str, a: argparse.Namespace) -> tuple[Record, dict[str, Spread]]:
    """Measure one backbone; returns all raw figures, and the shares over the rounds."""
    chosen, probes = choose(backbone, a)
    say(f"{backbone}: bare training {chosen['train']}, forward pass {chosen['infer']}")
    reference = Contestant(
        "bare", lambda: in_process(bare_command(backbone, a, chosen, a.steps), environment(a.threads))
    )
    started = start_up(a.threads)
    runs = between(reference, Contestant("maskcls", partial(ours, data, backbone, a)), a.rounds, say)
    each = [shares(run, views=VIEWS[a.views], start_up_s=started["imports_s"]) for run in runs]
    found = {name: spread(one[name] for one in each) for name in each[0]}
    raw = [{"before": r.before, "maskcls": r.middle, "after": r.after} for r in runs]
    return {"choice": probes, "start_up": started, "rounds": raw}, found


def arguments_of(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--photos", type=Path, default=None, metavar="DIR", help="created if missing; see photos.py")
    parser.add_argument("--count", type=int, default=2100, help="photos to make; one fifth is for validation")
    parser.add_argument("--backbones", nargs="+", default=["mobilenetv4_conv_small", "resnet18"])
    parser.add_argument("--size", type=int, nargs=2, default=(128, 96), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=3, help="2 or more; the first is reported separately")
    parser.add_argument("--views", choices=tuple(VIEWS), default="none", help="views in validation")
    parser.add_argument("--steps", type=int, default=20, help="steps of each kind per bare run")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="further overrides for maskcls")
    return parser.parse_args(argv)


def main() -> None:
    """Print one table per backbone."""
    a = arguments_of()
    with tempfile.TemporaryDirectory() as scratch:
        data = ensure_photos(a.photos or Path(scratch) / "photos", Order(a.count, 0))
        report_backbones(a, lambda backbone: measure(data, backbone, a), "share of the bare speed")


if __name__ == "__main__":
    main()
