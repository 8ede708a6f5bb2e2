"""Time one pass of a network on random images; the network itself is not changed."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from maskcls.engine.compute.candidates import Candidate, Workload
from maskcls.engine.device import move_network
from maskcls.nn.optim import build_optimizer


class Stopwatch:
    """Times passes of candidates on `batch` images.

    On a CPU every candidate stays set up, so that candidates can take turns. The memory of a GPU may not hold all of
    them, so there a candidate is set up for each pass.
    """

    def __init__(self, workload: Workload, batch: int, device: torch.device, *, train: bool) -> None:
        self.workload, self.batch, self.device, self.train = workload, batch, device, train
        self.trials: dict[Candidate, Trial] = {}

    def first(self, candidate: Candidate) -> float:
        """Set up the candidate and make its first pass, which also prepares kernels and memory; returns all seconds."""
        started = time.perf_counter()
        trial = Trial(self.workload, candidate, self.batch, self.device, train=self.train)
        if self.device.type == "cpu":
            self.trials[candidate] = trial
        with threads_of(candidate):
            trial.run()
        return time.perf_counter() - started

    def again(self, candidate: Candidate) -> float:
        """Make one more pass; returns its seconds."""
        trial = self.trials.get(candidate)
        with threads_of(candidate):
            if trial is None:
                trial = Trial(self.workload, candidate, self.batch, self.device, train=self.train)
                trial.run()
            return trial.run()


@contextmanager
def threads_of(candidate: Candidate) -> Iterator[None]:
    """Compute on the candidate's number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(candidate.threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Trial:
    """One candidate set up: its own copy of the network, and random images."""

    def __init__(
        self, workload: Workload, candidate: Candidate, batch: int, device: torch.device, *, train: bool
    ) -> None:
        self.device, self.execution, self.train = device, candidate.execution, train
        network = copy.deepcopy(workload.network).train(train)
        move_network(network, device, candidate.execution)
        self.model: nn.Module = torch.compile(network) if candidate.execution.compile else network  # type: ignore[assignment]
        self.optimizer = build_optimizer(network, lr=0.0, weight_decay=0.0, betas=(0.9, 0.999))
        images = torch.zeros(batch, 3, *workload.size).normal_(generator=torch.Generator().manual_seed(0))
        self.images = images.to(device).to(memory_format=candidate.execution.layout)

    def run(self) -> float:
        """Make one forward pass, or one training step; returns the seconds it took."""
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
