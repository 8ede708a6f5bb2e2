"""maskcls predict RUN WHAT… --on ENGINE: each shard of the photos as a job, and the tables of all of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

from maskcls.data.layouts.named import check_what, find_photos
from maskcls.errors import BusyError, MaskclsError, UsageError
from maskcls.jobs.ending import let_go_on
from maskcls.jobs.engines.engine import JobEngine
from maskcls.jobs.engines.engine_words import parse_engine, shards_of
from maskcls.jobs.engines.opening import open_engine
from maskcls.jobs.job_folders import jobs_of
from maskcls.jobs.queue import JobQueue, QueuedJob, new_queue, read_queue
from maskcls.jobs.request import PredictRequest, read_request, write_request
from maskcls.jobs.result import read_result
from maskcls.jobs.running import living_jobs
from maskcls.jobs.watching import WantedJob, Watch
from maskcls.machine.gpus import DEVICES
from maskcls.results.predicted.gather import WantedTables, write_tables
from maskcls.results.predicted.parts import check_shards
from maskcls.results.predicted.plan import parts_folder, remove_parts, shard_count
from maskcls.results.predicted.table_file import WrittenTable
from maskcls.rundir import JobsDir, RunDir
from maskcls.runs.checks import check_photo_prediction
from maskcls.runs.identity import files_read, named_path
from maskcls.runs.locks import run_lock
from maskcls.show.terminal.progress import Reporter


@dataclass(frozen=True)
class ShardedRequest:
    """What is predicted: words as on the command line, the tables, and the engine that `--on` names.

    options  further words for every shard, such as --decide.
    """

    what: tuple[str, ...]
    overrides: tuple[str, ...]
    options: tuple[str, ...]
    wanted: WantedTables
    on: str


def predict_shards(model: Path, asked: ShardedRequest, *, decide: bool, report: Reporter) -> list[WrittenTable]:
    """Predict the photos in shards, each a job, and write their tables: the same bytes as without jobs.

    The same command watches jobs that are at work already, and continues after a failure.

    Raises what `maskcls predict` raises, and what the jobs raise.
    """
    check_photo_prediction(model, asked.overrides, decide=decide)
    check_what(asked.what)
    if "-" in asked.what:
        raise UsageError("jobs cannot read names from stdin", got="-", fix="write them into a file: @list.txt")
    first, jobs = asked.wanted.paths[0], jobs_of(asked.wanted.paths[0])
    force = asked.wanted.force or jobs.queue.exists()  # the tables may be what was written before a kill
    replace(asked.wanted, force=force).check(files_read(model, *map(named_path, asked.what)))
    with report.busy("listing photos"):
        photos = find_photos(asked.what, check_lists=not asked.wanted.skip_unreadable)
    words = parse_engine(asked.on)
    engine, count = open_engine(words, jobs), shard_count(len(photos.names), shards_of(words))
    shards = {f"shard{number}": (number, count) for number in range(1, count + 1)}
    request = PredictRequest(
        folder=os.getcwd(),
        words=("predict", str(model), *asked.what, *asked.overrides, *asked.options, "-o", str(first)),
        shards={name: f"{number}/{of}" for name, (number, of) in shards.items()},
    )
    with _locked(jobs), closing(engine):
        let_go_on(jobs)
        queue = _queue(jobs, request, asked.on, engine)
        again = f"give the same command again; finished parts are kept beside {first}"
        watch = Watch(jobs, engine, queue, report, again=again)
        watch.until_done(
            [
                WantedJob(QueuedJob(name=name, kind="predict", title=f"shard {number} of {of}"))
                for name, (number, of) in shards.items()
                if not _is_done(jobs, queue, name, parts_folder(first, (number, of)))
            ]
        )
        folders = [parts_folder(first, shard) for shard in shards.values()]
        tables = write_tables(check_shards(folders), asked.wanted)
        for folder in folders:
            remove_parts(folder)
        shutil.rmtree(jobs.path, ignore_errors=True)
    return tables


def _is_done(jobs: JobsDir, queue: JobQueue, name: str, folder: Path) -> bool:
    job = queue.job(name)
    result = read_result(jobs.job(name), job.attempt) if job else None
    return result is not None and result.error is None and result.bug is None and folder.is_dir()


def _queue(jobs: JobsDir, request: PredictRequest, on: str, engine: JobEngine) -> JobQueue:
    """Return the queue of this prediction; BusyError while jobs of another one are at work for the same output."""
    queue = read_queue(jobs)
    try:
        same = queue is not None and queue.engine == on and read_request(jobs, PredictRequest) == request
    except MaskclsError:
        same = False
    if queue is not None and same:
        return queue
    if queue is not None and (living := _living(jobs, queue, on, engine)) != []:
        got = "its engine does not answer" if living is None else ", ".join(job.title for job in living)
        fix = "give the command that began them, or wait for them"
        raise BusyError("jobs of another prediction are at work", where=str(jobs.path), got=got, fix=fix)
    write_request(jobs, request)
    return new_queue(on, devices=os.environ.get(DEVICES))


def _living(jobs: JobsDir, queue: JobQueue, on: str, engine: JobEngine) -> Sequence[QueuedJob] | None:
    other = engine if queue.engine == on else open_engine(parse_engine(queue.engine), jobs)
    return living_jobs(jobs, queue, other)


def _locked(jobs: JobsDir) -> ExitStack:
    """Hold the folder of the jobs for this process; BusyError when another one watches them."""
    stack = ExitStack()
    try:
        stack.enter_context(run_lock.lock_new(RunDir(jobs.path)))
    except BusyError as error:
        raise BusyError(
            "another process watches these jobs", where=str(jobs.path), got=error.got, fix="wait for it"
        ) from None
    return stack
