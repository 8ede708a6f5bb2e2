"""How many copies of training photos the filter of `maskcls synth sample` finds, and how many new people it leaves out.

    python benchmarks/copies.py DATA --people 160 --new 200 --draws 3 --quantile 0.01

Photos are cropped by a tenth per side and made as small as samples. No network is trained.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from maskcls import config
from maskcls.results.synth.copied_faces import copy_limit, nearest_photos
from maskcls.rundir import RunDir
from maskcls.synth.loop.synth_rows import synth_spec, view_images
from maskcls.synth.rows.thumbnails import both_ways, thumbnails
from maskcls.training.experiment import read_experiment

Pixels = NDArray[np.uint8]
COPIES = 300


def changes(rng: np.random.Generator, others: Pixels) -> dict[str, Callable[[Pixels], Pixels]]:
    """Return what is done to a photo (H, W, 3), by name; others: photos to mix it with."""

    def shifted(pixels: int) -> Callable[[Pixels], Pixels]:
        return lambda one: moved(one, np.float32([[1, 0, pixels], [0, 1, 0]]))

    def moved(one: Pixels, map_23: NDArray[np.float32]) -> Pixels:
        return np.uint8(cv2.warpAffine(one, map_23, one.shape[1::-1], borderMode=cv2.BORDER_REPLICATE))

    def turned(degrees: float) -> Callable[[Pixels], Pixels]:
        return lambda one: moved(one, cv2.getRotationMatrix2D((one.shape[1] / 2, one.shape[0] / 2), degrees, 1))

    def cropped(pixels: int) -> Callable[[Pixels], Pixels]:
        return lambda one: np.uint8(cv2.resize(one[pixels:-pixels, pixels:-pixels], one.shape[1::-1]))

    def mixed(share: float) -> Callable[[Pixels], Pixels]:
        return lambda one: np.uint8((1 - share) * one + share * others[rng.integers(len(others))])

    return {
        "exact": lambda one: one,
        "noise of 12": lambda one: np.uint8(np.clip(one + rng.normal(0, 12, one.shape), 0, 255)),
        "brighter by 15 %": lambda one: np.uint8(np.clip(one * 1.15, 0, 255)),
        **{f"shifted by {n}": shifted(n) for n in (1, 2, 4)},
        "blurred by 1": lambda one: np.uint8(cv2.GaussianBlur(one, (0, 0), 1.0)),
        "mirrored": lambda one: one[:, ::-1].copy(),
        **{f"turned by {n}": turned(n) for n in (3, 6)},
        **{f"cropped by {n}": cropped(n) for n in (2, 4)},
        **{f"mixed with {share:.0%}": mixed(share) for share in (0.2, 0.4)},
    }


def main() -> None:
    """Print the shares, mean and range over the draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--people", type=int, default=160)
    parser.add_argument("--new", type=int, default=200)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--quantile", type=float, default=0.01)
    args = parser.parse_args()
    cfg, _ = config.load(None, ["synth.size=[64,48]", "transforms.crop=[0.8,0.8]"])
    experiment = read_experiment(cfg, args.data, RunDir(Path("never-written")))
    people, shares = experiment.people, dict[str, list[float]]()
    for seed in range(args.draws):
        rng = np.random.default_rng(seed)
        order = rng.permutation(np.unique(people))
        train = np.flatnonzero(np.isin(people, order[: args.people]))
        new = np.flatnonzero(np.isin(people, order[args.people : args.people + args.new]))
        photos, others = (view_images(experiment, rows, synth_spec(cfg)) for rows in (train, new))
        photo_ND = both_ways(photos)
        limit = copy_limit(photo_ND, np.tile(people[train], 2), args.quantile)
        copied = photos[rng.permutation(len(photos))[:COPIES]]
        images = {name: np.stack([how(one) for one in copied]) for name, how in changes(rng, photos).items()}
        for name, found in (images | {"new people": others}).items():
            near = nearest_photos(thumbnails(found), photo_ND)[0] < limit
            shares.setdefault(name, []).append(float(near.mean()))
    for name, found in shares.items():
        print(f"{name:20} {np.mean(found):.3f} ({min(found):.3f} to {max(found):.3f})")


if __name__ == "__main__":
    main()
