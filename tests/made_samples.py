"""A table of samples without a generator: images of noise, for the folds of an experiment."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maskcls.results.added.added_set import AddedSet
from maskcls.results.added.set_names import set_name
from maskcls.results.synth.sample_columns import sample_id
from maskcls.results.synth.sample_table import SampleMaker
from maskcls.results.synth.write_samples import write_samples
from maskcls.rundir import REFIT
from maskcls.training.added.added_source import folds_sha256
from maskcls.training.experiment import Experiment

SIZE = (32, 32)


def png(pixels_HWC: NDArray[np.uint8]) -> bytes:
    """Return the file of an image."""
    buffer = io.BytesIO()
    Image.fromarray(pixels_HWC).save(buffer, format="PNG")
    return buffer.getvalue()


def noise_png(*key: int) -> bytes:
    """Return an image that no other key has."""
    return png(np.random.default_rng(key).integers(0, 256, (*SIZE, 3)).astype(np.uint8))


def write_made_samples(
    path: Path,
    experiment: Experiment,
    *,
    per_set: int = 3,
    weight: float = 1.0,
    images: Mapping[str, bytes] | None = None,
    parents: Mapping[str, tuple[str, ...]] | None = None,
    makers: Mapping[int, Sequence[int]] | None = None,
    **options: Any,
) -> dict[int, AddedSet]:
    """Write samples of joint class 0 and on for every fold and all rows; returns the sets.

    images   {id: file} instead of noise. makers: {set: folds of the generators} that are not the set's own.
    """
    cfg = experiment.cfg
    sets, files = dict[int, AddedSet](), dict[str, bytes]()
    for k in (*range(cfg.folds.k), REFIT):
        ids = [sample_id(set_name(k), n) for n in range(per_set)]
        paths = [f"{path.stem}/{set_name(k)}-{n}.png" for n in range(per_set)]
        files |= {
            place: (images or {}).get(one, noise_png(k + 1, n))
            for n, (one, place) in enumerate(zip(ids, paths, strict=True))
        }
        labels = cfg.space.decode(np.arange(per_set, dtype=np.int64) % cfg.space.size)
        texts = [np.array(column, dtype=np.str_) for column in (ids, paths)]
        sets[k] = AddedSet(*texts, labels, None, np.full(per_set, weight))
    contents = {
        one: hashlib.blake2b(files[place], digest_size=16).digest()
        for rows in sets.values()
        for one, place in zip(rows.ids.tolist(), rows.paths.tolist(), strict=True)
    }
    made_by = {k: (makers or {}).get(k, [k]) for k in sets}
    given: dict[str, Any] = {
        "kind": "dcgan",
        "folds_sha256": folds_sha256(experiment.manifest, experiment.folds),
        "k": cfg.folds.k,
        "makers": {k: tuple(SampleMaker(fold, f"{fold % 10}" * 64) for fold in found) for k, found in made_by.items()},
        "counts": [],
        "lineage": {},
        "contents": contents,
        "images": files,
    }
    write_samples(path, sets, parents or {}, cfg.space, **given | options)
    return sets
