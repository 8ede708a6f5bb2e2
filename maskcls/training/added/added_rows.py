"""Added rows behind the real rows of an experiment, and the labels that each fold learns from.

In the manifest they have no label, because each fold has rows and labels of its own, from networks that never saw the
people of the fold. N rows of the manifest, J joint classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from maskcls.data.layouts.paths import file_faults
from maskcls.data.rows import folds as folding
from maskcls.data.rows import manifest as tables
from maskcls.data.rows.manifest import real_rows
from maskcls.errors import DataError
from maskcls.labels import Floats, Ints, LabelSpace
from maskcls.results.rows_by_id import rows_of
from maskcls.schema import Config
from maskcls.training.added.added_source import AddedSource


@dataclass(frozen=True)
class FoldTargets:
    """The labels that the network of one fold is trained on.

    labels   {task: (N,) int64}, -1 = unknown.
    weight   (N,) float32.
    soft     (N, J) float32, probabilities that replace labels where a row is not all zeros; None for hard labels.
    trains  (N,) bool, False for added rows that are not of this fold's sets.
    """

    labels: dict[str, Ints]
    weight: NDArray[np.float32]
    soft: Floats | None
    trains: NDArray[np.bool_]


def with_rows(
    manifest: pd.DataFrame, folds: pd.DataFrame, added: Sequence[AddedSource], space: LabelSpace
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return manifest and folds with the added rows behind the real ones, source after source.

    Raises DataError for photos that are not there, or that are among the real rows.
    """
    for one in added:
        manifest, folds = _with_source(manifest, folds, one, space)
    return manifest, folds


def _with_source(
    manifest: pd.DataFrame, folds: pd.DataFrame, one: AddedSource, space: LabelSpace
) -> tuple[pd.DataFrame, pd.DataFrame]:
    path_of = one.path_of()
    ids = sorted(path_of)
    paths = [path_of[id] for id in ids]
    faults = [f"{p}: {fault}" for p, fault in zip(paths, file_faults(one.root, paths), strict=True) if fault]
    if faults:
        raise DataError(
            f"{one.text.rows} are not there",
            where=str(one.root),
            offenders=faults,
            fix=f"restore these photos, or {one.text.again}",
        )
    real = set(manifest["id"])
    if both := [id for id in ids if id in real]:
        what, fix = one.text.own
        raise DataError(what, offenders=both, fix=fix)
    people = [f"{one.source}/{id.removeprefix(f'{one.source}/')}" for id in ids]
    rows = tables.build(ids, paths, space, person=people).assign(source=one.source)
    never = pd.DataFrame({"id": ids, "person": people, "fold": pd.array([folding.NEVER] * len(ids), dtype="Int8")})
    whole = pd.concat([manifest, rows], ignore_index=True), pd.concat([folds, never], ignore_index=True)
    tables.check_manifest(whole[0], space)
    return whole


def located(manifest: pd.DataFrame, added: Sequence[AddedSource], root: Path) -> list[str]:
    """Return the path of every photo (N,): relative to `root`, or absolute where it lies under another folder."""
    paths: list[str] = manifest["path"].tolist()
    homes = {one.source: one.root for one in added if one.root.resolve() != root.resolve()}
    if not homes:
        return paths
    return [
        str(homes[source] / p) if source in homes else p for p, source in zip(paths, manifest["source"], strict=True)
    ]


def fold_targets(manifest: pd.DataFrame, added: Sequence[AddedSource], k: int, space: LabelSpace) -> FoldTargets:
    """Return the labels for a network that is validated on fold k, or on none (REFIT)."""
    # Copies, because pandas hands out what may not be written to.
    labels = {name: label_N.copy() for name, label_N in tables.labels(manifest, space).items()}
    weight = manifest["weight"].to_numpy(np.float32, copy=True)
    trains, soft = real_rows(manifest).copy(), None
    for one in added:
        rows = one.for_fold(k)
        row_R = rows_of(manifest["id"], rows.ids.tolist())
        for name, label_N in labels.items():
            label_N[row_R] = rows.labels[name]
        weight[row_R], trains[row_R] = rows.weight, True
        if rows.prob is not None:
            soft = np.zeros((len(manifest), space.size), dtype=np.float32)
            soft[row_R] = rows.prob
    return FoldTargets(labels, weight, soft, trains)


def unteachable(cfg: Config) -> str | None:
    """Return the task whose head is trained on whole numbers, which added rows do not have; None without one."""
    if cfg.binned is None:
        return None
    return cfg.binned.name if cfg.age.head in ("fine", "normal") or cfg.age.fine_bins is not None else None
