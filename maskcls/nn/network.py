"""A timm trunk with one linear head per task, or one head over the joint classes.

B batch, C channels of an image, H height, W width.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from maskcls.errors import ConfigError, ResourceError, WeightsError, nearest
from maskcls.nn.backbone_facts import check_patches
from maskcls.nn.backbone_sizes import size_error
from maskcls.nn.heads import Head, build_head


class Network(nn.Module):
    """Images (B, 3, H, W), normalised, to logits {head: (B, outputs)}.

    trunk     maps images to features (B, features).
    specs     the heads by name; an int is a softmax head with that number of classes.
    drop      dropout probability before the heads, in [0, 1).
    samples   number of dropout masks per image in training (multi-sample dropout, Inoue 2019, arXiv:1905.09788): logits
              then have samples * B rows, first all B images with the first mask, and so on.
    balanced  learn one variance per head, which weights its loss (Kendall, Gal and Cipolla 2018, arXiv:1705.07115).
    """

    def __init__(
        self,
        trunk: nn.Module,
        features: int,
        specs: Mapping[str, Head | int],
        *,
        drop: float = 0.0,
        samples: int = 1,
        balanced: bool = False,
    ) -> None:
        super().__init__()
        self.trunk, self.samples = trunk, samples
        self.specs = {name: Head(name, spec) if isinstance(spec, int) else spec for name, spec in specs.items()}
        self.drop = nn.Dropout(drop)
        self.heads = nn.ModuleDict()
        # Written to _modules, because ModuleDict rejects the names of its methods: a task may be called `values`.
        self.heads._modules.update({name: build_head(spec, features) for name, spec in self.specs.items()})
        self.log_variance = nn.Parameter(torch.zeros(len(specs))) if balanced else None

    def forward(self, images_BCHW: Tensor) -> dict[str, Tensor]:
        """Return the logits of every head; with several dropout samples in training, (samples * B, outputs)."""
        features = self.trunk(images_BCHW)
        if self.training and self.samples > 1:
            features = features.repeat(self.samples, 1)
        features = self.drop(features)
        return {name: head(features) for name, head in self.heads.items()}

    def inference_state(self) -> dict[str, Tensor]:
        """Return the state dict without tensors that only training needs."""
        return {name: value for name, value in self.state_dict().items() if name != "log_variance"}


def build_network(
    backbone: str,
    specs: Mapping[str, Head | int],
    *,
    size: tuple[int, int],
    pretrained: bool = False,
    drop: float = 0.0,
    drop_path: float = 0.0,
    samples: int = 1,
    balanced: bool = False,
) -> Network:
    """Build a new network on a timm backbone, given by name; size is (height, width) in pixels.

    Random weights come from torch's global generator, so seed it first. Raises ConfigError for a name unknown to timm,
    for pretrained weights that do not exist, and for a size or drop_path the backbone does not support; ResourceError
    when pretrained weights cannot be downloaded.
    """
    check_backbone(backbone)
    facts = timm.get_pretrained_cfg(backbone)
    if pretrained and not (facts and facts.has_weights):
        raise ConfigError(
            "timm has no pretrained weights for this backbone",
            where="model.pretrained",
            got=f"true for {backbone}",
            fix="set model.pretrained=false, give a local file with model.weights=FILE, or choose another backbone",
        )
    options: dict[str, Any] = {"drop_path_rate": drop_path} if drop_path else {}
    try:
        trunk = timm.create_model(
            backbone, pretrained=pretrained, num_classes=0, **size_options(backbone, size), **options
        )
    except MEMORY_ERRORS:
        raise
    except Exception as error:
        raise _build_error(backbone, pretrained, size, error) from None
    check_patches(trunk, backbone, size)
    try:
        features = _feature_count(backbone, trunk, size)
    except ConfigError as error:
        raise size_error(backbone, size, str(error.got)) or error from None
    return Network(trunk, features, specs, drop=drop, samples=samples, balanced=balanced)


def size_options(backbone: str, size: tuple[int, int]) -> dict[str, Any]:
    """Return what timm's create_model needs to know of the size, (height, width) in pixels, of a network's images."""
    facts = timm.get_pretrained_cfg(backbone)
    return {"img_size": size} if facts and facts.fixed_input_size else {}


MEMORY_ERRORS = (MemoryError, torch.OutOfMemoryError)


def check_backbone(name: str) -> None:
    """Raise ConfigError with the most similar name unless timm has this backbone, and the weights of its tag if any."""
    architecture, dot, _ = name.partition(".")
    if not timm.is_model(name):
        hint = nearest(architecture, timm.list_models())
    elif dot and name not in (tagged := timm.list_models(f"{architecture}.*", include_tags=True)):
        hint = nearest(name, tagged)
    else:
        return
    raise ConfigError(
        "timm has no backbone of this name",
        where="model.backbone",
        got=repr(name),
        expected="a name from timm.list_models()",
        fix=f"did you mean {hint!r}?" if hint else None,
    )


def check_size(network: Network, backbone: str, size: tuple[int, int]) -> None:
    """Raise ConfigError unless the network also accepts images of this (height, width) in pixels."""
    check_patches(network.trunk, backbone, size)
    _feature_count(backbone, network.trunk, size)


def load_trunk(network: Network, path: Path) -> str:
    """Load a local weights file into the trunk; return a sentence with the number of loaded and ignored keys.

    The file is safetensors, or a pickled plain state dict read with weights_only=True; the content decides, not the
    name. It must have every tensor of the trunk with its shape; other keys, such as a head's, are ignored.
    Raises WeightsError.
    """
    wanted = network.trunk.state_dict()
    found = _strip(read_tensors(path), wanted)
    wrong = [f"{key} is absent" for key in wanted if key not in found]
    wrong += [
        f"{key} has shape {tuple(found[key].shape)}, not {tuple(tensor.shape)}"
        for key, tensor in wanted.items()
        if key in found and found[key].shape != tensor.shape
    ]
    if wrong:
        raise WeightsError(
            f"{len(wrong)} of the trunk's {len(wanted)} tensors do not match the file",
            where=str(path),
            offenders=wrong,
            fix="choose the backbone these weights belong to (model.backbone), or other weights",
        )
    broken = [key for key in wanted if not torch.isfinite(found[key].float()).all()]
    if broken:
        raise WeightsError(
            "the weights contain NaN or infinity",
            where=str(path),
            offenders=broken,
            fix="use other weights, such as those of another epoch",
        )
    network.trunk.load_state_dict({key: found[key] for key in wanted})
    unused = sorted(found.keys() - wanted.keys())  # a file has no order of its own
    left = f"; left out: {', '.join(unused[:4])}{' …' if len(unused) > 4 else ''}" if unused else ""
    return f"{len(wanted)} of {len(wanted)} trunk tensors loaded from {path.name}{left}"


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a state dict without running code from the file; raises WeightsError."""
    try:
        # Read, not memory-mapped: if a mapped file is replaced while in use, the weights change.
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # the latter: NUL in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise WeightsError("cannot read the weights", where=str(path), got=reason, fix="check the path") from None
    if data[8:9] == b"{":
        return _read_safetensors(path, data)
    if not data.startswith((b"PK", b"\x80")):
        raise WeightsError(
            "this is not a weights file",
            where=str(path),
            got=f"{len(data)} bytes that begin with {data[:8]!r}",
            expected="safetensors, or a torch state dict",
            fix="download the file again; with Git LFS, run git lfs pull",
        )
    return _read_pickled(path, data)


