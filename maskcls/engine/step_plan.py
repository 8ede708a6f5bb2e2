"""The plan of a fold's training: which rows every optimizer step uses, and what they are mixed with.

A pure function of the configuration and the rows, so that a training can resume at any step and all processes compute
the same plan. N rows of the manifest, R training rows, S rows of a step, B rows of a piece.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from maskcls.data.dataset import Key, Photos
from maskcls.data.rows.batches import Piece, Rows, pieces, steps
from maskcls.data.rows.sampling import Sampling, epoch_length, epoch_rows, turns
from maskcls.data.views.mixing import MixDraws, Mixing, Pools, build_pools, draw_mixes, mix_images
from maskcls.errors import MaskclsError
from maskcls.labels import Floats, Ints
from maskcls.schema import Config

PARTNER = 1 << 32  # turn number of mixing partners, so that a partner copy of an image gets its own augmentation


@dataclass(frozen=True)
class FoldRows:
    """The data of one fold.

    photos  of all N rows.
    train   (R,) int64 rows to train on; valid: int64 rows of the fold's held-out people.
    labels  {task: (N,) int64} class indices, -1 = unknown; values: {task: (N,) int64} such as years, -1 = unknown.
    people  (N,) int64, the person of each row as a number.
    weight  (N,) float32.
    soft    (N, J) float32 probabilities; a row that is not all zeros replaces that row's labels. None: no soft labels.
    """

    photos: Photos
    train: Rows
    valid: Rows
    labels: dict[str, Ints]
    values: dict[str, Ints]
    people: Ints
    weight: NDArray[np.float32]
    soft: Floats | None = None


@dataclass(frozen=True)
class StepRows:
    """Rows (S,) of an optimizer step, how often each was already used in this epoch (S,), and their mixing partners."""

    rows: Rows
    turns: Ints
    mixes: MixDraws | None

    def take(self, places: Ints) -> StepRows:
        """Return the part of the step at these places."""
        mixes = None if self.mixes is None else self.mixes.take(places)
        return StepRows(self.rows[places], self.turns[places], mixes)

    @property
    def loaded(self) -> tuple[Rows, Ints]:
        """Rows and turns of all images to load: those of the step, then their mixing partners."""
        if self.mixes is None:
            return self.rows, self.turns
        partners = self.mixes.partner[self.mixes.mixed]
        return np.append(self.rows, partners), np.append(self.turns, np.full(len(partners), PARTNER))


class StepPlan:
    """All optimizer steps of a training, epoch by epoch."""

    def __init__(self, rows: FoldRows, cfg: Config) -> None:
        self.rows, self.cfg = rows, cfg
        self.sampling = build_sampling(cfg)
        joint = cfg.space.encode(rows.labels)
        self.group = _group(rows, joint, cfg)[rows.train]
        self.unit = (rows.people * (cfg.space.size + 1) + joint + 1)[rows.train]
        self.mixing = build_mixing(cfg)
        self.pools = _pools(rows, joint, cfg) if self.mixing else None
        self.epoch_images = epoch_length(rows.train, self.group, self.unit, self.sampling)
        self.steps_per_epoch = -(-self.epoch_images // cfg.train.batch_size)

    def steps(self, epoch: int) -> list[StepRows]:
        """Return the steps of an epoch."""
        order = epoch_rows(self.rows.train, self.group, self.unit, self.sampling, seed=self.cfg.seed, epoch=epoch)
        whole = self.step(order, epoch)
        return [whole.take(places) for places in steps(np.arange(len(order)), self.cfg.train.batch_size)]

    def step(self, order: Rows, epoch: int) -> StepRows:
        """Return one step of these training rows in this order, as if they were a whole epoch."""
        turn = turns(order)
        return StepRows(order, turn, self._mixes(order, turn, epoch))

    def images(self, step: StepRows, epoch: int) -> NDArray[np.uint8]:
        """Return the images (S, H, W, 3) of a step of this epoch as they enter the network; raises MaskclsError."""
        loaded, turn = step.loaded
        views = self.rows.photos.__getitems__([Key(int(r), epoch, int(t)) for r, t in zip(loaded, turn, strict=True)])
        if isinstance(views, MaskclsError):
            raise views
        images = torch.from_numpy(views[0])
        if step.mixes is not None:
            images = mix_images(images[: len(step.rows)], images[len(step.rows) :], step.mixes)
        return images.round().to(torch.uint8).numpy()

    def pieces(self, step: StepRows, *, processes: int, accumulate: int, process: int) -> list[Piece]:
        """Return the pieces of a step that one process computes."""
        return pieces(len(step.rows), processes=processes, accumulate=accumulate)[process]

    def keys(
        self, first: int, *, processes: int, accumulate: int, process: int, steps_done: int = 0
    ) -> Iterator[list[Key]]:
        """Yield the keys of all images this process loads, from epoch `first` on, as one stream for all epochs.

        steps_done  steps at the start of epoch `first` that are left out.
        """
        for epoch in range(first, self.cfg.train.epochs):
            for step in self.steps(epoch)[steps_done if epoch == first else 0 :]:
                for piece in self.pieces(step, processes=processes, accumulate=accumulate, process=process):
                    rows, turn = step.take(piece.places).loaded
                    yield [Key(*key) for key in zip(rows.tolist(), [epoch] * len(rows), turn.tolist(), strict=True)]

    def _mixes(self, order: Rows, turn: Ints, epoch: int) -> MixDraws | None:
        if self.mixing is None or self.pools is None:
            return None
        return draw_mixes(
            self.mixing,
            self.pools,
            order,
            seed=self.cfg.seed,
            epoch_B=np.full(len(order), epoch),
            key_B=self.rows.photos.keys[order],
            turn_B=turn,
            size=self.cfg.transforms.size,
        )


def build_sampling(cfg: Config) -> Sampling:
    """Return the configured sampling of rows."""
    how = cfg.sampler
    return Sampling(how.draw, how.power, how.one_per_person, how.epoch_fraction)


def build_mixing(cfg: Config) -> Mixing | None:
    """Return the configured mixing of images; None without mixing."""
    how = cfg.mix
    return None if how.kind == "none" else Mixing(how.kind, how.prob, how.alpha, how.ratio, how.partner)


def _group(rows: FoldRows, joint: Ints, cfg: Config) -> Ints:
    """Return the group (N,) of each row whose frequency is balanced."""
    match cfg.sampler.by:
        case "joint":
            return joint
        case "person":
            return rows.people
    return rows.labels[cfg.sampler.by]


def _pools(rows: FoldRows, joint: Ints, cfg: Config) -> Pools:
    allowed = np.ones(len(rows.train), dtype=np.bool_)
    for name, classes in cfg.mix.partner_classes.items():
        wanted = [cfg.space.task(name).classes.index(one) for one in classes]
        allowed &= np.isin(rows.labels[name][rows.train], wanted)
    return build_pools(rows.train, joint[rows.train], partner=cfg.mix.partner, allowed_R=allowed)
