"""The register of choices: what was tried on the same labelled rows, in a file beside the runs.

Who trains ten runs and takes the best, or tries five rules, has a score that is too good, and finds a difference by
chance more often. The register counts this. Its entries are about rows, named by a hash of people and labels: runs in
one folder share it; deleting a run does not delete the choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from maskcls import files, typedjson
from maskcls.errors import ResourceError, ResultError
from maskcls.rundir import RunDir
from maskcls.runs.locks.waiting_lock import waiting_lock
from maskcls.typedjson import JsonFile

Kind = Literal["run", "rule", "ensemble", "comparison", "unsealed", "samples"]


class Attempt(JsonFile):
    """Something that was tried.

    rows  identifies the labelled rows, see `records.scored_rows`; for `unsealed` the sealed ones.
    what  identifies it by content: trying the same again is no further choice.
    name  for people.
    p     two-sided p-value of a comparison, without any correction.
    """

    rows: str
    kind: Kind
    what: str
    name: str = ""
    p: float | None = None


class Register(JsonFile):
    """The content of the file, in the order of trying."""

    version: Literal[1] = 1
    attempts: tuple[Attempt, ...] = ()

    def of(self, kind: Kind, rows: str) -> tuple[Attempt, ...]:
        """Return what was tried of this kind on these rows."""
        return tuple(one for one in self.attempts if (one.kind, one.rows) == (kind, rows))


def rows_key(text: str) -> str:
    """Return a short name of rows from what identifies them."""
    return files.sha256(text.encode())[:16]


def read_register(run: RunDir) -> Register:
    """Read the register in the folder that holds the run; empty without one, ResultError when it is damaged."""
    path = run.choices
    if not path.exists():
        return Register()
    try:
        return typedjson.parse(files.without_digest(files.read_json(path), path, required=False), Register, path)
    except ResultError as error:
        got = error.got or error.what
        fix = "restore the file, or delete it; counting then begins again"
        raise ResultError("the register of choices cannot be read", where=str(path), got=got, fix=fix) from None


def add_attempts(run: RunDir, new: Sequence[Attempt]) -> Register:
    """Register choices and return the register; what is in it already is added no second time.

    Another process that does the same waits for a moment. A folder that cannot be written keeps its register as it is:
    the choices are then in what is returned, and `is_kept` tells that they are not on disk.
    """
    try:
        with waiting_lock(run.choices_lock):
            before = read_register(run)
            after = _with(before, new)
            if after != before:
                data = after.model_dump(mode="json", exclude_none=True)
                files.commit_json(run.choices, files.with_digest(data))
            return after
    except ResourceError:
        return _with(read_register(run), new)


def is_kept(run: RunDir, found: Register) -> bool:
    """Tell whether the register on disk holds these choices."""
    return set(map(_identity, found.attempts)) <= set(map(_identity, read_register(run).attempts))


def _with(before: Register, new: Sequence[Attempt]) -> Register:
    known, added = set(map(_identity, before.attempts)), []
    for one in new:
        if _identity(one) not in known:
            known.add(_identity(one))
            added.append(one)
    return Register(attempts=(*before.attempts, *added))


def _identity(one: Attempt) -> tuple[str, str, str]:
    return one.rows, one.kind, one.what
