"""maskcls runs jobs: what the jobs of a run or a prediction do, and the end of all of them."""

from __future__ import annotations

import shlex
from contextlib import suppress
from pathlib import Path

from maskcls import config
from maskcls.errors import MaskclsError, ResultError
from maskcls.jobs.ending import are_to_end, ask_to_end, end_jobs, until_unwatched
from maskcls.jobs.engines.engine_words import RayWords, parse_engine
from maskcls.jobs.engines.opening import open_engine
from maskcls.jobs.job_folders import folder_of_jobs
from maskcls.jobs.job_states import stages_of
from maskcls.jobs.queue import JobQueue, job_name, read_queue
from maskcls.jobs.request import PredictRequest, read_request
from maskcls.jobs.running import unended_jobs
from maskcls.rundir import FoldDir, JobsDir, RunDir
from maskcls.runs.environment import read_environment
from maskcls.runs.integrity.epoch_log import read_log
from maskcls.runs.integrity.run_in_use import use_of_lock
from maskcls.runs.networks import run_networks
from maskcls.runs.records.finding import checked_run
from maskcls.runs.repeats.repeat_runs import is_repeated
from maskcls.runs.stages.record import is_staged
from maskcls.show.runs.job_list import JobList, ListedJob


def run_jobs(path: Path, *, cancel: bool = False) -> JobList:
    """Return the jobs of a run, or of the prediction that writes this table; with `cancel`, end them before.

    Ending them twice does nothing more. They save their last step, and a command that watches them ends.

    Raises ResultError for a path that is neither, ResourceError when the engine cannot be asked, or when jobs do not
    end.
    """
    jobs = folder_of_jobs(path)
    queue = None if jobs is None else read_queue(jobs)
    if jobs is None or queue is None or (cancel and not ask_to_end(jobs)):
        if not path.is_file() and not is_repeated(RunDir(path)) and not is_staged(RunDir(path)):
            checked_run(path)
        return JobList(path, None, None, (), 0 if cancel else None, ended=False, again="")
    words, watched, ended = parse_engine(queue.engine), set[str](), set[str]()
    if cancel and isinstance(words, RayWords) and _watcher(jobs) is not None:
        watched = {job.name for job in unended_jobs(jobs, queue)}  # jobs that end with the command count, too
        until_unwatched(lambda: _watcher(jobs) is not None)
    engine = open_engine(words, jobs)
    if cancel:
        ended = {job.name for job in end_jobs(jobs, queue, engine)}
        queue = read_queue(jobs) or queue  # its command may have submitted one more just before it ended
    stages, networks = stages_of(jobs, queue, engine), _networks(jobs)
    ended |= {name for name in watched if stages[name][0] not in ("done", "failed")}
    listed = []
    for job in queue.jobs:
        stage, said = stages[job.name]
        log, network = jobs.job(job.name).log(job.attempt), networks.get(job.name)
        epochs = None if network is None else _epochs(network)
        kept = log if log.exists() else None
        listed.append(ListedJob(job.name, job.title, stage, said, job.attempt, epochs, kept))
    again = _again(jobs, queue)
    cancelled = len(ended) if cancel else None
    return JobList(path, queue.engine, _watcher(jobs), tuple(listed), cancelled, ended=are_to_end(jobs), again=again)


def _networks(jobs: JobsDir) -> dict[str, FoldDir]:
    """Return the folder of each network by the name of its job; none before a run is prepared."""
    run = RunDir(jobs.path.parent)
    with suppress(MaskclsError):
        if _is_of_run(jobs) and run.env.exists():
            cfg, env = config.of_run(run.config), read_environment(run)
            folders = [network.folder(run) for network in run_networks(cfg, env.folds)]
            return {job_name(run.place(folder.path)): folder for folder in folders}
    return {}


def _epochs(network: FoldDir) -> int:
    try:
        return len(read_log(network))
    except ResultError:  # not there yet
        return 0


def _watcher(jobs: JobsDir) -> str | None:
    """Return the process that holds the lock of the command; of a prediction it is in the folder of the jobs."""
    lock = RunDir(jobs.path.parent if _is_of_run(jobs) else jobs.path).lock_file
    return use_of_lock(lock).holder


def _again(jobs: JobsDir, queue: JobQueue) -> str:
    """Return the command that goes on with the jobs."""
    run = RunDir(jobs.path.parent)
    if not _is_of_run(jobs):
        with suppress(MaskclsError):
            words = read_request(jobs, PredictRequest).words
            return shlex.join(["maskcls", *words, "--on", queue.engine])
        return "the same predict command"
    if not run.env.exists():
        return "the same train command"
    top = run.path.parent if is_repeated(RunDir(run.path.parent)) else run.path
    return shlex.join(["maskcls", "resume", str(top), "--on", queue.engine])


def _is_of_run(jobs: JobsDir) -> bool:
    """Tell whether the jobs train a run, which they are in, and do not predict a table, which they are beside."""
    return RunDir(jobs.path.parent).jobs.path == jobs.path
