"""The shipped configurations: each is whole, says what it is, and names a network that exists."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
from project import CONFIGS_DIR, SHIPPED

from maskcls import config
from maskcls.config import yaml12
from maskcls.errors import ConfigError

FOLDER = CONFIGS_DIR
RECIPES = [
    *(
        "cohort1_halves",
        "cohort1_madgrad",
        "cohort2_first",
        "cohort3_first",
        "cohort4_first",
        "cohort5_second",
        "union",
    ),
]
NAMES = [
    "faces_best",
    "faces_frozen",
    "first_minutes",
    "joint",
    "multi",
    *(f"recipes/{name}" for name in RECIPES),
    "separate",
    "swin_large_gpu",
    "tiny_cpu",
]


def test_the_shipped_configurations_are_the_written_ones() -> None:
    assert [path.relative_to(FOLDER).with_suffix("").as_posix() for path in SHIPPED] == NAMES
    assert len(NAMES) == 15


@pytest.mark.parametrize("path", SHIPPED, ids=NAMES)
def test_a_configuration_loads_and_names_networks_that_exist(path: Path) -> None:
    cfg, origins = config.load(path)
    assert set(origins.values()) == {"default", path.name}
    for member in config.members(cfg).values():
        assert timm.is_model(member.model.backbone)


@pytest.mark.parametrize("path", SHIPPED, ids=NAMES)
def test_a_header_says_what_it_is_and_how_it_was_measured(path: Path) -> None:
    header = [line for line in path.read_text(encoding="utf8").splitlines() if line.startswith("#")]
    assert len(header[0]) > 40
    for word in ("command", "time", "expected"):
        assert sum(line.startswith(f"# {word} ") for line in header) == 1, word
    (command,) = (line for line in header if line.startswith("# command"))
    assert f"--config {path.relative_to(FOLDER).with_suffix('').as_posix()} " in command


def test_heads_are_what_the_names_say() -> None:
    heads = {path.stem: config.load(path)[0].model.heads for path in SHIPPED}
    assert (heads["joint"], heads["multi"], heads["separate"]) == ("joint", "multi", "separate")


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_name_is_found(name: str) -> None:
    assert config.find(Path(name)).samefile(FOLDER / f"{name}.yaml")


def test_a_file_of_ones_own_wins_over_a_shipped_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "multi").write_text("seed: 7\n")
    monkeypatch.chdir(tmp_path)
    assert config.load(config.find(Path("multi")))[0].seed == 7


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        config.find(Path("mutli"))
    assert caught.value.fix == "did you mean 'multi'?"
    with pytest.raises(ConfigError) as caught:
        config.find(Path("zzz"))
    assert caught.value.expected == "a YAML file, or one of " + ", ".join(NAMES)


def test_the_best_is_the_row_it_was_measured_as() -> None:
    """benchmarks/full.yaml holds it against `multi`; a setting changed in one place alone would make that untrue."""
    rows = yaml12.read_yaml(FOLDER.parent / "benchmarks" / "full.yaml")
    overrides = rows["families"]["recipe"]["faces_best"]
    best = config.load(config.find(Path("faces_best")))[0]
    assert config.load(config.find(Path(rows["base"]["config"])), overrides)[0] == best
