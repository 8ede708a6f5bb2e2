"""Train, resume, self-train, demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskcls.errors import Exit, UsageError
from maskcls.machine.time_limit import process_start_s
from maskcls.verbs.help import VerbApp
from maskcls.verbs.older import with_older
from maskcls.verbs.options import (
    Budget,
    Config,
    Data,
    Folds,
    Force,
    Json,
    MovedData,
    On,
    Overrides,
    WholeRun,
    how_to_resume,
    interruptible,
    load_config_for,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from maskcls.config import SettingOrigin
    from maskcls.rundir import RunDir, StagesDir
    from maskcls.schema import Config as Settings

app = VerbApp()


@app.command()
def train(
    data: Data,
    overrides: Overrides = None,
    config: Config = None,
    run: Annotated[Path | None, typer.Option(help="folder to make; default: runs/<the last config's name>")] = None,
    folds: Folds = None,
    on: On = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="train nothing: print the folds, the settings and a forecast")
    ] = False,
    budget: Budget = None,
    json: Json = False,
    leaky: Annotated[bool, typer.Option("--leaky", hidden=True)] = False,
) -> None:
    """Train one network per fold and write a run folder.

    With --budget the size of the images, epochs, folds and seeds that you do not give are chosen so that the time
    suffices: a first small run, then larger ones. The best so far can be used at any moment.

    \b
    maskcls train faces --config multi --run runs/a
    maskcls train faces --config multi --folds 0 optim.lr=1e-4 folds.k=3
    maskcls train faces --config multi --dry-run
    maskcls train faces --config multi --budget 2h
    maskcls train faces --config multi --run runs/a --on slurm:gpus=1
    """
    began_s = process_start_s()
    from maskcls.config import with_backbone
    from maskcls.config.unused_settings import unused_in_training
    from maskcls.rundir import RunDir

    older = [("--leaky", "data.leaky=true")] if leaky else []
    cfg, origins = load_config_for(data, config, with_older(overrides, older))
    folder = RunDir(run or Path("runs") / (config[-1].stem if config else "default"))
    from maskcls.runs.checks import check_training, refuse_existing
    from maskcls.show.terminal.progress import LOADING, Reporter, main_process

    free = () if budget is None else _chosen_by_stages(cfg, origins, folds)
    if main_process():
        for line in unused_in_training(cfg, origins, fitting="model.train" in free):
            typer.echo(line, err=True)
    check_training(data, cfg, folds)  # before torch is imported, here and in the other verbs
    if on is not None:
        from maskcls.jobs.engines.engine_words import check_training_engine

        check_training_engine(on, dry_run=dry_run, budget=budget)
    if main_process():
        refuse_existing(folder, data)
    if budget is not None:
        _train_in_time(data, (cfg, free, origins), folder.path, budget, folds, began_s, dry_run=dry_run, json=json)
        return
    if cfg.folds.repeats > 1:
        from maskcls.runs.repeats.repeat_runs import check_repeating, repeat_config

        check_repeating(cfg, folds)
        if not dry_run:
            _train_repeats(data, cfg, folder.path, origins, on=on, json=json)
            return
        typer.echo(f"folds.repeats={cfg.folds.repeats}: what follows is about one of the repeats", err=True)
        cfg = repeat_config(cfg, 0)
    if dry_run:
        with Reporter(quiet=not main_process()) as report, report.busy(LOADING):
            from maskcls.show.config import print_settings
            from maskcls.show.training.forecast import print_dry_run_json, print_forecast, print_survey
            from maskcls.training.forecasting.forecast import forecast, planned, survey

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
    from maskcls.runs.records.noun import noun_of_run
    from maskcls.schema.group_noun import group_noun
    from maskcls.show.report.after_training import after_training, note_missing_report
    from maskcls.show.training.finished import print_training

    noun = group_noun(cfg)
    report = Reporter(quiet=not main_process(), noun=noun)
    with interruptible(lambda: how_to_resume(folder.path, on, report.said)), report:
        note_missing_report(cfg, report)
        with report.busy(LOADING):
            from maskcls.commands.train import train as work
        summary = work(data, cfg, folder, folds=folds, report=report, origins=with_backbone(cfg, origins), on=on)
        after = after_training(folder, report) if summary else None
    print_training(folder.path, summary, after, noun_of_run(folder) if summary else noun, json=json)


def _train_repeats(
    data: Path,
    cfg: Settings,
    folder: Path,
    origins: Mapping[str, SettingOrigin] | None,
    *,
    on: str | None,
    json: bool,
) -> None:
    """Train the repeats of a cross-validation; without origins, those that are left."""
    from maskcls.config import with_backbone
    from maskcls.rundir import RepeatsDir
    from maskcls.runs.records.noun import noun_of_run
    from maskcls.show.report.after_training import after_training, note_missing_report
    from maskcls.show.runs.repeating import print_repeats
    from maskcls.show.terminal.progress import LOADING, Reporter

    repeats = RepeatsDir(folder)
    report = Reporter()
    with interruptible(lambda: how_to_resume(folder, on, report.said)), report:
        note_missing_report(cfg, report)
        with report.busy(LOADING):
            from maskcls.commands.repeating.train_repeats import begin_repeats, continue_repeats
            from maskcls.commands.resume import resume as continued
            from maskcls.commands.train import train as started

        def train_one(own: Settings, run: RunDir) -> None:
            known = None if origins is None else with_backbone(own, dict(origins))
            started(data, own, run, folds=None, report=report, origins=known, on=on)
            after_training(run, report)

        def resume_one(run: RunDir) -> None:
            continued(run, folds=None, report=report, data=None if origins is not None else data, on=on)
            after_training(run, report)

        if origins is not None:
            found = begin_repeats(repeats, cfg, train=train_one, resume=resume_one)
        else:
            found = continue_repeats(repeats, train=train_one, resume=resume_one)
    print_repeats(folder, found, noun_of_run(repeats.repeat(0)), json=json)


def _chosen_by_stages(cfg: Settings, origins: Mapping[str, SettingOrigin], folds: str | None) -> tuple[str, ...]:
    from maskcls.config.completion import shipped_names
    from maskcls.runs.stages.ladder import free_settings

    return free_settings(cfg, origins, [f"{name}.yaml" for name in shipped_names("")], folds)


def _train_in_time(
    data: Path,
    new: tuple[Settings, tuple[str, ...], Mapping[str, SettingOrigin]],
    folder: Path,
    budget: str,
    folds: str | None,
    began_s: float,
    *,
    dry_run: bool,
    json: bool,
) -> None:
    """Train the stages that a time limit allows; with `dry_run`, print them with their forecasts.

    new  settings, those that stages choose, and origins.
    """
    from maskcls.durations import parse_duration
    from maskcls.rundir import StagesDir
    from maskcls.runs.stages.limits import check_staging

    limit_s = parse_duration(budget, "--budget")
    cfg, free, _ = new
    check_staging(cfg)
    stages = StagesDir(folder)
    if dry_run:
        from maskcls.show.runs.stages import print_ladder
        from maskcls.show.terminal.progress import LOADING, Reporter

        with Reporter() as report:
            with report.busy(LOADING):
                from maskcls.training.forecasting.stage_ladder import forecast_ladder
            found = forecast_ladder(data, cfg, free, stages, folds, limit_s, report)
        print_ladder(found, folder, json=json)
        return
    _work_in_time(stages, limit_s, began_s, data, new, folds, json=json)


def _work_in_time(
    stages: StagesDir,
    limit_s: float,
    began_s: float,
    data: Path,
    new: tuple[Settings, tuple[str, ...], Mapping[str, SettingOrigin]] | None,
    folds: str | None,
    *,
    moved: bool = False,
    json: bool,
) -> None:
    """Train stages until the time is up; `new`: settings, those that stages choose, and origins of a new folder."""
    from maskcls.config import of_run, with_backbone
    from maskcls.machine.time_limit import TimeLimit, end_now
    from maskcls.schema.group_noun import group_noun
    from maskcls.show.report.after_training import after_training, note_missing_report
    from maskcls.show.runs.stages import print_stages, refuse_without_stage, stage_after, stages_outcome
    from maskcls.show.terminal.progress import LOADING, Reporter

    cfg = of_run(stages.config) if new is None else new[0]
    noun = group_noun(cfg)

    def give_up() -> None:
        """Print what is there and end the process at once: what is finished is on disk, and a kill harms nothing."""
        found = stages_outcome(stages, limit)
        print_stages(found, stage_after(found, data), noun, json=json)
        end_now(Exit.OK if found.chosen is not None else Exit.RESOURCE)

    limit = TimeLimit(limit_s, began_s=began_s, give_up=give_up)
    with interruptible(lambda: how_to_resume(stages.path)), Reporter(noun=noun) as report:
        note_missing_report(cfg, report)
        with report.busy(LOADING):
            from maskcls.commands.budget.train_stages import StageWork, begin_stages, continue_stages
            from maskcls.commands.resume import resume as continued
            from maskcls.commands.train import train as started

        def train_one(own: Settings, run: RunDir, planned: Callable[[float | None], None]) -> None:
            known = None if new is None else with_backbone(own, dict(new[2]))
            started(data, own, run, folds=folds, report=report, origins=known, planned=planned)
            after_training(run, report)

        def resume_one(run: RunDir) -> None:
            continued(run, folds=None, report=report, data=data if moved else None)
            after_training(run, report)

        work = StageWork(train_one, resume_one)
        if new is not None:
            found = begin_stages(stages, data, cfg, new[1], folds=folds, limit=limit, work=work, report=report)
        else:
            found = continue_stages(stages, limit=limit, work=work, report=report)
    refuse_without_stage(found)
    print_stages(found, stage_after(found, data), noun, json=json)


@app.command()
def pretrain(
    data: Data,
    overrides: Overrides = None,
    config: Config = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="file to write, .safetensors, for model.weights")
    ] = Path("trunk.safetensors"),
    epochs: Annotated[int, typer.Option(min=1, max=100_000, help="how often each photo is seen")] = 20,
    lr: Annotated[float, typer.Option(min=1e-9, max=100.0, help="learning rate for 256 images per step")] = 0.05,
    minutes: Annotated[
        float | None,
        typer.Option(min=0.0, help="stop cleanly after this time; the same command continues", show_default=False),
    ] = None,
    without_fold: Annotated[
        int | None, typer.Option(help="leave out the validation people of this fold", show_default=False)
    ] = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Train the backbone on the train and eval photos without their labels (SimSiam), as a starting point of train.

    \b
    maskcls pretrain faces --config multi -o trunk.safetensors --minutes 30
    maskcls train faces --config multi model.weights=trunk.safetensors
    """
    cfg, _ = load_config_for(data, config, overrides)
    from maskcls.rundir import PretrainedTrunk
    from maskcls.runs.checks import check_pretraining
    from maskcls.schema.group_noun import group_noun
    from maskcls.show.terminal.progress import LOADING, Reporter
    from maskcls.show.training.pretraining import print_pretraining

    check_pretraining(data, cfg, PretrainedTrunk(output), force=force)
    with interruptible(lambda: "the same command continues"), Reporter() as report:
        with report.busy(LOADING):
            from maskcls.commands.pretraining.pretrain import pretrain_trunk
        found = pretrain_trunk(
            data,
            cfg,
            output,
            epochs=epochs,
            lr=lr,
            minutes=minutes,
            without_fold=without_fold,
            force=force,
            report=report,
        )
    print_pretraining(output, found.step, found.steps, found.about, group_noun(cfg), json=json)


