"""`~` at the start of a path means the home folder, where no shell replaces it."""

from pathlib import Path

import pytest

from maskcls.cli import expanded_argument
from maskcls.config import load, members

HOME = "/home/kim"


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", HOME)


@pytest.mark.parametrize("key", ["model.weights", "data.fixes", "data.pseudo", "data.synth"])
def test_in_settings_that_are_paths(key: str) -> None:
    section, name = key.split(".")
    cfg, _ = load(None, [f"{key}=~/a.b"])
    assert getattr(getattr(cfg, section), name) == f"{HOME}/a.b"


def test_in_the_settings_of_one_task() -> None:
    cfg, _ = load(None, ["model.heads=separate", "separate={age: {model.weights: ~/w.pth}}"])
    assert members(cfg)["age"].model.weights == f"{HOME}/w.pth"


def test_in_the_base_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "base.yaml").write_text("seed: 7")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "top.yaml").write_text("base: ~/base.yaml")
    assert load(tmp_path / "mine" / "top.yaml")[0].seed == 7


@pytest.mark.parametrize(
    ("argument", "expanded"),
    [
        ("~/photos", f"{HOME}/photos"),
        ("--run=~/runs/a", f"--run={HOME}/runs/a"),
        ("@~/list.txt", f"@{HOME}/list.txt"),
        ("-o~/a.csv", f"-o{HOME}/a.csv"),
        ("a~/b", "a~/b"),
        ("data.group=~/x", "data.group=~/x"),
        ("./~/x", "./~/x"),
        ("~", "~"),
    ],
)
def test_in_arguments(argument: str, expanded: str) -> None:
    assert expanded_argument(argument) == expanded
