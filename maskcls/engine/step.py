"""One optimizer step, and the losses of the running epoch.

N rows of the manifest, S rows of an optimizer step, B rows of one forward pass.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from maskcls.data.dataset import Photos
from maskcls.data.rows.batches import Piece
from maskcls.data.views.augment import augment_on_device, to_device
from maskcls.data.views.mixing import mix_images, mix_targets
from maskcls.engine.device import normalise
from maskcls.engine.objective import HeadTarget, step_totals
from maskcls.engine.processes.synced_norms import SyncedNorms
from maskcls.engine.random_state import generator_states
from maskcls.engine.session import EpochSoFar, Session
from maskcls.engine.step_plan import StepRows
from maskcls.errors import DivergedError
from maskcls.nn.losses import soft_f1_loss
from maskcls.schema import Config

TICK_S = 0.5  # between two progress reports
CHECK_STEPS = 20  # on a GPU, steps between two fetches of the losses


@dataclass(frozen=True)
class Tick:
    """Progress within an epoch: images done, images in all, speed in images/s, and the mean loss so far."""

    epoch: int
    images: int
    of_images: int
    images_per_second: float
    loss: float


def train_step(
    session: Session,
    photos: Photos,
    heads: dict[str, HeadTarget],
    cfg: Config,
    step: StepRows,
    mine: Sequence[Piece],
    stream: Iterator[list[Tensor]],
) -> tuple[Tensor, Tensor]:
    """Make one optimizer step; returns this process's loss terms (heads,) and the gradient norm before clipping.

    Both are tensors on the device, float32. Nothing here waits for the device; `Meter` fetches results in batches.
    """
    accelerator, device, execution = session.accelerator, session.accelerator.device, session.plan.train
    totals = to_device(step_totals(list(heads.values()), step), device)
    summed = torch.zeros(len(heads), device=device)
    share = stage_share(cfg.train.stages, session.epoch)
    session.optimizer.zero_grad()
    for index, piece in enumerate(mine):
        part = step.take(piece.places)
        images = _resized(_images(next(stream)[0], photos, part, session), share)
        last = index == len(mine) - 1
        with contextlib.nullcontext() if last else accelerator.no_sync(session.model):
            with execution.autocast(device), _norms(cfg, piece, accelerator):
                logits = session.model(images)
            terms = _terms(logits, heads, part, piece.real, totals, accelerator)
            # Distributed training averages the processes' gradients; the step's loss is their sum.
            accelerator.backward(_balanced(terms, session, len(mine)) * accelerator.num_processes)
        summed += terms.detach()
    norm = _clip(session, cfg.optim.clip_norm or math.inf)
    session.optimizer.step()
    return summed, norm.detach()


def _norms(cfg: Config, piece: Piece, accelerator: Accelerator) -> AbstractContextManager[object]:
    """Return the context of a forward pass: with it, batch normalisation is over all processes where configured."""
    if not cfg.train.sync_batchnorm or accelerator.num_processes == 1:
        return contextlib.nullcontext()
    return SyncedNorms(to_device(piece.real.astype(np.float32), accelerator.device))


def _clip(session: Session, limit: float) -> Tensor:
    """Scale the gradients down to the norm `limit` where they exceed it; returns the norm before."""
    accelerator = session.accelerator
    if accelerator.device.type != "cpu" or accelerator.num_processes > 1:
        return accelerator.clip_grad_norm_(session.model.parameters(), limit).detach()  # type: ignore[no-any-return]
    gradients = [p.grad for p in session.network.parameters() if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if norm > limit:  # on the CPU this comparison is free, but multiplying all gradients by 1 is not
        torch.nn.utils.clip_grads_with_norm_(session.network.parameters(), limit, norm)
    return norm


def _images(images_BHWC: Tensor, photos: Photos, part: StepRows, session: Session) -> Tensor:
    """Return a piece's images as the network gets them, from the loaded images (B + M, H, W, 3), partners last."""
    device, spec = session.accelerator.device, photos.specs[0]
    images = images_BHWC.to(device, non_blocking=True)
    if photos.bare:
        rows, turns = part.loaded
        draws = photos.draws(0, rows, np.full(len(rows), session.epoch), turns)
        images = augment_on_device(images, draws, spec.fill).permute(0, 2, 3, 1)
    if part.mixes is not None:
        images = mix_images(images[: len(part.rows)], images[len(part.rows) :], part.mixes)
    return normalise(images, mean=spec.mean, std=spec.std, execution=session.plan.train)


