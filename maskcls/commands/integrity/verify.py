"""maskcls verify: whether every file of a run, a submission or the cache is as maskcls wrote it."""

from __future__ import annotations

from pathlib import Path

from maskcls.data.photos.cache_folder import cache_folder, packs
from maskcls.errors import DataError, ResultError
from maskcls.results.submissions.checks import Check, check_of
from maskcls.rundir import RunDir
from maskcls.runs.integrity.run_checks import run_checks
from maskcls.runs.integrity.table_checks import predictions_checks, table_checks
from maskcls.show.answers.verification import Verification

CACHE = Path("cache")  # the word for the cache of photos


def verify(what: Path, run: RunDir | None = None, data: Path | None = None) -> Verification:
    """Check every file, reading all of it.

    what  a run folder; a table that maskcls wrote, with its sidecar; predictions (.npz); the cache of photos: its
          folder, or `cache` where there is no such path.
    run, data  of a submission: the run and the data set to compare with.

    Raises DataError for a path that does not exist, ResultError for a folder that is neither run nor cache.
    """
    if what == CACHE and not what.exists():
        what = cache_folder()
        return Verification(what, "cache", tuple(_cache_checks(what)))
    if what.is_dir():
        if not RunDir(what).env.exists() and packs(what):
            return Verification(what, "cache", tuple(_cache_checks(what)))
        return Verification(what, "run", tuple(run_checks(RunDir(what))))
    if not what.exists():
        raise DataError("no such file or folder", where=str(what), fix="check the path")
    checks = predictions_checks(what) if what.suffix == ".npz" else table_checks(what, run, data)
    return Verification(what, "file", tuple(checks))


def refuse_unverified(found: Verification) -> None:
    """Raise ResultError, which lists them, when a file is not as it was written."""
    if found.failed:
        raise ResultError(
            f"{len(found.failed)} of {len(found.checks)} files are not as maskcls wrote them",
            where=str(found.path),
            fix="restore them from a copy, or make them again",
            offenders=[f"{check.name}: {'; '.join(check.faults)}" for check in found.failed],
        )


def _cache_checks(folder: Path) -> list[Check]:
    from maskcls.data.photos.identity.pack_check import check_pack

    return [
        check_of(pack.folder.name, f"{pack.photos} photos of {pack.root}", check_pack(pack.folder))
        for pack in packs(folder)
    ]
