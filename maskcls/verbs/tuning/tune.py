"""Tune: a search for settings."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from maskcls.verbs.help import VerbApp
from maskcls.verbs.options import Config, Data, Json, Overrides, interruptible, load_config_for, say_on_stderr

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskcls.results.search.study import SearchStudy
    from maskcls.rundir import RunDir
    from maskcls.runs.records.unsealed import SealedScore
    from maskcls.schema import Config as Settings
    from maskcls.tuning.claims import OpenStudy
    from maskcls.tuning.trial_reporter import TrialReporter

app = VerbApp()


@app.command()
def tune(
    data: Data,
    overrides: Overrides = None,
    config: Config = None,
    space: Annotated[str, typer.Option(help="what to search: a YAML file, or quick, thorough or contest")] = "quick",
    study: Annotated[Path, typer.Option(help="folder of the search")] = Path("runs/study"),
    trials: Annotated[
        int | None,
        typer.Option(min=1, max=100_000, help="most trials, with earlier ones; default: 50, or none with --budget"),
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="most time of this command, such as 2h or 90m", show_default=False)
    ] = None,
    sampler: Annotated[Literal["tpe", "random", "grid", "zoom"], typer.Option(help="what draws the trials")] = "tpe",
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="seed of the search")] = 0,
    prune_epochs: Annotated[
        Literal["median", "hyperband", "none"], typer.Option(help="stop a trial by the epochs of its first fold")
    ] = "median",
    prune_folds: Annotated[
        Literal["wilcoxon", "none"], typer.Option(help="stop a trial that is worse than the best in several folds")
    ] = "wilcoxon",
    workers: Annotated[int, typer.Option(min=1, max=256, help="trials at a time, each in a process of its own")] = 1,
    storage: Annotated[
        str | None, typer.Option(help="URL of a PostgreSQL database; default: a file in --study", show_default=False)
    ] = None,
    keep: Annotated[int, typer.Option(min=1, max=1000, help="best trials whose weights are kept")] = 3,
    sealed: Annotated[
        float | None,
        typer.Option(
            help="share of people no trial sees, who score the best trial; see folds.sealed", show_default=False
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="train nothing: print the space and a forecast")] = False,
    json: Json = False,
) -> None:
    """Search for better settings by training runs, and write the best configuration. The same command continues it.

    \b
    maskcls tune faces --config multi --space quick --trials 30 --budget 2h
    maskcls tune faces --config multi --space space.yaml --workers 4
    maskcls tune faces --config multi --space contest --dry-run
    """
    from maskcls.config.installed_extras import check_extra

    check_extra("tune", needed_by="maskcls tune")
    words = [*(overrides or []), *([] if sealed is None else [f"folds.sealed={sealed}"])]
    cfg, _ = load_config_for(data, config, words)
    from maskcls.files import check_folder, check_outputs
    from maskcls.rundir import StudyDir
    from maskcls.runs.checks import check_training
    from maskcls.tuning.space.check_space import check_search_space, unused_dimensions
    from maskcls.tuning.space.space_file import find_space, read_space
    from maskcls.tuning.storage import check_storage
    from maskcls.tuning.study_checks import check_search, refuse_other_folder

    budget_s = None
    if budget is not None:
        from maskcls.durations import parse_duration

        budget_s = parse_duration(budget, "--budget")
    most = trials if trials is not None or budget_s is not None else 50
    if sampler == "grid" and trials is None:
        most = None
    check_search(cfg, sampler, most)
    if storage is not None:
        check_storage(storage)
    found = find_space(space)
    searched = read_space(found)
    check_search_space(searched, cfg, where=str(found))
    for line in unused_dimensions(searched, cfg, where=str(found)):
        say_on_stderr(line)
    check_training(data, cfg, None)
    check_folder(study, name="the folder of the search", option="--study")
    check_outputs(study, inputs=[data])
    refuse_other_folder(StudyDir(study))
    if dry_run:
        from maskcls.verbs.tuning.plan import show_plan

        show_plan(data, cfg, searched, sampler, trials=most, workers=workers, budget_s=budget_s, json=json)
        return
    from maskcls.schema.group_noun import group_noun
    from maskcls.show.terminal.progress import LOADING, Reporter
    from maskcls.show.terminal.text import wrapped
    from maskcls.show.tuning.search_result import print_search
    from maskcls.show.tuning.trial_lines import TrialLines

    deadline = None if budget_s is None else time.monotonic() + budget_s
    folder = StudyDir(study)
    with ExitStack() as stack, interruptible(lambda: "trials are kept. The same command continues the search"):
        with Reporter(noun=group_noun(cfg)) as report, report.busy(LOADING):
            from maskcls.commands.tuning.tune import end_search
            from maskcls.commands.unseal import unseal
            from maskcls.tuning.open_study import begin_study
            from maskcls.tuning.study_page import write_study_page
            from maskcls.tuning.trial_table import search_study

            opened = begin_study(
                folder,
                cfg,
                searched,
                data=data,
                sampler=sampler,
                seed=seed,
                prune_epochs=prune_epochs,
                prune_folds=prune_folds,
                trials=most,
                storage=storage,
            )
        stack.enter_context(closing(opened))
        lines = TrialLines(say_on_stderr, most)
        lines.begin(search_study(opened))
        if workers == 1:
            _work(opened, data, most, deadline, keep, lines.update)
        else:
            from maskcls.tuning.workers import run_workers

            def watch() -> None:
                lines.update(search_study(opened))

            with Reporter(noun=group_noun(cfg)) as report, report.busy(f"{workers} workers train trials"):
                lines.print_line = lambda text: report.note(wrapped(text, 2, sys.stderr))
                run_workers(workers, work_in_process, [study, storage, data, most, budget_s, keep], watch)
        from datetime import datetime

        with Reporter(noun=group_noun(cfg)) as report:

            def scored(run: RunDir) -> SealedScore | None:
                done = unseal(run, date=datetime.now().astimezone(), report=report)
                return None if done is None else done.score

            result = end_search(opened, keep=keep, strip=_strip, unseal=scored)
            with report.busy("writing the page about the search"):
                no_page = write_study_page(opened, result)
            if no_page:
                report.note(f"the page about the search is not written: {no_page}")
    page = None if no_page else folder.report
    if json:
        from maskcls.show.terminal.json_output import print_json

        places = {"study": study, "config": folder.winner, "report": page}
        print_json(result.to_json() | {name: None if one is None else str(one) for name, one in places.items()})
        return
    print_search(result.study, result.score, result.kept, folder=study, winner=folder.winner, page=page, data=str(data))


def work_in_process(
    study: Path, storage: str | None, data: Path, trials: int | None, budget_s: float | None, keep: int
) -> None:
    """Be one of several workers of a study, in a process of its own."""
    from maskcls.rundir import StudyDir
    from maskcls.tuning.open_study import open_study

    deadline = None if budget_s is None else time.monotonic() + budget_s
    opened = open_study(StudyDir(study), storage)
    with closing(opened):
        _work(opened, data, trials, deadline, keep, lambda study: None, quiet=True)


def _work(
    opened: OpenStudy,
    data: Path,
    trials: int | None,
    deadline: float | None,
    keep: int,
    show: Callable[[SearchStudy], object],
    *,
    quiet: bool = False,
) -> None:
    from maskcls.commands.resume import resume as continued
    from maskcls.commands.train import train as started
    from maskcls.commands.tuning.tune import run_worker
    from maskcls.tuning.worker import Limits

    def train_trial(cfg: Settings, run: RunDir, report: TrialReporter, *, begun: bool) -> None:
        if begun:
            continued(run, folds=None, report=report)
        else:
            started(data, cfg, run, folds=None, report=report)

    limits = Limits(trials, deadline)
    run_worker(opened, limits, keep=keep, train=train_trial, strip=_strip, show=show, quiet=quiet)


def _strip(run: RunDir, weights: bool) -> None:
    from datetime import datetime

    from maskcls.commands.runs.prune import strip

    strip(run, weights=weights, now=datetime.now().astimezone())
