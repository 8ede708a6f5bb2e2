"""What is printed when a training is interrupted: how to continue, or that nothing has begun."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from maskcls.errors import Stopped
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


def test_without_an_interrupt_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with interruptible(lambda: "never"):
        pass
    assert capsys.readouterr().err == ""


def test_an_interrupt_while_the_command_line_is_loaded_has_no_traceback() -> None:
    code = (
        "import sys, maskcls.__main__ as entry\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'maskcls.cli': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "entry.command_line()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
