"""Parameter groups, and the optimizer by name: our AdamW, or any of timm's that a plain backward and step can drive."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch
from timm.models import group_parameters
from timm.optim import create_optimizer_v2, get_optimizer_info, list_optimizers  # type: ignore[attr-defined]
from timm.optim.adafactor import Adafactor
from timm.optim.kron import Kron
from timm.optim.lookahead import Lookahead
from torch import nn

from maskcls.errors import ConfigError, nearest
from maskcls.nn.network import Network

LOOKAHEAD = "lookahead_"  # in front of a name: Zhang et al. 2019, arXiv:1907.08610


def build_optimizer(
    network: Network,
    *,
    name: str = "adamw",
    lr: float,
    weight_decay: float,
    betas: Sequence[float] | None = None,
    momentum: float | None = None,
    head_lr_scale: float = 1.0,
    layer_decay: float = 1.0,
    freeze: int = 0,
) -> torch.optim.Optimizer:
    """Build an optimizer for what `parameter_groups` finds; each group keeps its factor, and `set_lr` applies it.

    name       one of `optimizer_names`, or one of them after `lookahead_`. adamw: Loshchilov and Hutter 2019,
               arXiv:1711.05101.
    lr         the highest the schedule will reach: some optimizers decay weights by the rate's share of it.
    betas      as many as the optimizer takes; None: its own.
    momentum   None: timm's, 0.9.
    freeze     layers of the trunk, from its input on, that are not trained: their parameters stop asking for gradients
               (`requires_grad`). Norms in them still gather statistics in training mode.

    Raises ConfigError for a name we do not have, for betas or a momentum the optimizer does not take, and for
    layer_decay or freeze on a trunk whose layers they do not fit.
    """
    base = name.removeprefix(LOOKAHEAD)
    options = _options(name, base, betas, momentum)
    if freeze:
        _freeze(network.trunk, freeze)
    groups = parameter_groups(
        network,
        weight_decay=weight_decay,
        head_lr_scale=head_lr_scale,
        layer_decay=layer_decay,
        # AdamW decays every matrix, as it did before there were others: its runs stay comparable to the bit.
        spared=() if base == "adamw" else _named_by(network.trunk),
    )
    if base == "adamw":
        options["fused"] = _fused_runs(groups) or None
    optimizer = create_optimizer_v2(groups, base, lr=lr, **options)
    for group in optimizer.param_groups:
        if "max_lr_snapshot" in group:  # the highest rate, which timm takes to be the same in every group
            group["max_lr_snapshot"] *= group["lr_scale"]
    set_lr(optimizer, lr)
    return Lookahead(optimizer) if name != base else optimizer  # type: ignore[no-untyped-call]


def optimizer_names() -> list[str]:
    """Return the names of timm's optimizers that `build_optimizer` takes."""
    names: list[Any] = list_optimizers()
    return [name for name in names if _objection(name) is None]


