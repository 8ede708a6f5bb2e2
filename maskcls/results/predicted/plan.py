"""The plan of a prediction in parts: which model predicts which photos, in parts of a fixed length."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from maskcls import files, typedjson
from maskcls.errors import BusyError, ResultError, UsageError
from maskcls.files import named_file
from maskcls.labels import LabelSpace
from maskcls.typedjson import JsonFile

PART_PHOTOS = 256  # as the network gets in one call, so that the border of a part splits no call; see decode_ahead.py
PLAN_FILE = "plan.json"
AGAIN = "give the same command as before, or delete the folder to begin again"


class PredictionPlan(JsonFile):
    """The plan of one shard; the plans of all shards of a prediction differ in `shard` alone.

    model         the model's `origin`: run, weights, views, how it is computed.
    lineage       what the sidecars of the tables say.
    tasks         of the label space, as in labels.json.
    settings      the overrides that were given.
    decide        whether the decision rule chooses the classes.
    photos        number of all photos, of all shards.
    names_sha256  of their names in order, see `RunningHash`.
    part_photos   photos per part; the last part may have fewer.
    shard         its number, from 1, and how many there are.
    """

    kind: Literal["maskcls prediction"] = "maskcls prediction"
    version: Literal[1] = 1
    model: dict[str, JsonValue]
    lineage: dict[str, JsonValue]
    tasks: list[dict[str, JsonValue]]
    settings: tuple[str, ...]
    decide: bool
    photos: Annotated[int, Field(ge=1)]
    names_sha256: str
    part_photos: Annotated[int, Field(ge=1)]
    shard: tuple[int, int] = (1, 1)

    @property
    def space(self) -> LabelSpace:
        """Tasks and classes."""
        return LabelSpace.from_json(self.tasks)

    @property
    def parts(self) -> int:
        """Number of parts of all shards together."""
        return -(-self.photos // self.part_photos)

    @property
    def own_parts(self) -> range:
        """The parts of this shard.

        >>> common = dict(model={}, lineage={}, tasks=[], settings=(), decide=False, names_sha256="")
        >>> [PredictionPlan(photos=9, part_photos=2, shard=(i, 2), **common).own_parts for i in (1, 2)]
        [range(0, 2), range(2, 5)]
        """
        number, of = self.shard
        return range((number - 1) * self.parts // of, number * self.parts // of)

    def rows(self, part: int) -> range:
        """Return the places of a part's photos among all photos."""
        return range(part * self.part_photos, min(self.photos, (part + 1) * self.part_photos))

    @property
    def own_photos(self) -> int:
        """Number of photos of this shard."""
        return sum(len(self.rows(part)) for part in self.own_parts)

    @property
    def sha256(self) -> str:
        """Identify the prediction that this is a shard of; the lineage, which repeats other fields, is left out."""
        data = self.model_dump(mode="json", exclude={"lineage", "shard"})
        return files.sha256(json.dumps(data, sort_keys=True).encode())


class RunningHash:
    """The hash of names in their order, which may come in pieces; names hold no NUL.

    >>> whole, pieces = RunningHash(["a", "b"]), RunningHash(["a"])
    >>> pieces.add(["b"])
    >>> whole.sha256 == pieces.sha256, whole.sha256 == RunningHash(["ab"]).sha256
    (True, False)
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._digest = hashlib.sha256()
        self.add(names)

    def add(self, names: Iterable[str]) -> None:
        """Continue with these names."""
        for name in names:
            self._digest.update(name.encode() + b"\0")

    @property
    def sha256(self) -> str:
        """The digest so far."""
        return self._digest.hexdigest()


def shard_count(photos: int, wanted: int) -> int:
    """Return into how many shards photos are divided: as many as wanted, but none without a part of its own.

    >>> shard_count(600, 8), shard_count(600, 2), shard_count(256, 8), shard_count(0, 8)
    (3, 2, 1, 1)
    """
    return min(wanted, max(1, -(-photos // PART_PHOTOS)))


def parse_shard(text: str) -> tuple[int, int]:
    """Read `i/n`, 1 <= i <= n; UsageError for anything else.

    >>> parse_shard("2/5")
    (2, 5)
    """
    match = re.fullmatch("([0-9]{1,9})/([0-9]{1,9})", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(
            "no such shard", where="--shard", got=repr(text), expected="i/n with i from 1 to n, such as 1/4"
        )
    return int(match[1]), int(match[2])


def parts_folder(output: Path, shard: tuple[int, int] | None = None) -> Path:
    """Return the folder of the parts of an output, or of one of its shards.

    >>> parts_folder(Path("a.csv")).name, parts_folder(Path("a.csv"), (2, 5)).name
    ('a.csv.parts', 'a.csv.shard-2-of-5')
    """
    return named_file(output).with_name(
        output.name + (".parts" if shard is None else f".shard-{shard[0]}-of-{shard[1]}")
    )


def open_plan(folder: Path, plan: PredictionPlan) -> bool:
    """Begin or continue a prediction in this folder; returns whether it continues one.

    Raises BusyError when the folder belongs to another prediction, naming what differs.
    """
    path = folder / PLAN_FILE
    if not path.exists():
        if folder.exists() and any(not other.name.startswith(".") for other in folder.iterdir()):
            raise BusyError("the folder for parts holds other files", where=str(folder), fix="choose another -o")
        files.commit_json(path, files.with_digest(plan.model_dump(mode="json")))
        return False
    found = read_plan(folder)
    old, new = found.model_dump(mode="json"), plan.model_dump(mode="json")
    if other := [name for name in new if old[name] != new[name] and name != "lineage"]:
        raise BusyError("the folder holds a part of another prediction", where=str(folder), offenders=other, fix=AGAIN)
    return True


def remove_parts(folder: Path) -> None:
    """Remove a folder of parts; its plan last, so that an interrupted removal is recognised and done again."""
    for path in folder.iterdir():
        if path.name != PLAN_FILE and path.is_file():
            path.unlink()
    shutil.rmtree(folder)


def read_plan(folder: Path) -> PredictionPlan:
    """Read the plan of a folder of parts; ResultError when there is none, or it is damaged or was changed."""
    path = folder / PLAN_FILE
    if not path.exists():
        fix = "name the folders that predict --shard wrote"
        raise ResultError("this is not a folder of predicted parts", where=str(folder), fix=fix)
    try:
        return typedjson.parse(files.without_digest(files.read_json(path), path, required=False), PredictionPlan, path)
    except ResultError as error:
        fix = "restore the file, or delete the folder and predict again"
        raise ResultError(
            "the plan of predicted parts cannot be read", where=str(path), got=error.brief, fix=fix
        ) from None
