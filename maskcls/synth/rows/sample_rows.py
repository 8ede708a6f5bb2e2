"""Samples that were made, as rows of a table: ids, paths, labels, images and what the images are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

import numpy as np

from maskcls.data.photos.identity.photo_digests import digest
from maskcls.data.views.transforms import ViewSpec
from maskcls.labels import LabelSpace
from maskcls.results.added.added_set import AddedSet
from maskcls.results.added.set_names import set_name
from maskcls.results.synth.sample_columns import sample_id
from maskcls.results.synth.write_samples import images_folder
from maskcls.rundir import REFIT
from maskcls.synth.rows.canvas import on_canvas, png_of
from maskcls.synth.rows.made_set import MadeSet


@dataclass(frozen=True)
class SampleRow:
    """One sample. path: of its image; label: joint class; parents: row ids; digest: of the image's file."""

    path: str
    label: int
    parents: tuple[str, ...]
    digest: bytes


@dataclass
class SampleRows:
    """The rows of all sets, and the images to write, by path relative to the table's folder."""

    sets: dict[int, list[SampleRow]] = field(default_factory=dict)
    images: dict[str, bytes] = field(default_factory=dict)


def add_images(rows: SampleRows, k: int, made: MadeSet, spec: ViewSpec, output: Path) -> None:
    """Add the samples of one fold, or of REFIT, as images; spec: whose first crop takes off the border of an image."""
    found = []
    for number, image_HWC in enumerate(made.images_NHWC):
        path, png = f"{images_folder(output).name}/{set_name(k)}-{number}.png", png_of(on_canvas(image_HWC, spec))
        rows.images[path] = png
        found.append(SampleRow(path, made.label_N[number], made.parents[number], digest(png)))
    rows.sets[k] = found


def add_copies(rows: SampleRows, k: int, made: MadeSet, photos: Mapping[str, tuple[str, bytes]]) -> None:
    """Add the samples of one fold that are photos themselves. photos: {id: (path, digest)} of the data set."""
    rows.sets[k] = [
        SampleRow(photos[parent][0], label, (parent,), photos[parent][1])
        for label, (parent,) in zip(made.label_N, made.parents, strict=True)
    ]


def pooled(sets: Sequence[Sequence[SampleRow]], quotas: Mapping[int, int]) -> list[SampleRow]:
    """Return samples of the folds for a network of all rows: of each class the quota, the folds taken in turn.

    >>> a, b, c = (SampleRow(path, 0, (), b"") for path in "abc")
    >>> [row.path for row in pooled([[a, b], [c]], {0: 2})]
    ['a', 'c']
    """
    found = list[SampleRow]()
    for label, quota in sorted(quotas.items()):
        of_folds = [[row for row in rows if row.label == label] for rows in sets]
        in_turn = [row for turn in zip_longest(*of_folds) for row in turn if row is not None]
        found += in_turn[:quota]
    return found


def as_added_sets(
    rows: SampleRows, space: LabelSpace, weight: float
) -> tuple[dict[int, AddedSet], dict[str, tuple[str, ...]], dict[str, bytes]]:
    """Return the sets of a table, the parents of each sample, and the digest of its image's file, both by id."""
    sets, parents, contents = dict[int, AddedSet](), dict[str, tuple[str, ...]](), dict[str, bytes]()
    for k in sorted(rows.sets, key=lambda fold: (fold == REFIT, fold)):
        found = rows.sets[k]
        ids = [sample_id(set_name(k), number) for number in range(len(found))]
        sets[k] = AddedSet(
            np.array(ids, dtype=np.str_),
            np.array([row.path for row in found], dtype=np.str_),
            space.decode(np.array([row.label for row in found], dtype=np.int64)),
            None,
            np.full(len(found), weight, dtype=np.float64),
        )
        parents |= {one: row.parents for one, row in zip(ids, found, strict=True) if row.parents}
        contents |= {one: row.digest for one, row in zip(ids, found, strict=True)}
    return sets, parents, contents
