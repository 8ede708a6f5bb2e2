"""Save and load a person clustering: the fitted clusterer, and the groups of the photos it was fitted on.

N photos, D numbers per descriptor, K axes.
"""

from __future__ import annotations

import io
import json
from dataclasses import asdict

import numpy as np

from maskcls.errors import ResultError
from maskcls.files.arrays import read_arrays
from maskcls.results.people.clustering import Metric, PairQuality, PersonClusterer, PersonClustering
from maskcls.results.predictions import DAMAGE

VERSION = 1


def to_bytes(clustering: PersonClustering) -> bytes:
    """Return an npz file: mean (D,), axes (D, K), ratio (K,) in float64, group (N,) int64, and `meta`, one JSON text.

    Equal clusterings give equal bytes.
    """
    clusterer = clustering.clusterer
    meta = {
        "version": VERSION,
        "threshold": clusterer.threshold,
        "most": clusterer.max_photos,
        "quality": asdict(clustering.quality),
    }
    buffer = io.BytesIO()
    np.savez(
        buffer,
        mean=clusterer.metric.mean_D,
        axes=clusterer.metric.axes_DK,
        ratio=clusterer.metric.ratio_K,
        group=clustering.group_N,
        meta=np.array(json.dumps(meta, sort_keys=True)),
    )
    return buffer.getvalue()


def from_bytes(data: bytes, *, where: str) -> PersonClustering:
    """Read what `to_bytes` returned; raises ResultError, naming `where`, for anything else."""
    try:
        found = read_arrays(data)
        meta = json.loads(str(found["meta"]))
        if meta["version"] != VERSION:
            raise ValueError(f"version {meta['version']} is not known")
        metric = Metric(found["mean"], found["axes"], found["ratio"])
        if metric.axes_DK.shape != (len(metric.mean_D), len(metric.ratio_K)):
            raise ValueError(f"axes of shape {metric.axes_DK.shape}")
        clusterer = PersonClusterer(metric, float(meta["threshold"]), int(meta["most"]))
        return PersonClustering(clusterer, found["group"], PairQuality(**meta["quality"]))
    except DAMAGE as error:
        got = f"{type(error).__name__}: {error}"
        raise ResultError(
            "the run's person clustering cannot be read", where=where, got=got, fix="restore it"
        ) from None
