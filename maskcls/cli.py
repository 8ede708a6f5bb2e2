"""The command line: thin functions that import what they need when they run, so that --help is quick."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from maskcls.errors import SHOWN_OFFENDERS, Exit, MaskclsError, UsageError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Train face mask, gender and age classifiers, and write the winning submission.csv.

    \b
    maskcls data make faces --people 60
    maskcls train faces --config tiny_cpu --run runs/a
    maskcls predict runs/a --data faces -o submission.csv
    maskcls evaluate submission.csv --answers faces/eval/answers.csv

    Exit codes: 0 done, 1 a bug, 2 usage, 3 configuration, 4 data, 5 weights, 6 machine, 7 output exists or run is busy,
    8 diverged, 9 a result failed its check, 130 interrupted, 143 terminated.
    """,
)
data_app = typer.Typer(no_args_is_help=True, help="Make and check data sets.")
app.add_typer(data_app, name="data")
cache_app = typer.Typer(no_args_is_help=True, help="See and clear the cache of decoded photos.")
data_app.add_typer(cache_app, name="cache")
runs_app = typer.Typer(no_args_is_help=True, help="See, compare, note and tidy runs.")
app.add_typer(runs_app, name="runs")
submission_app = typer.Typer(no_args_is_help=True, help="Look at a submission before it is handed in.")
app.add_typer(submission_app, name="submission")
bench_app = typer.Typer(no_args_is_help=True, help="Measure this machine: photos and networks.")
app.add_typer(bench_app, name="bench")

Overrides = Annotated[
    list[str] | None, typer.Argument(help="dotted.key=value, such as optim.lr=1e-4", show_default=False)
]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="a run folder that train made")]
Folds = Annotated[str | None, typer.Option(help="fold numbers, such as 0,2; default: all", show_default=False)]


def show_version(value: bool) -> None:
    """Print the version and leave."""
    if value:
        from maskcls import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    """Take the options in front of a verb."""


@app.command()
def train(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="data root with train/, or a CSV table")],
    overrides: Overrides = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="YAML file, or a shipped name: multi")] = None,
    run: Annotated[Path | None, typer.Option(help="folder to make; default: runs/<config's name>")] = None,
    folds: Folds = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show what would be done, and how long it takes")] = False,
    leaky: Annotated[bool, typer.Option("--leaky", help="take pseudo labels that leak; no score then")] = False,
) -> None:
    """Train one network a fold and write a run folder.

    \b
    maskcls train faces --config multi --run runs/a
    maskcls train faces --config multi --folds 0 optim.lr=1e-4 folds.k=3
    maskcls train faces --config multi --dry-run
    """
    from maskcls import config as configuration
    from maskcls.rundir import RunDir

    path = configuration.find(config) if config else None
    cfg, origins = configuration.load(path, [*(overrides or []), *(["data.leaky=true"] if leaky else [])])
    folder = RunDir(run or Path("runs") / (path.stem if path else "default"))
    if dry_run:
        from maskcls.commands.dry_run import dry_run as show

        show(data, cfg, origins, folder, folds=folds)
        return
    from maskcls.commands.progress import Reporter, main_process
    from maskcls.commands.train import train as work

    with resumable(folder.path), Reporter(quiet=not main_process()) as report:
        summary = work(data, cfg, folder, folds=folds, report=report)
    finished(folder.path, summary)


@app.command()
def resume(
    run: RunPath,
    folds: Annotated[str | None, typer.Option(help="further folds to train, such as 3,4", show_default=False)] = None,
) -> None:
    """Continue an unfinished run from its last epoch; finished folds are kept.

    \b
    maskcls resume runs/a
    maskcls resume runs/a --folds 3,4    (further folds of the same run)
    """
    from maskcls.commands.progress import Reporter, main_process
    from maskcls.commands.resume import resume as work
    from maskcls.rundir import RunDir

    with resumable(run), Reporter(quiet=not main_process()) as report:
        summary = work(RunDir(run), folds=folds, report=report)
    finished(run, summary)


