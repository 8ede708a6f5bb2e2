"""The whole choice: what is timed at all, and what the plan says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from compute_fakes import AUTO, CPU, CUDA, HALF_LAST, HALF_PLAIN, LAST, LONG, MPS, PLAIN, timed, untimed, work
from tiny import tiny

from maskcls.engine.compute import choose as choosing
from maskcls.engine.compute.candidates import Candidate, Workload
from maskcls.engine.compute.choose import Listener, choose, choose_thoroughly
from maskcls.engine.compute.explain import explain_choice
from maskcls.engine.compute.plan import Execution, Plan
from maskcls.errors import ConfigError
from maskcls.nn.network import Network
from maskcls.schema import Config
from maskcls.training.experiment import Member
from maskcls.training.plans import fresh_network

OPEN = ("device.memory_format=auto", "device.threads=2")
EXACT_OR_NOT = ("device.precision=auto", "device.threads=2", "train.fold_jobs=1")


def test_where_nothing_is_left_open_nothing_is_timed(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    untimed(monkeypatch)
    words = ("device.precision=bf16", "device.memory_format=contiguous", "device.threads=3", "device.compile=on")
    choice = choose(work(), tiny(*words, "train.accumulate=4", "train.fold_jobs=2"), CPU)
    compiled = replace(HALF_PLAIN, compile=True)
    assert choice.plan == Plan(compiled, HALF_PLAIN, threads=3, accumulate=4, fold_jobs=2)
    assert not cache.exists()


@pytest.mark.parametrize(
    ("exact", "less", "want"),
    [
        (64 / 641, 64 / 650, LAST),
        (64 / 641, [64 / 720, 64 / 600, 64 / 720], LAST),
        (64 / 641, 64 / 706, HALF_LAST),
    ],
)
def test_a_less_exact_number_format_has_to_be_clearly_and_repeatedly_faster(
    cache: Path, monkeypatch: pytest.MonkeyPatch, exact: float, less: Any, want: Execution
) -> None:
    """In training and in prediction, by a real choice with hand-made seconds."""
    table = {Candidate(LAST, threads): exact for threads in (1, 2)}
    table |= {Candidate(HALF_LAST, threads): less for threads in (1, 2)}
    timed(monkeypatch, table)
    plan = choose(work(), tiny(*EXACT_OR_NOT), CPU).plan
    assert (plan.train, plan.infer) == (want, want)


@pytest.mark.parametrize(
    ("device", "words", "changes", "asked"),
    [
        (CPU, (), {}, True),  # two folds: one after the other, or at the same time?
        (CPU, (), {"jobs": 1}, False),
        (CPU, ("train.fold_jobs=1",), {}, False),
        (CPU, ("device.compile=on",), {"jobs": 1}, False),
        (CUDA, ("train.fold_jobs=2",), {}, True),  # to compile, or not to?
        (CUDA, (), {"jobs": 1}, True),
        (CUDA, ("train.fold_jobs=2", "device.compile=off"), {}, False),
        (CUDA, ("device.compile=off",), {}, True),
        (MPS, (), {}, False),
    ],
)
def test_the_only_candidate_is_timed_where_something_depends_on_its_speed(
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    device: torch.device,
    words: tuple[str, ...],
    changes: dict[str, Any],
    asked: bool,
) -> None:
    """As in the tiny recipe, which fixes number format, memory format and threads. Half of a step is what is timed."""
    times = timed(monkeypatch, {Candidate(LAST, 1): 0.4})
    speeds: list[float] = []
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    monkeypatch.setattr(choosing, "fewest_pieces", lambda *_: 2)
    monkeypatch.setattr("maskcls.engine.compute.side_by_side._jobs_on_device", lambda *_: 2)

    def compiled(work: Workload, cfg: Config, device: torch.device, execution: Execution, speed: float) -> Execution:
        speeds.append(speed)
        return execution

    monkeypatch.setattr(choosing, "compiled", compiled)
    choose(work(**changes), tiny(*words), device)
    assert times.candidates(train=True) == ([Candidate(LAST, 1)] if asked else [])
    assert times.batches(train=True) == ({16} if asked else set())
    assert times.candidates(train=False) == []
    assert speeds == [40.0 if asked else float("inf")]
    times.asked.clear()
    choose(work(**changes), tiny(*words), device)
    assert times.asked == []


def test_the_only_candidate_may_still_be_used_for_folds_at_the_same_time(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """8 cores, one thread per fold: five folds of 60,000 images at 80/s are trained at the same time."""
    timed(monkeypatch, {Candidate(LAST, 1): 0.4})
    assert choose(work(jobs=5, images=60_000), tiny(), CPU).plan.fold_jobs == 5
    assert choose(work(jobs=5, images=4_799), tiny(), CPU).plan.fold_jobs == 1  # over in a minute


def test_several_processes_train_no_folds_at_the_same_time(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    untimed(monkeypatch)
    with pytest.raises(ConfigError, match="several processes") as caught:
        choose(work(), tiny("train.fold_jobs=2"), CPU, processes=4)
    assert (caught.value.where, caught.value.got) == ("train.fold_jobs", "2 with 4 processes")
    for words in ((), ("train.fold_jobs=1",)):
        assert choose(work(), tiny(*words), CPU, processes=4).plan.fold_jobs == 1
    assert choose(work(jobs=1), tiny("train.fold_jobs=2"), CPU, processes=4).plan.fold_jobs == 1


@pytest.mark.parametrize("words", [(), OPEN])
def test_a_thorough_choice_times_even_the_only_candidate(
    cache: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    table = {Candidate(way, threads): s for way, s in ((LAST, 0.16), (PLAIN, 0.2)) for threads in (1, 2)}
    timed(monkeypatch, table)
    choice = choose_thoroughly(work(jobs=1), tiny(*words), CPU)
    for measured in (choice.train, choice.infer):
        speeds = [measured.speed(one) for one in measured.timings]
        assert speeds == pytest.approx([200, 160] if words else [200])


@pytest.mark.parametrize(
    ("images", "slow_s", "why"),
    [
        (100, 0.1, "all cores; not compared: the training is short"),
        (20_000, 0.1, ""),
        (20_000, 100.0, "all cores; not compared: measuring would take too long"),
    ],
)
def test_why_thread_counts_were_not_compared(
    cache: Path, monkeypatch: pytest.MonkeyPatch, images: int, slow_s: float, why: str
) -> None:
    """8 cores, two folds: 8 or 4 threads. A fold of 20,000 images at 160/s takes two minutes."""
    timed(monkeypatch, {Candidate(LAST, 8): 0.2 if slow_s < 1 else slow_s, Candidate(LAST, 4): slow_s})
    words = ("device.threads=auto", "device.memory_format=channels_last", "device.precision=fp32")
    choice = choose(work(images=images), tiny(*words), CPU)
    assert choice.threads == why
    assert (f" ({why})" in explain_choice(work(), choice)) == bool(why)
    assert choose(work(images=images), tiny("device.threads=8"), CPU).threads == ""


def test_training_and_prediction_are_chosen_separately(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """8 cores and 2 folds: 8 threads or 4, and at 4 there is room for both. A piece of a step is what is timed."""
    ways = [Candidate(e, t) for e in (LAST, PLAIN, HALF_LAST, HALF_PLAIN) for t in (8, 4)]
    train = dict.fromkeys(ways, 0.05) | {Candidate(PLAIN, 8): 0.04, Candidate(PLAIN, 4): 0.03}
    infer = {Candidate(e, 1): 0.05 for e in (LAST, PLAIN, HALF_PLAIN)} | {Candidate(HALF_LAST, 1): 0.03}
    times = timed(monkeypatch, train, infer)
    plan = choose(work(batch=96), tiny(*AUTO, "train.accumulate=2"), CPU).plan
    assert plan == Plan(PLAIN, HALF_LAST, threads=4, accumulate=2, fold_jobs=2)
    assert times.batches(train=True) == {16, 48}
    assert {one.threads for one in times.candidates(train=False)} == {1}


def test_what_is_measured_is_said_before_and_shown_meanwhile(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once measured there is nothing to wait for, and nothing to say."""
    timed(monkeypatch, {Candidate(e, t): 0.1 for e in (LAST, PLAIN) for t in (1, 2)})
    heard: list[str] = []
    listener = Listener(heard.append, lambda what, done, of: heard.append(f"{what} {done >= of}"))
    choose(work(), tiny(*OPEN), CPU, listener=listener)
    both = [f"timing small in {part}" for part in ("training", "prediction")]
    assert [line for line in heard if "candidates" in line] == [
        f"{both[0]}: up to 2 candidates, at most 15 s",
        f"{both[1]}: up to 2 candidates, at most 5 s",
    ]
    for what in both:
        assert heard.index(f"{what} False") > next(i for i, line in enumerate(heard) if line.startswith(f"{what}:"))
        assert heard.count(f"{what} True") == 1
    heard.clear()
    choose(work(), tiny(*OPEN), CPU, listener=listener)
    assert heard == []
    choose_thoroughly(work(), tiny(*OPEN), CPU, listener=listener)
    assert f"{both[0]}: 2 candidates on the real batch; this may take minutes" in heard


