"""Several workers on one storage, some of them killed: no trial is lost, doubled, or left in work."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from light_workers import fails, seen
from surrogate_trials import begin, events, states, worker_process

from maskcls.errors import ResourceError
from maskcls.tuning import workers
from maskcls.tuning.claims import OpenStudy
from maskcls.tuning.workers import run_workers

TRIALS, KILLS, WORKERS = 14, 2, 4


def kill_in_training(folder: Path, ended: threading.Event, killed: list[str]) -> None:
    """Kill processes in the middle of a training, `KILLS` in all."""
    while len(killed) < KILLS and not ended.is_set():
        time.sleep(0.02)
        lines = events(folder)
        done = {tuple(line[1:]) for line in lines if line[0] == "end"}
        for what, trial, process in lines:
            if what == "train" and (trial, process) not in done and process not in killed:
                os.kill(int(process), signal.SIGKILL)
                killed.append(process)
                break


def search_with_kills(folder: Path, storage: str | None) -> None:
    """Search with four workers of which two are killed, and check what is left."""
    with closing(begin(folder, trials=TRIALS, storage=storage)) as opened:
        _search_with_kills(opened, folder, storage)


def _search_with_kills(opened: OpenStudy, folder: Path, storage: str | None) -> None:
    ended, killed = threading.Event(), list[str]()
    killer = threading.Thread(target=kill_in_training, args=(folder, ended, killed))
    killer.start()
    try:
        run_workers(WORKERS, worker_process, [folder, storage, TRIALS, 0.4], lambda: None)
    finally:
        ended.set()
        killer.join()
    assert len(killed) == KILLS
    why = [one.user_attrs.get("why") for one in opened.trials]
    assert states(opened) == ["COMPLETE"] * TRIALS, (why, events(folder), killed)
    begun = Counter(trial for what, trial, _ in events(folder) if what == "train")
    done = Counter(trial for what, trial, _ in events(folder) if what == "end")
    assert set(begun) == {f"{number:04d}" for number in range(TRIALS)}
    assert set(begun.values()) == {1}  # what was killed is resumed, not begun again
    assert set(done) == set(begun)
    assert set(done.values()) == {1}
    resumed = {trial for what, trial, _ in events(folder) if what == "resume"}
    assert resumed == {trial for what, trial, process in events(folder) if what == "train" and process in killed}
    assert len({process for what, _, process in events(folder)}) > 2  # they did share the work
    assert not list(opened.folder.workers.iterdir())


@pytest.mark.slow
def test_four_workers_on_sqlite_two_of_them_killed(tmp_path: Path) -> None:
    search_with_kills(tmp_path / "s", None)


@pytest.fixture
def postgres() -> Iterator[str]:
    """The URL of an empty database of a PostgreSQL server on this machine; skipped without one."""
    if shutil.which("pg_lsclusters") is None or os.geteuid() != 0:
        pytest.skip("no PostgreSQL that this user can start")
    pytest.importorskip("psycopg")
    found = subprocess.run(["pg_lsclusters", "-h"], capture_output=True, text=True, check=True).stdout.split()
    if len(found) < 4:
        pytest.skip("no PostgreSQL cluster")
    version, cluster, port, state = found[:4]
    if state == "down":
        subprocess.run(["pg_ctlcluster", version, cluster, "start"], check=True)
    name = f"maskcls_test_{os.getpid()}"

    def sql(text: str) -> None:
        words = ["runuser", "-u", "postgres", "--", "psql", "-q", "-p", port, "-c", text]
        subprocess.run(words, check=True, capture_output=True, cwd="/")

    sql(f"CREATE ROLE {name} LOGIN PASSWORD 'secret'")
    sql(f"CREATE DATABASE {name} OWNER {name}")
    yield f"postgresql+psycopg://{name}:secret@localhost:{port}/{name}"
    sql(f"DROP DATABASE {name} WITH (FORCE)")
    sql(f"DROP ROLE {name}")
    if state == "down":
        subprocess.run(["pg_ctlcluster", version, cluster, "stop", "-m", "fast"], check=True)


@pytest.mark.slow
def test_four_workers_on_postgresql_two_of_them_killed(tmp_path: Path, postgres: str) -> None:
    search_with_kills(tmp_path / "s", postgres)
    assert "secret" not in (tmp_path / "s" / "study.json").read_text()


@pytest.mark.parametrize(
    ("visible", "gpus", "expected"),
    [("4,GPU-7", 2, ["4", "GPU-7"]), (None, 2, ["0", "1"]), (None, 0, ["none", "none"]), ("3,-1", 1, ["3", "3"])],
)
def test_each_worker_has_a_gpu_in_turn_and_so_has_its_replacement(
    visible: str | None, gpus: int, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(workers, "POLL_S", 0.05)
    run_workers(2, seen, [tmp_path, expected[1]], lambda: None, gpus)
    ended = [path for path in sorted(tmp_path.iterdir()) if not path.name.startswith("begun")]
    assert [path.name.split()[0] for path in ended] == expected
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == visible
    if len(workers._processor_shares(2)) == 2:
        assert sorted(path.read_text() for path in ended) == sorted(map(str, map(list, workers._processor_shares(2))))


def test_the_error_of_a_worker_ends_all(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="the disk is full"):
        run_workers(1, fails, ["error"], lambda: None)


@pytest.mark.slow
def test_a_bug_of_a_worker_is_raised_with_its_traceback() -> None:
    with pytest.raises(workers.WorkerBugError, match="strange"):
        run_workers(1, fails, ["bug"], lambda: None)


@pytest.mark.slow
def test_workers_that_are_killed_again_and_again_end_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "MOST_DEATHS", 1)
    with pytest.raises(ResourceError, match="killed again and again"):
        run_workers(1, fails, ["kill"], lambda: None)
