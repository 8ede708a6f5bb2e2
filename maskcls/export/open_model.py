"""A trained model, from a run folder or from an exported file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from maskcls.errors import UsageError
from maskcls.results.photo_model import PhotoModel
from maskcls.rundir import RunDir
from maskcls.show.terminal.progress import Reporter
from maskcls.training.predicting.run_model import open_run_model

Engine = Literal["torch", "onnxruntime"]


def open_model(
    path: Path,
    overrides: Sequence[str] = (),
    *,
    engine: Engine | None = None,
    decide: bool = False,
    report: Reporter,
) -> PhotoModel:
    """Return the model of a run folder.

    overrides  of `predict.*` and `device.*` alone.
    engine     None: torch for a run.
    decide     use the decision rule, see `calibrate`.

    Raises what `open_run_model` raises; UsageError for a path that is no folder.
    """
    if not path.is_dir() or engine == "onnxruntime":
        raise UsageError("this is no run folder", where=str(path), fix="name a folder that maskcls train made")
    return open_run_model(RunDir(path), overrides, decide=decide, report=report)
