"""Parts of a prediction on disk, one file per part, and the checked way from all parts to rows.

Every photo is in exactly one part, and every part says which prediction it belongs to.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from maskcls import files
from maskcls.errors import ResultError, UsageError
from maskcls.files.arrays import read_arrays
from maskcls.labels import Ints
from maskcls.results.predicted.plan import PredictionPlan, RunningHash, read_plan
from maskcls.results.predicted.rows import PhotoRows
from maskcls.results.predictions import DAMAGE

# Some thousand photos; the fix predicts again what is missing.
PART = files.FileKind("a part", ResultError, 1 << 30, "give the command that predicts these photos again")
Shards = Sequence[tuple[Path, PredictionPlan]]  # folders with their plans


@dataclass(frozen=True, eq=False)
class StoredPart:
    """The rows of one part, and the stamps (N, 3) int64 of its files before reading: size, times of change in ns.

    Parts of earlier versions have two columns; their photos are predicted again.
    """

    rows: PhotoRows
    stamp_N3: Ints


def part_path(folder: Path, part: int) -> Path:
    """Return the file of a part."""
    return folder / f"{part:08d}.npz"


def write_part(folder: Path, plan: PredictionPlan, number: int, part: StoredPart) -> None:
    """Commit a part."""
    rows, buffer = part.rows, io.BytesIO()
    np.savez(
        buffer,
        plan=np.array(plan.sha256),
        number=np.array(number),
        names=_packed(rows.names),
        errors=_packed(rows.errors),
        prob=rows.prob_NJ,
        label=rows.label_N,
        stamp=part.stamp_N3,
    )
    files.commit(part_path(folder, number), buffer.getvalue())


def read_part(folder: Path, plan: PredictionPlan, number: int) -> StoredPart:
    """Read a part; ResultError when it is missing, damaged, or of another prediction."""
    path = part_path(folder, number)
    try:
        found = read_arrays(files.read_file(path, PART))
        owner = (str(found["plan"]), int(found["number"]))
        names, errors = _unpacked(found["names"]), _unpacked(found["errors"])
        part = StoredPart(PhotoRows(names, found["prob"], found["label"], errors), found["stamp"])
        shapes = [(len(names),), (len(errors),), part.rows.label_N.shape, part.stamp_N3.shape[:1]]
        if any(shape != (len(plan.rows(number)),) for shape in shapes):
            raise ValueError(f"{shapes[0][0]} rows")
        if part.rows.prob_NJ.shape != (len(names), plan.space.size):
            raise ValueError(f"probabilities of shape {part.rows.prob_NJ.shape}")
    except DAMAGE as error:
        fix = "delete the file, and give the command that wrote it again"
        raise ResultError("a part cannot be read", where=str(path), got=str(error), fix=fix) from None
    if owner != (plan.sha256, number):
        raise ResultError("a part belongs to another prediction", where=str(path), fix="delete it")
    return part


def check_shards(folders: Sequence[Path]) -> list[tuple[Path, PredictionPlan]]:
    """Return all shards of one prediction in order.

    Raises UsageError for shards that are missing or given twice, ResultError for shards of different predictions.
    """
    found = [(folder, read_plan(folder)) for folder in folders]
    first = found[0][1]
    if foreign := [str(folder) for folder, plan in found if plan.sha256 != first.sha256]:
        raise ResultError(
            "the shards belong to different predictions",
            where=str(folders[0]),
            expected="the same model, photos and settings",
            offenders=foreign,
            fix="give the shards of one prediction",
        )
    numbers = [plan.shard for _, plan in found]
    of = first.shard[1]
    if odd := [str(folder) for folder, plan in found if plan.shard[1] != of]:
        raise UsageError(
            "the shards are of different divisions",
            expected=f"{of} shards",
            offenders=odd,
            fix="give the shards of one division",
        )
    if twice := [str(folder) for folder, plan in found if numbers.count(plan.shard) > 1]:
        raise UsageError("a shard is given twice", offenders=twice, fix="give each shard once")
    if missing := [f"{i}/{of}" for i in range(1, of + 1) if (i, of) not in numbers]:
        fix = "predict them with --shard, and give all folders"
        raise UsageError("shards are missing", got=f"{len(folders)} of {of}", offenders=missing, fix=fix)
    return sorted(found, key=lambda one: one[1].shard)


def rows_of_parts(shards: Shards) -> Iterator[PhotoRows]:
    """Yield the rows of the parts in order, one part in memory at a time; ResultError for a missing or damaged part."""
    for folder, plan in shards:
        for number in plan.own_parts:
            yield read_part(folder, plan, number).rows


def gathered(shards: Shards) -> Iterator[PhotoRows]:
    """Do what `rows_of_parts` does; at the end, raise ResultError unless every photo of the plan was there once."""
    names, count = RunningHash(), 0
    for rows in rows_of_parts(shards):
        names.add(rows.names)
        count += len(rows)
        yield rows
    plan = shards[0][1]
    if (count, names.sha256) != (plan.photos, plan.names_sha256):
        got, expected = f"{count} photos", f"the {plan.photos} photos of the plan, each once, in order"
        raise ResultError(
            "the parts do not hold the photos of the plan",
            got=got,
            expected=expected,
            fix="delete the folder and predict again",
        )


def unreadable(shards: Shards) -> list[str]:
    """Return `NAME: REASON` of every photo that could not be read."""
    pairs = (
        (name, error) for rows in rows_of_parts(shards) for name, error in zip(rows.names, rows.errors, strict=True)
    )
    return [f"{name}: {error}" for name, error in pairs if error]


def _packed(texts: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """Return texts without NUL as bytes: an array of text would be as wide as the longest."""
    return np.frombuffer("".join(text + "\0" for text in texts).encode(), dtype=np.uint8)


def _unpacked(packed: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> list[str]:
    return packed.tobytes().decode().split("\0")[:-1]
