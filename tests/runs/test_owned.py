"""Files of a run name the run and the place they belong to; what was changed or moved is refused with its name."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from maskcls import files, owned
from maskcls.errors import ResultError
from maskcls.files.json_digest import content_digest
from maskcls.rundir import RunDir
from maskcls.runs.records.times import CommandTimes, RunTimes, add_times, read_times

ENV: dict[str, Any] = {"format": 2, "folds": [0, 1], "hashes": {"config.yaml": "ab"}, "weights": {}, "plans": {"": {}}}


def written(path: Path, **changes: Any) -> RunDir:
    """Write a run's env.json alone."""
    run = RunDir(path)
    files.commit_json(run.env, files.with_digest(ENV | changes))
    return run


# --- the digest


def test_the_digest_is_of_the_values_and_not_of_the_text() -> None:
    line = '{"a":[1,0.5,null],"b":{"\\u00e4":true}}'
    assert content_digest({"b": {"ä": True}, "a": (1, 0.5, None)}) == hashlib.sha256(line.encode()).hexdigest()
    assert content_digest({2: "x"}) == content_digest({"2": "x"})


def test_a_digest_comes_last_and_is_renewed() -> None:
    once = files.with_digest({"digest": "old", "a": 1})
    assert list(once) == ["a", "digest"]
    assert files.with_digest(once) == once
    assert files.without_digest(json.loads(json.dumps(once, indent=7)), Path("x"), required=True) == {"a": 1}


@pytest.mark.parametrize("change", [{"a": 2}, {"b": 1}, {"digest": "0" * 64}, {"digest": 5}])
def test_changed_content_is_refused(change: dict[str, Any]) -> None:
    data = files.with_digest({"a": 1}) | change
    with pytest.raises(ResultError, match="changed after maskcls wrote it") as caught:
        files.without_digest(data, Path("a.json"), required=False)
    assert caught.value.where == "a.json"


@pytest.mark.parametrize("data", [{"a": 1}, [1], 3, None])
def test_what_has_no_digest_is_of_an_earlier_version_unless_one_is_required(data: Any) -> None:
    assert files.without_digest(data, Path("a.json"), required=False) == data
    with pytest.raises(ResultError, match="digest of a file is missing"):
        files.without_digest(data, Path("a.json"), required=True)


# --- the identity


def test_the_identity_is_of_what_was_given_and_not_of_the_machine(tmp_path: Path) -> None:
    first = owned.run_identity(written(tmp_path / "a").path)
    line = '{"hashes":{"config.yaml":"ab"},"weights":{}}'
    assert first == hashlib.sha256(line.encode()).hexdigest()
    for name, same in (("folds", True), ("packages", True), ("hashes", False), ("weights", False), ("plans", True)):
        other = written(tmp_path / name, **{name: {"x": "1"}})
        assert (owned.run_identity(other.path) == first) == same, name


def test_a_run_of_an_earlier_version_has_no_identity(tmp_path: Path) -> None:
    assert owned.run_identity(tmp_path) is None
    assert owned.run_identity(written(tmp_path, format=1).path) is None
    files.commit_json(RunDir(tmp_path).env, {"folds": [0]})
    assert owned.run_identity(tmp_path) is None


def test_a_changed_environment_has_no_identity_but_an_error(tmp_path: Path) -> None:
    run = written(tmp_path)
    for data in (files.read_json(run.env) | {"folds": [0]}, ENV):
        files.commit_json(run.env, data)
        with pytest.raises(ResultError) as caught:
            owned.run_identity(run.path)
        assert caught.value.where == str(run.env)


# --- the owner


def test_a_file_names_its_run_and_its_place(tmp_path: Path) -> None:
    run = written(tmp_path / "a")
    add_times(run, None, CommandTimes(command="train"))
    assert files.read_json(run.times)["owner"] == {"run": owned.run_identity(run.path), "place": "times.json"}
    assert read_times(run) == RunTimes(commands=(CommandTimes(command="train"),))


def test_a_file_of_another_run_or_place_is_refused(tmp_path: Path) -> None:
    run, other = written(tmp_path / "a"), written(tmp_path / "b", weights={"": "cd"})
    add_times(other, None, CommandTimes(command="train"))
    files.commit(run.times, other.times.read_bytes())
    with pytest.raises(ResultError, match="another run") as caught:
        read_times(run)
    assert caught.value.where == str(run.times)
    assert str(owned.run_identity(other.path))[:12] in str(caught.value.got)
    files.commit(other.notes, other.times.read_bytes())
    with pytest.raises(ResultError, match="another path in this run") as moved:
        owned.read(other.notes, other.path, RunTimes)
    assert (str(moved.value.got)[:10], str(moved.value.expected)[:10]) == ("times.json", "notes.json")


def test_a_file_without_owner_is_refused_in_a_run_that_has_an_identity(tmp_path: Path) -> None:
    run = written(tmp_path)
    files.commit_json(run.times, files.with_digest({"commands": []}))
    with pytest.raises(ResultError, match="another run") as caught:
        read_times(run)
    assert caught.value.got == "it names no run"
    files.commit_json(run.times, {"commands": []})
    with pytest.raises(ResultError, match="digest of a file is missing"):
        read_times(run)
    written(tmp_path, format=1)
    assert read_times(run) == RunTimes()


def test_in_no_run_a_file_has_a_digest_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    owned.write(path, None, RunTimes())
    assert list(files.read_json(path)) == ["digest"]
    assert owned.read(path, None, RunTimes) == RunTimes()
