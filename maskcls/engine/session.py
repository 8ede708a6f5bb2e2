"""The state of one network in training: created per fold, saved after any step, restored bit for bit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, assert_never

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor, nn

from maskcls.engine.compute.plan import Plan
from maskcls.engine.device import move_network
from maskcls.errors import WeightsError
from maskcls.labels import LabelSpace
from maskcls.nn.average import Average, build_ema, build_swa
from maskcls.nn.network import Network
from maskcls.nn.optim import build_optimizer
from maskcls.schema import AverageConfig, Config, OptimConfig

RANDOM = "random/"  # prefix of the generators' states among the tensors
PROGRESS = ("step", "epoch", "best_epoch", "best_score", "history")  # of a session, saved as JSON
COUNTERS = ("step", "lookahead_step")  # counters that some optimizers keep per group, not per parameter


@dataclass(frozen=True)
class EpochSoFar:
    """What is done of the running epoch, besides what the network and the optimizer hold.

    steps, images  done in this epoch. sums: per head, its loss times the images of each step, summed.
    seconds        of training, without those between an interruption and its resume.
    random         states (P, bytes) uint8 of torch's generators in P processes; see `generator_states`.
    """

    steps: int
    images: int
    sums: tuple[float, ...]
    seconds: float
    random: dict[str, Tensor]

    def to_json(self) -> dict[str, Any]:
        """Return everything but the tensors."""
        return {"steps": self.steps, "images": self.images, "sums": list(self.sums), "seconds": self.seconds}


@dataclass
class Session:
    """The state of one network in training, created per fold by `open_session`; folds share no state.

    step, epoch  optimizer steps and epochs done; best_epoch: -1 before the first.
    history      one `EpochResult.to_json` per epoch done.
    so_far       of a restored session: what was done of the epoch that it continues; None at the start of an epoch.
    valid_prob   joint probabilities (n, J) float32 for the validation rows after the last epoch; not saved.
    """

    network: Network
    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: Average[Network] | None
    space: LabelSpace
    accelerator: Accelerator
    plan: Plan
    step: int = 0
    epoch: int = 0
    best_epoch: int = -1
    best_score: float = -math.inf
    history: list[dict[str, Any]] = field(default_factory=list)
    so_far: EpochSoFar | None = None
    valid_prob: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    trunk_parameters: list[nn.Parameter] = field(init=False)  # those that are trained in at least one epoch

    def __post_init__(self) -> None:
        self.trunk_parameters = [p for p in self.network.trunk.parameters() if p.requires_grad]

    @property
    def scored_network(self) -> Network:
        """The network that is validated and saved: the weight average if there is one."""
        return self.network if self.average is None else self.average.module

    def finished(self, epochs: int, patience: int | None) -> bool:
        """Tell whether training is over: all epochs done, or no better score for `patience` epochs."""
        return is_over(self.epoch, self.best_epoch, epochs, patience)


def is_over(epoch: int, best_epoch: int, epochs: int, patience: int | None) -> bool:
    """Tell whether a training of `epochs` epochs is over after `epoch` of them; best_epoch: -1 before the first.

    >>> is_over(3, 0, 9, patience=2), is_over(3, 1, 9, patience=2), is_over(9, 8, 9, None)
    (True, False, True)
    """
    return epoch >= epochs or (patience is not None and epoch > 0 and epoch - 1 - best_epoch >= patience)


def open_session(
    network: Network, cfg: Config, space: LabelSpace, accelerator: Accelerator, plan: Plan, *, total_steps: int
) -> Session:
    """Move a new network to the device and create its optimizer and weight average."""
    move_network(network, accelerator.device, plan.train)
    average = _build_average(network, cfg.average, total_steps)
    optimizer = accelerator.prepare_optimizer(optimizer_of(network, cfg.optim))
    model = _prepared(network, accelerator, plan)
    return Session(network, model, optimizer, average, space, accelerator, plan)


def optimizer_of(network: Network, optim: OptimConfig) -> torch.optim.Optimizer:
    """Build the configured optimizer and freeze the configured layers; ConfigError as in `build_optimizer`."""
    return build_optimizer(
        network,
        name=optim.name,
        lr=optim.lr,
        weight_decay=optim.weight_decay,
        betas=optim.betas,
        momentum=optim.momentum,
        head_lr_scale=optim.head_lr_scale,
        layer_decay=optim.layer_decay,
        freeze=optim.freeze_layers,
    )


def _build_average(network: Network, how: AverageConfig, total_steps: int) -> Average[Network] | None:
    match how.kind:
        case "ema":
            return build_ema(network, decay=how.decay, power=how.power)
        case "swa":
            return build_swa(network, start_step=max(1, round(how.start * total_steps)))
        case "none":
            return None
        case _:
            assert_never(how.kind)


def _prepared(network: Network, accelerator: Accelerator, plan: Plan) -> nn.Module:
    model: nn.Module = accelerator.prepare_model(torch.compile(network) if plan.train.compile else network)
    return model


def set_frozen(session: Session, frozen: bool) -> None:
    """Set training mode. frozen: the trunk is not trained and stays in evaluation mode; the heads are trained."""
    trained = session.trunk_parameters
    if any(p.requires_grad == frozen for p in trained):
        for parameter in trained:
            parameter.requires_grad_(not frozen)
        # The wrapper for several processes records at its start which gradients to wait for.
        session.model = _prepared(session.network, session.accelerator, session.plan)
    session.model.train()
    session.network.trunk.train(not frozen)


def session_state(session: Session, so_far: EpochSoFar | None = None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return a session's whole state as tensors by name and JSON progress, for `checkpoint.save_state`.

    so_far  what is done of the running epoch; None at the end of an epoch.
    """
    tensors = {f"network/{k}": v for k, v in session.network.state_dict().items()}
    if session.average is not None:
        tensors |= {f"average/{k}": v for k, v in session.average.module.state_dict().items()}
    moments, numbers = optimizer_moments(session.optimizer)
    tensors |= {f"optimizer/{key}": value for key, value in moments.items()}
    scaler = session.accelerator.scaler
    progress = {name: getattr(session, name) for name in PROGRESS}
    if so_far is not None:
        tensors |= {f"{RANDOM}{name}": states for name, states in so_far.random.items()}
        progress["so_far"] = so_far.to_json()
    return tensors, progress | {"scaler": scaler.state_dict() if scaler else None, "optimizer": numbers}


