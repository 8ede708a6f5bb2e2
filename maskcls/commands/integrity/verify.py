"""maskcls verify: whether every file of a run, a submission or the cache is as maskcls wrote it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from maskcls.data.photos.cache_folder import cache_folder, leftovers, packs
from maskcls.data.photos.identity.pack_check import check_pack
from maskcls.errors import DataError, ResultError
from maskcls.results.submissions.checks import Check, check_of
from maskcls.rundir import RepeatsDir, RunDir, StagesDir
from maskcls.runs.integrity.repeats_checks import repeats_checks, repeats_there
from maskcls.runs.integrity.run_checks import run_checks
from maskcls.runs.integrity.stages_checks import stages_checks
from maskcls.runs.integrity.table_checks import predictions_checks, refuse_comparing, table_checks
from maskcls.runs.locks import run_lock
from maskcls.runs.repeats.repeat_runs import is_repeated
from maskcls.runs.stages.record import is_staged
from maskcls.show.runs.verification import Verification

CACHE = Path("cache")  # the word for the cache of photos


def verify(what: Path, run: RunDir | None = None, data: Path | None = None) -> Verification:
    """Check every file, reading all of it. Nothing is written, and a training of the run is not kept from going on.

    what  a run folder, that of the stages of a time limit, or that of a repeated cross-validation; a table that maskcls
          wrote, with its sidecar; predictions (.npz); the cache of photos: its folder, or `cache` where there is no
          such path.
    run, data  of a submission: the run and the data set to compare with.

    Raises DataError for a path that does not exist, ResultError for a folder that is neither run nor cache, UsageError
    for `run` or `data` with anything but a submission.
    """
    if (what == CACHE and not what.exists()) or what.is_dir():
        refuse_comparing(what, "the cache of photos" if not what.exists() else "a folder", run, data)
    if what == CACHE and not what.exists():
        what = cache_folder()
        return Verification(what, "cache", tuple(_cache_checks(what)))
    if what.is_dir():
        if is_staged(RunDir(what)):
            stages = StagesDir(what)
            with _reading(stages.all_stages()):
                return Verification(what, "stages", tuple(stages_checks(stages)))
        if is_repeated(RunDir(what)):
            repeats = RepeatsDir(what)
            with _reading(run for run in repeats_there(repeats) if run.path.is_dir()):
                return Verification(what, "repeats", tuple(repeats_checks(repeats)))
        if not RunDir(what).env.exists() and (packs(what) or leftovers(what)):
            return Verification(what, "cache", tuple(_cache_checks(what)))
        with run_lock.reading(RunDir(what)):
            return Verification(what, "run", tuple(run_checks(RunDir(what))))
    if not what.exists():
        raise DataError("no such file or folder", where=str(what), fix="check the path")
    if what.suffix == ".npz":
        refuse_comparing(what, "predictions", run, data)
        return Verification(what, "file", tuple(predictions_checks(what)))
    return Verification(what, "file", tuple(table_checks(what, run, data)))


def refuse_unverified(found: Verification) -> None:
    """Raise ResultError, which counts them, when a file is not as it was written: what is printed names them."""
    again = shlex.join(["maskcls", "resume", str(found.path)])
    fix = (
        f"restore them from a copy; a deleted fold, or deleted oof.npz and summary.json, are made again by: {again}"
        if found.kind == "run"
        else f"restore them from a copy; the same of a stage by: {again}/stageN"
        if found.kind == "stages"
        else f"restore them from a copy; deleted repeats, oof.npz and repeats.json are made again by: {again}"
        if found.kind == "repeats"
        else "delete the folders of these packs; they are made again when they are needed"
        if found.kind == "cache"
        else "restore them from a copy, or predict again"
    )
    if found.failed:
        raise ResultError(
            f"{len(found.failed)} of {len(found.checks)} files are not as maskcls wrote them",
            where=str(found.path),
            fix=fix,
        )


@contextmanager
def _reading(runs: Iterable[RunDir]) -> Iterator[None]:
    with ExitStack() as stack:
        for run in runs:
            stack.enter_context(run_lock.reading(run))
        yield


def _cache_checks(folder: Path) -> Iterator[Check]:
    """Check every pack, also one whose description cannot be read, and name what killed processes left."""
    for pack in packs(folder):
        yield check_of(pack.folder.name, f"{pack.photos} photos of {pack.root}", check_pack(pack.folder))
    for left in leftovers(folder):
        if left.path.is_dir() and not left.path.suffix:
            yield check_of(left.path.name, "a pack", check_pack(left.path))
        else:
            yield Check(left.path.name, "warning", "left by a process that was killed", ("maskcls data cache prune",))
