"""What was learned of who is who by look, in one file: how to compare photos, and the groups of those it learned from.

N photos, D numbers a descriptor, K axes.
"""

from __future__ import annotations

import io
import json
from dataclasses import asdict

import numpy as np

from maskcls.errors import ResultError
from maskcls.results.people.clustering import Grouper, Learned, Metric, PairQuality
from maskcls.results.predictions import DAMAGE

VERSION = 1


def to_bytes(learned: Learned) -> bytes:
    """Return an npz file: mean (D,), axes (D, K), ratio (K,) in float64, group (N,) int64, and `meta`, one JSON text.

    Equal looks give equal bytes.
    """
    grouper = learned.grouper
    meta = {
        "version": VERSION,
        "threshold": grouper.threshold,
        "most": grouper.most,
        "quality": asdict(learned.quality),
    }
    buffer = io.BytesIO()
    np.savez(
        buffer,
        mean=grouper.metric.mean_D,
        axes=grouper.metric.axes_DK,
        ratio=grouper.metric.ratio_K,
        group=learned.group_N,
        meta=np.array(json.dumps(meta, sort_keys=True)),
    )
    return buffer.getvalue()


def from_bytes(data: bytes, *, where: str) -> Learned:
    """Read what `to_bytes` returned; raises ResultError, naming `where`, for anything else."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as found:
            meta = json.loads(str(found["meta"]))
            if meta["version"] != VERSION:
                raise ValueError(f"version {meta['version']} is not known")
            metric = Metric(found["mean"], found["axes"], found["ratio"])
            if metric.axes_DK.shape != (len(metric.mean_D), len(metric.ratio_K)):
                raise ValueError(f"axes of shape {metric.axes_DK.shape}")
            grouper = Grouper(metric, float(meta["threshold"]), int(meta["most"]))
            return Learned(grouper, found["group"], PairQuality(**meta["quality"]))
    except DAMAGE as error:
        got = f"{type(error).__name__}: {error}"
        raise ResultError(
            "what the run learned of looks cannot be read", where=where, got=got, fix="restore it"
        ) from None
