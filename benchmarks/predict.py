"""`maskcls predict` with K folds and a flip, against bare forward passes and plain decoding.

Compared  The reference is the time to decode N photos once with Pillow on all cores, plus 2 K bare forward passes over
          N images (bare.py, its best layout and number type). It is divided by the time in which `maskcls predict`
          writes its submission with K networks and predict.views=hflip. The reference runs directly before and after
          each run of maskcls, and the mean of both is used.
Counted   command       the whole command, from the start of its process to its end, from an empty MASKCLS_CACHE.
          again         the same command a second time, with the cache of the first.
          less start    both, minus the time of a process that only imports torch and timm.
          If the command itself prints images/s, the JSON record has it as `printed`.
Run       python benchmarks/predict.py [--photos DIR] [--folds 5] [--count 1000] [--rounds 5] [--json predict.json]
Read      Shares of the bare speed: 1.00 is as fast as decoding and then bare passes. Higher is better. More than 1 is
          possible by doing both at the same time, by decoding at a reduced size, or with a cache.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from alternate import (
    MASKCLS,
    TIMEOUT_S,
    Between,
    Contestant,
    ContestantError,
    Record,
    Spread,
    add_arguments,
    between,
    environment,
    in_process,
    say,
    settings_of,
    spread,
    table,
    write_record,
)
from photos import Order, ensure_photos, eval_files
from PIL import Image
from step import bare_command, choose, start_up

TRAIN_PHOTOS = 126  # 18 people, three per gender and age class: enough for networks whose scores do not matter
VIEWS = 2
SPEED = re.compile(r"([0-9.]+) (?:img|images)/s")


def reference_s(bare: Record, *, images: int, folds: int) -> float:
    """Return the seconds to decode the images once and pass them through every network twice.

    >>> reference_s({"decoded_per_s": 100.0, "infer_images_per_s": 1000.0}, images=1000, folds=5)
    20.0
    """
    return float(images / bare["decoded_per_s"] + VIEWS * folds * images / bare["infer_images_per_s"])


def shares(one: Between, *, images: int, folds: int, start_up_s: float) -> dict[str, float]:
    """Return the shares of the bare speed that one run of maskcls reached."""
    needed_s = statistics.mean(reference_s(b, images=images, folds=folds) for b in (one.before, one.after))
    wall_s = {"command": one.middle["wall_s"], "again": one.middle["again_wall_s"]}
    whole = {name: needed_s / seconds for name, seconds in wall_s.items()}
    return whole | {f"{name}, less start": needed_s / (seconds - start_up_s) for name, seconds in wall_s.items()}


def decode_speed(files: Sequence[Path], threads: int) -> float:
    """Decode every photo to RGB once, on `threads` threads; returns photos/s. Reading from disk is not counted."""
    contents = [path.read_bytes() for path in files]
    del contents
    started = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        sizes = list(pool.map(_decode, files))
    assert len(sizes) == len(files)
    return len(files) / (time.perf_counter() - started)


def _decode(path: Path) -> tuple[int, int]:
    with Image.open(path) as photo:
        return photo.convert("RGB").size


def train_folds(data: Path, run: Path, a: argparse.Namespace) -> None:
    """Train the networks for the prediction: one epoch each, on few photos."""
    command = [*MASKCLS, "train", str(data), "--config", "multi", "--run", str(run), f"folds.k={a.folds}"]
    command += [f"model.backbone={a.backbone}", f"transforms.size={list(a.size)}"]
    command += ["train.epochs=1", "average.kind=none"]
    in_process([*command, *a.set], environment(a.threads, MASKCLS_CACHE=str(run.parent / "training-cache")))


def ours(run: Path, data: Path, a: argparse.Namespace) -> Record:
    """Predict twice: with an empty cache, and with the cache of the first."""
    with tempfile.TemporaryDirectory() as scratch:
        env = environment(a.threads, MASKCLS_CACHE=str(Path(scratch) / "cache"))
        first = _predict(run, data, Path(scratch) / "first.csv", env)
        again = _predict(run, data, Path(scratch) / "again.csv", env)
        same = (Path(scratch) / "first.csv").read_bytes() == (Path(scratch) / "again.csv").read_bytes()
    assert same, "the second prediction differs from the first"
    return first | {f"again_{name}": value for name, value in again.items()}


def _predict(run: Path, data: Path, output: Path, env: dict[str, str]) -> Record:
    command = [*MASKCLS, "predict", str(run), "--data", str(data), "-o", str(output), "predict.views=hflip"]
    started = time.monotonic()
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    wall_s = time.monotonic() - started
    if done.returncode:
        raise ContestantError(f"maskcls predict ended with {done.returncode}:\n{done.stderr[-2000:]}")
    printed = SPEED.findall(done.stdout + done.stderr)
    return {"wall_s": wall_s} | ({"printed": float(printed[-1])} if printed else {})


def reference(data: Path, chosen: dict[str, str], a: argparse.Namespace) -> Record:
    """Decode in one new process, make forward passes in another."""
    env = environment(a.threads)
    decoding = [sys.executable, str(Path(__file__).resolve()), "decode", str(data), str(a.threads)]
    passes = [*bare_command(a.backbone, a, chosen, a.steps), "--kinds", "infer"]
    return in_process(decoding, env) | in_process(passes, env)


def arguments_of(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--photos", type=Path, default=None, metavar="DIR", help="created if missing; see photos.py")
    parser.add_argument("--count", type=int, default=1000, help="photos to predict")
    parser.add_argument("--folds", type=int, default=5, help="networks; 2 or more")
    parser.add_argument("--backbone", default="mobilenetv4_conv_small")
    parser.add_argument("--size", type=int, nargs=2, default=(128, 96), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--batch", type=int, default=64, help="of the bare forward pass")
    parser.add_argument("--steps", type=int, default=20, help="of the bare forward pass")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="further overrides for the training")
    return parser.parse_args(argv)


def measure(data: Path, scratch: Path, a: argparse.Namespace) -> tuple[Record, dict[str, Spread]]:
    """Train the networks, then measure; returns all raw figures, and the shares over the rounds."""
    train_folds(data, scratch / "run", a)
    chosen, probes = choose(a.backbone, a)
    started = start_up(a.threads)
    runs = between(
        Contestant("bare", lambda: reference(data, chosen, a)),
        Contestant("maskcls predict", lambda: ours(scratch / "run", data, a)),
        a.rounds,
        say,
    )
    each = [shares(run, images=a.count, folds=a.folds, start_up_s=started["imports_s"]) for run in runs]
    raw = [{"before": r.before, "maskcls": r.middle, "after": r.after} for r in runs]
    found = {name: spread(one[name] for one in each) for name in each[0]}
    return {"choice": probes, "start_up": started, "rounds": raw}, found


def main() -> None:
    """Print one table."""
    if sys.argv[1:2] == ["decode"]:
        speed = decode_speed(eval_files(Path(sys.argv[2])), int(sys.argv[3]))
        print(json.dumps({"decoded_per_s": speed}))
        return
    a = arguments_of()
    with tempfile.TemporaryDirectory() as scratch:
        data = ensure_photos(a.photos or Path(scratch) / "photos", Order(TRAIN_PHOTOS, a.count))
        raw, found = measure(data, Path(scratch), a)
    title = f"{a.folds} x {a.backbone}, {a.count} photos: share of the bare speed"
    print(table(title, found))
    if a.json:
        write_record(a.json, threads=a.threads, settings=settings_of(a), raw=raw, found=found)


if __name__ == "__main__":
    main()