@app.command()
def predict(
    run: RunPath,
    data: Annotated[Path, typer.Option("--data", help="data root with eval/, a CSV table, or any folder of photos")],
    overrides: Overrides = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="the submission to write")] = Path("submission.csv"),
    tta: Annotated[
        str | None,
        typer.Option(help="views: none, hflip, zoom, hflip_zoom, shifts, or plain+flip+…; default: the run's"),
    ] = None,
    decide: Annotated[bool, typer.Option("--decide", help="answer by the rule that calibrate found")] = False,
    force: Annotated[bool, typer.Option("--force", help="replace the output; the old one is kept as .bak")] = False,
) -> None:
    """Predict photos with every fold of a finished run and write a submission.

    \b
    maskcls predict runs/a --data faces -o submission.csv
    maskcls predict runs/a --data faces -o submission.csv --tta shifts --force
    """
    from maskcls.commands.predict import predict as work
    from maskcls.commands.progress import Reporter, main_process
    from maskcls.rundir import RunDir

    given = list(overrides or [])
    if tta is not None:
        if any(text.startswith("predict.views=") for text in given):
            raise UsageError("--tta and predict.views= say the same thing", fix="give one of them")
        given.append(f"predict.views={tta}")
    with Reporter(quiet=not main_process()) as report:
        written = work(RunDir(run), data, output, overrides=given, decide=decide, force=force, report=report)
    if written:
        typer.echo(f"{output}  {written.rows} rows\n{output.with_suffix('.json')}  where they come from")


@app.command("pseudo-label")
def pseudo_label(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN…", help="run folders of the same folds")],
    data: Annotated[Path, typer.Option("--data", help="data root with eval/, a CSV table, or any folder of photos")],
    output: Annotated[Path, typer.Option("--output", "-o", help="the labels to write")] = Path("pseudo.csv"),
    min_confidence: Annotated[
        str, typer.Option(help="0.9, or mask=0.9,age=0.8, or by class mask.wear=0.5,mask.normal=0.9,…")
    ] = "0.9",
    partial: Annotated[bool, typer.Option("--partial", help="take the tasks that are sure, leave others open")] = False,
    agree: Annotated[float, typer.Option(help="share of the runs, seeds and views that must agree")] = 1.0,
    max_per_class: Annotated[int | None, typer.Option(help="photos of a joint class, the surest")] = None,
    max_share: Annotated[float | None, typer.Option(help="share of a joint class's photos, the surest")] = None,
    balance: Annotated[float | None, typer.Option(help="times the rarest joint class's photos, at most")] = None,
    like_train: Annotated[bool, typer.Option("--like-train", help="classes in the training set's proportions")] = False,
    soft: Annotated[bool, typer.Option("--soft", help="keep the probabilities as targets")] = False,
    temperature: Annotated[float, typer.Option(help="of soft labels; below 1 is sharper")] = 1.0,
    weight: Annotated[float, typer.Option(help="what a photo counts beside a labelled one")] = 1.0,
    weigh: Annotated[bool, typer.Option("--weigh", help="times its confidence")] = False,
    tta: Annotated[str | None, typer.Option(help="views, each a voice: none,hflip; default: the run's")] = None,
    leaky: Annotated[
        bool, typer.Option("--leaky", help="one set by all folds' networks; no honest score then")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="replace the output")] = False,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
    settings: Annotated[list[str] | None, typer.Option("--set", help="device.* or predict.batch_size=…")] = None,
) -> None:
    """Label photos by the networks of finished runs, for a training with data.pseudo=FILE.

    Every fold gets labels of its own, by networks that never saw its people, so that out-of-fold scores stay honest.

    \b
    maskcls pseudo-label runs/a --data faces -o pseudo.csv --min-confidence mask=0.95,gender=0.9,age=0.8
    maskcls train faces --config multi --run runs/b data.pseudo=pseudo.csv
    """
    from maskcls.commands.progress import Reporter, main_process
    from maskcls.commands.pseudo_label import print_labelled
    from maskcls.commands.pseudo_label import pseudo_label as work
    from maskcls.rundir import RunDir

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


