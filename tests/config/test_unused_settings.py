"""Settings without effect cause a warning: every setting of a choice that was not made, and none of one that was."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from option_values import BOUNDS, COMPANIONS
from project import SHIPPED
from tiny import train

from maskcls import config
from maskcls.config.unused_settings import CHANCES, KINDS, OF_STEPS, TRACKED, unused_in_training, unused_settings
from maskcls.schema import Config, TrackerName, TrackingConfig

CHOSEN = [(decides, key, kinds) for decides, keys in KINDS.items() for key, kinds in keys.items()]
LONGER = ["train.epochs=3"]
STEPS = [f"{section}.{name}" for section, names in OF_STEPS.items() for name in names]
DRAWN = [(chance, name) for chance, names in CHANCES.items() for name in names]


def unused(*overrides: str) -> list[str]:
    return unused_settings(*config.load(None, list(overrides)))


def value_of(cfg: Config, key: str) -> str:
    value = config.flatten(cfg.model_dump(mode="json"))[key]
    return f"{key}={value}"


def values_of(key: str) -> tuple[str, ...]:
    """All values a setting that chooses may take."""
    section, name = key.split(".")
    annotation = type(getattr(Config(), section)).model_fields[name].annotation
    return annotation.__args__  # type: ignore[union-attr, return-value]


def test_a_seed_of_who_is_sealed_is_reported_where_nobody_is() -> None:
    seed = "folds.sealed_seed"
    assert unused(f"{seed}=1") == [f"{seed} has no effect: folds.sealed is 0.0"]
    assert unused(f"{seed}=1", "folds.sealed=0.1") == []


@pytest.mark.parametrize(("name", "users"), TRACKED.items())
def test_a_setting_of_a_tracker_that_is_not_used_is_reported(name: str, users: tuple[str, ...]) -> None:
    assert set(TRACKED) == set(TrackingConfig.model_fields)
    assert unused(f"tracking.{name}=x") == [f"tracking.{name} has no effect: track is []"]
    for tracker in get_args(TrackerName):
        expected = [] if tracker in users else [f"tracking.{name} has no effect: track is ['{tracker}']"]
        assert unused(f"tracking.{name}=x", f"track={tracker}") == expected


def test_how_many_rules_there_are() -> None:
    assert (len(CHOSEN), len(DRAWN), len(STEPS)) == (55, 15, 54)


@pytest.mark.parametrize(("decides", "key", "kinds"), CHOSEN)
def test_a_setting_of_another_kind_is_reported(decides: str, key: str, kinds: tuple[str, ...]) -> None:
    assert set(kinds) < set(values_of(decides))
    for value in values_of(decides):
        expected = [] if value in kinds else [f"{key} has no effect: {decides} is {value}"]
        more = {"mix.kind": ["train.epochs=3", "sampler.draw=weighted"], "model.train": []}.get(decides, LONGER)
        more = ["model.train=heads"] if decides == "heads.kind" else more
        more = [*more, "heads.kind=mlp"] if (decides, key) == ("model.train", "heads.hidden") else more
        found = unused(value_of(Config(), key), f"{decides}={value}", *more)
        assert [line for line in found if line.startswith(f"{key} ")] == expected


@pytest.mark.parametrize("key", STEPS)
def test_a_setting_of_training_in_steps_is_reported_where_heads_are_fitted(key: str) -> None:
    given = f"{key}={BOUNDS[key][0][0]}"
    companions = [*COMPANIONS.get(key, ()), *(["train.epochs=1000000"] if key == "optim.freeze_epochs" else [])]
    said = f"{key} has no effect: model.train is heads"
    assert said in unused(given, "model.train=heads", *companions)
    assert said not in unused(given, *companions)


def test_losses_and_augmentation_are_reported_where_heads_are_fitted() -> None:
    heads = "model.train=heads"
    assert unused(heads, "loss.age=focal") == ["loss.age has no effect: model.train is heads"]
    assert unused(heads, "transforms.hflip=0.2") == ["transforms.hflip has no effect: heads.augmented is 0"]
    assert unused(heads, "transforms.hflip=0.2", "heads.augmented=1") == []
    every_view = ["crop=[0.5, 0.5]", "size=[64, 64]", "crop_centre=[0.4, 0.5]", "mean=[0.5, 0.5, 0.5]"]
    assert unused(heads, *(f"transforms.{word}" for word in every_view), "transforms.std=[0.2, 0.2, 0.2]") == []


def test_settings_of_fitted_heads_are_used_where_a_training_starts_with_them() -> None:
    given = ("heads.kind=ridge", "heads.strength=2", "heads.balance=0.5", "heads.augmented=1")
    assert len(unused(*given)) == len(given)
    assert unused(*given, "train.start_heads=fitted") == []
    for start in ("model.train=heads", "train.start_heads=fitted"):
        assert unused(start, "heads.kind=mlp", "heads.hidden=8") == []
        assert unused(start, "heads.kind=ridge", "heads.hidden=8") == [
            "heads.hidden has no effect: heads.kind is ridge"
        ]


@pytest.mark.parametrize(("chance", "name"), DRAWN)
def test_a_setting_of_a_change_with_probability_0_is_reported(chance: str, name: str) -> None:
    given = value_of(Config(), f"transforms.{name}")
    assert unused(given, f"transforms.{chance}=0") == [
        f"transforms.{name} has no effect: transforms.{chance} is {0 if chance == 'randaugment' else 0.0}"
    ]
    assert unused(given, f"transforms.{chance}=1") == []


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_configurations_have_none(path: Path) -> None:
    assert unused_settings(*config.load(path)) == []


def test_what_the_command_line_switched_off_is_not_reported(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("mix: {kind: mixup, alpha: 0.2}\naverage: {start: 0.2}\n")
    path = tmp_path / "a.yaml"
    ema = "average.start has no effect: average.kind is ema"
    assert unused_settings(*config.load(path)) == [ema]
    assert unused_settings(*config.load(path, ["mix.kind=none"])) == [ema]
    expected = ["mix.alpha has no effect: mix.kind is none", ema]
    assert unused_settings(*config.load(path, ["mix.kind=none", "mix.alpha=0.3"])) == expected


def test_separate_networks_have_their_own_settings() -> None:
    apart = ("model.heads=separate", "sampler.power=0.5")
    assert unused(*apart) == ["sampler.power has no effect: sampler.draw is shuffle"]
    assert unused(*apart, "separate.age.sampler.draw=weighted") == []
    assert unused("model.heads=separate", "mix.kind=halves", "separate.age.mix.alpha=0.2") == [
        "separate.age.mix.alpha has no effect: mix.kind is halves"
    ]


def test_values_of_a_preset_are_not_reported() -> None:
    for name in ("none", "light", "medium", "strong", "faces"):
        assert unused(f"transforms.preset={name}") == []


def test_settings_of_heads_have_an_effect_where_a_stage_fits_them() -> None:
    read = config.load(None, ["heads.kind=ridge", "heads.hidden=8", "sampler.power=0.5"])
    others = ["heads.hidden has no effect: heads.kind is ridge", "sampler.power has no effect: sampler.draw is shuffle"]
    assert sorted(unused_in_training(*read, fitting=True)) == others
    assert "heads.kind has no effect: model.train is all" in unused_in_training(*read)


def test_train_prints_the_warning(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(drawn, tmp_path / "run", "--dry-run", "sampler.power=0.5") == 0
    assert capsys.readouterr().err.startswith("sampler.power has no effect: sampler.draw is shuffle\n")


def test_what_a_higher_file_switched_off_is_not_reported(tmp_path: Path) -> None:
    low, high = tmp_path / "low.yaml", tmp_path / "high.yaml"
    low.write_text("mix: {kind: mixup, alpha: 0.2}")
    high.write_text("base: low.yaml\nmix: {kind: none}")
    assert unused_settings(*config.load(high)) == unused_settings(*config.load([low, high])) == []
    high.write_text("base: low.yaml\nmix: {kind: none, alpha: 0.3}")
    assert unused_settings(*config.load(high)) == ["mix.alpha has no effect: mix.kind is none"]
    low.write_text("mix: {kind: none}")
    high.write_text("base: low.yaml\nmix: {alpha: 0.3}")
    assert unused_settings(*config.load(high)) == ["mix.alpha has no effect: mix.kind is none"]


def test_settings_of_generators_have_no_effect_in_a_training(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("synth: {steps: 3}\n")
    read = config.load(tmp_path / "a.yaml", ["synth.kind=dcgan", "mix.alpha=0.3"])
    assert unused_in_training(*read) == [
        "mix.alpha has no effect: mix.kind is none",
        "synth.kind has no effect: a training takes samples from data.synth",
    ]
    assert unused_in_training(*config.load(tmp_path / "a.yaml")) == []
