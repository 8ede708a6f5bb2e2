"""Options of a backbone: they arrive at timm, and none is accepted that the backbone does not take, read or know."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from maskcls.backbone import Backbone
from maskcls.errors import ConfigError
from maskcls.nn import network as building
from maskcls.nn.backbone_options import check_used
from maskcls.nn.network import Network, build_network

SIZE = (32, 32)


def built(name: str, size: tuple[int, int] = SIZE, **options: Any) -> Network:
    torch.manual_seed(0)
    return build_network(Backbone(name, options), {"a": 2}, size=size).eval()


def refused(name: str, size: tuple[int, int] = SIZE, **options: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        built(name, size, **options)
    return caught.value


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("test_efficientnet", {"pad_type": "same"}),
        ("test_efficientnet", {"pad_type": "same", "act_layer": "gelu"}),
        ("test_vit", {"global_pool": "avg"}),
        ("test_convnext", {"depths": (1, 1, 1, 1)}),
    ],
)
def test_the_network_is_the_one_of_timm_with_these_arguments(name: str, options: dict[str, Any]) -> None:
    network, size = built(name, **options), {"img_size": SIZE} if "vit" in name else {}
    torch.manual_seed(0)
    wanted = timm.create_model(name, num_classes=0, **size, **options).eval()
    pixels = torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        feature = network.trunk(pixels)
        assert torch.equal(feature, wanted(pixels))
        if feature.shape == (bare := built(name).trunk(pixels)).shape:
            assert not torch.allclose(feature, bare)


def test_features_are_counted_for_each_value_of_an_option() -> None:
    widths = [built("test_vit", **options).features for options in ({}, {"embed_dim": 32}, {"embed_dim": 128}, {})]
    assert widths == [64, 32, 128, 64]


def test_weights_do_not_depend_on_whether_options_were_looked_at_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first network of a process is checked, later ones are not; the heads are drawn after that."""
    made, drawn = [], []
    for known in ({}, {}, None):
        if known is not None:
            monkeypatch.setattr(building, "_features", known)
        torch.manual_seed(5)
        backbone = Backbone("test_resnet", {"zero_init_last": False})  # found to be used by its first weights
        made.append(build_network(backbone, {"a": 2}, size=SIZE).state_dict())
        drawn.append(torch.rand(1).item())
    assert len(set(drawn)) == 1
    assert all(torch.equal(one, other[key]) for other in made[1:] for key, one in made[0].items())


@pytest.mark.parametrize(
    ("name", "options", "got", "fix"),
    [
        ("test_efficientnet", {"pad_typ": "same"}, "unexpected keyword argument 'pad_typ'", "'pad_type'"),
        ("test_resnet", {"pad_type": "same"}, "unexpected keyword argument 'pad_type'", "change or remove"),
        ("test_resnet", {"act_layer": "gelux"}, "gelux", "change or remove"),
        ("test_resnet", {"global_pool": ""}, "features of shape", "change or remove"),
        ("test_convnext", {"depths": (1, 1)}, "out of range", "change or remove"),
    ],
)
def test_options_a_backbone_does_not_take(name: str, options: dict[str, Any], got: str, fix: str) -> None:
    for _ in range(2):
        error = refused(name, **options)
        assert error.where == f"model.options (model.backbone={name})"
        assert got in str(error.got)
        assert fix in str(error.fix)
        assert "transforms.size" not in str(error)


def test_a_size_or_drop_path_at_fault_is_not_blamed_on_options() -> None:
    assert "transforms.size" in str(refused("test_vit", (100, 75), act_layer="gelu").where)
    assert "transforms.size" in str(refused("test_convnext", (16, 16), conv_bias=False).where)
    with pytest.raises(ConfigError, match="drop_path") as caught:
        build_network(Backbone("vgg11", {"mlp_ratio": 0.5}), {"a": 2}, size=SIZE, drop_path=0.1)
    assert str(caught.value.where) == 'model.backbone=vgg11 model.options={"mlp_ratio": 0.5}'
    assert "model.options" in str(caught.value.fix)


class Careless(nn.Module):
    """A backbone that takes any argument, reads two of them, and knows two words of one."""

    def __init__(self, width: int = 4, pad: str = "", start: str = "zero", **others: Any) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1 if pad == "same" else 0)
        if start == "one":
            nn.init.ones_(self.stem.weight)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        features: Tensor = self.stem(image_BCHW).mean((2, 3))
        return features


@pytest.fixture
def careless(monkeypatch: pytest.MonkeyPatch) -> None:
    def create_model(name: str, *, pretrained: bool = False, num_classes: int = 0, **options: Any) -> nn.Module:
        model: Any = Careless(**options)
        model.pretrained_cfg = {"seen": options}  # as timm's record of what it was given
        model._model_args = options
        return model

    monkeypatch.setattr(timm, "create_model", create_model)


@pytest.mark.usefixtures("careless")
@pytest.mark.parametrize(
    ("options", "unused"),
    [
        ({"width": 5}, None),
        ({"width": 4}, None),  # the value it has anyway; another would change it
        ({"pad": "same"}, None),
        ({"pad": ""}, None),  # the declared default
        ({"start": "one"}, None),  # the same layers with other weights
        ({"pad": "sme"}, 'pad: "sme"'),
        ({"height": 5}, "height: 5"),
        ({"width": 5, "height": 5, "depths": (1, 2)}, "height: 5, depths: [1, 2]"),
    ],
)
def test_an_option_that_changes_nothing_is_refused_by_name(options: dict[str, Any], unused: str | None) -> None:
    backbone = Backbone("careless", options)
    if unused is None:
        check_used(backbone, SIZE)
        return
    with pytest.raises(ConfigError, match="the same without") as caught:
        check_used(backbone, SIZE)
    assert (caught.value.where, caught.value.got) == ("model.options (model.backbone=careless)", unused)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("tf_efficientnet_b0", {"pad_type": "same"}),  # what a name with tf_ has anyway
        ("test_efficientnet", {"pad_type": ""}),
        ("test_vit", {"dynamic_img_size": False}),  # changes nothing at the size of the network
        ("test_vit", {"qkv_bias": True}),
        ("test_vit", {"global_pool": "token"}),
        ("test_resnet", {"zero_init_last": False}),  # changes first weights alone
    ],
)
def test_options_of_timm_that_it_reads_are_accepted(name: str, options: dict[str, Any]) -> None:
    assert built(name, **options).backbone == str(Backbone(name, options))


def test_a_word_that_timm_would_take_for_its_default_is_refused() -> None:
    assert refused("test_efficientnet", pad_type="sme").got == 'pad_type: "sme"'


def test_with_dynamic_images_a_network_takes_other_sizes() -> None:
    network, backbone = built("test_vit", dynamic_img_size=True), Backbone("test_vit", {"dynamic_img_size": True})
    building.check_size(network, backbone, (48, 48))
    with pytest.raises(ConfigError):
        building.check_size(built("test_vit", dynamic_img_size=False), Backbone("test_vit"), (48, 48))


def test_pretrained_weights_of_another_shape_are_not_called_a_failed_download(monkeypatch: pytest.MonkeyPatch) -> None:
    def unfit(*args: Any, **options: Any) -> nn.Module:
        raise RuntimeError("Error(s) in loading state_dict for ResNet:\n\tsize mismatch for conv1.weight")

    monkeypatch.setattr(building.timm, "create_model", unfit)
    with pytest.raises(ConfigError, match="do not fit") as caught:
        build_network(Backbone("resnet18", {"stem_width": 32}), {"a": 2}, size=SIZE, pretrained=True)
    assert caught.value.where == "model.options (model.backbone=resnet18)"
