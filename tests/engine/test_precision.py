"""How the machine is measured: what is tried, what is chosen from it, what is remembered."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from maskcls.engine.precision import Way, Work, executions, explain, measure, plan, thread_counts
from photos import small_network
from tiny import tiny
from torch import nn

from maskcls.engine import precision
from maskcls.engine.compute.plan import Execution, Plan
from maskcls.errors import ConfigError, ResourceError
from maskcls.nn.network import Network
from maskcls.schema import Config
from maskcls.training.experiment import Member
from maskcls.training.plans import fresh_network

CPU, CUDA, MPS = torch.device("cpu"), torch.device("cuda"), torch.device("mps")
AUTO = ("device.precision=auto", "device.memory_format=auto", "device.threads=auto")
LAST, PLAIN = Execution("fp32", "channels_last"), Execution("fp32", "contiguous")
HALF_LAST, HALF_PLAIN = Execution("bf16", "channels_last"), Execution("bf16", "contiguous")


def work(**changes: Any) -> Work:
    """Return a small task: 32 images of 24 x 18 a step, two folds."""
    made = Work("small", small_network({"mask": 3}), (24, 18), batch=32, images=1000, jobs=2)
    return replace(made, **changes)


class Clock:
    """Stands in for the stopwatch: seconds of a pass by way, at the batch of 8 and at any other."""

    def __init__(self, seconds: Mapping[Way, float], small: Mapping[Way, float] | None = None) -> None:
        self.seconds, self.small = seconds, small or seconds
        self.asked: list[tuple[tuple[Way, ...], int, bool]] = []

    def rounds(
        self, work: Work, ways: Sequence[Way], batch: int, device: torch.device, *, train: bool
    ) -> dict[Way, list[float]]:
        self.asked.append((tuple(ways), batch, train))
        table = self.small if batch == 8 else self.seconds
        return {way: [2 * table[way], table[way], 3 * table[way]] for way in ways}


@pytest.fixture
def fixed_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight cores and ample memory, whatever this machine has."""
    monkeypatch.setattr(precision, "cores", lambda: 8)
    monkeypatch.setattr(precision, "available_bytes", lambda: 1 << 40)


def clocked(monkeypatch: pytest.MonkeyPatch, *args: Any) -> Clock:
    clock = Clock(*args)
    monkeypatch.setattr(precision, "_rounds", clock.rounds)
    return clock


def no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        pytest.fail("something was measured")

    monkeypatch.setattr(precision, "_rounds", refuse)


# ---- what is tried ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "device", "want"),
    [
        ((), CPU, [LAST]),  # the tiny recipe leaves nothing open
        (("device.precision=bf16", "device.memory_format=contiguous"), CPU, [HALF_PLAIN]),
        (("device.memory_format=auto",), CPU, [LAST, PLAIN]),
        (("device.precision=auto",), CPU, [LAST, HALF_LAST]),
        (AUTO, CPU, [LAST, PLAIN, HALF_LAST, HALF_PLAIN]),
        (AUTO, MPS, [LAST, PLAIN]),
        (("device.precision=fp16",), CUDA, [Execution("fp16", "channels_last")]),
    ],
)
def test_what_is_asked_for_is_tried_alone(words: tuple[str, ...], device: torch.device, want: list[Execution]) -> None:
    assert executions(tiny(*words), device) == want


@pytest.mark.parametrize("supported", [True, False])
def test_a_gpu_without_bf16_is_not_tried_with_it(monkeypatch: pytest.MonkeyPatch, supported: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: supported)
    found = executions(tiny(*AUTO), CUDA)
    assert found == [LAST, PLAIN, HALF_LAST, HALF_PLAIN][: 4 if supported else 2]


@pytest.mark.parametrize(
    ("cores", "jobs", "processes", "words", "want"),
    [
        (8, 5, 1, (), [8, 4, 1]),  # all, half, and the share of each of five folds
        (8, 2, 1, (), [8, 4]),
        (8, 1, 1, (), [8, 4]),
        (2, 5, 1, (), [2, 1]),
        (3, 1, 1, (), [3]),
        (1, 5, 1, (), [1]),
        (8, 1, 4, (), [2]),  # each process has its part of the cores
        (2, 1, 4, (), [1]),
        (8, 5, 1, ("train.fold_jobs=2",), [4]),
        (8, 2, 1, ("train.fold_jobs=4",), [4]),  # there are but two folds
        (8, 5, 1, ("train.fold_jobs=1",), [8]),
        (8, 5, 1, ("device.threads=3",), [3]),
        (8, 5, 1, ("device.threads=3", "train.fold_jobs=2"), [3]),
    ],
)
def test_numbers_of_threads(
    monkeypatch: pytest.MonkeyPatch, cores: int, jobs: int, processes: int, words: tuple[str, ...], want: list[int]
) -> None:
    monkeypatch.setattr(precision, "cores", lambda: cores)
    assert thread_counts(tiny("device.threads=auto", *words), CPU, jobs, processes) == want


