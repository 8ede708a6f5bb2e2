"""List, compare, note, gather and prune runs, and see or end their jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maskcls.errors import UsageError
from maskcls.show.terminal.waiting import waiting
from maskcls.verbs.help import VerbApp
from maskcls.verbs.older import moved, note_dry_run
from maskcls.verbs.options import Force, Json, MovedData, RunPath, all_answering, answering, interruptible, run_folders

app = VerbApp(no_args_is_help=True, help="List, compare, note, gather and prune runs; see or end their jobs.")


@app.command("list")
def runs_list(
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="FOLDER", help="where to search; default: runs", show_default=False)
    ] = None,
    base: Annotated[
        Path | None,
        typer.Option(
            help="run to compare settings with; default: the settings most runs share",
            callback=answering,
        ),
    ] = None,
    sort: Annotated[str, typer.Option(help="score, date, time, size or name")] = "score",
    json: Json = False,
) -> None:
    """List runs: scores, time, size, settings that differ, notes, leaderboard scores.

    \b
    maskcls runs list
    maskcls runs list runs/sweep --base runs/a --sort date
    """
    with waiting("reading runs"):
        from maskcls.commands.runs.list import list_runs
        from maskcls.show.runs.run_list import print_runs

        found = list_runs(folders or [Path("runs")], base=base, sort=sort)
    print_runs(found, json=json)


@app.command("note")
def runs_note(
    run: RunPath,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="the note", show_default=False)] = "",
    leaderboard: Annotated[float | None, typer.Option(help="score on a leaderboard, 0 to 1")] = None,
    name: Annotated[str | None, typer.Option(help="which leaderboard; default: public")] = None,
    keep: Annotated[
        bool | None, typer.Option("--keep/--no-keep", help="protect the run from runs prune, or stop protecting it")
    ] = None,
    json: Json = False,
) -> None:
    """Add a note to a run, during training or after it.

    \b
    maskcls runs note runs/a "sent with hflip" --leaderboard 0.7123
    maskcls runs note runs/a --keep
    """
    from datetime import datetime

    from maskcls.commands.runs.note import note
    from maskcls.rundir import RunDir
    from maskcls.show.runs.note import print_note

    if name is not None and leaderboard is None:
        raise UsageError("--name belongs to --leaderboard", fix="give both")
    now = datetime.now().astimezone()
    added = note(RunDir(run), text, leaderboard=leaderboard, name=name or "public", keep=keep, now=now)
    print_note(run, added, json=json)


@app.command("compare")
def runs_compare(
    a: Annotated[
        Path,
        typer.Argument(
            metavar="A",
            help="run folder, predictions (.npz) or submission",
            callback=answering,
        ),
    ],
    b: Annotated[
        Path,
        typer.Argument(
            metavar="B",
            help="run folder, predictions or submission to compare A with",
            callback=answering,
        ),
    ],
    others: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="C", help="further runs, all compared with A", show_default=False, callback=all_answering
        ),
    ] = None,
    answers: Annotated[
        Path | None,
        typer.Option(help="true labels, not for two runs: a CSV (id, then ans or a column per task), or class folders"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="CSV to write of every row on which the two differ")
    ] = None,
    force: Force = False,
    json: Json = False,
    changed: Annotated[Path | None, typer.Option("--changed", hidden=True)] = None,
) -> None:
    """Print how much better B is than A, with an interval, and which rows differ; or several runs against A.

    \b
    maskcls runs compare runs/a runs/b -o changed.csv
    maskcls runs compare one.csv two.csv --answers faces/eval/answers.csv
    maskcls runs compare runs/a runs/b runs/c    (corrected for two comparisons)
    """
    output = moved(("--changed", changed), "-o", output)
    if others:
        if answers is not None or output is not None:
            raise UsageError("--answers and -o are for two", got=f"{2 + len(others)} runs", fix="leave them out")
        with waiting("comparing"):
            from maskcls.commands.runs.compare import compare_runs
            from maskcls.show.answers.many import print_many

            many = compare_runs([a, b, *others])
        print_many(many, json=json)
        return
    with waiting("comparing"):
        from maskcls.commands.runs.compare import compare
        from maskcls.show.answers.comparison import print_comparison

        found = compare(a, b, answers=answers, output=output, force=force)
    print_comparison(found, output, json=json)


@app.command("gather")
def runs_gather(
    runs: Annotated[
        list[Path], typer.Argument(metavar="A B C", help="two or more runs, each with other folds", show_default=False)
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="folder of the run to make", show_default=False)],
    data: MovedData = None,
    accept: Annotated[
        list[str] | None,
        typer.Option(
            help="gather in spite of this difference: code, packages, decoder, device, processor or plan;"
            " can be repeated",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Make one run of runs that trained single folds, as if all had been trained together. The runs stay as they are.

    \b
    maskcls train faces folds.k=2 --folds 0 --run runs/a    (on one machine)
    maskcls train faces folds.k=2 --folds 1 --run runs/b    (on another one)
    maskcls runs gather runs/a runs/b -o runs/whole
    """
    from maskcls.rundir import RunDir
    from maskcls.runs.gathering.gather_checks import read_fold_runs
    from maskcls.runs.gathering.same_computation import read_kinds
    from maskcls.runs.records.noun import noun_of_run
    from maskcls.show.report.after_training import after_training, note_missing_report
    from maskcls.show.runs.gathering import print_gathering
    from maskcls.show.terminal.progress import LOADING, Reporter

    given, folder, kinds = [RunDir(run) for run in runs], RunDir(output), read_kinds(accept or [])
    found = read_fold_runs(given, folder, accept=kinds, data=data)
    noun = noun_of_run(given[0])
    with interruptible(lambda: "the same command begins again"), Reporter(noun=noun) as report:
        note_missing_report(found.parts[0].cfg, report)
        with report.busy(LOADING):
            from maskcls.commands.runs.gather import gather_runs
        made = gather_runs(given, folder, accept=kinds, data=data, report=report)
        after = after_training(folder, report, data) if made.summary else None
    print_gathering(made, after, noun, json=json)