def stage_share(stages: Sequence[tuple[int, float]], epoch: int) -> float:
    """Return the scale of height and width in an epoch, in (0, 1]: that of its stage, and 1 after the last stage.

    >>> [stage_share(((2, 0.5), (1, 0.75)), epoch) for epoch in range(4)]
    [0.5, 0.5, 0.75, 1.0]
    """
    for epochs, share in stages:
        if epoch < epochs:
            return share
        epoch -= epochs
    return 1.0


def staged(size: tuple[int, int], share: float) -> tuple[int, int]:
    """Return the (height, width) in pixels of images in a stage of this scale."""
    return max(1, round(size[0] * share)), max(1, round(size[1] * share))


def _resized(images_BCHW: Tensor, share: float) -> Tensor:
    if share == 1:
        return images_BCHW
    height, width = images_BCHW.shape[2:]
    size = staged((height, width), share)
    return functional.interpolate(images_BCHW, size, mode="bilinear", antialias=True, align_corners=False)


def _terms(
    logits: Mapping[str, Tensor],
    heads: dict[str, HeadTarget],
    part: StepRows,
    real: NDArray[np.bool_],
    totals: Tensor,
    accelerator: Accelerator,
) -> Tensor:
    """Return each head's part (heads,) of the step's loss; the sum over pieces and processes is the loss of the step.

    totals  (terms,) the weight of all rows of the step in each term, head after head; see `step_totals`.
    """
    device = totals.device
    rows, counts = to_device(part.rows, device), to_device(real.astype(np.float32), device)
    partners = None if part.mixes is None else to_device(part.mixes.partner[part.mixes.mixed], device)
    # A term without any row in the step has total 0 and sum 0; its value is then 0, not 0 / 0.
    scale = iter(torch.where(totals > 0, 1 / totals, 0.0))
    shares = []
    for name, head in heads.items():
        target = head.rows[rows]
        if part.mixes is not None:
            target = mix_targets(target, head.rows[partners], part.mixes)
        target = target * counts[:, None]
        samples = len(logits[name]) // len(rows)
        target = target.repeat(samples, 1) / samples
        parts = [factor * summed * next(scale) for factor, summed in head.per_row(logits[name], target)]
        if head.f1:
            parts.append(head.f1 * _f1_share(head.sums(logits[name], target), accelerator))
        shares.append(head.weight * torch.stack(parts).sum())
    return torch.stack(shares)


def _f1_share(sums: Tensor, accelerator: Accelerator) -> Tensor:
    """Return this process's part of the soft F1 loss over the rows of all P processes.

    Its value is 1/P of the loss. Its gradient is that of the whole loss with respect to this process's rows, because
    gradients are summed over processes.
    """
    others = accelerator.reduce(sums.detach(), reduction="sum") - sums.detach()
    loss = soft_f1_loss(sums + others)
    share: Tensor = loss - (1 - 1 / accelerator.num_processes) * loss.detach()
    return share


def _balanced(terms: Tensor, session: Session, parts: int) -> Tensor:
    """Return the sum of the heads' losses L; with learned variances, the sum of L / variance + log(variance) / 2.

    Reference: Kendall, Gal and Cipolla 2018, arXiv:1705.07115. parts: number of pieces of the step in this process.
    """
    log_variance = session.network.log_variance
    if log_variance is None:
        return terms.sum()
    shares = parts * session.accelerator.num_processes
    total: Tensor = (torch.exp(-log_variance) * terms + log_variance / (2 * shares)).sum()
    return total


