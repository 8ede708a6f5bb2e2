"""A training whose networks are jobs: prepare the run, train its networks, finish it; each step is a job too.

So everything is measured and computed on the machines of the engine, and the command itself only watches.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from maskcls.engine.fit import logged_scores
from maskcls.errors import MaskclsError, ResultError, Stopped, shell_word
from maskcls.jobs.ending import let_go_on
from maskcls.jobs.engines.engine import JobEngine
from maskcls.jobs.engines.engine_words import check_training_engine
from maskcls.jobs.engines.opening import open_engine
from maskcls.jobs.queue import JobQueue, QueuedJob, new_queue, read_queue
from maskcls.jobs.request import TrainRequest, read_request, write_request
from maskcls.jobs.running import refuse_running_jobs
from maskcls.jobs.watching import Progress, WantedJob, Watch
from maskcls.jobs.work import further_networks, name_of, unscored_folds, untrained_folds
from maskcls.machine.gpus import DEVICES
from maskcls.rundir import FoldDir, JobsDir, RunDir
from maskcls.runs.checks import refuse_existing
from maskcls.runs.integrity.epoch_log import read_log
from maskcls.runs.locks import run_lock
from maskcls.runs.records.times import NETWORKS, PartTimer, add_times, read_times
from maskcls.runs.summary import RunSummary
from maskcls.schema import Config
from maskcls.show.terminal.progress import Reporter
from maskcls.training.assemble import finished_summary
from maskcls.training.checks import with_absolute_paths
from maskcls.training.experiment import Experiment, Member
from maskcls.training.folds import further_epochs
from maskcls.training.stored_experiment import note_changed_data, open_experiment

PREPARE, FINISH = "prepare", "finish"
MOST_FINISHES = 3  # to score the folds, and to put the results together; one more after a command that was killed


def train_with_jobs(
    data: Path,
    cfg: Config,
    run: RunDir,
    *,
    folds: str | None,
    origins: Mapping[str, str] | None,
    on: str,
    report: Reporter,
) -> RunSummary:
    """Train a new run with jobs of the engine `on`, and return its summary.

    Raises what the jobs raise; BusyError for a folder in which other jobs are at work.
    """
    engine = _engine(on, run.jobs)
    request = TrainRequest(
        data=str(data.resolve()),
        config=with_absolute_paths(cfg),
        folds=folds,
        origins=None if origins is None else {key: str(one) for key, one in origins.items()},
    )
    with run_lock.lock_new(run), closing(engine):
        refuse_existing(run, data)
        let_go_on(run.jobs)
        queue = _queue_for(run, request, on)
        watch = Watch(run.jobs, engine, queue, report, again="give the train command again")
        try:
            watch.until_done([WantedJob(QueuedJob(name=PREPARE, kind="prepare", title="preparing the run"))])
        except (KeyboardInterrupt, Stopped):
            if not run.env.exists():
                watch.cancel()
            raise
        before, timer = read_times(run), PartTimer("train")
        with timer.part(NETWORKS):
            summary = finish_with_jobs(run, on=on, engine=engine, report=report)
        add_times(run, before, timer.times)
    note_changed_data(open_experiment(run)[0], report)
    return summary


def finish_with_jobs(
    run: RunDir, *, on: str, report: Reporter, data: Path | None = None, engine: JobEngine | None = None
) -> RunSummary:
    """Do with jobs what is left of a run, and return its summary; the caller holds the lock of the run.

    data    where the run's data set is now; None: where it was.
    engine  of `on`, where it is open already.

    Jobs of the same engine that are at work are watched; BusyError for those of another one.
    """
    if engine is None:
        with closing(_engine(on, run.jobs)) as opened:
            return finish_with_jobs(run, on=on, report=report, data=data, engine=opened)
    queue = _queue_of(run, on, engine, None if data is None else str(data.resolve()))
    again = f"maskcls resume {shell_word(run.path)} --on {on}"
    watch, finishes = Watch(run.jobs, engine, queue, report, again=again), 0
    experiment, env = open_experiment(run, data)
    while (summary := finished_summary(experiment, env.folds)) is None:
        wanted = next_jobs(experiment, env.folds)
        finishes += wanted[0].job.kind == "finish"
        if finishes > MOST_FINISHES:
            fix = f"maskcls resume {shell_word(run.path)}"
            raise ResultError("the jobs have ended, but the run is not complete", where=str(run.path), fix=fix)
        watch.until_done(wanted)
    run_lock.sweep_run(run)
    shutil.rmtree(run.jobs.path, ignore_errors=True)
    return summary


def next_jobs(experiment: Experiment, folds: Sequence[int]) -> list[WantedJob]:
    """Return the jobs that can be done now: networks of folds; then their scores; then further networks; the rest."""
    if experiment.cfg.model.train == "heads":  # all networks have one backbone, whose features one job computes
        return [WantedJob(QueuedJob(name=FINISH, kind="finish", title="fitting the heads"))]
    if left := untrained_folds(experiment, folds):
        return [_network_job(experiment, member, k) for member, k in left]
    further = further_networks(experiment, folds)
    if len(further) > 1 and not unscored_folds(experiment, folds):
        return [_network_job(experiment, member, k) for member, k in further]
    return [WantedJob(QueuedJob(name=FINISH, kind="finish", title="finishing the run"))]


def _network_job(experiment: Experiment, member: Member, k: int) -> WantedJob:
    folder, of = experiment.fold_dir(member, k), further_epochs(member)
    job = QueuedJob(name=name_of(experiment, member, k), kind="network", title=experiment.title(member, k))
    return WantedJob(job, lambda: network_progress(folder, of, leaky=experiment.leaky))


def network_progress(folder: FoldDir, of: int, *, leaky: bool = False) -> Progress:
    """Return how far a network is by its log, which is written after each epoch; a leaky one shows no score."""
    try:
        lines = read_log(folder)
    except ResultError:  # not there yet, or not whole yet on a network disk
        return Progress(0, of, None)
    score = logged_scores(lines[-1]).get("macro_f1") if lines and not leaky else None
    return Progress(len(lines), of, score)


def _engine(on: str, jobs: JobsDir) -> JobEngine:
    return open_engine(check_training_engine(on), jobs)


def _queue_for(run: RunDir, request: TrainRequest, on: str) -> JobQueue:
    """Return the queue of a new run, with its request on disk; that of a command that was killed is taken over."""
    queue = read_queue(run.jobs)
    try:
        same = queue is not None and queue.engine == on and read_request(run.jobs, TrainRequest) == request
    except MaskclsError:
        same = False
    if same and queue is not None:
        return queue
    refuse_running_jobs(run)
    write_request(run.jobs, request)
    return new_queue(on, devices=os.environ.get(DEVICES))


def _queue_of(run: RunDir, on: str, engine: JobEngine, data: str | None) -> JobQueue:
    """Return the queue of a run; a new one where it had another engine and none of its jobs is alive."""
    queue = read_queue(run.jobs)
    if queue is not None and queue.engine == on:
        return queue.model_copy(update={"data": data or queue.data})
    if queue is not None:
        refuse_running_jobs(run)
    return new_queue(on, data=data, devices=os.environ.get(DEVICES))
