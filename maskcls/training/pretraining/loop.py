"""The loop of a pretraining: steps, saves, a time limit, and the same bits after every interruption.

B batch, D numbers of an embedding.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from maskcls.data.dataset import Key, Photos, batches, loader
from maskcls.engine.checkpoint import load_state, save_state
from maskcls.engine.compute.plan import Execution
from maskcls.engine.device import normalise
from maskcls.engine.fit import stream_seed
from maskcls.engine.saving import SaveClock
from maskcls.engine.session import optimizer_moments, restore_moments, with_prefix
from maskcls.engine.stopping import HeldSignals
from maskcls.errors import BusyError, DivergedError
from maskcls.nn.simsiam import SimSiam, embedding_spread, simsiam_loss
from maskcls.training.pretraining.unlabelled import step_rows

PURPOSE = 0x5151  # of the random numbers of a step, such as dropout
NETWORK, OPTIMIZER = "network/", "optimizer/"  # in the names of a state's tensors
MOMENTUM, WEIGHT_DECAY = 0.9, 1e-4  # as in the paper
PER_BATCH = 256  # images that the learning rate is given for


@dataclass(frozen=True)
class PretrainingPlan:
    """How long and how fast. lr: for PER_BATCH images; identity: of photos and settings, which a state must share."""

    epochs: int
    batch: int
    photos: int
    lr: float
    seed: int
    identity: str

    @property
    def steps_per_epoch(self) -> int:
        """Number of steps of an epoch."""
        return self.photos // self.batch

    @property
    def steps(self) -> int:
        """Number of steps in all."""
        return self.epochs * self.steps_per_epoch

    def lr_at(self, step: int) -> float:
        """Return the learning rate of a step: it falls to 0 along half a cosine; the predictor keeps the first one."""
        return self.lr * self.batch / PER_BATCH * 0.5 * (1 + math.cos(math.pi * step / self.steps))


@dataclass
class Pretraining:
    """A pretraining that is running: the network, its optimizer, the next step, and a line per finished epoch."""

    network: SimSiam
    optimizer: torch.optim.SGD
    plan: PretrainingPlan
    step: int = 0
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0])  # loss and spread over the steps of this epoch
    history: list[dict[str, float]] = field(default_factory=list)

    @property
    def is_finished(self) -> bool:
        """Whether all steps are done."""
        return self.step >= self.plan.steps


def open_pretraining(network: SimSiam, plan: PretrainingPlan, state: Path) -> Pretraining:
    """Return a pretraining at its start, or where its saved state is.

    Raises BusyError for a state of other photos or settings, WeightsError for a damaged one.
    """
    constant = list(network.predictor.parameters())
    falling = [*network.trunk.parameters(), *network.projector.parameters()]
    groups = [{"params": falling}, *([{"params": constant}] if constant else [])]
    optimizer = torch.optim.SGD(groups, lr=plan.lr_at(0), momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)
    running = Pretraining(network, optimizer, plan)
    if state.exists():
        _restore(running, state)
    return running


def take_steps(
    running: Pretraining,
    photos: Photos,
    state: Path,
    *,
    device: torch.device,
    execution: Execution,
    workers: int,
    save_minutes: float | None,
    minutes: float | None,
    on_images: Callable[[int], None] = lambda done: None,
    on_epoch: Callable[[dict[str, float]], None] = lambda line: None,
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """Take the steps that are left, save the state, and tell whether all are done.

    minutes  stop cleanly after the first step beyond this time; None: never. At least one step is taken.

    Ctrl-C and SIGTERM act after the step, when its state is saved. Raises DivergedError for a loss that is not finite;
    the last saved state stays.
    """
    plan, began_s, saves = running.plan, clock(), SaveClock(save_minutes, clock)
    running.network.to(device).to(memory_format=execution.layout).train()
    for parameter, kept in running.optimizer.state.items():  # as they were restored, on the CPU
        kept["momentum_buffer"] = kept["momentum_buffer"].to(parameter.device)
    spec = photos.specs[0]
    stream = batches(loader(photos, _Keys(plan, running.step), workers=workers, pin=device.type == "cuda"))
    with HeldSignals() as signals:
        for (images,) in stream:
            floats = normalise(images.to(device), mean=spec.mean, std=spec.std, execution=execution)
            _take_step(running, floats[: plan.batch], floats[plan.batch :], execution)
            on_images(running.step * plan.batch)
            ended = running.step % plan.steps_per_epoch == 0
            if ended:
                loss, spread_sum = running.sums
                line = {"loss": loss / plan.steps_per_epoch, "spread": spread_sum / plan.steps_per_epoch}
                running.history.append(line)
                running.sums = [0.0, 0.0]
                on_epoch(line)
            late = minutes is not None and clock() - began_s >= 60 * minutes
            stopped = signals.received is not None
            if ended or saves.due or late or stopped:
                with saves.saving():
                    _save(running, state)
            if stopped:
                signals.act()
            if late:
                break
    return running.is_finished


class _Keys:
    """The requests of the steps from one on: two augmentations of each photo of a batch, one after the other."""

    def __init__(self, plan: PretrainingPlan, step: int) -> None:
        self.plan, self.step = plan, step

    def __iter__(self) -> Iterator[list[Key]]:
        first, begun = divmod(self.step, self.plan.steps_per_epoch)
        for epoch in range(first, self.plan.epochs):
            rows = step_rows(self.plan.photos, self.plan.batch, seed=self.plan.seed, epoch=epoch)
            for row_B in rows[begun if epoch == first else 0 :].tolist():
                yield [Key(row, 2 * epoch + view) for view in (0, 1) for row in row_B]


def _take_step(running: Pretraining, first_BCHW: Tensor, second_BCHW: Tensor, execution: Execution) -> None:
    plan, network, optimizer = running.plan, running.network, running.optimizer
    torch.manual_seed(stream_seed(plan.seed, running.step, PURPOSE))
    optimizer.param_groups[0]["lr"] = plan.lr_at(running.step)
    with execution.autocast(first_BCHW.device):
        (z1_BD, p1_BD), (z2_BD, p2_BD) = network(first_BCHW), network(second_BCHW)
    loss = simsiam_loss(p1_BD.float(), z1_BD.float(), p2_BD.float(), z2_BD.float())
    value = float(loss.detach())
    if not math.isfinite(value):
        raise DivergedError(
            "pretraining diverged: the loss is not finite",
            where=f"step {running.step + 1}",
            fix="lower --lr; the last saved state is unchanged",
        )
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    running.step += 1
    running.sums = [running.sums[0] + value, running.sums[1] + embedding_spread(z1_BD)]


def _save(running: Pretraining, state: Path) -> None:
    """Commit everything that a continued pretraining needs, as one file."""
    moments, numbers = optimizer_moments(running.optimizer)
    tensors = {f"{NETWORK}{name}": value for name, value in running.network.state_dict().items()}
    tensors |= {f"{OPTIMIZER}{name}": value for name, value in moments.items()}
    progress: dict[str, Any] = {
        "identity": running.plan.identity,
        "step": running.step,
        "sums": running.sums,
        "history": running.history,
        "optimizer": numbers,
    }
    save_state(state, tensors, progress)


def _restore(running: Pretraining, state: Path) -> None:
    tensors, progress = load_state(state)
    if progress["identity"] != running.plan.identity or "optimizer" not in progress:  # as an earlier maskcls wrote it
        raise BusyError(
            "there is the state of another pretraining",
            where=str(state),
            expected="the same photos, settings and options",
            fix="give the same command again, name another output, or delete this file",
        )
    running.network.load_state_dict(with_prefix(tensors, NETWORK))
    restore_moments(running.optimizer, with_prefix(tensors, OPTIMIZER), progress["optimizer"])
    running.step, running.sums, running.history = progress["step"], progress["sums"], progress["history"]
