"""Which timm backbone a file of weights belongs to, among a few: those its place names, and the best known ones."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import timm
import torch

from maskcls import files
from maskcls.errors import MaskclsError, WeightsError
from maskcls.nn.backbone_facts import fixed_size
from maskcls.nn.weights.key_prefixes import Shape, further_blocks, matches_below
from maskcls.rundir import WeightsDir

FEW = 3  # names that a path may contain; a network without memory for its tensors is built in about 0.05 s
WELL_KNOWN = (
    *("mobilenetv4_conv_small", "mobilenetv4_conv_medium", "mobilenetv3_large_100", "efficientnet_b0"),
    *("resnet18", "resnet34", "resnet50", "resnet101", "convnext_tiny", "convnext_small", "vit_small_patch16_224"),
    *("vit_base_patch16_224",),
)
ABOUT = files.FileKind("the file beside the weights", WeightsError, 1 << 20)


def fitting_backbone(path: Path, shapes: Mapping[str, Shape]) -> str | None:
    """Return the settings of a timm backbone that a file's tensors fit exactly; None where no such one is known.

    shapes  of the file's tensors, by their keys without the names of wrappers.

    >>> with torch.device("meta"):
    ...     state = timm.create_model("resnet18").state_dict()
    >>> fitting_backbone(Path("w.pth"), {f"model.{key}": tuple(one.shape) for key, one in state.items()})
    'model.backbone=resnet18'
    """
    for name in dict.fromkeys((*_named(path), *WELL_KNOWN)):
        if _fits(name, shapes):
            size = fixed_size(name)
            return f"model.backbone={name}" + (f" 'transforms.size=[{size[0]}, {size[1]}]'" if size else "")
    return None


def _fits(name: str, shapes: Mapping[str, Shape]) -> bool:
    try:
        with torch.device("meta"):
            state = timm.create_model(name, num_classes=0).state_dict()
    except (RuntimeError, ValueError, TypeError, AttributeError, AssertionError):  # it cannot be built without memory
        return False
    wanted = {key: tuple(tensor.shape) for key, tensor in state.items()}
    prefix, count = next(iter(matches_below(shapes, wanted).items()), ("", 0))
    own = [key.removeprefix(prefix) for key in shapes if key.startswith(prefix)]
    return count == len(wanted) and not further_blocks(own, list(wanted))


def _named(path: Path) -> Iterator[str]:
    """Yield names of backbones that the files beside, the file's name and its folders' names contain."""
    for about, key in ((WeightsDir(path.parent).meta, "backbone"), (path.with_name("config.json"), "architecture")):
        try:
            found = json.loads(files.read_file(about, ABOUT))[key]
        except (MaskclsError, ValueError, KeyError, TypeError, RecursionError):
            continue
        if isinstance(found, str) and timm.is_model(found):
            yield found
    names = timm.list_models()
    for part in reversed(path.resolve().parts[-4:]):
        yield from sorted((name for name in names if name in part.lower()), key=len, reverse=True)[:FEW]
