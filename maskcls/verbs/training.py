"""Train, resume, predict, self-train, demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from maskcls.errors import Exit, UsageError
from maskcls.verbs.help import VerbApp
from maskcls.verbs.older import with_older
from maskcls.verbs.options import (
    Config,
    Data,
    Folds,
    Json,
    Overrides,
    RunPath,
    how_to_resume,
    interruptible,
    load_config_for,
)
from maskcls.verbs.words import split_words

if TYPE_CHECKING:
    from maskcls.results.predicted.gather import WantedTables

app = VerbApp()


@app.command()
def train(
    data: Data,
    overrides: Overrides = None,
    config: Config = None,
    run: Annotated[Path | None, typer.Option(help="folder to make; default: runs/<the last config's name>")] = None,
    folds: Folds = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="train nothing: print the folds, the settings and a forecast")
    ] = False,
    json: Json = False,
    leaky: Annotated[bool, typer.Option("--leaky", hidden=True)] = False,
) -> None:
    """Train one network per fold and write a run folder.

    \b
    maskcls train faces --config multi --run runs/a
    maskcls train faces --config multi --folds 0 optim.lr=1e-4 folds.k=3
    maskcls train faces --config multi --dry-run
    """
    from maskcls.config import with_backbone
    from maskcls.config.unused_settings import unused_settings
    from maskcls.rundir import RunDir

    older = [("--leaky", "data.leaky=true")] if leaky else []
    cfg, origins = load_config_for(data, config, with_older(overrides, older))
    folder = RunDir(run or Path("runs") / (config[-1].stem if config else "default"))
    from maskcls.runs.checks import check_training, refuse_existing
    from maskcls.show.terminal.progress import LOADING, Reporter, main_process

    if main_process():
        for line in unused_settings(cfg, origins):
            typer.echo(line, err=True)
    check_training(data, cfg, folds)  # before torch is imported, here and in the other verbs
    if main_process():
        refuse_existing(folder)
    if dry_run:
        with Reporter(quiet=not main_process()) as report, report.busy(LOADING):
            from maskcls.show.config import print_settings
            from maskcls.show.runs.forecast import print_dry_run_json, print_forecast, print_survey
            from maskcls.training.forecast import forecast, planned, survey

            experiment = planned(data, cfg, folder, folds)
        cfg, origins = experiment.cfg, with_backbone(cfg, origins)
        known = survey(experiment)
        if not json:
            print_survey(known, cfg)
            if main_process():
                print_settings(cfg, origins)
        with Reporter(quiet=not main_process()) as report:
            measured = forecast(experiment, folds, report)
        if json:
            print_dry_run_json(known, measured, cfg, origins)
        else:
            print_forecast(measured)
        return
    from maskcls.runs.noun import noun_of_run
    from maskcls.schema.group_noun import group_noun
    from maskcls.show.report.after_training import after_training
    from maskcls.show.runs.training import print_training

    noun = group_noun(cfg)
    with interruptible(lambda: how_to_resume(folder.path)), Reporter(quiet=not main_process(), noun=noun) as report:
        with report.busy(LOADING):
            from maskcls.commands.train import train as work
        summary = work(data, cfg, folder, folds=folds, report=report, origins=with_backbone(cfg, origins))
        after = after_training(folder, report) if summary else None
    print_training(folder.path, summary, after, noun_of_run(folder) if summary else noun, json=json)


@app.command()
def resume(
    run: RunPath,
    folds: Annotated[str | None, typer.Option(help="further folds to train, such as 3,4", show_default=False)] = None,
    json: Json = False,
) -> None:
    """Continue an unfinished run from its last epoch; finished folds are kept.

    \b
    maskcls resume runs/a
    maskcls resume runs/a --folds 3,4    (further folds of the same run)
    """
    from maskcls.rundir import RunDir
    from maskcls.runs.checks import check_resuming
    from maskcls.runs.noun import noun_of_run

    check_resuming(RunDir(run), folds)
    from maskcls.show.report.after_training import after_training
    from maskcls.show.runs.training import print_training
    from maskcls.show.terminal.progress import LOADING, Reporter, main_process

    noun = noun_of_run(RunDir(run))
    with interruptible(lambda: how_to_resume(run)), Reporter(quiet=not main_process(), noun=noun) as report:
        with report.busy(LOADING):
            from maskcls.commands.resume import resume as work
        summary = work(RunDir(run), folds=folds, report=report)
        after = after_training(RunDir(run), report) if summary else None
    print_training(run, summary, after, noun, json=json)


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="a run folder that train made, or a model.onnx")],
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="WHAT|KEY=VALUE",
            help="photos, folders, 'photos/**/*.jpg', CSV tables, @list.txt, or - for names on stdin; settings:"
            " predict.*, device.* or data.cache, such as predict.views=hflip",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="one data set, instead of WHAT: data root with eval/, a CSV table, or any folder"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="the table of classes to write, .csv, .parquet or .jsonl; default with --data: submission.csv; without"
            " it, up to 10 photos of WHAT are printed",
            show_default=False,
        ),
    ] = None,
    probabilities: Annotated[
        Path | None, typer.Option(help="a table to write with the probability of every class")
    ] = None,
    table_format: Annotated[
        Literal["csv", "parquet", "jsonl"] | None,
        typer.Option("--format", help="of both tables; default: by the ending of the name", show_default=False),
    ] = None,
    groups: Annotated[
        Path | None, typer.Option(help="CSV of maskcls group: average the predictions of each group; with --data")
    ] = None,
    decide: Annotated[bool, typer.Option("--decide", help="use the decision rule that calibrate found")] = False,
    engine: Annotated[
        Literal["torch", "onnxruntime"] | None,
        typer.Option(help="what computes the networks; default: by the model", show_default=False),
    ] = None,
    skip_unreadable: Annotated[
        bool,
        typer.Option(
            "--skip-unreadable", help="write a row with an error for a photo that cannot be read; exit code 4"
        ),
    ] = False,
    shard: Annotated[
        str | None, typer.Option(metavar="i/n", help="predict the i-th of n parts of the photos", show_default=False)
    ] = None,
    gather: Annotated[
        bool, typer.Option("--gather", help="all arguments are folders of --shard: write their tables, without a model")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="replace the output; the old one is kept as .bak")] = False,
    json: Json = False,
    tta: Annotated[str | None, typer.Option("--tta", hidden=True)] = None,
) -> None:
    """Predict photos with the networks of a finished run: a submission, a table, or a few photos at once.

    \b
    maskcls predict runs/a --data faces -o submission.csv
    maskcls predict runs/a --data faces predict.views=shifts --force
    maskcls predict runs/a photo.jpg
    maskcls predict runs/a photos more/*.jpg -o answers.csv --probabilities p.parquet
    """
    older = [] if tta is None else [(f"--tta {tta}", f"predict.views={tta}")]
    if gather:
        folders = [run, *map(Path, words or [])]
        refuse_together("--gather", data=data, groups=groups, decide=decide, engine=engine, shard=shard, tta=tta)
        if output is None and probabilities is None:
            raise UsageError("--gather writes tables", fix="name one: -o answers.csv, or --probabilities p.csv")
        _gather(folders, _wanted(output, probabilities, table_format, skip_unreadable, force), json=json)
        return
    what, overrides = split_words(words)
    if what and data is not None:
        raise UsageError("photos are named twice", got=f"--data {data} and {what[0]}", fix="give one of them")
    if data is not None:
        refuse_together("--data", engine=engine, skip_unreadable=skip_unreadable, shard=shard)
        tables = (output or Path("submission.csv"), probabilities, table_format)
        _predict_data(run, data, with_older(overrides, older), tables, decide, groups, force, json=json)
        return
    if not what:
        raise UsageError("nothing to predict", expected="--data DATA, or photos, folders, tables or lists after RUN")
    refuse_together("photos without --data", groups=groups)
    given = with_older(overrides, older)
    wanted = _wanted(output, probabilities, table_format, skip_unreadable, force)
    _predict_what(run, what, given, wanted, engine, decide, shard, json=json)


def refuse_together(first: str, **others: object) -> None:
    """Raise UsageError if an option was given that has no effect beside another."""
    given = [f"--{name.replace('_', '-')}" for name, value in others.items() if value not in (None, False)]
    if given:
        raise UsageError(f"{first} and {', '.join(given)} exclude each other", fix=f"leave out {given[0]}")


def _wanted(
    output: Path | None,
    probabilities: Path | None,
    table_format: Literal["csv", "parquet", "jsonl"] | None,
    skip_unreadable: bool,
    force: bool,
) -> WantedTables:
    from maskcls.results.predicted.gather import WantedTables

    return WantedTables(output, probabilities, table_format, skip_unreadable, force)


def _gather(folders: list[Path], wanted: WantedTables, *, json: bool) -> None:
    from maskcls.commands.gather import gather as work
    from maskcls.show.answers.photos import print_tables

    tables = work(folders, wanted)
    print_tables(tables, json=json)
    _exit_for(tables[0].unreadable)


def _predict_data(
    run: Path,
    data: Path,
    overrides: list[str],
    tables: tuple[Path, Path | None, Literal["csv", "parquet", "jsonl"] | None],
    decide: bool,
    groups: Path | None,
    force: bool,
    *,
    json: bool,
) -> None:
    from maskcls.rundir import RunDir
    from maskcls.runs.checks import check_prediction

    output, probabilities, table_format = tables
    check_prediction(RunDir(run), data, output, overrides, decide=decide, groups=groups, force=force)
    wanted = _wanted(output, probabilities, table_format, False, force)
    wanted.check()
    from maskcls.show.answers.prediction import print_written
    from maskcls.show.terminal.progress import LOADING, Reporter, main_process

    with Reporter(quiet=not main_process()) as report:
        with report.busy(LOADING):
            from maskcls.commands.predict import predict as work
        written = work(
            RunDir(run),
            data,
            output,
            overrides=overrides,
            decide=decide,
            groups=groups,
            probabilities=probabilities,
            table_format=table_format,
            force=force,
            report=report,
        )
    if written:
        print_written(written, probabilities, json=json)


def _predict_what(
    model: Path,
    what: list[str],
    overrides: list[str],
    wanted: WantedTables,
    engine: Literal["torch", "onnxruntime"] | None,
    decide: bool,
    shard: str | None,
    *,
    json: bool,
) -> None:
    from maskcls.results.predicted.plan import parse_shard

    part = (1, 1) if shard is None else parse_shard(shard)
    if shard is not None and not wanted.paths:
        raise UsageError("--shard writes a folder beside a table", fix="name the table: -o answers.csv")
    from maskcls.runs.photo_checks import check_photo_prediction
    from maskcls.show.terminal.progress import LOADING, Reporter

    check_photo_prediction(model, overrides, decide=decide)
    wanted.check()
    how = "finished parts are kept. Continue with the same command" if wanted.paths else "nothing was written"
    with interruptible(lambda: how), Reporter() as report:
        with report.busy(LOADING):
            from maskcls.commands.predict_photos import PhotoRequest
            from maskcls.commands.predict_photos import predict_photos as work
            from maskcls.show.answers.photos import print_photos, print_shard, print_tables
        found = work(model, PhotoRequest(tuple(what), wanted, tuple(overrides), engine, decide, part), report)
    if found.rows is not None:
        print_photos(found.rows, found.space, json=json)
    elif found.shard is not None:
        print_shard(found.shard, found.photos, found.unreadable, json=json)
    else:
        print_tables(found.tables, json=json)
    _exit_for(found.unreadable)


def _exit_for(unreadable: int) -> None:
    """End with the code of wrong data if photos were skipped."""
    if unreadable:
        raise typer.Exit(Exit.DATA)


@app.command("self-train")
def self_train(
    data: Data,
    overrides: Overrides = None,
    config: Config = None,
    run: Annotated[Path, typer.Option(help="folder of all rounds")] = Path("runs/self"),
    unlabelled: Annotated[Path | None, typer.Option(help="data set to label; default: the eval photos of DATA")] = None,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="most rounds of training with pseudo labels")] = 2,
    min_confidence: Annotated[str, typer.Option(help="0.9, or per task mask=0.9,age=0.8, or per class")] = "0.9",
    partial: Annotated[bool, typer.Option("--partial", help="label the confident tasks, leave others unknown")] = False,
    agree: Annotated[float, typer.Option(help="share of seeds and views that must agree")] = 1.0,
    soft: Annotated[bool, typer.Option("--soft", help="use probabilities as targets")] = False,
    weight: Annotated[float, typer.Option(help="weight of a pseudo-labelled photo; a labelled one has 1")] = 1.0,
    json: Json = False,
) -> None:
    """Train, pseudo-label photos, train on them too; repeat while the out-of-fold score rises. Prints the best run.

    \b
    maskcls self-train faces --config multi --run runs/self --rounds 3
    """
    cfg, origins = load_config_for(data, config, overrides)
    from maskcls.runs.checks import check_self_training

    rule = {"thresholds": min_confidence, "partial": partial, "agree": agree, "soft": soft, "weight": weight}
    check_self_training(data, cfg, unlabelled, rule)
    from maskcls.config import with_backbone
    from maskcls.rundir import RunDir
    from maskcls.show.report.after_training import after_training
    from maskcls.show.runs.self_training import print_self_training
    from maskcls.show.terminal.progress import LOADING, Reporter

    with interruptible(lambda: "finished epochs are kept. Continue with the same command"), Reporter() as report:
        with report.busy(LOADING):
            from maskcls.commands.pseudo_label import pseudo_label
            from maskcls.commands.resume import resume as continued
            from maskcls.commands.self_train import self_train as work
            from maskcls.commands.train import train as started
        found = work(
            data,
            cfg,
            run,
            unlabelled=unlabelled,
            rounds=rounds,
            rule=rule,
            train=lambda own, folder: started(
                data, own, folder, folds=None, report=report, origins=with_backbone(cfg, origins)
            ),
            resume=lambda folder: continued(folder, folds=None, report=report),
            label=lambda source, labels: pseudo_label(
                [source],
                unlabelled or data,
                labels,
                rule=rule,
                views=[],
                leaky=False,
                force=False,
                overrides=[],
                report=report,
            ),
        )
        after = after_training(RunDir(run / found.run), report)
    print_self_training(found, run, after, json=json)


@app.command()
def demo(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="folder for photos, run and submission")] = Path(
        "demo"
    ),
    json: Json = False,
) -> None:
    """Draw faces, train on them, predict and score: all steps in about a minute.

    \b
    maskcls demo
    """
    from maskcls.rundir import RunDir
    from maskcls.show.report.after_training import after_training
    from maskcls.show.runs.demo import print_demo
    from maskcls.show.terminal.progress import LOADING, Reporter

    with Reporter() as report:
        with report.busy(LOADING):
            from maskcls.commands.demo import demo as work
            from maskcls.commands.predict import predict as predicted
            from maskcls.commands.train import train as started
        found = work(
            directory,
            train=lambda data, cfg, run: started(data, cfg, run, folds=None, report=report),
            predict=lambda run, data, output: predicted(run, data, output, overrides=[], force=False, report=report),
            report=report,
        )
        page = after_training(RunDir(found.run), report).page
    print_demo(found, page, json=json)
