"""The sealed people of a run: nothing may see them until `maskcls unseal` has scored the run on them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from maskcls.csvfile import read_columns
from maskcls.errors import DataError, shell_word
from maskcls.files import sha256
from maskcls.results.people.group_file import Groups
from maskcls.rundir import RunDir
from maskcls.runs.records.noun import noun_of_run
from maskcls.runs.summary import averages_in_groups


def people_sha256(person: Iterable[str]) -> str:
    """Identify a set of people, given the person of each photo."""
    return sha256("\n".join(sorted(set(person))).encode())


def sealed_people(run: RunDir) -> str:
    """Identify the sealed people of a run, scored on them or not; "" for a run without any."""
    return people_sha256(read_columns(run.sealed)["person"]) if run.sealed.exists() else ""


def still_sealed(run: RunDir) -> bool:
    """Tell whether a run has sealed people on whom it is not scored yet."""
    return run.sealed.exists() and not run.unsealed.exists()


def refuse_sealed_photos(run: RunDir, root: Path, data: Path, paths: Sequence[str]) -> None:
    """Raise DataError when photos to predict are files that show people who are still sealed, also copies of them.

    root, data  folder of the run's photos, and of those to predict; `paths` are relative to the latter.
    """
    if not still_sealed(run):
        return
    known, contents = {os.path.realpath(root / path) for path in read_columns(run.sealed)["path"]}, _contents(run)
    if met := [
        repr(path) for path in paths if os.path.realpath(data / path) in known or _is_one_of(contents, data / path)
    ]:
        many = noun_of_run(run)[1]
        raise DataError(
            f"photos to predict show sealed {many} of the run",
            where=str(data),
            expected=f"no photo of these {many} before the run is scored on them",
            offenders=met,
            fix=f"leave them out, or first: maskcls unseal {shell_word(run.path)}",
        )


def _contents(run: RunDir) -> dict[int, set[str]]:
    """Return {size in bytes: digests} of the photos of the sealed people; empty for runs of earlier versions."""
    if not run.photos.exists():
        return {}
    sealed, found = set(read_columns(run.sealed)["id"]), dict[int, set[str]]()
    rows = read_columns(run.photos)
    for name, size, one in zip(rows["id"], rows["bytes"], rows["blake2b"], strict=True):
        if name in sealed:
            found.setdefault(int(size), set()).add(one)
    return found


def _is_one_of(contents: Mapping[int, set[str]], photo: Path) -> bool:
    """Return whether a file has one of these contents; only a file of one of these sizes is read."""
    try:
        same_size = contents.get(os.stat(photo).st_size)
        if same_size is None:
            return False
        from maskcls.data.photos.identity.photo_digests import digest  # heavy, and seldom needed
        from maskcls.data.photos.images import read_bytes

        return digest(read_bytes(photo)).hex() in same_size
    except (OSError, ValueError, DataError):  # reported when it is predicted
        return False


def refuse_groups_of_sealed(runs: Sequence[RunDir], path: Path, groups: Groups, *, train: bool = False) -> None:
    """Raise DataError when maskcls learned these groups without leaving out people who are still sealed in a run.

    train  the groups are those of the train photos.

    Nothing is known, or raised, of a table without a sidecar.
    """
    for run in runs:
        if not still_sealed(run) or groups.left_out in (None, sealed_people(run)):
            continue
        many = noun_of_run(run)[1]
        fix = f"maskcls group DATA --run {shell_word(run.path)}{' --train' if train else ''} -o FILE"
        if averages_in_groups(run):
            fix = f"leave the groups out: the run groups photos itself, by what it learned without these {many}"
        raise DataError(
            f"the groups were learned from {many} who are sealed in the run",
            where=str(path),
            expected=f"groups that were made with --run, without the sealed {many} of {run.path}",
            fix=f"{fix}; or first: maskcls unseal {shell_word(run.path)}",
        )
