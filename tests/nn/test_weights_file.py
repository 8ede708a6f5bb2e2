"""Weights of other programs: bombs, other contents, and the prefixes that wrappers write before the keys."""

import io
import itertools
import os
import shlex
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from project import PROJECT_DIR
from safetensors.torch import save, save_file
from torch import Tensor, nn

from maskcls.errors import WeightsError
from maskcls.nn.key_prefixes import WRAPPERS
from maskcls.nn.network import Network, load_trunk
from maskcls.nn.weights_file import HEADER_BYTES, NESTED, read_tensors


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
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "56 bytes; a Git LFS pointer"),
        (b"hello weights", "13 bytes; begins with b'hello we'"),
    ],
)
def test_what_is_no_weights_file_is_said_in_plain_words(tmp_path: Path, data: bytes, got: str) -> None:
    (tmp_path / "w").write_bytes(data)
    assert refused(tmp_path / "w").got == got


# --- prefixes


def small() -> Network:
    """Return a network whose trunk has the keys stem.weight (2, 2) and stem.bias (2,)."""
    trunk = nn.Module()
    trunk.stem = nn.Linear(2, 2)
    return Network(trunk, 2, {"a": 2})


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
    assert caught.value.got == "keys below 'student.' and below 'teacher.'"


def test_the_refusal_shows_keys_of_both(tmp_path: Path) -> None:
    save_file({f"layer{i}.conv": torch.zeros(1) for i in range(6)}, tmp_path / "w")
    with pytest.raises(WeightsError, match="2 of the trunk's 2 tensors do not match") as caught:
        load_trunk(small(), tmp_path / "w")
    assert caught.value.got == "keys of the file: layer0.conv, layer1.conv, layer2.conv, layer3.conv …"
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
    ],
    ids=["optimizer", "stack", "two levels", "twice the same", "a number beside"],
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
    assert caught.value.got == f"keys below '{names[0]}.' and below '{names[1]}.'"
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
