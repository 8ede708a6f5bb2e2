"""The state of one network in training: made fresh for a fold, saved after an epoch, restored bit for bit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from maskcls.engine.device import place
from maskcls.engine.execution import Plan
from maskcls.labels import LabelSpace
from maskcls.nn.network import Network
from maskcls.nn.optim import Average, build_ema, build_optimizer
from maskcls.schema import Config

PROGRESS = ("step", "epoch", "best_epoch", "best_score", "history")  # of a session, saved as JSON


@dataclass
class Session:
    """The state of one network in training, made anew for every fold by `open_session`; nothing else is carried on."""

    network: Network
    model: nn.Module
    optimizer: torch.optim.Optimizer
    ema: Average | None
    space: LabelSpace
    accelerator: Accelerator
    plan: Plan
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


def open_session(network: Network, cfg: Config, space: LabelSpace, accelerator: Accelerator, plan: Plan) -> Session:
    """Put a fresh network on the device and give it its own optimizer and average."""
    place(network, accelerator.device, plan.train)
    ema = None if cfg.ema.decay is None else build_ema(network, decay=cfg.ema.decay, power=cfg.ema.power)
    optim = cfg.optim
    optimizer = build_optimizer(
        network,
        lr=optim.lr,
        weight_decay=optim.weight_decay,
        betas=optim.betas,
        head_lr_scale=optim.head_lr_scale,
    )
    model = torch.compile(network) if plan.train.compile else network
    model = accelerator.prepare_model(model)
    return Session(network, model, accelerator.prepare_optimizer(optimizer), ema, space, accelerator, plan)


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
