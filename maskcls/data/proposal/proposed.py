"""What is proposed for the labels of a data set: tasks with counts, and the columns that are not used, with reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from maskcls.groupnouns import Noun
from maskcls.labels import Task


@dataclass(frozen=True)
class ProposedTask:
    """A task, and how often its classes occur.

    photos   photos per class, in the order of the classes.
    groups   groups (people, patients, …) per class; the photos themselves where the data name no groups.
    unknown  photos without a label.
    reason   why these classes or borders.
    """

    task: Task
    photos: tuple[int, ...]
    groups: tuple[int, ...]
    unknown: int
    reason: str

    @property
    def rarest(self) -> int:
        """The groups of the rarest class."""
        return min(self.groups)


@dataclass(frozen=True)
class ProposedLabels:
    """The labels of a data set, as a configuration may describe them.

    data        settings of the section `data`: format, and what `data.group` is.
    columns     {value of data.group: why}.
    noun        what groups are called: one, several.
    photos      number of labelled photos.
    groups      number of groups; of photos where there are none.
    left_out    {column: why it is no task}.
    notes       what a user should look at.
    to_predict  whether the data set also has photos to predict.
    """

    data: Mapping[str, str]
    columns: Mapping[str, str]
    tasks: tuple[ProposedTask, ...]
    noun: Noun
    photos: int
    groups: int
    left_out: Mapping[str, str]
    notes: tuple[str, ...] = ()
    to_predict: bool = False

    @property
    def rarest(self) -> int:
        """The groups of the rarest class of all tasks; all groups without tasks."""
        return min((task.rarest for task in self.tasks), default=self.groups)
