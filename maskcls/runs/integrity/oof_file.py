"""The run's oof.npz: the link to the summary that was made from it, and to the networks."""

from __future__ import annotations

from collections.abc import Iterable

from maskcls import files, owned
from maskcls.errors import ResultError
from maskcls.results.predictions import Predictions
from maskcls.rundir import FoldDir, RunDir
from maskcls.runs.summary import read_summary


def made_from(run: RunDir, networks: Iterable[FoldDir]) -> dict[str, str]:
    """Return the sha256 of what a summary is made from, by path: out-of-fold rows, and DONE of the networks."""
    paths = [run.oof, *(folder.done for folder in networks)]
    return {path.relative_to(run.path).as_posix(): files.file_sha256(path) for path in paths if path.exists()}


def read_run_oof(run: RunDir) -> Predictions:
    """Read a run's out-of-fold predictions; ResultError when they are damaged, or not those of its summary."""
    found, summary = Predictions.load(run.oof), read_summary(run)
    expected = summary.files.get(run.oof.name) if summary else None
    again = f"maskcls resume {run.path}"
    if expected is None and owned.owner_of(run.oof, run.path) is not None:
        raise ResultError("the out-of-fold rows have no summary", where=str(run.oof), fix=again)
    if expected is not None and files.file_sha256(run.oof) != expected:
        raise ResultError(
            "these are not the out-of-fold rows that the run's summary was made from",
            where=str(run.oof),
            expected=f"sha256 {expected[:12]}…, as in {run.summary}",
            fix=f"restore the file, or make both again from the folds: {again}",
        )
    return found
