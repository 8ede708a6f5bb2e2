"""Pseudo-labelled photos as rows of an experiment: they come after the real ones, and are only trained on.

In the manifest they have no label, because each fold has labels of its own, from networks that never saw the people
of the fold. N rows of the manifest, U of them pseudo-labelled, J joint classes.
"""

from __future__ import annotations

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
from maskcls.groupnouns import PEOPLE, Noun, photos_of
from maskcls.labels import Floats, Ints, LabelSpace
from maskcls.results.pseudo.read_labels import Pseudo, read_pseudo
from maskcls.results.rows_by_id import rows_of
from maskcls.schema import Config
from maskcls.schema.group_noun import group_noun


@dataclass(frozen=True)
class FoldTargets:
    """The labels that the network of one fold is trained on.

    labels   {task: (N,) int64}, -1 = unknown.
    weight   (N,) float32.
    soft     (N, J) float32, probabilities that replace labels where a row is not all zeros; None for hard labels.
    trains  (N,) bool, False for pseudo-labelled rows this fold has no label for.
    """

    labels: dict[str, Ints]
    weight: NDArray[np.float32]
    soft: Floats | None
    trains: NDArray[np.bool_]


def folds_sha256(manifest: pd.DataFrame, folds: pd.DataFrame) -> str:
    """Return the hash of the real rows' folds: runs of one hash hold out the same people together."""
    return folding.sha256(folds[real_rows(manifest)].reset_index(drop=True))


def read_pseudo_rows(path: Path, cfg: Config, manifest: pd.DataFrame, folds: pd.DataFrame) -> Pseudo:
    """Read pseudo labels for these rows and folds; DataError for leaky ones unless `data.leaky`."""
    digest = folds_sha256(manifest, folds)
    noun = group_noun(cfg)
    return read_pseudo(path, cfg.space, folds_sha256=digest, k=cfg.folds.k, allow_leaky=cfg.data.leaky, noun=noun)


def photo_root(pseudo: Pseudo, root: Path) -> Path:
    """Return the folder the paths are relative to: the one that was labelled, or `root` for a table made by hand."""
    return Path(str(pseudo.lineage.get("root", root)))


def with_rows(
    manifest: pd.DataFrame, folds: pd.DataFrame, pseudo: Pseudo, root: Path, space: LabelSpace
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return manifest and folds with the pseudo-labelled photos behind the real rows.

    Raises DataError for photos that are not there, or that are among the real rows.
    """
    path_of = {
        id: path for rows in pseudo.sets.values() for id, path in zip(rows.ids.tolist(), rows.paths, strict=True)
    }
    ids = sorted(path_of)
    paths = [str(path_of[id]) for id in ids]
    home = photo_root(pseudo, root)
    faults = [f"{p}: {fault}" for p, fault in zip(paths, file_faults(home, paths), strict=True) if fault]
    if faults:
        raise DataError(
            "pseudo-labelled photos are not there",
            where=str(home),
            offenders=faults,
            fix="restore these photos, or label again with maskcls pseudo-label",
        )
    real = set(manifest["id"])
    both = [id for id in ids if id in real]
    if both:
        fix = "leave them out of the unlabelled data"
        raise DataError("photos are pseudo-labelled that have a label of their own", offenders=both, fix=fix)
    people = [f"pseudo/{id}" for id in ids]
    added = tables.build(ids, paths, space, person=people).assign(source="pseudo")
    never = pd.DataFrame({"id": ids, "person": people, "fold": pd.array([folding.NEVER] * len(ids), dtype="Int8")})
    whole = pd.concat([manifest, added], ignore_index=True), pd.concat([folds, never], ignore_index=True)
    tables.check_manifest(whole[0], space)
    return whole


def check_not_sealed(pseudo: Pseudo, sealed: pd.DataFrame, noun: Noun = PEOPLE) -> None:
    """Raise DataError when a sealed person's photo has a pseudo label."""
    labelled = {id for rows in pseudo.sets.values() for id in rows.ids.tolist()}
    if met := [repr(id) for id in sealed["id"].tolist() if id in labelled]:
        raise DataError(
            f"photos of sealed {noun[1]} are pseudo-labelled",
            where="data.pseudo",
            expected=f"{photos_of(noun)} that are not in the training table",
            offenders=met,
            fix="leave them out of the unlabelled data, and label again",
        )


def located(manifest: pd.DataFrame, pseudo: Pseudo | None, root: Path) -> list[str]:
    """Return the path of every photo (N,): relative to `root`, or absolute where it lies under another folder."""
    paths: list[str] = manifest["path"].tolist()
    if pseudo is None or (home := photo_root(pseudo, root)).resolve() == root.resolve():
        return paths
    return [p if real else str(home / p) for p, real in zip(paths, real_rows(manifest), strict=True)]


def fold_targets(manifest: pd.DataFrame, pseudo: Pseudo | None, k: int, space: LabelSpace) -> FoldTargets:
    """Return the labels for a network that is validated on fold k, or on none (REFIT)."""
    # Copies, because pandas hands out what may not be written to.
    labels = {name: label_N.copy() for name, label_N in tables.labels(manifest, space).items()}
    weight = manifest["weight"].to_numpy(np.float32, copy=True)
    if pseudo is None:
        return FoldTargets(labels, weight, None, np.ones(len(manifest), dtype=bool))
    rows, trains = pseudo.for_fold(k), real_rows(manifest).copy()
    row_R = rows_of(manifest["id"], rows.ids.tolist())
    soft = None
    for name, label_N in labels.items():
        label_N[row_R] = rows.labels[name]
    weight[row_R], trains[row_R] = rows.weight, True
    if rows.prob is not None:
        soft = np.zeros((len(manifest), space.size), dtype=np.float32)
        soft[row_R] = rows.prob
    return FoldTargets(labels, weight, soft, trains)


def unteachable(cfg: Config) -> str | None:
    """Return the task whose head is trained on whole numbers, which pseudo labels do not have; None without one."""
    if cfg.binned is None:
        return None
    return cfg.binned.name if cfg.age.head in ("fine", "normal") or cfg.age.fine_bins is not None else None
