"""maskcls bench data: what reading and augmenting photos costs on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import torch

from maskcls.data.dataset import Key, Photos
from maskcls.data.layouts.source import image_root, read_labelled
from maskcls.data.photos.images import decode, read_bytes
from maskcls.data.photos.rgb import Pixels
from maskcls.data.views.transforms import ViewSpec, eval_view
from maskcls.schema import Config
from maskcls.show.bench import ReadingCosts
from maskcls.training.experiment import view_spec

PHOTOS = 256


REPEATS = 5


OFF: dict[str, Any] = {
    **dict.fromkeys(("hflip", "geometry", "zoom", "colour", "cutout", "erasing", "grid_dropout"), 0.0),
    **dict.fromkeys(("gray", "clahe", "sharpen", "blur"), 0.0),
    "randaugment": 0,
}


# Each random step for every photo; strengths that are not given are the configuration's.
STEPS: dict[str, dict[str, Any]] = {
    **{name: {name: 1.0} for name, off in OFF.items() if isinstance(off, float)},
    "colour": {"colour": 1.0, "saturation": 0.0, "hue": 0.0},
    "colour, saturation": {"colour": 1.0, "saturation": 0.2},
    **{f"randaugment {rounds}": {"randaugment": rounds} for rounds in (1, 2)},
}


def bench_data(data: Path, cfg: Config) -> ReadingCosts:
    """Time every step from a file to a training image, on up to 256 photos, in one thread."""
    frame = read_labelled(data, cfg.data.format, cfg.space, None, cfg.data.group)
    frame = frame.iloc[:: max(1, len(frame) // PHOTOS)].head(PHOTOS)
    root, spec = image_root(data, cfg.data.format), view_spec(cfg)
    paths, ids = frame["path"].tolist(), frame["id"].tolist()
    before = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)  # augmentation takes as many as torch
    try:
        costs = data_costs(root, paths, ids, spec)
    finally:
        cv2.setNumThreads(before[0])
        torch.set_num_threads(before[1])
    return ReadingCosts(data, len(paths), REPEATS, costs)


def data_costs(root: Path, paths: list[str], ids: list[str], spec: ViewSpec) -> dict[str, float]:
    """Return microseconds per photo: of reading up to the validation view, of each random step, of whole batches."""
    files = [root / path for path in paths]
    contents = [read_bytes(file) for file in files]
    images = [decode(data, file, at_least=spec.decode_size) for data, file in zip(contents, files, strict=True)]
    views = np.stack([eval_view(image, spec) for image in images])
    ways = list(zip(contents, files, strict=True))
    costs = {
        "read": _microseconds(lambda: [read_bytes(file) for file in files], len(files)),
        "decode": _microseconds(lambda: [decode(data, f, at_least=spec.decode_size) for data, f in ways], len(files)),
        "crop and resize": _microseconds(lambda: [eval_view(image, spec) for image in images], len(files)),
    }
    still = replace(spec, **OFF)
    keys = [Key(row, 0) for row in range(len(ids))]

    def batch(wanted: ViewSpec, cached: Pixels | None) -> Callable[[], object]:
        photos = Photos(root, paths, ids, [wanted], seed=0, cached=None if cached is None else [cached])
        return lambda: photos.__getitems__(keys)

    gathered = _microseconds(batch(still, views), len(ids))
    for step, always in STEPS.items():
        whole = _microseconds(batch(replace(still, **always), views), len(ids))
        costs[step] = max(0.0, whole - gathered)
    costs["a train view, decoded"] = _microseconds(batch(spec, None), len(ids))
    costs["a train view, cached"] = _microseconds(batch(spec, views), len(ids))
    return costs


def _microseconds(work: Callable[[], object], photos: int) -> float:
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return median(times) / photos * 1e6
