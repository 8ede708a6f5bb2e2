"""The training loop: its length, its steps, and which networks are trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from maskcls.schema.section import Auto, Count, Kept, Section

Stage = tuple[Count, Kept]
CRITERIA = ("macro_f1", "tasks", "loss", "last")  # values of train.select, besides the names of tasks


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
    sync_batchnorm: bool = False
    """With several processes, whether batch normalisation uses the images of all processes in a forward pass, as one
    process would. Otherwise each process normalises its own share of a step: what is learned then depends on the number
    of processes, and the stored statistics are those of the first one. It exchanges numbers at every such layer, which
    takes time, and the network is not compiled. No effect in one process, or without batch normalisation."""
    patience: Count | None = None
    """Number of epochs without a better score (train.select) before the training of a fold stops. Null: it never stops
    early."""
    select: Annotated[str, Field(min_length=1)] = "macro_f1"
    """Score by which a fold's epoch is chosen, on the rows of the other folds together, whose people the fold's score
    does not use. macro_f1: of the joint classes. tasks: the mean of the tasks' macro-F1, which is better if the joint
    classes are many. loss: the joint log loss. The name of a task: its macro-F1. last: the last epoch is used, and no
    weights of earlier epochs are kept. A run of one fold uses the last epoch. Early stopping (train.patience) and
    schedule.kind=plateau use the same score, on the fold's own rows; last means macro_f1 there."""
    keep_epochs: Annotated[int, Field(ge=1, le=1_000_000)] = 20
    """Number of last epochs whose weights are kept until all folds are trained. One of them is chosen by
    train.select."""
    save_minutes: Annotated[float, Field(ge=0, le=1_000_000)] | None = 10.0
    """Minutes between two saves within an epoch, from which an interrupted training continues: a kill loses no more
    than that. A save waits longer where it would take more than 1 % of the time. 0 or null: a training is saved at the
    end of each epoch only. Ctrl-C and SIGTERM save the last step with every value."""
    stages: tuple[Stage, ...] = ()
    """Stages with smaller images at the start, each as [epochs, share of the height and width], for example `[[2, 0.5],
    [1, 0.75]]`. The remaining epochs use the full size."""
    seeds: Annotated[int, Field(ge=1, le=100)] = 1
    """Number of networks per fold and task, with consecutive seeds from `seed` on. Their probabilities are averaged."""
    refit: bool = False
    """Train one more network on all rows, for the median of the folds' chosen epochs."""
    continue_epochs: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Number of epochs for which each fold's network is trained further after it was scored, with the fold's
    validation rows too."""
    continue_rows: Literal["all", "valid"] = "all"
    """Rows of the further epochs: all rows, or only the fold's validation rows."""
    continue_lr_share: Kept = 0.1
    """Learning rate of the further epochs, as a share of optim.lr."""
    fold_jobs: Auto | Annotated[int, Field(ge=1, le=64)] = "auto"
    """Number of folds that are trained at the same time, each in a process of its own. auto: several if that is
    faster."""
    start_heads: Literal["new", "fitted"] = "new"
    """Heads before the first step. new: as they are built, so that every photo gets the same prediction. fitted: on the
    features of the starting weights, as model.train=heads does with the section `heads`, on each fold's training people
    (Kumar et al. 2022, arXiv:2202.10054); it needs a pretrained backbone, and heads with one softmax over the classes
    of each task."""
    baseline: Auto | bool = "auto"
    """Fit heads on the frozen backbone too, as model.train=heads does, before the first step, and say what training the
    whole network adds to their score on the same folds. Not for a backbone with random weights, or pseudo labels with
    probabilities. auto: where that is possible, but not in the trials of a search, the stages of --budget and the
    trainings of a verdict on samples."""
    report: bool = True
    """Write a page about the run, report/index.html in its folder, when the training is finished. Needs the extra
    `report`."""
