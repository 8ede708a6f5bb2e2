"""Verbs that combine predictions or make labels of them: ensemble, group, pseudo-label."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maskcls.errors import UsageError
from maskcls.verbs.help import VerbApp
from maskcls.verbs.older import current_views, moved, set_options, with_older
from maskcls.verbs.options import Force, Json, ToPredict, answering
from maskcls.verbs.words import split_words

app = VerbApp()


@app.command()
def ensemble(
    data: ToPredict,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MEMBER|KEY=VALUE",
            help="RUN, or RUN,DATA with its own copy of the photos; FILE or FILE,OOF_FILE of predictions; predict.*,"
            " device.* or data.cache to predict again",
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="the submission to write")] = Path("submission.csv"),
    method: Annotated[
        str | None,
        typer.Option(
            show_default="mean",
            help="mean, geometric, vote, rank; greedy, bagged, convex, convex-tasks: search for weights; tasks: the"
            " best member per task; stack; weights: use those of --weights",
        ),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="one per member, such as 0.6,0.3,0.1, with --method weights")
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="FILE.recipe.yaml of an earlier ensemble, for other photos")
    ] = None,
    groups: Annotated[
        Path | None, typer.Option(help="CSV of maskcls group: average the predictions of each group")
    ] = None,
    oof_groups: Annotated[
        Path | None, typer.Option(help="CSV of maskcls group --train: the same for out-of-fold rows, to score it")
    ] = None,
    decide: Annotated[bool, typer.Option("--decide", help="use a decision rule, if it has a proven gain")] = False,
    force: Annotated[bool, typer.Option("--force", help="replace the output; the old one is kept as .bak")] = False,
    json: Json = False,
    settings: Annotated[list[str] | None, typer.Option("--set", hidden=True)] = None,
) -> None:
    """Combine runs and files of predictions into one submission; all choices are made on out-of-fold rows.

    \b
    maskcls ensemble runs/a theirs.csv,theirs_oof.csv --data faces --method convex
    maskcls ensemble runs/a runs/b,cropped --data faces
    maskcls ensemble runs/a runs/b --data faces --groups g.csv --oof-groups h.csv
    maskcls ensemble --recipe submission.recipe.yaml --data others -o others.csv
    """
    from maskcls.show.answers.ensemble import print_ensemble
    from maskcls.show.terminal.progress import LOADING, Reporter

    members, overrides = split_words(words)
    with Reporter() as report:
        with report.busy(LOADING):
            from maskcls.commands.ensemble import ensemble as work
            from maskcls.runs.recipe import with_answering_run
        found = work(
            [with_answering_run(member, answering) for member in members],
            data,
            output,
            method=method,
            weights=weights,
            recipe=recipe,
            decide=decide,
            force=force,
            overrides=with_older(overrides, set_options(settings)),
            groups=groups,
            oof_groups=oof_groups,
            report=report,
        )
    from maskcls.runs.recipe import member_run
    from maskcls.runs.records.versions import other_versions_of

    runs = [run for run in map(member_run, found.given) if run is not None]
    print_ensemble(found, versions=other_versions_of(runs), json=json)


@app.command()
def group(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="data root with train/ and eval/, or a CSV table")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="CSV to write; default: print only")] = None,
    unlabelled: Annotated[
        Path | None, typer.Option(help="data set whose photos to group; default: the eval photos of DATA")
    ] = None,
    train: Annotated[bool, typer.Option("--train", help="group the train photos instead")] = False,
    run: Annotated[
        Path | None,
        typer.Option(
            help="run folder: measure the gain, and fit photo weights",
            callback=answering,
        ),
    ] = None,
    force: Force = False,
    json: Json = False,
    photos: Annotated[Path | None, typer.Option("--photos", hidden=True)] = None,
) -> None:
    """Group photos that look like the same person, so that their predictions can be averaged.

    \b
    maskcls group faces -o groups.csv
    maskcls group faces --run runs/a -o groups.csv    (with the out-of-fold gain)
    """
    from maskcls.rundir import RunDir
    from maskcls.show.answers.group import print_group
    from maskcls.show.terminal.progress import LOADING, Reporter

    unlabelled, folder = moved(("--photos", photos), "--unlabelled", unlabelled), RunDir(run) if run else None
    with Reporter() as report:
        with report.busy(LOADING):
            from maskcls.commands.group import group as work
        found = work(data, output=output, unlabelled=unlabelled, train=train, run=folder, force=force, report=report)
    print_group(found, json=json)


@app.command("pseudo-label")
def pseudo_label(
    words: Annotated[
        list[str],
        typer.Argument(metavar="RUN|KEY=VALUE", help="run folders with the same folds; device.* or predict.batch_size"),
    ],
    data: ToPredict,
    output: Annotated[Path, typer.Option("--output", "-o", help="the labels to write")] = Path("pseudo.csv"),
    min_confidence: Annotated[
        str, typer.Option(help="0.9, or mask=0.9,age=0.8, or per class mask.wear=0.5,mask.normal=0.9,…")
    ] = "0.9",
    partial: Annotated[bool, typer.Option("--partial", help="label the confident tasks, leave others unknown")] = False,
    agree: Annotated[float, typer.Option(help="share of runs, seeds and views that must agree")] = 1.0,
    max_per_class: Annotated[
        int | None, typer.Option(help="most photos per joint class; the most confident are kept")
    ] = None,
    max_share: Annotated[float | None, typer.Option(help="largest share of the photos of each joint class")] = None,
    balance: Annotated[
        float | None, typer.Option(help="most photos per joint class, as a multiple of the rarest class's")
    ] = None,
    like_train: Annotated[
        bool, typer.Option("--like-train", help="keep the class proportions of the training set")
    ] = False,
    soft: Annotated[bool, typer.Option("--soft", help="use probabilities as targets")] = False,
    temperature: Annotated[float, typer.Option(help="temperature of soft labels; below 1 sharpens")] = 1.0,
    weight: Annotated[float, typer.Option(help="weight of a pseudo-labelled photo; a labelled one has 1")] = 1.0,
    weigh: Annotated[bool, typer.Option("--weigh", help="multiply each photo's weight by its confidence")] = False,
    views: Annotated[
        str | None, typer.Option(help="views, one vote each, such as none,hflip; default: the run's")
    ] = None,
    leaky: Annotated[
        bool, typer.Option("--leaky", help="one set of labels from all networks; then there is no out-of-fold score")
    ] = False,
    force: Force = False,
    json: Json = False,
    settings: Annotated[list[str] | None, typer.Option("--set", hidden=True)] = None,
    tta: Annotated[str | None, typer.Option("--tta", hidden=True)] = None,
) -> None:
    """Label photos with the networks of finished runs, for a training with data.pseudo=FILE.

    Every fold gets its own labels, from networks not trained on its people, so that out-of-fold scores stay unbiased.

    \b
    maskcls pseudo-label runs/a --data faces --min-confidence mask=0.95,gender=0.9
    maskcls train faces --config multi --run runs/b data.pseudo=pseudo.csv
    """
    from maskcls.rundir import RunDir
    from maskcls.runs.checks import check_labelling

    names, settings_given = split_words(words)
    if not names:
        raise UsageError("no run to label with", expected="RUN, one or several run folders")
    runs, overrides = [RunDir(Path(run)) for run in names], with_older(settings_given, set_options(settings))
    votes = current_views(tta, views)
    rule = {"thresholds": min_confidence, "partial": partial, "agree": agree, "cap_rows": max_per_class}
    rule |= {"cap_share": max_share, "balance": balance, "prior": like_train, "soft": soft, "temperature": temperature}
    rule |= {"weight": weight, "weigh": weigh}
    check_labelling(runs, data, output, rule, votes, overrides, force=force)
    from maskcls.show.answers.pseudo_label import print_pseudo_labels
    from maskcls.show.terminal.progress import LOADING, Reporter, main_process

    with Reporter(quiet=not main_process()) as report:
        with report.busy(LOADING):
            from maskcls.commands.pseudo_label import pseudo_label as work
        found = work(
            runs,
            data,
            output,
            rule=rule,
            views=votes,
            leaky=leaky,
            force=force,
            overrides=overrides,
            report=report,
        )
    if found is not None:
        from maskcls.runs.records.versions import other_versions_of

        print_pseudo_labels(found, versions=other_versions_of(runs), json=json)
