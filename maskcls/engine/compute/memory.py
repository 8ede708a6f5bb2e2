"""What fits into memory: the number of pieces of a step, and the largest batch.

Both depend on the free memory, never on a timing. A step is divided only if it does not fit, because BatchNorm
normalises each piece separately.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from maskcls.data.rows.batches import MIN_PIECE
from maskcls.engine.compute import timing
from maskcls.engine.compute.candidates import Candidate, Workload
from maskcls.engine.compute.free_memory import MEMORY_SHARE, available_bytes, device_room
from maskcls.engine.compute.plan import Execution
from maskcls.errors import ResourceError
from maskcls.machine import processes_here
from maskcls.schema import Config

MOST_IMAGES = 65_536


def fewest_pieces(workload: Workload, cfg: Config, device: torch.device, execution: Execution, processes: int) -> int:
    """Return the number of pieces of a process's share of a step: as configured, or the least power of two that fits.

    Raises ResourceError when two images do not fit, or when the loss needs the whole step and that does not fit.
    """
    if cfg.train.accumulate != "auto":
        return cfg.train.accumulate
    fits = _fitting(workload, device, execution, sharing(workload, cfg, device, processes))
    if cfg.scored_by_step and not fits(piece_images(workload, processes)):
        raise ResourceError(
            "the f1 loss needs a whole step at a time, and it does not fit into memory",
            where=workload.name,
            got=f"train.batch_size={workload.batch}",
            fix="lower train.batch_size, or leave f1 out of the loss",
        )
    count = 1
    while not fits(batch := piece_images(workload, processes * count)):
        if batch == MIN_PIECE:
            raise ResourceError(
                "two images of a training step do not fit into memory",
                where=workload.name,
                fix="choose a smaller network or a smaller transforms.size",
            )
        count *= 2
    return count


def sharing(workload: Workload, cfg: Config, device: torch.device, processes: int) -> int:
    """Return how many processes will share the memory of the machine or GPU, as known from the configuration.

    Of the processes that train together, those on this machine count; each has its own GPU if there are GPUs.
    """
    if processes > 1:
        return processes_here(processes) if device.type == "cpu" else 1
    return 1 if cfg.train.fold_jobs == "auto" else min(cfg.train.fold_jobs, workload.jobs)


def smaller_step(batch: int, processes: int, accumulate: int, threads: int, *, whole: bool) -> tuple[str, str]:
    """Describe a training step that did not fit, and return what to set so that its largest part is half as large.

    batch  images per step. whole: the loss needs all images of a step together.

    >>> smaller_step(64, 1, 2, 3, whole=False)[1]
    'train a new run with train.accumulate=4: 16 images at a time, and 64 per step as before; or close other programs'
    """
    piece = max(MIN_PIECE, -(-batch // (processes * accumulate)))
    where = (
        f"a training step, {piece} images at a time (train.batch_size={batch}, train.accumulate={accumulate},"
        f" {processes} processes, device.threads={threads})"
    )
    if piece <= MIN_PIECE:
        return where, "train a new run with a smaller transforms.size or model.backbone, or close other programs"
    if whole:
        half = f"train.batch_size={max(MIN_PIECE, batch // 2)}"
        return where, f"train a new run with {half}, which changes what is learned; or close other programs"
    less = f"train.accumulate={2 * accumulate}: {max(MIN_PIECE, -(-piece // 2))} images at a time"
    return where, f"train a new run with {less}, and {batch} per step as before; or close other programs"


def piece_images(workload: Workload, parts: int) -> int:
    """Return the number of images in one piece if a step is divided into this many parts."""
    return max(MIN_PIECE, -(-workload.batch // parts))


def largest_batch(workload: Workload, device: torch.device, execution: Execution) -> int:
    """Return the largest training batch that fits: a power of two from 2 to 65,536."""
    fits = _fitting(workload, device, execution, 1)
    batch = MIN_PIECE
    while batch < MOST_IMAGES and fits(2 * batch):
        batch *= 2
    return batch


def _fitting(workload: Workload, device: torch.device, execution: Execution, among: int) -> Callable[[int], bool]:
    """Return a function that returns whether a step of n images fits in each of `among` processes.

    A GPU tries the step. A CPU would start to swap, so there the activation memory is estimated.
    """
    if device.type != "cpu":
        return lambda batch: _fits_device(workload, batch, device, execution, among)
    limit, needed = available_bytes() * MEMORY_SHARE / among, step_bytes(workload)
    return lambda batch: needed(batch) <= limit


def step_bytes(workload: Workload) -> Callable[[int], float]:
    """Return a function that estimates the activation memory in bytes of n images, extrapolated from two passes."""
    few, more = (kept_bytes(workload, n) for n in (2, 4))
    return lambda batch: more + (more - few) / 2 * (batch - 4)


def kept_bytes(workload: Workload, batch: int) -> int:
    """Return the bytes that a forward pass of `batch` images stores for its backward pass."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    network = copy.deepcopy(workload.network).train()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = network(torch.zeros(batch, 3, *workload.size))
    del logits
    return sum(kept.values())


def _fits_device(workload: Workload, batch: int, device: torch.device, execution: Execution, among: int) -> bool:
    try:
        if among > 1 and device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        timing.Trial(workload, Candidate(execution, torch.get_num_threads()), batch, device, train=True).run()
    except torch.OutOfMemoryError:
        return False
    finally:
        torch.cuda.empty_cache()
    return among == 1 or device.type != "cuda" or device_room() >= among
