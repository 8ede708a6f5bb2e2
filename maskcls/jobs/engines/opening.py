"""The engine that the words of `--on` name."""

from __future__ import annotations

from typing import assert_never

from maskcls.jobs.engines.engine import JobEngine
from maskcls.jobs.engines.engine_words import EngineWords, LocalWords, RayWords, SlurmWords
from maskcls.rundir import JobsDir


def open_engine(words: EngineWords, jobs: JobsDir) -> JobEngine:
    """Return the engine; ResourceError where its package or its programs are not installed.

    jobs  folder for its files.
    """
    match words:
        case LocalWords():
            from maskcls.jobs.engines.local_jobs import LocalJobs

            return LocalJobs(jobs)
        case SlurmWords():
            from maskcls.jobs.engines.slurm_jobs import SlurmJobs

            return SlurmJobs(words, jobs)
        case RayWords():
            from maskcls.jobs.engines.ray_jobs import RayJobs

            return RayJobs(words)
        case _:
            assert_never(words)
