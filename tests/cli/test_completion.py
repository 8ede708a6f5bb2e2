"""What shells complete after TAB: verbs, options, configurations, run folders, settings. Nothing heavy is loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_startup import DEEP, SCIENCE

from maskcls.config.completion import complete_setting, known_settings, shipped_names
from maskcls.rundir import RunDir
from maskcls.runs.overrides import changes_prediction
from maskcls.verbs.options import run_folders

# One process for all: a line of JSON with the answer to each environment, then the packages that were loaded.
PROBE = """
import contextlib, io, json, os, sys
sys.argv[0] = "maskcls"
from maskcls.cli import app
answers = []
for asked in json.loads(sys.argv[1]):
    os.environ.update(asked)
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
        app([])
    answers.append(said.getvalue().split())
    for name in asked:
        del os.environ[name]
print(json.dumps([answers, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def bash(line: str) -> dict[str, str]:
    """Return what bash sets; it ends words at `=`, and the last word is the one to complete."""
    words = line.replace("=", " = ").split(" ")
    return {"_MASKCLS_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}


def other(shell: str, line: str) -> dict[str, str]:
    fish = {"_TYPER_COMPLETE_FISH_ACTION": "get-args"} if shell == "fish" else {}
    return {"_MASKCLS_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": line, **fish}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with two runs and two other folders."""
    for name in ("runs/a", "runs/b", "runs/empty", "mine/run"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("runs/a", "runs/b", "mine/run"):
        RunDir(tmp_path / name).env.touch()
    return tmp_path


def test_shells_get_what_fits_and_no_heavy_package_is_loaded(folder: Path) -> None:
    cases = [
        (bash("maskcls tr"), ["train"]),
        (bash("maskcls runs co"), ["compare"]),
        (bash("maskcls train faces --dry"), ["--dry-run"]),
        (bash("maskcls train faces --config mu"), ["multi"]),
        (bash("maskcls predict "), ["runs/a", "runs/b"]),
        (bash("maskcls serve "), ["runs/a", "runs/b"]),
        (bash("maskcls evaluate mine/"), ["mine/run"]),
        (bash("maskcls train faces optim.l"), ["optim.lr=", "optim.layer_decay="]),
        (bash("maskcls train faces optim.lr"), ["optim.lr=", "optim.lr=0.0003"]),
        (bash("maskcls train faces model.heads=mu"), ["multi"]),
        (bash("maskcls train faces seed=1 model.heads="), ["joint", "multi", "separate"]),
        (bash("maskcls train faces model.heads=") | {"COMP_CWORD": "4"}, ["joint", "multi", "separate"]),
        (bash("maskcls predict runs/a optim.l"), []),
        (bash("maskcls predict runs/a device.memory"), ["device.memory_format=", "device.memory_format=auto"]),
        (bash("maskcls predict runs/a photo.jpg device.memory_format=chan"), ["channels_last"]),
        (other("zsh", "maskcls train faces --config mu"), ["_arguments", "'*:", ':(("multi"))\'']),
        (other("zsh", "maskcls train faces model.heads=mu"), ["_arguments", "'*:", ':(("model.heads=multi"))\'']),
        (other("fish", "maskcls train faces model.heads=mu"), ["model.heads=multi"]),
    ]
    words = [sys.executable, "-c", PROBE, json.dumps([asked for asked, _ in cases])]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True)
    answers, loaded = json.loads(done.stdout)
    assert [(asked, answer) for (asked, _), answer in zip(cases, answers, strict=True)] == cases
    assert set(loaded) & (DEEP | SCIENCE | {"pandas"}) == set()


def test_bash_completes_with_the_script_that_is_shown(tmp_path: Path) -> None:
    program = tmp_path / "maskcls"
    program.write_text(f"#!{sys.executable}\nfrom maskcls.cli import main\nmain()\n")
    program.chmod(0o755)
    script = f"""
    source <({program} --show-completion bash)
    COMP_WORDS=(maskcls config li) COMP_CWORD=2
    _maskcls_completion {program}
    echo "${{COMPREPLY[@]}}"
    """
    # As in the tests of Typer: the shell is named, not looked for among the parents of this process.
    environment = os.environ | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["list"]


def test_run_folders_are_those_with_a_training(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert run_folders("") == run_folders("runs/") == ["runs/a", "runs/b"]
    assert run_folders("runs/b") == ["runs/b"]
    assert run_folders("mine/r") == ["mine/run"]
    assert run_folders("nowhere/") == run_folders("mine") == []


def test_every_shipped_configuration_is_completed() -> None:
    assert {"multi", "tiny_cpu", "recipes/union"} <= set(shipped_names(""))
    assert shipped_names("recipes/u") == ["recipes/union"]


def test_every_setting_is_completed_with_its_default_in_words() -> None:
    known = known_settings()
    assert len(known) > 100
    assert not [key for key in known if "[" in key]
    assert complete_setting(known, [], "model.weights") == ["model.weights=", "model.weights=null"]
    assert complete_setting(known, [], "train.refit") == ["train.refit=", "train.refit=false"]
    assert complete_setting(known, ["nothing.known", "="], "x") == complete_setting(known, [], "nothing=") == []


def test_settings_of_a_prediction() -> None:
    keys = ("predict.views", "data.cache", "device.compile", "data.format", "optim.lr")
    assert [key for key in keys if changes_prediction(key)] == ["predict.views", "data.cache"]
