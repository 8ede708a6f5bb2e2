"""The process of one job: it waits for its turn, works, and says how it ended."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import assert_never

from maskcls import files
from maskcls.errors import BusyError, Exit, MaskclsError, ResourceError, Stopped
from maskcls.jobs.ending import are_to_end
from maskcls.jobs.engines.engine_words import LocalWords, parse_engine
from maskcls.jobs.engines.ray_jobs import PARENT
from maskcls.jobs.queue import JobQueue, QueuedJob, read_queue
from maskcls.jobs.result import write_result
from maskcls.jobs.slots import own_slot
from maskcls.machine import machine_error
from maskcls.machine.gpus import own_device, set_devices
from maskcls.rundir import JobDir, JobsDir, RunDir
from maskcls.runs.locks import run_lock

LOCK_S = 60.0  # for an attempt before this one to end
POLL_S = 0.2
PARENT_S = 1.0  # between two checks that the parent lives
LAUNCHERS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")  # a job is one process, whoever launched it


def run_job(jobs: JobsDir, name: str, attempt: int) -> int:
    """Do the work of a job, and return the exit code of its process.

    Nothing is done for an attempt that the queue does not name any more, or that has ended. The lock of the job's
    folder is held from the start to the end, so two processes never train one network.
    """
    _obey_signals()
    own = jobs.job(name)
    try:
        with ExitStack() as stack:
            stack.enter_context(files.filling(jobs.path.parent))
            stack.enter_context(_locked(own))
            if (found := _wanted(jobs, name, attempt)) is None:
                return Exit.OK
            stack.enter_context(_turn(jobs, found[0]))
            if (found := _wanted(jobs, name, attempt)) is None:  # it may have waited for long
                return Exit.OK
            _log_to(own.log(attempt))
            return _result_of(jobs, *found)
    except Stopped:
        return Exit.TERMINATED
    except MaskclsError as error:  # before there was a log
        print(error, file=sys.stderr)
        return error.exit_code


def _result_of(jobs: JobsDir, queue: JobQueue, job: QueuedJob) -> int:
    """Work, and write how it ended; a job that is stopped writes nothing, so it is given to the engine again."""
    own = jobs.job(job.name)
    try:
        _work(jobs, queue, job)
    except MaskclsError as error:
        return _failed(own, job, error)
    except Exception as bug:
        if (known := machine_error(bug)) is not None:
            return _failed(own, job, known)
        text = traceback.format_exc()
        print(text, file=sys.stderr)
        write_result(own, job.attempt, bug=text)
        raise SystemExit(Exit.INTERNAL) from None  # the command that watches reports it
    write_result(own, job.attempt)
    return Exit.OK


def _failed(own: JobDir, job: QueuedJob, error: MaskclsError) -> int:
    print(error, file=sys.stderr)
    write_result(own, job.attempt, error)
    return error.exit_code


def _work(jobs: JobsDir, queue: JobQueue, job: QueuedJob) -> None:
    from maskcls.runs.records.noun import noun_of_run
    from maskcls.show.terminal.progress import Reporter

    run, data = RunDir(jobs.path.parent), None if queue.data is None else Path(queue.data)
    if job.kind == "predict":
        from maskcls.jobs.shard import predict_shard

        predict_shard(jobs, job.name)
        return
    with Reporter() as report:
        from maskcls.jobs import work

        if job.kind != "prepare":
            report.noun = noun_of_run(run)
        match job.kind:
            case "prepare":
                work.prepare_run(run, report)
            case "network":
                work.train_one_network(run, job.name, data, report)
            case "finish":
                work.finish_run(run, data, report)
            case _:
                assert_never(job.kind)


def _wanted(jobs: JobsDir, name: str, attempt: int) -> tuple[JobQueue, QueuedJob] | None:
    """Return the queue and the job in it; None for an attempt that is not wanted any more, or where all are to end."""
    if are_to_end(jobs):
        return None
    queue = read_queue(jobs)
    job = queue.job(name) if queue else None
    return (queue, job) if queue and job and job.attempt == attempt else None


@contextmanager
def _locked(own: JobDir) -> Iterator[None]:
    """Hold the lock of a job's folder; BusyError when another process does so for long."""
    until = time.monotonic() + LOCK_S
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(run_lock.lock(RunDir(own.path)))
                break
            except BusyError:
                if time.monotonic() > until:
                    raise
            time.sleep(POLL_S)
        yield


@contextmanager
def _turn(jobs: JobsDir, queue: JobQueue) -> Iterator[None]:
    """Wait for this job's turn on this machine, and take its GPU. Another engine has done both."""
    words = parse_engine(queue.engine)
    if not isinstance(words, LocalWords):
        yield
        return
    with own_slot(jobs, words.jobs) as number:
        from maskcls.engine.device import gpu_count

        set_devices(queue.devices)  # submitit has set its own
        set_devices(own_device(number, queue.devices, gpu_count()))
        yield


def _log_to(path: Path) -> None:
    """Let everything that this process prints go into the log of the job from now on."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise ResourceError(
            "a job cannot write its log", where=str(path), got=error.strerror, fix="free disk space"
        ) from None
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)


def _obey_signals() -> None:
    """End with a save on SIGTERM, on the signal of submitit shortly before the limit of time, and without parent."""
    for name in LAUNCHERS:
        os.environ.pop(name, None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal of the command
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGUSR2, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    if parent := os.environ.pop(PARENT, None):
        threading.Thread(target=_end_with, args=(int(parent),), daemon=True).start()


def _stop(*_: object) -> None:
    raise Stopped


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_S)
    with suppress(ProcessLookupError):
        os.kill(os.getpid(), signal.SIGTERM)
