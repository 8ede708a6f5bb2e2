"""Verbs that score and explain finished runs and predictions: evaluate, report, calibrate, explain, tta."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from maskcls.errors import UsageError
from maskcls.show.terminal.waiting import waiting
from maskcls.verbs.help import VerbApp
from maskcls.verbs.older import current, moved
from maskcls.verbs.options import (
    Force,
    Json,
    MovedData,
    PredictionOverrides,
    RunPath,
    all_answering,
    answering,
    run_folders,
)
from maskcls.verbs.words import split_words

app = VerbApp()


@app.command()
def evaluate(
    what: Annotated[
        Path,
        typer.Argument(
            metavar="WHAT",
            help="a submission, predictions (.npz), or a run folder",
            autocompletion=run_folders,
            callback=answering,
        ),
    ],
    answers: Annotated[
        Path | None,
        typer.Option(help="true labels, not for a run: a CSV (id, then ans or a column per task), or class folders"),
    ] = None,
    section: Annotated[
        Literal["short", "all", "scores", "confusion", "slices", "people"], typer.Option(help="what to print")
    ] = "short",
    full: Annotated[bool, typer.Option("--full", help="print all sections; same as --section all")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="CSV to write, one row per photo")] = None,
    force: Force = False,
    json: Json = False,
    write: Annotated[Path | None, typer.Option("--write", hidden=True)] = None,
) -> None:
    """Score predictions whose labels are known: macro-F1 with an interval; with --full confusion, slices, people.

    \b
    maskcls evaluate runs/a --full
    maskcls evaluate submission.csv --answers faces/eval/answers.csv --json
    maskcls evaluate submission.csv --answers photos/test
    maskcls evaluate runs/a --section slices -o rows.csv
    """
    if full and section not in ("short", "all"):
        raise UsageError("--full prints all sections", got=f"--section {section}", fix="give one of them")
    output = moved(("--write", write), "-o", output)
    with waiting("scoring"):
        from maskcls.commands.evaluate import evaluate as work
        from maskcls.show.answers.evaluation import print_evaluation

        found = work(what, answers, output=output, force=force)
    print_evaluation(found, "all" if full else section, json=json)


@app.command()
def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN",
            help="one or several run folders that train made",
            autocompletion=run_folders,
            callback=all_answering,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="the HTML file to write; default: RUN/report/index.html, for one run"),
    ] = None,
    png: Annotated[Path | None, typer.Option(help="folder to write each figure into as a PNG as well")] = None,
    with_photos: Annotated[
        bool, typer.Option("--with-photos", help="embed photos in the page; default: links by name")
    ] = False,
    cam: Annotated[
        bool, typer.Option("--cam", help="with --with-photos: class activation maps beside wrong photos; needs weights")
    ] = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Write one HTML page about a run: score, curves, confusion, errors, settings; or several runs side by side.

    The page is one file that needs no network. Everything is read from the run's files.

    \b
    maskcls report runs/a
    maskcls report runs/a runs/b -o report.html --png figures
    maskcls report runs/a --with-photos --cam
    """
    from maskcls.config.installed_extras import FIGURES, check_extra

    check_extra("report", needed_by="maskcls report", packages=FIGURES)
    from maskcls.commands.report import report as work
    from maskcls.rundir import RunDir
    from maskcls.show.runs.report import print_report

    folders = [RunDir(run) for run in runs]
    found = work(folders, output=output, png=png, with_photos=with_photos, cam=cam, force=force)
    from maskcls.runs.records.versions import other_versions_of

    print_report(found, versions=other_versions_of(folders if cam else []), json=json)


@app.command()
def calibrate(
    run: RunPath,
    rule: Annotated[str, typer.Option(help="decision rule to try: expected, task, joint, prior, shift")] = "expected",
    json: Json = False,
) -> None:
    """Fit temperatures and a decision rule on a run's out-of-fold rows, and print their gain.

    \b
    maskcls calibrate runs/a
    maskcls predict runs/a --data faces --decide
    """
    with waiting(f"fitting temperatures and the rule {rule}"):
        from maskcls.commands.calibrate import calibrate as work
        from maskcls.rundir import RunDir
        from maskcls.show.answers.calibration import print_calibration

        found = work(RunDir(run), tried=rule)
    print_calibration(found, json=json)


