"""Names of the inputs and outputs of an exported graph, and whether a graph has them. Needs no other package."""

from __future__ import annotations

from typing import Any

from maskcls.errors import UsageError, WeightsError
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


def check_graph(session: Any, space: LabelSpace, *, where: str) -> None:
    """Raise WeightsError unless an onnxruntime session takes photos and gives what these tasks say.

    A file whose metadata names other tasks, or another number of classes, than its graph is refused here. Classes in
    another order cannot be noticed.
    """
    tasks = [f"{task.name}[{len(task.classes)}]" for task in space.tasks]
    classes = output_names(space)[len(tasks) + 1 :]
    wanted = [f"{INPUT}: tensor(uint8)", *tasks, f"{JOINT_OUTPUT}[{space.size}]", *classes]
    inputs = [f"{value.name}: {value.type}" for value in session.get_inputs()]
    outputs = [value.name + "".join(f"[{side}]" for side in value.shape[1:]) for value in session.get_outputs()]
    if [*inputs, *outputs] != wanted:
        raise WeightsError(
            "the metadata of the ONNX file belongs to another graph",
            where=where,
            got=", ".join([*inputs, *outputs]),
            expected=", ".join(wanted),
            fix="export the run again: maskcls export RUN -o FILE",
        )
