"""Batch normalisation over two processes is that of one process: output, gradients and stored statistics.

The processes are threads, and the sum over processes is a sum over threads.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn

from maskcls.engine.processes.synced_norms import SyncedNorms

# Seven rows: four in one process, three and a filler in the other.
SHARES = ((0, 1, 2, 3), (4, 5, 6, 6))
REAL = ((1.0, 1.0, 1.0, 1.0), (1.0, 1.0, 1.0, 0.0))


class SummedOverThreads:
    """Stands in for torch.distributed's all_reduce."""

    def __init__(self, count: int) -> None:
        self.barrier, self.parts = threading.Barrier(count), {}  # type: ignore[var-annotated]

    def __call__(self, part: Tensor) -> None:
        self.parts[threading.get_ident()] = part.clone()
        self.barrier.wait(60)
        total = torch.stack([self.parts[one] for one in sorted(self.parts)]).sum(0)
        self.barrier.wait(60)
        part.copy_(total)


def layer_of(kind: str) -> nn.Module:
    """Return a layer with weights and statistics of its own."""
    made = {"1d": nn.BatchNorm1d(3), "2d": nn.BatchNorm2d(3, momentum=0.3), "act": BatchNormAct2d(3, eps=1e-3)}[kind]
    with torch.no_grad():
        made.weight.copy_(torch.tensor([1.0, -2.0, 0.5]))
        made.bias.copy_(torch.tensor([0.1, 0.2, -0.3]))
        made.running_mean.copy_(torch.tensor([1.0, 2.0, 3.0]))
    return made.train()


def loss_of(output: Tensor, rows: tuple[int, ...], real: tuple[float, ...]) -> Tensor:
    """Return a loss that weighs each row and pixel in its own way."""
    factor = torch.linspace(-1, 2, 7 * output[0].numel()).view(7, *output.shape[1:])[list(rows)]
    return (output**2 * factor * torch.tensor(real).view(-1, *[1] * (output.ndim - 1))).sum()


@pytest.mark.parametrize("kind", ["1d", "2d", "act"])
def test_shares_are_normalised_like_the_whole_step(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = (7, 3) if kind == "1d" else (7, 3, 4, 5)
    values = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 3 + 100  # far from 0, as sums lose digits
    whole, all_rows = layer_of(kind), values.clone().requires_grad_()
    expected = whole(all_rows)
    loss_of(expected, tuple(range(7)), (1.0,) * 7).backward()  # type: ignore[no-untyped-call]
    monkeypatch.setattr(torch.distributed, "all_reduce", SummedOverThreads(2))

    def share(number: int) -> tuple[Tensor, Tensor, Any]:
        layer, rows = layer_of(kind), values[list(SHARES[number])].clone().requires_grad_()
        with SyncedNorms(torch.tensor(REAL[number])):
            output = layer(rows)
        loss_of(output, SHARES[number], REAL[number]).backward()  # type: ignore[no-untyped-call]
        assert rows.grad is not None
        return output.detach(), rows.grad, layer

    with ThreadPoolExecutor(2) as pool:
        (one, grad_one, first), (two, grad_two, second) = pool.map(share, (0, 1))
    same: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(torch.cat([one, two[:3]]), expected.detach(), **same)
    torch.testing.assert_close(torch.cat([grad_one, grad_two[:3]]), all_rows.grad, rtol=1e-3, atol=1e-3)
    assert grad_two[3].abs().max() == 0
    for name in ("weight", "bias"):
        summed = getattr(first, name).grad + getattr(second, name).grad
        torch.testing.assert_close(summed, getattr(whole, name).grad, rtol=1e-3, atol=1e-3)
    for layer in (first, second):
        torch.testing.assert_close(layer.running_mean, whole.running_mean, rtol=1e-6, atol=0)
        torch.testing.assert_close(layer.running_var, whole.running_var, rtol=1e-4, atol=0)


def test_stored_statistics_are_used_in_evaluation() -> None:
    layer = layer_of("2d").eval()
    values = torch.randn(2, 3, 4, 5)
    with SyncedNorms(torch.ones(2)):
        found = layer(values)
    torch.testing.assert_close(found, layer(values), rtol=0, atol=0)