def test_beside_a_gpu_the_threads_are_left_as_they_are() -> None:
    assert thread_counts(tiny("device.threads=auto"), CUDA, 5, 1) == [torch.get_num_threads()]


# ---- what is measured ------------------------------------------------------------------------------------------------


def test_ways_far_behind_on_a_small_batch_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = [Way(execution, 2) for execution in (LAST, PLAIN, HALF_LAST, HALF_PLAIN)]
    small = dict(zip(ways, (0.10, 0.17, 0.171, 9.0), strict=True))  # 1.7 times the best is just kept
    real = dict(zip(ways, (0.8, 0.4, 0.1, 0.1), strict=True))
    clock = clocked(monkeypatch, real, small)
    speeds = measure(work(), ways, 32, CPU, train=True)
    assert speeds == pytest.approx({ways[0]: 40, ways[1]: 80})  # 32 images in 0.8 s and in 0.4 s
    assert clock.asked == [(tuple(ways), 8, True), (tuple(ways[:2]), 32, True)]


def test_a_batch_below_the_small_one_is_tried_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = [Way(LAST, 1), Way(PLAIN, 1)]
    clock = clocked(monkeypatch, {ways[0]: 0.25, ways[1]: 0.2})
    assert measure(work(), ways, 4, CPU, train=False) == pytest.approx({ways[0]: 16, ways[1]: 20})
    assert [(batch, train) for _, batch, train in clock.asked] == [(4, False), (4, False)]


def test_numbers_of_threads_are_compared_for_the_best_way_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = [Way(execution, threads) for execution in (LAST, PLAIN) for threads in (8, 4, 1)]
    seconds = dict(zip(ways, (0.32, 0.1, 0.1, 0.2, 0.1, 0.8), strict=True))
    clock = clocked(monkeypatch, seconds)
    speeds = measure(work(), ways, 32, CPU, train=True)
    assert speeds == pytest.approx({Way(LAST, 8): 100, Way(PLAIN, 8): 160, Way(PLAIN, 4): 320, Way(PLAIN, 1): 40})
    # The best once more beside the other numbers of threads, so that their times were taken in turn.
    assert clock.asked[-1][0] == (Way(PLAIN, 8), Way(PLAIN, 4), Way(PLAIN, 1))


def test_a_device_holds_one_way_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = [Way(LAST, 1), Way(PLAIN, 1)]
    clock = clocked(monkeypatch, {ways[0]: 0.25, ways[1]: 0.2})
    measure(work(), ways, 8, CUDA, train=True)
    assert [found for found, _, _ in clock.asked] == [(ways[0],), (ways[1],)] * 2


