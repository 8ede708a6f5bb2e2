"""What training minimises: the loss of each head, and the weights of the tasks."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from maskcls.lossterms import Term, parse_loss
from maskcls.schema.section import Positive, Section, TaskName


def _read_loss(text: str) -> str:
    parse_loss(text)
    return text


Loss = Annotated[str, AfterValidator(_read_loss)]


class LossConfig(Section):
    """The loss of each head, the mean over the images of a step. loss.NAME sets it for one head: a task's name, or
    joint."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Loss] = Field(init=False)

    all: Loss = "ce"
    """Loss of every head that has no setting of its own: a sum of terms such as `0.5*focal(gamma=2)+0.5*f1`. Terms: ce,
    smooth(epsilon), focal(gamma), f1, bce, la(tau). ce, smooth and focal also take weights=none, inverse or
    effective(beta), for example `ce(weights=effective,beta=0.99)`."""

    def terms(self, head: str) -> tuple[Term, ...]:
        """Return the terms of a head's loss."""
        return parse_loss(self.own.get(head, self.all))

    @property
    def own(self) -> dict[str, str]:
        """The losses that are set for one head."""
        return dict(self.__pydantic_extra__ or {})


class BalanceConfig(Section):
    """The weights of the tasks' losses in their sum, for one network with several heads."""

    weights: dict[TaskName, Positive] = Field(default={})
    """Weight of each task's loss, for example `{age: 2}`. A task that is not named has weight 1."""
    learned: bool = False
    """Learn one variance per task together with the network, and weight the losses by it (Kendall et al. 2018,
    arXiv:1705.07115)."""
