"""What a job of a prediction does: one shard, by the command line that a person would give by hand."""

from __future__ import annotations

import subprocess
import sys

from maskcls import errors
from maskcls.errors import Exit, MaskclsError, ResourceError
from maskcls.jobs.request import PredictRequest, read_request
from maskcls.rundir import JobsDir

ERROR_MARK = "error["  # how a printed error begins


def predict_shard(jobs: JobsDir, name: str) -> None:
    """Run `maskcls predict … --shard i/n`; raises an error of the class of its exit code, with what it printed."""
    asked = read_request(jobs, PredictRequest)
    command = [sys.executable, "-m", "maskcls", *asked.words, "--shard", asked.shards[name]]
    done = subprocess.run(command, cwd=asked.folder, stderr=subprocess.PIPE, text=True, check=False)
    print(done.stderr, file=sys.stderr)
    if done.returncode not in (Exit.OK, Exit.DATA) or (done.returncode == Exit.DATA and ERROR_MARK in done.stderr):
        raise printed_error(done.returncode, done.stderr)


def printed_error(code: int, text: str) -> MaskclsError:
    """Return an error that the command line printed, with the class of its exit code.

    >>> printed_error(4, "note\\nerror[data] no such photo\\n  where: a.jpg\\n  fix: check it\\n").lines()
    ['error[data] no such photo', '  where: a.jpg', '  fix: check it']
    """
    kinds = {kind.exit_code: kind for kind in vars(errors).values() if _is_error(kind)}
    lines = text[text.rfind(ERROR_MARK) :].splitlines() if ERROR_MARK in text else []
    what = lines[0].partition("] ")[2] if lines else f"a shard ended with exit code {code}"
    parts = dict(line.strip().split(": ", 1) for line in lines[1:] if ": " in line)
    kind = kinds.get(Exit(code), ResourceError) if code in list(Exit) else ResourceError
    where, got, expected, fix = (parts.get(name) for name in ("where", "got", "expected", "fix"))
    return kind(what, where=where, got=got, expected=expected, fix=fix)


def _is_error(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, MaskclsError)