def test_a_real_pass_is_timed_on_its_threads_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first round, which pays for kernels and memory, is thrown away."""
    seen: list[tuple[int, bool, str, bool]] = []
    task = work()

    def watch(network: nn.Module, args: tuple[torch.Tensor]) -> None:
        last = args[0].is_contiguous(memory_format=torch.channels_last)
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32
        seen.append((torch.get_num_threads(), network.training, str(dtype), last))

    before = {name: value.clone() for name, value in task.network.state_dict().items()}
    task.network.register_forward_pre_hook(watch)
    ways = [Way(LAST, 1), Way(HALF_PLAIN, 2)]
    threads = torch.get_num_threads()
    times = precision._rounds(task, ways, 4, CPU, train=True)
    assert torch.get_num_threads() == threads
    assert [len(times[way]) for way in ways] == [precision.ROUNDS] * 2
    assert min(t for way in ways for t in times[way]) > 0
    once = [(1, True, "torch.float32", True), (2, True, "torch.bfloat16", False)]
    assert seen == once * (precision.ROUNDS + 1)
    after = task.network.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert all(p.grad is None for p in task.network.parameters())
    seen.clear()
    precision._rounds(task, [Way(LAST, 1)], 4, CPU, train=False)
    assert {training for _, training, _, _ in seen} == {False}


# ---- what is chosen --------------------------------------------------------------------------------------------------


def chosen_jobs(words: tuple[str, ...], speeds: Mapping[Way, float], processes: int = 1, **changes: Any) -> Any:
    task = work(**{"jobs": 5, "images": 60_000, **changes})
    best = max(speeds, key=speeds.__getitem__)
    return precision.fold_jobs(task, tiny(*words), CPU, best, speeds, task.batch, processes)


def test_folds_side_by_side_where_that_is_faster(fixed_cores: None) -> None:
    """8 cores. Serial, five folds cost 5 / 100 = 0.05 a training image; side by side they cost 1 / (v * 0.9)."""
    all_cores, half, one = (Way(LAST, threads) for threads in (8, 4, 1))
    slow = {Way(PLAIN, 1): 10.0}  # another execution has no say
    assert chosen_jobs((), {all_cores: 100.0, half: 90.0, one: 23.0} | slow) == (5, 1)  # 0.0483
    assert chosen_jobs((), {all_cores: 100.0, half: 90.0, one: 22.0} | slow) == (1, 8)  # 0.0505
    assert chosen_jobs((), {all_cores: 90.0, half: 100.0, one: 22.0}) == (1, 4)
    # Two at a time on 4 threads: three rounds, 3 / (60 * 0.9) = 0.056 against 0.05; at 70 they are 0.048.
    assert chosen_jobs((), {all_cores: 100.0, half: 60.0}) == (1, 8)
    assert chosen_jobs((), {all_cores: 100.0, half: 70.0}) == (2, 4)


def test_a_short_training_is_not_worth_a_process(fixed_cores: None) -> None:
    speeds = {Way(LAST, 8): 100.0, Way(LAST, 1): 90.0}
    assert chosen_jobs((), speeds, images=5_999) == (1, 8)  # a second below a minute
    assert chosen_jobs((), speeds, images=6_000) == (5, 1)


def test_the_number_of_jobs_as_asked(fixed_cores: None) -> None:
    speeds = {Way(LAST, 4): 100.0}
    assert chosen_jobs(("train.fold_jobs=2",), speeds, images=1) == (2, 4)
    assert chosen_jobs(("train.fold_jobs=9",), speeds, jobs=3) == (3, 4)
    assert chosen_jobs(("train.fold_jobs=1",), {Way(LAST, 8): 100.0, Way(LAST, 1): 99.0}) == (1, 8)


@pytest.mark.parametrize("words", [(), ("train.fold_jobs=2",)])
def test_neither_one_fold_nor_several_processes_are_shared_out(fixed_cores: None, words: tuple[str, ...]) -> None:
    speeds = {Way(LAST, 8): 100.0, Way(LAST, 1): 99.0}
    assert chosen_jobs(words, speeds, processes=2) == (1, 8)
    assert chosen_jobs(words, speeds, jobs=1) == (1, 8)


@pytest.mark.parametrize(
    ("twice", "free", "want"),
    [
        (1.2, 100, 3),  # twice the images for a fifth more time: room for another, at most three
        (1.3, 100, 1),
        (1.2, 4, 2),  # 0.6 of 4 is 2.4 times the peak of 1
        (1.2, 1, 1),
    ],
)
def test_folds_share_a_gpu_that_a_step_leaves_idle(
    monkeypatch: pytest.MonkeyPatch, twice: float, free: int, want: int
) -> None:
    best = Way(LAST, 1)
    monkeypatch.setattr(
        precision, "_seconds", lambda work, ways, batch, *_, **__: {best: 1.0 if batch == 32 else twice}
    )
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (free, free))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 1)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: None)
    task = work(jobs=5, images=10**6)
    assert precision.fold_jobs(task, tiny(), CUDA, best, {best: 100.0}, 32, 1) == (want, 1)


@pytest.mark.parametrize(("asked", "want"), [("on", True), ("off", False), ("auto", False)])
def test_compiling_is_as_asked_and_on_a_cpu_never_unasked(asked: str, want: bool) -> None:
    found = precision._compiled(work(images=10**9), tiny(f"device.compile={asked}"), CPU, HALF_PLAIN, 1.0)
    assert found == Execution("bf16", "contiguous", compile=want)


@pytest.mark.parametrize(
    ("images", "seconds", "want"),
    [
        (60_000, [50.0, 0.2, 0.2, 0.2], True),  # 60,000 at 160/s and 50 s to compile: 425 s against 600 s
        (60_000, [300.0, 0.2, 0.2, 0.2], False),
        (59_999, [0.0, 0.01, 0.01, 0.01], False),  # over before ten minutes: not even tried
    ],
)
def test_a_long_training_on_a_gpu_is_compiled_where_that_pays(
    monkeypatch: pytest.MonkeyPatch, images: int, seconds: list[float], want: bool
) -> None:
    now, passes = [0.0], iter(seconds)

    class Trial:
        def __init__(self, work: Work, way: Way, *args: Any, **kwargs: Any) -> None:
            assert way.execution.compile

        def run(self) -> float:
            now[0] += (taken := next(passes))
            return taken

    monkeypatch.setattr(precision, "_Trial", Trial)
    monkeypatch.setattr(precision.time, "monotonic", lambda: now[0])
    found = precision._compiled(work(images=images), tiny(), CUDA, LAST, 100.0)
    assert found == replace(LAST, compile=want)


# ---- what fits into memory -------------------------------------------------------------------------------------------


def test_what_a_step_keeps_grows_with_its_images() -> None:
    """One convolution, a norm, a rectifier, a mean: by hand what each image keeps for the way back, at the least."""
    few, more, most = (precision._kept_bytes(work(), n) for n in (2, 4, 8))
    assert most - more == 2 * (more - few)
    image = 3 * 24 * 18 * 4
    after = 4 * 11 * 8 * 4  # a 3 x 3 convolution of stride 2
    assert (more - few) / 2 >= image + after


def kept(monkeypatch: pytest.MonkeyPatch, *, base: int, image: int, free: float) -> None:
    monkeypatch.setattr(precision, "_kept_bytes", lambda work, batch: base + image * batch)
    monkeypatch.setattr(precision, "available_bytes", lambda: free)
    monkeypatch.setattr(precision, "MEMORY_SHARE", 0.5)


@pytest.mark.parametrize(
    ("free", "processes", "want"),
    [
        (2 * (100 + 10 * 32), 1, 1),
        (2 * (100 + 10 * 32) - 1, 1, 2),
        (2 * (100 + 10 * 8), 1, 4),
        (2 * 2 * (100 + 10 * 8), 2, 2),  # a process has half of the step, and half of the memory
        (2 * 2 * (100 + 10 * 8) - 1, 2, 4),
        (2 * (100 + 10 * 2), 1, 16),
    ],
)
def test_a_step_is_halved_until_it_fits(monkeypatch: pytest.MonkeyPatch, free: int, processes: int, want: int) -> None:
    kept(monkeypatch, base=100, image=10, free=free)
    task = tiny("train.accumulate=auto")
    assert precision.pieces(work(), task, CPU, LAST, processes) == want


@pytest.mark.parametrize(
    ("words", "folds", "want"),
    [
        (("train.fold_jobs=1",), 5, 1),
        (("train.fold_jobs=2",), 5, 2),  # half of the memory for each
        (("train.fold_jobs=3",), 5, 4),
        (("train.fold_jobs=3",), 2, 2),  # there are but two
        ((), 5, 1),  # the number is chosen later, by what is left
    ],
)
def test_folds_side_by_side_share_the_memory(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], folds: int, want: int
) -> None:
    """Memory for one step of 32 images, for two of 16, for three of 11 and so of 8."""
    kept(monkeypatch, base=0, image=10, free=2 * 10 * 32)
    assert precision.pieces(work(jobs=folds), tiny(*words), CPU, LAST, 1) == want


@pytest.mark.parametrize(("free", "want"), [(5, 5), (4.99, 4), (2.5, 2), (1.9, 1), (0.5, 1)])
def test_no_more_folds_side_by_side_than_there_is_memory_for(
    fixed_cores: None, monkeypatch: pytest.MonkeyPatch, free: float, want: int
) -> None:
    """Eight cores, one thread as fast as all of them: five folds at a time, if each finds room for its step."""
    kept(monkeypatch, base=100, image=10, free=2 * free * (100 + 10 * 32))
    assert chosen_jobs((), {Way(LAST, 8): 100.0, Way(LAST, 1): 99.0})[0] == want


@pytest.mark.parametrize(("jobs", "free", "want"), [(1, 1, True), (2, 4, True), (2, 3, False), (3, 4, False)])
def test_folds_side_by_side_share_a_gpu_s_memory(
    monkeypatch: pytest.MonkeyPatch, jobs: int, free: int, want: bool
) -> None:
    """0.6 of 4 is 2.4 times the peak of 1."""

    class Trial:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        def run(self) -> float:
            return 1.0

    monkeypatch.setattr(precision, "_Trial", Trial)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: None)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (free, free))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 1)
    sharing = precision.sharing(work(jobs=5), tiny(f"train.fold_jobs={jobs}"), CUDA, 1)
    assert precision._fitting(work(), CUDA, LAST, sharing)(32) is want
    assert precision.sharing(work(jobs=5), tiny(), CUDA, 8) == 1  # a GPU each


@pytest.mark.parametrize("batch", [1, 2, 3, 4, 32])
def test_two_images_are_the_least_that_is_tried(monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    """A piece is filled up to two rows, so one image alone is never what must fit."""
    kept(monkeypatch, base=100, image=10, free=2 * (100 + 10 * 2) - 1)
    with pytest.raises(ResourceError, match="two images") as caught:
        precision.pieces(work(batch=batch), tiny(), CPU, LAST, 1)
    assert (caught.value.where, caught.value.exit_code) == ("small", 6)
    kept(monkeypatch, base=100, image=10, free=2 * (100 + 10 * 2))
    found = precision.pieces(work(batch=batch), tiny(), CPU, LAST, 1)
    assert found == {1: 1, 2: 1, 3: 2, 4: 2, 32: 16}[batch]


def test_a_gpu_is_tried_with_real_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[tuple[int, Execution]] = []

    class Trial:
        def __init__(self, work: Work, way: Way, batch: int, device: torch.device, *, train: bool) -> None:
            assert train
            tried.append((batch, way.execution))

        def run(self) -> float:
            if tried[-1][0] > 9:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return 1.0

    monkeypatch.setattr(precision, "_Trial", Trial)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    assert precision.pieces(work(batch=35), tiny(), CUDA, HALF_LAST, 1) == 4
    assert tried == [(35, HALF_LAST), (18, HALF_LAST), (9, HALF_LAST)]


def test_pieces_as_asked_are_not_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    kept(monkeypatch, base=100, image=10, free=0)
    assert precision.pieces(work(), tiny("train.accumulate=5"), CPU, LAST, 1) == 5


@pytest.mark.parametrize(("free", "want"), [(2 * (100 + 10 * 64), 64), (2 * (100 + 10 * 127), 64), (0, 2)])
def test_the_largest_batch_that_fits(monkeypatch: pytest.MonkeyPatch, free: int, want: int) -> None:
    kept(monkeypatch, base=100, image=10, free=free)
    assert precision.largest_batch(work(), CPU, LAST) == want


def test_the_memory_that_is_free_is_less_than_the_machine_has() -> None:
    import psutil

    assert 0 < precision.available_bytes() <= psutil.virtual_memory().total


# ---- what is remembered ----------------------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fixed_cores: None) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("MASKCLS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def real_processor() -> None:
    """Ask for the processor of this machine, or the one a test makes up."""


@pytest.fixture(autouse=True)
def a_processor_with_bf16(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the same ways to try on every machine."""
    if "real_processor" not in request.fixturenames:
        monkeypatch.setattr(precision, "processor_has_bf16", lambda: True)


