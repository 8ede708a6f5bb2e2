"""What is checked before samples are compared with photos; nothing here imports torch."""

from __future__ import annotations

from pathlib import Path

from maskcls import files
from maskcls.errors import DataError, UsageError
from maskcls.rundir import RunDir, SynthDir
from maskcls.runs.environment import read_environment
from maskcls.runs.identity import files_read
from maskcls.synth.facts_file import SynthFacts, read_facts


def check_sample_page(
    table: Path,
    run: RunDir,
    generators: SynthDir | None,
    page: Path | None,
    *,
    with_photos: bool,
    force: bool,
    data: Path | None = None,
) -> SynthFacts | None:
    """Return what the folder of generators holds; None without one.

    data  where the data set of the run is now; None: where it was.

    Raises what is wrong with the places of the samples, the run, the generators and the page: ResultError
    for what is no run, or no folder of generators; DataError for a table that is not there; UsageError for a page that
    is an input or inside one, and for pictures without a page; BusyError for one that exists, unless `force`.
    """
    pictures = [name for name, given in (("--generators", generators), ("--with-photos", with_photos)) if given]
    if pictures and page is None:
        fix = "name a page, or leave them out" if len(pictures) > 1 else "name a page, or leave it out"
        raise UsageError("pictures are on the page alone", where=", ".join(pictures), expected="-o FILE", fix=fix)
    env = read_environment(run)
    facts = None if generators is None else read_facts(generators)
    if not table.exists():
        raise DataError("there is no such file", where="SAMPLES", got=str(table), fix="check the path")
    if page is not None:
        folders = [run.path, *([] if generators is None else [generators.path])]
        files.refuse_finished(
            page, inputs=[table, *files_read(data or Path(env.data), run.path), *folders], force=force
        )
    return facts
