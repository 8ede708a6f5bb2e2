"""The training loop: one network on one fold, as a generator of progress. No callbacks.

R training rows, S rows of one optimizer step, B rows of one forward pass.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from numpy.typing import NDArray
from torch import Tensor, nn

from maskcls.config import Config
from maskcls.data.batches import Piece, Rows, epoch_order, pieces, steps
from maskcls.data.dataset import Key, Photos, batches, loader
from maskcls.data.transforms import ViewSpec
from maskcls.engine.device import normalise, place, worker_count
from maskcls.engine.infer import Prob, Speaker, infer
from maskcls.errors import DivergedError, ResultError
from maskcls.labels import Ints, LabelSpace
from maskcls.nn.losses import one_hot, weighted_terms
from maskcls.nn.network import JOINT, Network
from maskcls.nn.optim import Average, build_ema, build_optimizer, lr_at, set_lr
from maskcls.results.metrics import Scores, score

TICK_S = 0.5
CHECK_STEPS = 20
PROGRESS = ("step", "epoch", "best_epoch", "best_score", "history")  # of a session, saved as JSON


@dataclass(frozen=True)
class FoldRows:
    """The rows of one fold: photos, what they train on, what judges it, and every row's labels and weight."""

    photos: Photos
    train: Rows
    valid: Rows
    labels: dict[str, Ints]
    weight: NDArray[np.float32]


@dataclass(frozen=True)
class Tick:
    """Progress inside an epoch: images done of all, their speed, and the mean loss so far."""

    epoch: int
    images: int
    of_images: int
    images_per_second: float
    loss: float


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


@dataclass
class Session:
    """The state of one network in training, made anew for every fold by `open_session`; nothing else is carried on."""

    network: Network
    model: nn.Module
    optimizer: torch.optim.Optimizer
    ema: Average | None
    space: LabelSpace
    accelerator: Accelerator
    step: int = 0
    epoch: int = 0
    best_epoch: int = -1
    best_score: float = -math.inf
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def judged(self) -> Network:
        """The network that is validated and saved: the average of the weights if there is one."""
        return self.network if self.ema is None else self.ema.module

    def finished(self, epochs: int, patience: int | None) -> bool:
        """Tell whether training is over: all epochs done, or no better score for `patience` epochs."""
        stale = self.epoch - 1 - self.best_epoch
        return self.epoch >= epochs or (patience is not None and self.epoch > 0 and stale >= patience)


def open_session(network: Network, cfg: Config, space: LabelSpace, accelerator: Accelerator) -> Session:
    """Put a fresh network on the device and give it its own optimizer and average."""
    place(network, accelerator, channels_last=cfg.device.channels_last)
    ema = None if cfg.ema.decay is None else build_ema(network, decay=cfg.ema.decay, power=cfg.ema.power)
    optim = cfg.optim
    optimizer = build_optimizer(
        network,
        lr=optim.lr,
        weight_decay=optim.weight_decay,
        betas=optim.betas,
        head_lr_scale=optim.head_lr_scale,
    )
    model = accelerator.prepare_model(network)
    return Session(network, model, accelerator.prepare_optimizer(optimizer), ema, space, accelerator)


