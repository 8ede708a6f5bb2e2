"""The network: its backbone, its heads and its dropout."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from maskcls.schema.section import Below, FilePath, Section, Text


class ModelConfig(Section):
    """The network."""

    heads: Literal["joint", "multi", "separate"] = "multi"
    """How the tasks share a network. joint: one softmax over the joint classes of all tasks. multi: one backbone with
    one head per task. separate: one network per task."""
    train: Literal["all", "heads"] = "all"
    """What is trained. all: the whole network, step by step. heads: the backbone stays as it is, and heads are fitted
    on its features (the section `heads`), in seconds; it needs a pretrained backbone."""
    backbone: Text = "resnet18"
    """Name of any timm model that gives image features, for example mobilenetv4_conv_small."""
    pretrained: bool = False
    """Download the backbone's pretrained weights from the Hugging Face hub."""
    weights: FilePath | None = None
    """Path of a local file with weights of the backbone. Null: random weights, or those of model.pretrained."""
    drop: Below = 0.0
    """Dropout rate before the heads."""
    drop_samples: Annotated[int, Field(ge=1, le=64)] = 1
    """Number of dropout masks per step. The loss is the mean over them (multi-sample dropout, Inoue 2019,
    arXiv:1905.09788)."""
    drop_path: Below = 0.0
    """Rate of stochastic depth in the backbone (Huang et al. 2016, arXiv:1603.09382). The backbone must support it."""
