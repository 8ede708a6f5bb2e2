"""The network: its backbone, its heads and its dropout; and heads that are fitted on a backbone as it is."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from maskcls.backbone import Backbone, OptionValue
from maskcls.schema.section import Auto, Below, FilePath, Section, Share, Text


def option_names(options: dict[str, OptionValue]) -> dict[str, OptionValue]:
    """Return options whose names can be those of arguments; ValueError, in words that follow "expected", for others."""
    if not all(name.isidentifier() for name in options):
        raise ValueError("names of arguments, such as pad_type, each with a value")
    return options


def option_value(value: object) -> object:
    """Return the value of one option, a list as a tuple; ValueError, in words that follow "expected", for others."""
    for one in value if isinstance(value, list | tuple) else [value]:
        if not isinstance(one, str | int | float) or (isinstance(one, float) and not math.isfinite(one)):
            raise ValueError("text, a finite number, true, false, or a list of these")
    return tuple(value) if isinstance(value, list) else value


Options = Annotated[dict[str, Annotated[OptionValue, BeforeValidator(option_value)]], AfterValidator(option_names)]


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
    options: Options = Field(default={})
    """Further keyword arguments of `timm.create_model` for the backbone, for example `{pad_type: same}` for weights
    that were converted from TensorFlow, or `{global_pool: avg}`: text, numbers, true or false, and lists of them. A
    keyword that the backbone does not use is refused, and so is one that has a setting of its own."""
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

    @property
    def trunk(self) -> Backbone:
        """The backbone with its options, as networks are built from it."""
        return Backbone(self.backbone, self.options)


class HeadsConfig(Section):
    """The heads of model.train=heads and train.start_heads=fitted, on features that are computed once for all folds."""

    kind: Literal["lda", "ridge", "logistic", "mlp"] = "lda"
    """Kind of head. lda: linear discriminant analysis with a shrunk covariance. ridge: least squares on the classes
    with a squared penalty. logistic: multinomial logistic regression with a squared penalty, which takes longest of the
    linear ones. mlp: a network with one hidden layer (heads.hidden), which depends on the seed. All are fitted on
    standardised features."""
    strength: Auto | Annotated[float, Field(ge=1e-6, le=1e6)] = "auto"
    """Strength of the regularisation. lda: share of the covariance that is replaced by a multiple of the identity, up
    to 1. ridge, logistic, mlp: factor of the squared weights beside a mean of the loss. auto: chosen for every head and
    fold between parts of its training people, by the log loss; never by validation rows."""
    balance: Share = 0.0
    """How much rare classes weigh in a head: a row of a class of n rows weighs n to the power of -balance. 0: as rows
    are; 1: every class the same. For lda it changes the classes' priors."""
    hidden: Annotated[int, Field(ge=1, le=4096)] = 64
    """Number of units of the hidden layer of heads.kind=mlp."""
    augmented: Annotated[int, Field(ge=0, le=100)] = 0
    """Number of augmented views of each photo (transforms) that heads are fitted on, besides the views of
    predict.views. Each costs as much time as one of these."""