def session_state(session: Session) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return all a session is, as tensors by name and JSON progress, for `checkpoint.save_state`."""
    tensors = {f"network/{k}": v for k, v in session.network.state_dict().items()}
    if session.ema is not None:
        tensors |= {f"ema/{k}": v for k, v in session.ema.module.state_dict().items()}
    for index, moments in session.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{name}": value for name, value in moments.items()}
    scaler = session.accelerator.scaler
    progress = {name: getattr(session, name) for name in PROGRESS}
    return tensors, progress | {"scaler": scaler.state_dict() if scaler else None}


def restore_session(session: Session, tensors: Mapping[str, Tensor], progress: Mapping[str, Any]) -> None:
    """Put a fresh session into the saved state; training then goes on bit for bit as if never interrupted."""
    session.network.load_state_dict(_part(tensors, "network/"))
    if session.ema is not None:
        session.ema.module.load_state_dict(_part(tensors, "ema/"))
    _restore_moments(session.optimizer, _part(tensors, "optimizer/"))
    for name in PROGRESS:
        setattr(session, name, progress[name])
    if session.accelerator.scaler and progress["scaler"]:
        session.accelerator.scaler.load_state_dict(progress["scaler"])


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _restore_moments(optimizer: torch.optim.Optimizer, saved: Mapping[str, Tensor]) -> None:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in saved.items():
        index, name = key.split("/")
        like = parameters[int(index)]
        # A moment shares its parameter's memory format; another one would make other kernels run.
        shaped = torch.empty_like(like).copy_(value) if value.shape == like.shape and value.ndim else value
        state.setdefault(int(index), {})[name] = shaped
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def fit(session: Session, rows: FoldRows, cfg: Config, *, key: tuple[int, ...]) -> Iterator[Tick | EpochResult]:
    """Train from the session's epoch to the end, yielding ticks and one EpochResult an epoch.

    key: integers the randomness of this fold is keyed on. Between two yields of EpochResult the session may be saved.
    Raises DivergedError naming the step when the loss or the gradient is not finite.
    """
    workers = worker_count(
        cfg.device,
        on_cpu=session.accelerator.device.type == "cpu",
        processes=session.accelerator.num_processes,
        cached=bool(rows.photos.cached),
    )
    plan = _Plan(rows.train, cfg, session)
    heads = head_targets(rows, session)
    stream = batches(_train_loader(rows, plan, session, workers))
    while not session.finished(cfg.train.epochs, cfg.train.patience):
        # Dropout draws from torch's generator; seeding it by epoch makes an epoch's start its own resume point.
        torch.manual_seed(stream_seed(*key, session.epoch, session.accelerator.process_index))
        started = time.monotonic()
        train = yield from _train_epoch(session, rows, heads, cfg, plan, stream)
        images_per_second = len(rows.train) / (time.monotonic() - started)
        lr = session.optimizer.param_groups[0]["lr"]
        val, _ = validate(session, rows, cfg, workers)
        # Where nothing can be scored (NaN) no epoch is better than another, and the latest counts as the best.
        is_best = not val["macro_f1"] <= session.best_score
        if is_best:
            session.best_epoch, session.best_score = session.epoch, val["macro_f1"]
        seconds = time.monotonic() - started
        result = EpochResult(session.epoch, session.step, lr, train, val, seconds, images_per_second, is_best)
        session.epoch += 1
        session.history.append(result.to_json())
        yield result


def validate(session: Session, rows: FoldRows, cfg: Config, workers: int) -> tuple[dict[str, float], Prob]:
    """Score the judged network on the fold's validation rows; returns scores by name and probabilities (n, J)."""
    _agree_on_buffers(session)
    speaker = Speaker(session.judged, session.space, rows.photos.specs[0])
    try:
        (prob,) = infer(
            [speaker],
            rows.photos,
            rows.valid,
            accelerator=session.accelerator,
            views=cfg.predict.views,
            batch_size=cfg.predict.batch_size,
            workers=workers,
            channels_last=cfg.device.channels_last,
        )
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
        self.accumulate = cfg.train.accumulate
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
    meter = _Meter(list(heads), session, len(rows.train))
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
        terms, norm = _step(session, rows.photos.specs[0], heads, cfg, step_S, plan.pieces(step_S), stream)
        session.step += 1
        if session.ema is not None:
            session.ema.update(session.network, step=session.step)
        meter.add(terms, norm, len(step_S))
        if tick := meter.tick():
            yield tick
    return meter.means()


def _step(
    session: Session,
    spec: ViewSpec,
    heads: dict[str, HeadTarget],
    cfg: Config,
    step_S: Rows,
    mine: list[Piece],
    stream: Iterator[list[Tensor]],
) -> tuple[Tensor, Tensor]:
    """Make one optimizer step; returns this process's loss terms (heads,) and the gradient's norm before clipping."""
    accelerator, device = session.accelerator, session.accelerator.device
    totals = torch.tensor([float(h.weight[step_S].sum(dtype=np.float64)) for h in heads.values()], device=device)
    summed = torch.zeros(len(heads), device=device)
    session.optimizer.zero_grad()
    for index, piece in enumerate(mine):
        (images,) = next(stream)
        last = index == len(mine) - 1
        with contextlib.nullcontext() if last else accelerator.no_sync(session.model):
            ready = normalise(
                images, device=device, mean=spec.mean, std=spec.std, channels_last=cfg.device.channels_last
            )
            with accelerator.autocast():
                logits = session.model(ready)
            terms = _terms(logits, heads, piece, totals)
            # Distributed training averages the processes' gradients; the step's loss is their sum.
            accelerator.backward(terms.sum() * accelerator.num_processes)
        summed += terms.detach()
    norm = accelerator.clip_grad_norm_(session.model.parameters(), cfg.optim.clip_norm or math.inf)
    session.optimizer.step()
    return summed, norm.detach()


