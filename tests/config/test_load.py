"""Where values come from: defaults, files and the command line, and which of them wins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from option_values import KEYS, TASK, refused

from maskcls.config import (
    load,
    members,
    to_yaml,
)


def test_numbers_with_an_exponent_are_numbers_from_both_sides(yaml_file: Callable[[str], Path]) -> None:
    assert load(yaml_file("optim: {lr: 1e-3}"))[0].optim.lr == 0.001
    assert load(None, ["optim.lr=1e-3"])[0].optim.lr == 0.001


def test_origins_name_the_last_source_of_each_leaf(yaml_file: Callable[[str], Path]) -> None:
    path = yaml_file(
        "seed: 0\noptim: {lr: 1e-3, betas: [0.8, 0.9]}\nmodel: {heads: separate}\n"
        "separate: {age: {model.drop: 0.1, optim: {lr: 1e-5}}, mask: {train.epochs: 3}}"
    )
    cfg, origins = load(path, ["optim.lr=2", "separate.age.optim.lr=3", "folds={k: 2}"])
    theirs = {key: origin for key, origin in origins.items() if origin != "default"}
    assert theirs == {
        "seed": "exp.yaml",  # given, though equal to the default
        "optim.lr": "command line",
        "optim.betas": "exp.yaml",
        "folds.k": "command line",
        "model.heads": "exp.yaml",
        "separate.age.model.drop": "exp.yaml",
        "separate.age.optim.lr": "command line",
        "separate.mask.train.epochs": "exp.yaml",
    }
    assert (cfg.optim.lr, cfg.separate["age"]["optim"]["lr"], cfg.folds.k) == (2, 3, 2)


def test_a_section_is_merged_and_the_later_override_wins(yaml_file: Callable[[str], Path]) -> None:
    path = yaml_file("optim: {lr: 0.5, weight_decay: 0.25}")
    cfg, origins = load(path, ["optim={lr: 1e-3}", "optim={}", "optim.layer_decay=1", "optim={layer_decay: 0.5}"])
    assert (cfg.optim.lr, cfg.optim.weight_decay, cfg.optim.layer_decay) == (0.001, 0.25, 0.5)
    assert [origins[f"optim.{k}"] for k in ("lr", "weight_decay", "layer_decay")] == [
        "command line",
        "exp.yaml",
        "command line",
    ]


def test_lists_are_replaced_whole() -> None:
    assert load(None, ["optim.betas=[0.1, 0.2]"])[0].optim.betas == (0.1, 0.2)
    assert load(None, [f"tasks=[{TASK}]"])[0].space.names == ("t",)


def test_dotted_keys_mean_the_same_in_a_file(yaml_file: Callable[[str], Path]) -> None:
    assert load(yaml_file("optim.lr: 3\noptim: {betas: [0, 0]}"))[0].optim.lr == 3


def test_the_command_line_wins_over_a_dotted_key_wherever_it_stands(yaml_file: Callable[[str], Path]) -> None:
    # The nested section comes first here, the dotted key second: the override must not depend on that.
    path = yaml_file("model: {heads: separate}\nseparate: {age: {model: {drop_path: 0.1}, model.drop: 0.2}}")
    cfg, _ = load(path, ["separate.age.model.drop=0.3"])
    assert members(cfg)["age"].model.drop == 0.3
    assert members(cfg)["age"].model.drop_path == 0.1


@pytest.mark.parametrize(
    ("key", "value", "rest"),
    [
        ("model.options", "{pad_type: same}", []),
        ("mix.partner_classes", "{age: ['>=60']}", ["mix.kind=halves"]),
        ("balance.weights", "{age: 2}", []),
        ("separate", "{age: {optim: {lr: 9}}}", ["model.heads=separate"]),
    ],
)
def test_a_section_of_any_names_can_be_emptied(tmp_path: Path, key: str, value: str, rest: list[str]) -> None:
    """An override stands above what a file says, also where it says nothing any more."""
    before = load(None, [*rest, f"{key}={value}"])[0]
    (tmp_path / "a.yaml").write_text(to_yaml(before))
    assert load(tmp_path / "a.yaml")[0] == before
    assert load(tmp_path / "a.yaml", [f"{key}={{}}"])[0] == load(None, rest)[0] != before


def test_a_preset_is_the_origin_of_its_settings(yaml_file: Callable[[str], Path]) -> None:
    path = yaml_file("transforms: {preset: faces, cutout: 0.25}")
    origins = load(path, ["transforms.hflip=0"])[1]
    assert origins["transforms.brightness"] == origins["transforms.randaugment"] == "preset faces"
    assert (origins["transforms.cutout"], origins["transforms.hflip"]) == ("exp.yaml", "command line")
    assert origins["transforms.size"] == "default"
    assert set(origins) == KEYS


def test_a_preset_of_the_command_line_stands_above_the_file(yaml_file: Callable[[str], Path]) -> None:
    path = yaml_file("transforms: {cutout: 0.25, crop: [0.9, 0.9], size: [64, 48]}")
    for words in (["transforms.preset=light"], ["transforms={preset: light}"]):
        cfg, origins = load(path, [*words, "transforms.hflip=0"])
        assert (cfg.transforms.cutout, cfg.transforms.hflip, cfg.transforms.crop) == (0, 0, (0.9, 0.9))
        assert origins["transforms.cutout"] == "preset light"
        assert (origins["transforms.hflip"], origins["transforms.crop"]) == ("command line", "exp.yaml")
    both = load(path, ["transforms.hflip=0", "transforms.preset=light"])[0]
    assert both.transforms.hflip == 0  # what stands beside a preset wins, before it or after
    assert "did you mean" in str(refused("transforms.preset=lite", path=path).fix)


def test_separate_settings_are_read_back_equal(yaml_file: Callable[[str], Path]) -> None:
    cfg, _ = load(None, ["model.heads=separate", "separate={age: {model.drop: 0.5, optim: {betas: [0, 0.5]}}}"])
    assert load(yaml_file(to_yaml(cfg)))[0] == cfg


@pytest.mark.parametrize(
    ("text", "trackers"),
    [("csv", ("csv",)), ("tensorboard, wandb", ("tensorboard", "wandb")), ("[mlflow]", ("mlflow",)), ("[]", ())],
)
def test_trackers_are_joined_by_commas_or_a_list(text: str, trackers: tuple[str, ...]) -> None:
    cfg, _ = load(None, [f"track={text}"])
    assert cfg.track == trackers
