"""The training loop: one network on one fold, as a generator of progress. No callbacks.

R training rows, S rows of one optimizer step.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import Tensor

from maskcls.data.dataset import Key, batches, loader
from maskcls.engine.compute.memory import smaller_step
from maskcls.engine.device import worker_count
from maskcls.engine.infer import Predictor, Prob, Reader, infer, open_reader
from maskcls.engine.objective import HeadTarget, head_targets
from maskcls.engine.random_state import restore_generators
from maskcls.engine.session import EpochSoFar, Session, set_frozen
from maskcls.engine.step import Meter, Tick, train_step
from maskcls.engine.step_plan import FoldRows, StepPlan
from maskcls.errors import DivergedError, ResultError
from maskcls.files import none_for_nan
from maskcls.machine import memory_for
from maskcls.nn.optim import set_lr
from maskcls.nn.schedule import Schedule, lr_at, plateau_scale
from maskcls.results.scores.epoch_choice import criterion
from maskcls.results.scores.tally import epoch_scores, tally
from maskcls.schema import Config


@dataclass(frozen=True)
class EpochResult:
    """The result of one epoch. `train`: mean losses over the epoch by name; `val`: validation scores by name.

    A score is NaN when no validation row has the label it needs. `epoch` counts from 0, `step` counts finished
    optimizer steps, `lr` is the trunk's learning rate at the last step. `is_best`: no earlier epoch scored as high on
    this fold's rows; it ends a training early (train.patience) and chooses nothing.
    """

    epoch: int
    step: int
    lr: float
    train: dict[str, float]
    val: dict[str, float]
    seconds: float
    images_per_second: float
    is_best: bool

    def to_json(self) -> dict[str, Any]:
        """Return one flat line for log.jsonl; a NaN becomes None.

        The keys are sorted, as in a resume state, so that a resumed run writes the same bytes.
        """
        flat = {k: v for k, v in asdict(self).items() if k not in ("train", "val")}
        flat |= {f"{side}/{k}": v for side in ("train", "val") for k, v in getattr(self, side).items()}
        return {k: none_for_nan(v) for k, v in sorted(flat.items())}


@dataclass(frozen=True)
class SavePoint:
    """A finished optimizer step, after which the session may be saved, until the next event.

    With several processes, all of them get the same save points. so_far: called at once by all of them, or by none.
    """

    so_far: Callable[[], EpochSoFar]


def logged_scores(line: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the validation scores of one line of log.jsonl; None where there is no score."""
    return {key.removeprefix("val/"): value for key, value in line.items() if key.startswith("val/")}


