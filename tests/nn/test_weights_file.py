"""Weights of other programs: bombs, other contents, and the prefixes that wrappers write before the keys."""

import argparse
import io
import itertools
import os
import shlex
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from project import PROJECT_DIR
from safetensors.torch import save, save_file
from torch import Tensor, nn

from maskcls.errors import WeightsError
from maskcls.nn.network import Network, build_network, load_trunk
from maskcls.nn.weights.key_prefixes import WRAPPERS
from maskcls.nn.weights.trunk_weights import OTHER_BACKBONE
from maskcls.nn.weights.weights_file import HEADER_BYTES, NESTED, read_tensors
from maskcls.rundir import RunDir


def refused(path: Path, **options: Any) -> WeightsError:
    with pytest.raises(WeightsError) as caught:
        read_tensors(path, **options)
    return caught.value


class Command:
    """Something that runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("owned",)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_refused_pickle_says_what_it_asks_for_and_no_unsafe_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool
) -> None:
    """torch itself advises to load the file again in its unsafe way, which would run it."""
    monkeypatch.chdir(tmp_path)
    torch.save({"a": Command()}, "w.pt", _use_new_zipfile_serialization=zipped)
    error = refused(Path("w.pt"))
    assert error.got == f"the file asks for {os.mkdir.__module__}.mkdir"
    assert "not loaded for safety" in error.what
    assert "save_file(model.state_dict()" in str(error.fix)
    assert "weights_only" not in str(error)
    assert not Path("owned").exists()


def deflated(tensors: dict[str, Tensor], path: Path) -> None:
    """Write torch's archive, with compressed entries."""
    torch.save(tensors, buffer := io.BytesIO())
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))


def test_a_small_file_of_large_tensors_is_refused_before_they_are_made(tmp_path: Path) -> None:
    deflated({"a": torch.zeros(1 << 23)}, tmp_path / "w.pt")
    assert (tmp_path / "w.pt").stat().st_size < 1 << 16
    tracemalloc.start()
    error = refused(tmp_path / "w.pt")
    assert tracemalloc.get_traced_memory()[1] < 1 << 22
    tracemalloc.stop()
    assert "compressed" in error.what
    assert str(error.got).startswith("entries of 32 MiB in a file of ")


@pytest.mark.parametrize("length", [1 << 60, HEADER_BYTES + 1])
def test_a_header_that_says_it_is_huge_is_refused(tmp_path: Path, length: int) -> None:
    (tmp_path / "w").write_bytes(length.to_bytes(8, "little") + b"{" + b" " * 100)
    assert "a header of" in str(refused(tmp_path / "w").got)


def test_a_file_that_was_cut_says_how_long_it_should_be(tmp_path: Path) -> None:
    data = save({"a": torch.zeros(100)})
    (tmp_path / "w").write_bytes(data[:-60])
    assert refused(tmp_path / "w").expected == f"{len(data)} bytes; the file has {len(data) - 60}"


def test_a_file_too_large_for_the_network_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "w").open("wb") as file:
        file.truncate((1 << 30) + 16 * 24 + 1)  # a trunk of 6 numbers
    with pytest.raises(WeightsError, match="cannot read the weights") as caught:
        load_trunk(small(), tmp_path / "w")
    assert str(caught.value.got).startswith("too large")


