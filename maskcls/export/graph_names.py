"""Names of the inputs and outputs of an exported model; needs no torch."""

from __future__ import annotations

from maskcls.errors import UsageError
from maskcls.labels import LabelSpace

INPUT = "photos"
JOINT_OUTPUT = "joint"
CHOSEN = "_class"  # after the name of a task, or of the joint classes: the class that is decided on


def output_names(space: LabelSpace) -> tuple[str, ...]:
    """Return the names of probabilities and classes: of every task in order, then joint.

    >>> from maskcls.labels import CONTEST
    >>> output_names(CONTEST)[2:]
    ('age', 'joint', 'mask_class', 'gender_class', 'age_class', 'joint_class')
    """
    names = (*space.names, JOINT_OUTPUT)
    return (*names, *(name + CHOSEN for name in names))


def check_output_names(space: LabelSpace) -> None:
    """Raise UsageError where a task has the name of another output."""
    names = (*output_names(space), INPUT)
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(
            "two values of the exported model would have the same name",
            got=", ".join(twice),
            expected=f"a task has another name than {INPUT!r}, and than that of a task with {CHOSEN!r} after it",
            fix="train a run whose task has another name",
        )