@app.command("self-train")
def self_train(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="data root with train/, or a CSV table")],
    overrides: Overrides = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="YAML file, or a shipped name: multi")] = None,
    run: Annotated[Path, typer.Option(help="folder of all rounds")] = Path("runs/self"),
    unlabelled: Annotated[Path | None, typer.Option(help="photos to label; default: DATA's own to predict")] = None,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="trainings with pseudo labels, at most")] = 2,
    min_confidence: Annotated[str, typer.Option(help="as for pseudo-label")] = "0.9",
    partial: Annotated[bool, typer.Option("--partial", help="as for pseudo-label")] = False,
    agree: Annotated[float, typer.Option(help="as for pseudo-label")] = 1.0,
    soft: Annotated[bool, typer.Option("--soft", help="as for pseudo-label")] = False,
    weight: Annotated[float, typer.Option(help="as for pseudo-label")] = 1.0,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Train, label photos, train with them, and again while out-of-fold scores rise; the best round is kept.

    \b
    maskcls self-train faces --config multi --run runs/self --rounds 3
    """
    from maskcls import config as configuration
    from maskcls.commands.progress import Reporter
    from maskcls.commands.self_train import print_course
    from maskcls.commands.self_train import self_train as work

    cfg, _ = configuration.load(configuration.find(config) if config else None, overrides or [])
    rule = {"thresholds": min_confidence, "partial": partial, "agree": agree, "soft": soft, "weight": weight}
    with resumable(run), Reporter() as report:
        course = work(data, cfg, run, unlabelled=unlabelled, rounds=rounds, rule=rule, report=report)
    print_course(course, run, json=json)


@app.command()
def tta(
    run: RunPath,
    overrides: Overrides = None,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Say which test-time views pay, on the run's out-of-fold rows, and what each costs.

    \b
    maskcls tta runs/a
    """
    from maskcls.commands.progress import Reporter
    from maskcls.commands.tta import print_search, search
    from maskcls.rundir import RunDir

    with Reporter() as report:
        found = search(RunDir(run), overrides=overrides or [], report=report)
    print_search(found, json=json)


