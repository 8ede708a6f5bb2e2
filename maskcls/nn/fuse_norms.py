"""Fuse batch norms into the convolutions before them, for inference.

B batch, C channels of an image, H height, W width.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.utils._python_dispatch import TorchDispatchMode

from maskcls.nn.network import Network

Pairs = tuple[tuple[str, str], ...]  # names of a convolution and of the norm after it

# Only these types: a subclass may also change its weights, for example standardise them.
CONVS = (nn.Conv2d, Conv2dSame)
NORMS = (nn.BatchNorm2d, BatchNormAct2d)
# As a share of the largest feature. In most of sixty backbones rounding gave 2e-6, in one 1e-5; a norm that is fused
# wrongly changes features by about their own size.
TOLERANCE = 1e-4


def fuse_batch_norms(network: Network, example_BCHW: Tensor) -> tuple[Network, int]:
    """Return a copy for inference whose batch norms are fused into the convolutions before them, and their number.

    Calls `find_pairs`, then `fuse_pairs`.
    """
    pairs = find_pairs(network, example_BCHW)
    return fuse_pairs(network, pairs).to(example_BCHW.device), len(pairs)


@torch.no_grad()
def find_pairs(network: Network, example_BCHW: Tensor) -> Pairs:
    """Return the names of convolutions and batch norms that can be fused; they depend on the network's structure only.

    A pair can be fused if, in a forward pass of the example, no other operation reads the convolution's output or a
    tensor of the two modules. If the features of the fused trunk differ by more than `TOLERANCE` from the network's, or
    are not finite, the result is empty.

    example_BCHW  float32 images (B, 3, H, W), normalised, of the size used in inference. Two passes run on the CPU,
                  because the TF32 of a GPU would make the comparison inexact.
    """
    alone, example_BCHW_cpu = _copy(network).cpu(), example_BCHW.cpu()
    pairs, want = _watch(alone.trunk, example_BCHW_cpu)
    names = {module: name for name, module in alone.named_modules()}
    found = tuple((names[conv], names[norm]) for conv, norm in pairs)
    # Features, not logits: nothing in a head is fused, and the logits of a new head are all 0.
    return found if _agree(fuse_pairs(alone, found).trunk(example_BCHW_cpu), want) else ()


@torch.no_grad()
def fuse_pairs(network: Network, pairs: Pairs) -> Network:
    """Return a copy in eval mode, without gradients, on the network's device, with every pair fused."""
    fused = _copy(network)
    for conv_name, norm_name in pairs:
        conv, norm = fused.get_submodule(conv_name), fused.get_submodule(norm_name)
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        _fuse(conv, norm)
        _replace(fused, norm, _after(norm))
    return fused


def _copy(network: Network) -> Network:
    return copy.deepcopy(network).eval().requires_grad_(False)


class _Uses(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Count, while active, how many of torch's operations read each watched tensor.

    The dispatcher sees all operations, also those between modules, such as the addition of a residual.
    """

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count: dict[int, int] = {}
        self.held: list[Tensor] = []  # keeps the tensors alive, so that no other tensor gets the same id
        for tensor in tensors:
            self.watch(tensor)

    def watch(self, tensor: Tensor) -> None:
        self.held.append(tensor)
        self.count[id(tensor)] = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        for value in (*args, *given.values()):
            for item in value if isinstance(value, list | tuple) else (value,):
                if id(item) in self.count:
                    self.count[id(item)] += 1
        return func(*args, **given)


def _watch(trunk: nn.Module, example_BCHW: Tensor) -> tuple[list[tuple[nn.Conv2d, nn.BatchNorm2d]], Tensor]:
    """Run the example through the trunk; return the pairs that can be fused, and the features.

    In a pair the norm reads the output tensor of the convolution, and this tensor and every tensor of the two modules
    are read exactly once. So each of the two ran once and shares no weights with other modules.
    """
    uses = _Uses([*trunk.parameters(), *trunk.buffers()])
    made: dict[int, nn.Conv2d] = {}
    met: list[tuple[nn.Conv2d, nn.BatchNorm2d, Tensor]] = []

    def conv_ran(conv: nn.Conv2d, args: tuple[Any, ...], output: Tensor) -> None:
        uses.watch(output)
        made[id(output)] = conv

    def norm_runs(norm: nn.BatchNorm2d, args: tuple[Any, ...]) -> None:
        met.extend((made[id(value)], norm, value) for value in args if id(value) in made)

    hooks = [m.register_forward_hook(conv_ran) for m in trunk.modules() if type(m) in CONVS]
    hooks += [m.register_forward_pre_hook(norm_runs) for m in trunk.modules() if type(m) in NORMS]
    with uses:
        features: Tensor = trunk(example_BCHW)
    for hook in hooks:
        hook.remove()
    pairs = [
        (conv, norm)
        for conv, norm, between in met
        if norm.running_mean is not None and all(uses.count.get(id(t)) == 1 for t in (between, *_tensors(conv, norm)))
    ]
    return pairs, features


def _tensors(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> list[Tensor]:
    parts = (conv.weight, conv.bias, norm.weight, norm.bias, norm.running_mean, norm.running_var)
    return [part for part in parts if part is not None]


def _fuse(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """Fuse the norm into the convolution, in place.

    With s = gamma / sqrt(var + eps) per channel: W' = s W and b' = s (b - mean) + beta (Jacob et al. 2018,
    arXiv:1712.05877, section 3.2).
    """
    mean, var = norm.running_mean, norm.running_var
    assert mean is not None
    assert var is not None
    conv.weight, conv.bias = fuse_conv_bn_weights(conv.weight, conv.bias, mean, var, norm.eps, norm.weight, norm.bias)


def _after(norm: nn.BatchNorm2d) -> nn.Module:
    """Return what remains of a fused norm: timm's norms also contain a dropout and an activation."""
    steps = (norm.drop, norm.act) if isinstance(norm, BatchNormAct2d) else ()
    return nn.Sequential(*[step for step in steps if type(step) is not nn.Identity]).eval()


def _replace(network: nn.Module, old: nn.Module, new: nn.Module) -> None:
    for parent in list(network.modules()):
        for name, child in parent._modules.items():
            if child is old:
                parent._modules[name] = new


def _agree(found: Tensor, want: Tensor) -> bool:
    # NaN and infinity in `found` make the comparison false; an infinity in `want` would make it true.
    return bool(want.isfinite().all()) and bool((found - want).abs().max() <= TOLERANCE * want.abs().max())