OPEN = ("device.memory_format=auto", "device.threads=2")
# On two threads in training, on one in prediction, where each core computes batches of its own.
PLAIN_WINS = {Way(way, threads): seconds for way, seconds in ((LAST, 0.4), (PLAIN, 0.2)) for threads in (1, 2)}
LAST_WINS = PLAIN_WINS | {Way(LAST, threads): 0.16 for threads in (1, 2)}


def files(cache: Path) -> list[Path]:
    return sorted(cache.rglob("*.json"))


def test_what_was_measured_is_used_the_second_time(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = clocked(monkeypatch, PLAIN_WINS)
    first = plan(work(), tiny(*OPEN), CPU)
    assert (first[0].train, first[0].infer) == (PLAIN, PLAIN)
    assert {(way.threads, train) for ways, _, train in clock.asked for way in ways} == {(2, True), (1, False)}
    assert len(files(cache)) == 2  # of training, and of prediction
    no_clock(monkeypatch)
    assert plan(work(), tiny(*OPEN), CPU) == first


def test_comparing_measures_anew_and_remembers(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clocked(monkeypatch, PLAIN_WINS)
    plan(work(), tiny(*OPEN), CPU)
    clocked(monkeypatch, LAST_WINS)
    chosen, train, infer = precision.compare(work(), tiny(*OPEN), CPU)
    assert (chosen.train, chosen.infer) == (LAST, LAST)
    assert train == pytest.approx({Way(LAST, 2): 200, Way(PLAIN, 2): 160})
    assert infer == pytest.approx({Way(LAST, 1): 200, Way(PLAIN, 1): 160})
    no_clock(monkeypatch)
    assert plan(work(), tiny(*OPEN), CPU)[0] == chosen
    assert len(files(cache)) == 2


def test_prediction_remembers_too(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is timed is what is done: a batch on one thread, however many there are."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    clock = clocked(monkeypatch, {Way(LAST, 1): 0.4, Way(PLAIN, 1): 0.2})
    for _ in range(2):
        assert precision.infer_execution(work(), tiny(*OPEN), CPU) == PLAIN
    assert [train for _, _, train in clock.asked] == [False, False]  # a small batch, the real one, and no more
    assert len(files(cache)) == 1
    assert precision.infer_threads(CUDA) == 5  # a device has a queue of its own


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b"{}", b'{"measured": []}', b'{"measured": [3]}', b'{"measured": [{"threads": 1}]}']
)
def test_a_damaged_file_is_measured_anew(cache: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes) -> None:
    clocked(monkeypatch, LAST_WINS)
    plan(work(), tiny(*OPEN), CPU)
    for file in files(cache):
        file.write_bytes(damage)
    clocked(monkeypatch, PLAIN_WINS)
    assert plan(work(), tiny(*OPEN), CPU)[0].train == PLAIN
    assert all("measured" in json.loads(file.read_text()) for file in files(cache))
    no_clock(monkeypatch)
    assert plan(work(), tiny(*OPEN), CPU)[0].train == PLAIN


def test_nothing_is_written_where_that_is_not_wanted(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clocked(monkeypatch, PLAIN_WINS)
    assert plan(work(), tiny(*OPEN), CPU, remember=False)[0].train == PLAIN
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_stops_nothing(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("in the way")
    clocked(monkeypatch, PLAIN_WINS)
    assert plan(work(), tiny(*OPEN), CPU)[0].train == PLAIN


def test_a_user_without_a_home_has_everything_measured_every_time(
    fixed_cores: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("MASKCLS_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", unknown)
    for seconds, want in ((PLAIN_WINS, PLAIN), (LAST_WINS, LAST)):
        clocked(monkeypatch, seconds)
        assert plan(work(), tiny(*OPEN), CPU)[0].train == want


@pytest.mark.parametrize(
    "changes",
    [
        {"batch": 64},
        {"size": (48, 36)},
        {"name": "other"},
        {"network": small_network({"mask": 3, "age": 3})},
    ],
)
def test_other_work_is_measured_for_itself(
    cache: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    clocked(monkeypatch, PLAIN_WINS)
    plan(work(), tiny(*OPEN), CPU)
    clocked(monkeypatch, LAST_WINS)
    assert plan(work(**changes), tiny(*OPEN), CPU)[0].train == LAST
    assert len(files(cache)) == 4


@pytest.mark.parametrize("what", ["torch", "cores", "processor", "waiting"])
def test_another_machine_is_measured_for_itself(cache: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    clocked(monkeypatch, PLAIN_WINS)
    plan(work(), tiny(*OPEN), CPU)
    if what == "torch":
        monkeypatch.setattr(torch, "__version__", "99.0")
    elif what == "cores":
        monkeypatch.setattr(precision, "cores", lambda: 16)
    elif what == "processor":
        monkeypatch.setattr(precision, "processor", lambda: "another")
    else:
        monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE" if precision.os.environ.get("OMP_WAIT_POLICY") else "PASSIVE")
    clocked(monkeypatch, LAST_WINS)
    assert plan(work(), tiny(*OPEN), CPU)[0].train == LAST


def test_the_number_of_epochs_and_folds_is_no_new_measurement(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clocked(monkeypatch, PLAIN_WINS)
    plan(work(), tiny(*OPEN), CPU)
    no_clock(monkeypatch)
    assert plan(work(images=77, jobs=1), tiny(*OPEN), CPU)[0].train == PLAIN


# ---- the whole decision ----------------------------------------------------------------------------------------------


def test_where_nothing_is_left_open_nothing_is_measured(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_clock(monkeypatch)
    words = ("device.precision=bf16", "device.memory_format=contiguous", "device.threads=3", "device.compile=on")
    chosen, why = plan(work(), tiny(*words, "train.accumulate=4", "train.fold_jobs=2"), CPU)
    assert chosen == Plan(replace(HALF_PLAIN, compile=True), HALF_PLAIN, threads=3, accumulate=4, fold_jobs=2)
    assert why == (
        "small: trains in bf16 contiguous compiled on 3 thread(s), 2 folds side by side, "
        "a step in 4 pieces to fit into memory, each with batch statistics of its own; predicts in bf16 contiguous"
    )
    assert not cache.exists()
    _, why = plan(work(network=nn.Linear(1, 1)), tiny(*words, "train.accumulate=4", "train.fold_jobs=2"), CPU)
    assert "a step in 4 pieces to fit into memory; predicts" in why  # without BatchNorm the result is the same


@pytest.mark.parametrize(
    ("device", "words", "changes", "asked"),
    [
        (CPU, (), {}, True),  # two folds: one after the other, or side by side?
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
def test_the_only_way_is_timed_where_something_depends_on_it(
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    device: torch.device,
    words: tuple[str, ...],
    changes: dict[str, Any],
    asked: bool,
) -> None:
    """As in the tiny recipe, which fixes number format, memory format and threads."""
    clock = clocked(monkeypatch, {Way(LAST, 1): 0.4})
    speeds: list[float] = []
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    monkeypatch.setattr(precision, "pieces", lambda *_: 2)
    monkeypatch.setattr(precision, "_jobs_on_device", lambda *_: 2)

    def compiled(work: Work, cfg: Config, device: torch.device, execution: Execution, speed: float) -> Execution:
        speeds.append(speed)
        return execution

    monkeypatch.setattr(precision, "_compiled", compiled)
    plan(work(**changes), tiny(*words), device)
    assert clock.asked == ([((Way(LAST, 1),), 16, True)] if asked else [])  # half of a step, and no smaller batch
    assert speeds == [40.0 if asked else float("inf")]
    clock.asked.clear()
    plan(work(**changes), tiny(*words), device)
    assert clock.asked == []


def test_the_only_way_may_still_be_taken_side_by_side(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """8 cores, one thread a fold: five folds of 60,000 images at 80/s are trained at a time."""
    clocked(monkeypatch, {Way(LAST, 1): 0.4})
    assert plan(work(jobs=5, images=60_000), tiny(), CPU)[0].fold_jobs == 5
    assert plan(work(jobs=5, images=4_799), tiny(), CPU)[0].fold_jobs == 1  # over in a minute


def test_several_processes_train_no_folds_side_by_side(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_clock(monkeypatch)
    with pytest.raises(ConfigError, match="several processes") as caught:
        plan(work(), tiny("train.fold_jobs=2"), CPU, processes=4)
    assert (caught.value.where, caught.value.got) == ("train.fold_jobs", "2 with 4 processes")
    for words in ((), ("train.fold_jobs=1",)):
        assert plan(work(), tiny(*words), CPU, processes=4)[0].fold_jobs == 1
    assert plan(work(jobs=1), tiny("train.fold_jobs=2"), CPU, processes=4)[0].fold_jobs == 1


@pytest.mark.parametrize("words", [(), OPEN])
def test_comparing_times_even_the_only_way(
    cache: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    clocked(monkeypatch, LAST_WINS)
    _, train, infer = precision.compare(work(jobs=1), tiny(*words), CPU)
    assert list(train.values()) == list(infer.values()) == pytest.approx([200, 160] if words else [200])


def test_the_line_on_what_was_chosen() -> None:
    speeds = {Way(LAST, 8): 80.4, Way(PLAIN, 8): 160.0, Way(PLAIN, 1): 40.6}
    infer_speeds = {Way(LAST, 1): 512.0, Way(HALF_LAST, 1): 900.0}
    assert explain(work(), Plan(PLAIN, HALF_LAST, threads=8), speeds, infer_speeds) == (
        "small: trains in fp32 contiguous on 8 thread(s) (images/s: fp32 contiguous x8 160, fp32 channels_last x8 80, "
        "fp32 contiguous x1 41); predicts in bf16 channels_last (images/s: bf16 channels_last x1 900, "
        "fp32 channels_last x1 512)"
    )
    same = {Way(LAST, 8): 80.4, Way(PLAIN, 8): 160.0}
    assert "thread(s) (images/s: fp32 contiguous 160, fp32 channels_last 80);" in explain(
        work(), Plan(PLAIN, HALF_LAST, threads=8), same, infer_speeds
    )
    alone = {Way(LAST, 1): float("inf")}
    assert explain(work(), Plan(), alone, alone) == (
        "small: trains in fp32 channels_last on 1 thread(s); predicts in fp32 channels_last"
    )


def test_training_and_prediction_are_chosen_apart(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """8 cores and 2 folds: 8 threads or 4. The piece of a step, not the step, is what is timed."""
    ways = {Way(e, t) for e in (LAST, PLAIN, HALF_LAST, HALF_PLAIN) for t in (8, 4)}
    train = dict.fromkeys(ways, 0.5) | {Way(PLAIN, 8): 0.4, Way(PLAIN, 4): 0.3}
    clock = Clock(train)

    def rounds(work: Work, some: Sequence[Way], batch: int, device: torch.device, *, train: bool) -> Any:
        clock.seconds = clock.small = clock_of[train]
        return clock.rounds(work, some, batch, device, train=train)

    clock_of = {
        True: train,
        False: dict.fromkeys((Way(e, 1) for e in (LAST, PLAIN, HALF_PLAIN)), 0.5) | {Way(HALF_LAST, 1): 0.3},
    }
    monkeypatch.setattr(precision, "_rounds", rounds)
    chosen, _ = plan(work(), tiny(*AUTO, "train.accumulate=2"), CPU)
    assert chosen == Plan(PLAIN, HALF_LAST, threads=4, accumulate=2, fold_jobs=1)
    assert {batch for _, batch, _ in clock.asked} == {8, 16}
    assert {way.threads for ways, _, train in clock.asked for way in ways if not train} == {1}


def test_a_step_of_one_image_is_timed_as_the_two_it_is_filled_up_to(cache: Path) -> None:
    """Normalisation over a batch of one is undefined where the features are one pixel."""
    chosen, _ = plan(tiny_work("test_efficientnet", batch=1), tiny(*OPEN, "device.threads=1"), CPU)
    assert chosen.train in (LAST, PLAIN)


def tiny_work(backbone: str, **changes: Any) -> Work:
    cfg = tiny(f"model.backbone={backbone}")
    network: Network = fresh_network(Member("", 0, cfg), 0, 0)[0]
    return replace(Work(backbone, network, (32, 32), batch=8, images=100, jobs=2), **changes)


def test_a_real_network_is_measured_from_end_to_end(cache: Path) -> None:
    threads = torch.get_num_threads()
    chosen, why = plan(tiny_work("test_resnet"), tiny(*AUTO, "device.threads=1"), CPU)
    assert torch.get_num_threads() == threads
    assert chosen.train in (LAST, PLAIN, HALF_LAST, HALF_PLAIN)
    assert (chosen.threads, chosen.accumulate, chosen.fold_jobs) == (1, 1, 1)
    assert why.startswith(f"test_resnet: trains in {chosen.train} on {chosen.threads} thread(s)")
    assert "(images/s: " in why  # between them it says what predicts, where that is another way
    told = [json.loads(file.read_text()) for file in files(cache)]
    assert sorted(fact["train"] for fact in told) == [False, True]
    for fact in told:
        assert (fact["network"], fact["batch"], fact["size"], fact["device"]) == ("test_resnet", 8, [32, 32], "cpu")
        assert all(row["images_per_second"] > 0 for row in fact["measured"])
    best = max(next(f for f in told if f["train"])["measured"], key=lambda row: row["images_per_second"])
    assert (Execution(**best["execution"]), best["threads"]) == (chosen.train, chosen.threads)


def test_a_plan_survives_json() -> None:
    made = Plan(replace(HALF_PLAIN, compile=True), PLAIN, threads=3, accumulate=5, fold_jobs=7)
    assert Plan.from_json(json.loads(json.dumps(made.to_json()))) == made
    assert Plan.from_json(Plan().to_json()) == Plan()


@pytest.mark.parametrize(
    ("flags", "has"),
    [("avx2 avx512f", False), ("avx512f avx512_bf16", True), ("avx2 amx_bf16 amx_tile", True), ("asimd bf16", True)],
)
def test_bf16_is_tried_where_the_processor_has_it(
    flags: str, has: bool, monkeypatch: pytest.MonkeyPatch, real_processor: None
) -> None:
    monkeypatch.setattr(precision.Path, "read_text", lambda _: f"processor : 0\nflags : {flags}\n")
    assert precision.processor_has_bf16() is has
    tried = {way.precision for way in precision.executions(tiny("device.precision=auto"), CPU)}
    assert tried == ({"fp32", "bf16"} if has else {"fp32"})


def test_bf16_is_tried_where_nothing_is_known(monkeypatch: pytest.MonkeyPatch, real_processor: None) -> None:
    def none(_: Path) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(precision.Path, "read_text", none)
    assert precision.processor_has_bf16()
