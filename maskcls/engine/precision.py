"""Which number format, memory format, number of threads and way of sharing the work are fastest here.

Measured on the real network and batch, since no rule holds: between networks, between training and inference, and
between processors the order changes, and the spread is two- to threefold. What was measured is remembered for this
machine, network and batch.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from maskcls import files
from maskcls.data.photos.cache_folder import cache_folder
from maskcls.data.rows.batches import MIN_PIECE
from maskcls.engine.device import place
from maskcls.engine.execution import Execution, Plan
from maskcls.errors import ConfigError, MaskclsError, ResourceError
from maskcls.machine import cores, processor
from maskcls.nn.network import Network
from maskcls.nn.optim import build_optimizer
from maskcls.schema import Config

SMALL_BATCH = 8
ROUNDS = 2
SLOWER = 1.7  # a way this much slower than the best on a small batch is not tried on the real one
SHARED = 0.9  # what is left of a process's speed when others use the memory too
LONG_S = 60.0  # a fold below this is over before a second process has started
COMPILED_S = 600.0  # a training below this is over before compiling has paid
MEMORY_SHARE = 0.6  # of the memory that is free, for what a step keeps
MOST_ON_DEVICE = 3
MOST_IMAGES = 65_536
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
UNFILLED = 1.25  # a step that takes at most this much longer for twice the images leaves a GPU idle


@dataclass(frozen=True)
class Way:
    """An execution on a number of threads."""

    execution: Execution
    threads: int


@dataclass(frozen=True)
class Work:
    """What is to be computed. images: that a fold's training passes in all; jobs: networks to train, one a fold."""

    name: str
    network: Network
    size: tuple[int, int]
    batch: int
    images: int
    jobs: int


def plan(
    work: Work, cfg: Config, device: torch.device, *, processes: int = 1, remember: bool = True
) -> tuple[Plan, str]:
    """Decide how a network is trained and used; returns the plan and a line on what was chosen, and why.

    Raises ResourceError when not even two images of a step fit into memory, ConfigError when several processes are to
    train folds side by side.
    """
    if processes > 1 and work.jobs > 1 and cfg.train.fold_jobs not in ("auto", 1):
        raise ConfigError(
            "several processes train one fold together, not folds side by side",
            where="train.fold_jobs",
            got=f"{cfg.train.fold_jobs} with {processes} processes",
            expected="auto or 1",
            fix="leave it out, or start one process",
        )
    chosen, speeds, infer_speeds = _decide(work, cfg, device, processes, anew=False, remember=remember)
    return chosen, explain(work, chosen, speeds, infer_speeds)


def compare(work: Work, cfg: Config, device: torch.device) -> tuple[Plan, dict[Way, float], dict[Way, float]]:
    """Measure anew, whatever is remembered: the plan, and images/s by way in training and in prediction."""
    return _decide(work, cfg, device, 1, anew=True, remember=True)


def _decide(
    work: Work, cfg: Config, device: torch.device, processes: int, *, anew: bool, remember: bool
) -> tuple[Plan, dict[Way, float], dict[Way, float]]:
    use = {"anew": anew, "remember": remember}
    counts = thread_counts(cfg, device, work.jobs, processes)
    ways = [Way(execution, threads) for execution, threads in product(executions(cfg, device), counts)]
    accumulate = pieces(work, cfg, device, ways[0].execution, processes)
    batch = _piece(work, processes * accumulate)
    alone = anew or _asks_for_speed(work, cfg, device, processes)
    speeds = _speeds(work, ways, batch, device, train=True, alone=alone, **use)
    best = max(speeds, key=speeds.__getitem__)
    jobs, threads = fold_jobs(work, cfg, device, best, speeds, batch, processes)
    train = _compiled(replace(work, batch=batch), cfg, device, best.execution, speeds[best])
    infer_ways = [Way(execution, infer_threads(device)) for execution in executions(cfg, device)]
    infer_speeds = _speeds(work, infer_ways, batch, device, train=False, alone=anew, **use)
    infer = max(infer_speeds, key=infer_speeds.__getitem__).execution
    return Plan(train, infer, threads, accumulate, jobs), speeds, infer_speeds


