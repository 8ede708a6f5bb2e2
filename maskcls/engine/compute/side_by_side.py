"""How many folds are trained at the same time.

More than one only if that is faster by the rule's margin in every round, and if it fits into memory: parallel processes
cost memory and start-up time, and change the number of threads.
"""

from __future__ import annotations

import torch

from maskcls.engine.compute import timing
from maskcls.engine.compute.candidates import Candidate, Workload
from maskcls.engine.compute.free_memory import MEMORY_SHARE, available_bytes, device_room
from maskcls.engine.compute.measure import SHORT_FOLD_S, Measurement
from maskcls.engine.compute.memory import step_bytes
from maskcls.engine.compute.rule import ROUNDS, repeatedly_faster
from maskcls.machine import cores
from maskcls.schema import Config

SHARED = 0.9  # relative speed of a process while other processes use the memory bandwidth too
MOST_ON_DEVICE = 3
UNFILLED = 1.25  # if twice the images take at most this many times as long, the GPU is partly idle


def fold_jobs(
    workload: Workload, cfg: Config, device: torch.device, measured: Measurement, batch: int, processes: int
) -> tuple[int, int]:
    """Return how many folds to train at the same time, and the threads per fold.

    On a CPU where one network does not use all cores, each fold gets a share of them. A GPU that is partly idle during
    a step is shared by two or three folds.
    """
    asked, best = cfg.train.fold_jobs, measured.best
    if processes > 1 or workload.jobs == 1:
        return 1, best.threads
    if asked != "auto":
        return min(asked, workload.jobs), best.threads
    if workload.images / measured.speed(best) < SHORT_FOLD_S:
        return 1, best.threads
    if device.type != "cpu":
        return _jobs_on_device(workload, best, batch, device), best.threads
    return _jobs_on_cpu(workload, measured, batch)


def _jobs_on_cpu(workload: Workload, measured: Measurement, batch: int) -> tuple[int, int]:
    best, timings = measured.best, measured.timings
    fewer = min((one for one in timings if one.execution == best.execution), key=lambda one: one.threads)
    count = min(workload.jobs, max(1, cores() // fewer.threads))
    if count > 1:
        count = max(1, min(count, int(available_bytes() * MEMORY_SHARE / step_bytes(workload)(batch))))
    if count == 1:
        return 1, best.threads
    serial = [workload.jobs * seconds for seconds in timings[best]]
    parallel = [-(-workload.jobs // count) * seconds / SHARED for seconds in timings[fewer]]
    return (count, fewer.threads) if repeatedly_faster(parallel, serial) else (1, best.threads)


def _jobs_on_device(workload: Workload, best: Candidate, batch: int, device: torch.device) -> int:
    if device.type != "cuda":
        return 1
    torch.cuda.reset_peak_memory_stats()
    try:
        once, twice = (timing.Stopwatch(workload, images, device, train=True) for images in (batch, 2 * batch))
        filled = any(twice.again(best) > once.again(best) * UNFILLED for _ in range(ROUNDS))
    except torch.OutOfMemoryError:
        return 1
    if filled:
        return 1
    # The peak of the larger batch is used for one process, because each also has its own context and allocator.
    return max(1, min(workload.jobs, MOST_ON_DEVICE, int(device_room())))
