"""`maskcls predict RUN PHOTOS` in parts, against `maskcls predict RUN --data PHOTOS`: speed, and memory by photos.

Compared  both commands on the same folder of photos, without the cache, in turn. The photos are 200 drawn files of
          96 x 96 pixels under many names; the network is tiny, so reading and bookkeeping count most.
Counted   photos/s of the whole command, less the time of the same command for one photo; and the largest resident
          memory of its processes (the loader processes of --data separately, each of them).
Run       python benchmarks/predict_stream.py RUN [--count 2000 20000] [--rounds 3]
Read      `in parts / --data` above 1: the parts are faster. Memory of the parts for 10 times as many photos should be
          nearly equal: it may grow by some hundred bytes per name.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from alternate import MASKCLS, ContestantError, Record, spread
from PIL import Image

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


def measured(words: list[str], output: Path) -> Record:
    """Run a prediction; returns its seconds and the largest resident memory of one of its processes, in MiB."""
    started = time.monotonic()
    child = subprocess.Popen([*MASKCLS, "predict", *words, "-o", str(output)], stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    said = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise ContestantError(f"maskcls predict ended with {status}:\n{said[-2000:]}")
    return {"wall_s": time.monotonic() - started, "rss_mib": usage.ru_maxrss / 1024}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run that maskcls train made")
    parser.add_argument("--count", type=int, nargs="+", default=[2000, 20000])
    parser.add_argument("--rounds", type=int, default=3)
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        photos = draw(root / "photos")
        ways = {"in parts": [], "--data": ["--data"]}
        settings = {"in parts": [], "--data": ["data.cache=off"]}

        def once(way: str, folder: Path) -> Record:
            with tempfile.TemporaryDirectory(dir=root) as place:
                return measured([str(a.run), *ways[way], str(folder), *settings[way]], Path(place) / "a.csv")

        one = spread_out(photos, root / "one", 1)
        start_s = {way: min(once(way, one)["wall_s"] for _ in range(a.rounds)) for way in ways}
        for count in a.count:
            folder = spread_out(photos, root / f"n{count}", count)
            found: dict[str, list[Record]] = {way: [] for way in ways}
            for turn in range(a.rounds):
                for way in sorted(ways, reverse=bool(turn % 2)):
                    found[way].append(once(way, folder))
            per_s = {way: [count / (r["wall_s"] - start_s[way]) for r in found[way]] for way in ways}
            ratio = spread(x / y for x, y in zip(per_s["in parts"], per_s["--data"], strict=True))
            memory = {way: max(r["rss_mib"] for r in found[way]) for way in ways}
            print(f"{count} photos: in parts / --data {ratio}; MiB {memory}; photos/s {per_s}", flush=True)


if __name__ == "__main__":
    main()