def _asks_for_speed(work: Work, cfg: Config, device: torch.device, processes: int) -> bool:
    """Tell whether something but the choice between ways depends on how fast they are."""
    shared_out = cfg.train.fold_jobs == "auto" and work.jobs > 1 and processes == 1 and device.type in ("cpu", "cuda")
    return shared_out or (cfg.device.compile == "auto" and device.type == "cuda")


def infer_execution(work: Work, cfg: Config, device: torch.device) -> Execution:
    """Decide how a network is used for prediction alone."""
    ways = [Way(execution, infer_threads(device)) for execution in executions(cfg, device)]
    speeds = _speeds(work, ways, work.batch, device, train=False)
    return max(speeds, key=speeds.__getitem__).execution


def infer_threads(device: torch.device) -> int:
    """Return the threads of one batch in prediction: on a CPU each core computes batches of its own."""
    return 1 if device.type == "cpu" else torch.get_num_threads()


def executions(cfg: Config, device: torch.device) -> list[Execution]:
    """Return the ways the configuration leaves open on this device; one where it leaves nothing open."""
    formats = ["channels_last", "contiguous"] if cfg.device.memory_format == "auto" else [cfg.device.memory_format]
    precisions = [cfg.device.precision]
    if cfg.device.precision == "auto":
        bf16 = (
            processor_has_bf16() if device.type == "cpu" else device.type == "cuda" and torch.cuda.is_bf16_supported()
        )
        precisions = ["fp32", "bf16"] if bf16 else ["fp32"]
    return [Execution(precision, layout) for precision, layout in product(precisions, formats)]


def processor_has_bf16() -> bool:
    """Tell whether bf16 is worth a trial on this CPU; one without instructions for it computes it by way of fp32."""
    try:
        words = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return True
    return any("bf16" in word for word in words)  # avx512_bf16, amx_bf16, bf16, svebf16


