"""Score a run on its sealed people."""

from __future__ import annotations

from maskcls.verbs.help import VerbApp
from maskcls.verbs.options import Json, MovedData, RunPath

app = VerbApp()


@app.command()
def unseal(run: RunPath, data: MovedData = None, json: Json = False) -> None:
    """Score a run, once, on the people that folds.sealed set aside; afterwards, print that score again.

    \b
    maskcls train faces --config multi --run runs/a folds.sealed=0.1
    maskcls unseal runs/a
    """
    from datetime import datetime

    from maskcls.rundir import RunDir
    from maskcls.runs.checks import check_unsealing

    check_unsealing(RunDir(run))
    from maskcls.runs.records.noun import noun_of_run
    from maskcls.show.runs.unsealed import print_unsealed
    from maskcls.show.terminal.progress import LOADING, Reporter, main_process

    with Reporter(quiet=not main_process()) as report:
        with report.busy(LOADING):
            from maskcls.commands.unseal import unseal as work
        found = work(RunDir(run), date=datetime.now().astimezone(), report=report, data=data)
    if found is not None:
        from maskcls.runs.records.versions import other_versions

        noun, versions = noun_of_run(RunDir(run)), other_versions(RunDir(run))
        print_unsealed(
            run,
            found.score,
            now=found.now,
            runs=found.runs,
            kept=found.kept,
            noun=noun,
            versions=versions,
            json=json,
        )
