"""Which measurements are kept, and when they are made again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from compute_fakes import CPU, HALF_LAST, LAST, PLAIN, quiet, timed, untimed, work
from photos import small_network
from tiny import tiny

from maskcls.engine.compute import remembered
from maskcls.engine.compute.candidates import Candidate
from maskcls.engine.compute.choose import choose, choose_thoroughly, infer_execution
from maskcls.engine.compute.plan import Plan
from maskcls.files import with_digest

OPEN = ("device.memory_format=auto", "device.threads=2")
# On two threads in training, on one in prediction, where each core computes its own batches.
PLAIN_WINS = {Candidate(way, threads): s for way, s in ((LAST, 0.04), (PLAIN, 0.02)) for threads in (1, 2)}
LAST_WINS = PLAIN_WINS | {Candidate(LAST, threads): 0.016 for threads in (1, 2)}


def files(cache: Path) -> list[Path]:
    return sorted(cache.rglob("*.json"))


def plan(*words: str, **changes: Any) -> Plan:
    return choose(work(**changes), tiny(*(words or OPEN)), CPU).plan


def test_what_was_measured_is_used_the_second_time(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = timed(monkeypatch, PLAIN_WINS)
    first = choose(work(), tiny(*OPEN), CPU)
    assert (first.plan.train, first.plan.infer) == (PLAIN, PLAIN)
    assert {one.threads for one in times.candidates(train=True)} == {2}
    assert {one.threads for one in times.candidates(train=False)} == {1}
    assert len(files(cache)) == 2  # of training, and of prediction
    untimed(monkeypatch)
    assert choose(work(), tiny(*OPEN), CPU) == first


def test_a_measurement_on_a_busy_machine_is_made_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is noted as busy and used once; the first quiet one replaces it and is kept."""
    timed(monkeypatch, PLAIN_WINS)
    quiet(monkeypatch, 0.5)
    assert plan().train == PLAIN
    assert [json.loads(file.read_text())["busy"] for file in files(cache)] == [True, True]
    timed(monkeypatch, LAST_WINS)
    assert plan().train == LAST
    assert [json.loads(file.read_text())["busy"] for file in files(cache)] == [False, False]
    untimed(monkeypatch)
    assert plan().train == LAST


def test_rounds_that_differ_much_are_measured_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uneven = {candidate: [seconds, 2 * seconds, seconds] for candidate, seconds in PLAIN_WINS.items()}
    timed(monkeypatch, uneven)
    plan()
    timed(monkeypatch, LAST_WINS)
    assert plan().train == LAST


