"""Run one job: `python -m maskcls.jobs FOLDER NAME ATTEMPT`. An engine starts it; see the package."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from maskcls.jobs.job import run_job
from maskcls.rundir import JobsDir
from maskcls.startup import rest_collector

if __name__ == "__main__":
    if not os.environ.keys() & {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}:  # as the command line does, see its main
        os.environ["GOMP_SPINCOUNT"] = "3000"
    rest_collector()
    folder, name, attempt = sys.argv[1:]
    sys.exit(int(run_job(JobsDir(Path(folder)), name, int(attempt))))
