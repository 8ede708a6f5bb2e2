"""Write a file of pseudo labels and its sidecar."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from maskcls.labels import LabelSpace
from maskcls.results.added.added_set import AddedSet
from maskcls.results.added.set_names import set_name
from maskcls.results.csv_with_origin import write_csv
from maskcls.results.photo_contents import contents_entry
from maskcls.results.pseudo.label_columns import PSEUDO_LABELS, header_of
from maskcls.results.pseudo.label_rows import check_sets
from maskcls.rundir import REFIT


def write_pseudo(
    path: Path,
    sets: Mapping[int, AddedSet],
    space: LabelSpace,
    *,
    folds_sha256: str | None,
    k: int,
    lineage: Mapping[str, Any],
    contents: Mapping[str, bytes] | None = None,
    leaky: bool = False,
    force: bool = False,
) -> str:
    """Write all sets to one CSV, and a sidecar `.json` of the same stem; return the CSV's sha256.

    sets          {fold: rows} of every fold 0..k-1 and REFIT; of REFIT alone when leaky. All with `prob`, or none.
    folds_sha256  of the fold table that all the networks were trained with; None only when leaky.
    lineage       plain JSON data: sources with their weights' hashes by fold, data, views, rule, summary.
    contents      {id: digest} of at least the photos in the table; None: not known.
    force         replace existing files and keep them as `.bak`.

    Numbers are written so that they are read back exactly. See `write_csv` for the files and `label_columns` for the
    columns.

    Raises BusyError when an output exists, DataError for rows that `read_pseudo` would reject, ResourceError when
    they cannot be written, ValueError when sets are missing.
    """
    expected = {REFIT} if leaky else {*range(k), REFIT}
    if sets.keys() != expected or (folds_sha256 is None and not leaky):
        raise ValueError(f"the sets are {sorted(sets)}, expected {sorted(expected)}; folds {folds_sha256}")
    soft = sets[REFIT].prob is not None
    header = header_of(space, soft=soft)
    check_sets(sets, space, path, soft=soft)
    ordered = {fold: sets[fold] for fold in (*sorted(expected - {REFIT}), REFIT)}
    columns = dict(zip(header, _columns(ordered, space), strict=True))
    details = {
        "columns": header,
        "label_space": {"fingerprint": space.fingerprint, "tasks": space.to_json()},
        "folds": {"sha256": folds_sha256, "k": k},
        "leaky": leaky,
        "sets": [{"set": set_name(fold), "rows": len(rows)} for fold, rows in ordered.items()],
        "lineage": dict(lineage),
    }
    if contents is not None:
        details |= contents_entry({name: contents[name] for rows in ordered.values() for name in rows.ids.tolist()})
    return write_csv(path, columns, PSEUDO_LABELS, details, force=force)


def _columns(sets: Mapping[int, AddedSet], space: LabelSpace) -> list[list[object]]:
    """Return the cells of every column of the CSV, one set of labels after the other."""
    parts = [list(_cells(fold, rows, space)) for fold, rows in sets.items()]
    return [list(itertools.chain.from_iterable(column)) for column in zip(*parts, strict=True)]


def _cells(fold: int, rows: AddedSet, space: LabelSpace) -> Iterator[Iterable[object]]:
    yield [set_name(fold)] * len(rows)
    yield rows.ids.tolist()
    yield rows.paths.tolist()
    yield rows.weight.tolist()  # csv writes a float by its shortest exact form
    for task in space.tasks:
        yield [("", *task.classes)[c + 1] for c in rows.labels[task.name].tolist()]
    if rows.prob is not None:
        for prob_N in rows.prob.T:
            yield map("{:.9g}".format, prob_N.tolist())  # 9 digits hold a float32