def restore_session(session: Session, tensors: Mapping[str, Tensor], progress: Mapping[str, Any]) -> None:
    """Load the saved state into a new session; training then continues bit for bit as if never interrupted."""
    session.network.load_state_dict(with_prefix(tensors, "network/"))
    if session.average is not None:
        session.average.module.load_state_dict(with_prefix(tensors, "average/"))
    restore_moments(session.optimizer, with_prefix(tensors, "optimizer/"), progress["optimizer"])
    for name in PROGRESS:
        setattr(session, name, progress[name])
    if (begun := progress.get("so_far")) is not None:  # earlier versions saved at the end of an epoch only
        random, sums = with_prefix(tensors, RANDOM), tuple(begun["sums"])
        session.so_far = EpochSoFar(begun["steps"], begun["images"], sums, begun["seconds"], random)
    if session.accelerator.scaler and progress["scaler"]:
        session.accelerator.scaler.load_state_dict(progress["scaler"])


def with_prefix(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin with the prefix, without it."""
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def optimizer_moments(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return an optimizer's tensors by `parameter/name`, and its plain numbers per parameter and group as JSON."""
    found = optimizer.state_dict()
    values = {f"{index}/{name}": v for index, state in found["state"].items() for name, v in state.items()}
    tensors = {key: value for key, value in values.items() if isinstance(value, Tensor)}
    numbers = {key: value for key, value in values.items() if key not in tensors}
    counts = [{name: _plain(group[name]) for name in COUNTERS if name in group} for group in found["param_groups"]]
    return tensors, {"state": numbers, "groups": counts}


def restore_moments(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]
) -> None:
    """Load the state that `optimizer_moments` returned into a new optimizer with the same groups.

    Raises WeightsError for a state of other groups, such as those of versions whose AdamW decayed position tables too.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    _check_shapes(parameters, tensors)
    state: dict[int, dict[str, Any]] = {}
    for key, value in {**tensors, **numbers["state"]}.items():
        index, name = key.split("/")
        state.setdefault(int(index), {})[name] = _like(parameters[int(index)], value)
    groups = optimizer.state_dict()["param_groups"]
    counted = [{**group, **counts} for group, counts in zip(groups, numbers["groups"], strict=True)]
    optimizer.load_state_dict({"state": state, "param_groups": counted})


def _check_shapes(parameters: Sequence[Tensor], tensors: Mapping[str, Tensor]) -> None:
    # Moments are found by their parameter's place. Only exp_avg has its parameter's shape in every optimizer.
    for key, value in tensors.items():
        index, name = key.split("/")
        if name == "exp_avg" and (int(index) >= len(parameters) or value.shape != parameters[int(index)].shape):
            raise WeightsError(
                "the resume state is of other parameter groups, as an earlier maskcls made them",
                got=f"moments of shape {tuple(value.shape)} in place {index}",
                fix="train a new run, or delete the fold's folder `resume` to train the fold from its start",
            )


def _plain(count: Any) -> Any:
    return count.item() if isinstance(count, Tensor) else count


def _like(parameter: Tensor, value: Any) -> Any:
    """Return a moment in its parameter's memory format; with another format, torch would run other kernels."""
    if isinstance(value, Tensor) and value.ndim and value.shape == parameter.shape:
        return torch.empty_like(parameter, dtype=value.dtype).copy_(value)
    return value
