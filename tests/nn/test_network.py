"""The network: any timm backbone with its heads, and weights from files nobody has to trust."""

from __future__ import annotations

import copy
import math
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import timm
import torch
from photos import small_network, wake
from safetensors.torch import save_file
from torch import Tensor, nn

from maskcls.backbone import Backbone
from maskcls.errors import ConfigError, ResourceError, WeightsError
from maskcls.labels import CONTEST, LabelSpace, Task
from maskcls.nn import network as building
from maskcls.nn.heads import plain_heads
from maskcls.nn.losses import cross_entropy
from maskcls.nn.network import Network, build_network, check_backbone, check_size, load_trunk
from maskcls.nn.weights.weights_file import read_tensors

SMALL = "test_efficientnet"
SIZE = (32, 32)
# What a family cannot do by design: relative positions on a map that three halvings do not divide.
IMPOSSIBLE = {("test_coatnet", (64, 48))}


def small(seed: int = 0, **options: Any) -> Network:
    """Return a fresh small timm network with random heads."""
    torch.manual_seed(seed)
    return wake(build_network(Backbone(SMALL), {"a": 3, "b": 2}, size=SIZE, **options))


def images(count: int, size: tuple[int, int] = SIZE) -> Tensor:
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(1))


# --- heads


def test_joint_has_one_head_and_multi_one_a_task() -> None:
    found = {kind: plain_heads(kind, CONTEST) for kind in ("joint", "multi")}
    assert {name: head.outputs for name, head in found["joint"].items()} == {"joint": 18}
    assert {name: head.outputs for name, head in found["multi"].items()} == {"mask": 3, "gender": 2, "age": 3}
    assert list(plain_heads("multi", CONTEST.only(["age"]))) == ["age"]


def test_every_head_gives_its_logits_by_name() -> None:
    out = build_network(Backbone(SMALL), plain_heads("multi", CONTEST), size=SIZE)(images(2))
    assert {name: tuple(logits.shape) for name, logits in out.items()} == {
        "mask": (2, 3),
        "gender": (2, 2),
        "age": (2, 3),
    }


@pytest.mark.parametrize("classes", [2, 3, 18])
def test_the_first_loss_is_the_logarithm_of_the_classes(classes: int) -> None:
    torch.manual_seed(0)
    network = build_network(Backbone(SMALL), {"a": classes}, size=SIZE)
    for logits in (network(images(4)), network.eval()(images(4))):
        assert torch.equal(logits["a"], torch.zeros(4, classes))
        loss = cross_entropy(logits["a"], torch.eye(classes)[torch.arange(4) % classes])
        assert loss.tolist() == pytest.approx([math.log(classes)] * 4, rel=2e-7)  # one rounding of float32


def test_tasks_may_be_called_like_methods_of_a_module(tmp_path: Path) -> None:
    names = ("type", "values", "train", "to", "eval", "keys")
    space = LabelSpace(tuple(Task(name, ("no", "yes")) for name in names))
    network = small_network(plain_heads("multi", space))
    assert tuple(network.heads) == names
    twin = copy.deepcopy(network).to(torch.float32).eval()
    twin.load_state_dict(network.state_dict())
    assert len([key for key in network.state_dict() if key.startswith("heads.")]) == 12
    assert torch.equal(twin(images(2))["type"], network.eval()(images(2))["type"])


# --- any backbone


def test_every_small_timm_model_is_built_at_any_size() -> None:
    names = timm.list_models("test_*")
    assert len(names) >= 18, names
    assert {name for name, _ in IMPOSSIBLE} <= set(names)
    built = 0
    for name in names:
        for size in (SIZE, (64, 48)):
            if (name, size) in IMPOSSIBLE:
                with pytest.raises(ConfigError, match="64 x 48"):
                    build_network(Backbone(name), {"a": 3}, size=size)
                continue
            network = build_network(Backbone(name), {"a": 3}, size=size)
            assert network.training
            assert network.eval()(images(2, size))["a"].shape == (2, 3), name
            built += 1
    assert built == 2 * len(names) - len(IMPOSSIBLE)