def _read_safetensors(path: Path, data: bytes) -> dict[str, Tensor]:
    try:
        return load(data)
    except (SafetensorError, ValueError, KeyError) as error:  # the last: a number type torch does not have
        raise WeightsError(
            "the weights file is damaged", where=str(path), got=str(error), fix="copy or download the file again"
        ) from None


def _read_pickled(path: Path, data: bytes) -> dict[str, Tensor]:
    try:
        found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # torch reports damage and unsafe contents with many types
        raise WeightsError(
            "the file is damaged, or contains more than tensors and is not loaded for safety",
            where=str(path),
            got=_first_line(error),
            fix="save only the state_dict(), preferably as safetensors",
        ) from None
    for name in ("state_dict", "model"):
        if isinstance(found, dict) and isinstance(found.get(name), dict):
            found = found[name]
    if not isinstance(found, dict):
        raise WeightsError(
            "the file contains no plain state dict",
            where=str(path),
            got=type(found).__name__,
            fix="save only the state_dict(), preferably as safetensors",
        )
    odd = [f"{key!r} is {_kind(value)}" for key, value in found.items() if not _is_entry(key, value)]
    if odd:
        raise WeightsError(
            "the file contains no plain state dict",
            where=str(path),
            offenders=odd,
            fix="save only the state_dict(), preferably as safetensors",
        )
    return found


def _is_entry(key: object, value: object) -> bool:
    dense = isinstance(value, Tensor) and value.layout == torch.strided and not (value.is_meta or value.is_quantized)
    return isinstance(key, str) and dense


def _kind(value: object) -> str:
    return "a tensor that is not dense, or has no name" if isinstance(value, Tensor) else type(value).__name__


def _strip(tensors: dict[str, Tensor], wanted: Collection[str]) -> dict[str, Tensor]:
    """Remove the prefixes that wrappers and `Network` add to a trunk's keys, unless the trunk has them too."""
    for prefix in ("module.", "_orig_mod.", "trunk."):
        if any(key.startswith(prefix) for key in tensors) and not any(key.startswith(prefix) for key in wanted):
            tensors = {key.removeprefix(prefix): value for key, value in tensors.items()}
    return tensors


def _feature_count(backbone: str, trunk: nn.Module, size: tuple[int, int]) -> int:
    # Measured with a forward pass: in some model families num_features is the width before the head's own layers.
    training = trunk.training
    try:
        with torch.no_grad():
            features: Tensor = trunk.eval()(torch.zeros(1, 3, *size))
    except MEMORY_ERRORS:
        raise
    except Exception as error:
        raise _refused(backbone, f"{_first_line(error)} (in a pass over an image of {size[0]} x {size[1]})") from None
    if features.ndim != 2:
        raise _refused(backbone, f"features of shape {tuple(features.shape)}, not (1, features)")
    trunk.train(training)
    return int(features.shape[1])


def _build_error(
    backbone: str, pretrained: bool, size: tuple[int, int], error: Exception
) -> ConfigError | ResourceError:
    if pretrained and not isinstance(error, TypeError | ValueError | AssertionError):
        return ResourceError(
            "the pretrained weights cannot be downloaded",
            where=f"model.pretrained=true for {backbone}",
            got=_first_line(error),
            fix="connect to the internet once, or give a local file with model.weights=FILE",
        )
    reason = _first_line(error)
    return size_error(backbone, size, reason) or _refused(backbone, reason)


def _refused(backbone: str, reason: str) -> ConfigError:
    return ConfigError(
        "the backbone cannot be built with these settings",
        where=f"model.backbone={backbone}",
        got=reason,
        fix="change transforms.size, train.stages or model.drop_path, or choose another backbone",
    )


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