@pytest.mark.parametrize(
    ("data", "got"),
    [
        (b"", "an empty file (0 bytes)"),
        (b"<!DOCTYPE html><html>404</html>", "31 bytes; an HTML page, probably a failed download"),
        (b"\n<?xml version='1.0'?><Error/>", "30 bytes; an XML page, probably the refusal of a download"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "56 bytes; a Git LFS pointer"),
        (b"hello weights\nagain", "19 bytes; text that begins with 'hello weights'"),
        (b"lr: 0.1\xff", "8 bytes; begins with b'lr: 0.1\\xff'"),
        (b'{"weight_map": {}}', "18 bytes; JSON, the index of weights in several files"),
        (b'{"format": "graph-model", "modelTopology": {}}', "46 bytes; a model of TensorFlow.js"),
        (b'{"lr": 0.1', "10 bytes; JSON"),
        (bytes(16), "16 bytes; begins with zeros, as a download leaves that was not finished"),
        (b"\x89HDF\r\n\x1a\n", "8 bytes; an HDF5 file, such as weights of Keras"),
        (b"\x08\x08\x12\x07pytorch", "11 bytes; an ONNX file"),
        (b"\x08\x01\x12\xd3\x05\n", "6 bytes; a SavedModel of TensorFlow"),
        (b"\x1c\0\0\0TFL3", "8 bytes; a model of TensorFlow Lite"),
        (b"\x1f\x8b\x08", "3 bytes; compressed by gzip"),
        (b"\x93NUMPY\x01", "7 bytes; an array of NumPy"),
        (b"\xff\xd8\xff\xe0", "4 bytes; a photo (JPEG)"),
        (b"a" * 257 + b"ustar", "262 bytes; a tar archive"),
    ],
)
def test_what_is_no_weights_file_is_said_in_plain_words(tmp_path: Path, data: bytes, got: str) -> None:
    (tmp_path / "w").write_bytes(data)
    error = refused(tmp_path / "w")
    assert (error.got, error.what) == (got, "this is not a weights file")
    assert ("git lfs pull" in str(error.fix)) == ("LFS" in got)  # the advice is for this kind alone
    assert ("join the parts" in str(error.fix)) == ("index" in got)


def test_a_part_of_a_model_of_tensorflow_is_known_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "group1-shard1of2.bin").write_bytes(b"\x91\x02\x03\xff" * 9)
    assert refused(tmp_path / "group1-shard1of2.bin").got == "36 bytes; a part of a TensorFlow.js model"


@pytest.mark.parametrize(
    ("names", "got", "fix"),
    [
        (["a/data.pkl", "a/code/b.py"], "a TorchScript program", "fold0/best"),
        (["a/archive_format", "a/models/model.json"], "a program of torch.export", "fold0/best"),
        (["metadata.json", "model.weights.h5"], "weights of Keras", "for this backbone"),
        (["stem.npy", "head.npy"], "arrays of NumPy", "for this backbone"),
        (["w.pth"], "a zip archive with w.pth", "unpack it"),
        ([*"abcd"], "a zip archive with a, b, c …", "unpack it"),
    ],
)
def test_a_zip_archive_of_another_kind_is_named(tmp_path: Path, names: list[str], got: str, fix: str) -> None:
    with zipfile.ZipFile(tmp_path / "w.pt", "w") as archive:
        for name in names:
            archive.writestr(name, b"1")
    error = refused(tmp_path / "w.pt")
    assert (error.what, error.got) == ("this is not a weights file", got)
    assert fix in str(error.fix)


def test_a_zip_archive_and_a_header_that_were_cut_are_said_to_be(tmp_path: Path) -> None:
    torch.save(PARTS, tmp_path / "w.pt")
    (tmp_path / "w.pt").write_bytes((tmp_path / "w.pt").read_bytes()[:1000])
    assert refused(tmp_path / "w.pt").got == "the first part of a zip archive: 1000 bytes, its end is missing"
    (tmp_path / "w").write_bytes(save(PARTS)[:40])
    assert refused(tmp_path / "w").got == "40 bytes in all"
    assert "of header before the tensors" in str(refused(tmp_path / "w").expected)


def test_a_folder_and_a_file_beside_weights_name_a_file_to_give(tmp_path: Path) -> None:
    assert refused(tmp_path).fix == "check the path"
    (tmp_path / "config.json").write_text("{}")
    assert "for this backbone" in str(refused(tmp_path / "config.json").fix)
    save_file(PARTS, tmp_path / "model.safetensors")
    for path in (tmp_path, tmp_path / "config.json"):
        assert str(refused(path).fix).endswith(f"such as {tmp_path / 'model.safetensors'}")
    run = RunDir(tmp_path)
    best = run.fold(1).best.tensors
    best.parent.mkdir(parents=True)
    best.touch()
    assert str(refused(run.fold(1).path).fix).endswith(f"such as {best}")
    run.env.write_text("{}")
    run.config.write_text("seed: 0\n")
    for path in (tmp_path, run.config, run.env):
        assert str(refused(path).fix).endswith(f"such as {best}")


# --- prefixes


def small() -> Network:
    """Return a network whose trunk has the keys stem.weight (2, 2) and stem.bias (2,)."""
    trunk = nn.Module()
    trunk.stem = nn.Linear(2, 2)
    return Network(trunk, 2, {"a": 2})