def test_a_backbone_of_fixed_size_is_built_for_the_size_asked() -> None:
    network = build_network(Backbone("test_vit"), {"a": 2}, size=(64, 48))
    assert network.trunk.patch_embed.img_size == (64, 48)


def test_weights_come_from_the_global_generator() -> None:
    first, again, other = (small(seed).trunk.state_dict()["conv_stem.weight"] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("resnet81", "resnet18"),
        ("ResNet18", "resnet18"),
        ("timm/resnet18", "resnet18"),
        ("resnet18.a1_in1", "resnet18.a1_in1k"),
        ("qqqqqqqqq", "timm.list_models()"),
        ("", "timm.list_models()"),
        ("hf-hub:someone/model", "timm.list_models()"),
        ("local-dir:/tmp", "timm.list_models()"),
    ],
)
def test_an_unknown_backbone_is_answered_with_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(ConfigError, match="no backbone of this name") as caught:
        build_network(Backbone(name), {"a": 2}, size=SIZE)
    assert hint in (caught.value.fix or str(caught.value.expected))
    assert repr(name) == caught.value.got


@pytest.mark.parametrize("name", ["resnet18", "resnet18.a1_in1k", "test_vit4"])
def test_known_names_pass_with_and_without_a_tag(name: str) -> None:
    check_backbone(name)


# The smallest of each family whose errors of a size are timm's own: size, and sizes that it takes.
SIZES = {
    "test_coatnet": ((64, 48), "64 x 64 or 160 x 160"),
    "hiera_tiny_224": ((100, 76), "96 x 64 or 224 x 224"),
    "levit_128s": ((100, 76), "96 x 64 or 224 x 224"),
    "maxvit_rmlp_pico_rw_256": ((100, 76), "96 x 64 or 256 x 256"),
    "xcit_nano_12_p16_224": ((100, 76), "96 x 64 or 224 x 224"),
    "crossvit_tiny_240": ((100, 76), "240 x 240"),
}


@pytest.mark.parametrize("backbone", SIZES)
def test_a_size_the_backbone_cannot_take_is_answered_with_sizes_it_takes(backbone: str) -> None:
    size, taken = SIZES[backbone]
    with pytest.raises(ConfigError, match="does not take images of this size") as caught:
        build_network(Backbone(backbone), {"a": 2}, size=size)
    error = caught.value
    assert error.where == f"transforms.size (model.backbone={backbone})"
    assert str(error.got).startswith(f"{size[0]} x {size[1]} pixels: ")
    assert error.expected == f"{taken} pixels, for example"
    height, width = taken.split(" or ")[0].split(" x ")
    assert error.fix == f"set transforms.size=[{height}, {width}], or choose another backbone"
    good = int(height), int(width)
    assert build_network(Backbone(backbone), {"a": 2}, size=good).eval()(images(1, good))["a"].shape == (1, 2)


def test_a_size_is_not_blamed_for_another_setting() -> None:
    with pytest.raises(ConfigError, match="cannot be built with these settings"):
        build_network(Backbone("vgg11"), {"a": 2}, size=SIZE, drop_path=0.1)


@pytest.mark.parametrize("backbone", ["test_vit", "deit_tiny_patch16_224"])  # the second would cut the rest off
def test_a_size_that_is_no_whole_number_of_patches_is_refused_with_one_that_is(backbone: str) -> None:
    with pytest.raises(ConfigError, match="image height and width must be multiples of 16") as caught:
        build_network(Backbone(backbone), {"a": 2}, size=(100, 75))
    assert caught.value.expected == "multiples of 16 x 16 pixels, the backbone's patches"
    assert "transforms.size=[96, 80]" in str(caught.value.fix)
    network = build_network(Backbone(backbone), {"a": 2}, size=(96, 80))
    with pytest.raises(ConfigError, match="must be multiples of"):
        check_size(network, Backbone(backbone), (48, 40))


