"""The candidates: number formats, memory formats and thread counts that the configuration sets to auto."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import torch

from maskcls.engine.compute.plan import EXACT, Execution
from maskcls.machine import cores, processes_here
from maskcls.nn.network import Network
from maskcls.schema import Config


@dataclass(frozen=True)
class Candidate:
    """An execution on a number of threads."""

    execution: Execution
    threads: int


@dataclass(frozen=True)
class Workload:
    """The amount of work: a network, and how many images it trains on and predicts.

    size       (height, width) of the images in pixels.
    batch      images per optimizer step, or per forward pass in prediction.
    images     images per fold in training, summed over all epochs; 0 without training.
    predicted  images per fold in all validations, or in a prediction.
    jobs       networks to train, one per fold.
    """

    name: str
    network: Network
    size: tuple[int, int]
    batch: int
    images: int
    predicted: int
    jobs: int


def executions(cfg: Config, device: torch.device) -> list[Execution]:
    """Return the executions that the configuration allows on this device, the exact number format first."""
    formats = ["channels_last", "contiguous"] if cfg.device.memory_format == "auto" else [cfg.device.memory_format]
    precisions: list[str] = [cfg.device.precision]
    if cfg.device.precision == "auto":
        bf16 = (
            processor_has_bf16() if device.type == "cpu" else device.type == "cuda" and torch.cuda.is_bf16_supported()
        )
        precisions = [EXACT, "bf16"] if bf16 else [EXACT]
    return [Execution(precision, layout) for precision, layout in product(precisions, formats)]


def processor_has_bf16() -> bool:
    """Return whether this CPU has bf16 instructions; True if unknown. Without them bf16 is emulated and slow."""
    try:
        words = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return True
    return any("bf16" in word for word in words)  # avx512_bf16, amx_bf16, bf16, svebf16


def thread_counts(cfg: Config, device: torch.device, jobs: int, processes: int) -> list[int]:
    """Return the thread counts to try, the largest first.

    All cores; half of them, because two logical cores may share a physical one; and the share of one fold if several
    folds are trained at the same time.
    """
    if cfg.device.threads != "auto":
        return [cfg.device.threads]
    if device.type != "cpu":
        return [torch.get_num_threads()]
    mine = max(1, cores() // processes_here(processes))
    if cfg.train.fold_jobs != "auto":
        return [max(1, mine // min(jobs, cfg.train.fold_jobs))]
    return sorted({mine, mine // 2 if mine >= 4 else mine, max(1, mine // min(jobs, mine))}, reverse=True)


def infer_threads(device: torch.device) -> int:
    """Return the threads per batch in prediction: 1 on a CPU, where each core computes its own batches."""
    return 1 if device.type == "cpu" else torch.get_num_threads()