def chain(layers: int, *, block: bool = False) -> Network:
    """Return a network of layers 0.weight (2, 2), 0.bias (2,), 1.weight …; in blocks: layer.0.conv.weight …"""
    parts = [nn.Linear(2, 2) for _ in range(layers)]
    if not block:
        return Network(nn.Sequential(*parts), 2, {"a": 2})
    trunk = nn.Module()
    trunk.layer = nn.ModuleList(nn.ModuleDict({"conv": part}) for part in parts)
    return Network(trunk, 2, {"a": 2})


def fixes(network: Network, path: Path) -> str:
    """Return the advice of the refusal of a file."""
    with pytest.raises(WeightsError) as caught:
        load_trunk(network, path)
    return str(caught.value.fix)


def saved(path: Path, *prefixes: str, **more: Tensor) -> Path:
    """Write ones for the trunk's keys below each prefix."""
    keys = ("stem.weight", torch.ones(2, 2)), ("stem.bias", torch.ones(2))
    save_file({prefix + key: value.clone() for prefix in prefixes for key, value in keys} | more, path)
    return path


WORDS = ("_orig_mod.", "module.", "model.", "backbone.", "encoder.")
STACKS = ["".join(words) for count in range(4) for words in itertools.permutations(WORDS, count)]


def test_any_stack_of_prefixes_is_removed(tmp_path: Path) -> None:
    assert len(STACKS) == 1 + 5 + 20 + 60
    for stack in STACKS:
        network = small()
        line = load_trunk(network, saved(tmp_path / "w", stack, **{"head.weight": torch.zeros(3)}))
        assert line == "2 of 2 trunk tensors loaded from w; left out: head.weight", stack
        assert network.trunk.state_dict()["stem.weight"].tolist() == [[1, 1], [1, 1]]


def test_names_of_wrappers_within_a_key_are_removed(tmp_path: Path) -> None:
    """`torch.compile` of a part, and checkpointing, write names in the middle."""
    save_file(
        {"model.stem._orig_mod.weight": torch.ones(2, 2), "model.stem._orig_mod.bias": torch.ones(2)}, tmp_path / "w"
    )
    load_trunk(small(), tmp_path / "w")


def test_two_networks_in_one_file_are_not_chosen_between(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="several networks") as caught:
        load_trunk(small(), saved(tmp_path / "w", "student.", "teacher."))
    assert caught.value.got == "keys below 'student.' (2 of 2) and below 'teacher.' (2 of 2)"


def test_a_network_of_which_one_tensor_is_lost_is_one_of_several_too(tmp_path: Path) -> None:
    """Which of the two is meant is not decided by damage; the whole one alone can be saved."""
    network, path = chain(4), tmp_path / "w"
    state = network.trunk.state_dict()
    two = {f"{name}.{key}": value.clone() for name in ("ema", "model") for key, value in state.items()}
    del two["ema.0.bias"]
    save_file(two, path)
    with pytest.raises(WeightsError, match="several networks") as caught:
        load_trunk(network, path)
    assert caught.value.got == "keys below 'model.' (8 of 8) and below 'ema.' (7 of 8)"
    assert "such as that below 'model.': " in str(caught.value.fix)
    del two["model.1.bias"]
    save_file(two, path)
    with pytest.raises(WeightsError, match="1 of the trunk's 8 tensors do not match") as caught:
        load_trunk(network, path)
    assert str(caught.value.got).startswith("7 match below 'ema.'; keys of the file: ema.0.weight, ")
    few = {key: value for key, value in two.items() if key.startswith("model.") or key == "ema.1.weight"}
    save_file(few | {"model.1.bias": state["1.bias"]}, path)
    assert load_trunk(network, path).startswith("8 of 8")


def test_a_network_of_another_kind_or_width_is_not_several(tmp_path: Path) -> None:
    """A few of its tensors have the names and shapes of the trunk's, below the name of each block."""
    network, path = chain(4), tmp_path / "w"
    blocks = {f"blocks.{i}.0.weight": torch.zeros(2, 2) for i in range(3)}
    save_file(blocks, path)
    with pytest.raises(WeightsError, match="7 of the trunk's 8 tensors do not match") as caught:
        load_trunk(network, path)
    assert str(caught.value.got).startswith("1 match below 'blocks.0.'; keys of the file: blocks.0.0.weight, ")
    wide = {f"{name}.{key}": torch.zeros(3) for name in ("a", "b") for key in network.trunk.state_dict()}
    save_file(wide, path)
    with pytest.raises(WeightsError, match="8 of the trunk's 8 tensors do not match") as caught:
        load_trunk(network, path)
    assert caught.value.offenders[0] == "0.weight has shape (3,), not (2, 2)"