@app.command()
def evaluate(
    what: Annotated[Path, typer.Argument(metavar="WHAT", help="a submission, predictions (.npz), or a run folder")],
    answers: Annotated[Path | None, typer.Option(help="CSV of ids and true labels; a run folder needs none")] = None,
    section: Annotated[
        Literal["short", "all", "scores", "confusion", "slices", "people"], typer.Option(help="what to show")
    ] = "short",
    write: Annotated[Path | None, typer.Option(help="write a CSV too, a row a photo")] = None,
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
    rule: Annotated[str, typer.Option(help="rule to try: expected, task, joint, prior")] = "expected",
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Fit temperatures and a decision rule on a run's out-of-fold rows, and say what they are worth.

    \b
    maskcls calibrate runs/a
    maskcls predict runs/a --data faces --decide
    """
    from maskcls.commands.calibrate import calibrate as work
    from maskcls.commands.calibrate import print_calibration
    from maskcls.rundir import RunDir

    print_calibration(work(RunDir(run), tried=rule), json=json)


@app.command()
def ensemble(
    data: Annotated[Path, typer.Option("--data", help="data root with eval/, or a CSV table")],
    members: Annotated[
        list[str] | None, typer.Argument(metavar="MEMBER…", help="run folders, or FILE or FILE,OOF_FILE of others")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="the submission to write")] = Path("submission.csv"),
    method: Annotated[
        str,
        typer.Option(
            help="mean, geometric, vote, rank; greedy, bagged, convex, convex-tasks: weights searched; tasks: the best"
            " member a task; stack; weights: --weights"
        ),
    ] = "mean",
    weights: Annotated[str | None, typer.Option(help="one a member, such as 0.6,0.3,0.1")] = None,
    recipe: Annotated[Path | None, typer.Option(help="do again what an earlier ensemble did, on other photos")] = None,
    decide: Annotated[bool, typer.Option("--decide", help="by a decision rule, if one is worth it")] = False,
    force: Annotated[bool, typer.Option("--force", help="replace the output; the old one is kept as .bak")] = False,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
    settings: Annotated[list[str] | None, typer.Option("--set", help="device.* or predict.*, to predict anew")] = None,
) -> None:
    """Combine runs and other people's predictions into one submission; what is chosen is chosen out of fold.

    \b
    maskcls ensemble runs/a runs/b theirs.csv,theirs_oof.csv --data faces --method convex -o submission.csv
    maskcls ensemble --recipe submission.recipe.yaml --data others -o others.csv
    """
    from maskcls.commands.ensemble import ensemble as work
    from maskcls.commands.ensemble_tables import print_found
    from maskcls.commands.progress import Reporter

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
            report=report,
        )
    print_found(found, json=json)


@app.command()
def demo(
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="folder for photos, run and submission")] = Path(
        "demo"
    ),
) -> None:
    """Draw faces, train on them, predict and score: the whole way in about a minute.

    \b
    maskcls demo
    """
    from maskcls.commands.demo import demo as work

    work(directory)


@data_app.command("make")
def data_make(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="folder to make")],
    people: Annotated[int, typer.Option(min=1, help="people to train on, seven photos each")] = 60,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    eval_people: Annotated[int | None, typer.Option(min=1, help="people to predict; default: a third")] = None,
) -> None:
    """Draw faces in the contest's layout, with eval photos and their answers.

    \b
    maskcls data make faces --people 60 --seed 0
    """
    from maskcls.data.faces import make_faces

    made = make_faces(directory, people=people, seed=seed, eval_people=eval_people)
    typer.echo(f"{directory / 'train'}  {made.train_photos} photos of {len(made.train_people)} people")
    typer.echo(f"{directory / 'eval'}  {made.eval_photos} photos of {len(made.eval_people)} people, with answers.csv")


@data_app.command("check")
def data_check(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="data root, or a CSV table")],
    overrides: Overrides = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="YAML file, or a shipped name")] = None,
) -> None:
    """Read every row and photo of a data set, and say what is wrong or what is there.

    \b
    maskcls data check faces
    """
    from maskcls import config as configuration

    cfg, _ = configuration.load(configuration.find(config) if config else None, overrides or [])
    from maskcls.commands.check import check

    check(data, cfg)


@data_app.command("crop")
def data_crop(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="data root, or a CSV table; only read")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="folder to make")],
    detector: Annotated[Path | None, typer.Option(help="OpenCV Zoo's YuNet, an .onnx file")] = None,
    any_detector: Annotated[bool, typer.Option("--any-detector", help="accept another file than the known")] = False,
    like: Annotated[Path | None, typer.Option(help="crops.json of another copy: its margin, aspect, window")] = None,
    fixed: Annotated[bool, typer.Option("--fixed", help="crop every photo where faces usually are")] = False,
    margin: Annotated[float | None, typer.Option(help="share of the face on each side; default: 0.3")] = None,
    aspect: Annotated[str | None, typer.Option(help="height:width of the crops; default: 4:3")] = None,
) -> None:
    """Copy a data set with every photo cropped at its face; crops.csv lists the boxes.

    \b
    maskcls data crop faces cropped --detector face_detection_yunet_2023mar.onnx
    maskcls data crop more cropped2 --like cropped/crops.json
    """
    from maskcls.commands.crop import crop
    from maskcls.commands.progress import Reporter

    with Reporter() as report:
        crop(
            data,
            out,
            detector=detector,
            any_detector=any_detector,
            like=like,
            fixed=fixed,
            margin=margin,
            aspect=aspect,
            report=report,
        )


@data_app.command("look")
def data_look(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="data root with train/, or a CSV table")],
    overrides: Overrides = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="YAML file, or a shipped name")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="the picture to write, a .png")] = Path("sheet.png"),
    photos: Annotated[int, typer.Option(min=1, max=500, help="photos to show, spread over the classes")] = 8,
    draws: Annotated[int, typer.Option(min=0, max=100, help="epochs of training to show of each")] = 6,
    force: Annotated[bool, typer.Option("--force", help="replace the picture")] = False,
) -> None:
    """Draw what the network sees of some photos: as they are judged, and as they come in the first epochs.

    \b
    maskcls data look faces --config multi -o sheet.png
    maskcls data look faces transforms.preset=faces transforms.hue=0.02 --force
    """
    from maskcls import config as configuration
    from maskcls.commands.look import look as work

    cfg, _ = configuration.load(configuration.find(config) if config else None, overrides or [])
    work(data, cfg, output, photos=photos, draws=draws, force=force)


@bench_app.command("data")
def bench_data(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="data root with train/, or a CSV table")],
    overrides: Overrides = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="YAML file, or a shipped name")] = None,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Time reading, decoding and every step of augmentation on your photos.

    \b
    maskcls bench data faces --config multi
    """
    from maskcls import config as configuration
    from maskcls.commands.bench import bench_data as work

    cfg, _ = configuration.load(configuration.find(config) if config else None, overrides or [])
    work(data, cfg, json=json)


@bench_app.command("step")
def bench_step(
    overrides: Overrides = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="YAML file, or a shipped name")] = None,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Time a network in every number and memory format, and find the largest step that fits into memory.

    \b
    maskcls bench step --config multi
    maskcls bench step model.backbone=resnet18 train.batch_size=128
    """
    from maskcls import config as configuration
    from maskcls.commands.bench import bench_step as work

    cfg, _ = configuration.load(configuration.find(config) if config else None, overrides or [])
    work(cfg, json=json)


@bench_app.command("lr")
def bench_lr(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="data root with train/, or a CSV table")],
    overrides: Overrides = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="YAML file, or a shipped name")] = None,
    low: Annotated[float, typer.Option(help="the rate of the first step")] = 1e-6,
    high: Annotated[float, typer.Option(help="the rate of the last step")] = 1.0,
    steps: Annotated[int, typer.Option(help="steps to train")] = 100,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Train a few steps at rising learning rates, and say where the loss falls fastest.

    \b
    maskcls bench lr faces --config multi
    maskcls bench lr faces --config multi optim.name=sgd --high 10
    """
    from maskcls import config as configuration
    from maskcls.commands.lr_range import lr_range
    from maskcls.commands.progress import Reporter

    cfg, _ = configuration.load(configuration.find(config) if config else None, overrides or [])
    with Reporter() as report:
        lr_range(data, cfg, low=low, high=high, steps=steps, json=json, report=report)


