"""The training loop: its length, its steps, and which networks are trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from maskcls.schema.section import Auto, Count, Kept, Section

Stage = tuple[Count, Kept]


class TrainConfig(Section):
    """The training loop."""

    epochs: Count = 6
    """Number of epochs per fold."""
    batch_size: Count = 64
    """Number of images per optimizer step, over all processes together."""
    accumulate: Auto | Count = "auto"
    """Number of pieces in which each process computes its share of a step. More pieces need less memory. They change
    the last bits of the result and, with batch normalisation, what is learned, because each piece has its own
    statistics. auto: as few as fit into memory."""
    patience: Count | None = None
    """Number of epochs without a better score before the training of a fold stops. Null: it never stops early."""
    stages: tuple[Stage, ...] = ()
    """Stages with smaller images at the start, each as [epochs, share of the height and width], for example `[[2, 0.5],
    [1, 0.75]]`. The remaining epochs use the full size."""
    seeds: Annotated[int, Field(ge=1, le=100)] = 1
    """Number of networks per fold and task, with consecutive seeds from `seed` on. Their probabilities are averaged."""
    refit: bool = False
    """Train one more network on all rows, for the median of the folds' best epochs."""
    continue_epochs: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Number of epochs for which each fold's best network is trained further after it was scored, with the fold's
    validation rows too."""
    continue_rows: Literal["all", "valid"] = "all"
    """Rows of the further epochs: all rows, or only the fold's validation rows."""
    continue_lr_share: Kept = 0.1
    """Learning rate of the further epochs, as a share of optim.lr."""
    fold_jobs: Auto | Annotated[int, Field(ge=1, le=64)] = "auto"
    """Number of folds that are trained at the same time, each in a process of its own. auto: several if that is
    faster."""
