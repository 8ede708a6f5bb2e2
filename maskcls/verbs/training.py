"""Train, resume, predict; the rounds of self-training; the demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskcls.errors import UsageError
from maskcls.verbs.options import Answering, Config, Folds, Json, Overrides, RunPath, resumable

if TYPE_CHECKING:
    from maskcls.runs.summary import RunSummary

app = typer.Typer()


@app.command()
def train(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="data root with train/, or a CSV table")],
    overrides: Overrides = None,
    config: Config = None,
    run: Annotated[Path | None, typer.Option(help="folder to make; default: runs/<the last config's name>")] = None,
    folds: Folds = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show what would be done, and how long it takes")] = False,
    leaky: Annotated[bool, typer.Option("--leaky", help="take pseudo labels that leak; no score then")] = False,
) -> None:
    """Train one network per fold and write a run folder.

    \b
    maskcls train faces --config multi --run runs/a
    maskcls train faces --config multi --folds 0 optim.lr=1e-4 folds.k=3
    maskcls train faces --config multi --dry-run
    """
    from maskcls import config as configuration
    from maskcls.config.unused_settings import unused_settings
    from maskcls.rundir import RunDir

    cfg, origins = configuration.load(config, [*(overrides or []), *(["data.leaky=true"] if leaky else [])])
    folder = RunDir(run or Path("runs") / (config[-1].stem if config else "default"))
    from maskcls.show.progress import Reporter, main_process

    if main_process():
        for line in unused_settings(cfg, origins):
            typer.echo(line, err=True)
    if dry_run:
        from maskcls.show.forecast import print_forecast, print_survey
        from maskcls.training.forecast import forecast, planned, survey

        experiment = planned(data, cfg, folder, folds)
        print_survey(survey(experiment), cfg, origins)
        with Reporter(quiet=not main_process()) as report:
            measured = forecast(experiment, folds, report)
        print_forecast(measured)
        return
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
    from maskcls.commands.resume import resume as work
    from maskcls.rundir import RunDir
    from maskcls.show.progress import Reporter, main_process

    with resumable(run), Reporter(quiet=not main_process()) as report:
        summary = work(RunDir(run), folds=folds, report=report)
    finished(run, summary)


@app.command()
def predict(
    run: RunPath,
    data: Annotated[Path, typer.Option("--data", help="data root with eval/, a CSV table, or any folder of photos")],
    overrides: Answering = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="the submission to write")] = Path("submission.csv"),
    tta: Annotated[
        str | None,
        typer.Option(help="views: none, hflip, zoom, hflip_zoom, shifts, or plain+flip+…; default: the run's"),
    ] = None,
    groups: Annotated[Path | None, typer.Option(help="CSV of maskcls group: who answers as one")] = None,
    decide: Annotated[bool, typer.Option("--decide", help="answer by the rule that calibrate found")] = False,
    force: Annotated[bool, typer.Option("--force", help="replace the output; the old one is kept as .bak")] = False,
) -> None:
    """Predict photos with every fold of a finished run and write a submission.

    \b
    maskcls predict runs/a --data faces -o submission.csv
    maskcls predict runs/a --data faces -o submission.csv --tta shifts --force
    """
    from maskcls.commands.predict import predict as work
    from maskcls.rundir import RunDir
    from maskcls.show.progress import Reporter, main_process

    given = list(overrides or [])
    if tta is not None:
        from maskcls import config as configuration

        if configuration.setting(given, "predict.views"):
            raise UsageError("--tta and predict.views= say the same thing", fix="give one of them")
        given.append(f"predict.views={tta}")
    with Reporter(quiet=not main_process()) as report:
        written = work(
            RunDir(run), data, output, overrides=given, decide=decide, groups=groups, force=force, report=report
        )
    if written:
        typer.echo(f"{output}  {written.rows} rows\n{output.with_suffix('.json')}  where they come from")


@app.command("self-train")
def self_train(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="data root with train/, or a CSV table")],
    overrides: Overrides = None,
    config: Config = None,
    run: Annotated[Path, typer.Option(help="folder of all rounds")] = Path("runs/self"),
    unlabelled: Annotated[Path | None, typer.Option(help="photos to label; default: DATA's own to predict")] = None,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="trainings with pseudo labels, at most")] = 2,
    min_confidence: Annotated[str, typer.Option(help="0.9, or by task mask=0.9,age=0.8, or by class")] = "0.9",
    partial: Annotated[bool, typer.Option("--partial", help="take the tasks that are sure, leave others open")] = False,
    agree: Annotated[float, typer.Option(help="share of the seeds and views that must agree")] = 1.0,
    soft: Annotated[bool, typer.Option("--soft", help="keep the probabilities as targets")] = False,
    weight: Annotated[float, typer.Option(help="weight of a pseudo-labelled photo; a labelled one has 1")] = 1.0,
    json: Json = False,
) -> None:
    """Train, label photos, train with them, and again while out-of-fold scores rise; the best round is kept.

    \b
    maskcls self-train faces --config multi --run runs/self --rounds 3
    """
    from maskcls import config as configuration
    from maskcls.commands.self_train import print_course
    from maskcls.commands.self_train import self_train as work
    from maskcls.show.progress import Reporter

    cfg, _ = configuration.load(config, overrides or [])
    rule = {"thresholds": min_confidence, "partial": partial, "agree": agree, "soft": soft, "weight": weight}
    with resumable(run), Reporter() as report:
        course = work(data, cfg, run, unlabelled=unlabelled, rounds=rounds, rule=rule, report=report)
    print_course(course, run, as_json=json)


@app.command()
def demo(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="folder for photos, run and submission")] = Path(
        "demo"
    ),
) -> None:
    """Draw faces, train on them, predict and score: the whole way in about a minute.

    \b
    maskcls demo
    """
    from maskcls.commands.demo import demo as work

    work(directory)


def finished(run: Path, summary: RunSummary | None) -> None:
    """Print what a training came to, on stdout; processes that do not write print nothing."""
    if summary is None:
        return
    pooled, interval = summary.pooled, summary.interval
    if pooled is None:
        why = "the pseudo labels were made by networks that saw the validation people"
        typer.echo(f"{run}  no out-of-fold score: {why}")
        return
    if interval:
        spread = f"[{interval.low:.4f}, {interval.high:.4f}]"
        typer.echo(f"{run}  out-of-fold macro-F1 {pooled.macro_f1:.4f}  95% interval {spread} over people")
    else:
        typer.echo(f"{run}  no row has a label for every task; the tasks' own macro-F1:")
    tasks = "  ".join(f"{name} {_number(task.macro_f1)}" for name, task in pooled.tasks.items())
    if groups := summary.groups:
        gain = groups.gain
        text = f", {gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]" if gain else ""
        text += "" if gain is None or gain.low > 0 else ": not worth it, leave predict.groups=look out"
        typer.echo(f"  by look, {' and '.join(groups.tasks)} together: {_number(groups.alone)} alone{text}")
        typer.echo(f"  pair precision {groups.pair_precision:.4f}, recall {groups.pair_recall:.4f}")
    if summary.seeds:
        each = "  ".join(f"seed {seed} {_number(scores['macro_f1'])}" for seed, scores in summary.seeds.items())
        typer.echo(f"  each alone: {each}")
    typer.echo(f"  {tasks}  ({sum(len(f) > 0 for f in summary.folds.values())} folds, {summary.people} people)")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
