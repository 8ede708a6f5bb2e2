"""SimSiam: the loss by hand, where gradients stop, and a collapse that the watch sees."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from maskcls.nn.simsiam import BOTTLENECK, COLLAPSED, PROJECTED, SimSiam, embedding_spread, simsiam_loss

ROOT = math.sqrt(0.5)


def test_the_loss_is_minus_the_mean_of_both_cosines() -> None:
    p1, z1 = torch.tensor([[3.0, 0.0], [1.0, 1.0]]), torch.tensor([[0.0, 1.0], [5.0, 0.0]])
    p2, z2 = torch.tensor([[1.0, 1.0], [0.0, -2.0]]), torch.tensor([[2.0, 2.0], [-1.0, -1.0]])
    first = (ROOT + -1.0) / 2  # cos((3, 0), (2, 2)), cos((1, 1), (-1, -1))
    second = (ROOT + 0.0) / 2  # cos((1, 1), (0, 1)), cos((0, -2), (5, 0))
    assert simsiam_loss(p1, z1, p2, z2).item() == pytest.approx(-(first + second) / 2, abs=1e-6)
    assert simsiam_loss(z1, z1, z1, z1).item() == pytest.approx(-1, abs=1e-6)


def test_no_gradient_flows_into_the_embeddings() -> None:
    p1, z1, p2, z2 = (torch.randn(4, 8, requires_grad=True) for _ in range(4))
    simsiam_loss(p1, z1, p2, z2).backward()
    assert z1.grad is None
    assert z2.grad is None
    # that of the cosine by hand: (z/|z| - cos p/|p|) / |p|, halved and over four rows
    with torch.no_grad():
        unit_p, unit_z = (one / one.norm(dim=1, keepdim=True) for one in (p1, z2))
        cosine = (unit_p * unit_z).sum(dim=1, keepdim=True)
        want = -(unit_z - cosine * unit_p) / p1.norm(dim=1, keepdim=True) / 8
    torch.testing.assert_close(p1.grad, want)


def test_spread_is_0_for_one_direction_and_1_for_random_ones() -> None:
    one = torch.randn(1, 32).expand(64, 32)
    assert embedding_spread(one * torch.rand(64, 1).add(0.1)) == pytest.approx(0, abs=1e-5)  # lengths do not count
    generator = torch.Generator().manual_seed(0)
    assert embedding_spread(torch.randn(4000, 32, generator=generator)) == pytest.approx(1, abs=0.02)


def small(*, predictor: bool) -> SimSiam:
    torch.manual_seed(0)
    trunk = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    return SimSiam(trunk, 32, predictor=predictor)


def test_shapes_and_what_the_predictor_is() -> None:
    embedding, prediction = small(predictor=True)(torch.randn(5, 3, 9, 9))
    assert embedding.shape == prediction.shape == (5, PROJECTED)
    assert not torch.equal(embedding, prediction)
    embedding, prediction = small(predictor=False)(torch.randn(5, 3, 9, 9))
    assert torch.equal(embedding, prediction)
    assert BOTTLENECK < PROJECTED


def spread_after(steps: int, *, predictor: bool) -> float:
    network = small(predictor=predictor)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5, momentum=0.9, weight_decay=1e-4)
    generator = torch.Generator().manual_seed(1)
    photos = torch.randn(64, 3, 9, 9, generator=generator)
    for _ in range(steps):
        views = [photos + 0.5 * torch.randn(photos.shape, generator=generator) for _ in range(2)]
        (z1, p1), (z2, p2) = (network(view) for view in views)
        optimizer.zero_grad()
        simsiam_loss(p1, z1, p2, z2).backward()
        optimizer.step()
    return embedding_spread(network(photos)[0])


def test_without_the_predictor_the_embeddings_collapse_and_with_it_they_do_not() -> None:
    assert spread_after(0, predictor=True) > 0.3
    found = {predictor: spread_after(100, predictor=predictor) for predictor in (True, False)}
    assert found[False] < 0.75 * COLLAPSED, found
    assert found[True] > 3 * COLLAPSED, found
