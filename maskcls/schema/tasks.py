"""What is classified: the tasks with their classes, and how the age is learned."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from maskcls.schema.section import Count, Positive, Section, TaskName, Text
from maskcls.spelling import appearance

TAKEN_NAMES = (
    *("all", "joint", "id", "path", "person", "age_years", "group", "split", "source", "weight", "fold", "ans"),
    *("macro_f1", "loss"),  # the scores every epoch is logged with
    "training",  # torch reserves this name in every module
)

Bins = Annotated[tuple[Count, ...], Field(min_length=1)]


class TaskConfig(Section):
    """One task: a question with one answer per photo."""

    name: TaskName
    """Name of the task: the column of its labels in a table, and the key of its scores."""
    classes: Annotated[tuple[Text, ...], Field(min_length=2)]
    """Names of the classes, in the order of their numbers."""
    bins: tuple[Count, ...] = ()
    """Boundaries between the classes when the label is a whole number such as the age in years. Each boundary belongs
    to the class above it. Empty: the labels are class names."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(map(appearance, self.classes))) != len(self.classes):
            raise ValueError("classes that all differ, and do not look the same")
        if self.name in TAKEN_NAMES:
            raise ValueError(f"another name than {self.name!r}, which maskcls uses itself")
        if self.bins and (list(self.bins) != sorted(set(self.bins)) or len(self.classes) != len(self.bins) + 1):
            raise ValueError("bins in ascending order, one fewer than the classes")
        return self


class AgeConfig(Section):
    """How the task with bins is learned. It is always scored on its own classes."""

    head: Literal["bands", "fine", "ordinal", "normal"] = "bands"
    """Output of the network for this task. bands: a softmax over the classes. fine: a softmax over the finer bins of
    age.fine_bins, summed to the classes. ordinal: one threshold per boundary (Niu et al. 2016, CVPR). normal: mean and
    variance of the years."""
    train_bins: Bins | None = None
    """Boundaries in years used in training in place of the task's own. Null: the task's own."""
    fine_bins: Bins | None = None
    """Boundaries in years for age.head=fine or ordinal. They must include the task's own."""
    drop: tuple[Annotated[int, Field(ge=0, le=32767)], ...] = ()
    """Ages in years whose photos are left out of training, for example those next to a boundary. They are still
    scored."""
    spread: Positive | None = None
    """Standard deviation in years of a normal distribution that replaces each exact age in training. Null: exact
    ages."""
    given: TaskName | None = None
    """Name of another task. The age is then predicted separately for each of its classes. Null: no such task."""
