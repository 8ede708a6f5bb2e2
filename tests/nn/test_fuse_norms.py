"""Fused networks against the plain ones, on many families; and all that must not be fused."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import timm
import torch
from timm.layers import BatchNormAct2d, StdConv2d
from torch import Tensor, nn

from maskcls.nn.fuse_norms import fuse_batch_norms
from maskcls.nn.network import Network

NORMS = (nn.BatchNorm2d, BatchNormAct2d)


def random_network(trunk: nn.Module, features: int) -> Network:
    """Return a network of two heads with random heads, statistics, scales and shifts, in training mode."""
    network = Network(trunk, features, {"mask": 3, "age": 2}, drop=0.5)
    for parameter in network.heads.parameters():
        nn.init.normal_(parameter)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in ((module.weight, 0.5, 1.5), (module.bias, -0.2, 0.2)):
                nn.init.uniform_(tensor, low, high)
            if module.running_mean is not None:
                nn.init.uniform_(module.running_mean, -0.2, 0.2)
                nn.init.uniform_(module.running_var, 0.5, 2.0)
    return network.train()


def logits(network: Network, images: Tensor) -> dict[str, Tensor]:
    with torch.no_grad():
        return copy.deepcopy(network).eval()(images)


def same_logits(fused: Network, plain: Network, images: Tensor) -> None:
    found, want = fused(images), logits(plain, images)
    assert list(found) == list(want) == ["mask", "age"]
    for head, value in want.items():
        # float32 rounding of the largest logit through up to a hundred layers
        torch.testing.assert_close(found[head], value, rtol=0, atol=2e-5 * float(value.abs().max()), msg=head)


# --- families

FAMILIES = [  # backbone, features, norms, of them fused
    ("resnet10t", 512, 14, 14),
    ("test_resnet", 96, 15, 15),
    ("test_byobnet", 256, 14, 14),
    ("regnetx_002", 368, 44, 44),
    ("hrnet_w18_small", 2048, 91, 91),
    ("mobilenetv4_conv_small_050", 1280, 46, 46),
    ("mobilenetv3_small_050", 1024, 34, 34),
    ("tf_mobilenetv3_small_minimal_100", 1024, 34, 34),  # pads on one side
    ("test_efficientnet", 256, 13, 13),
    ("ghostnet_050", 1280, 80, 80),
    ("levit_128s", 384, 4, 4),
    ("repvgg_a0", 1280, 61, 44),  # 17 norms of a bare shortcut
    ("densenet121", 1024, 121, 59),  # every second norm stands before its convolution, behind a concatenation
    ("test_convnext", 64, 0, 0),
    ("test_vit", 64, 0, 0),
]


@pytest.mark.parametrize(("backbone", "features", "norms", "pairs"), FAMILIES)
def test_families_answer_the_same(backbone: str, features: int, norms: int, pairs: int) -> None:
    torch.manual_seed(0)
    trunk = timm.create_model(backbone, num_classes=0, **({"img_size": 64} if "vit" in backbone else {}))
    network = random_network(trunk, features).to(memory_format=torch.channels_last)
    fused, count = fuse_batch_norms(network, torch.randn(2, 3, 64, 64))
    assert count == pairs
    assert [sum(isinstance(m, NORMS) for m in n.modules()) for n in (network, fused)] == [norms, norms - pairs]
    same_logits(fused, network, torch.randn(2, 3, 64, 64).contiguous(memory_format=torch.channels_last))


# --- one pair


class Pair(nn.Module):
    """A pair that can be fused, and what a test puts behind it."""

    def __init__(self, behind: nn.Module | None = None) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), BatchNormAct2d(4, drop_layer=nn.Dropout))
        self.behind = behind or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.behind(self.first(x)).mean((2, 3))


def test_by_hand() -> None:
    conv, norm = nn.Conv2d(3, 1, 1), nn.BatchNorm2d(1, eps=1.0)
    fill = [(conv.weight, 2.0), (conv.bias, 5.0), (norm.weight, 6.0), (norm.bias, 0.5)]
    for tensor, value in [*fill, (norm.running_mean, 4.0), (norm.running_var, 8.0)]:
        nn.init.constant_(tensor, value)
    network = Network(nn.Sequential(conv, norm, nn.Flatten()), 4, {"mask": 3, "age": 2})
    fused, count = fuse_batch_norms(network, torch.randn(2, 3, 2, 2))
    assert count == 1
    found = fused.trunk[0]
    assert found.weight.flatten().tolist() == pytest.approx([4.0] * 3)  # 2 * 6 / sqrt(8 + 1)
    assert found.bias.tolist() == pytest.approx([2.5])  # (5 - 4) * 6 / 3 + 0.5


def test_the_activation_and_the_dropout_of_a_norm_stay() -> None:
    network = random_network(Pair(), 4)
    fused, count = fuse_batch_norms(network, torch.randn(2, 3, 8, 8))
    assert count == 1
    assert [type(step) for step in fused.trunk.first[1]] == [nn.Dropout, nn.ReLU]
    same_logits(fused, network, torch.randn(2, 3, 8, 8))


def test_the_network_itself_stays_as_it_is() -> None:
    network = random_network(Pair(), 4)
    before = copy.deepcopy(network.state_dict())
    fused, _ = fuse_batch_norms(network, torch.randn(2, 3, 8, 8))
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert all(module.training for module in network.modules())
    assert all(p.requires_grad for p in network.parameters())
    assert not any(module.training for module in fused.modules())
    assert not any(p.requires_grad for p in fused.parameters())
    shared = {p.data_ptr() for p in network.parameters()} & {p.data_ptr() for p in fused.parameters()}
    assert not shared
    for module in [*network.modules(), *fused.modules()]:
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_the_memory_format_and_the_number_type_stay(memory_format: torch.memory_format) -> None:
    network = random_network(Pair(), 4).to(memory_format=memory_format)
    fused, count = fuse_batch_norms(network, torch.randn(2, 3, 8, 8))
    assert count == 1
    assert fused.trunk.first[0].weight.is_contiguous(memory_format=memory_format)
    assert {p.dtype for p in fused.parameters()} == {torch.float32}


# --- what must not be fused


class Residual(nn.Module):
    """Something besides the norm takes in what the convolution gives."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.norm(y) + y


