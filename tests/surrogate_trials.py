"""A search whose trials take milliseconds: the score is a function of the settings, and the run is written at once."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from finished_run import finish_run

from maskcls import config, files
from maskcls.commands.tuning.tune import end_search, run_worker
from maskcls.rundir import RunDir, StudyDir
from maskcls.runs.summary import RunSummary, SavedScores, write_summary
from maskcls.schema import Config
from maskcls.tuning.claims import OpenStudy
from maskcls.tuning.open_study import begin_study, open_study
from maskcls.tuning.space.space_file import parse_space
from maskcls.tuning.trial_reporter import TrialReporter
from maskcls.tuning.winner import SearchResult
from maskcls.tuning.worker import Limits

SPACE: dict[str, Any] = {
    "optim.lr": {"low": 1e-4, "high": 1.0, "log": True},
    "loss.all": ["ce", "smooth(epsilon=0.1)", "focal(gamma=2)"],
}
BEST_LR = 0.01
LOG = "events.txt"  # in the folder of the study: one line per training that began or ended


def quality(cfg: Config) -> float:
    """Return the share of right rows: the highest at BEST_LR with focal loss, less on both sides."""
    near = math.exp(-(math.log10(cfg.optim.lr / BEST_LR) ** 2))
    return 0.2 + 0.6 * near + (0.1 if cfg.loss.all.startswith("focal") else 0.0)


def note_event(run: RunDir, what: str) -> None:
    """Append one line; appending is atomic, so that several processes may."""
    handle = os.open(run.path.parent.parent / LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, f"{what} {run.path.name} {os.getpid()}\n".encode())
    os.close(handle)


def events(folder: Path) -> list[list[str]]:
    """Return the events: what, the folder of the trial, the process."""
    path = folder / LOG
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def train_trial(
    cfg: Config,
    run: RunDir,
    report: TrialReporter,
    *,
    begun: bool,
    sleep_s: float = 0.0,
    epochs: int = 2,
    whole: bool = False,
) -> None:
    """Write a run whose score is `quality`, after epochs that are reported as a training does.

    whole  with out-of-fold rows, from which the score of the search is computed; else with a summary alone.
    """
    run.path.mkdir(parents=True, exist_ok=True)
    if not begun:
        files.commit(run.env, b"{}")
    note_event(run, "resume" if begun else "train")  # afterwards: a test that kills at this line leaves a part of a run
    for fold in range(2):
        title = f"fold {fold}"
        report.fold(title, epochs, 0)
        for epoch in range(epochs):
            time.sleep(sleep_s / 2 / epochs)
            score = quality(cfg) * (epoch + 1) / epochs
            report.epoch(title, SimpleNamespace(epoch=epoch, val={"macro_f1": score}))  # type: ignore[arg-type]
        report.fold_done(title)
    if whole:
        finish_run(run.path, right=quality(cfg), settings=[f"optim.lr={cfg.optim.lr}", f"loss.all={cfg.loss.all}"])
    else:
        scores = SavedScores(macro_f1=quality(cfg), tasks={})
        write_summary(run, RunSummary(pooled=scores, interval=None, folds={}, sd={}))
    note_event(run, "end")


def begin(folder: Path, *words: str, space: dict[str, Any] | None = None, **options: Any) -> OpenStudy:
    """Begin, or join, a study of the surrogate."""
    base, _ = config.load(None, ["folds.k=2", "train.epochs=2", *words])
    given = {
        "sampler": "random",
        "seed": 0,
        "prune_epochs": "none",
        "prune_folds": "none",
        "trials": 8,
        "storage": None,
    }
    found = parse_space(SPACE if space is None else space, where="space.yaml")
    return begin_study(StudyDir(folder), base, found, data=folder, **{**given, **options})


def do_trials(
    opened: OpenStudy,
    trials: int | None,
    *,
    keep: int = 2,
    deadline: float | None = None,
    train: Callable[..., Any] = train_trial,
) -> None:
    """Do trials in this process."""
    limits = Limits(trials, deadline)
    run_worker(opened, limits, keep=keep, train=train, strip=lambda run, weights: None, show=lambda _: None, quiet=True)


def finish(opened: OpenStudy, keep: int = 2) -> SearchResult:
    """End the search."""
    return end_search(opened, keep=keep, strip=lambda run, weights: None, unseal=lambda run: None)


def train_whole(cfg: Config, run: RunDir, report: TrialReporter, *, begun: bool) -> None:
    """Do `train_trial` with out-of-fold rows."""
    train_trial(cfg, run, report, begun=begun, whole=True)


def worker_process(folder: Path, storage: str | None, trials: int, sleep_s: float) -> None:
    """Be a worker in a process of its own."""

    def train(cfg: Config, run: RunDir, report: TrialReporter, *, begun: bool) -> None:
        train_trial(cfg, run, report, begun=begun, sleep_s=sleep_s)

    with closing(open_study(StudyDir(folder), storage)) as opened:
        do_trials(opened, trials, train=train)


def states(opened: OpenStudy) -> list[str]:
    """Return the state of every trial."""
    return [one.state.name for one in opened.trials]


def values(opened: OpenStudy) -> Sequence[dict[str, Any]]:
    """Return the settings of every trial."""
    return [one.user_attrs["values"] for one in opened.trials]