def fit(
    session: Session,
    rows: FoldRows,
    cfg: Config,
    *,
    key: tuple[int, ...],
    resting: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Iterator[Tick | SavePoint | EpochResult]:
    """Train from where the session is to the end, yielding ticks, save points and one EpochResult per epoch.

    key      integers that seed the random numbers of this fold. The session may be saved after each EpochResult.
    resting  entered where nothing of the session changes: during a wait for images, and validation. An exception that
             is raised there ends the training, and the last save point can still be saved.

    Raises DivergedError, which names the step, when the loss or the gradient is not finite.
    """
    step_plan = StepPlan(rows, cfg)
    heads, stream = open_targets(session, step_plan), open_stream(session, step_plan)
    reader = validation_reader(rows, cfg, session.accelerator, keep=True)
    while not session.finished(cfg.train.epochs, cfg.train.patience):
        begun, session.so_far = session.so_far, None
        _seed_dropout(session, begun, key)
        started = time.monotonic() - (begun.seconds if begun else 0.0)
        train = yield from _train_epoch(session, step_plan, heads, stream, begun, resting)
        images_per_second = step_plan.epoch_images / (time.monotonic() - started)
        lr = session.optimizer.param_groups[0]["lr"]
        with resting():
            val, valid_prob = validate_epoch(session, rows, reader)
        session.valid_prob = valid_prob
        # Without a score (NaN) no epoch is better than another, and the latest counts as the best.
        reached = criterion(val, cfg.train.select)
        is_best = not reached <= session.best_score
        if is_best:
            session.best_epoch, session.best_score = session.epoch, reached
        seconds = time.monotonic() - started
        result = EpochResult(session.epoch, session.step, lr, train, val, seconds, images_per_second, is_best)
        session.epoch += 1
        session.history.append(result.to_json())
        yield result


def validation_reader(rows: FoldRows, cfg: Config, accelerator: Accelerator, *, keep: bool = False) -> Reader:
    """Return the reader of a fold's validation rows."""
    return open_reader(
        rows.photos,
        rows.valid,
        accelerator=accelerator,
        views=cfg.predict.views,
        batch_size=cfg.predict.batch_size,
        workers=worker_count(cfg.device, accelerator, cached=bool(rows.photos.cached)),
        keep=keep,
    )


def validate_epoch(session: Session, rows: FoldRows, reader: Reader) -> tuple[dict[str, float], Prob]:
    """Score the network on the fold's validation rows; returns scores by name and probabilities (n, J) float32.

    Raises DivergedError when a probability is not finite.
    """
    _agree_on_buffers(session)
    predictor = Predictor(session.scored_network, session.space, rows.photos.specs[0])
    try:
        (prob,) = infer([predictor], reader, accelerator=session.accelerator, execution=session.plan.infer)
    except ResultError as error:
        raise DivergedError(
            f"training diverged: {error.what}",
            where=f"validation of epoch {session.epoch + 1}",
            got=error.got,
            fix="lower optim.lr, or set optim.clip_norm; the last saved epoch is unchanged",
        ) from None
    truth = {name: rows.labels[name][rows.valid] for name in session.space.names}
    return epoch_scores(tally(prob, truth, session.space)), prob


def open_targets(session: Session, step_plan: StepPlan) -> dict[str, HeadTarget]:
    """Return the targets and losses of each head of the session's network, by head name."""
    rows, device = step_plan.rows, session.accelerator.device
    specs = session.network.specs
    return head_targets(
        specs, rows.labels, rows.values, rows.weight, rows.train, step_plan.cfg, device, soft_NJ=rows.soft
    )


def open_stream(session: Session, step_plan: StepPlan) -> Iterator[list[Tensor]]:
    """Yield this process's training images, from where the session is to the end of training, piece by piece."""
    photos, accelerator = step_plan.rows.photos, session.accelerator
    workers = worker_count(step_plan.cfg.device, accelerator, cached=bool(photos.cached))
    first, done = session.epoch, session.so_far.steps if session.so_far else 0  # now: the loader begins later
    keys = _Restarting(lambda: step_plan.keys(first, steps_done=done, **process_share(session)))
    return batches(loader(photos, keys, workers=workers, pin=accelerator.device.type == "cuda"))


def process_share(session: Session) -> dict[str, int]:
    """Return how a step is divided, and this process's index, as keyword arguments of `StepPlan.pieces`."""
    accelerator = session.accelerator
    return {
        "processes": accelerator.num_processes,
        "accumulate": session.plan.accumulate,
        "process": accelerator.process_index,
    }


class _Restarting:
    """Wrap a function that returns an iterator as an iterable, which torch's DataLoader needs."""

    def __init__(self, begin: Callable[[], Iterator[list[Key]]]) -> None:
        self.begin = begin

    def __iter__(self) -> Iterator[list[Key]]:
        return self.begin()


def _train_epoch(
    session: Session,
    step_plan: StepPlan,
    heads: dict[str, HeadTarget],
    stream: Iterator[list[Tensor]],
    begun: EpochSoFar | None,
    resting: Callable[[], AbstractContextManager[None]],
) -> Generator[Tick | SavePoint, None, dict[str, float]]:
    cfg, share = step_plan.cfg, process_share(session)
    set_frozen(session, session.epoch < cfg.optim.freeze_epochs)
    schedule = build_schedule(cfg, step_plan.steps_per_epoch)
    peak = cfg.optim.lr * _plateau(session.history, cfg)
    meter = Meter(list(heads), session, step_plan.epoch_images, begun)
    if begun is not None:  # the log has the rate of the last step, also if only validation is left
        set_lr(session.optimizer, lr_at(session.step - 1, schedule, peak))
    for step in step_plan.steps(session.epoch)[meter.steps :]:
        pieces = step_plan.pieces(step, **share)
        with resting():
            images = [next(stream) for _ in pieces]
        set_lr(session.optimizer, lr_at(session.step, schedule, peak))
        with memory_for(partial(_step_sizes, session, cfg)):
            terms, norm = train_step(session, step_plan.rows.photos, heads, cfg, step, pieces, iter(images))
        session.step += 1
        if session.average is not None:
            session.average.update(session.network, step=session.step)
        meter.add(terms, norm, len(step.rows))
        if tick := meter.tick():
            yield tick
        if not meter.pending or session.accelerator.num_processes == 1:  # else fetching would make all processes wait
            yield SavePoint(meter.so_far)
    return meter.means()


def _step_sizes(session: Session, cfg: Config) -> tuple[str, str]:
    processes, plan = session.accelerator.num_processes, session.plan
    return smaller_step(cfg.train.batch_size, processes, plan.accumulate, plan.threads, whole=cfg.scored_by_step)


def _seed_dropout(session: Session, begun: EpochSoFar | None, key: tuple[int, ...]) -> None:
    """Set the generators that dropout draws from: by the epoch, or as they were where the epoch is continued."""
    process = session.accelerator.process_index
    if begun is None:
        torch.manual_seed(stream_seed(*key, session.epoch, process))
    elif not restore_generators(begun.random, session.accelerator):  # another machine; `resume` says what differs
        torch.manual_seed(stream_seed(*key, session.epoch, process, begun.steps))


def build_schedule(cfg: Config, steps_per_epoch: int) -> Schedule:
    """Return the learning rate schedule over all steps of a training."""
    how = cfg.schedule
    return Schedule(
        how.kind,
        total_steps=cfg.train.epochs * steps_per_epoch,
        warmup_steps=round(how.warmup_epochs * steps_per_epoch),
        end_share=how.end_share,
        start_share=how.start_share,
        every_steps=max(1, round(how.every_epochs * steps_per_epoch)),
        gamma=how.gamma,
        cycles=how.cycles,
        decay_share=how.decay_share,
    )


def _plateau(history: Sequence[Mapping[str, Any]], cfg: Config) -> float:
    if cfg.schedule.kind != "plateau":
        return 1.0
    logged = ({name: math.nan if v is None else v for name, v in logged_scores(line).items()} for line in history)
    scores = [criterion(scores, cfg.train.select) for scores in logged]
    return plateau_scale(scores, patience=cfg.schedule.patience, gamma=cfg.schedule.gamma)


def stream_seed(*key: int) -> int:
    """Return a 64-bit seed for torch's generator from integers, of which the lowest 32 bits count.

    >>> stream_seed(0, 1) == stream_seed(0, 1) != stream_seed(1, 0)
    True
    """
    return int(np.random.SeedSequence([number % 2**32 for number in key]).generate_state(1, np.uint64)[0])


def _agree_on_buffers(session: Session) -> None:
    """Copy the normalisation statistics of the first process to all; each process computes them from its own images."""
    if session.accelerator.num_processes > 1:
        for buffer in session.scored_network.buffers():
            buffer.copy_(broadcast(buffer.clone()))
