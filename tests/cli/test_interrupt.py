"""What is printed when a training is interrupted: how to continue, or that nothing has begun."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import maskcls
from maskcls.errors import Stopped
from maskcls.jobs.engines.engine_words import JOBS_END
from maskcls.verbs.options import how_to_resume, interruptible


@pytest.mark.parametrize("kind", [KeyboardInterrupt, Stopped])
def test_an_interrupt_says_how_to_continue(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: type[BaseException]
) -> None:
    with pytest.raises(kind), interruptible(lambda: how_to_resume(tmp_path)):
        raise kind
    assert capsys.readouterr().err == "interrupted; the training had not begun, so there is nothing to resume\n"
    (tmp_path / "env.json").write_text("{}")
    with pytest.raises(kind), interruptible(lambda: how_to_resume(tmp_path)):
        raise kind
    expected = f"interrupted; what was trained is kept. Continue with: maskcls resume {tmp_path}\n"
    assert capsys.readouterr().err == expected


def test_a_folder_with_a_space_is_quoted(tmp_path: Path) -> None:
    run = tmp_path / "my run"
    run.mkdir()
    (run / "env.json").write_text("{}")
    assert how_to_resume(run).endswith(f"Continue with: maskcls resume '{run}'")


def test_an_interrupted_command_says_whether_its_jobs_go_on(tmp_path: Path) -> None:
    (tmp_path / "env.json").write_text("{}")
    command = f"maskcls resume {tmp_path} --on ray"
    assert how_to_resume(tmp_path, "ray") == f"the jobs go on. Watch them, and finish the run, with: {command}"
    kept = f"what was trained is kept. Continue with: {command}"
    assert how_to_resume(tmp_path, "ray", {JOBS_END}) == kept  # Ray was started by the command, and ends with it


def test_a_terminal_breaks_the_line_between_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "20")
    with pytest.raises(Stopped), interruptible(lambda: "continue with: maskcls resume runs/a"):
        raise Stopped
    assert capsys.readouterr().err.splitlines() == ["interrupted;", "  continue with:", "  maskcls resume", "  runs/a"]


def test_without_an_interrupt_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with interruptible(lambda: "never"):
        pass
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ("raise KeyboardInterrupt", 130),
        ("os.kill(os.getpid(), signal.SIGINT)", 130),
        ("os.kill(os.getpid(), signal.SIGTERM)", 143),
    ],
)
@pytest.mark.parametrize("module", ["maskcls.cli", "typer"])
def test_a_signal_while_the_command_line_is_loaded_is_one_line(module: str, event: str, code: int) -> None:
    done = loading(f"if name == {module!r}: {event}")
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "interrupted; nothing has begun\n")


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    ignored = "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    done = loading("if name == 'typer': os.kill(os.getpid(), signal.SIGINT)", before=ignored)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, maskcls.__version__, "")


def loading(event: str, before: str = "") -> subprocess.CompletedProcess[str]:
    """Run `maskcls --version`, with an event while a module is searched."""
    code = (
        "import os, signal, sys, maskcls.__main__ as entry\n"
        f"{before}"
        "class Event:\n"
        "    def find_spec(self, name, *_):\n"
        f"        {event}\n"
        "sys.meta_path.insert(0, Event())\n"
        "sys.argv[1:] = ['--version']\n"
        "entry.command_line()\n"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_what_is_loaded_before_a_signal_is_heard_imports_nothing() -> None:
    code = "import sys; known = set(sys.modules); import maskcls.__main__; print(*sorted({*sys.modules} - known))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert {*done.stdout.split()} - {"__future__"} == {"maskcls", "maskcls.__main__"}, done.stderr
