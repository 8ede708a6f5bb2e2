"""Watch jobs until all have ended: show them, and give those that died to the engine again.

The queue on disk is written before the engine is told, so another process can go on watching at any moment.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from maskcls import files
from maskcls.errors import MaskclsError, ResourceError
from maskcls.jobs.ending import are_to_end
from maskcls.jobs.engines.engine import JobEngine, JobStart, JobState
from maskcls.jobs.engines.engine_words import JOBS_END
from maskcls.jobs.job_states import stage_of
from maskcls.jobs.queue import MOST_DEATHS, JobQueue, QueuedJob, write_queue
from maskcls.jobs.result import as_error, read_result
from maskcls.jobs.running import job_start, living_jobs
from maskcls.rundir import JobsDir
from maskcls.show.terminal.job_lines import JobLine, JobLines
from maskcls.show.terminal.progress import Reporter
from maskcls.training.side_by_side import ChildError

GONE_ROUNDS = 2  # in which a job is gone without a result, before it counts as dead: a network disk shows files late


@dataclass(frozen=True)
class Progress:
    """How far the network of a job is. of: epochs at most; score: macro-F1 of the last one, None without one."""

    epochs: int
    of: int
    score: float | None


@dataclass(frozen=True)
class WantedJob:
    """A job and how to see its progress; None: it trains no network."""

    job: QueuedJob
    progress: Callable[[], Progress] | None = None

    @property
    def epochs(self) -> int:
        """Finished epochs just now."""
        return self.progress().epochs if self.progress else 0


class Watch:
    """Watches the jobs of one command.

    queue  as it is on disk, or the one to begin with.
    again  the command to give after a job that died too often.
    wait   sleeps so many seconds.
    """

    def __init__(
        self,
        jobs: JobsDir,
        engine: JobEngine,
        queue: JobQueue,
        report: Reporter,
        *,
        again: str,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.jobs, self.engine, self.queue, self.report = jobs, engine, queue, report
        self.again, self.wait = again, wait
        self.gone: dict[str, int] = {}
        self.read: dict[str, int] = {}  # bytes of each log that were shown

    def until_done(self, wanted: Sequence[WantedJob]) -> None:
        """Submit what is not at work already, and return when all jobs have ended well.

        The others are waited for when one fails. Raises the first error of a job; ResourceError for one that died too
        often, and when they are ended by another command; ChildError for a bug in one.
        """
        if not self.engine.survives:
            self.report.once(JOBS_END)
        failed: list[tuple[QueuedJob, Exception]] = []
        lines = JobLines(self.report)
        self._begin(wanted)
        left = {one.job.name: one for one in wanted}
        try:
            while left:
                if are_to_end(self.jobs):
                    raise self._were_ended()
                jobs = {name: self._own(name) for name in left}
                states = self.engine.states([self._start(job) for job in jobs.values()])
                for name, one in list(left.items()):
                    state = states[self._start(jobs[name]).name] if states is not None else JobState(True, "no answer")
                    self._relay(one, jobs[name])
                    ended, error = self._look(one, jobs[name], state)
                    lines.show(self._line(one, jobs[name], state, ended=ended, failed=error is not None))
                    if error is not None:
                        failed.append((jobs[name], error))
                    if ended:
                        self._relay(one, jobs[name])
                        del left[name]
                if left:
                    self.wait(self.engine.poll_s)
        finally:
            lines.close()
        if failed:
            for job, other in failed[1:]:
                said = other.brief if isinstance(other, MaskclsError) else "a bug in maskcls"
                self.report.note(f"{job.title} failed too: {said}; log {self._log(job)}")
            raise failed[0][1]

    def _were_ended(self) -> ResourceError:
        where, got = str(self.jobs.path.parent), "maskcls runs jobs --cancel"
        return ResourceError("the jobs were ended", where=where, got=got, fix=f"to go on: {self.again}")

    def cancel(self) -> None:
        """Let all jobs of the queue end."""
        for job in self.queue.jobs:
            self.engine.cancel(self._start(job))

    def _begin(self, wanted: Sequence[WantedJob]) -> None:
        """Submit the wanted jobs, but for those that another command submitted and that wait or are at work."""
        while (found := living_jobs(self.jobs, self.queue, self.engine)) is None:
            self.report.once("the engine of the jobs does not answer; waiting for it")
            self.wait(self.engine.poll_s)
        living = {job.name: job for job in found}
        for one in wanted:
            name, known = one.job.name, self.queue.job(one.job.name)
            if name in living:
                self.report.note(f"{one.job.title}: its job is at work or waiting already")
                self._keep(living[name].model_copy(update={"deaths": 0}))
                continue
            attempt = 1 if known is None else known.attempt + 1
            self._submit(one.job.model_copy(update={"attempt": attempt, "epochs": one.epochs, "deaths": 0}))

    def _look(self, one: WantedJob, job: QueuedJob, state: JobState) -> tuple[bool, Exception | None]:
        """Return whether a job has ended for good, and its error; one that died is submitted again."""
        result = read_result(self.jobs.job(job.name), job.attempt)
        if result is not None:
            if result.error is not None:
                return True, as_error(result.error, title=job.title, log=self._log(job))
            if result.bug is not None:
                return True, ChildError(f"the job {job.title}, log {self._log(job)}\n\n{result.bug}")
            return True, None
        if state.alive:
            self.gone[job.name] = 0
            return False, None
        self.gone[job.name] = self.gone.get(job.name, 0) + 1
        if self.gone[job.name] < GONE_ROUNDS:
            return False, None
        self.gone[job.name] = 0
        again = after_death(job, one.epochs)
        said = f" ({state.said})" if state.said else ""
        if again is None:
            return True, ResourceError(
                f"a job died {MOST_DEATHS} times",
                where=f"{job.title}, log {self._log(job)}",
                got=state.said or "it ended without a result: killed, or short of memory",
                fix=f"read the log; then {self.again}",
            )
        how = f"submitted again, {again.deaths} of {MOST_DEATHS - 1}" if again.deaths else "submitted again"
        self.report.note(f"{job.title}: the job ended without a result{said}; {how}, from its last save")
        self._submit(again)
        return False, None

    def _submit(self, job: QueuedJob) -> None:
        self.jobs.job(job.name).path.mkdir(parents=True, exist_ok=True)
        self._keep(job)
        self.engine.submit(self._start(job))

    def _keep(self, job: QueuedJob) -> None:
        self.queue = self.queue.with_job(job)
        write_queue(self.jobs, self.queue)

    def _own(self, name: str) -> QueuedJob:
        job = self.queue.job(name)
        assert job is not None, name
        return job

    def _start(self, job: QueuedJob) -> JobStart:
        return job_start(self.jobs, self.queue, job, sys.executable)

    def _log(self, job: QueuedJob) -> str:
        """Return the log of the job; where it did not come so far, what the engine has."""
        log = self.jobs.job(job.name).log(job.attempt)
        return str(log) if log.exists() else self.engine.said_by(self._start(job))

    def _line(self, one: WantedJob, job: QueuedJob, state: JobState, *, ended: bool, failed: bool) -> JobLine:
        if ended:
            words = "failed" if failed else "done"
        else:
            words = stage_of(state, logged=self.jobs.job(job.name).log(job.attempt).exists())
            words += f" ({state.said})" if words == "waiting" and state.said else ""
        at = one.progress() if one.progress else None
        return JobLine(job.title, words, at.epochs, at.of, at.score) if at else JobLine(job.title, words)

    def _relay(self, one: WantedJob, job: QueuedJob) -> None:
        """Print the new lines of the log of a job that prepares or finishes a run: no other job works beside it."""
        if job.kind not in ("prepare", "finish"):
            return
        log, seen = self.jobs.job(job.name).log(job.attempt), self.read.get(f"{job.name} {job.attempt}", 0)
        try:
            with files.opened(log, files.RUN_FILE) as file:
                file.seek(seen)
                new = file.read()
        except (OSError, MaskclsError):  # not there yet
            return
        whole = new[: new.rfind(b"\n") + 1]
        self.read[f"{job.name} {job.attempt}"] = seen + len(whole)
        for line in whole.decode(errors="replace").splitlines():
            self.report.note(line)


def after_death(job: QueuedJob, epochs: int) -> QueuedJob | None:
    """Return the next attempt of a job that died; None when it has died too often without a new epoch.

    epochs  finished ones now.

    >>> job = QueuedJob(name="a", kind="network", title="a", deaths=2, epochs=4)
    >>> after_death(job, 4) is None, after_death(job, 5).deaths, after_death(job, 5).attempt
    (True, 0, 2)
    """
    deaths = 0 if epochs > job.epochs else job.deaths + 1
    if deaths >= MOST_DEATHS:
        return None
    return job.model_copy(update={"attempt": job.attempt + 1, "deaths": deaths, "epochs": epochs})
