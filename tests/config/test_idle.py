"""What nothing reads is told: every setting of a way that was not chosen, and none of one that was."""

from __future__ import annotations

from pathlib import Path

import pytest
from project import CONFIGS_DIR
from tiny import train

from maskcls import config
from maskcls.idle import CHANCES, KINDS, idle_settings
from maskcls.schema import Config

SHIPPED = sorted(CONFIGS_DIR.rglob("*.yaml"))
CHOSEN = [(decides, key, kinds) for decides, keys in KINDS.items() for key, kinds in keys.items()]
DRAWN = [(chance, name) for chance, names in CHANCES.items() for name in names]


def told(*overrides: str) -> list[str]:
    return idle_settings(*config.load(None, list(overrides)))


def value_of(cfg: Config, key: str) -> str:
    value = config.flatten(cfg.model_dump(mode="json"))[key]
    return f"{key}={value}"


def values_of(key: str) -> tuple[str, ...]:
    """All values a setting that chooses may take."""
    section, name = key.split(".")
    annotation = type(getattr(Config(), section)).model_fields[name].annotation
    return annotation.__args__  # type: ignore[union-attr, return-value]


def test_how_many_there_are() -> None:
    assert (len(CHOSEN), len(DRAWN)) == (16, 15)


@pytest.mark.parametrize(("decides", "key", "kinds"), CHOSEN)
def test_a_setting_of_another_kind_is_told(decides: str, key: str, kinds: tuple[str, ...]) -> None:
    assert set(kinds) < set(values_of(decides))
    for value in values_of(decides):
        expected = [] if value in kinds else [f"{key} changes nothing: {decides} is {value}"]
        more = ["train.epochs=3", "sampler.draw=weighted"] if decides == "mix.kind" else ["train.epochs=3"]
        assert told(value_of(Config(), key), f"{decides}={value}", *more) == expected


@pytest.mark.parametrize(("chance", "name"), DRAWN)
def test_a_setting_of_what_is_never_drawn_is_told(chance: str, name: str) -> None:
    given = value_of(Config(), f"transforms.{name}")
    assert told(given, f"transforms.{chance}=0") == [
        f"transforms.{name} changes nothing: transforms.{chance} is {0 if chance == 'randaugment' else 0.0}"
    ]
    assert told(given, f"transforms.{chance}=1") == []


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_configurations_have_none(path: Path) -> None:
    assert idle_settings(*config.load(path)) == []


def test_what_a_file_says_is_idle_where_the_command_line_switched_it_off(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("mix: {kind: mixup, alpha: 0.2}\naverage: {start: 0.2}\n")
    path = tmp_path / "a.yaml"
    ema = "average.start changes nothing: average.kind is ema"
    assert idle_settings(*config.load(path)) == [ema]
    assert idle_settings(*config.load(path, ["mix.kind=none"])) == [ema]
    expected = ["mix.alpha changes nothing: mix.kind is none", ema]
    assert idle_settings(*config.load(path, ["mix.kind=none", "mix.alpha=0.3"])) == expected


def test_networks_of_their_own_read_settings_of_their_own() -> None:
    apart = ("model.heads=separate", "sampler.power=0.5")
    assert told(*apart) == ["sampler.power changes nothing: sampler.draw is shuffle"]
    assert told(*apart, "separate.age.sampler.draw=weighted") == []
    assert told("model.heads=separate", "mix.kind=halves", "separate.age.mix.alpha=0.2") == [
        "separate.age.mix.alpha changes nothing: mix.kind is halves"
    ]


def test_presets_are_given_by_nobody() -> None:
    for name in ("none", "light", "medium", "strong", "faces"):
        assert told(f"transforms.preset={name}") == []


def test_the_command_tells(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(drawn, tmp_path / "run", "--dry-run", "sampler.power=0.5") == 0
    assert capsys.readouterr().err.startswith("sampler.power changes nothing: sampler.draw is shuffle\n")