def _terms(logits: Mapping[str, Tensor], heads: dict[str, HeadTarget], piece: Piece, totals: Tensor) -> Tensor:
    device = totals.device
    dense = {n: one_hot(_on(h.labels[piece.rows], device), logits[n].shape[1]) for n, h in heads.items()}
    weight = {n: _on(h.weight[piece.rows] * piece.real, device).float() for n, h in heads.items()}
    return weighted_terms({n: logits[n] for n in heads}, dense, weight, totals)


@dataclass(frozen=True)
class HeadTarget:
    """Labels (N,) int64 of one head, and weights (N,) float32 that are 0 where the label is unknown."""

    labels: Ints
    weight: NDArray[np.float32]


def head_targets(rows: FoldRows, session: Session) -> dict[str, HeadTarget]:
    """Return what every head learns; a joint label is unknown when one of its tasks is."""
    labels: Mapping[str, Ints] = rows.labels
    if list(session.network.heads) == [JOINT]:
        labels = {JOINT: session.space.encode(rows.labels)}
    return {name: HeadTarget(labels[name], rows.weight * (labels[name] >= 0)) for name in session.network.heads}


def stream_seed(*key: int) -> int:
    """Return a seed for torch's generator from the integers a stream of random numbers is keyed on.

    >>> stream_seed(0, 1) == stream_seed(0, 1) != stream_seed(1, 0)
    True
    """
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0])


class _Meter:
    """Loss of the running epoch, kept on the device and fetched now and then: fetching waits for the device."""

    def __init__(self, heads: list[str], session: Session, of_images: int) -> None:
        self.heads, self.session, self.of_images = heads, session, of_images
        self.started = self.ticked = time.monotonic()
        self.images, self.steps, self.loss = 0, 0, math.nan
        self.pending: list[Tensor] = []
        self.sums = np.zeros(len(heads))

    def add(self, terms: Tensor, norm: Tensor, images: int) -> None:
        """Take in one step; the loss terms are weighted by its images, so a short last step counts less."""
        self.images += images
        self.steps += 1
        self.pending.append(torch.cat([terms * images, norm.reshape(1).float()]))
        on_cpu = self.session.accelerator.device.type == "cpu"
        if on_cpu or len(self.pending) == CHECK_STEPS or self.images == self.of_images:
            self.fetch()

    def fetch(self) -> None:
        rows = self.session.accelerator.reduce(torch.stack(self.pending), reduction="sum").cpu().double().numpy()
        self.pending = []
        first = self.steps - len(rows)
        # An overflowed fp16 gradient is the scaler's business; it skips the step and goes on.
        judged = rows[:, :-1] if self.session.accelerator.mixed_precision == "fp16" else rows
        bad = np.flatnonzero(~np.isfinite(judged).all(axis=1))
        if bad.size:
            self._stop(first + int(bad[0]), rows[bad[0]])
        self.sums += rows[:, :-1].sum(axis=0)
        self.loss = float(self.sums.sum()) / self.images

    def _stop(self, index: int, row: NDArray[np.float64]) -> None:
        names = [*self.heads, "gradient norm"]
        wrong = [name for name, value in zip(names, row, strict=True) if not np.isfinite(value)]
        raise DivergedError(
            "training diverged: a number is not finite",
            # Both counted from 1, as progress shows epochs and log.jsonl counts finished steps.
            where=f"epoch {self.session.epoch + 1}, step {self.session.step - self.steps + index + 1}",
            got=f"{', '.join(wrong)} is NaN or infinite",
            fix="lower optim.lr, lengthen optim.warmup_epochs, or use device.precision=fp32; "
            "the last saved epoch is unchanged",
        )

    def tick(self) -> Tick | None:
        """Return progress if half a second has passed since the last."""
        now = time.monotonic()
        if now - self.ticked < TICK_S:
            return None
        self.ticked = now
        speed = self.images / (now - self.started)
        return Tick(self.session.epoch, self.images, self.of_images, speed, self.loss)

    def means(self) -> dict[str, float]:
        """Return the mean loss, and that of each head, over the epoch."""
        parts = dict(zip(self.heads, (self.sums / self.images).tolist(), strict=True))
        return {"loss": sum(parts.values())} | parts


def _agree_on_buffers(session: Session) -> None:
    """Give every process the first one's normalisation statistics, which each gathers from its own images."""
    if session.accelerator.num_processes > 1:
        for buffer in session.judged.buffers():
            buffer.copy_(broadcast(buffer.clone()))


def _on(array: NDArray[Any], device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(device, non_blocking=True)