@app.command("jobs")
def runs_jobs(
    what: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|FILE",
            help="a run, or the output of predict, whose command has --on",
            autocompletion=run_folders,
            show_default=False,
        ),
    ],
    cancel: Annotated[
        bool, typer.Option("--cancel", help="end all jobs, and the command that watches them; they can be continued")
    ] = False,
    json: Json = False,
) -> None:
    """Show what the jobs of a run do, or end them; `resume --on` goes on from their last saves.

    \b
    maskcls runs jobs runs/a
    maskcls runs jobs runs/a --cancel
    """
    from maskcls.commands.runs.jobs import run_jobs
    from maskcls.show.runs.job_list import print_jobs

    with waiting("ending the jobs" if cancel else "asking for the jobs"):
        found = run_jobs(what, cancel=cancel)
    print_jobs(found, json=json)


@app.command("prune")
def runs_prune(
    keep: Annotated[int, typer.Option(min=0, help="number of runs that keep their weights, the best by score")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="where the runs are")] = Path("runs"),
    budget: Annotated[str | None, typer.Option(help="stop when all runs use at most this, such as 20GB")] = None,
    whole: Annotated[bool, typer.Option("--whole", help="delete whole folders, not only weights")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="delete; without it, only show what would be deleted")] = False,
    json: Json = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", hidden=True)] = False,
) -> None:
    """Show which files of finished runs can be deleted: resume states, then weights. Delete them with --yes.

    \b
    maskcls runs prune --keep 5
    maskcls runs prune --keep 5 --budget 20GB --yes
    """
    from datetime import datetime

    from maskcls.commands.runs.prune import prune, read_size
    from maskcls.show.runs.pruning import print_pruning

    note_dry_run(dry_run, yes)
    size = None if budget is None else read_size(budget)
    with waiting("reading runs"):
        found = prune(folder, keep=keep, budget=size, whole=whole, yes=yes, now=datetime.now().astimezone())
    print_pruning(found, json=json)