def test_hub_weights_without_a_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))  # nothing on this machine helps
    assert huggingface_hub.constants.HF_HUB_OFFLINE  # else the library tries again and again, for most of a minute
    with pytest.raises(ResourceError, match="cannot be downloaded") as caught:
        build_network(Backbone("test_resnet"), {"a": 2}, size=SIZE, pretrained=True)
    assert "test_resnet" in str(caught.value.where)
    assert "model.weights=FILE" in str(caught.value.fix)


def test_a_backbone_without_hub_weights_is_not_blamed_on_the_connection() -> None:
    with pytest.raises(ConfigError, match="no pretrained weights") as caught:
        build_network(Backbone("test_vit4"), {"a": 2}, size=SIZE, pretrained=True)
    assert "model.pretrained=false" in str(caught.value.fix)


@pytest.mark.parametrize("pretrained", [False, True])
def test_drop_path_on_a_backbone_that_has_none(pretrained: bool) -> None:
    with pytest.raises(ConfigError) as caught:
        build_network(Backbone("vgg11"), {"a": 2}, size=SIZE, drop_path=0.1, pretrained=pretrained)
    assert "drop_path" in str(caught.value.got)


@pytest.mark.parametrize("option", ["drop", "drop_path"])
def test_drop_acts_in_training_only(option: str) -> None:
    torch.manual_seed(0)
    network = wake(build_network(Backbone("test_convnext"), {"a": 3}, size=SIZE, **{option: 0.5}))
    # As built, blocks add a millionth of their output, and dropping one would hardly show.
    # As built, blocks add a millionth of their output, and dropping one would hardly show.
    for block in network.modules():
        if hasattr(block, "gamma"):
            nn.init.ones_(block.gamma)
    first, second = network(images(4))["a"], network(images(4))["a"]
    assert not torch.allclose(first, second, atol=1e-3)
    network.eval()
    assert torch.equal(network(images(4))["a"], network(images(4))["a"])
    calm = wake(build_network(Backbone("test_convnext"), {"a": 3}, size=SIZE))
    assert torch.equal(calm(images(4))["a"], calm(images(4))["a"])


@pytest.mark.parametrize("name", ["small", "test_vit", SMALL])
def test_an_output_depends_on_its_own_image_only(name: str) -> None:
    torch.manual_seed(0)
    network = small_network({"a": 3}) if name == "small" else wake(build_network(Backbone(name), {"a": 3}, size=SIZE))
    inputs = images(3).requires_grad_()
    network.eval()(inputs)["a"][1].sum().backward()
    assert inputs.grad is not None
    assert [bool((g != 0).any()) for g in inputs.grad] == [False, True, False]


# --- weights from a file


def named(prefix: str) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    return lambda state: {prefix + key: value for key, value in state.items()}


def as_safetensors(path: Path, state: Any) -> None:
    save_file(state, path)


SAVED: dict[str, tuple[Callable[[Path, Any], None], Callable[[dict[str, Tensor]], Any]]] = {
    "safetensors": (as_safetensors, dict),
    "torch": (lambda path, data: torch.save(data, path), dict),
    "torch, old format": (lambda path, data: torch.save(data, path, _use_new_zipfile_serialization=False), dict),
    "below state_dict": (lambda path, data: torch.save(data, path), lambda s: {"state_dict": s, "epoch": 3}),
    "below model": (lambda path, data: torch.save(data, path), lambda s: {"model": s, "args": None}),
    "module.": (as_safetensors, named("module.")),
    "trunk.": (as_safetensors, named("trunk.")),
    "module.trunk.": (as_safetensors, named("module.trunk.")),
    "_orig_mod.": (as_safetensors, named("_orig_mod.")),
    "half": (as_safetensors, lambda s: {k: v.double() if v.is_floating_point() else v for k, v in s.items()}),
}


