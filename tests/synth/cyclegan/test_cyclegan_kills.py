"""A CycleGAN that is killed at random moments ends with the same bits: weights, moments, pools, log, sheets."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_hundred_kills_at_random_moments_leave_no_trace(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "killed_generators", str(tmp_path), "100", "0"]
    path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    ended = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    )

    assert ended.returncode == 0, ended.stderr
    counts = ast.literal_eval(ended.stdout)
    assert counts["kills"] == 100
    assert counts["finished"] >= 1
    assert counts["tensors"] > 50