@app.command()
def explain(
    run: RunPath,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="PHOTO|KEY=VALUE", help="photos; predict.*, device.* or data.cache, such as predict.views=hflip"
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="the picture to write, a .png")] = Path(
        "explained.png"
    ),
    folds: Annotated[
        str | None,
        typer.Option(
            help="fold numbers, such as 0,2; default: for a photo of the run's own table the fold that did not train on"
            " it, else all",
            show_default=False,
        ),
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", metavar="TASK=CLASS", help="explain this class; default: the predicted one"),
    ] = None,
    no_maps: Annotated[bool, typer.Option("--no-maps", help="probabilities only, without activation maps")] = False,
    page: Annotated[Path | None, typer.Option(help="HTML page to write as well, with all folds and views")] = None,
    data: MovedData = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Explain photos: probabilities per task, fold and view, and a map of what raises the logit of a class.

    \b
    maskcls explain runs/a photo.jpg -o why.png
    maskcls explain runs/a faces/eval/images/*.jpg --class mask=wear --json
    """
    from maskcls.rundir import RunDir
    from maskcls.show.answers.explanation import print_explanation
    from maskcls.show.terminal.progress import LOADING, Reporter

    photos, overrides = split_words(words)
    if not photos:
        raise UsageError("no photo to explain", expected="PHOTO, one or several image files")
    with Reporter() as report:
        with report.busy(LOADING):
            from maskcls.commands.explain import explain as work
        found = work(
            RunDir(run),
            list(map(Path, photos)),
            output,
            overrides=current(overrides),
            folds=folds,
            classes=classes or [],
            maps=not no_maps,
            page=page,
            data=data,
            force=force,
            report=report,
        )
    from maskcls.runs.records.versions import other_versions

    print_explanation(found, versions=other_versions(RunDir(run)), json=json)


@app.command()
def tta(
    run: RunPath,
    overrides: PredictionOverrides = None,
    adapt: Annotated[
        bool, typer.Option("--adapt", help="compare ways to adapt to the photos (predict.adapt) instead of views")
    ] = False,
    shift: Annotated[
        Literal["none", "camera", "jpeg", "night", "shares"],
        typer.Option(help="with --adapt: change the photos, or their class shares, in this way before"),
    ] = "none",
    data: MovedData = None,
    json: Json = False,
) -> None:
    """Compare test-time views on the run's out-of-fold rows: the gain and the cost of each.

    With --adapt, compare ways to adapt the networks to the photos they predict.

    \b
    maskcls tta runs/a
    maskcls tta runs/a --adapt --shift night
    """
    from maskcls.rundir import RunDir
    from maskcls.runs.checks import check_trying_views

    given = current(overrides)
    if shift != "none" and not adapt:
        fix = "give both, or neither"
        raise UsageError("--shift without --adapt changes nothing", where=f"--shift {shift}", fix=fix)
    check_trying_views(RunDir(run), given)
    from maskcls.show.answers.view_search import print_view_search
    from maskcls.show.runs.adaptation import print_adaptation
    from maskcls.show.terminal.progress import LOADING, Reporter, main_process

    trial = search = None
    with Reporter(quiet=not main_process()) as report:
        with report.busy(LOADING):
            from maskcls.commands.tta import try_adaptation
            from maskcls.commands.tta import tta as work
        if adapt:
            trial = try_adaptation(RunDir(run), shift, overrides=given, report=report, data=data)
        else:
            search = work(RunDir(run), overrides=given, report=report, data=data)
    if not main_process():
        return
    from maskcls.runs.records.versions import other_versions

    versions = other_versions(RunDir(run))
    if trial is not None:
        print_adaptation(trial, versions=versions, json=json)
    if search is not None:
        print_view_search(search, versions=versions, json=json)
