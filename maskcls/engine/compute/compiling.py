"""Whether the network is compiled for training: on a GPU, if a long training clearly becomes faster."""

from __future__ import annotations

import time
from dataclasses import replace

import torch

from maskcls.engine.compute import timing
from maskcls.engine.compute.candidates import Candidate, Workload
from maskcls.engine.compute.plan import Execution
from maskcls.engine.compute.rule import ROUNDS, repeatedly_faster
from maskcls.schema import Config

COMPILED_S = 600.0  # a shorter training does not save the time that compiling takes


def compiled(workload: Workload, cfg: Config, device: torch.device, execution: Execution, speed: float) -> Execution:
    """Return the execution, compiled if configured, or (auto) if that makes a training at `speed` images/s faster.

    It is faster if, in every round, the estimated training time plus the time to compile is shorter by the rule's
    margin.
    """
    result = replace(execution, compile=True)
    if cfg.device.compile != "auto":
        return result if cfg.device.compile == "on" else execution
    if cfg.train.sync_batchnorm or device.type != "cuda" or workload.images / speed < COMPILED_S:
        return execution
    trial = timing.Trial(workload, Candidate(result, torch.get_num_threads()), workload.batch, device, train=True)
    started = time.monotonic()
    trial.run()
    cost_s = time.monotonic() - started
    whole_s = [workload.images * trial.run() / workload.batch + cost_s for _ in range(ROUNDS)]
    return result if repeatedly_faster(whole_s, [workload.images / speed] * ROUNDS) else execution