def small_work(backbone: str, **changes: Any) -> Workload:
    cfg = tiny(f"model.backbone={backbone}")
    network: Network = fresh_network(Member("", 0, cfg), 0, 0)[0]
    return replace(Workload(backbone, network, (32, 32), batch=8, images=100, predicted=100, jobs=2), **changes)


def test_a_step_of_one_image_is_timed_as_the_two_it_is_filled_up_to(cache: Path) -> None:
    """Normalisation over a batch of one is undefined where the features are one pixel."""
    plan = choose(small_work("test_efficientnet", batch=1), tiny(*OPEN, "device.threads=1"), CPU).plan
    assert plan.train in (LAST, PLAIN)


def test_a_real_network_is_measured_from_end_to_end(cache: Path) -> None:
    threads = torch.get_num_threads()
    task = small_work("test_resnet", images=LONG, predicted=LONG)
    choice = choose(task, tiny(*AUTO, "device.threads=1", "train.fold_jobs=1"), CPU)
    plan = choice.plan
    assert torch.get_num_threads() == threads
    assert plan.train in (LAST, PLAIN, HALF_LAST, HALF_PLAIN)
    assert (plan.threads, plan.accumulate, plan.fold_jobs) == (1, 1, 1)
    assert explain_choice(task, choice).startswith(f"chosen: {plan.train.precision}")
    kept = [json.loads(file.read_text()) for file in cache.rglob("*.json")]
    assert sorted(fact["train"] for fact in kept) == [False, True]
    for fact in kept:
        assert (fact["network"], fact["batch"], fact["size"], fact["device"]) == ("test_resnet", 8, [32, 32], "cpu")
        assert fact["timed_batch"] == 8
        rounds = [row["seconds"] for stage in fact["stages"] for row in stage]
        assert len(rounds) >= 2
        assert all(seconds > 0 for row in rounds for seconds in row)
