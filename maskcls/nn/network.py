"""A timm trunk with one head per task, or one head over the joint classes.

B batch, C channels of an image, H height, W width.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import timm
import torch
from torch import Tensor, nn

from maskcls.backbone import Backbone
from maskcls.errors import ConfigError, ResourceError, nearest
from maskcls.machine import is_memory_error
from maskcls.nn.backbone_facts import check_patches, create_options
from maskcls.nn.backbone_options import check_used, options_error
from maskcls.nn.backbone_sizes import size_error
from maskcls.nn.heads import Head, build_head
from maskcls.nn.weights.trunk_weights import load_trunk_weights

SHOWN_CHARS = 200  # of what torch says about weights
UNFIT = "loading state_dict"  # in torch's error for tensors of other names or shapes


class Network(nn.Module):
    """Images (B, 3, H, W), normalised, to logits {head: (B, outputs)}.

    trunk     maps images to features (B, features); features: their number.
    specs     the heads by name; an int is a softmax head with that number of classes.
    drop      dropout probability before the heads, in [0, 1).
    samples   number of dropout masks per image in training (multi-sample dropout, Inoue 2019, arXiv:1905.09788): logits
              then have samples * B rows, first all B images with the first mask, and so on.
    backbone  what the trunk was built from, as text; "": not by `build_network`.
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
        backbone: str = "",
    ) -> None:
        super().__init__()
        self.trunk, self.features, self.samples, self.backbone = trunk, features, samples, backbone
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
        return self.of_features(self.drop(features))

    def of_features(self, features_BF: Tensor) -> dict[str, Tensor]:
        """Return the logits of every head from the features of the trunk."""
        return {name: head(features_BF) for name, head in self.heads.items()}

    def inference_state(self) -> dict[str, Tensor]:
        """Return the state dict without tensors that only training needs."""
        return {name: value for name, value in self.state_dict().items() if name != "log_variance"}


def build_network(
    backbone: Backbone | str,
    specs: Mapping[str, Head | int],
    *,
    size: tuple[int, int],
    pretrained: bool = False,
    drop: float = 0.0,
    drop_path: float = 0.0,
    samples: int = 1,
    balanced: bool = False,
) -> Network:
    """Build a new network on a timm backbone, or on one by name, without options; size is (height, width) in pixels.

    Random weights come from torch's global generator, so seed it first. Raises ConfigError for a name unknown to timm,
    for pretrained weights that do not exist, for a size, option or drop_path the backbone does not support, and for an
    option that it does not use; ResourceError when pretrained weights cannot be downloaded.
    """
    backbone = Backbone(backbone) if isinstance(backbone, str) else backbone
    check_backbone(backbone.name)
    facts = timm.get_pretrained_cfg(backbone.name)
    if pretrained and not (facts and facts.has_weights):
        raise ConfigError(
            "timm has no pretrained weights for this backbone",
            where="model.pretrained",
            got=f"true for {backbone.name}",
            fix="set model.pretrained=false, give a local file with model.weights=FILE, or choose another backbone",
        )
    options = create_options(backbone, size) | ({"drop_path_rate": drop_path} if drop_path else {})
    try:
        trunk = timm.create_model(backbone.name, pretrained=pretrained, num_classes=0, **options)
    except Exception as error:
        if is_memory_error(error):
            raise
        raise _build_error(backbone, pretrained, size, error) from None
    check_patches(trunk, backbone, size)
    about = str(backbone)
    if (about, size) not in _features:
        check_used(backbone, size)
        try:
            _features[about, size] = _feature_count(backbone, trunk, size)
        except ConfigError as error:
            reason = str(error.got)
            raise options_error(backbone, size, reason) or size_error(backbone, size, reason) or error from None
    features = _features[about, size]
    return Network(trunk, features, specs, drop=drop, samples=samples, balanced=balanced, backbone=about)


# By backbone with its options, and size, so that one pass serves all folds.
_features: dict[tuple[str, tuple[int, int]], int] = {}


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


def load_trunk(network: Network, path: Path) -> str:
    """Load a local file of weights into the trunk, by `load_trunk_weights`; return a sentence about its keys."""
    return load_trunk_weights(network.trunk, path)


def check_size(network: Network, backbone: Backbone, size: tuple[int, int]) -> None:
    """Raise ConfigError unless the network also accepts images of this (height, width) in pixels."""
    check_patches(network.trunk, backbone, size)
    _feature_count(backbone, network.trunk, size)


def _feature_count(backbone: Backbone, trunk: nn.Module, size: tuple[int, int]) -> int:
    # Measured with a forward pass: in some model families num_features is the width before the head's own layers.
    training = trunk.training
    try:
        with torch.no_grad():
            features: Tensor = trunk.eval()(torch.zeros(1, 3, *size))
    except Exception as error:
        if is_memory_error(error):
            raise
        raise _refused(backbone, f"{_first_line(error)} (in a pass over an image of {size[0]} x {size[1]})") from None
    if features.ndim != 2:
        raise _refused(backbone, f"features of shape {tuple(features.shape)}, not (1, features)")
    trunk.train(training)
    return int(features.shape[1])


def _build_error(
    backbone: Backbone, pretrained: bool, size: tuple[int, int], error: Exception
) -> ConfigError | ResourceError:
    if pretrained and backbone.options and UNFIT in str(error):
        return ConfigError(
            "the pretrained weights do not fit the backbone with these options",
            where=f"model.options (model.backbone={backbone.name})",
            got=f"{backbone.written}: {' '.join(str(error).split())[:SHOWN_CHARS]}",
            fix="remove the option that changes the shape of the weights, or set model.pretrained=false",
        )
    if pretrained and not isinstance(error, TypeError | ValueError | AssertionError):
        return ResourceError(
            "the pretrained weights cannot be downloaded",
            where=f"model.pretrained=true for {backbone.name}",
            got=_first_line(error),
            fix="connect to the internet once, or give a local file with model.weights=FILE",
        )
    reason = _first_line(error)
    return options_error(backbone, size, reason) or size_error(backbone, size, reason) or _refused(backbone, reason)


def _refused(backbone: Backbone, reason: str) -> ConfigError:
    return ConfigError(
        "the backbone cannot be built with these settings",
        where=f"model.backbone={backbone.name}" + (f" model.options={backbone.written}" if backbone.options else ""),
        got=reason,
        fix="change transforms.size, train.stages"
        f"{', model.options' if backbone.options else ''} or model.drop_path, or choose another backbone",
    )


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
