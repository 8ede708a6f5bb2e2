"""The training loop: one network on one fold, as a generator of progress. No callbacks.

R training rows, S rows of one optimizer step.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from numpy.typing import NDArray
from torch import Tensor

from maskcls.data.batches import Piece, Rows, epoch_order, pieces, steps
from maskcls.data.dataset import Key, Photos, batches, loader
from maskcls.engine.device import worker_count
from maskcls.engine.infer import Prob, Reader, Speaker, infer, open_reader
from maskcls.engine.session import Session
from maskcls.engine.step import HeadTarget, Meter, Tick, head_targets, train_step
from maskcls.errors import DivergedError, ResultError
from maskcls.labels import Ints, LabelSpace
from maskcls.nn.optim import lr_at, set_lr
from maskcls.results.metrics import Scores, score
from maskcls.schema import Config


@dataclass(frozen=True)
class FoldRows:
    """The rows of one fold: photos, what they train on, what judges it, and every row's labels and weight."""

    photos: Photos
    train: Rows
    valid: Rows
    labels: dict[str, Ints]
    weight: NDArray[np.float32]


@dataclass(frozen=True)
class EpochResult:
    """What one epoch gave. Losses are means over the epoch; `val` holds the validation scores by name.

    A score is NaN when no validation row has the label it needs.
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

        The keys are sorted, as they come back from a resume state, so that both give the same bytes.
        """
        flat = {k: v for k, v in asdict(self).items() if k not in ("train", "val")}
        flat |= {f"{side}/{k}": v for side in ("train", "val") for k, v in getattr(self, side).items()}
        return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in sorted(flat.items())}


def fit(session: Session, rows: FoldRows, cfg: Config, *, key: tuple[int, ...]) -> Iterator[Tick | EpochResult]:
    """Train from the session's epoch to the end, yielding ticks and one EpochResult an epoch.

    key: integers the randomness of this fold is keyed on. Between two yields of EpochResult the session may be saved.
    Raises DivergedError naming the step when the loss or the gradient is not finite.
    """
    workers = worker_count(cfg.device, session.accelerator, cached=bool(rows.photos.cached))
    plan = _Plan(rows.train, cfg, session)
    heads = head_targets(rows.labels, rows.weight, session)
    stream = batches(_train_loader(rows, plan, session, workers))
    reader = validation_reader(rows, cfg, session.accelerator, keep=True)
    while not session.finished(cfg.train.epochs, cfg.train.patience):
        # Dropout draws from torch's generator; seeding it by epoch makes an epoch's start its own resume point.
        torch.manual_seed(stream_seed(*key, session.epoch, session.accelerator.process_index))
        started = time.monotonic()
        train = yield from _train_epoch(session, rows, heads, cfg, plan, stream)
        images_per_second = len(rows.train) / (time.monotonic() - started)
        lr = session.optimizer.param_groups[0]["lr"]
        val, _ = validate(session, rows, reader)
        # Where nothing can be scored (NaN) no epoch is better than another, and the latest counts as the best.
        is_best = not val["macro_f1"] <= session.best_score
        if is_best:
            session.best_epoch, session.best_score = session.epoch, val["macro_f1"]
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


def validate(session: Session, rows: FoldRows, reader: Reader) -> tuple[dict[str, float], Prob]:
    """Score the judged network on the fold's validation rows; returns scores by name and probabilities (n, J)."""
    _agree_on_buffers(session)
    speaker = Speaker(session.judged, session.space, rows.photos.specs[0])
    try:
        (prob,) = infer([speaker], reader, accelerator=session.accelerator, execution=session.plan.infer)
    except ResultError as error:
        raise DivergedError(
            f"training diverged: {error.what}",
            where=f"validation of epoch {session.epoch + 1}",
            got=error.got,
            fix="lower optim.lr, or set optim.clip_norm; the last saved epoch is unchanged",
        ) from None
    truth = {name: rows.labels[name][rows.valid] for name in session.space.names}
    return flat_scores(score(prob, truth, session.space), prob, truth, session.space), prob