def parameter_groups(
    network: Network,
    *,
    weight_decay: float,
    head_lr_scale: float = 1.0,
    layer_decay: float = 1.0,
    spared: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Sort what is trained into groups of one `weight_decay` and one `lr_scale`, its learning rate over the trunk's.

    Norms and biases, that is vectors and whatever is called a bias, do not decay, nor do parameters of the trunk whose
    name is in `spared`, in which * stands for anything. lr_scale is head_lr_scale outside the trunk, and
    layer_decay ** n for the n-th layer under the trunk's last (Clark et al. 2020, arXiv:2003.10555), by timm's order of
    layers. Raises ConfigError where timm knows none.
    """
    layers = _layers(network.trunk, "optim.layer_decay") if layer_decay != 1 else {}
    last = max(layers.values(), default=0)
    found: dict[tuple[bool, float, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        part, _, rest = name.partition(".")
        outside = part != "trunk"
        scale = head_lr_scale if outside else layer_decay ** (last - layers.get(rest, last))
        still = (
            parameter.ndim <= 1
            or name.endswith(".bias")
            or (not outside and any(fnmatchcase(rest, pattern) for pattern in spared))
        )
        found.setdefault((outside, -scale, still), []).append(parameter)
    return [
        {"params": found[key], "weight_decay": 0.0 if key[2] else weight_decay, "lr_scale": -key[1]}
        for key in sorted(found)
    ]


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of every group to `lr` times the group's own factor."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_scale"]


def _objection(name: str) -> str | None:
    """Say why timm's optimizer cannot be used here, if so."""
    info = get_optimizer_info(name)
    if isinstance(info.opt_class, str):
        return f"it needs {info.opt_class.partition('.')[0]}, which is no part of this project"
    if info.second_order:
        return "it needs second derivatives, which a plain backward does not give"
    if info.opt_class is Kron:
        return "its steps draw at random, so that processes drift apart and a resumed run differs"
    return None


def _options(name: str, base: str, betas: Sequence[float] | None, momentum: float | None) -> dict[str, Any]:
    """Return the settings the optimizer is given beside its groups; raises ConfigError for one it does not take."""
    if base not in list_optimizers():
        hint = nearest(base, optimizer_names())
        raise ConfigError(
            "there is no optimizer of this name",
            where="optim.name",
            got=repr(name),
            expected=f"did you mean {hint!r}?" if hint else f"one of {', '.join(optimizer_names())}",
        )
    if objection := _objection(base):
        fix = "choose another, such as adamw"
        raise ConfigError(f"this optimizer is not for us: {objection}", where="optim.name", got=repr(name), fix=fix)
    info = get_optimizer_info(base)
    if momentum is not None and not info.has_momentum:
        raise _not_taken("momentum", name, "betas" if info.has_betas else None)
    if betas is not None and not info.has_betas:
        raise _not_taken("betas", name, "momentum" if info.has_momentum else None)
    # timm's Adafactor may be given a pair, and has no use for the second.
    count = 1 if info.opt_class is Adafactor else info.num_betas
    if betas is not None and len(betas) != count:
        raise ConfigError(
            f"{name} takes {count} beta{'s' if count > 1 else ''}",
            where="optim.betas",
            got=f"{len(betas)}: {', '.join(map(str, betas))}",
            fix="give as many, or leave optim.betas out for the optimizer's own",
        )
    given = {"betas": None if betas is None else tuple(betas), "momentum": momentum}
    return {key: value for key, value in given.items() if value is not None}


def _not_taken(setting: str, name: str, instead: str | None) -> ConfigError:
    return ConfigError(
        f"{name} has no {setting}",
        where=f"optim.{setting}",
        got=f"{setting} set for {name}",
        fix=f"leave optim.{setting} out" + (f"; {name} takes optim.{instead}" if instead else ""),
    )


def _layers(trunk: Any, setting: str) -> dict[str, int]:
    """Return the number of the layer each parameter belongs to, 0 at the input; raises ConfigError if timm has none."""
    layers: dict[str, int] = {}
    if hasattr(trunk, "group_matcher"):
        layers = group_parameters(trunk, trunk.group_matcher(coarse=False), reverse=True)
    if len(set(layers.values())) < 2:
        raise ConfigError(
            "timm does not know the layers of this backbone",
            where=setting,
            got=f"it is set for a {type(trunk).__name__}",
            fix=f"leave {setting} out, or choose another backbone",
        )
    return layers


def _freeze(trunk: nn.Module, count: int) -> None:
    layers = _layers(trunk, "optim.freeze_layers")
    if count > (most := max(layers.values()) + 1):
        raise ConfigError(
            "the backbone has fewer layers than are to be frozen",
            where="optim.freeze_layers",
            got=str(count),
            expected=f"at most {most}, which is all of them",
        )
    for name, parameter in trunk.named_parameters():
        if layers[name] < count:
            parameter.requires_grad_(False)


def _named_by(trunk: Any) -> list[str]:
    """Return the names of parameters that, the trunk's authors say, should not decay, such as positions."""
    return sorted(trunk.no_weight_decay()) if hasattr(trunk, "no_weight_decay") else []


def _fused_runs(groups: list[dict[str, Any]]) -> bool:
    """Tell whether torch's single-kernel step serves these parameters; elsewhere torch chooses for itself.

    On the CPU the usual step makes a dozen calls per parameter: on two cores fused saves 17 ms per step of a
    mobilenetv4_conv_small. It walks a parameter and its gradient by address, so on the CPU a gradient of another
    memory format is taken in the wrong order without a word. Gradients from `backward` share their parameter's
    format (torch's "default gradient layouts"); one assigned by hand must as well.
    """
    parameters = [p for group in groups for p in group["params"]]
    return all(p.device.type in ("cpu", "cuda") and p.dtype == torch.float32 for p in parameters)
