"""A head as one linear layer, and its outputs in words: what a program without maskcls needs to use it.

B batch, F features, O outputs of a head, G groups, K boundaries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, assert_never

from torch import Tensor, nn

from maskcls.errors import UsageError
from maskcls.labels import LabelSpace
from maskcls.nn.heads import JOINT, Head, Ordinal


def linear_layer(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """Return weight (O, F) and bias (O,) float32 of a head's layer; logits are features (B, F) @ weight.T + bias.

    An ordinal head has one weight vector per group: it is repeated for each of its K boundaries, O = G * K.

    Raises UsageError for a layer that is not linear.
    """
    match layer:
        case Ordinal():
            return layer.weight.detach().repeat_interleave(layer.bias.shape[1], 0), layer.bias.detach().flatten()
        case nn.Linear():
            return layer.weight.detach(), layer.bias.detach()
        case _:
            raise UsageError(
                "this head cannot be written as a linear layer",
                got="a head with a hidden layer (heads.kind=mlp)",
                fix="export with --to onnx or --to torch-export, which hold the whole network",
            )


def describe_head(head: Head, space: LabelSpace) -> dict[str, Any]:
    """Return what a head's outputs mean, as plain JSON data: `outputs` names each one, `read` says how to use them.

    space  the tasks of the head's network.
    """
    task = None if head.name == JOINT else space.task(head.name)
    classes = space.joint_names if task is None else task.classes
    return {
        "reading": head.reading,
        "read": _read(head),
        "outputs": _outputs(head, classes, space),
        "classes": list(classes),
        "boundaries": list(head.edges),
        "given": head.given,
    }


def _outputs(head: Head, classes: Sequence[str], space: LabelSpace) -> list[str]:
    """Return the name of each output (O), the groups one after the other."""
    groups = [f"{head.given}={name}: " for name in space.task(head.given).classes] if head.given else [""]
    return [group + name for group in groups for name in _of_group(head, classes)]


def _of_group(head: Head, classes: Sequence[str]) -> list[str]:
    match head.reading:
        case "softmax" | "sigmoid":
            return list(classes) if head.edges == head.bins else _bands(head.edges)
        case "ordinal":
            return [f">= {edge}" for edge in head.edges]
        case "normal":
            return ["mean", "log variance"]
        case _:
            assert_never(head.reading)


def _bands(edges: Sequence[int]) -> list[str]:
    """Name the classes between boundaries.

    >>> _bands((20, 30))
    ['< 20', '20 to 29', '>= 30']
    """
    between = [f"{low} to {high - 1}" for low, high in pairwise(edges)]
    return [f"< {edges[0]}", *between, f">= {edges[-1]}"]


def _read(head: Head) -> str:
    """Say how the outputs of one group become probabilities of the task's classes."""
    match head.reading:
        case "softmax":
            text = "softmax over the outputs"
        case "sigmoid":
            text = "sigmoid of each output, divided by their sum"
        case "ordinal":
            text = "sigmoid of each output is the probability of being above its boundary; a class has the difference"
        case "normal":
            text = (
                f"the value is {head.centre:g} + {head.scale:g} * x, and x is normally distributed with this mean and "
                "variance; a class has the probability between its boundaries"
            )
        case _:
            assert_never(head.reading)
    if head.edges != head.bins:
        text += f"; then add up the classes between the boundaries {', '.join(map(str, head.bins))}"
    if head.given:
        text += f"; one group of outputs for each class of {head.given}, see the names"
    return text


def outputs_by_head(heads: Mapping[str, Head], space: LabelSpace) -> dict[str, dict[str, Any]]:
    """Return `describe_head` of every head of a network, by name."""
    return {name: describe_head(head, space) for name, head in heads.items()}
