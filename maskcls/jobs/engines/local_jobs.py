"""Jobs as processes on this machine, started by submitit in a session of their own: they outlive the command.

All jobs are started at once. Each waits until it may work, see slots.py.
"""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from maskcls.config.installed_extras import check_extra
from maskcls.errors import ResourceError
from maskcls.files.file_locks import is_locked
from maskcls.jobs.engines.engine import JobStart, JobState
from maskcls.jobs.engines.replaced import become
from maskcls.rundir import JobsDir
from maskcls.runs.integrity.run_in_use import use_of_lock
from maskcls.runs.locks import run_lock

MINUTES = 60 * 24 * 366  # submitit wants a limit


class LocalJobs:
    """The engine `local`. jobs: folder for the files of submitit."""

    poll_s = 0.5
    survives = True

    def __init__(self, jobs: JobsDir) -> None:
        check_extra("jobs", needed_by="--on local")
        self.jobs = jobs
        self.processes: dict[str, int] = {}  # those that this process has started: name -> process of submitit

    def submit(self, start: JobStart) -> None:
        """Start the process of a job."""
        # What the launcher says comes through a pipe of its own: the job inherits its standard output, and lives on.
        ours, theirs = os.pipe()
        words = [sys.executable, "-m", "maskcls.jobs.engines.local_jobs", str(theirs), str(self.jobs.engine.resolve())]
        with open(ours, encoding="utf-8") as said:
            try:
                launcher = subprocess.Popen(
                    [*words, *start.command],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=(theirs,),
                    start_new_session=True,
                )
            finally:
                os.close(theirs)
            answer = said.read().strip()
        launcher.wait()
        if not answer.isdigit():
            got = answer or f"exit code {launcher.returncode}"
            raise ResourceError("a job cannot be started", where=start.job, got=got, fix="free memory or disk space")
        self.processes[start.name] = int(answer)

    def states(self, starts: Sequence[JobStart]) -> Mapping[str, JobState]:
        """Return whether the processes live: a job holds the lock of its folder from its start."""
        return {start.name: JobState(self._lives(start)) for start in starts}

    def cancel(self, start: JobStart) -> None:
        """Send SIGTERM to the process of a job, whichever command has started it.

        ResourceError for one on another machine that sees the same folder.
        """
        number = self.processes.get(start.name) or self._number(start)
        if number is not None:
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGTERM)

    def said_by(self, start: JobStart) -> str:
        """Return the file of submitit, or its folder for a job that another command has started."""
        number = self.processes.get(start.name)
        return str(self.jobs.engine if number is None else self.jobs.engine / f"{number}_0_log.err")

    def close(self) -> None:
        """Nothing ends: the jobs go on."""

    def _number(self, start: JobStart) -> int | None:
        """Return the process that holds the lock of the job's folder; None where it is not known to be a job."""
        said = use_of_lock(self.jobs.job(start.job).lock_file).holder
        holder = None if said is None else run_lock.holder_of(said)
        if holder is None:
            return None
        if holder.host != platform.node():
            fix = "give the command there"
            got = f"process {holder.process} on {holder.host}"
            raise ResourceError("a job works on another machine", where=start.job, got=got, fix=fix)
        with suppress(psutil.Error):
            if "maskcls.jobs" in psutil.Process(holder.process).cmdline():
                return holder.process
        return None

    def _lives(self, start: JobStart) -> bool:
        if start.name in self.processes and process_lives(self.processes[start.name]):
            return True
        with suppress(OSError):
            return is_locked(self.jobs.job(start.job).lock_file)
        return False


def process_lives(number: int) -> bool:
    """Tell whether a process of this user lives; one that has ended and was not waited for does not."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    with suppress(OSError):
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return True


def launch(folder: str, command: Sequence[str]) -> int:
    """Start a job by submitit and return its process, which goes on when this one ends."""
    import submitit

    executor = submitit.LocalExecutor(folder)
    executor.update_parameters(timeout_min=MINUTES)
    return int(executor.submit(become, command).job_id)


def answer_of(folder: str, command: Sequence[str]) -> str:
    """Start a job and return its process as text, or in one line why it cannot be started."""
    try:
        return str(launch(folder, command))
    except (OSError, RuntimeError, ValueError, ImportError) as error:
        return " ".join(f"{type(error).__name__}: {error}".split())


if __name__ == "__main__":
    with open(int(sys.argv[1]), "w", encoding="utf-8") as pipe:
        pipe.write(answer_of(sys.argv[2], sys.argv[3:]))
