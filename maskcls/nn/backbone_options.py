"""Whether a timm backbone takes and uses the options it is given. Tried on torch's meta device, without values."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import timm
import torch
from torch import nn

from maskcls.backbone import TAKEN, Backbone
from maskcls.errors import ConfigError, nearest
from maskcls.nn.backbone_facts import create_options
from maskcls.nn.backbone_sizes import REFUSALS, Size, takes

# Values of which code that reads an option refuses one, or gives not all the same meaning.
PROBES: tuple[object, ...] = (object(), False, True)
UNKNOWN_WORD = "maskcls"  # no value of an option that is text
RECORDS = ("pretrained_cfg", "default_cfg", "pretrained_model_args")  # what timm notes on a network, unread by it


def options_error(backbone: Backbone, size: Size, reason: str) -> ConfigError | None:
    """Return the error of a backbone that takes images of this size, but not with its options; None if it takes both.

    reason  what timm or torch said.
    """
    if not backbone.options or takes(backbone, size) or not takes(backbone.bare, size):
        return None
    hints = {name: hint for name in backbone.options if (hint := _similar(backbone, name))}
    return ConfigError(
        "the backbone does not take these options",
        where=f"model.options (model.backbone={backbone.name})",
        got=f"{backbone.written}: {reason}",
        expected=f"keyword arguments of timm.create_model for {backbone.name}, with values that it takes",
        fix=f"did you mean {' and '.join(map(repr, hints.values()))}?" if hints else "change or remove the option",
    )


def check_used(backbone: Backbone, size: Size) -> None:
    """Raise ConfigError that names the options with which the backbone is the network that it is without them.

    An option with the value that the backbone has anyway is accepted if it is the declared default, or if another value
    would change something; for text, that is a word without meaning.
    """
    if not backbone.options:
        return
    with torch.random.fork_rng(devices=()):  # the weights of what is built next must not depend on this check
        unused = [name for name in backbone.options if _is_unused(backbone, name, size)]
    if unused:
        raise ConfigError(
            "the backbone is the same without these options",
            where=f"model.options (model.backbone={backbone.name})",
            got=", ".join(f"{name}: {json.dumps(backbone.options[name])}" for name in unused),
            expected="an option that this backbone reads, with a value that it knows",
            fix="correct or remove them",
        )


def _is_unused(backbone: Backbone, name: str, size: Size) -> bool:
    others = {key: value for key, value in backbone.options.items() if key != name}
    without, value = _structure(backbone.name, others, size), backbone.options[name]
    if _structure(backbone.name, {**others, name: value}, size) != without:
        return False
    if _defaults(backbone).get(name) == value:
        return False
    tried = (UNKNOWN_WORD,) if isinstance(value, str) else PROBES
    if any(_structure(backbone.name, {**others, name: one}, size) != without for one in tried):
        return False
    # The structure is the same: the option may still choose the weights that a new network starts with.
    return _first_weights(backbone, size) == _first_weights(Backbone(backbone.name, others), size)


def _structure(name: str, options: Mapping[str, Any], size: Size) -> str | None:
    """Return everything that tells one network from another but its values, as text; None if it cannot be built."""
    try:
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            of_size = create_options(Backbone(name), size)
            trunk = timm.create_model(name, num_classes=0, **{**of_size, **options})
    except REFUSALS:  # the network has read what it refuses
        return None
    return "\n".join(_lines(trunk))


def _lines(trunk: nn.Module) -> Iterator[str]:
    for path, module in trunk.named_modules():
        own = {key: value for key, value in vars(module).items() if key[0] != "_" and key not in RECORDS}
        yield f"{path} {_told(type(module))} {_told(own)}"
    for path, tensor in (*trunk.named_parameters(), *trunk.named_buffers()):
        yield f"{path} {tensor.dtype} {tuple(tensor.shape)}"


def _told(value: Any) -> str:
    """Return a value as text without addresses of objects."""
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_told, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_told(one)}' for key, one in sorted(value.items(), key=str))}}}"
    if isinstance(value, functools.partial):
        return f"{_told(value.func)} {_told(value.args)} {_told(value.keywords)}"
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}.{named.__qualname__}"


def _first_weights(backbone: Backbone, size: Size) -> str:
    """Return the hex digest of the values that a new network has from a fixed seed."""
    digest = hashlib.sha256()
    with torch.device("cpu"):
        torch.manual_seed(0)
        trunk = timm.create_model(backbone.name, num_classes=0, **create_options(backbone, size))
    for tensor in (*trunk.parameters(), *trunk.buffers()):
        digest.update(tensor.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _defaults(backbone: Backbone) -> dict[str, Any]:
    """Return the arguments of the backbone's class that can be options, with the defaults it declares."""
    with torch.device("meta"):
        trunk = timm.create_model(backbone.name, num_classes=0)
    declared = inspect.signature(type(trunk)).parameters
    return {name: one.default for name, one in declared.items() if name not in TAKEN}


def _similar(backbone: Backbone, name: str) -> str | None:
    """Return the argument of the backbone's class that an option which the class does not have may have meant."""
    known = _defaults(backbone)
    return None if name in known else nearest(name, list(known))