def test_a_longer_training_measures_what_a_shorter_one_had_no_time_for(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed(monkeypatch, PLAIN_WINS)
    assert plan(images=10, predicted=10).train == LAST
    untimed(monkeypatch)
    assert plan(images=15, predicted=15).train == LAST  # 1.5 times as long is about as long
    timed(monkeypatch, PLAIN_WINS)
    assert plan(images=10**6, predicted=10**6).train == PLAIN
    untimed(monkeypatch)
    assert plan(images=10, predicted=10).train == PLAIN  # complete, so good for every length
    assert plan(images=10**9, predicted=10**9, jobs=1).train == PLAIN


def test_measuring_thoroughly_measures_again_and_remembers(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timed(monkeypatch, PLAIN_WINS)
    plan()
    timed(monkeypatch, LAST_WINS)
    choice = choose_thoroughly(work(), tiny(*OPEN), CPU)
    assert (choice.plan.train, choice.plan.infer) == (LAST, LAST)
    for measured, threads in ((choice.train, 2), (choice.infer, 1)):
        speeds = {one: measured.speed(one) for one in measured.timings}
        assert speeds == pytest.approx({Candidate(LAST, threads): 2000, Candidate(PLAIN, threads): 1600})
    untimed(monkeypatch)
    assert plan() == choice.plan
    assert len(files(cache)) == 2


def test_prediction_alone_remembers_too(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is timed is what is done: a batch on one thread, however many there are."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    times = timed(monkeypatch, {Candidate(LAST, 1): 0.04, Candidate(PLAIN, 1): 0.02})
    assert infer_execution(work(), tiny(*OPEN), CPU) == PLAIN
    assert times.candidates(train=True) == []
    assert len(files(cache)) == 1
    untimed(monkeypatch)
    assert infer_execution(work(), tiny(*OPEN), CPU) == PLAIN


def test_prediction_alone_keeps_to_the_rule(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("device.precision=auto", "device.threads=2")
    timed(monkeypatch, {Candidate(LAST, 1): 0.065, Candidate(HALF_LAST, 1): 0.060})
    assert infer_execution(work(), tiny(*words), CPU) == LAST
    for file in files(cache):
        file.unlink()
    timed(monkeypatch, {Candidate(LAST, 1): 0.065, Candidate(HALF_LAST, 1): 0.059})
    assert infer_execution(work(), tiny(*words), CPU) == HALF_LAST


@pytest.mark.parametrize(
    "damage",
    [
        *(b"", b"{", b"[]", b"{}", b'{"busy": false, "complete": true, "timed_batch": 8, "stages": []}'),
        *(b'{"busy": false, "complete": true, "timed_batch": 8, "stages": [%s]}' % rows for rows in (b"3", b"[]")),
        b'{"busy": false, "complete": true, "timed_batch": 8, "stages": [[{"threads": 1}]]}',
        b'{"complete": true, "timed_batch": 8, "stages": [[]]}',
    ],
)
def test_a_damaged_file_is_measured_again(cache: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes) -> None:
    timed(monkeypatch, LAST_WINS)
    plan()
    for file in files(cache):
        file.write_bytes(damage)
    timed(monkeypatch, PLAIN_WINS)
    assert plan().train == PLAIN
    assert all("stages" in json.loads(file.read_text()) for file in files(cache))
    untimed(monkeypatch)
    assert plan().train == PLAIN


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *[("seconds", [bad, 0.1, 0.1]) for bad in (-1.0, 0.0, 1e999, 10**400, "nonsense", None)],
        *[("threads", bad) for bad in (0, -1, 64, 1.5, "two")],
        *(("execution", {"precision": "fp99", "memory_format": "channels_last", "compile": False}), ("execution", {})),
        *[("timed_batch", bad) for bad in (0, 1.5, "8", None)],
        ("complete", "yes"),
    ],
)
def test_a_measurement_that_cannot_be_is_made_again(
    cache: Path, monkeypatch: pytest.MonkeyPatch, key: str, value: object
) -> None:
    timed(monkeypatch, LAST_WINS)
    assert plan().train == LAST
    for file in files(cache):
        kept = json.loads(file.read_text())
        rows = [row for stage in kept["stages"] for row in stage]
        for place in [kept] if key in kept else rows:
            place[key] = value
        file.write_text(json.dumps(with_digest(kept)))
    timed(monkeypatch, PLAIN_WINS)
    assert plan().train == PLAIN


def test_a_changed_measurement_is_made_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seconds are possible ones, but not those that were measured."""
    timed(monkeypatch, LAST_WINS)
    assert plan().train == LAST
    for file in files(cache):
        kept = json.loads(file.read_text())
        for row in (row for stage in kept["stages"] for row in stage):
            row["seconds"] = [second * 2 for second in row["seconds"]]
        file.write_text(json.dumps(kept))
    timed(monkeypatch, PLAIN_WINS)
    assert plan().train == PLAIN


def test_nothing_is_written_where_that_is_not_wanted(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timed(monkeypatch, PLAIN_WINS)
    assert choose(work(), tiny(*OPEN), CPU, remember=False).plan.train == PLAIN
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_stops_nothing(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("in the way")
    timed(monkeypatch, PLAIN_WINS)
    assert plan().train == PLAIN


def test_a_user_without_a_home_has_everything_measured_every_time(
    fixed_cores: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("MASKCLS_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", unknown)
    for seconds, want in ((PLAIN_WINS, PLAIN), (LAST_WINS, LAST)):
        timed(monkeypatch, seconds)
        assert plan().train == want


@pytest.mark.parametrize(
    "changes",
    [{"batch": 64}, {"size": (48, 36)}, {"name": "other"}, {"network": small_network({"mask": 3, "age": 3})}],
)
def test_other_work_is_measured_for_itself(
    cache: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    timed(monkeypatch, PLAIN_WINS)
    plan()
    timed(monkeypatch, LAST_WINS)
    assert plan(**changes).train == LAST
    assert len(files(cache)) == 4


@pytest.mark.parametrize("what", ["torch", "cores", "processor", "waiting", "format"])
def test_another_machine_is_measured_for_itself(cache: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    timed(monkeypatch, PLAIN_WINS)
    plan()
    if what == "torch":
        monkeypatch.setattr(torch, "__version__", "99.0")
    elif what == "cores":
        monkeypatch.setattr(remembered, "cores", lambda: 16)
    elif what == "processor":
        monkeypatch.setattr(remembered, "processor", lambda: "another")
    elif what == "format":
        monkeypatch.setattr(remembered, "FORMAT", 99)
    else:
        monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE" if remembered.os.environ.get("OMP_WAIT_POLICY") else "PASSIVE")
    timed(monkeypatch, LAST_WINS)
    assert plan().train == LAST