def test_weights_of_a_backbone_of_timm_name_it(tmp_path: Path) -> None:
    """The mobilenetv4 has tensors such as bn1.weight of 32 numbers below many names, and test_resnet some of them."""
    network = build_network("test_resnet", {"a": 2}, size=(32, 32))
    torch.save(timm.create_model("mobilenetv4_conv_small").state_dict(), tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="85 of the trunk's 90 tensors do not match") as caught:
        load_trunk(network, tmp_path / "w.pth")
    assert str(caught.value.got).startswith("5 match; ")
    assert "model.backbone=mobilenetv4_conv_small: " in str(caught.value.fix)
    state = {f"model.{key}": value for key, value in timm.create_model("test_efficientnet").state_dict().items()}
    save_file(state, tmp_path / "w.safetensors")
    assert fixes(network, tmp_path / "w.safetensors") == OTHER_BACKBONE
    (tmp_path / "config.json").write_text('{"architecture": "test_efficientnet"}')
    assert "model.backbone=test_efficientnet: " in fixes(network, tmp_path / "w.safetensors")
    for about in ("{", "[]", '{"architecture": 1}', '{"architecture": "no"}'):
        (tmp_path / "config.json").write_text(about)
        assert fixes(network, tmp_path / "w.safetensors") == OTHER_BACKBONE
    save_file(state, named := tmp_path / "test_efficientnet.r160_in1k.safetensors")
    assert "model.backbone=test_efficientnet: " in fixes(network, named)
    save_file({key: value for key, value in state.items() if "conv_stem" not in key}, named)
    assert fixes(network, named) == OTHER_BACKBONE  # only what fits to the last tensor is named


def test_weights_for_images_of_another_size_are_said_to_be(tmp_path: Path) -> None:
    network = build_network("test_vit", {"a": 2}, size=(32, 32))
    save_file(timm.create_model("test_vit", img_size=64).state_dict(), tmp_path / "w")
    with pytest.raises(WeightsError, match="1 of the trunk's") as caught:
        load_trunk(network, tmp_path / "w")
    assert caught.value.offenders[0].startswith("pos_embed has shape ")
    assert str(caught.value.fix).startswith("the weights are for images of another size: set transforms.size")


def test_a_deeper_network_is_not_cut(tmp_path: Path) -> None:
    network, path = chain(1, block=True), tmp_path / "w"
    save_file(chain(3, block=True).trunk.state_dict(), path)
    with pytest.raises(WeightsError, match="a deeper network") as caught:
        load_trunk(network, path)
    assert list(caught.value.offenders) == ["layer.1 is not in the backbone", "layer.2 is not in the backbone"]
    more = {"ema.layer.1.conv.weight": torch.zeros(1), "layer.1.other.weight": torch.zeros(1)}
    save_file(network.trunk.state_dict() | more, path)
    assert load_trunk(network, path).startswith("2 of 2")


