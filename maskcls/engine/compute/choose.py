"""Choose how a network is computed on this machine, in training and in prediction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import torch

from maskcls.engine.compute import measure as measuring
from maskcls.engine.compute import remembered
from maskcls.engine.compute.candidates import Candidate, Workload, executions, infer_threads, thread_counts
from maskcls.engine.compute.compiling import compiled
from maskcls.engine.compute.measure import Measurement, untimed
from maskcls.engine.compute.memory import fewest_pieces, piece_images
from maskcls.engine.compute.plan import Execution, Plan
from maskcls.engine.compute.side_by_side import fold_jobs
from maskcls.errors import ConfigError
from maskcls.schema import Config


@dataclass(frozen=True)
class Listener:
    """Callbacks for reports: `note` gets a line; `progress` gets (description, passes done, maximum passes)."""

    note: Callable[[str], None] = lambda line: None
    progress: Callable[[str, int, int], None] = lambda what, done, of: None


@dataclass(frozen=True)
class Choice:
    """A plan, and the measurements from which it was chosen.

    threads  says why thread counts were not compared; "" where they were, or where the configuration leaves no choice.
    """

    plan: Plan
    train: Measurement
    infer: Measurement
    threads: str = ""


SILENT = Listener()


def choose(
    workload: Workload,
    cfg: Config,
    device: torch.device,
    *,
    processes: int = 1,
    listener: Listener = SILENT,
    remember: bool = True,
) -> Choice:
    """Choose how a network is computed in training and prediction.

    processes  processes that train one fold together.
    remember   False: do not keep the measurement in the cache folder.

    Raises ResourceError when not even two images of a step fit into memory, ConfigError when several processes should
    also train several folds at the same time.
    """
    if processes > 1 and workload.jobs > 1 and cfg.train.fold_jobs not in ("auto", 1):
        raise ConfigError(
            "several processes train one fold together, not several folds at the same time",
            where="train.fold_jobs",
            got=f"{cfg.train.fold_jobs} with {processes} processes",
            expected="auto or 1",
            fix="leave it out, or start one process",
        )
    return _chosen(workload, cfg, device, processes, _Measuring(listener, remember=remember))


def choose_thoroughly(workload: Workload, cfg: Config, device: torch.device, *, listener: Listener = SILENT) -> Choice:
    """Measure all stages again on the real batch, even if a measurement is in the cache, and keep the result there."""
    return _chosen(workload, cfg, device, 1, _Measuring(listener, thorough=True))


def infer_execution(workload: Workload, cfg: Config, device: torch.device, *, listener: Listener = SILENT) -> Execution:
    """Choose how a network is computed in prediction, without training, by the same rule."""
    candidates = [Candidate(execution, infer_threads(device)) for execution in executions(cfg, device)]
    return _Measuring(listener).of(workload, candidates, workload.batch, device, train=False).best.execution


def _chosen(workload: Workload, cfg: Config, device: torch.device, processes: int, how: _Measuring) -> Choice:
    counts = thread_counts(cfg, device, workload.jobs, processes)
    ways = executions(cfg, device)
    candidates = [Candidate(execution, threads) for threads, execution in product(counts, ways)]
    accumulate = fewest_pieces(workload, cfg, device, ways[0], processes)
    batch = piece_images(workload, processes * accumulate)
    alone = how.thorough or _depends_on_speed(workload, cfg, device, processes)
    train = how.of(workload, candidates, batch, device, train=True, alone=alone)
    jobs, threads = fold_jobs(workload, cfg, device, train, batch, processes)
    execution = compiled(replace(workload, batch=batch), cfg, device, train.best.execution, train.speed(train.best))
    users = [Candidate(execution, infer_threads(device)) for execution in ways]
    infer = how.of(workload, users, batch, device, train=False, alone=how.thorough)
    return Choice(
        Plan(execution, infer.best.execution, threads, accumulate, jobs),
        train,
        infer,
        _uncompared(counts, train, processes),
    )


def _uncompared(counts: Sequence[int], train: Measurement, processes: int) -> str:
    """Return why these thread counts were not compared; "" if they were, or there is one only."""
    timed = {candidate.threads for candidate, rounds in train.timings.items() if rounds}
    if len(counts) == 1 or len(timed) > 1:
        return ""
    tried = {candidate.threads for candidate in train.timings}  # a short training does not even try the others
    why = "not compared: the training is short" if len(tried) == 1 else "not compared: measuring would take too long"
    return why if processes > 1 else f"all cores; {why}"


def _depends_on_speed(workload: Workload, cfg: Config, device: torch.device, processes: int) -> bool:
    """Return whether something else depends on the measured speed: the number of parallel folds, or compiling."""
    shared_out = cfg.train.fold_jobs == "auto" and workload.jobs > 1 and processes == 1
    return (shared_out and device.type in ("cpu", "cuda")) or (cfg.device.compile == "auto" and device.type == "cuda")


@dataclass(frozen=True)
class _Measuring:
    """How to measure. remember: keep results in the cache folder; thorough: measure again, and all candidates."""

    listener: Listener
    remember: bool = True
    thorough: bool = False

    def of(
        self,
        workload: Workload,
        candidates: Sequence[Candidate],
        batch: int,
        device: torch.device,
        *,
        train: bool,
        alone: bool = False,
    ) -> Measurement:
        """Return the measurement of the candidates, made now or read from the cache folder.

        train  True: training steps; False: forward passes.
        alone  time a candidate even if it is the only one.
        """
        if len(candidates) == 1 and not alone:
            return untimed(candidates[0], batch)
        facts = remembered.facts_of(workload, candidates, batch, device, train=train)
        images = (workload.images if train else workload.predicted) * workload.jobs
        if not self.thorough and (known := remembered.recall(facts, images)):
            return known
        what = f"timing {workload.name} in {'training' if train else 'prediction'}"
        if self.thorough:
            self.listener.note(f"{what}: {len(candidates)} candidates on the real batch; this may take minutes")
            make = measuring.measure_all
        else:
            limit_s = measuring.LIMIT_S if train else measuring.INFER_LIMIT_S
            self.listener.note(f"{what}: up to {len(candidates)} candidates, at most {limit_s:.0f} s")
            make = measuring.measure
        made = make(
            workload,
            candidates,
            batch,
            device,
            train=train,
            on_progress=lambda done, of: self.listener.progress(what, done, of),
        )
        if self.remember:
            remembered.keep(facts, made, images)
        return made