class Listed(Residual):
    """The operation takes a list of tensors."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return torch.cat([self.norm(y), y])


class ChangedBetween(Residual):
    """The norm's input is the convolution's output, but no longer with its values."""

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x).mul_(3.0))


class ConvTwice(nn.Module):
    """Each norm has an input of its own, from one convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.one, self.two = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.conv(self.one(self.conv(x))))


class TiedConvs(ConvTwice):
    """Two convolutions, one matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.other = nn.Conv2d(4, 4, 1)
        self.other.weight = self.conv.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.other(self.one(self.conv(x))))


class NormTwice(Residual):
    """The norm also stands behind no convolution."""

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.norm(self.conv(x)))


class NormRead(Residual):
    """The norm's own tensors have a second use."""

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)) * self.norm.bias.view(1, -1, 1, 1)


class WeightRead(Residual):
    """The convolution's matrix has a second use."""

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)) * self.conv.weight.sum()


class AnotherBetween(Residual):
    """Something stands between convolution and norm."""

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x).relu())


def standardised() -> nn.Module:
    # Its forward scales the matrix to variance one, so a factor worked into it is lost.
    return nn.Sequential(StdConv2d(4, 4, 3), nn.BatchNorm2d(4))


def without_statistics() -> nn.Module:
    return nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4, track_running_stats=False))


@pytest.mark.parametrize(
    "behind",
    [
        Residual,
        Listed,
        ChangedBetween,
        ConvTwice,
        TiedConvs,
        NormTwice,
        NormRead,
        WeightRead,
        AnotherBetween,
        standardised,
        without_statistics,
    ],
)
def test_only_the_pair_in_front_is_folded(behind: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    network = random_network(Pair(behind()), 4)
    fused, count = fuse_batch_norms(network, torch.randn(2, 3, 8, 8))
    assert count == 1
    norms = [sum(isinstance(m, NORMS) for m in n.modules()) for n in (network, fused)]
    assert norms[1] == norms[0] - 1
    same_logits(fused, network, torch.randn(2, 3, 8, 8))


class Looks(Residual):
    """What it does depends on its norm being one; no operation shows that."""

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)) * (1.01 if isinstance(self.norm, nn.BatchNorm2d) else 1.0)


def spoil_nothing(network: Network) -> None:
    pass


def spoil_with_nan(network: Network) -> None:
    network.trunk.first[1].running_mean[0] = torch.nan


def spoil_with_infinity(network: Network) -> None:
    # The convolution overflows, and with a hundredth of its weights it would not.
    conv, norm = network.trunk.first
    nn.init.constant_(conv.weight, 1e38)
    nn.init.constant_(norm.running_var, 1e4)


@pytest.mark.parametrize(
    ("behind", "spoil"),
    [(Looks, spoil_nothing), (nn.Identity, spoil_with_nan), (nn.Identity, spoil_with_infinity)],
)
def test_nothing_is_folded_where_the_features_disagree(
    behind: Callable[[], nn.Module], spoil: Callable[[Network], None]
) -> None:
    torch.manual_seed(0)
    network = random_network(Pair(behind()), 4)
    with torch.no_grad():
        spoil(network)
    fused, count = fuse_batch_norms(network, torch.randn(2, 3, 8, 8))
    assert count == 0
    found, want = fused.state_dict(), network.state_dict()
    assert found.keys() == want.keys()
    for key in want:
        torch.testing.assert_close(found[key], want[key], rtol=0, atol=0, equal_nan=True)
    assert not any(module.training for module in fused.modules())
    images = torch.randn(2, 3, 8, 8)
    for head, value in logits(network, images).items():
        torch.testing.assert_close(fused(images)[head], value, rtol=0, atol=0, equal_nan=True)


def test_fresh_heads_do_not_hide_a_wrong_fold() -> None:
    network = random_network(Pair(Looks()), 4)
    for parameter in network.heads.parameters():
        nn.init.zeros_(parameter)
    assert fuse_batch_norms(network, torch.randn(2, 3, 8, 8))[1] == 0
