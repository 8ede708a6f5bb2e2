"""Predictions for out-of-fold rows, of a run and of a fold; the file that is written after each has its sha256."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from maskcls import files, owned
from maskcls.errors import ResultError, shell_word
from maskcls.results.predictions import PREDICTIONS, Predictions
from maskcls.rundir import FoldDir, RunDir
from maskcls.runs.integrity.done_file import read_done
from maskcls.runs.summary import read_summary

RESTORE_FOLD = "restore the file, or delete the fold's folder and resume the run"


def made_from(run: RunDir, networks: Iterable[FoldDir]) -> dict[str, str]:
    """Return the sha256 of what a summary is made from, by path: out-of-fold rows, and DONE of the networks."""
    paths = [run.oof, *(folder.done for folder in networks)]
    return {run.place(path): files.file_sha256(path) for path in paths if path.exists()}


def read_run_oof(run: RunDir) -> Predictions:
    """Read a run's out-of-fold predictions; ResultError when they are damaged, or not those of its summary."""
    summary, again = read_summary(run), f"maskcls resume {shell_word(run.path)}"
    named = summary.files if summary else {}
    found = _read_named(run.oof, named, run.summary, f"restore the file, or make both again from the folds: {again}")
    if run.oof.name not in named and owned.owner_of(run.oof, run.path) is not None:
        raise ResultError("the out-of-fold rows have no summary", where=str(run.oof), fix=again)
    return found


def read_fold_oof(folder: FoldDir) -> Predictions:
    """Read the predictions for a finished fold's validation rows; ResultError unless it was finished with them."""
    done = read_done(folder)
    return _read_named(folder.oof, done.files if done else {}, folder.done, RESTORE_FOLD)


def has_frozen_heads(folder: FoldDir) -> bool:
    """Tell whether heads on the frozen backbone have predicted a fold's rows; also where that file was deleted since.

    ResultError when DONE is damaged.
    """
    done = read_done(folder)
    return folder.frozen_heads.exists() or (done is not None and folder.frozen_heads.name in done.files)


def read_frozen_heads(folder: FoldDir, ids: Iterable[str]) -> Predictions:
    """Read what heads on the frozen backbone predict for a fold's validation rows, whose ids these are.

    ResultError when they are missing, damaged, of other rows, or not those that the fold was finished with.
    """
    done = read_done(folder)
    fix = (
        f"delete the file, and compute it again: maskcls resume {shell_word(folder.root or folder.path)}"
        if done is None
        else RESTORE_FOLD
    )
    try:
        found = _read_named(folder.frozen_heads, done.files if done else {}, folder.done, fix)
    except ResultError as error:
        raise error.with_fix(fix) from None
    if sorted(found.ids.tolist()) != sorted(ids):
        raise ResultError("the predictions are of other rows than the fold's", where=str(folder.frozen_heads), fix=fix)
    return found


def _read_named(path: Path, named: Mapping[str, str], source: Path, fix: str) -> Predictions:
    """Read predictions, and compare them with the sha256 that `source` names for them; earlier versions name none."""
    raw = files.read_file(path, PREDICTIONS)
    found, expected = Predictions.from_bytes(raw, path), named.get(path.name)
    if expected is not None and files.sha256(raw) != expected:
        raise ResultError(
            "these are not the predictions that the training wrote",
            where=str(path),
            expected=f"sha256 {expected[:12]}…, as in {source}",
            fix=fix,
        )
    return found
