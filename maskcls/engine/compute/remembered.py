"""Measurements in the cache folder, per machine, network and batch.

A stored measurement is used only if no other process used the machine during it, and if it was complete or made for a
training about as long as this one. Otherwise it is made again and replaced.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from maskcls import files
from maskcls.data.photos.cache_folder import cache_folder
from maskcls.engine.compute.candidates import Candidate, Workload
from maskcls.engine.compute.measure import Measurement
from maskcls.engine.compute.plan import Execution
from maskcls.engine.compute.rule import Timings
from maskcls.errors import MaskclsError
from maskcls.machine import cores, processor

FORMAT = 2
LONGER = 1.5  # a training longer by this factor has time for a more complete measurement

Facts = dict[str, Any]


def facts_of(
    workload: Workload, candidates: Sequence[Candidate], batch: int, device: torch.device, *, train: bool
) -> Facts:
    """Return everything a measurement depends on, as JSON data; the name of its file is a hash of it."""
    return {
        "format": FORMAT,
        "machine": torch.cuda.get_device_name() if device.type == "cuda" else processor(),
        "cores": cores(),
        "torch": torch.__version__,
        "wait": [os.environ.get(name, "") for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")],
        "device": device.type,
        "network": workload.name,
        "parameters": sum(p.numel() for p in workload.network.parameters()),
        "size": list(workload.size),
        "batch": batch,
        "train": train,
        "candidates": [asdict(candidate) for candidate in candidates],
    }


def keep(facts: Facts, measurement: Measurement, images: int) -> None:
    """Write a measurement to the cache folder. images: images of the whole training that it was made for.

    A cache folder that cannot be written is not an error: the next start measures again.
    """
    stages = [
        [asdict(candidate) | {"seconds": list(rounds)} for candidate, rounds in stage.items()]
        for stage in measurement.stages
    ]
    about = {"timed_batch": measurement.batch, "complete": measurement.complete, "busy": measurement.busy}
    with contextlib.suppress(MaskclsError):
        data = facts | about | {"images": images, "stages": stages, "at": time.time()}
        files.commit_json(_file(facts), files.with_digest(data))


def recall(facts: Facts, images: int) -> Measurement | None:
    """Return the stored measurement if it can be used for a training of `images` images; None: measure again."""
    try:
        kept = files.without_digest(files.read_json(_file(facts)), _file(facts), required=False)
        if kept["busy"] or not (kept["complete"] or images <= LONGER * kept["images"]):
            return None
        stages = tuple(_stage(stage, facts["candidates"]) for stage in kept["stages"])
        batch, complete = kept["timed_batch"], kept["complete"]
        if type(batch) is not int or batch < 1 or type(complete) is not bool or not stages or not all(stages):
            return None
        return Measurement(stages, batch, complete=complete)
    except (MaskclsError, KeyError, TypeError, AttributeError, ValueError, OverflowError):  # the file is damaged
        return None


def _stage(rows: Sequence[Mapping[str, Any]], known: Sequence[Mapping[str, Any]]) -> Timings:
    """Read one stage; ValueError for a candidate that is not among the known ones, and for impossible times."""
    timings = {}
    for row in rows:
        execution, threads = row["execution"], row["threads"]
        if {"execution": execution, "threads": threads} not in known:
            raise ValueError("not one of the candidates")
        seconds = tuple(float(s) for s in row["seconds"])
        if not all(math.isfinite(s) and s > 0 for s in seconds):
            raise ValueError("not a time")
        timings[Candidate(Execution(**execution), threads)] = seconds
    return timings


def _file(facts: Facts) -> Path:
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]
    return cache_folder() / "speeds" / f"{digest}.json"
