"""The networks of a run, one per task where the heads are separate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from option_values import KEYS, leaf, refused

from maskcls.config import (
    load,
    members,
    to_yaml,
)
from maskcls.config.validation import MEMBER_SECTIONS, SHARED
from maskcls.labels import CONTEST


def test_joint_and_multi_are_one_network() -> None:
    for heads in ("joint", "multi"):
        cfg = load(None, [f"model.heads={heads}"])[0]
        assert members(cfg) == {"": cfg}


def test_separate_heads_are_one_single_task_network_a_task() -> None:
    cfg, _ = load(None, ["model.heads=separate", "folds.stratify=[gender]", "seed=7", "optim.lr=0.5"])
    found = members(cfg)
    assert list(found) == ["mask", "gender", "age"]
    for name, member in found.items():
        assert member.space == CONTEST.only([name])
        assert (member.model.heads, member.separate, member.seed, member.optim.lr) == ("multi", {}, 7, 0.5)
        assert members(member) == {"": member}


@pytest.mark.parametrize(
    "overrides",
    [
        ["separate.age.model.drop=0.5", "separate.age.optim.lr=9"],
        ["separate={age: {model: {drop: 0.5}, optim: {lr: 9}}}"],
        ["separate={age: {model.drop: 0.5, optim.lr: 9}}"],
        ["separate.age={model.drop: 0.5, optim: {lr: 9}, train: {}}"],
    ],
)
def test_a_member_takes_its_own_settings_dotted_or_nested(overrides: list[str]) -> None:
    cfg, _ = load(None, ["model.heads=separate", *overrides])
    found = members(cfg)
    assert (found["age"].model.drop, found["age"].optim.lr) == (0.5, 9)
    for name in ("mask", "gender"):
        assert (found[name].model, found[name].optim) == (
            found["age"].model.model_copy(update={"drop": 0.0}),
            cfg.optim,
        )


def test_every_section_a_member_may_set_can_be_set() -> None:
    one_each = {
        "model.backbone": "x",
        "heads.balance": 0.25,
        "transforms.hflip": 0.25,
        "loss.all": "focal",
        "age.spread": 0.25,
        "sampler.power": 0.25,
        "mix.prob": 0.25,
        "optim.lr": 0.25,
        "schedule.gamma": 0.25,
        "average.power": 0.25,
        "train.epochs": 25,
    }
    assert [key.partition(".")[0] for key in one_each] == list(MEMBER_SECTIONS)
    cfg, _ = load(None, ["model.heads=separate", *(f"separate.age.{key}={value}" for key, value in one_each.items())])
    assert {key: leaf(members(cfg)["age"], key) for key in one_each} == one_each


FORBIDDEN = sorted(key for key in KEYS if key.partition(".")[0] not in MEMBER_SECTIONS or key in SHARED)


@pytest.mark.parametrize("key", [*FORBIDDEN, "nonsense"])
def test_settings_that_all_members_share_cannot_be_set_for_one(key: str) -> None:
    error = refused("model.heads=separate", f"separate.age.{key}=1")
    assert error.where == f"command line: separate.age.{key}"
    assert "tasks share all others" in str(error.expected)


def test_the_shared_settings_are_all_there() -> None:
    assert len(FORBIDDEN) == 81
    assert {"folds.k", "model.heads", "data.format", "data.fixes", "seed", "tasks", "separate"} <= set(FORBIDDEN)


def test_faults_of_all_members_are_reported_with_their_keys(yaml_file: Callable[[str], Path]) -> None:
    path = yaml_file(
        "model: {heads: separate}\nseparate: {mask: {model.dropp: 1, data.format: csv}, age: {optim.lr: x}}"
    )
    error = refused("separate.gender.schedule.warmup_epochs=100", path=path)
    assert [line.partition(" expected")[0] for line in error.offenders] == [
        "separate.mask.data.format:",
        "command line: separate.gender:",
        "separate.age.optim.lr:",
    ]


def test_a_member_s_preset_stands_above_what_all_share(yaml_file: Callable[[str], Path]) -> None:
    given = ["model.heads=separate", "transforms.preset=faces", "transforms.crop=[0.9, 0.9]"]
    own = ["separate.age.transforms.preset=none", "separate.age.transforms.hflip=0.25"]
    cfg = load(None, [*given, *own])[0]
    found = members(cfg)
    assert (found["age"].transforms.cutout, found["age"].transforms.hflip) == (0, 0.25)
    assert found["age"].transforms.crop == (0.9, 0.9)
    assert found["mask"].transforms == found["gender"].transforms == cfg.transforms
    assert members(load(yaml_file(to_yaml(cfg)))[0]) == found
    assert "did you mean" in str(refused("model.heads=separate", "separate.age.transforms.preset=face").fix)
