"""Jobs of SLURM, submitted by submitit. Asked by `squeue`, which every cluster has; `sacct` needs accounting."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from maskcls.config.installed_extras import check_extra
from maskcls.errors import ResourceError
from maskcls.jobs.engines.engine import JobStart, JobState
from maskcls.jobs.engines.engine_words import SlurmWords
from maskcls.jobs.engines.replaced import become
from maskcls.rundir import JobsDir

PROGRAMS = ("sbatch", "squeue", "scancel", "srun")
ASKED_S = 60.0  # a controller that is busy answers late
SIGNAL_S = 60  # before the limit of time, for the job to save its last step
# States after which a job does not come back by itself; see squeue(1), JOB STATE CODES.
ENDED = frozenset(
    {
        *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED"),
        *("REVOKED", "TIMEOUT"),
    }
)
NOT_LISTED = "not in the queue any more"


class SlurmJobs:
    """The engine `slurm`. jobs: folder for the files of submitit, on a disk that the nodes share."""

    poll_s = 2.0
    survives = True

    def __init__(self, words: SlurmWords, jobs: JobsDir) -> None:
        check_extra("jobs", needed_by="--on slurm")
        if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
            raise ResourceError(
                "the programs of SLURM are not on this machine",
                where="--on slurm",
                got=f"no {', '.join(missing)}",
                fix="give the command on a login node of the cluster",
            )
        self.words, self.jobs = words, jobs
        self.numbers: dict[str, str] = {}  # those that this process has submitted: name -> number

    def submit(self, start: JobStart) -> None:
        """Give a job to sbatch."""
        import submitit

        executor = submitit.SlurmExecutor(self.jobs.engine.resolve())
        try:
            executor.update_parameters(**parameters(self.words, start.name))
            self.numbers[start.name] = executor.submit(become, start.command).job_id
        except (RuntimeError, OSError, ValueError) as error:
            lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
            said = next((line for line in reversed(lines) if "sbatch: error" in line), lines[-1]).strip()
            fix = "correct the options of --on, or ask who runs the cluster"
            raise ResourceError("SLURM refused a job", where=start.job, got=said, fix=fix) from None

    def states(self, starts: Sequence[JobStart]) -> Mapping[str, JobState] | None:
        """Ask squeue for all jobs of this user; None where it fails."""
        command = ["squeue", "--me", "--noheader", "--states=all", "--format=%j|%T|%r"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=ASKED_S, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        if done.returncode:
            return None
        listed = parse_states(done.stdout)
        return {start.name: listed.get(start.name, JobState(False, NOT_LISTED)) for start in starts}

    def cancel(self, start: JobStart) -> None:
        """Cancel a job by its name."""
        command = ["scancel", "--me", f"--name={start.name}"]
        subprocess.run(command, capture_output=True, timeout=ASKED_S, check=False)

    def said_by(self, start: JobStart) -> str:
        """Return the file of submitit, or its folder for a job that another command has submitted."""
        number = self.numbers.get(start.name)
        return str(self.jobs.engine if number is None else Path(self.jobs.engine) / f"{number}_0_log.out")

    def close(self) -> None:
        """Nothing ends: the jobs go on."""


def parameters(words: SlurmWords, name: str) -> dict[str, Any]:
    """Return what submitit is told about a job.

    >>> parameters(SlurmWords(gpus=1, time_s=90.0, mem_bytes=3 << 29, texts=(("partition", "gpu"),)), "a")
    ... # doctest: +NORMALIZE_WHITESPACE
    {'job_name': 'a', 'time': 2, 'signal_delay_s': 60, 'stderr_to_stdout': True, 'gpus_per_node': 1, 'mem': '1536M',
     'partition': 'gpu'}
    """
    found: dict[str, Any] = {
        "job_name": name,
        "time": None if words.time_s is None else max(1, -(-int(words.time_s) // 60)),  # None: that of the partition
        "signal_delay_s": SIGNAL_S,
        "stderr_to_stdout": True,
    }
    if words.cpus is not None:
        found["cpus_per_task"] = words.cpus
    if words.gpus is not None:
        found["gpus_per_node"] = words.gpus
    if words.mem_bytes is not None:
        found["mem"] = f"{max(1, words.mem_bytes >> 20)}M"
    return found | dict(words.texts)


def parse_states(text: str) -> dict[str, JobState]:
    """Read lines `name|state|reason` of squeue. A job that SLURM has put back into the queue is listed once.

    >>> parse_states("a|PENDING|Resources\\nb|CANCELLED|None\\n")
    {'a': JobState(alive=True, said='PENDING, Resources'), 'b': JobState(alive=False, said='CANCELLED')}
    """
    found: dict[str, JobState] = {}
    for line in text.splitlines():
        name, _, rest = line.strip().partition("|")
        state, _, reason = rest.partition("|")
        said = f"{state}, {reason}" if reason not in ("", "None") else state
        found[name] = JobState(state.split(" ")[0] not in ENDED, said)
    return found