class Meter:
    """Loss of the running epoch. Kept on the device and fetched every few steps, because fetching waits for it.

    begun  what is done of the epoch already; None at its start.
    """

    def __init__(self, heads: list[str], session: Session, of_images: int, begun: EpochSoFar | None = None) -> None:
        self.heads, self.session, self.of_images = heads, session, of_images
        self.ticked = self.stepped = time.monotonic()
        self.started = self.ticked - (begun.seconds if begun else 0.0)
        self.images, self.steps, self.loss = (begun.images, begun.steps, math.nan) if begun else (0, 0, math.nan)
        self.pending: list[Tensor] = []
        self.sums = np.array(begun.sums) if begun else np.zeros(len(heads))

    def add(self, terms: Tensor, norm: Tensor, images: int) -> None:
        """Add one step; its loss terms are weighted by its number of images, so a short last step counts less."""
        self.images += images
        self.steps += 1
        self.stepped = time.monotonic()
        self.pending.append(torch.cat([terms * images, norm.reshape(1).float()]))
        on_cpu = self.session.accelerator.device.type == "cpu"
        if on_cpu or len(self.pending) == CHECK_STEPS or self.images == self.of_images:
            self.fetch()

    def fetch(self) -> None:
        """Fetch the pending steps; raises DivergedError when a value is not finite."""
        rows = self.session.accelerator.reduce(torch.stack(self.pending), reduction="sum").cpu().double().numpy()
        self.pending = []
        first = self.steps - len(rows)
        # An overflowed fp16 gradient is normal: the gradient scaler skips the step and continues.
        checked = rows[:, :-1] if self.session.accelerator.mixed_precision == "fp16" else rows
        bad = np.flatnonzero(~np.isfinite(checked).all(axis=1))
        if bad.size:
            self._stop(first + int(bad[0]), rows[bad[0]])
        for row in rows:  # one after the other, so that the sums do not depend on where the epoch was saved
            self.sums += row[:-1]
        self.loss = float(self.sums.sum()) / self.images

    def _stop(self, index: int, row: NDArray[np.float64]) -> None:
        names = [*self.heads, "gradient norm"]
        wrong = [name for name, value in zip(names, row, strict=True) if not np.isfinite(value)]
        raise DivergedError(
            "training diverged: a number is not finite",
            # Both counted from 1, like the epochs in progress output and the finished steps in log.jsonl.
            where=f"epoch {self.session.epoch + 1}, step {self.session.step - self.steps + index + 1}",
            got=f"{', '.join(wrong)} is NaN or infinite",
            fix="lower optim.lr, lengthen schedule.warmup_epochs, or use device.precision=fp32; "
            "the last saved epoch is unchanged",
        )

    def tick(self) -> Tick | None:
        """Return progress if half a second has passed since the last report, else None."""
        now = time.monotonic()
        if now - self.ticked < TICK_S:
            return None
        self.ticked = now
        speed = self.images / (now - self.started)
        return Tick(self.session.epoch, self.images, self.of_images, speed, self.loss)

    def so_far(self) -> EpochSoFar:
        """Return what is done of the epoch, to be saved. All processes call this together, after the same step."""
        if self.pending:
            self.fetch()
        seconds, random = self.stepped - self.started, generator_states(self.session.accelerator)
        return EpochSoFar(self.steps, self.images, tuple(self.sums.tolist()), seconds, random)

    def means(self) -> dict[str, float]:
        """Return the means over the epoch: `loss`, and the loss of each head by name."""
        parts = dict(zip(self.heads, (self.sums / self.images).tolist(), strict=True))
        return {"loss": sum(parts.values())} | parts
