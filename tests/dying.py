"""A maskcls process that kills itself right after one of its renames: a moment that no load of the machine moves."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

CHILD = """
import os, signal, sys
from maskcls.cli import run_app
replace, left, of = os.replace, [int(sys.argv[1])], sys.argv[2]
def dying(source, target, **named):
    replace(source, target, **named)
    left[0] -= of in os.fspath(target)
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
os.replace = dying
sys.exit(run_app(sys.argv[3:]))
"""


def killed_after(n: int, of: str, words: Sequence[str]) -> int:
    """Run maskcls, killed after the n-th rename to a path with `of` in it; return the exit code, -9 when killed."""
    command = [sys.executable, "-c", CHILD, str(n), of, *words]
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
