"""Parameter groups, and the optimizer by name: AdamW, or any of timm's that needs only a plain backward and step."""

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

LOOKAHEAD = "lookahead_"  # prefix of a name: Zhang et al. 2019, arXiv:1907.08610


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
    """Build an optimizer for the groups of `parameter_groups`; each group keeps its lr_scale, and `set_lr` applies it.

    name       one of `optimizer_names`, with or without the prefix `lookahead_`. adamw: Loshchilov and Hutter 2019,
               arXiv:1711.05101.
    lr         the highest rate of the schedule: some optimizers scale their weight decay by rate / highest rate.
    betas      as many as the optimizer has; None: its defaults.
    momentum   None: timm's default, 0.9.
    freeze     number of layers of the trunk, counted from its input, that are not trained: their parameters get
               requires_grad=False. Norms in them still update their statistics in training mode.

    Raises ConfigError for an unknown name, for betas or a momentum the optimizer does not have, and for layer_decay or
    freeze if timm does not know the trunk's layers or there are fewer than freeze.
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
        spared=_named_by(network.trunk),
    )
    if base == "adamw":
        options["fused"] = _fused_runs(groups) or None
    optimizer = create_optimizer_v2(groups, base, lr=lr, **options)
    for group in optimizer.param_groups:
        if "max_lr_snapshot" in group:  # the highest rate; timm assumes that it is the same in every group
            group["max_lr_snapshot"] *= group["lr_scale"]
    set_lr(optimizer, lr)
    return Lookahead(optimizer) if name != base else optimizer  # type: ignore[no-untyped-call]


def optimizer_names() -> list[str]:
    """Return the names of timm's optimizers that `build_optimizer` accepts."""
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
    """Divide the trained parameters into groups with one `weight_decay` and one `lr_scale` each.

    weight_decay is 0 for vectors (norms, biases), for names that end in `.bias`, and for parameters of the trunk whose
    name matches a pattern in `spared` (* matches any text). lr_scale, the group's learning rate / the trunk's, is
    head_lr_scale outside the trunk, and layer_decay ** n in the n-th layer before the trunk's last layer, in timm's
    order of layers (Clark et al. 2020, arXiv:2003.10555). Raises ConfigError if timm does not know the layers.
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
    """Set the learning rate of every group to `lr` times the group's `lr_scale`."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_scale"]


def _objection(name: str) -> str | None:
    """Return why timm's optimizer cannot be used here; None if it can."""
    info = get_optimizer_info(name)
    if isinstance(info.opt_class, str):
        return f"it needs {info.opt_class.partition('.')[0]}, which this project does not install"
    if info.second_order:
        return "it needs second derivatives, which a plain backward does not compute"
    if info.opt_class is Kron:
        return "its steps use random numbers, so processes would diverge and a resumed run would differ"
    return None


def _options(name: str, base: str, betas: Sequence[float] | None, momentum: float | None) -> dict[str, Any]:
    """Return the optimizer's keyword arguments besides its groups; raises ConfigError for one it does not have."""
    if base not in list_optimizers():
        hint = nearest(base, optimizer_names())
        raise ConfigError(
            "there is no optimizer of this name",
            where="optim.name",
            got=repr(name),
            expected=None if hint else f"one of {', '.join(optimizer_names())}",
            fix=f"did you mean {hint!r}?" if hint else None,
        )
    if objection := _objection(base):
        fix = "choose another, such as adamw"
        raise ConfigError(f"this optimizer cannot be used: {objection}", where="optim.name", got=repr(name), fix=fix)
    info = get_optimizer_info(base)
    if momentum is not None and not info.has_momentum:
        raise _not_taken("momentum", name, "betas" if info.has_betas else None)
    if betas is not None and not info.has_betas:
        raise _not_taken("betas", name, "momentum" if info.has_momentum else None)
    # timm's Adafactor accepts a pair, but does not use the second value.
    count = 1 if info.opt_class is Adafactor else info.num_betas
    if betas is not None and len(betas) != count:
        raise ConfigError(
            f"{name} takes {count} beta{'s' if count > 1 else ''}",
            where="optim.betas",
            got=f"{len(betas)}: {', '.join(map(str, betas))}",
            fix="give this number of values, or leave optim.betas out for the optimizer's defaults",
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
    """Return {parameter: layer number, 0 at the input}; raises ConfigError if timm does not know the layers."""
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
            "the backbone has fewer layers than optim.freeze_layers",
            where="optim.freeze_layers",
            got=str(count),
            expected=f"at most {most}, the number of its layers",
        )
    for name, parameter in trunk.named_parameters():
        if layers[name] < count:
            parameter.requires_grad_(False)


def _named_by(trunk: Any) -> list[str]:
    """Return the names of parameters that the trunk's definition excludes from weight decay, such as `pos_embed`."""
    return sorted(trunk.no_weight_decay()) if hasattr(trunk, "no_weight_decay") else []


def _fused_runs(groups: list[dict[str, Any]]) -> bool:
    """Return whether torch's fused step (one kernel for all parameters) supports these parameters.

    On the CPU the default step makes a dozen calls per parameter: on two cores fused saves 17 ms per step of a
    mobilenetv4_conv_small. On the CPU the fused step reads a parameter and its gradient in memory order, so a gradient
    of another memory format gives wrong results without an error. Gradients from `backward` have their parameter's
    format (torch's "default gradient layouts"); a gradient assigned by hand must have it too.
    """
    parameters = [p for group in groups for p in group["params"]]
    return all(p.device.type in ("cpu", "cuda") and p.dtype == torch.float32 for p in parameters)