def test_an_optimizer_and_an_adapter_are_no_network(tmp_path: Path) -> None:
    torch.save({"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 0.1}]}, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match="the state of an optimizer, and no network") as caught:
        load_trunk(small(), tmp_path / "w.pt")
    assert "was saved beside it" in str(caught.value.fix)
    save_file({"base_model.stem.lora_A.weight": torch.zeros(2)}, tmp_path / "w")
    assert "merge the adapter" in fixes(small(), tmp_path / "w")


def test_the_command_that_saves_one_network_removes_wrappers_and_replaces_nothing(tmp_path: Path) -> None:
    path = saved(tmp_path / "w", "module.student.", "module.teacher.")
    with pytest.raises(WeightsError, match="several networks") as caught:
        load_trunk(small(), path)
    code = shlex.split(str(caught.value.fix).partition(": ")[2])[2]
    exec(code, {})
    assert load_trunk(small(), tmp_path / "w_student.pt").startswith("2 of 2")
    with pytest.raises(FileExistsError):
        exec(code, {})


def test_the_refusal_shows_keys_of_both(tmp_path: Path) -> None:
    save_file({f"layer{i}.conv": torch.zeros(1) for i in range(6)}, tmp_path / "w")
    with pytest.raises(WeightsError, match="2 of the trunk's 2 tensors do not match") as caught:
        load_trunk(small(), tmp_path / "w")
    assert caught.value.got == "0 match; keys of the file: layer0.conv, layer1.conv, layer2.conv, layer3.conv …"
    assert str(caught.value.expected).startswith("keys of the trunk: stem.weight, stem.bias; ")


# --- checkpoints

PARTS = {"stem.weight": torch.ones(2, 2), "stem.bias": torch.ones(2)}


@pytest.mark.parametrize(
    "checkpoint",
    [
        {"model_state_dict": PARTS, "optimizer_state_dict": {"state": {0: {"exp_avg": torch.zeros(2)}}}, "epoch": 3},
        {"net": {f"module._orig_mod.{key}": value for key, value in PARTS.items()}, "accuracy": 91.5},
        {"model": {"state_dict": {f"backbone.{key}": value for key, value in PARTS.items()}}},
        {"model": PARTS, "state_dict": PARTS},
        {**PARTS, "epoch": 3},
        {"state_dict": PARTS, "args": argparse.Namespace(lr=0.1, model="resnet18"), "epoch": 3},
    ],
    ids=["optimizer", "stack", "two levels", "twice the same", "a number beside", "options of a script"],
)
def test_a_state_dict_is_found_below_any_name(tmp_path: Path, checkpoint: dict[str, Any]) -> None:
    torch.save(checkpoint, tmp_path / "w.pt")
    network = small()
    assert load_trunk(network, tmp_path / "w.pt").startswith("2 of 2 trunk tensors loaded")
    assert network.trunk.state_dict()["stem.weight"].tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize("names", [("state_dict", "state_dict_ema"), ("student", "teacher")])
def test_a_checkpoint_of_two_networks_is_not_chosen_from(tmp_path: Path, names: tuple[str, str]) -> None:
    """With an average of the weights beside them, either could be meant."""
    torch.save({name: {key: value + i for key, value in PARTS.items()} for i, name in enumerate(names)}, tmp_path / "w")
    with pytest.raises(WeightsError, match="several networks") as caught:
        load_trunk(small(), tmp_path / "w")
    assert caught.value.got == f"keys below '{names[0]}.' (2 of 2) and below '{names[1]}.' (2 of 2)"
    command = shlex.split(str(caught.value.fix).partition(f"such as that below '{names[0]}.': ")[2])
    assert command[:2] == ["python", "-c"]
    exec(command[2], {})  # the advice, as it is copied
    network = small()
    load_trunk(network, tmp_path / f"w_{names[0]}.pt")
    assert network.trunk.state_dict()["stem.weight"].tolist() == [[1, 1], [1, 1]]


def test_the_page_names_what_wrappers_put_before_keys() -> None:
    page = (PROJECT_DIR / "docs/methods.md").read_text().partition("## Starting weights")[2].partition("\n## ")[0]
    assert {name for name in WRAPPERS if f"`{name}.`" not in page} == set()
    assert len(WRAPPERS) == 4
    assert f"at most {NESTED} names" in page


def test_a_checkpoint_that_holds_itself_is_read_once(tmp_path: Path) -> None:
    entries: dict[str, Any] = {}
    entries |= {f"again{i}": entries for i in range(100)}
    torch.save(entries, tmp_path / "w.pt")
    assert "no plain state dict" in refused(tmp_path / "w.pt").what


def test_weights_in_several_files_are_to_be_joined(tmp_path: Path) -> None:
    """Neither is the file to be downloaded again, nor is it another backbone's."""
    index, part = tmp_path / "model.safetensors.index.json", tmp_path / "model-00001-of-00002.safetensors"
    index.write_text('{"metadata": {}, "weight_map": {}}')
    save_file({"stem.weight": torch.ones(2, 2)}, part)
    assert "join the parts in one file" in str(refused(index).fix)
    with pytest.raises(WeightsError, match="1 of the trunk's 2 tensors do not match") as caught:
        load_trunk(small(), part)
    assert "join the parts in one file" in str(caught.value.fix)
