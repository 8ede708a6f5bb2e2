"""The networks of CycleGAN: shapes by formula, padding as in torch, drawn weights, and what each setting changes."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from maskcls.synth.cyclegan.padding import reflected
from maskcls.synth.cyclegan.patch_critic import build_patch_critic, critic_halvings, score_shape
from maskcls.synth.cyclegan.translators import TranslatorShape, build_translator, halvings

RESNET = TranslatorShape("resnet", width=4, blocks=2, padding="reflect", upsample="resize", size=(32, 16))
UNET = replace(RESNET, network="unet")
SIZES = [(16, 16), (16, 48), (64, 48), (112, 96), (256, 16)]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def image(size: tuple[int, int]) -> torch.Tensor:
    return torch.rand((2, 3, *size), generator=seeded(1)) * 2 - 1


def parameters(network: nn.Module) -> int:
    return sum(tensor.numel() for tensor in network.parameters())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("network", ["resnet", "unet"])
@pytest.mark.parametrize("padding", ["reflect", "zero"])
@pytest.mark.parametrize("upsample", ["transposed", "resize"])
def test_a_translation_has_the_size_of_its_image(
    size: tuple[int, int], network: str, padding: str, upsample: str
) -> None:
    shape = TranslatorShape(network, 4, 1, padding, upsample, size)  # type: ignore[arg-type]
    translator = build_translator(shape, seeded())

    made = translator(image(size))

    assert made.shape == (2, 3, *size)
    assert -1 <= made.min() < made.max() <= 1
    assert torch.isfinite(torch.autograd.grad(made.square().mean(), list(translator.parameters()))[0]).all()


@pytest.mark.parametrize("size", [*SIZES, (32, 32), (256, 256)])
def test_a_critic_has_one_score_per_part(size: tuple[int, int]) -> None:
    critic = build_patch_critic(size, 4, seeded())
    halved = sum(isinstance(layer, nn.Conv2d) and layer.stride == (2, 2) for layer in critic.modules())

    height, width = size
    for _ in range(halved):  # (side + 2 padding - kernel) / stride + 1
        height, width = (height + 2 - 4) // 2 + 1, (width + 2 - 4) // 2 + 1
    for _ in range(2):
        height, width = height - 1, width - 1

    assert halved == critic_halvings(size)
    assert score_shape(size) == (height, width)
    assert critic(image(size)).shape == (2, 1, height, width)
    assert height * width >= 36  # several parts


def test_a_score_of_the_largest_critic_sees_70_pixels() -> None:
    critic = build_patch_critic((256, 256), 4, seeded())
    norms = [layer for layer in critic.modules() if isinstance(layer, nn.InstanceNorm2d)]
    for norm in norms:  # it looks at the whole image, the convolutions do not
        norm.forward = lambda features: features  # type: ignore[method-assign]
    pixels = image((256, 256)).requires_grad_()

    (seen,) = torch.autograd.grad(critic(pixels)[0, 0, 15, 15], pixels)

    rows = torch.nonzero(seen[0].abs().sum((0, 2)))
    assert len(norms) == 3
    assert int(rows.max() - rows.min()) + 1 == 70
    assert not seen[1].any()


@pytest.mark.parametrize("border", [1, 3])
@pytest.mark.parametrize("size", [(4, 5), (7, 4)])
def test_mirrored_borders_are_those_of_torch(border: int, size: tuple[int, int]) -> None:
    features = torch.rand((2, 3, *size), generator=seeded(), dtype=torch.float64, requires_grad=True)
    weight = torch.rand((2, 3, size[0] + 2 * border, size[1] + 2 * border), generator=seeded(), dtype=torch.float64)
    expected = nn.functional.pad(features, (border,) * 4, mode="reflect")
    found = reflected(features, border)

    assert torch.equal(found, expected)
    gradients = [torch.autograd.grad((one * weight).sum(), features)[0] for one in (found, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=0)  # the order of sums


def test_the_parameters_of_the_resnet_are_those_of_its_formula() -> None:
    def expected(w: int, blocks: int) -> int:
        halving = 9 * w * 2 * w + 9 * 2 * w * 4 * w
        return 49 * 3 * w + 2 * halving + blocks * 2 * 9 * (4 * w) ** 2 + 49 * w * 3 + 3

    for width, blocks in ((4, 2), (5, 9)):
        network = build_translator(replace(RESNET, width=width, blocks=blocks), seeded())
        assert parameters(network) == expected(width, blocks)


def test_the_parameters_of_the_unet_are_those_of_its_formula() -> None:
    w = 4  # channels 4, 8, 16, 32 on the way down of 32 x 16; resize: 3x3 on the way up
    down = 16 * (3 * w + w * 2 * w + 2 * w * 4 * w + 4 * w * 8 * w) + w + 8 * w
    up = 9 * (8 * w * 4 * w + 8 * w * 2 * w + 4 * w * w + 2 * w * 3) + 3

    assert halvings((32, 16)) == 4
    assert parameters(build_translator(UNET, seeded())) == down + up


def test_weights_are_normal_with_deviation_two_hundredths() -> None:
    networks = [build_translator(replace(shape, width=16), seeded()) for shape in (RESNET, UNET)]
    networks.append(build_patch_critic((32, 32), 64, seeded()))
    for network in networks:
        drawn = torch.cat([p.detach().flatten() for p in network.parameters() if p.dim() > 1])
        biases = torch.cat([p.flatten() for p in network.parameters() if p.dim() == 1])

        assert len(drawn) > 50_000  # the deviation of 0.02 is then known to 0.02 / sqrt(100,000) = 6e-5
        assert abs(float(drawn.std()) - 0.02) < 3e-4
        assert abs(float(drawn.mean())) < 5e-4
        assert not biases.any()


@pytest.mark.parametrize("shape", [RESNET, UNET])
def test_weights_are_a_function_of_the_generator_alone(shape: TranslatorShape) -> None:
    torch.manual_seed(1)
    first = build_translator(shape, seeded()).state_dict()
    again = build_translator(shape, seeded()).state_dict()
    other = build_translator(shape, seeded(1)).state_dict()

    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("shape", [RESNET, UNET])
@pytest.mark.parametrize("change", [{"padding": "zero"}, {"upsample": "transposed"}, {"width": 8}])
def test_every_fact_of_the_shape_changes_the_network(shape: TranslatorShape, change: dict[str, object]) -> None:
    results = [build_translator(one, seeded())(image(shape.size)) for one in (shape, replace(shape, **change))]

    assert not torch.equal(*results)


@pytest.mark.parametrize("shape", [RESNET, UNET])
def test_a_shape_is_rebuilt_from_json(shape: TranslatorShape) -> None:
    assert TranslatorShape.from_json(shape.to_json()) == shape
    assert isinstance(shape.to_json()["size"], list)


@pytest.mark.parametrize(("shape", "norms"), [(replace(RESNET, blocks=3), 1 + 2 + 2 * 3 + 2), (UNET, 2 + 3)])
def test_every_convolution_but_the_outer_and_innermost_ones_is_normalised(shape: TranslatorShape, norms: int) -> None:
    network = build_translator(shape, seeded())

    assert sum(isinstance(layer, nn.InstanceNorm2d) for layer in network.modules()) == norms