def thread_counts(cfg: Config, device: torch.device, jobs: int, processes: int) -> list[int]:
    """Return the numbers of threads to try, the largest first: all cores, half of them since two may be one core's,
    and the share of each of several folds side by side.
    """
    if cfg.device.threads != "auto":
        return [cfg.device.threads]
    if device.type != "cpu":
        return [torch.get_num_threads()]
    mine = max(1, cores() // processes)
    if cfg.train.fold_jobs != "auto":
        return [max(1, mine // min(jobs, cfg.train.fold_jobs))]
    return sorted({mine, mine // 2 if mine >= 4 else mine, max(1, mine // min(jobs, mine))}, reverse=True)


def pieces(work: Work, cfg: Config, device: torch.device, execution: Execution, processes: int) -> int:
    """Return into how many pieces a process cuts its share of a step so that it fits: the batch-size finder."""
    if cfg.train.accumulate != "auto":
        return cfg.train.accumulate
    fits = _fitting(work, device, execution, sharing(work, cfg, device, processes))
    if cfg.scored_by_step and not fits(_piece(work, processes)):
        raise ResourceError(
            "the f1 loss needs a whole step at a time, and it does not fit into memory",
            where=work.name,
            got=f"train.batch_size={work.batch}",
            fix="lower train.batch_size, or leave f1 out of the loss",
        )
    count = 1
    while not fits(batch := _piece(work, processes * count)):
        if batch == MIN_PIECE:
            raise ResourceError(
                "two images of a training step do not fit into memory",
                where=work.name,
                fix="choose a smaller network or a smaller transforms.size",
            )
        count *= 2
    return count


def sharing(work: Work, cfg: Config, device: torch.device, processes: int) -> int:
    """Return how many processes are known, before anything is measured, to need memory of one machine or GPU at a time.

    Several processes are taken to be on one machine, each with a GPU of its own if there are any.
    """
    if processes > 1:
        return processes if device.type == "cpu" else 1
    return 1 if cfg.train.fold_jobs == "auto" else min(cfg.train.fold_jobs, work.jobs)


def _piece(work: Work, parts: int) -> int:
    return max(MIN_PIECE, -(-work.batch // parts))


def largest_batch(work: Work, device: torch.device, execution: Execution) -> int:
    """Return the most images, as a power of two from 2 to 65536, that a training step can take at a time."""
    fits = _fitting(work, device, execution, 1)
    batch = MIN_PIECE
    while batch < MOST_IMAGES and fits(2 * batch):
        batch *= 2
    return batch


def _fitting(work: Work, device: torch.device, execution: Execution, among: int) -> Callable[[int], bool]:
    """Return a function that tells whether a step of so many images fits, with `among` processes of such steps.

    On a device by trying; on a CPU, which would begin to swap, by what short passes keep for their backward pass.
    """
    if device.type != "cpu":
        return lambda batch: _fits_device(work, batch, device, execution, among)
    room, needed = available_bytes() * MEMORY_SHARE / among, _step_bytes(work)
    return lambda batch: needed(batch) <= room


def _step_bytes(work: Work) -> Callable[[int], float]:
    """Return a function that tells what a step of so many images keeps, drawn on from two short passes."""
    few, more = (_kept_bytes(work, n) for n in (2, 4))
    return lambda batch: more + (more - few) / 2 * (batch - 4)


def _kept_bytes(work: Work, batch: int) -> int:
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    network = copy.deepcopy(work.network).train()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = network(torch.zeros(batch, 3, *work.size))
    del logits
    return sum(kept.values())


def _fits_device(work: Work, batch: int, device: torch.device, execution: Execution, among: int) -> bool:
    try:
        if among > 1 and device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        _Trial(work, Way(execution, torch.get_num_threads()), batch, device, train=True).run()
    except torch.OutOfMemoryError:
        return False
    finally:
        torch.cuda.empty_cache()
    return among == 1 or device.type != "cuda" or _device_room() >= among


def _device_room() -> float:
    """Return how many processes with the peak of memory just reached by this one have room on the GPU."""
    return torch.cuda.mem_get_info()[0] * MEMORY_SHARE / torch.cuda.max_memory_allocated()


def available_bytes() -> int:
    """Return the memory that is free for this process, by the kernel's estimate and the container's limit."""
    meminfo, group = Path("/proc/meminfo"), Path("/sys/fs/cgroup")
    if meminfo.exists():
        free = int(_numbers(meminfo)["MemAvailable:"]) << 10
    else:
        free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    limit = group / "memory.max"
    if limit.exists() and (text := limit.read_text().strip()).isdecimal():
        # Pages of files, such as the cache of photos, are given back when they are needed.
        used = int((group / "memory.current").read_text()) - _numbers(group / "memory.stat")["file"]
        free = min(free, max(0, int(text) - used))
    return free


def _numbers(table: Path) -> dict[str, int]:
    """Read lines of a name and a number."""
    return {words[0]: int(words[1]) for words in map(str.split, table.read_text().splitlines())}


def fold_jobs(
    work: Work,
    cfg: Config,
    device: torch.device,
    best: Way,
    speeds: Mapping[Way, float],
    batch: int,
    processes: int,
) -> tuple[int, int]:
    """Return how many folds to train side by side, and the threads of each.

    On a CPU, where one network does not keep all cores busy, each fold has a share of them; on a GPU, where a step
    leaves it idle, two or three share it. Never more than there is memory for.
    """
    asked = cfg.train.fold_jobs
    if processes > 1 or work.jobs == 1:
        return 1, best.threads
    if asked != "auto":
        return min(asked, work.jobs), best.threads
    if work.images / speeds[best] < LONG_S:
        return 1, best.threads
    if device.type != "cpu":
        return _jobs_on_device(work, best, batch, device), best.threads
    fewer = min((way for way in speeds if way.execution == best.execution), key=lambda way: way.threads)
    count = min(work.jobs, max(1, cores() // fewer.threads))
    if count > 1:
        count = max(1, min(count, int(available_bytes() * MEMORY_SHARE / _step_bytes(work)(batch))))
    serial, parallel = work.jobs / speeds[best], -(-work.jobs // count) / (speeds[fewer] * SHARED)
    return (count, fewer.threads) if parallel < serial else (1, best.threads)


def _jobs_on_device(work: Work, best: Way, batch: int, device: torch.device) -> int:
    if device.type != "cuda":
        return 1
    torch.cuda.reset_peak_memory_stats()
    try:
        once, twice = (_seconds(work, [best], n, device, train=True)[best] for n in (batch, 2 * batch))
    except torch.OutOfMemoryError:
        return 1
    if twice > once * UNFILLED:
        return 1
    # The larger batch's peak stands for one job: a process has a context and an allocator of its own.
    return max(1, min(work.jobs, MOST_ON_DEVICE, int(_device_room())))


def _compiled(work: Work, cfg: Config, device: torch.device, execution: Execution, speed: float) -> Execution:
    compiled = Execution(execution.precision, execution.memory_format, compile=True)
    if cfg.device.compile != "auto":
        return compiled if cfg.device.compile == "on" else execution
    if device.type != "cuda" or work.images / speed < COMPILED_S:
        return execution
    trial = _Trial(work, Way(compiled, torch.get_num_threads()), work.batch, device, train=True)
    started = time.monotonic()
    trial.run()
    cost = time.monotonic() - started
    fast = work.batch / min(trial.run() for _ in range(ROUNDS))
    return compiled if work.images / fast + cost < work.images / speed else execution


def explain(work: Work, chosen: Plan, speeds: Mapping[Way, float], infer_speeds: Mapping[Way, float]) -> str:
    """Say what was chosen and what else was measured, in one line."""
    train = f"{work.name}: trains in {chosen.train} on {chosen.threads} thread(s)"
    if chosen.fold_jobs > 1:
        train += f", {chosen.fold_jobs} folds side by side"
    if chosen.accumulate > 1:
        train += f", a step in {chosen.accumulate} pieces to fit into memory"
        if any(isinstance(module, BATCH_NORMS) for module in work.network.modules()):
            train += ", each with batch statistics of its own"
    tables = [_table(found, chosen.threads) for found in (speeds, infer_speeds)]
    return f"{train}{tables[0]}; predicts in {chosen.infer}{tables[1]}"


def _table(speeds: Mapping[Way, float], threads: int) -> str:
    """List what was measured; the threads where they are not those that were chosen for training."""
    if len(speeds) < 2:
        return ""
    several = {way.threads for way in speeds} != {threads}
    ranked = sorted(speeds.items(), key=lambda item: -item[1])
    named = [f"{way.execution}{f' x{way.threads}' if several else ''} {speed:.0f}" for way, speed in ranked]
    return f" (images/s: {', '.join(named)})"


def _speeds(
    work: Work,
    ways: Sequence[Way],
    batch: int,
    device: torch.device,
    *,
    train: bool,
    alone: bool = False,
    anew: bool = False,
    remember: bool = True,
) -> dict[Way, float]:
    """Return images/s of the ways worth a look.

    alone     measure even a way that is the only one; else it counts as infinitely fast.
    anew      whatever is remembered.
    remember  for the next time.
    """
    if len(ways) == 1 and not alone:
        return {ways[0]: float("inf")}
    facts = _facts(work, ways, batch, device, train=train)
    if not anew and (known := _remembered(facts)):
        return known
    speeds = measure(work, ways, batch, device, train=train)
    if remember:
        told = [asdict(way) | {"images_per_second": speed} for way, speed in speeds.items()]
        with contextlib.suppress(MaskclsError):  # a cache that cannot be written costs some seconds at the next start
            files.commit_json(_file(facts), facts | {"measured": told, "at": time.time()})
    return speeds


def _facts(work: Work, ways: Sequence[Way], batch: int, device: torch.device, *, train: bool) -> dict[str, Any]:
    """Return all that a measurement depends on."""
    return {
        "machine": torch.cuda.get_device_name() if device.type == "cuda" else processor(),
        "cores": cores(),
        "torch": torch.__version__,
        "wait": [os.environ.get(name, "") for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")],
        "device": device.type,
        "network": work.name,
        "parameters": sum(p.numel() for p in work.network.parameters()),
        "size": list(work.size),
        "batch": batch,
        "train": train,
        "ways": [asdict(way) for way in ways],
    }


def _file(facts: Mapping[str, Any]) -> Path:
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]
    return cache_folder() / "speeds" / f"{digest}.json"


def _remembered(facts: Mapping[str, Any]) -> dict[Way, float] | None:
    try:
        told = files.read_json(_file(facts))["measured"]
        return {Way(Execution(**m["execution"]), m["threads"]): m["images_per_second"] for m in told}
    except (MaskclsError, KeyError, TypeError):
        return None


def measure(work: Work, ways: Sequence[Way], batch: int, device: torch.device, *, train: bool) -> dict[Way, float]:
    """Return the images/s of the ways on the real batch; those far behind on a small one are left out."""
    most = max(way.threads for way in ways)  # other numbers of threads are tried with the best execution alone
    full = [way for way in ways if way.threads == most]
    if len(full) > 1:
        small = _seconds(work, full, min(batch, SMALL_BATCH), device, train=train)
        full = [way for way in full if small[way] <= min(small.values()) * SLOWER]
    seconds = _seconds(work, full, batch, device, train=train)
    best = min(seconds, key=seconds.__getitem__)
    shares = [way for way in ways if way.execution == best.execution and way.threads != most]
    # The best once more beside them: on a machine that others use, only times taken in turn compare.
    seconds |= _seconds(work, [best, *shares], batch, device, train=train) if shares else {}
    return {way: batch / taken for way, taken in seconds.items()}


def _seconds(work: Work, ways: Sequence[Way], batch: int, device: torch.device, *, train: bool) -> dict[Way, float]:
    """Return the least seconds a pass takes in each way.

    On the CPU the ways take turns, since others use it too; a device's memory may not hold them all at a time.
    """
    if device.type != "cpu":
        return {way: min(_rounds(work, [way], batch, device, train=train)[way]) for way in ways}
    return {way: min(taken) for way, taken in _rounds(work, ways, batch, device, train=train).items()}


def _rounds(
    work: Work, ways: Sequence[Way], batch: int, device: torch.device, *, train: bool
) -> dict[Way, list[float]]:
    threads = torch.get_num_threads()
    taken: dict[Way, list[float]] = {way: [] for way in ways}
    try:
        trials = {way: _Trial(work, way, batch, device, train=train) for way in ways}
        for _ in range(ROUNDS + 1):
            for way, trial in trials.items():
                torch.set_num_threads(way.threads)
                taken[way].append(trial.run())
    finally:
        torch.set_num_threads(threads)
    return {way: times[1:] for way, times in taken.items()}  # the first pass pays for kernels and memory


class _Trial:
    """One way set up: its own copy of the network on random images."""

    def __init__(self, work: Work, way: Way, batch: int, device: torch.device, *, train: bool) -> None:
        self.device, self.execution, self.train = device, way.execution, train
        network = copy.deepcopy(work.network).train(train)
        place(network, device, way.execution)
        self.model: nn.Module = torch.compile(network) if way.execution.compile else network  # type: ignore[assignment]
        self.optimizer = build_optimizer(network, lr=0.0, weight_decay=0.0, betas=(0.9, 0.999))
        images = torch.zeros(batch, 3, *work.size).normal_(generator=torch.Generator().manual_seed(0))
        self.images = images.to(device).to(memory_format=way.execution.layout)

    def run(self) -> float:
        """Make one pass, or one training step; returns the seconds it took."""
        self._wait()
        started = time.perf_counter()
        with torch.set_grad_enabled(self.train):
            with self.execution.autocast(self.device):
                logits = self.model(self.images)
            if self.train:
                terms = [torch.logsumexp(value.float(), dim=1).mean() for value in logits.values()]
                torch.stack(terms).sum().backward()  # type: ignore[no-untyped-call]
                self.optimizer.step()
                self.optimizer.zero_grad()
        self._wait()
        return time.perf_counter() - started

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        elif self.device.type == "mps":
            torch.mps.synchronize()
