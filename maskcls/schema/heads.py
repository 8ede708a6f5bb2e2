"""The heads that are fitted on the features of a backbone that is not trained: model.train=heads."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from maskcls.schema.section import Auto, Positive, Section, Share


class HeadsConfig(Section):
    """The heads of model.train=heads, fitted on features that are computed once for all folds."""

    kind: Literal["lda", "ridge", "logistic"] = "lda"
    """Kind of head. lda: linear discriminant analysis with a shrunk covariance. ridge: least squares on the classes
    with a squared penalty. logistic: multinomial logistic regression with a squared penalty, which takes longest. All
    are linear, on standardised features."""
    strength: Auto | Positive = "auto"
    """Strength of the regularisation. lda: share of the covariance that is replaced by a multiple of the identity, up
    to 1. ridge, logistic: factor of the squared weights beside a mean of the loss. auto: chosen for every head and
    fold between parts of its training people, by the log loss; never by validation rows."""
    balance: Share = 0.0
    """How much rare classes weigh in a head: a row of a class of n rows weighs n to the power of -balance. 0: as rows
    are; 1: every class the same. For lda it changes the classes' priors."""
    augmented: Annotated[int, Field(ge=0, le=100)] = 0
    """Number of augmented views of each photo (transforms) that heads are fitted on, besides the views of
    predict.views. Each costs as much time as one of these."""