@pytest.mark.parametrize("kind", SAVED)
def test_a_trunk_is_loaded_from_every_kind_of_file(tmp_path: Path, kind: str) -> None:
    writer, wrap = SAVED[kind]
    source, target = small(1), small(2)
    path = tmp_path / "weights.bin"
    writer(path, wrap(source.trunk.state_dict()))
    heads = copy.deepcopy(target.heads.state_dict())
    line = load_trunk(target, path)
    count = len(source.trunk.state_dict())
    assert line == f"{count} of {count} trunk tensors loaded from weights.bin"
    for key, value in source.trunk.state_dict().items():
        assert torch.equal(target.trunk.state_dict()[key], value), key
    assert all(torch.equal(value, heads[key]) for key, value in target.heads.state_dict().items())


def test_a_network_of_ours_is_a_source_too_and_its_heads_are_named_as_left_out(tmp_path: Path) -> None:
    source, target = small(1), small(2)
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    line = load_trunk(target, tmp_path / "w.safetensors")
    assert line.endswith("; left out: heads.a.bias, heads.a.weight, heads.b.bias, heads.b.weight")
    assert torch.equal(target.trunk.state_dict()["conv_stem.weight"], source.trunk.state_dict()["conv_stem.weight"])
    save_file(source.state_dict() | {"more": torch.zeros(1)}, tmp_path / "w.safetensors")
    assert load_trunk(target, tmp_path / "w.safetensors").endswith(" …")


def test_a_prefix_the_trunk_itself_has_stays(tmp_path: Path) -> None:
    inner = nn.Module()
    inner.trunk = nn.Linear(2, 2)
    network = Network(inner, 2, {"a": 2})
    save_file({"trunk.weight": torch.ones(2, 2), "trunk.bias": torch.ones(2)}, tmp_path / "w")
    load_trunk(network, tmp_path / "w")
    assert inner.trunk.weight.tolist() == [[1, 1], [1, 1]]


def test_tensors_that_do_not_fit_are_counted_and_named(tmp_path: Path) -> None:
    network = small()
    state = network.trunk.state_dict()
    del state["conv_stem.weight"]
    state["bn1.weight"] = torch.zeros(5)
    save_file(state, tmp_path / "w")
    before = copy.deepcopy(network.state_dict())
    with pytest.raises(WeightsError, match=rf"2 of the trunk's {len(before) - 4} tensors do not match") as caught:
        load_trunk(network, tmp_path / "w")
    width = tuple(before["trunk.bn1.weight"].shape)
    assert caught.value.offenders == ("conv_stem.weight is absent", f"bn1.weight has shape (5,), not {width}")
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_named(tmp_path: Path, value: float) -> None:
    state = small().trunk.state_dict()
    state["bn1.bias"] = state["bn1.bias"].clone().index_fill_(0, torch.tensor([1]), value)
    save_file(state, tmp_path / "w")
    with pytest.raises(WeightsError, match="NaN or infinity") as caught:
        load_trunk(small(), tmp_path / "w")
    assert caught.value.offenders == ("bn1.bias",)


