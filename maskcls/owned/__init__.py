"""Files of a run that name their owner, and carry a digest of their content.

The owner of a file is the run that it belongs to, and its place: the path that it has in the folder of that run.

Owner and digest are in the file itself, so that they are written together with its content, and every reader compares
them. A run of an earlier version (`Environment.format` 1) has no identity: its files name no owner, and are read as
they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from maskcls import files, typedjson
from maskcls.errors import ResultError
from maskcls.rundir import RunDir
from maskcls.typedjson import JsonFile

F = TypeVar("F", bound=JsonFile)

OWNER = "owner"  # key of a file's owner, in JSON and in the lineage of predictions
FIRST_OWNED = 2  # the first format of a run folder whose files name their owner
PACKAGES = "packages"  # entry of env.json: versions, which have a digest of their own
PACKAGES_DIGEST = "packages_digest"
IDENTIFYING = ("hashes", "weights")  # entries of env.json; the same command on the same data gives the same


@dataclass(frozen=True)
class Owner:
    """Where a file belongs: the identity of its run, a hex digest, and its path in the run's folder."""

    run: str
    place: str

    def __str__(self) -> str:
        return f"{self.place} of run {self.run[:12]}…"

    def to_json(self) -> dict[str, str]:
        """Return it as plain data."""
        return asdict(self)


def run_identity(root: Path) -> str | None:
    """Return the hex digest that identifies a run: of its configuration, tables and starting weights.

    None for a folder that holds no run, and for a run of an earlier version. Raises ResultError when env.json was
    changed.
    """
    path = RunDir(root).env
    if not path.exists():
        return None
    data = read_environment_data(path)
    if not isinstance(data, dict) or not _owns_its_files(data):
        return None
    return files.content_digest({name: data.get(name) for name in IDENTIFYING})


def read_environment_data(path: Path) -> Any:
    """Read the plain data of an env.json; see `checked_environment`."""
    return checked_environment(files.read_json(path), path)


def checked_environment(data: Any, path: Path) -> Any:
    """Return the plain data of an env.json without its digest, needed from the first format with owners on.

    Versions of packages are not compared here: other versions than this machine's are said, and refuse nothing. Only
    `packages_are_unchanged` compares them.
    """
    if not isinstance(data, dict) or PACKAGES_DIGEST not in data:
        return files.without_digest(data, path, required=_owns_its_files(data))
    rest = {name: part for name, part in data.items() if name != PACKAGES}
    kept = {name: data[name] for name in (PACKAGES,) if name in data}
    return files.without_digest(rest, path, required=True) | kept


def environment_data(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plain data of an env.json with its two digests: of the packages, and of all but the packages."""
    rest = {name: part for name, part in data.items() if name not in (PACKAGES, files.DIGEST)}
    rest[PACKAGES_DIGEST] = files.content_digest(data[PACKAGES])
    return {**data, **rest, files.DIGEST: files.content_digest(rest)}


def packages_are_unchanged(path: Path) -> bool:
    """Tell whether the versions of packages in an env.json are those that were written; True for earlier formats."""
    data = files.read_json(path)
    return PACKAGES_DIGEST not in data or files.content_digest(data.get(PACKAGES)) == data[PACKAGES_DIGEST]


def _owns_its_files(data: Any) -> bool:
    given = data.get("format") if isinstance(data, dict) else None
    return isinstance(given, int) and given >= FIRST_OWNED


def owner_of(path: Path, root: Path | None) -> Owner | None:
    """Return the owner that a file in the folder of a run has to name; None where it has none, see `run_identity`."""
    if root is None or (run := run_identity(root)) is None:
        return None
    return Owner(run, path.relative_to(root).as_posix())


def owner_entry(path: Path, root: Path | None) -> dict[str, dict[str, str]]:
    """Return the entry by which a file names its owner; empty where it has none."""
    owner = owner_of(path, root)
    return {} if owner is None else {OWNER: owner.to_json()}


def with_owner(data: Mapping[str, Any], path: Path, root: Path | None) -> dict[str, Any]:
    """Return plain data with its owner, if it has one, and its digest."""
    return files.with_digest({**data, **owner_entry(path, root)})


def without_owner(data: Any, path: Path, root: Path | None, *, required: bool = False) -> Any:
    """Return plain data without its owner and digest, which are compared; `path` is where it was read.

    required  the data needs a digest even where it has no owner.

    Raises ResultError when the content was changed, or belongs to another run or place.
    """
    owner = owner_of(path, root)
    data = files.without_digest(data, path, required=required or owner is not None)
    if owner is not None:
        check_owner(data.get(OWNER), owner, path)
    elif isinstance(data, dict) and OWNER in data:
        _refuse_downgraded(path, root)
    return {key: value for key, value in data.items() if key != OWNER} if isinstance(data, dict) else data


def _refuse_downgraded(path: Path, root: Path | None) -> None:
    """Raise ResultError for a file that names its run in a run that says it is of an earlier version."""
    if root is not None and RunDir(root).env.exists():
        raise ResultError(
            "the run says it is of an earlier version than its files",
            where=str(RunDir(root).env),
            got=f"a format below {FIRST_OWNED}, and {path.relative_to(root)} names its run",
            expected=f"format {FIRST_OWNED}, as maskcls wrote it",
            fix="restore env.json from a copy of the run",
        )


def check_owner(found: Any, owner: Owner, path: Path) -> None:
    """Raise ResultError unless a file names this owner."""
    if found == owner.to_json():
        return
    named = isinstance(found, dict) and all(isinstance(found.get(name), str) for name in owner.to_json())
    other = Owner(found["run"], found["place"]) if named else None
    raise ResultError(
        "the file belongs to another run"
        if other is None or other.run != owner.run
        else "the file belongs to another path in this run",
        where=str(path),
        got="it names no run" if other is None else str(other),
        expected=str(owner),
        fix="restore the file of this run, or train again what it belongs to",
    )


def read(path: Path, root: Path | None, kind: type[F]) -> F:
    """Read a JSON file of a run; ResultError when it is missing, damaged, changed or another's."""
    return typedjson.parse(without_owner(files.read_json(path), path, root), kind, path)


def write(path: Path, root: Path | None, value: JsonFile) -> str:
    """Commit a JSON file of a run with its owner and digest, and return the hash of its bytes."""
    return files.commit_json(path, with_owner(value.to_json(), path, root))