@cache_app.command("list")
def cache_list(json: Annotated[bool, typer.Option("--json", help="print one JSON array")] = False) -> None:
    """List the packs of decoded photos: size, photos, view, last use, and where the photos stood.

    \b
    maskcls data cache list
    """
    from maskcls.commands.cache import show

    show(json=json)


@cache_app.command("prune")
def cache_prune(
    days: Annotated[float, typer.Option(min=0, help="delete packs not used for this long; 0: all")] = 30,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="delete nothing, only say what would go")] = False,
) -> None:
    """Delete packs of decoded photos; they are made anew when they are needed.

    \b
    maskcls data cache prune --days 7 --dry-run
    maskcls data cache prune --days 0
    """
    from maskcls.commands.cache import prune

    prune(days=days, dry_run=dry_run)


@runs_app.command("list")
def runs_list(
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="FOLDER", help="where to look; default: runs", show_default=False)
    ] = None,
    base: Annotated[Path | None, typer.Option(help="run to hold settings against; default: what most share")] = None,
    sort: Annotated[str, typer.Option(help="score, date, time, size or name")] = "score",
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """List runs: scores, time, size, settings that differ, notes, leaderboard scores.

    \b
    maskcls runs list
    maskcls runs list runs/sweep --base runs/a --sort date
    """
    from maskcls.commands.runs_list import list_runs

    list_runs(folders or [Path("runs")], base=base, sort=sort, json=json)


@runs_app.command("note")
def runs_note(
    run: RunPath,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="what to remember", show_default=False)] = "",
    leaderboard: Annotated[float | None, typer.Option(help="score it got, 0 to 1")] = None,
    name: Annotated[str | None, typer.Option(help="which leaderboard; default: public")] = None,
    keep: Annotated[bool | None, typer.Option("--keep/--no-keep", help="prune has to leave it alone")] = None,
) -> None:
    """Add a note to a run, while it trains or after.

    \b
    maskcls runs note runs/a "sent with hflip" --leaderboard 0.7123
    maskcls runs note runs/a --keep
    """
    from datetime import datetime

    from maskcls.commands.runs_note import note
    from maskcls.rundir import RunDir

    if name is not None and leaderboard is None:
        raise UsageError("--name belongs to --leaderboard", fix="give both")
    note(RunDir(run), text, leaderboard=leaderboard, name=name or "public", keep=keep, now=datetime.now().astimezone())


@runs_app.command("compare")
def runs_compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="run folder, predictions (.npz) or submission")],
    b: Annotated[Path, typer.Argument(metavar="B", help="what to compare it with")],
    answers: Annotated[Path | None, typer.Option(help="CSV of ids and true labels; runs bring their own")] = None,
    changed: Annotated[Path | None, typer.Option(help="CSV to write of every row on which the two differ")] = None,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Say how much better B is than A, how sure that is, and which rows changed.

    \b
    maskcls runs compare runs/a runs/b --changed changed.csv
    maskcls runs compare one.csv two.csv --answers faces/eval/answers.csv
    """
    from maskcls.commands.compare import compare

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

    from maskcls.commands.runs_prune import prune, read_size

    if dry_run and yes:
        raise UsageError("--dry-run and --yes contradict each other", fix="give one of them")
    size = None if budget is None else read_size(budget)
    prune(folder, keep=keep, budget=size, whole=whole, yes=yes, now=datetime.now().astimezone())


@submission_app.command("check")
def submission_check(
    submission: Annotated[Path, typer.Argument(metavar="FILE", help="the submission, a CSV")],
    data: Annotated[Path | None, typer.Option(help="data root with eval/, or a CSV table, that it answers")] = None,
    run: Annotated[Path | None, typer.Option(help="the run it was predicted with")] = None,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Check header, ids, order, labels, class shares and origin of a submission, and name every fault.

    \b
    maskcls submission check submission.csv --data faces --run runs/a
    """
    from maskcls.commands.submission_check import show

    show(submission, data, run, json=json)