def flat_scores(scores: Scores, prob: Prob, truth: Mapping[str, Ints], space: LabelSpace) -> dict[str, float]:
    """Return the scores an epoch is logged with: joint macro-F1, that of each task, and the joint log loss.

    Where no row has all its labels there is no joint class to score; the mean of the tasks' scores then stands in.
    A score without any row is NaN.
    """
    joint = space.encode(truth)
    known = joint >= 0
    tasks = {name: task.macro_f1 for name, task in scores.tasks.items()}
    if known.any():
        loss = float(-np.log(np.maximum(prob[known, joint[known]], 1e-12)).mean())
        return {"macro_f1": scores.macro_f1, "loss": loss} | tasks
    scored = [value for value in tasks.values() if not math.isnan(value)]
    return {"macro_f1": float(np.mean(scored)) if scored else math.nan, "loss": math.nan} | tasks


class _Plan:
    """Steps and learning rates of the whole training, from sizes alone."""

    def __init__(self, train: Rows, cfg: Config, session: Session) -> None:
        self.train, self.seed, self.batch_size = train, cfg.seed, cfg.train.batch_size
        self.processes, self.process = session.accelerator.num_processes, session.accelerator.process_index
        self.accumulate = session.plan.accumulate
        self.steps_per_epoch = -(-len(train) // cfg.train.batch_size)
        self.first_epoch, self.epochs = session.epoch, cfg.train.epochs
        self.warmup_steps = round(cfg.optim.warmup_epochs * self.steps_per_epoch)

    def epoch_steps(self, epoch: int) -> list[Rows]:
        return steps(epoch_order(self.train, seed=self.seed, epoch=epoch), self.batch_size)

    def pieces(self, step_S: Rows) -> list[Piece]:
        return pieces(step_S, processes=self.processes, accumulate=self.accumulate)[self.process]

    def keys(self) -> Iterator[list[Key]]:
        """Yield what this process loads, over all epochs in one stream, so that no epoch starts with idle workers."""
        for epoch in range(self.first_epoch, self.epochs):
            for step_S in self.epoch_steps(epoch):
                for piece in self.pieces(step_S):
                    yield [Key(int(row), epoch) for row in piece.rows]


def _train_loader(rows: FoldRows, plan: _Plan, session: Session, workers: int) -> Any:
    return loader(rows.photos, _Restarting(plan), workers=workers, pin=session.accelerator.device.type == "cuda")


class _Restarting:
    """The key stream as an object torch's loader can iterate."""

    def __init__(self, plan: _Plan) -> None:
        self.plan = plan

    def __iter__(self) -> Iterator[list[Key]]:
        return self.plan.keys()


def _train_epoch(
    session: Session,
    rows: FoldRows,
    heads: dict[str, HeadTarget],
    cfg: Config,
    plan: _Plan,
    stream: Iterator[list[Tensor]],
) -> Generator[Tick, None, dict[str, float]]:
    session.model.train()
    meter = Meter(list(heads), session, len(rows.train))
    total_steps = plan.epochs * plan.steps_per_epoch
    for step_S in plan.epoch_steps(session.epoch):
        lr = lr_at(
            session.step,
            peak=cfg.optim.lr,
            end_share=cfg.optim.end_share,
            warmup_steps=plan.warmup_steps,
            total_steps=total_steps,
        )
        set_lr(session.optimizer, lr)
        terms, norm = train_step(session, rows.photos, heads, cfg, step_S, plan.pieces(step_S), stream)
        session.step += 1
        if session.ema is not None:
            session.ema.update(session.network, step=session.step)
        meter.add(terms, norm, len(step_S))
        if tick := meter.tick():
            yield tick
    return meter.means()


def stream_seed(*key: int) -> int:
    """Return a seed for torch's generator from the integers a stream of random numbers is keyed on.

    >>> stream_seed(0, 1) == stream_seed(0, 1) != stream_seed(1, 0)
    True
    """
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0])


def _agree_on_buffers(session: Session) -> None:
    """Give every process the first one's normalisation statistics, which each gathers from its own images."""
    if session.accelerator.num_processes > 1:
        for buffer in session.judged.buffers():
            buffer.copy_(broadcast(buffer.clone()))
