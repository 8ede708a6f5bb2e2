"""What is checked before samples are compared with photos; nothing here imports torch."""

from __future__ import annotations

from pathlib import Path

from maskcls import files
from maskcls.errors import DataError, ResultError
from maskcls.rundir import RunDir, SynthDir
from maskcls.runs.environment import read_environment
from maskcls.runs.identity import files_read


def check_sample_page(table: Path, run: RunDir, generators: SynthDir | None, page: Path | None, *, force: bool) -> None:
    """Raise what is wrong with the places of a table of samples, of a run, of generators and of the page.

    ResultError for what is no run, or no folder of generators; DataError for a table that is not there; UsageError for
    a page that is an input or inside one; BusyError for one that exists, unless `force`.
    """
    env = read_environment(run)
    if generators is not None and not generators.facts.exists():
        raise ResultError(
            "this is not a folder of generators",
            where=str(generators.path),
            expected="a folder that maskcls synth train made",
            fix="check the path",
        )
    if not table.exists():
        raise DataError("there is no such file", where="SAMPLES", got=str(table), fix="check the path")
    if page is not None:
        folders = [run.path, *([] if generators is None else [generators.path])]
        files.refuse_finished(page, inputs=[table, *files_read(Path(env.data), run.path), *folders], force=force)