def finished(run: Path, summary: dict[str, Any]) -> None:
    """Print what a training came to, on stdout; processes that do not write print nothing."""
    if not summary:
        return
    pooled, interval = summary["pooled"], summary["interval"]
    if pooled is None:
        why = "the pseudo labels were made by networks that saw the validation people"
        typer.echo(f"{run}  no out-of-fold score: {why}")
        return
    if interval:
        spread = f"[{interval['low']:.4f}, {interval['high']:.4f}]"
        typer.echo(f"{run}  out-of-fold macro-F1 {pooled['macro_f1']:.4f}  95% interval {spread} over people")
    else:
        typer.echo(f"{run}  no row has a label for every task; the tasks' own macro-F1:")
    tasks = "  ".join(f"{name} {_number(task['macro_f1'])}" for name, task in pooled["tasks"].items())
    if seeds := summary.get("seeds"):
        each = "  ".join(f"seed {seed} {_number(scores['macro_f1'])}" for seed, scores in seeds.items())
        typer.echo(f"  each alone: {each}")
    typer.echo(f"  {tasks}  ({sum(len(f) > 0 for f in summary['folds'].values())} folds, {summary['people']} people)")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


class Stopped(BaseException):
    """SIGTERM was received. Not an Exception, so that nothing on the way handles it."""


@contextmanager
def resumable(run: Path) -> Iterator[None]:
    """Tell how to continue when the work inside is interrupted."""
    try:
        yield
    except (KeyboardInterrupt, Stopped):
        if (run / "env.json").exists():
            typer.echo(f"interrupted; finished epochs are kept. Continue with: maskcls resume {run}", err=True)
        raise


def main() -> None:
    """Run the command line and exit with its code; every error leaves as one message on stderr."""
    # Waiting OpenMP threads that spin for long take the cores from everything else, and those that sleep at once are
    # late. Read by the library when torch is first imported; see docs/adr/0005.
    if not os.environ.keys() & {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}:
        os.environ["GOMP_SPINCOUNT"] = "3000"
    sys.exit(int(run_app(sys.argv[1:])))


def run_app(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        return _exit_code(arguments)
    except MaskclsError as error:
        _print_error(error)
        return error.exit_code
    except Stopped:
        return Exit.TERMINATED
    except Exception:
        if os.environ.get("MASKCLS_DEBUG"):
            raise
        _print_error(MaskclsError("this is a bug in maskcls", where=_kept("crash", traceback.format_exc()), fix=REPORT))
        return Exit.INTERNAL
    finally:
        signal.signal(signal.SIGTERM, previous)


REPORT = "report it with that file; MASKCLS_DEBUG=1 shows the traceback at once"


def _exit_code(arguments: list[str]) -> int:
    try:
        app(arguments)
    except SystemExit as error:
        # Typer and rich leave with 1 when the reader of our output has gone, and for nothing else we do.
        if error.code == 1:
            return Exit.PIPE
        return int(error.code or 0)
    return Exit.OK


def _terminate(*_: object) -> None:
    raise Stopped


def _print_error(error: MaskclsError) -> None:
    lines = error.lines()
    if len(error.offenders) > SHOWN_OFFENDERS:
        lines.append(f"  all {len(error.offenders)}: {_kept('offenders', chr(10).join(error.offenders))}")
    rank = os.environ.get("RANK", "0")
    prefix = "" if rank == "0" else f"[process {rank}] "
    print("\n".join(prefix + line for line in lines), file=sys.stderr)


def _kept(kind: str, text: str) -> str:
    """Write text to a new file in the system's temporary folder and return its path."""
    import tempfile

    with tempfile.NamedTemporaryFile(
        "w", prefix=f"maskcls-{kind}-", suffix=".txt", delete=False, encoding="utf8"
    ) as file:
        file.write(text + "\n")
    return file.name
