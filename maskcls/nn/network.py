"""A timm trunk with one linear head a task, or one head over the joint classes.

B batch, C channels of an image, H height, W width.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import timm
import torch
from torch import Tensor, nn

from maskcls.errors import ConfigError, ResourceError, WeightsError, nearest
from maskcls.labels import LabelSpace

JOINT = "joint"


class Network(nn.Module):
    """Images (B, 3, H, W), normalised, to logits {head: (B, classes)}.

    trunk     maps images to features (B, features).
    classes   classes of each head, by name: a task's name, or `joint`.
    drop      dropout in front of the heads.
    """

    def __init__(self, trunk: nn.Module, features: int, classes: Mapping[str, int], *, drop: float = 0.0) -> None:
        super().__init__()
        self.trunk = trunk
        self.drop = nn.Dropout(drop)
        self.heads = nn.ModuleDict({name: nn.Linear(features, count) for name, count in classes.items()})
        # Zero heads make the first loss exactly log(classes), whatever the trunk says: a check on everything before it.
        for parameter in self.heads.parameters():
            nn.init.zeros_(parameter)

    def forward(self, images_BCHW: Tensor) -> dict[str, Tensor]:
        """Return the logits of every head."""
        features = self.drop(self.trunk(images_BCHW))
        return {name: head(features) for name, head in self.heads.items()}


def head_classes(heads: str, space: LabelSpace) -> dict[str, int]:
    """Return the heads a network has: one over the joint classes, or one a task."""
    if heads == JOINT:
        return {JOINT: space.size}
    return dict(zip(space.names, space.shape, strict=True))


def build_network(
    backbone: str,
    classes: Mapping[str, int],
    *,
    size: tuple[int, int],
    pretrained: bool = False,
    drop: float = 0.0,
    drop_path: float = 0.0,
) -> Network:
    """Build a fresh network on any timm backbone by name; size is (height, width) in pixels.

    Random weights come from torch's global generator, so seed it first. Raises ConfigError for a name timm does not
    know or a size or drop_path the backbone cannot take, ResourceError when hub weights cannot be had.
    """
    check_backbone(backbone)
    options: dict[str, object] = {"drop_path_rate": drop_path} if drop_path else {}
    if timm.get_pretrained_cfg(backbone).fixed_input_size:
        options["img_size"] = size
    try:
        trunk = timm.create_model(backbone, pretrained=pretrained, num_classes=0, **options)
        features = _feature_count(trunk, size)
    except MEMORY_ERRORS:
        raise
    except Exception as error:
        raise _build_error(backbone, pretrained, error) from None
    return Network(trunk, features, classes, drop=drop)


MEMORY_ERRORS = (MemoryError, torch.OutOfMemoryError)


def check_backbone(name: str) -> None:
    """Raise ConfigError with the nearest name unless timm has this backbone."""
    if not timm.is_model(name):
        hint = nearest(name.split(".")[0], timm.list_models())
        raise ConfigError(
            "timm has no backbone of this name",
            where="model.backbone",
            got=repr(name),
            expected=f"did you mean {hint!r}?" if hint else "a name from timm.list_models()",
        )


def load_trunk(network: Network, path: Path) -> str:
    """Load a local file into the trunk and say which keys matched.

    The file is safetensors, or a pickled plain state dict read with weights_only=True; its content decides, not its
    name. Every trunk tensor must be there with its shape; further keys, such as another head's, are left out.
    Raises WeightsError.
    """
    found = _strip(read_tensors(path))
    wanted = network.trunk.state_dict()
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
        raise WeightsError("the weights hold NaN or infinity", where=str(path), offenders=broken)
    network.trunk.load_state_dict({key: found[key] for key in wanted})
    unused = [key for key in found if key not in wanted]
    left = f"; left out: {', '.join(unused[:4])}{' …' if len(unused) > 4 else ''}" if unused else ""
    return f"{len(wanted)} of {len(wanted)} trunk tensors loaded from {path.name}{left}"


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a state dict without running code from the file; raises WeightsError."""
    try:
        with path.open("rb") as handle:
            head = handle.read(9)
    except OSError as error:
        raise WeightsError("cannot read the weights", where=str(path), got=error.strerror or str(error)) from None
    if head[8:9] == b"{":
        return _read_safetensors(path)
    if not head.startswith((b"PK", b"\x80")):
        raise WeightsError(
            "this is not a weights file",
            where=str(path),
            got=f"{path.stat().st_size} bytes that begin with {head[:8]!r}",
            expected="safetensors, or a torch state dict",
            fix="download the file again; with Git LFS, run git lfs pull",
        )
    return _read_pickled(path)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        # Read, not mapped: a mapped file that is replaced while in use would change the weights.
        return load(path.read_bytes())
    except (SafetensorError, ValueError) as error:
        raise WeightsError("the weights file is damaged", where=str(path), got=str(error)) from None


def _read_pickled(path: Path) -> dict[str, Tensor]:
    try:
        data = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch reports damage and refused contents with many types
        raise WeightsError(
            "the file is damaged, or holds more than tensors and is refused for safety",
            where=str(path),
            got=str(error).splitlines()[0],
            fix="save its state_dict() alone, best as safetensors",
        ) from None
    for name in ("state_dict", "model"):
        if isinstance(data, dict) and isinstance(data.get(name), dict):
            data = data[name]
    if not isinstance(data, dict) or not all(isinstance(value, Tensor) for value in data.values()):
        raise WeightsError("the file holds no plain state dict", where=str(path), got=type(data).__name__)
    return data


def _strip(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Drop the prefixes that wrappers, and our own networks, put before a trunk's keys."""
    for prefix in ("module.", "trunk."):
        if any(key.startswith(prefix) for key in tensors):
            tensors = {key.removeprefix(prefix): value for key, value in tensors.items()}
    return tensors


def _feature_count(trunk: nn.Module, size: tuple[int, int]) -> int:
    # Asked of the network itself: num_features is the width before the head's own layers in some families.
    training = trunk.training
    with torch.no_grad():
        features: Tensor = trunk.eval()(torch.zeros(1, 3, *size))
    trunk.train(training)
    if features.ndim != 2:
        raise ValueError(f"its features have shape {tuple(features.shape)}, not (1, features)")
    return int(features.shape[1])


def _build_error(backbone: str, pretrained: bool, error: Exception) -> ConfigError | ResourceError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if pretrained and not isinstance(error, TypeError | ValueError | AssertionError):
        return ResourceError(
            "the pretrained weights cannot be had from the hub",
            where=f"model.pretrained=true for {backbone}",
            got=reason,
            fix="connect to the internet once, or give a local file with model.weights=FILE",
        )
    return ConfigError(f"the backbone {backbone} cannot be built with these settings", got=reason)