@app.command()
def resume(
    run: WholeRun,
    folds: Annotated[str | None, typer.Option(help="further folds to train, such as 3,4", show_default=False)] = None,
    data: MovedData = None,
    budget: Budget = None,
    on: On = None,
    json: Json = False,
) -> None:
    """Continue an unfinished run from its last save; finished folds are kept.

    \b
    maskcls resume runs/a
    maskcls resume runs/a --folds 3,4    (further folds of the same run)
    maskcls resume runs/a --data /disk/faces    (the data set has moved)
    maskcls resume runs/a --budget 30m    (a training with a time limit goes on)
    maskcls resume runs/a --on local:2    (watch its jobs)
    """
    began_s = process_start_s()
    from maskcls.rundir import RunDir
    from maskcls.runs.checks import check_resuming
    from maskcls.runs.records.noun import noun_of_run

    check_resuming(RunDir(run), folds)
    if on is not None:
        from maskcls.jobs.engines.engine_words import check_training_engine
        from maskcls.runs.stages.record import is_staged

        check_training_engine(on, budget=budget or ("of the first command" if is_staged(RunDir(run)) else None))
    from maskcls.config import of_run
    from maskcls.rundir import RepeatsDir, StagesDir
    from maskcls.runs.repeats.repeat_runs import check_resuming_repeats, is_repeated
    from maskcls.runs.stages.limits import check_resuming_stages
    from maskcls.runs.stages.record import is_staged, read_begun_stages

    if is_staged(RunDir(run)):
        limit_s = check_resuming_stages(StagesDir(run), budget, folds)
        begun = read_begun_stages(StagesDir(run))
        where, moved = data or Path(begun.data), data is not None
        _work_in_time(StagesDir(run), limit_s, began_s, where, None, begun.folds, moved=moved, json=json)
        return
    if budget is not None:
        fix = "leave it out; train with --budget makes a folder of stages"
        raise UsageError("the run has no time limit", where="--budget", got=budget, fix=fix)
    if is_repeated(RunDir(run)):
        of_repeats = RepeatsDir(run)
        known = check_resuming_repeats(of_repeats, folds)
        _train_repeats(data or Path(known), of_run(of_repeats.config), run, None, on=on, json=json)
        return
    from maskcls.show.report.after_training import after_training, note_missing_report
    from maskcls.show.terminal.progress import LOADING, Reporter, main_process
    from maskcls.show.training.finished import print_training

    noun = noun_of_run(RunDir(run))
    report = Reporter(quiet=not main_process(), noun=noun)
    with interruptible(lambda: how_to_resume(run, on, report.said)), report:
        note_missing_report(of_run(RunDir(run).config), report)
        with report.busy(LOADING):
            from maskcls.commands.resume import resume as work
        summary = work(RunDir(run), folds=folds, report=report, data=data, on=on)
        after = after_training(RunDir(run), report, data) if summary else None
    from maskcls.runs.records.versions import other_versions

    print_training(run, summary, after, noun, versions=other_versions(RunDir(run)), json=json)


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
    from maskcls.files import check_folder, check_outputs
    from maskcls.runs.checks import check_self_training

    rule = {"thresholds": min_confidence, "partial": partial, "agree": agree, "soft": soft, "weight": weight}
    check_self_training(data, cfg, unlabelled, rule)
    check_folder(run, name="the folder of all rounds", option="--run")
    check_outputs(run, inputs=[path for path in (data, unlabelled) if path is not None])
    from maskcls.config import with_backbone
    from maskcls.rundir import RunDir
    from maskcls.show.report.after_training import after_training, note_missing_report
    from maskcls.show.terminal.progress import LOADING, Reporter
    from maskcls.show.training.self_training import print_self_training

    with interruptible(lambda: "finished epochs are kept. Continue with the same command"), Reporter() as report:
        note_missing_report(cfg, report)
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
    from maskcls.show.report.after_training import after_training, note_missing_report
    from maskcls.show.runs.demo import print_demo
    from maskcls.show.terminal.progress import LOADING, Reporter

    with Reporter() as report:
        with report.busy(LOADING):
            from maskcls.commands.demo import demo as work
            from maskcls.commands.predicting.predict import predict as predicted
            from maskcls.commands.train import train as started

        def train_demo(data: Path, cfg: Settings, run: RunDir) -> None:
            note_missing_report(cfg, report)
            started(data, cfg, run, folds=None, report=report)

        found = work(
            directory,
            train=train_demo,
            predict=lambda run, data, output: predicted(run, data, output, overrides=[], force=False, report=report),
            report=report,
        )
        after = after_training(RunDir(found.run), report)
    print_demo(found, after, json=json)
