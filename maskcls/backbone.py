"""A backbone as plain data: its name in timm, and further keyword arguments of timm.create_model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

OptionValue = str | int | float | bool | tuple[str | int | float | bool, ...]

# Keyword arguments of timm.create_model that maskcls gives itself, and the settings they come from; "": from none.
TAKEN = {
    "pretrained": "model.pretrained",
    "checkpoint_path": "model.weights",
    "drop_rate": "model.drop",
    "drop_path_rate": "model.drop_path",
    "img_size": "transforms.size",
    "device": "device.type",
    "dtype": "device.precision",
    **dict.fromkeys(("model_name", "variant", "model_cls", "model_cfg", "pruned"), "model.backbone"),
    **dict.fromkeys(("num_classes", "in_chans", "features_only", "out_indices", "feature_cls", "feature_cfg"), ""),
    **dict.fromkeys(("pretrained_cfg", "pretrained_cfg_overlay", "pretrained_strict", "pretrained_filter_fn"), ""),
    **dict.fromkeys(("pretrained_model_args", "kwargs_filter", "cache_dir", "scriptable", "exportable", "no_jit"), ""),
}


@dataclass(frozen=True)
class Backbone:
    """A timm network without its classifier.

    options  further keyword arguments of timm.create_model, none of `TAKEN`; see model.options.
    """

    name: str
    options: Mapping[str, OptionValue] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        """Return the name, and the options if there are any: equal text, equal network.

        >>> str(Backbone("resnet18")), str(Backbone("mobilenetv1_100", {"pad_type": "same"}))
        ('resnet18', 'mobilenetv1_100 {"pad_type": "same"}')
        """
        return f"{self.name} {self.written}" if self.options else self.name

    @property
    def written(self) -> str:
        """The options as JSON, sorted by name."""
        return json.dumps(self.options, sort_keys=True, ensure_ascii=False)

    @property
    def bare(self) -> Backbone:
        """The same backbone without options."""
        return Backbone(self.name)
