"""Predict photos: of a data set, of any names, in shards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from maskcls.errors import Exit, UsageError
from maskcls.verbs.help import VerbApp
from maskcls.verbs.older import with_older
from maskcls.verbs.options import Json, On, answering, interruptible, jobs_go_on, prediction_settings, run_folders
from maskcls.verbs.words import split_words

if TYPE_CHECKING:
    from maskcls.results.predicted.gather import WantedTables

app = VerbApp()


@app.command()
def predict(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            help="a run folder that train made, or a model.onnx",
            autocompletion=run_folders,
            callback=answering,
        ),
    ],
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="WHAT|KEY=VALUE",
            help="photos, folders, 'photos/**/*.jpg', CSV tables, @list.txt, or - for names on stdin; settings:"
            " predict.*, device.* or data.cache, such as predict.views=hflip",
            show_default=False,
            autocompletion=prediction_settings,
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
    on: On = None,
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
    maskcls predict runs/a photos -o answers.csv --probabilities p.csv
    maskcls predict runs/a photos -o answers.csv --on local:2
    """
    older = [] if tta is None else [(f"--tta {tta}", f"predict.views={tta}")]
    if gather:
        folders = [run, *map(Path, words or [])]
        refuse_together("--gather", data=data, groups=groups, decide=decide, engine=engine, shard=shard, on=on, tta=tta)
        if output is None and probabilities is None:
            raise UsageError("--gather writes tables", fix="name one: -o answers.csv, or --probabilities p.csv")
        _gather(folders, _wanted(output, probabilities, table_format, skip_unreadable, force), json=json)
        return
    what, overrides = split_words(words)
    if what and data is not None:
        raise UsageError("photos are named twice", got=f"--data {data} and {what[0]}", fix="give one of them")
    if data is not None:
        refuse_together("--data", engine=engine, skip_unreadable=skip_unreadable, shard=shard, on=on)
        wanted = _wanted(output or Path("submission.csv"), probabilities, table_format, False, force)
        _predict_data(run, data, with_older(overrides, older), wanted, decide, groups, json=json)
        return
    if not what:
        raise UsageError("nothing to predict", expected="--data DATA, or photos, folders, tables or lists after RUN")
    refuse_together("photos without --data", groups=groups)
    given = with_older(overrides, older)
    wanted = _wanted(output, probabilities, table_format, skip_unreadable, force)
    if on is not None:
        refuse_together("--on", shard=shard)
        _predict_on(run, what, given, wanted, engine, decide, on, json=json)
        return
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
    from maskcls.commands.predicting.gather import gather as work
    from maskcls.show.answers.photos import print_tables

    tables = work(folders, wanted)
    print_tables(tables, json=json)
    _exit_for(tables[0].unreadable)


def _predict_data(
    run: Path,
    data: Path,
    overrides: list[str],
    wanted: WantedTables,
    decide: bool,
    groups: Path | None,
    *,
    json: bool,
) -> None:
    from maskcls.rundir import RunDir
    from maskcls.runs.checks import check_prediction
    from maskcls.runs.identity import files_read

    output = wanted.paths[0]
    check_prediction(RunDir(run), data, output, overrides, decide=decide, groups=groups, force=wanted.force)
    wanted.check(files_read(run, data, groups))
    from maskcls.show.answers.prediction import print_written
    from maskcls.show.terminal.progress import LOADING, Reporter, main_process

    with Reporter(quiet=not main_process()) as report:
        with report.busy(LOADING):
            from maskcls.commands.predicting.predict import predict as work
        written = work(
            RunDir(run),
            data,
            output,
            overrides=overrides,
            decide=decide,
            groups=groups,
            probabilities=wanted.probabilities,
            table_format=wanted.format,
            force=wanted.force,
            report=report,
        )
    if written:
        from maskcls.runs.records.versions import other_versions
        from maskcls.runs.repeats.repeat_runs import members_of

        versions = {name: pair for one in members_of(RunDir(run)) for name, pair in other_versions(one).items()}
        print_written(written, wanted.probabilities, versions=versions, json=json)


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

    part = None if shard is None else parse_shard(shard)
    if wanted.format is not None and not wanted.paths:
        raise UsageError("--format is that of a table", fix="name the table: -o answers.csv, or leave out --format")
    if shard is not None and not wanted.paths:
        raise UsageError("--shard writes a folder beside a table", fix="name the table: -o answers.csv")
    from maskcls.runs.checks import check_photo_prediction
    from maskcls.runs.identity import files_read, named_path
    from maskcls.show.terminal.progress import LOADING, Reporter

    check_photo_prediction(model, overrides, decide=decide)
    wanted.check(files_read(model, *map(named_path, what)))
    how = "finished parts are kept. Continue with the same command" if wanted.paths else "nothing was written"
    with interruptible(lambda: how), Reporter() as report:
        with report.busy(LOADING):
            from maskcls.commands.predicting.photos import PhotoRequest
            from maskcls.commands.predicting.photos import predict_photos as work
            from maskcls.show.answers.photos import print_photos, print_shard, print_tables
        found = work(model, PhotoRequest(tuple(what), wanted, tuple(overrides), engine, decide, part), report)
    from maskcls.rundir import RunDir
    from maskcls.runs.records.versions import other_versions

    versions = other_versions(RunDir(model)) if model.is_dir() else {}
    if found.rows is not None:
        print_photos(found.rows, found.space, versions=versions, json=json)
    elif found.shard is not None:
        print_shard(found.shard, found.photos, found.unreadable, versions=versions, json=json)
    else:
        print_tables(found.tables, versions=versions, json=json)
    _exit_for(found.unreadable)


def _predict_on(
    model: Path,
    what: list[str],
    overrides: list[str],
    wanted: WantedTables,
    engine: Literal["torch", "onnxruntime"] | None,
    decide: bool,
    on: str,
    *,
    json: bool,
) -> None:
    """Predict each shard of the photos as a job."""
    from maskcls.jobs.engines.engine_words import check_prediction_engine

    check_prediction_engine(on)
    if not wanted.paths:
        raise UsageError("--on writes tables", fix="name one: -o answers.csv, or --probabilities p.csv")
    from maskcls.rundir import RunDir
    from maskcls.runs.records.versions import other_versions
    from maskcls.show.terminal.progress import LOADING, Reporter

    options = ["--engine", engine] if engine else []
    options += [
        word
        for word, given in (
            ("--decide", decide),
            ("--skip-unreadable", wanted.skip_unreadable),
            ("--force", wanted.force),
        )
        if given
    ]
    report = Reporter()

    def how() -> str:
        if jobs_go_on(report.said):
            return "the jobs go on. Watch them, and write the tables, with the same command"
        return "the jobs have ended, too. The same command predicts what is left"

    with interruptible(how), report:
        with report.busy(LOADING):
            from maskcls.commands.predicting.shards import ShardedRequest
            from maskcls.commands.predicting.shards import predict_shards as work
            from maskcls.show.answers.photos import print_tables
        asked = ShardedRequest(tuple(what), tuple(overrides), tuple(options), wanted, on)
        tables = work(model, asked, decide=decide, report=report)
    versions = other_versions(RunDir(model)) if model.is_dir() else {}
    print_tables(tables, versions=versions, json=json)
    _exit_for(tables[0].unreadable)


def _exit_for(unreadable: int) -> None:
    """End with the code of wrong data if photos were skipped."""
    if unreadable:
        raise typer.Exit(Exit.DATA)
