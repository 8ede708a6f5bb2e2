"""Verbs that train generators: synth train and resume."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskcls.errors import UsageError, shell_word
from maskcls.verbs.help import VerbApp
from maskcls.verbs.options import (
    Config,
    Folds,
    Json,
    MovedData,
    Overrides,
    answering,
    how_to_resume,
    interruptible,
    load_config_for,
)

if TYPE_CHECKING:
    from maskcls.config import SettingOrigin
    from maskcls.rundir import RunDir
    from maskcls.schema import Config as Settings

app = VerbApp()

Minutes = Annotated[
    float | None,
    typer.Option(help="end after so many minutes, at a save; synth resume continues; default: no limit"),
]


def how_to_resume_generators(folder: Path) -> str:
    """Say how to continue an interrupted training of generators, or that there is nothing to continue yet."""
    from maskcls.rundir import SynthDir

    made = SynthDir(folder)
    if made.facts.exists() and made.experiment.env.exists():
        return f"what was trained is kept. Continue with: maskcls synth resume {shell_word(folder)}"
    return "the training had not begun, so there is nothing to resume"


@app.command("train")
def synth_train(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|DATA",
            help="a run, for its data and folds; or a data set",
            callback=answering,
        ),
    ],
    overrides: Overrides = None,
    kind: Annotated[
        str | None, typer.Option(help="smote, oversample, dcgan, wgan-gp or cyclegan; the same as synth.kind=")
    ] = None,
    config: Config = None,
    run: Annotated[Path, typer.Option(help="folder of generators to make")] = Path("runs/synth"),
    folds: Folds = None,
    minutes: Minutes = None,
    force: Annotated[
        bool, typer.Option("--force", help="train also with fewer groups (people) than synth.least_groups")
    ] = False,
    data: MovedData = None,
    json: Json = False,
) -> None:
    """Train one generator of images per fold, on its training rows alone, and one on all rows. With smote, fit the
    heads of a run again instead, with examples between the embeddings of its people.

    \b
    maskcls synth train runs/a --kind wgan-gp --run runs/g
    maskcls synth train runs/a --kind smote --run runs/b
    maskcls synth train faces --kind dcgan --config multi --minutes 30
    maskcls synth train runs/a --kind wgan-gp --folds 0 synth.steps=200
    maskcls synth train runs/a --kind wgan-gp --data /disk/faces    (they moved)
    """
    from maskcls.config import with_backbone
    from maskcls.config.unused_settings import unused_settings
    from maskcls.rundir import RunDir, SynthDir
    from maskcls.runs.generators.synth_checks import check_synth_training, settings_of_run

    words = [*(overrides or []), *([] if kind is None else [f"synth.kind={kind}"])]
    if RunDir(source).env.is_file():
        if config:
            raise UsageError("a run brings its settings", where="--config", fix="leave it out, or give the data set")
        cfg, origins = settings_of_run(RunDir(source), words)
    else:
        cfg, origins = load_config_for(source, config, words)
    for line in unused_settings(cfg, origins):
        if line.startswith("synth."):  # the others are about classifiers
            typer.echo(line, err=True)
    check_synth_training(source, cfg, SynthDir(run), folds, minutes, data)
    if cfg.synth.kind == "smote":
        _retrain_heads(RunDir(source), cfg, RunDir(run), origins, data, force=force, json=json)
        return
    from maskcls.schema.group_noun import group_noun
    from maskcls.show.synth.synth_training import print_synth_training
    from maskcls.show.terminal.progress import LOADING, Reporter, main_process

    noun = group_noun(cfg)
    with interruptible(lambda: how_to_resume_generators(run)), Reporter(quiet=not main_process(), noun=noun) as report:
        with report.busy(LOADING):
            from maskcls.commands.synth.train import train_synth as work
        found = work(
            source,
            cfg,
            SynthDir(run),
            folds=folds,
            minutes=minutes,
            force=force,
            report=report,
            origins=with_backbone(cfg, origins),
            data=data,
        )
    print_synth_training(found, json=json)


def _retrain_heads(
    source: RunDir,
    cfg: Settings,
    run: RunDir,
    origins: dict[str, SettingOrigin],
    data: Path | None,
    *,
    force: bool,
    json: bool,
) -> None:
    """Fit the heads of a run again with interpolated examples, and write a run that has them."""
    from maskcls.schema.group_noun import group_noun
    from maskcls.show.report.after_training import after_training, note_missing_report
    from maskcls.show.synth.retrained_heads import print_retrained_heads
    from maskcls.show.terminal.progress import LOADING, Reporter, main_process

    noun = group_noun(cfg)
    with interruptible(lambda: how_to_resume(run.path)), Reporter(quiet=not main_process(), noun=noun) as report:
        note_missing_report(cfg, report)
        with report.busy(LOADING):
            from maskcls.commands.synth.smote import retrain_heads as work
        found = work(source, run, cfg, force=force, report=report, origins=origins, data=data)
        after = after_training(run, report, data)
    print_retrained_heads(found, after, json=json)


@app.command("resume")
def synth_resume(
    folder: Annotated[Path, typer.Argument(metavar="SYNTH", help="a folder that synth train made")],
    minutes: Minutes = None,
    data: MovedData = None,
    json: Json = False,
) -> None:
    """Continue generators that are not finished, from their last save; finished ones are kept.

    \b
    maskcls synth resume runs/g
    maskcls synth resume runs/g --minutes 30
    maskcls synth resume runs/g --data /disk/faces    (the data set has moved)
    """
    from maskcls.rundir import SynthDir
    from maskcls.runs.generators.synth_checks import check_minutes
    from maskcls.synth.facts_file import read_facts

    check_minutes(minutes)
    read_facts(SynthDir(folder))  # says so if these are no generators
    from maskcls.show.synth.synth_training import print_synth_training
    from maskcls.show.terminal.progress import LOADING, Reporter

    with interruptible(lambda: how_to_resume_generators(folder)), Reporter() as report:
        with report.busy(LOADING):
            from maskcls.commands.synth.resume import resume_synth as work
        found = work(SynthDir(folder), minutes=minutes, report=report, data=data)
    print_synth_training(found, json=json)
