"""The register of choices: counted once by content, shared by runs of the same rows, safe with several writers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from maskcls.errors import ResultError
from maskcls.rundir import RunDir
from maskcls.runs.choices.register import Attempt, add_attempts, is_kept, read_register, rows_key


def attempt(what: str, *, rows: str = "r", p: float | None = None) -> Attempt:
    return Attempt(rows=rows, kind="comparison", what=what, name=f"the {what}", p=p)


def test_the_same_is_counted_once_and_other_rows_apart(tmp_path: Path) -> None:
    run, beside = RunDir(tmp_path / "a"), RunDir(tmp_path / "b")
    assert read_register(run).attempts == ()
    add_attempts(run, [attempt("x", p=0.1), attempt("x", p=0.2)])
    add_attempts(beside, [attempt("x"), attempt("y"), attempt("x", rows="other")])
    found = read_register(run)
    assert [one.what for one in found.of("comparison", "r")] == ["x", "y"]
    assert [one.p for one in found.of("comparison", "r")] == [0.1, None]
    assert len(found.of("comparison", "other")) == 1
    assert found.of("rule", "r") == ()
    assert is_kept(run, found)
    data = json.loads((tmp_path / "choices.json").read_text())
    assert data["version"] == 1
    assert data["attempts"][0] == {"rows": "r", "kind": "comparison", "what": "x", "name": "the x", "p": 0.1}


def test_a_run_reached_by_a_link_has_the_register_of_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "real" / "a").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real" / "a")
    add_attempts(RunDir(tmp_path / "link"), [attempt("x")])
    assert len(read_register(RunDir(tmp_path / "real" / "a")).attempts) == 1
    assert not (tmp_path / "choices.json").exists()


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from maskcls.rundir import RunDir\n"
        "from maskcls.runs.choices.register import Attempt, add_attempts\n"
        "for i in range(20): add_attempts(RunDir(Path(sys.argv[1]) / 'a'),"
        " [Attempt(rows='r', kind='run', what=f'{sys.argv[2]}/{i}')])"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(n)]) for n in range(3)]
    assert [one.wait() for one in writers] == [0, 0, 0]
    found = read_register(RunDir(tmp_path / "a")).of("run", "r")
    assert {one.what for one in found} == {f"{n}/{i}" for n in range(3) for i in range(20)}
    assert len(found) == 60
    assert sorted(path.name for path in tmp_path.iterdir()) == [".choices.lock", "choices.json"]


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "gone" / "a")  # its folder is not there, so there can be no lock
    found = add_attempts(run, [attempt("x")])
    assert len(found.attempts) == 1
    assert not is_kept(run, found)


@pytest.mark.parametrize("text", ["", "[]", '{"version": 2}', '{"version": 1, "attempts": [{"rows": 3}]}'])
def test_a_damaged_register_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "choices.json").write_text(text)
    with pytest.raises(ResultError, match="register of choices") as caught:
        add_attempts(RunDir(tmp_path / "a"), [attempt("x")])
    assert caught.value.where == str(tmp_path / "choices.json")
    assert (tmp_path / "choices.json").read_text() == text


def test_the_key_names_the_rows() -> None:
    assert rows_key("a") == rows_key("a") != rows_key("b")
    assert len(rows_key("a")) == 16
