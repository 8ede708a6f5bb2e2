"""env.json: one type, read back as it was written; of another form it ends in one message, whatever the command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from maskcls import files, owned
from maskcls.cli import run_app
from maskcls.engine.compute.plan import Execution, Plan
from maskcls.errors import Exit, ResultError
from maskcls.rundir import RunDir
from maskcls.runs.environment import (
    FORMAT,
    Environment,
    machine_differences,
    read_environment,
    this_machine,
    write_environment,
)

MACHINE = this_machine("cpu", 1)
PLAN = Plan(train=Execution("bf16"), threads=3, fold_jobs=2)
WHOLE = Environment(
    format=FORMAT,
    data="/data/faces",
    folds=(0, 2),
    hashes={"config.yaml": "ab"},
    cropping=None,
    weights={"age": "cd"},
    plans={"": PLAN},
    **dict(MACHINE),
)
KEYS = ["format", "data", "folds", "hashes", "cropping", "weights", "plans"]
KEYS += ["maskcls", "python", "packages", "platform", "device", "processes", "code", "processor", "kernels"]

OPTIONAL = ("format", "plans", "cropping", "weights", "code", "processor", "kernels")


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    run = RunDir(tmp_path / "run")
    write_environment(run, WHOLE)
    return run


def test_it_comes_back_and_its_keys_are_these(run: RunDir) -> None:
    assert read_environment(run) == WHOLE
    data = files.read_json(run.env)
    assert list(data) == [*KEYS, owned.PACKAGES_DIGEST, files.DIGEST]
    assert data["plans"][""] == PLAN.to_json()
    assert (data["folds"], data["cropping"], data["processes"]) == ([0, 2], None, 1)
    write_environment(run, read_environment(run).with_folds([0, 1, 2]))
    assert files.read_json(run.env) == owned.environment_data(data | {"folds": [0, 1, 2]})


def test_a_run_of_a_newer_format_is_one_message(run: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    files.commit_json(run.env, files.read_json(run.env) | {"format": FORMAT + 1, "maskcls": "9.9.9"})
    assert run_app(["evaluate", str(run.path)]) == Exit.RESULT
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "error[result] the run was made by a newer maskcls"
    assert f"  got: format {FORMAT + 1}, maskcls 9.9.9" in said
    assert said[-1] == "  fix: pip install --upgrade maskcls"


def test_a_file_without_plans_is_read_and_stays_without(run: RunDir) -> None:
    """An earlier maskcls wrote none."""
    old = {key: value for key, value in files.read_json(run.env).items() if key in KEYS and key not in OPTIONAL}
    files.commit_json(run.env, old)
    found = read_environment(run)
    assert (found.plans, found.cropping, found.weights) == (None, None, {})
    assert found.format == 1
    write_environment(run, found)
    assert files.read_json(run.env) == owned.environment_data(old)


FORMS = {
    "nothing": "{}",
    "a list": "[]",
    "a number": "3",
    "no fold": json.dumps(files.with_digest(WHOLE.to_json() | {"folds": []})),
    "a fold below 0": json.dumps(files.with_digest(WHOLE.to_json() | {"folds": [-1]})),
    "folds in words": json.dumps(files.with_digest(WHOLE.to_json() | {"folds": "0,1"})),
    "no hashes": json.dumps(files.with_digest(WHOLE.to_json() | {"hashes": {}})),
    "hashes that are numbers": json.dumps(files.with_digest(WHOLE.to_json() | {"hashes": {"config.yaml": 3}})),
    "a plan of another form": json.dumps(files.with_digest(WHOLE.to_json() | {"plans": {"": {"threads": "many"}}})),
    "packages in words": json.dumps(files.with_digest(WHOLE.to_json() | {"packages": "torch"})),
}


@pytest.mark.parametrize("form", FORMS)
def test_another_form_is_one_message_in_every_command(
    form: str, run: RunDir, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.path.parent)
    run.env.write_text(FORMS[form])
    with pytest.raises(ResultError, match="unexpected form") as caught:
        read_environment(run)
    assert caught.value.where == str(run.env)
    commands = [
        *(["resume", "run"], ["predict", "run", "--data", "x"], ["evaluate", "run"], ["calibrate", "run"]),
        *(["tta", "run"], ["pseudo-label", "run", "--data", "x"], ["ensemble", "run", "--data", "x"]),
    ]
    for words in commands:
        assert run_app(words) == 9, words
        told = capsys.readouterr().err
        assert "unexpected form" in told
        assert "Traceback" not in told


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    with pytest.raises(ResultError, match="this is not a run"):
        read_environment(run)
    run.config.write_text("")
    with pytest.raises(ResultError, match="missing") as caught:
        read_environment(run)
    assert caught.value.where == str(run.env)
    run.lock_file.write_text("")  # whoever made it: a command that is killed before it writes into it writes no more
    with pytest.raises(ResultError, match="missing"):
        read_environment(run)
    run.lock_file.write_text("process 7 on node1 since 2026-11-30T03:00:00+00:00")
    with pytest.raises(ResultError, match="stopped before it began"):
        read_environment(run)


def test_every_difference_of_two_machines_is_named() -> None:
    assert machine_differences(MACHINE, MACHINE) == []
    packages = MACHINE.packages | {"timm": "0.1"}
    other = MACHINE.model_copy(update={"device": "cuda", "processes": 2, "packages": packages})
    assert machine_differences(MACHINE, other) == [
        "device: cpu -> cuda",
        "processes: 1 -> 2",
        f"timm: {MACHINE.packages['timm']} -> 0.1",
    ]
    assert WHOLE.machine == MACHINE
    written = MACHINE.model_copy(update={"code": "0123456789abcdef"})
    assert machine_differences(written, MACHINE) == [f"code: 0123456789ab -> {str(MACHINE.code)[:12]}"]
    assert machine_differences(written.model_copy(update={"code": None}), MACHINE) == []  # of an earlier version


def test_versions_edited_by_hand_refuse_nothing_and_are_named_by_verify(run: RunDir) -> None:
    """Other versions are said by the commands for which they matter."""
    data = files.read_json(run.env)
    assert owned.packages_are_unchanged(run.env)
    files.commit_json(run.env, data | {"packages": data["packages"] | {"pillow": "9.0.0"}})
    assert read_environment(run).packages["pillow"] == "9.0.0"
    assert not owned.packages_are_unchanged(run.env)
    files.commit_json(run.env, data | {"platform": "elsewhere"})
    with pytest.raises(ResultError, match="changed after maskcls wrote it"):
        read_environment(run)
