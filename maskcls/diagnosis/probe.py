"""The training path as the checks use it: sessions, steps and scores of `maskcls.engine`, on rows that a check chooses.

Nothing of the training is written a second time here, so a fault of it shows in the checks. N rows, B rows of a step.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maskcls.data.dataset import Key
from maskcls.data.photos.rgb import Pixels
from maskcls.engine.device import Accelerator
from maskcls.engine.fit import open_stream, open_targets, process_share, validate_epoch, validation_reader
from maskcls.engine.session import Session, open_session, set_frozen
from maskcls.engine.step import train_step
from maskcls.engine.step_plan import FoldRows, StepPlan
from maskcls.errors import MaskclsError
from maskcls.groupnouns import Noun
from maskcls.labels import Floats, Ints
from maskcls.nn.network import Network
from maskcls.nn.optim import set_lr
from maskcls.schema import Config
from maskcls.schema.group_noun import group_noun
from maskcls.schema.transforms import PRESETS
from maskcls.training.experiment import Experiment, Member
from maskcls.training.plans import fresh_network

FOLD = 0  # the fold whose people are held out in every check


@dataclass(frozen=True)
class Probe:
    """One network of an experiment that is examined.

    rows  what it trains on and is validated on, as `Experiment.rows` gives them for fold 0.
    """

    experiment: Experiment
    member: Member
    accelerator: Accelerator
    rows: FoldRows

    @property
    def cfg(self) -> Config:
        """Its configuration."""
        return self.member.cfg

    @property
    def noun(self) -> Noun:
        """What the groups of the data set are called, one and several."""
        return group_noun(self.experiment.cfg)

    def with_settings(self, **sections: Mapping[str, Any]) -> Probe:
        """Return the probe with other settings, such as `optim={"lr": 1e-3}`."""
        changed = {name: getattr(self.cfg, name).model_copy(update=dict(new)) for name, new in sections.items()}
        return replace(self, member=replace(self.member, cfg=self.cfg.model_copy(update=changed)))

    def on(self, train: Ints, valid: Ints) -> Probe:
        """Return the probe with other rows (int64) to train on and to validate."""
        return replace(self, rows=replace(self.rows, train=train, valid=valid))

    def network(self) -> Network:
        """Return the network as a training of fold 0 begins with it."""
        network, _ = fresh_network(self.member, self.cfg.seed, FOLD)
        return network

    def session(self, network: Network, steps: int) -> Session:
        """Open a session as a training of so many steps does."""
        plan = self.experiment.plans[self.member.task]
        return open_session(network, self.cfg, self.member.space, self.accelerator, plan, total_steps=steps)

    def steps(self, session: Session, count: int, lr: float) -> Iterator[Tensor]:
        """Make optimizer steps with this learning rate; yield the loss terms (heads,) before each step.

        `session.epoch` says which epoch the steps are of. Raises DivergedError as a training does.
        """
        epochs = session.epoch + -(-count // StepPlan(self.rows, self.cfg).steps_per_epoch)
        step_plan = StepPlan(self.rows, self.with_settings(train={"epochs": epochs}).cfg)
        heads, stream = open_targets(session, step_plan), open_stream(session, step_plan)
        set_frozen(session, session.epoch < self.cfg.optim.freeze_epochs)
        plans = itertools.chain.from_iterable(map(step_plan.steps, range(session.epoch, epochs)))
        for step in itertools.islice(plans, count):
            set_lr(session.optimizer, lr)
            pieces = step_plan.pieces(step, **process_share(session))
            terms, _ = train_step(session, self.rows.photos, heads, self.cfg, step, pieces, stream)
            session.step += 1
            yield terms

    def probabilities(self, session: Session) -> Floats:
        """Return joint probabilities (n, J) of the validation rows, as a training computes them after an epoch."""
        reader = validation_reader(self.rows, self.cfg, self.accelerator)
        return validate_epoch(session, self.rows, reader)[1]

    def views(self, rows: Ints) -> Pixels:
        """Return the validation views (n, H, W, 3) uint8 of these rows."""
        found = self.rows.photos.__getitems__([Key(int(row)) for row in rows])
        if isinstance(found, MaskclsError):
            raise found
        return found[0]


def without_chance(probe: Probe) -> Probe:
    """Return the probe without random changes of images, mixing and dropout: each step sees the same images."""
    return probe.with_settings(
        transforms=PRESETS["none"] | {"geometry": 0.0, "colour": 0.0},
        mix={"kind": "none"},
        model={"drop": 0.0, "drop_path": 0.0, "drop_samples": 1},
        average={"kind": "none"},
        sampler={"draw": "shuffle", "one_per_person": False, "epoch_fraction": 1.0},
        optim={"freeze_epochs": 0},
        train={"stages": ()},
    )


def different_rows(labels_N: Ints, rows: Ints, count: int, seed: int) -> Ints:
    """Choose at most `count` of these rows, of as many joint classes as there are, one after the other.

    labels_N  (N,) joint labels; rows with -1 are not chosen.

    >>> different_rows(np.array([0, 0, 0, 1, -1]), np.arange(5), 2, seed=0).tolist()[1]
    3
    """
    order = np.random.default_rng(seed).permutation(rows[labels_N[rows] >= 0])
    turn = np.zeros(len(order), dtype=np.int64)
    for label in np.unique(labels_N[order]):
        here = labels_N[order] == label
        turn[here] = np.arange(here.sum())
    chosen = order[np.lexsort((labels_N[order], turn))][:count]
    return np.sort(chosen)


def parameters_of(network: Network) -> int:
    """Return the number of parameters of the trunk."""
    return sum(p.numel() for p in network.trunk.parameters())


def watch_inputs(network: Network, seen: list[NDArray[np.float32]]) -> Any:
    """Append the images (B, 3, H, W) of every forward pass to `seen`; returns the handle that ends it."""

    def keep(_: torch.nn.Module, args: tuple[Tensor, ...]) -> None:
        seen.append(args[0].detach().float().cpu().numpy())

    return network.trunk.register_forward_pre_hook(keep)
