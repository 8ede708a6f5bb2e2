"""Make synthetic photos for speed measurements, in the contest's layout; fast and reproducible.

Made      COUNT JPEGs of quality 90 for training (seven per person, so COUNT is rounded up to a multiple of 7), and
          EVAL_COUNT for prediction: a soft background, a head, eyes, a mouth or a mask, lighting, and film grain. The
          grain gives 384 x 512 pixels a file size of 25-40 kB, as for real portraits. The photos only measure speed; a
          network trained on them is useless for real photos.
Run       python benchmarks/photos.py DIR --count 5000 --eval-count 1000
Read      DIR/photos.json describes the photos; a folder with the same description is not made again.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from alternate import cores
from numpy.typing import NDArray

STEMS = (*(f"mask{i}" for i in range(1, 6)), "incorrect_mask", "normal")
GENDERS = ("male", "female")
AGES_YEARS = (24, 45, 66)
QUALITY = 90
GRAIN_SIGMA = 4.0
GRAIN_TILES = 8


@dataclass(frozen=True)
class Order:
    """The number of photos and their size in pixels; `version` changes when the drawing code changes."""

    count: int
    eval_count: int
    height: int = 512
    width: int = 384
    seed: int = 0
    version: int = 1


def ensure_photos(root: Path, order: Order) -> Path:
    """Make the photos below root unless they exist already; returns root.

    Raises FileExistsError when the folder contains something else.
    """
    note, text = root / "photos.json", json.dumps(asdict(order), indent=1) + "\n"
    if note.exists() and note.read_text(encoding="utf-8") == text:
        return root
    if root.exists() and any(root.iterdir()):
        raise FileExistsError(f"{root} contains other files, or other photos; name a new folder")
    grain = grain_tiles(order)
    with ThreadPoolExecutor(cores()) as pool:
        for _ in pool.map(lambda job: _write(*job, order, grain), [*_train(root, order), *_eval(root, order)]):
            pass
    note.write_text(text, encoding="utf-8")
    return root


def train_files(root: Path) -> Iterator[tuple[Path, tuple[int, int, int]]]:
    """Yield the training photos in order, with the class indices (mask, gender, age) of each."""
    with (root / "train" / "train.csv").open(newline="", encoding="utf-8") as handle:
        for row in csv.DictReader(handle):
            for stem in STEMS:
                age = (int(row["age"]) >= 30) + (int(row["age"]) >= 60)
                labels = (_state(stem), GENDERS.index(row["gender"]), age)
                yield root / "train" / "images" / row["path"] / f"{stem}.jpg", labels


def eval_files(root: Path) -> list[Path]:
    """Return the photos to predict, in order."""
    with (root / "eval" / "info.csv").open(newline="", encoding="utf-8") as handle:
        return [root / "eval" / "images" / row["ImageID"] for row in csv.DictReader(handle)]


def _state(stem: str) -> int:
    return {"incorrect_mask": 1, "normal": 2}.get(stem, 0)


Job = tuple[Path, int, int, int]  # file, person, shot, state


def _train(root: Path, order: Order) -> list[Job]:
    folder, rows, jobs = root / "train", [], []
    for person in range(-(-order.count // len(STEMS))):
        gender, age = GENDERS[person % 2], AGES_YEARS[person // 2 % 3]
        profile = f"{person + 1:06d}_{gender}_drawn_{age}"
        rows.append((f"{person + 1:06d}", gender, "drawn", age, profile))
        (folder / "images" / profile).mkdir(parents=True)
        for shot, stem in enumerate(STEMS):
            jobs.append((folder / "images" / profile / f"{stem}.jpg", person, shot, _state(stem)))
    _write_table(folder / "train.csv", ("id", "gender", "race", "age", "path"), rows)
    return jobs


def _eval(root: Path, order: Order) -> list[Job]:
    folder = root / "eval"
    (folder / "images").mkdir(parents=True)
    names = [f"{index:06d}.jpg" for index in range(order.eval_count)]
    _write_table(folder / "info.csv", ("ImageID", "ans"), [(name, 0) for name in names])
    found = []
    for index, name in enumerate(names):
        person, shot = divmod(index, len(STEMS))
        found.append((folder / "images" / name, 1_000_000 + person, shot, _state(STEMS[shot])))
    return found


def _write_table(path: Path, header: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle, lineterminator="\n").writerows([header, *rows])


def _write(path: Path, person: int, shot: int, state: int, order: Order, grain: list[NDArray[np.int16]]) -> None:
    look, rng = (np.random.default_rng([order.seed, person, draw]) for draw in (0, 1 + shot))
    pixels = draw(look, rng, state, grain, order.height, order.width)
    written, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert written
    path.write_bytes(data.tobytes())


def grain_tiles(order: Order) -> list[NDArray[np.int16]]:
    """Return tiles (H, W, 3) int16 of slightly blurred noise; new noise for each photo would take most of the time.

    Each photo starts at a random position of a tile, so photos have different noise.
    """
    tiles = []
    for index in range(GRAIN_TILES):
        noise = np.random.default_rng([order.seed, index]).normal(0, GRAIN_SIGMA, (order.height, order.width, 3))
        tiles.append(np.round(cv2.GaussianBlur(noise, (3, 3), 0.6)).astype(np.int16))
    return tiles


def draw(
    look: np.random.Generator,
    rng: np.random.Generator,
    state: int,
    grain: list[NDArray[np.int16]],
    height: int,
    width: int,
) -> NDArray[np.uint8]:
    """Draw one head as uint8 (H, W, 3).

    look   generator of what is the same in all photos of a person.
    rng    generator of what differs between photos.
    state  0: a mask, 1: a mask below the nose, 2: no mask.
    """
    skin, hair, cloth = (look.integers(low, high, 3).tolist() for low, high in ((110, 230), (10, 120), (20, 230)))
    unit = height / 16
    cx, cy = (np.array([width / 2, height * 0.42]) + rng.normal(0, unit / 2, 2)).tolist()
    image = cv2.resize(rng.integers(40, 220, (4, 3, 3), dtype=np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)

    def ellipse(x: float, y: float, a: float, b: float, colour: list[int]) -> None:
        centre = (round(cx + x * unit), round(cy + y * unit))
        cv2.ellipse(image, centre, (round(a * unit), round(b * unit)), 0, 0, 360, colour, -1, cv2.LINE_AA)

    ellipse(0, 10, 6, 5, cloth)
    ellipse(0, -0.8, 3.7, 4.6, hair)
    ellipse(0, 0.3, 3.0, 4.0, skin)
    for side in (-1.2, 1.2):
        ellipse(side, -0.5, 0.5, 0.25, [235, 235, 235])
        ellipse(side, -0.5, 0.2, 0.22, [40, 30, 20])
        ellipse(side, -1.1, 0.7, 0.12, hair)
    ellipse(0, 2.2, 1.0, 0.25, [90, 80, 170])
    if state < 2:
        ellipse(0, 2.2 + 0.8 * state, 2.5, 1.6 - 0.4 * state, rng.integers(150, 255, 3).tolist())
    image = cv2.GaussianBlur(image, (0, 0), height / 350)
    light = cv2.resize(rng.integers(-25, 26, (8, 6, 1), dtype=np.int16), (width, height), interpolation=cv2.INTER_CUBIC)
    tile = grain[rng.integers(len(grain))]
    grained = np.roll(tile, tuple(rng.integers(0, (height, width)).tolist()), axis=(0, 1)) + light[:, :, None]
    return np.clip(image + grained, 0, 255).astype(np.uint8)


def main() -> None:
    """Make the photos and print their number and size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, metavar="DIR")
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--eval-count", type=int, default=1000)
    parser.add_argument("--height", type=int, default=512)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    ensure_photos(a.root, Order(a.count, a.eval_count, a.height, a.width, a.seed))
    kilobytes = [path.stat().st_size / 1000 for path, _ in train_files(a.root)]
    print(f"{len(kilobytes)} photos to train on, median {np.median(kilobytes):.0f} kB; {len(eval_files(a.root))} more")


if __name__ == "__main__":
    main()
