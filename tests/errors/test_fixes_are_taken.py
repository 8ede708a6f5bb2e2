"""A fix names what a command takes: of a printed error the command that failed, of all others any verb."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import typer.main
from pages import verb_of, verbs
from project import PACKAGE_DIR
from test_golden_errors import FILES, blocks

from maskcls import cli
from maskcls.config.overrides import parse_override
from maskcls.runs.overrides import changes_prediction
from maskcls.schema import Config

OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")
SETTING = re.compile(r"(?<![\w.])([a-z]+\.[a-z_]+)=([^\s,;)]+)")
OTHER_COMMAND = re.compile(r"\b(?:maskcls [a-z]|pip |ray |RUN: ).*")  # what follows is of another command
# Settings of a training that a fix names because the run must be another one: "train with …", "name a run with …".
ANOTHER_RUN = re.compile(r"\b(?:train|trained|a run)\b.*")
THEIRS = {"--local_addr", "--shm-size", "--force-reinstall", "--upgrade", "--head"}  # of torchrun, docker, pip and ray
PREDICTION = ("predict", "ensemble", "pseudo-label", "tta", "explain", "export")  # take predict.*, device.* at most


@cache
def takes_settings() -> set[str]:
    """Return the verbs with an argument KEY=VALUE."""

    def found(command: Any, path: str) -> Iterator[str]:
        for name, child in command.commands.items():
            if hasattr(child, "commands"):
                yield from found(child, f"{path}{name} ")
            elif any("KEY=VALUE" in str(one.metavar) for one in child.params):
                yield f"{path}{name}"

    return set(found(typer.main.get_command(cli.app), ""))


def refused(verb: str, fix: str) -> list[str]:
    """Return the options and settings of a fix that this verb does not take."""
    own = ANOTHER_RUN.sub("", OTHER_COMMAND.sub("", fix))
    options = [one for one in OPTION.findall(OTHER_COMMAND.sub("", fix)) if one not in verbs()[verb] | THEIRS]
    settings = [f"{key}={value}" for key, value in SETTING.findall(own) if key.split(".")[0] in Config.model_fields]
    keys = [parse_override(one)[0] for one in settings]
    known = verb in takes_settings() and (verb not in PREDICTION or all(map(changes_prediction, keys)))
    return options + ([] if known else settings)


def printed_fixes() -> list[tuple[str, str]]:
    """Return the command line and the fix of every error in golden/."""
    return [
        (command, fix)
        for file in FILES
        for command, text in blocks(file).items()
        for fix in re.findall(r"^  fix: (.*)$", text, re.M)
    ]


def test_a_fix_names_what_the_command_takes() -> None:
    faults = []
    for command, fix in printed_fixes():
        (verb,) = verb_of(command.split())
        faults += [f"maskcls {command}: {word}" for word in refused(verb, fix)]
    assert faults == []
    assert len(printed_fixes()) >= 140


@pytest.mark.parametrize(
    ("verb", "fix", "expected"),
    [
        ("ensemble", "name the CSV file, or set data.format=contest", ["data.format=contest"]),
        ("ensemble", "set device.type=cpu or auto", []),
        ("resume", "set device.type=cpu or auto", ["device.type=cpu"]),
        ("train", "name the CSV file, or set data.format=contest", []),
        ("predict", "leave out --decide, or add --oof-groups", ["--oof-groups"]),
        ("predict", "leave out --decide, or maskcls ensemble RUN --oof-groups G", []),
        ("tta", "train a new run with folds.k=2", []),
    ],
)
def test_what_a_command_refuses_is_found(verb: str, fix: str, expected: list[str]) -> None:
    assert refused(verb, fix) == expected


def texts_of_fixes() -> list[tuple[str, str]]:
    """Return the place and the constant text of every `fix=…` and `fix = …` in the package."""
    found = []
    for path in sorted(PACKAGE_DIR.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            named = isinstance(node, ast.keyword) and node.arg == "fix"
            kept = isinstance(node, ast.Assign) and any("fix" in ast.unparse(one).split(", ") for one in node.targets)
            if named or kept:
                parts = [part for part in ast.walk(node) if isinstance(part, ast.Constant)]
                place = f"{path.relative_to(PACKAGE_DIR)}:{parts[0].lineno}" if parts else ""
                found += [(place, str(part.value)) for part in parts if isinstance(part.value, str)]
    return found


def test_options_and_settings_in_fixes_exist() -> None:
    options = {option for every in verbs().values() for option in every} | THEIRS
    keys = {f"{section}.{key}" for section in Config.model_fields for key in _keys(section)}
    faults = []
    for place, text in texts_of_fixes():
        faults += [f"{place}: {one}" for one in OPTION.findall(text) if one not in options]
        sections = [key for key, _ in SETTING.findall(text) if key.split(".")[0] in Config.model_fields]
        faults += [f"{place}: {key}" for key in sections if key not in keys]
    assert faults == []
    assert len(texts_of_fixes()) >= 600


def _keys(section: str) -> set[str]:
    model = Config.model_fields[section].annotation
    return set(getattr(model, "model_fields", {}))
