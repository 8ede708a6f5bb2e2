"""A trained model, from a run folder or from an exported file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, assert_never

from maskcls.errors import UsageError
from maskcls.results.photo_model import PhotoModel
from maskcls.rundir import RunDir

if TYPE_CHECKING:
    from maskcls.show.terminal.progress import Reporter

Engine = Literal["torch", "onnxruntime"]
ONNX = ".onnx"


def open_model(
    path: Path,
    overrides: Sequence[str] = (),
    *,
    engine: Engine | None = None,
    decide: bool = False,
    report: Reporter,
) -> PhotoModel:
    """Return the model of a run folder, or of an ONNX file that `maskcls export` wrote.

    overrides  of `predict.*` and `device.*` alone. An exported file takes device.threads and predict.batch_size; its
               views and networks cannot be changed.
    engine     None: torch for a run, onnxruntime for a file. onnxruntime for a run: with the file that was exported
               from it; torch is then not imported.
    decide     use the decision rule, see `calibrate`.

    Raises what `open_run_model`, `open_onnx_file` and `open_exported_run` raise; UsageError for a path that is neither.
    """
    if path.suffix.lower() == ONNX and not path.is_dir():
        return _file(path, overrides, engine, decide=decide)
    if not path.is_dir():
        fix = "name a folder that maskcls train made, or a file that maskcls export made"
        raise UsageError("this is no run folder, and no ONNX file", where=str(path), fix=fix)
    match engine:
        case "onnxruntime":
            from maskcls.export.opened_onnx import open_exported_run

            return open_exported_run(RunDir(path), overrides, decide=decide)
        case "torch" | None:
            from maskcls.training.predicting.run_model import open_run_model

            return open_run_model(RunDir(path), overrides, decide=decide, report=report)
        case _:
            assert_never(engine)


def _file(path: Path, overrides: Sequence[str], engine: Engine | None, *, decide: bool) -> PhotoModel:
    from maskcls.export.opened_onnx import open_onnx_file

    match engine:
        case "onnxruntime" | None:
            return open_onnx_file(path, overrides, decide=decide)
        case "torch":
            fix = "leave out --engine, or name the run folder"
            raise UsageError("an ONNX file is predicted with onnxruntime", where=str(path), got="torch", fix=fix)
        case _:
            assert_never(engine)
