"""Write a table of samples, its sidecar and its images."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from maskcls.files import OutputFile
from maskcls.labels import LabelSpace
from maskcls.results.added.added_set import AddedSet
from maskcls.results.added.set_names import set_name
from maskcls.results.csv_with_origin import write_csv
from maskcls.results.photo_contents import contents_entry
from maskcls.results.synth.sample_columns import BETWEEN, SAMPLES, samples_header
from maskcls.results.synth.sample_table import SampleMaker, check_samples
from maskcls.rundir import REFIT


def images_folder(path: Path) -> Path:
    """Return the folder of the images of a table: beside it, with the name of the table without its ending."""
    return path.with_suffix("")


def write_samples(
    path: Path,
    sets: Mapping[int, AddedSet],
    parents: Mapping[str, tuple[str, ...]],
    space: LabelSpace,
    *,
    kind: str,
    folds_sha256: str,
    k: int,
    makers: Mapping[int, tuple[SampleMaker, ...]],
    counts: Sequence[Mapping[str, Any]],
    lineage: Mapping[str, Any],
    contents: Mapping[str, bytes],
    images: Mapping[str, bytes] | None = None,
    force: bool = False,
) -> str:
    """Write all sets to one CSV with a sidecar `.json` of the same stem, after the images; return the CSV's sha256.

    sets          {fold: rows} of every fold 0..k-1 and REFIT, with hard labels; a set may be without rows.
    folds_sha256  of the fold table that the generators were trained with.
    makers        {fold: the generators of its samples}, for every set.
    counts        plain data: number of samples made, kept and left out, by set and class.
    contents      {id: digest} of the image of every sample.
    images        {path relative to the CSV's folder: PNG}; None: the samples are photos of the data set.
    force         replace existing files and keep them as `.bak`.

    The images come first and the CSV last. Given again after a kill, the same command writes what is missing, and
    compares what is there; see maskcls/files/outputs.py.

    Raises BusyError when an output exists, DataError for rows that `read_samples` would reject, ResourceError when
    they cannot be written, ValueError when sets are missing.
    """
    expected = {*range(k), REFIT}
    if sets.keys() != expected or makers.keys() != expected:
        raise ValueError(f"the sets are {sorted(sets)}, of generators {sorted(makers)}, expected {sorted(expected)}")
    check_samples(sets, parents, space, path)
    header = samples_header(space)
    ordered = {fold: sets[fold] for fold in (*range(k), REFIT)}
    parts = [list(_sample_cells(fold, rows, parents, space)) for fold, rows in ordered.items()]
    cells = [list(itertools.chain.from_iterable(column)) for column in zip(*parts, strict=True)]
    details = {
        "columns": header,
        "label_space": {"fingerprint": space.fingerprint, "tasks": space.to_json()},
        "folds": {"sha256": folds_sha256, "k": k},
        "generator": kind,
        "sets": [_set_entry(fold, rows, parents, makers[fold]) for fold, rows in ordered.items()],
        "counts": [dict(line) for line in counts],
        "lineage": dict(lineage),
        **contents_entry({one: contents[one] for rows in ordered.values() for one in rows.ids.tolist()}),
    }
    beside = [OutputFile(path.parent / name, png) for name, png in (images or {}).items()]
    columns = dict(zip(header, cells, strict=True))
    return write_csv(path, columns, SAMPLES, details, beside=beside, force=force)


def _set_entry(
    fold: int, rows: AddedSet, parents: Mapping[str, tuple[str, ...]], makers: Sequence[SampleMaker]
) -> dict[str, Any]:
    different = {parent for one in rows.ids.tolist() for parent in parents.get(one, ())}
    return {
        "set": set_name(fold),
        "rows": len(rows),
        "generators": [{"fold": set_name(maker.fold), "sha256": maker.sha256} for maker in makers],
        "parents": len(different),
    }


def _sample_cells(
    fold: int, rows: AddedSet, parents: Mapping[str, tuple[str, ...]], space: LabelSpace
) -> Iterator[Iterable[object]]:
    yield [set_name(fold)] * len(rows)
    yield rows.ids.tolist()
    yield rows.paths.tolist()
    yield rows.weight.tolist()  # csv writes a float by its shortest exact form
    for task in space.tasks:
        yield [task.classes[label] for label in rows.labels[task.name].tolist()]
    yield [BETWEEN.join(parents.get(one, ())) for one in rows.ids.tolist()]
