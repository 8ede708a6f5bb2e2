"""`maskcls predict RUN PHOTOS` in parts, against `maskcls predict RUN --data PHOTOS`: speed, and memory by photos.

Compared  both commands on the same folder of photos, without the cache, in turn. The photos are 200 drawn files of
          96 x 96 pixels under many names; the network is tiny, so reading and bookkeeping count most.
Counted   speed: photos/s of both commands in one process, with the libraries loaded, less the time for one photo.
          memory: the largest resident memory of the main process, for each command in a process of its own.
Run       python benchmarks/predict_stream.py RUN [--count 2000 20000] [--rounds 3]
Read      `in parts / --data` above 1: the parts are faster. Memory of the parts for 10 times as many photos should be
          nearly equal: it may grow by some hundred bytes per name.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from alternate import MASKCLS, ContestantError, spread
from PIL import Image

from maskcls.cli import run_app

WAYS = ("in parts", "--data")
FILES = 200
SIDE_PX = 96


def draw(folder: Path) -> list[Path]:
    """Write the distinct photos."""
    folder.mkdir()
    paths = [folder / f"{i:03d}.jpg" for i in range(FILES)]
    for i, path in enumerate(paths):
        coarse = np.random.default_rng(i).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((SIDE_PX, SIDE_PX)).save(path, quality=90)
    return paths


def spread_out(photos: list[Path], folder: Path, count: int) -> Path:
    """Give the photos `count` names, in folders of 1,000."""
    for i in range(count):
        place = folder / f"{i // 1000:04d}" / f"{i % 1000:03d}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        os.link(photos[i % len(photos)], place)
    return folder


def words_of(run: Path, way: str, folder: Path, output: Path) -> list[str]:
    """Return the command line of one of the two ways."""
    how = [str(folder)] if way == "in parts" else ["--data", str(folder), "data.cache=off"]
    return ["predict", str(run), *how, "-o", str(output)]


def memory_mib(words: list[str]) -> float:
    """Run a command in its own process; returns its largest resident memory in MiB."""
    child = subprocess.Popen([*MASKCLS, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    said = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise ContestantError(f"maskcls predict ended with {status}:\n{said[-2000:]}")
    return usage.ru_maxrss / 1024


def seconds(words: list[str]) -> float:
    """Run a command in this process; returns its seconds."""
    started = time.monotonic()
    with contextlib.redirect_stdout(io.StringIO()):
        if code := run_app(words):
            raise ContestantError(f"maskcls predict ended with {code}")
    return time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run that maskcls train made")
    parser.add_argument("--count", type=int, nargs="+", default=[2000, 20000])
    parser.add_argument("--rounds", type=int, default=5)
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        photos = draw(root / "photos")

        def words(way: str, folder: Path) -> list[str]:
            return words_of(a.run, way, folder, Path(tempfile.mkdtemp(dir=root)) / "a.csv")

        one = spread_out(photos, root / "one", 1)
        start_s = {way: min(seconds(words(way, one)) for _ in range(a.rounds)) for way in WAYS}
        for count in a.count:
            folder = spread_out(photos, root / f"n{count}", count)
            memory = {way: round(memory_mib(words(way, folder))) for way in WAYS}
            per_s: dict[str, list[float]] = {way: [] for way in WAYS}
            for turn in range(a.rounds):
                for way in WAYS[:: 1 - 2 * (turn % 2)]:
                    per_s[way].append(count / (seconds(words(way, folder)) - start_s[way]))
            ratio = spread(x / y for x, y in zip(*per_s.values(), strict=True))
            shown = {way: [round(value) for value in values] for way, values in per_s.items()}
            print(f"{count} photos: in parts / --data {ratio}; photos/s {shown}; MiB {memory}", flush=True)


if __name__ == "__main__":
    main()
