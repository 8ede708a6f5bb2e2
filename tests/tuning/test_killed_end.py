"""The end of a search, killed at any operation and given again: the table, the winner and the kept runs are the same.

The trials themselves are runs, whose kills have tests of their own; their workers are killed in test_workers.py.
"""

from __future__ import annotations

import re
import shutil
from contextlib import closing
from pathlib import Path

import pytest
from surrogate_trials import begin, do_trials, finish, train_whole
from write_boundaries import CopyingDisk, content_below, watched

from maskcls.rundir import StudyDir
from maskcls.tuning.open_study import open_study

TIME = re.compile(rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d)?")
MAY_DIFFER = re.compile(r"(.*\.lock|.*\.db|.*\.db-journal|.*/workers/.*|.*\.tmp/?)")  # the storage holds times
RANDOM = re.compile(r"[0-9a-f]{16}")  # in names of temporary files


def kept(home: Path) -> dict[str, bytes]:
    """Return what is there, apart from times, locks and the storage."""
    found = content_below(home)
    return {name: TIME.sub(b"TIME", raw) for name, raw in found.items() if not MAY_DIFFER.fullmatch(name)}


@pytest.mark.parametrize("apart", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_the_end_killed_anywhere_and_given_again(apart: int, tmp_path: Path) -> None:
    home, start, kills = (tmp_path / name for name in ("home", "start", "kills"))
    with closing(begin(home / "s", trials=3)) as opened:
        do_trials(opened, 3, train=train_whole)
    shutil.copytree(home, start)

    def end_from(state: Path) -> None:
        shutil.rmtree(home)
        shutil.copytree(state, home)
        with closing(open_study(StudyDir(home / "s"), None)) as again:
            finish(again)

    with closing(open_study(StudyDir(home / "s"), None)) as opened, watched(CopyingDisk(home, kills)) as disk:
        finish(opened)
    whole = kept(home)
    assert {"s/trials.csv", "s/best.yaml", "s/result.json", "choices.json"} <= whole.keys()
    assert disk.count >= 12  # three writes of four outputs
    seen: list[set[str]] = []  # what was left by kills, each once; of these states every `apart`-th is completed
    for n in range(1, disk.count + 1):
        left = {f"{RANDOM.sub('', name)} {raw!r}" for name, raw in content_below(kills / str(n)).items()}
        if left in seen:
            continue
        if len(seen) % apart == 0:
            end_from(kills / str(n))
            assert kept(home) == whole, disk.names[n - 1]
        seen.append(left)
    assert len(seen) >= 8
