"""One logit per class: against the probabilities of the same head, and by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from maskcls.labels import CONTEST, LabelSpace, Task
from maskcls.nn.class_logits import class_logits, task_logits
from maskcls.nn.heads import JOINT, Head, Reading, plain_heads, probabilities

BINS, FINE = (30, 60), (20, 30, 45, 60, 70)
EDGES = {"bands": BINS, "fine": FINE}


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0)) * 3


READINGS: list[tuple[Reading, str]] = [("normal", "bands")]
READINGS += [(reading, edges) for reading in ("softmax", "sigmoid", "ordinal") for edges in EDGES]


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize(("reading", "edges"), READINGS)
def test_they_are_the_heads_probabilities(reading: Reading, edges: str, groups: int) -> None:
    head = Head("age", 3, reading, BINS, EDGES[edges], "mask" if groups > 1 else None, groups)
    out = drawn(40, head.outputs)
    if reading == "ordinal":  # thresholds in order, as a trained head has them
        out = out.view(40, groups, head.width).sort(dim=2, descending=True).values.flatten(1)
    found, prob = class_logits(head, out), probabilities(head, out)
    assert found.shape == (40, groups, 3)
    if reading in ("ordinal", "normal"):
        torch.testing.assert_close(torch.sigmoid(found), prob, rtol=2e-4, atol=1e-6)
    elif reading == "sigmoid" and edges == "bands":
        torch.testing.assert_close(found.flatten(1), out)
    else:
        torch.testing.assert_close(torch.softmax(found, 2), prob, rtol=1e-4, atol=1e-6)


def test_a_softmax_heads_logit_is_its_output() -> None:
    out = drawn(5, 3)
    assert torch.equal(class_logits(Head("mask", 3), out)[:, 0], out)


def test_the_first_and_last_class_of_an_ordinal_head_have_the_boundarys_own_logit() -> None:
    head = Head("age", 3, "ordinal", BINS, BINS)
    found = class_logits(head, torch.tensor([[2.0, -1.5]]))[0, 0]
    middle = 1 / (1 + math.exp(-2)) - 1 / (1 + math.exp(1.5))
    torch.testing.assert_close(found, torch.tensor([-2.0, math.log(middle / (1 - middle)), -1.5]))


@pytest.mark.parametrize("reading", ["ordinal", "normal"])
def test_logits_and_gradients_of_very_sure_heads_are_finite(reading: Reading) -> None:
    head = Head("age", 3, reading, BINS, BINS)
    rows = {"ordinal": [[60.0, 50.0], [-50.0, -60.0], [0.0, 0.0], [-1.0, 1.0]], "normal": [[9.0, -3.0], [-9.0, -3.0]]}
    out = torch.tensor(rows[reading], requires_grad=True)
    found = class_logits(head, out)
    (slope,) = torch.autograd.grad(found.sum(), out)
    assert torch.isfinite(found).all()
    assert torch.isfinite(slope).all()


@pytest.mark.parametrize("reading", ["softmax", "sigmoid"])
def test_a_joint_heads_logits_give_the_marginal_probabilities(reading: Reading) -> None:
    head = Head(JOINT, 18, reading)
    out = drawn(20, 18)
    marginals = CONTEST.marginals(probabilities(head, out)[:, 0].numpy())
    for task in CONTEST.names:
        found = task_logits({JOINT: head}, {JOINT: out}, task, CONTEST)
        assert found.shape == (20, 1, len(CONTEST.task(task).classes))
        expected = torch.from_numpy(marginals[task])
        torch.testing.assert_close(torch.softmax(found[:, 0], 1), expected, rtol=1e-4, atol=1e-6)


def test_a_network_of_several_heads_uses_the_tasks_own() -> None:
    heads = plain_heads("multi", CONTEST)
    logits = {name: drawn(4, head.outputs) + index for index, (name, head) in enumerate(heads.items())}
    assert torch.equal(task_logits(heads, logits, "gender", CONTEST)[:, 0], logits["gender"])


def test_a_joint_head_over_one_task_is_that_task() -> None:
    space, out = LabelSpace((Task("t", ("a", "b")),)), drawn(4, 2)
    assert torch.equal(task_logits({JOINT: Head(JOINT, 2)}, {JOINT: out}, "t", space)[:, 0], out)