class Command:
    """Something that makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def half_of(path: Path, data: bytes) -> None:
    path.write_bytes(data[: len(data) // 2])


def tensors_file(path: Path, *, torch_format: bool = False) -> bytes:
    state = {"a": torch.zeros(40, 40), "b": torch.ones(3)}
    torch.save(state, path) if torch_format else save_file(state, path)
    return path.read_bytes()


REFUSED: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "code, zip": (lambda p, s: torch.save({"a": Command(s)}, p), "not loaded for safety"),
    "code, bare pickle": (lambda p, s: p.write_bytes(pickle.dumps({"a": Command(s)})), "not loaded for safety"),
    "code below a state dict": (
        lambda p, s: torch.save({"state_dict": {"a": torch.zeros(1)}, "args": Command(s)}, p),
        "not loaded for safety",
    ),
    "plain pickle": (lambda p, s: p.write_bytes(pickle.dumps({"a": [1.0]})), "not loaded for safety"),
    "protocol 0": (lambda p, s: p.write_bytes(pickle.dumps(Command(s), protocol=0)), "not a weights file"),
    "half a safetensors": (lambda p, s: half_of(p, tensors_file(p)), "damaged"),
    "half a zip": (lambda p, s: half_of(p, tensors_file(p, torch_format=True)), "damaged"),
    "a broken header": (lambda p, s: p.write_bytes(b"\x40" + b"\0" * 7 + b"{" + b"x" * 80), "damaged"),
    "a number type of another world": (
        lambda p, s: p.write_bytes(tensors_file(p).replace(b'"F32"', b'"F99"')),
        "damaged",
    ),
    "empty": (lambda p, s: p.write_bytes(b""), "not a weights file"),
    "five bytes": (lambda p, s: p.write_bytes(b"12345"), "not a weights file"),
    "an LFS pointer": (
        lambda p, s: p.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
        "not a weights file",
    ),
    "HTML": (lambda p, s: p.write_text("<!DOCTYPE html><html>404</html>"), "not a weights file"),
    "a folder": (lambda p, s: p.mkdir(), "cannot read"),
    "nothing there": (lambda p, s: None, "cannot read"),
    "a list": (lambda p, s: torch.save([torch.zeros(1)], p), "no plain state dict"),
    "numbers": (lambda p, s: torch.save({"a": 1.0, "b": {"c": 2}}, p), "no plain state dict"),
    "a sparse tensor": (lambda p, s: torch.save({"a": torch.eye(2).to_sparse()}, p), "plain state dict|not loaded"),
    "a tensor without data": (lambda p, s: torch.save({"a": torch.zeros(2, device="meta")}, p), "no plain state dict"),
}


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_other_contents_are_refused_and_nothing_is_run(tmp_path: Path, kind: str, name: str) -> None:
    write, message = REFUSED[kind]
    path, sentinel = tmp_path / name, tmp_path / "owned"
    write(path, sentinel)
    with pytest.raises(WeightsError, match=message) as caught:
        read_tensors(path)
    assert not sentinel.exists()
    assert str(path) in str(caught.value.where)
    assert not re.search(r"\n.*\n", str(caught.value.got))


def test_the_trap_works() -> None:
    """A pickle of Command does what the test above watches for."""
    with pytest.raises(FileNotFoundError):
        pickle.loads(pickle.dumps(Command(Path("/no/such/parent/owned"))))


def test_a_name_no_file_can_have() -> None:
    with pytest.raises(WeightsError, match="cannot read"):
        read_tensors(Path("a\0b"))


def test_features_are_counted_once_per_backbone_and_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """A size that a backbone refuses is refused every time, and a built network is asked again for another size."""
    asked: list[tuple[str, tuple[int, int]]] = []
    real = building._feature_count

    def counted(backbone: Backbone, trunk: nn.Module, size: tuple[int, int]) -> int:
        asked.append((backbone.name, size))
        return real(backbone, trunk, size)

    monkeypatch.setattr(building, "_features", {})
    monkeypatch.setattr(building, "_feature_count", counted)
    sizes = [(32, 32), (32, 32), (48, 32)]
    widths = [build_network(Backbone("test_vit"), {"a": 2}, size=size).heads["a"].weight.shape for size in sizes]
    assert len(set(widths)) == 1
    assert asked == [("test_vit", (32, 32)), ("test_vit", (48, 32))]
    check_size(build_network(Backbone("test_convnext"), {"a": 2}, size=(32, 32)), Backbone("test_convnext"), (64, 64))
    assert asked[2:] == [("test_convnext", (32, 32)), ("test_convnext", (64, 64))]
    for _ in range(2):
        with pytest.raises(ConfigError, match="backbone"):
            build_network(Backbone("test_convnext"), {"a": 2}, size=(16, 16))
