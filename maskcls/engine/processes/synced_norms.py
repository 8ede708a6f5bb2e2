"""Batch normalisation over the rows of all processes, in place of each process's own share of a step.

torch's own SyncBatchNorm works on GPUs alone, and counts rows that only fill a share up. B rows of this process, C
channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, distributed
from torch.autograd import Function
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class SyncedNorms(TorchFunctionMode):
    """Within it, batch normalisation in training uses the mean and the variance over the rows of all processes.

    All processes compute the same network within it. In evaluation mode nothing changes, as stored statistics are used.

    real_B  float32 on the device of the network: 1, or 0 for a filler, which does not count.
    """

    def __init__(self, real_B: Tensor) -> None:
        super().__init__()
        self.real_B = real_B

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Replace torch's function; see `synced_batch_norm`."""
        if func is functional.batch_norm:
            return synced_batch_norm(self.real_B, *args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def synced_batch_norm(
    real_B: Tensor,
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Do what torch's `functional.batch_norm` does, over the real rows of all processes.

    input  (B, C, ...), any float type; statistics are computed in float32. The running statistics (C,) are updated.

    Reference: Ioffe and Szegedy 2015, arXiv:1502.03167. The variance is the mean square of the distances from the mean
    of all processes, in a second exchange: the difference of two large sums would lose digits.
    """
    if not training:
        return functional.batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    shape, over = (1, -1, *[1] * (input.ndim - 2)), [i for i in range(input.ndim) if i != 1]
    values, counts = input.float(), real_B.view(-1, *[1] * (input.ndim - 1))
    pixels = input.numel() // (len(input) * input.shape[1])
    rows = (real_B.sum() * pixels).reshape(1)
    sums: Tensor = _SummedOverProcesses.apply(torch.cat([(values * counts).sum(over), rows]))
    count = sums[-1].detach()
    mean = sums[:-1] / count
    centred = values - mean.view(shape)
    var: Tensor = _SummedOverProcesses.apply((centred.square() * counts).sum(over)) / count
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            unbiased = var * count / (count - 1).clamp(min=1)
            running_var.lerp_(unbiased.to(running_var.dtype), momentum)
    scale = torch.rsqrt(var + eps)
    scale = scale if weight is None else scale * weight.float()
    found: Tensor = centred * scale.view(shape)
    found = found if bias is None else found + bias.float().view(shape)
    return found.to(input.dtype)


class _SummedOverProcesses(Function):
    """The sum of a tensor over all processes; the gradient of each part is the sum of the gradients of the sum."""

    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        total = part.detach().clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        total = grads[0].clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total
