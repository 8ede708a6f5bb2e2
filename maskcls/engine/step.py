"""One optimizer step, and the losses of the running epoch.

N rows of the manifest, S rows of an optimizer step, B rows of one forward pass.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maskcls.data.augment import augment_on_device, to_device
from maskcls.data.batches import Piece, Rows
from maskcls.data.dataset import Photos
from maskcls.engine.device import normalise
from maskcls.engine.session import Session
from maskcls.errors import DivergedError
from maskcls.labels import Ints
from maskcls.nn.losses import one_hot, weighted_terms
from maskcls.nn.network import JOINT
from maskcls.schema import Config

TICK_S = 0.5
CHECK_STEPS = 20


@dataclass(frozen=True)
class Tick:
    """Progress inside an epoch: images done of all, their speed, and the mean loss so far."""

    epoch: int
    images: int
    of_images: int
    images_per_second: float
    loss: float


@dataclass(frozen=True)
class HeadTarget:
    """What one head learns: labels (N,) int64 and weights (N,) float32, 0 where the label is unknown.

    They lie on the device, so that a step sends nothing but the numbers of its rows; `host` is the weights' copy here.
    """

    labels: Tensor
    weight: Tensor
    host: NDArray[np.float32]


def head_targets(labels: Mapping[str, Ints], weight: NDArray[np.float32], session: Session) -> dict[str, HeadTarget]:
    """Return what every head learns; a joint label is unknown when one of its tasks is."""
    if list(session.network.heads) == [JOINT]:
        labels = {JOINT: session.space.encode(labels)}
    return {name: _target(labels[name], weight, session.accelerator.device) for name in session.network.heads}


def _target(labels: Ints, weight: NDArray[np.float32], device: torch.device) -> HeadTarget:
    host = (weight * (labels >= 0)).astype(np.float32)
    return HeadTarget(torch.from_numpy(labels.astype(np.int64)).to(device), torch.from_numpy(host).to(device), host)


def train_step(
    session: Session,
    photos: Photos,
    heads: dict[str, HeadTarget],
    cfg: Config,
    step_S: Rows,
    mine: Sequence[Piece],
    stream: Iterator[list[Tensor]],
) -> tuple[Tensor, Tensor]:
    """Make one optimizer step; returns this process's loss terms (heads,) and the gradient's norm before clipping.

    Nothing here waits for the device: what it computes is asked for later, in one piece, by the `Meter`.
    """
    accelerator, device, execution = session.accelerator, session.accelerator.device, session.plan.train
    totals = torch.tensor([float(h.host[step_S].sum(dtype=np.float64)) for h in heads.values()]).to(device)
    summed = torch.zeros(len(heads), device=device)
    session.optimizer.zero_grad()
    for index, piece in enumerate(mine):
        images = _images(next(stream)[0], photos, piece, session)
        last = index == len(mine) - 1
        with contextlib.nullcontext() if last else accelerator.no_sync(session.model):
            with execution.autocast(device):
                logits = session.model(images)
            terms = _terms(logits, heads, piece, totals)
            # Distributed training averages the processes' gradients; the step's loss is their sum.
            accelerator.backward(terms.sum() * accelerator.num_processes)
        summed += terms.detach()
    norm = _clip(session, cfg.optim.clip_norm or math.inf)
    session.optimizer.step()
    return summed, norm.detach()


def _clip(session: Session, limit: float) -> Tensor:
    """Scale the gradients down to the norm `limit` where they exceed it; returns the norm before."""
    accelerator = session.accelerator
    if accelerator.device.type != "cpu" or accelerator.num_processes > 1:
        return accelerator.clip_grad_norm_(session.model.parameters(), limit).detach()  # type: ignore[no-any-return]
    gradients = [p.grad for p in session.network.parameters() if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if norm > limit:  # on the CPU asking costs nothing, and multiplying all gradients by 1 does
        torch.nn.utils.clip_grads_with_norm_(session.network.parameters(), limit, norm)
    return norm


def _images(images_BHWC: Tensor, photos: Photos, piece: Piece, session: Session) -> Tensor:
    device, spec = session.accelerator.device, photos.specs[0]
    images = images_BHWC.to(device, non_blocking=True)
    if photos.bare:
        epochs = np.full(len(piece.rows), session.epoch)
        images = augment_on_device(images, photos.draws(0, piece.rows, epochs), spec.fill).permute(0, 2, 3, 1)
    return normalise(images, mean=spec.mean, std=spec.std, execution=session.plan.train)


def _terms(logits: Mapping[str, Tensor], heads: dict[str, HeadTarget], piece: Piece, totals: Tensor) -> Tensor:
    device = totals.device
    rows, real = to_device(piece.rows, device), to_device(piece.real.astype(np.float32), device)
    dense = {n: one_hot(h.labels[rows], logits[n].shape[1]) for n, h in heads.items()}
    weight = {n: h.weight[rows] * real for n, h in heads.items()}
    return weighted_terms({n: logits[n] for n in heads}, dense, weight, totals)


class Meter:
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
