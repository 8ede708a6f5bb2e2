"""After training: judge, calibrate, combine, label, compare, check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from maskcls.errors import UsageError
from maskcls.verbs.options import Answering, Json, RunPath

app = typer.Typer()
runs_app = typer.Typer(no_args_is_help=True, help="See, compare, note and tidy runs.")
app.add_typer(runs_app, name="runs")
submission_app = typer.Typer(no_args_is_help=True, help="Look at a submission before it is handed in.")
app.add_typer(submission_app, name="submission")


@app.command()
def evaluate(
    what: Annotated[Path, typer.Argument(metavar="WHAT", help="a submission, predictions (.npz), or a run folder")],
    answers: Annotated[
        Path | None, typer.Option(help="CSV: id first, then ans or a column per task; a run folder needs none")
    ] = None,
    section: Annotated[
        Literal["short", "all", "scores", "confusion", "slices", "people"], typer.Option(help="what to show")
    ] = "short",
    write: Annotated[Path | None, typer.Option(help="write a CSV too, one row per photo")] = None,
    force: Annotated[bool, typer.Option("--force", help="replace the file of --write")] = False,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object with everything")] = False,
) -> None:
    """Judge predictions whose truth is known: scores with an interval, confusion, slices, people.

    \b
    maskcls evaluate submission.csv --answers faces/eval/answers.csv --json
    maskcls evaluate runs/a --section slices --write rows.csv
    """
    from maskcls.commands.evaluate import show

    show(what, answers, section=section, write=write, force=force, json=json)


@app.command()
def calibrate(
    run: RunPath,
    rule: Annotated[str, typer.Option(help="rule to try: expected, task, joint, prior, shift")] = "expected",
    json: Json = False,
) -> None:
    """Fit temperatures and a decision rule on a run's out-of-fold rows, and say what they are worth.

    \b
    maskcls calibrate runs/a
    maskcls predict runs/a --data faces --decide
    """
    from maskcls.commands.calibrate import calibrate as work
    from maskcls.rundir import RunDir
    from maskcls.show.calibration import print_calibration

    print_calibration(work(RunDir(run), tried=rule), json=json)


@app.command()
def tta(
    run: RunPath,
    overrides: Answering = None,
    json: Json = False,
) -> None:
    """Say which test-time views pay, on the run's out-of-fold rows, and what each costs.

    \b
    maskcls tta runs/a
    """
    from maskcls.commands.tta import print_search, search
    from maskcls.rundir import RunDir
    from maskcls.show.progress import Reporter

    with Reporter() as report:
        found = search(RunDir(run), overrides=overrides or [], report=report)
    print_search(found, json=json)


@app.command()
def ensemble(
    data: Annotated[Path, typer.Option("--data", help="data root with eval/, a CSV table, or any folder of photos")],
    members: Annotated[
        list[str] | None, typer.Argument(metavar="MEMBER", help="run folders, or FILE or FILE,OOF_FILE of others")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="the submission to write")] = Path("submission.csv"),
    method: Annotated[
        str | None,
        typer.Option(
            show_default="mean",
            help="mean, geometric, vote, rank; greedy, bagged, convex, convex-tasks: weights searched; tasks: the best"
            " member per task; stack; weights: --weights",
        ),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="one per member, such as 0.6,0.3,0.1, with --method weights")
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="FILE.recipe.yaml of an earlier ensemble, for other photos")
    ] = None,
    groups: Annotated[Path | None, typer.Option(help="CSV of maskcls group: who answers as one")] = None,
    oof_groups: Annotated[Path | None, typer.Option(help="CSV of maskcls group --train, to judge and weigh by")] = None,
    decide: Annotated[bool, typer.Option("--decide", help="answer by a decision rule, if it pays out of fold")] = False,
    force: Annotated[bool, typer.Option("--force", help="replace the output; the old one is kept as .bak")] = False,
    json: Json = False,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE of device.* or predict.*; predicts anew")
    ] = None,
) -> None:
    """Combine runs and other people's predictions into one submission; what is chosen is chosen out of fold.

    \b
    maskcls ensemble runs/a runs/b theirs.csv,theirs_oof.csv --data faces --method convex -o submission.csv
    maskcls ensemble runs/a runs/b --data faces --groups groups.csv --oof-groups train_groups.csv --decide
    maskcls ensemble --recipe submission.recipe.yaml --data others -o others.csv
    """
    from maskcls.commands.ensemble import ensemble as work
    from maskcls.show.ensemble import print_found
    from maskcls.show.progress import Reporter

    with Reporter() as report:
        found = work(
            members or [],
            data,
            output,
            method=method,
            weights=weights,
            recipe=recipe,
            decide=decide,
            force=force,
            overrides=settings or [],
            groups=groups,
            oof_groups=oof_groups,
            report=report,
        )
    print_found(found, json=json)


@app.command()
def group(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="data root with train/ and eval/, or a CSV table")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="CSV to write; default: print only")] = None,
    photos: Annotated[Path | None, typer.Option(help="another data set whose photos to group")] = None,
    train: Annotated[bool, typer.Option("--train", help="group the train photos, by what other people taught")] = False,
    run: Annotated[Path | None, typer.Option(help="run folder: does it pay, and which photos count more")] = None,
    json: Json = False,
    force: Annotated[bool, typer.Option("--force", help="replace the output")] = False,
) -> None:
    """Find out which photos are of one person, by look alone, so that they can answer together.

    \b
    maskcls group faces -o groups.csv
    maskcls group faces --run runs/a -o groups.csv    (judged on out-of-fold rows, photos weighted)
    """
    from maskcls.commands.group import group as work
    from maskcls.rundir import RunDir
    from maskcls.show.progress import Reporter

    with Reporter() as report:
        folder = RunDir(run) if run else None
        work(data, output=output, photos=photos, train=train, run=folder, force=force, json=json, report=report)


@app.command("pseudo-label")
def pseudo_label(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="run folders of the same folds")],
    data: Annotated[Path, typer.Option("--data", help="data root with eval/, a CSV table, or any folder of photos")],
    output: Annotated[Path, typer.Option("--output", "-o", help="the labels to write")] = Path("pseudo.csv"),
    min_confidence: Annotated[
        str, typer.Option(help="0.9, or mask=0.9,age=0.8, or by class mask.wear=0.5,mask.normal=0.9,…")
    ] = "0.9",
    partial: Annotated[bool, typer.Option("--partial", help="take the tasks that are sure, leave others open")] = False,
    agree: Annotated[float, typer.Option(help="share of the runs, seeds and views that must agree")] = 1.0,
    max_per_class: Annotated[
        int | None, typer.Option(help="keep at most so many photos per joint class, the surest")
    ] = None,
    max_share: Annotated[
        float | None, typer.Option(help="keep at most this share of each joint class's photos")
    ] = None,
    balance: Annotated[
        float | None, typer.Option(help="keep per joint class at most so many times the rarest one's photos")
    ] = None,
    like_train: Annotated[bool, typer.Option("--like-train", help="classes in the training set's proportions")] = False,
    soft: Annotated[bool, typer.Option("--soft", help="keep the probabilities as targets")] = False,
    temperature: Annotated[float, typer.Option(help="temperature of soft labels; below 1 sharpens")] = 1.0,
    weight: Annotated[float, typer.Option(help="weight of a pseudo-labelled photo; a labelled one has 1")] = 1.0,
    weigh: Annotated[bool, typer.Option("--weigh", help="multiply each photo's weight by its confidence")] = False,
    tta: Annotated[
        str | None, typer.Option(help="views, each one vote, such as none,hflip; default: the run's")
    ] = None,
    leaky: Annotated[
        bool, typer.Option("--leaky", help="one set by all folds' networks; no honest score then")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="replace the output")] = False,
    json: Json = False,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE of device.*, or predict.batch_size")
    ] = None,
) -> None:
    """Label photos by the networks of finished runs, for a training with data.pseudo=FILE.

    Every fold gets labels of its own, by networks that never saw its people, so that out-of-fold scores stay honest.

    \b
    maskcls pseudo-label runs/a --data faces -o pseudo.csv --min-confidence mask=0.95,gender=0.9,age=0.8
    maskcls train faces --config multi --run runs/b data.pseudo=pseudo.csv
    """
    from maskcls.commands.pseudo_label import print_labelled
    from maskcls.commands.pseudo_label import pseudo_label as work
    from maskcls.rundir import RunDir
    from maskcls.show.progress import Reporter, main_process

    rule = {"thresholds": min_confidence, "partial": partial, "agree": agree, "cap_rows": max_per_class}
    rule |= {"cap_share": max_share, "balance": balance, "prior": like_train, "soft": soft, "temperature": temperature}
    rule |= {"weight": weight, "weigh": weigh}
    with Reporter(quiet=not main_process()) as report:
        found = work(
            [RunDir(run) for run in runs],
            data,
            output,
            rule=rule,
            views=tta.split(",") if tta else [],
            leaky=leaky,
            force=force,
            overrides=settings or [],
            report=report,
        )
    if found is not None:
        print_labelled(found, json=json)


@runs_app.command("list")
def runs_list(
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="FOLDER", help="where to look; default: runs", show_default=False)
    ] = None,
    base: Annotated[Path | None, typer.Option(help="run to hold settings against; default: what most share")] = None,
    sort: Annotated[str, typer.Option(help="score, date, time, size or name")] = "score",
    json: Json = False,
) -> None:
    """List runs: scores, time, size, settings that differ, notes, leaderboard scores.

    \b
    maskcls runs list
    maskcls runs list runs/sweep --base runs/a --sort date
    """
    from maskcls.commands.runs.list import list_runs

    list_runs(folders or [Path("runs")], base=base, sort=sort, json=json)


@runs_app.command("note")
def runs_note(
    run: RunPath,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="what to remember", show_default=False)] = "",
    leaderboard: Annotated[float | None, typer.Option(help="score it got, 0 to 1")] = None,
    name: Annotated[str | None, typer.Option(help="which leaderboard; default: public")] = None,
    keep: Annotated[
        bool | None, typer.Option("--keep/--no-keep", help="protect the run from runs prune, or no longer")
    ] = None,
) -> None:
    """Add a note to a run, while it trains or after.

    \b
    maskcls runs note runs/a "sent with hflip" --leaderboard 0.7123
    maskcls runs note runs/a --keep
    """
    from datetime import datetime

    from maskcls.commands.runs.note import note
    from maskcls.rundir import RunDir

    if name is not None and leaderboard is None:
        raise UsageError("--name belongs to --leaderboard", fix="give both")
    note(RunDir(run), text, leaderboard=leaderboard, name=name or "public", keep=keep, now=datetime.now().astimezone())


@runs_app.command("compare")
def runs_compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="run folder, predictions (.npz) or submission")],
    b: Annotated[Path, typer.Argument(metavar="B", help="what to compare it with")],
    answers: Annotated[
        Path | None, typer.Option(help="CSV: id first, then ans or a column per task; runs bring their own")
    ] = None,
    changed: Annotated[Path | None, typer.Option(help="CSV to write of every row on which the two differ")] = None,
    json: Json = False,
) -> None:
    """Say how much better B is than A, how sure that is, and which rows changed.

    \b
    maskcls runs compare runs/a runs/b --changed changed.csv
    maskcls runs compare one.csv two.csv --answers faces/eval/answers.csv
    """
    from maskcls.commands.runs.compare import compare

    compare(a, b, answers=answers, changed=changed, json=json)


@runs_app.command("prune")
def runs_prune(
    keep: Annotated[int, typer.Option(min=0, help="runs whose weights stay, the best by score")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="where the runs are")] = Path("runs"),
    budget: Annotated[str | None, typer.Option(help="stop once all runs take no more, such as 20GB")] = None,
    whole: Annotated[bool, typer.Option("--whole", help="delete whole folders, not only weights")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="delete nothing; the default")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="really delete")] = False,
) -> None:
    """Delete what finished runs need no more: states to resume from, then weights of all but the best.

    \b
    maskcls runs prune --keep 5
    maskcls runs prune --keep 5 --budget 20GB --yes
    """
    from datetime import datetime

    from maskcls.commands.runs.prune import prune, read_size

    if dry_run and yes:
        raise UsageError("--dry-run and --yes contradict each other", fix="give one of them")
    size = None if budget is None else read_size(budget)
    prune(folder, keep=keep, budget=size, whole=whole, yes=yes, now=datetime.now().astimezone())


@submission_app.command("check")
def submission_check(
    submission: Annotated[Path, typer.Argument(metavar="FILE", help="the submission, a CSV")],
    data: Annotated[Path | None, typer.Option(help="data root with eval/, or a CSV table, that it answers")] = None,
    run: Annotated[Path | None, typer.Option(help="the run it was predicted with")] = None,
    json: Json = False,
) -> None:
    """Check header, ids, order, labels, class shares and origin of a submission, and name every fault.

    \b
    maskcls submission check submission.csv --data faces --run runs/a
    """
    from maskcls.commands.submission.check import show

    show(submission, data, run, json=json)
