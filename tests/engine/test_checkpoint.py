"""Weights and resume states on disk: what comes back is what was saved, or nothing comes back."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from edited import edit_json
from photos import LIVELY, wake
from torch import Tensor, nn

import maskcls
from maskcls.backbone import Backbone
from maskcls.engine.checkpoint import Blueprint, load_predictor, load_state, read_meta, save_state, save_weights
from maskcls.errors import ConfigError, ResultError, WeightsError
from maskcls.files import file_sha256, without_digest
from maskcls.labels import CONTEST, LabelSpace, Task
from maskcls.nn.heads import plain_heads
from maskcls.nn.network import Network
from maskcls.rundir import WeightsDir

HEADS = tuple(plain_heads("multi", CONTEST).values())
SPEC = replace(LIVELY, size=(32, 32), crop=(0.9, 0.8))
BLUEPRINT = Blueprint(Backbone("test_efficientnet"), HEADS, 0.25, CONTEST, SPEC)
SCORES = {"macro_f1": 0.5, "mask": 0.75}


def network(seed: int = 0, blueprint: Blueprint = BLUEPRINT) -> Network:
    torch.manual_seed(seed)
    return wake(blueprint.build())


def same(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> bool:
    """Say whether two sets of tensors agree in names, types, shapes and every bit."""
    return found.keys() == wanted.keys() and all(
        found[k].dtype == wanted[k].dtype and found[k].shape == wanted[k].shape and torch.equal(found[k], wanted[k])
        for k in wanted
    )


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_weights(WeightsDir(tmp_path / "best"), network().state_dict(), BLUEPRINT, epoch=3, scores=SCORES)
    return tmp_path / "best"


# --- weights


def test_what_is_loaded_is_what_was_saved(saved: Path) -> None:
    torch.manual_seed(99)
    predictor = load_predictor(WeightsDir(saved))
    assert same(predictor.network.state_dict(), network().state_dict())
    assert (predictor.space, predictor.spec) == (CONTEST, BLUEPRINT.spec)
    assert predictor.network.drop.p == 0.25
    assert not predictor.network.training
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        got, want = predictor.network(images), network().eval()(images)
    assert all(torch.equal(got[name], want[name]) for name in CONTEST.names)


def test_exactly_two_files_and_what_meta_says(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "best"
    digest = save_weights(WeightsDir(folder), network().state_dict(), BLUEPRINT, epoch=3, scores=SCORES)
    assert sorted(path.name for path in folder.iterdir()) == ["meta.json", "weights.safetensors"]
    assert digest == file_sha256(folder / "weights.safetensors")
    meta = json.loads((folder / "meta.json").read_text())
    assert without_digest(meta, folder, required=True) == {
        "schema": 3,
        "maskcls": maskcls.__version__,
        "epoch": 3,
        "scores": SCORES,
        "sha256": digest,
        "backbone": "test_efficientnet",
        "heads": json.loads(json.dumps([asdict(head) for head in HEADS])),
        "drop": 0.25,
        "labels": CONTEST.to_json(),
        "transforms": json.loads(json.dumps(asdict(BLUEPRINT.spec))),
    }


def test_saving_again_replaces(saved: Path) -> None:
    save_weights(WeightsDir(saved), network(1).state_dict(), BLUEPRINT, epoch=4, scores=SCORES)
    assert same(load_predictor(WeightsDir(saved)).network.state_dict(), network(1).state_dict())
    assert len(list(saved.iterdir())) == 2


def test_equal_tensors_make_equal_files(tmp_path: Path) -> None:
    hashes = {
        save_weights(WeightsDir(tmp_path / str(i)), network().state_dict(), BLUEPRINT, epoch=i, scores={})
        for i in range(2)
    }
    assert len(hashes) == 1


def test_the_memory_format_makes_no_difference(tmp_path: Path) -> None:
    wanted = network().state_dict()
    turned = network().to(memory_format=torch.channels_last).state_dict()
    assert not turned["trunk.conv_stem.weight"].is_contiguous()
    one = save_weights(WeightsDir(tmp_path / "one"), turned, BLUEPRINT, epoch=0, scores={})
    other = save_weights(WeightsDir(tmp_path / "other"), wanted, BLUEPRINT, epoch=0, scores={})
    assert one == other
    assert same(load_predictor(WeightsDir(tmp_path / "one")).network.state_dict(), wanted)


def test_tied_weights_are_saved_too(tmp_path: Path) -> None:
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    tied = nn.Sequential(first, second)
    save_state(tmp_path / "s", tied.state_dict(), {})
    assert same(load_state(tmp_path / "s")[0], dict(tied.state_dict()))


def test_options_of_the_backbone_survive_json(tmp_path: Path) -> None:
    options = {
        "depths": (1, 1, 1, 1),
        "act_layer": "gelu_tanh",
        "conv_bias": False,
        "norm_eps": 1e-5,
        "kernel_sizes": 5,
    }
    blueprint = replace(BLUEPRINT, backbone=Backbone("test_convnext", options))
    save_weights(WeightsDir(tmp_path), blueprint.build().state_dict(), blueprint, epoch=0, scores={}, soup=(0, 1))
    meta = read_meta(WeightsDir(tmp_path))
    assert (meta.blueprint, meta.soup) == (blueprint, (0, 1))
    assert [type(meta.options[name]) for name in options] == [tuple, str, bool, float, int]
    assert load_predictor(WeightsDir(tmp_path)).network.backbone == str(blueprint.backbone)


@pytest.mark.parametrize("crop", [(1.0, 1.0), (0.5, 0.25)])
@pytest.mark.parametrize("heads", ["multi", "joint"])
def test_a_blueprint_survives_json(crop: Any, heads: str, tmp_path: Path) -> None:
    space = LabelSpace((Task("age", ("young", "old"), (40,)), Task("hat", ("no", "yes"))))
    blueprint = Blueprint(
        Backbone("test_resnet"), tuple(plain_heads(heads, space).values()), 0.5, space, replace(LIVELY, crop=crop)
    )
    save_weights(WeightsDir(tmp_path), blueprint.build().state_dict(), blueprint, epoch=0, scores={})
    back = read_meta(WeightsDir(tmp_path)).blueprint
    assert back == blueprint
    assert back.space.fingerprint == space.fingerprint
    assert {name: head.out_features for name, head in back.build().heads.items()} == (
        {"age": 2, "hat": 2} if heads == "multi" else {"joint": 4}
    )


@pytest.mark.parametrize("heads", ["multi", "joint"])
def test_weights_of_the_first_schema_are_read(heads: str, saved: Path) -> None:
    """It named the kind of heads, which were softmaxes over the classes."""
    rewrite(saved, schema=1, heads=heads)
    assert read_meta(WeightsDir(saved)).blueprint.heads == tuple(plain_heads(heads, CONTEST).values())


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_weights_that_are_not_finite_are_not_written(tmp_path: Path, saved: Path, value: float) -> None:
    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    bad = network().state_dict()
    bad["heads.age.bias"][1] = value
    for folder in (saved, tmp_path / "fresh"):
        with pytest.raises(WeightsError, match="NaN or infinity") as caught:
            save_weights(WeightsDir(folder), bad, BLUEPRINT, epoch=0, scores={})
        assert caught.value.offenders == ("heads.age.bias",)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before
    assert not (tmp_path / "fresh").exists()


def test_any_flipped_byte_of_the_weights_is_noticed(saved: Path) -> None:
    path = saved / "weights.safetensors"
    data = path.read_bytes()
    positions = [*range(16), *range(16, len(data), len(data) // 40), len(data) - 1]
    assert len(positions) >= 50
    for position in positions:
        path.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
        with pytest.raises(WeightsError, match="differ from those that were saved"):
            load_predictor(WeightsDir(saved))
    for wrong in (b"", data[:-1], data + b"\0", data[: len(data) // 2]):
        path.write_bytes(wrong)
        with pytest.raises(WeightsError, match="differ from those that were saved"):
            load_predictor(WeightsDir(saved))
    path.write_bytes(data)
    load_predictor(WeightsDir(saved))


def test_missing_files_are_named(saved: Path) -> None:
    (saved / "weights.safetensors").unlink()
    with pytest.raises(WeightsError, match="cannot read") as caught:
        load_predictor(WeightsDir(saved))
    assert caught.value.where == str(saved / "weights.safetensors")
    (saved / "meta.json").unlink()
    with pytest.raises(ResultError, match="missing") as missing:
        load_predictor(WeightsDir(saved))
    assert missing.value.where == str(saved / "meta.json")


def rewrite(saved: Path, **changes: Any) -> None:
    gone = tuple(key for key, value in changes.items() if value is None)
    edit_json(saved / "meta.json", {key: value for key, value in changes.items() if value is not None}, without=gone)


def test_weights_of_a_newer_version_are_refused(saved: Path) -> None:
    rewrite(saved, schema=4, maskcls="9.9")
    with pytest.raises(WeightsError, match="newer") as caught:
        load_predictor(WeightsDir(saved))
    assert caught.value.got == "maskcls 9.9"


@pytest.mark.parametrize("key", ["schema", "sha256", "backbone", "heads", "drop", "labels", "transforms"])
def test_a_meta_without_one_of_its_keys_is_refused(saved: Path, key: str) -> None:
    rewrite(saved, **{key: None})
    with pytest.raises(WeightsError, match=r"not a meta\.json of maskcls") as caught:
        load_predictor(WeightsDir(saved))
    assert key in str(caught.value.got)


@pytest.mark.parametrize("text", ["[]", "3", '{"schema": "x"}', '{"schema": 1, "labels": 5}'])
def test_json_that_is_no_meta_is_refused(saved: Path, text: str) -> None:
    (saved / "meta.json").write_text(text)
    with pytest.raises(WeightsError, match=r"not a meta\.json of maskcls"):
        load_predictor(WeightsDir(saved))


def head(**changes: Any) -> list[dict[str, Any]]:
    return [asdict(HEADS[0]) | changes, *(asdict(other) for other in HEADS[1:])]


@pytest.mark.parametrize(
    ("change", "got"),
    [
        ({"heads": head(classes=-1)}, "a head has no classes"),
        ({"heads": head(reading="other")}, "reading"),
        ({"heads": head(classes="3")}, "classes"),
        ({"heads": head(colour=1)}, "colour"),
        ({"drop": 5}, "drop"),
        ({"labels": []}, "labels"),
        ({"labels": 5}, "labels"),
        ({"transforms": {}}, "transforms"),
        ({"epoch": "last"}, "epoch"),
        ({"later": 1}, "later"),
    ],
)
def test_a_meta_with_a_value_of_another_form_is_refused(saved: Path, change: dict[str, Any], got: str) -> None:
    rewrite(saved, **change)
    with pytest.raises(WeightsError, match=r"not a meta\.json of maskcls") as caught:
        load_predictor(WeightsDir(saved))
    assert got in str(caught.value.got)
    assert caught.value.fix


def test_a_network_that_cannot_be_built_is_refused(saved: Path) -> None:
    rewrite(saved, heads=head(classes=10**13))
    with pytest.raises(WeightsError, match="cannot be built") as caught:
        load_predictor(WeightsDir(saved))
    assert caught.value.where == str(saved / "meta.json")


@pytest.mark.parametrize(("key", "value"), [("backbone", "test_resnet"), ("heads", "joint")])
def test_weights_of_another_network_are_refused(saved: Path, key: str, value: str) -> None:
    rewrite(saved, **{key: value})
    with pytest.raises(WeightsError, match="do not fit"):
        load_predictor(WeightsDir(saved))


def test_a_backbone_this_timm_does_not_have_is_named(saved: Path) -> None:
    rewrite(saved, backbone="test_efficientnett")
    with pytest.raises(ConfigError, match="no backbone"):
        load_predictor(WeightsDir(saved))


# --- the resume state

STATE = {
    "network/a": torch.arange(6, dtype=torch.float32).reshape(2, 3),
    "network/count": torch.tensor(7),
    "optimizer/0/flags": torch.tensor([True, False]),
    "ema/half": torch.tensor([0.5, -2.0], dtype=torch.bfloat16),
    "none": torch.zeros(0, 4),
}
PROGRESS = {"epoch": 3, "best_score": -math.inf, "history": [{"loss": 0.1}], "name": "한"}


def test_a_state_comes_back_whole(tmp_path: Path) -> None:
    save_state(tmp_path / "resume" / "s.safetensors", STATE, PROGRESS)
    tensors, progress = load_state(tmp_path / "resume" / "s.safetensors")
    assert same(tensors, STATE)
    assert progress == PROGRESS
    assert [path.name for path in (tmp_path / "resume").iterdir()] == ["s.safetensors"]


def test_a_turned_tensor_comes_back_with_its_values(tmp_path: Path) -> None:
    turned = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    save_state(tmp_path / "s", {"a": turned, "b": turned.transpose(0, 1)}, {})
    tensors, _ = load_state(tmp_path / "s")
    assert same(tensors, {"a": turned, "b": turned.transpose(0, 1)})


@pytest.mark.parametrize("mask", [1, 0x20])
def test_any_flipped_byte_of_a_state_is_noticed_or_harmless(tmp_path: Path, mask: int) -> None:
    path = tmp_path / "s"
    save_state(path, STATE, PROGRESS)
    data = path.read_bytes()
    refused = 0
    for position in range(len(data)):
        path.write_bytes(data[:position] + bytes([data[position] ^ mask]) + data[position + 1 :])
        try:
            tensors, progress = load_state(path)
        except WeightsError:
            refused += 1
        else:
            assert same(tensors, STATE), position
            assert progress == PROGRESS, position
    assert refused >= len(data) - 8  # only the spaces that fill up the header may change


def test_bytes_read_as_other_numbers_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    save_state(path, {"a": torch.ones(2, 3)}, {})
    data = path.read_bytes()
    for old, new in ((b'"F32"', b'"I32"'), (b"[2,3]", b"[3,2]"), (b'"a"', b'"b"')):
        assert data.count(old) == 1
        path.write_bytes(data.replace(old, new))
        with pytest.raises(WeightsError, match="differs from the one that was saved"):
            load_state(path)


@pytest.mark.parametrize("keep", [0, 1, 8, 9, 100, -1])
def test_a_cut_state_is_refused_with_a_way_out(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "s"
    save_state(path, STATE, PROGRESS)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(WeightsError, match="damaged") as caught:
        load_state(path)
    assert "delete this file" in str(caught.value.fix)


def test_a_missing_state_and_a_strange_one_are_refused(tmp_path: Path, saved: Path) -> None:
    with pytest.raises(WeightsError, match="cannot read"):
        load_state(tmp_path / "nothing")
    with pytest.raises(WeightsError, match="damaged"):
        load_state(saved / "weights.safetensors")
