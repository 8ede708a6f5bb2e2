"""Outputs of heads to probabilities of classes: by hand, and against scipy."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import get_args

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from scipy.stats import norm
from torch import Tensor

from maskcls.labels import CONTEST
from maskcls.nn.heads import Head, Reading, build_head, plain_heads, probabilities

BINS = (30, 60)
FINE = (20, 30, 45, 60, 70)
HEADS = {
    "softmax": Head("age", 3, bins=BINS, edges=BINS),
    "sigmoid": Head("age", 3, "sigmoid", BINS, BINS),
    "ordinal": Head("age", 3, "ordinal", BINS, BINS),
    "normal": Head("age", 3, "normal", BINS, BINS),
    "fine": Head("age", 3, "softmax", BINS, FINE),
    "fine ordinal": Head("age", 3, "ordinal", BINS, FINE),
    "given": Head("age", 3, "softmax", BINS, BINS, "mask", 3),
    "fine given": Head("age", 3, "softmax", BINS, FINE, "mask", 3),
    "ordinal given": Head("age", 3, "ordinal", BINS, BINS, "mask", 3),
    "hidden": Head("age", 3, bins=BINS, edges=BINS, hidden=5),
    "hidden given": Head("age", 3, "normal", BINS, BINS, "mask", 3, 5),
    "normal given": Head("age", 3, "normal", BINS, BINS, "mask", 3),
}


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0)) * 2


def test_every_reading_is_tried() -> None:
    assert {head.reading for head in HEADS.values()} == set(get_args(Reading))
    assert len(get_args(Reading)) == 4


@pytest.mark.parametrize("name", HEADS)
def test_rows_sum_to_one_and_have_the_tasks_classes(name: str) -> None:
    head = HEADS[name]
    prob = probabilities(head, drawn(50, head.outputs))
    assert prob.shape == (50, head.groups, 3)
    assert (prob >= 0).all()
    torch.testing.assert_close(prob.sum(dim=2), torch.ones(50, head.groups))


@pytest.mark.parametrize("name", HEADS)
def test_a_fresh_head_says_the_same_of_every_image(name: str) -> None:
    head = HEADS[name]
    layer = build_head(head, 7)
    out = layer(drawn(4, 7))
    assert out.shape == (4, head.outputs)
    assert torch.equal(out, out[:1].expand(4, -1))
    if head.reading in ("softmax", "ordinal"):  # all classes it is trained on are equally likely
        prob = probabilities(head, out)[0, 0]
        sizes = torch.tensor([head.edges.index(30) + 1, head.edges.index(60) - head.edges.index(30)])
        want = torch.cat([sizes, head.trained_classes - sizes.sum()[None]]) / head.trained_classes
        torch.testing.assert_close(prob, want)


def test_widths() -> None:
    widths = {name: (head.trained_classes, head.width, head.outputs) for name, head in HEADS.items()}
    assert widths["fine"] == (6, 6, 6)
    assert widths["fine ordinal"] == (6, 5, 5)
    assert widths["normal given"] == (3, 2, 6)
    assert widths["given"] == (3, 3, 9)


def test_fine_classes_are_summed_between_the_boundaries() -> None:
    logits = torch.log(torch.tensor([[0.05, 0.1, 0.2, 0.3, 0.15, 0.2]]))
    np.testing.assert_allclose(probabilities(HEADS["fine"], logits)[0, 0], [0.15, 0.5, 0.35], atol=1e-6)


def test_sigmoids_are_shared_out_and_keep_their_order() -> None:
    logits = torch.tensor([[0.0, math.log(3), -math.log(3)]])  # 1/2, 3/4, 1/4
    np.testing.assert_allclose(probabilities(HEADS["sigmoid"], logits)[0, 0], [1 / 3, 1 / 2, 1 / 6], atol=1e-6)
    hopeless = torch.tensor([[-300.0, -200.0, -250.0]])
    assert probabilities(HEADS["sigmoid"], hopeless)[0, 0].argmax() == 1


def test_thresholds_by_hand() -> None:
    logits = torch.tensor([[math.log(3), 0.0]])  # above 30 with 3/4, above 60 with 1/2
    np.testing.assert_allclose(probabilities(HEADS["ordinal"], logits)[0, 0], [0.25, 0.25, 0.5], atol=1e-6)
    crossed = torch.tensor([[0.0, math.log(3)]])  # above 30 less likely than above 60: nothing between
    np.testing.assert_allclose(probabilities(HEADS["ordinal"], crossed)[0, 0], [0.4, 0, 0.6], atol=1e-6)


def test_a_normal_distribution_against_scipy() -> None:
    head = HEADS["normal"]
    assert (head.centre, head.scale) == (45, 15)
    for years, deviation in ((25.0, 3.0), (58.0, 6.0), (90.0, 1.0)):
        outputs = torch.tensor([[(years - 45) / 15, 2 * math.log(deviation / 15)]])
        below = norm.cdf([30, 60], years, deviation)
        want = [below[0], below[1] - below[0], 1 - below[1]]
        np.testing.assert_allclose(probabilities(head, outputs)[0, 0], want, atol=1e-6)


def test_a_group_reads_its_own_outputs() -> None:
    head, logits = HEADS["given"], drawn(5, 9)
    whole = probabilities(head, logits)
    for group in range(3):
        part = torch.softmax(logits[:, 3 * group : 3 * group + 3], dim=1)
        torch.testing.assert_close(whole[:, group], part)


@pytest.mark.parametrize("name", HEADS)
def test_a_head_survives_json(name: str) -> None:
    assert TypeAdapter(Head).validate_json(json.dumps(asdict(HEADS[name])), strict=True) == HEADS[name]


def test_a_task_given_another_is_composed_by_that_ones_class() -> None:
    rng = np.random.default_rng(0)

    def drawn_rows(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        raw = rng.random(shape)
        return (raw / raw.sum(axis=-1, keepdims=True)).astype(np.float32)

    for task, given in (("age", "mask"), ("mask", "age"), ("age", "gender"), ("gender", "age")):
        sizes = dict(zip(CONTEST.names, CONTEST.shape, strict=True))
        prob = {name: drawn_rows(6, size) for name, size in sizes.items()}
        prob[task] = drawn_rows(6, sizes[given], sizes[task])
        joint = CONTEST.compose(prob, {task: given})
        for mask in range(3):
            for gender in range(2):
                for age in range(3):
                    index = {"mask": mask, "gender": gender, "age": age}
                    want = np.prod(
                        [prob[n][:, index[given], i] if n == task else prob[n][:, i] for n, i in index.items()], axis=0
                    )
                    np.testing.assert_allclose(joint[:, mask * 6 + gender * 3 + age], want, atol=1e-6)


def test_plain_heads_are_softmaxes_over_the_classes() -> None:
    assert {head.reading for head in plain_heads("multi", CONTEST).values()} == {"softmax"}
    assert plain_heads("joint", CONTEST) == {"joint": Head("joint", 18)}
