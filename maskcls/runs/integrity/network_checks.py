"""The files of one network compared with its DONE; those that it does not name, with the digests in themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from maskcls import files, owned
from maskcls.errors import ResultError, shell_word
from maskcls.results.predictions import Predictions
from maskcls.results.submissions.checks import Check, Status
from maskcls.rundir import FoldDir, RunDir, WeightsDir
from maskcls.runs.integrity.done_file import Done, read_done
from maskcls.runs.integrity.epoch_log import read_log
from maskcls.runs.integrity.epoch_rows_file import read_rows
from maskcls.runs.integrity.file_check import compared, is_digested, read_check
from maskcls.runs.summary import read_fold_summary

UNFINISHED = "not compared: its network is not finished"


def network_checks(run: RunDir, folder: FoldDir, *, pruned: bool) -> Iterator[Check]:
    """Yield a check for every file of a network. pruned: whether the run's best weights were deleted on purpose."""
    owns = owned.owner_of(folder.done, run.path) is not None
    done = _done_of(folder)
    yield _done_check(run, folder, owns=owns)
    named = {folder.best.tensors: done.weights} if done and not done.files else {}
    named |= {folder.path / name: sha256 for name, sha256 in done.files.items()} if done else {}
    for path, expected in named.items():
        name = run.place(path)
        if pruned and path == folder.best.tensors and not path.exists():
            yield Check(name, "skipped", "deleted by runs prune")
        else:
            yield compared(name, path, expected, folder.done.name)
    if done and not folder.log.exists():
        yield Check(run.place(folder.log), "FAILED", "the log of a finished network", ("it is missing",))
    for path, read in _readers(folder):
        if path.exists() and path not in named:
            yield read_check(run.place(path), path, read, digested=owns)
    if done is None and folder.first_batch.exists():
        yield Check(run.place(folder.first_batch), "skipped", UNFINISHED)
    for weights in (folder.best, folder.last, *folder.all_candidates()):
        yield from _weights_checks(run, weights, set(named), finished=done is not None)


def refuse_changed_files(run: RunDir, folders: Iterable[FoldDir]) -> None:
    """Raise ResultError that names the files of finished networks that are not those of DONE.

    Weights are left out: they are large, may have been deleted by `runs prune`, and are compared when they are loaded.
    """
    found = []
    for folder in folders:
        done = read_done(folder)
        for name, expected in done.files.items() if done else ():
            if (path := folder.path / name) != folder.best.tensors:
                found.append(compared(run.place(path), path, expected, run.place(folder.done)))
    if wrong := [f"{check.name}: {'; '.join(check.faults)}, {check.about}" for check in found if check.faults]:
        raise ResultError(
            "files of finished networks are not as the training wrote them",
            where=str(run.path),
            offenders=wrong,
            fix="restore them from a copy, or delete the fold's folder and resume the run",
        )


def _done_of(folder: FoldDir) -> Done | None:
    try:
        return read_done(folder)
    except ResultError:
        return None  # its own check says what is wrong


def _done_check(run: RunDir, folder: FoldDir, *, owns: bool) -> Check:
    name = run.place(folder.done)
    if not folder.done.exists():
        return Check(
            name, "warning", "not there", (f"the network is not finished: maskcls resume {shell_word(run.path)}",)
        )
    return read_check(name, folder.done, lambda: read_done(folder), digested=owns)


def _readers(folder: FoldDir) -> list[tuple[Path, Callable[[], object]]]:
    """Return the files that carry a digest, each with its reader."""

    def read_state(path: Path) -> None:
        from maskcls.engine.checkpoint import load_state  # loads torch, for these files alone

        load_state(path, root=folder.root)

    rows = [(path, lambda path=path: read_rows(path, root=folder.root)) for path in folder.all_epoch_rows()]
    return [
        (folder.log, lambda: read_log(folder)),
        (folder.oof, lambda: Predictions.load(folder.oof)),
        (folder.summary, lambda: read_fold_summary(folder)),
        (folder.state, lambda: read_state(folder.state)),
        (folder.start_heads, lambda: read_state(folder.start_heads)),
        *rows,
    ]


def _weights_checks(run: RunDir, weights: WeightsDir, named: set[Path], *, finished: bool) -> Iterator[Check]:
    """Check a meta.json by its digest, and the tensors by the hash in it, where DONE names neither.

    Of a network that is not finished they may differ: it was stopped between their commits, and resuming writes both.
    """
    if not weights.meta.exists():
        return
    digested = is_digested(weights.meta)
    if weights.meta not in named:
        yield read_check(run.place(weights.meta), weights.meta, lambda: _meta(weights), digested=digested)
    if weights.tensors not in named and weights.tensors.exists():
        bad: Status = "FAILED" if finished else "warning"
        expected = _tensors_hash(weights)
        yield compared(run.place(weights.tensors), weights.tensors, expected, weights.meta.name, bad=bad)


def _meta(weights: WeightsDir) -> object:
    return owned.without_owner(files.read_json(weights.meta), weights.meta, weights.root)


def _tensors_hash(weights: WeightsDir) -> str:
    try:
        data = files.read_json(weights.meta)
    except ResultError:
        return "unknown"
    return str(data.get("sha256", "unknown")) if isinstance(data, dict) else "unknown"
