"""stdout and stderr of a real process: full, closed, or of an encoding that lacks characters."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import train

from maskcls.errors import Exit
from maskcls.show.terminal.spark import BARS
from maskcls.show.terminal.streams import MessageFile, ascii_instead

FULL = Path("/dev/full")  # a device whose disk is always full


def run(words: list[str], **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run one command line with pipes for stdout and stderr."""
    command = [sys.executable, "-m", "maskcls", *words]
    return subprocess.run(command, capture_output=True, check=False, env=os.environ | environment)


@pytest.mark.skipif(not FULL.exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("words", ["--version", "config list optim", "config show --json"])
@pytest.mark.parametrize("buffered", ["", "1"])
def test_a_result_on_a_full_disk_is_a_clear_error(words: str, buffered: str) -> None:
    command = [sys.executable, "-m", "maskcls", *words.split()]
    environment = os.environ | {"PYTHONUNBUFFERED": buffered}
    with FULL.open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=environment)
    assert done.returncode == Exit.RESOURCE
    assert done.stderr.splitlines()[:2] == ["error[resource] the result cannot be printed", "  where: stdout"]
    assert len(done.stderr.splitlines()) == 4


@pytest.mark.skipif(not FULL.exists(), reason="the system has no /dev/full")
def test_a_message_on_a_full_disk_is_lost_and_stops_nothing() -> None:
    program = "import sys; from maskcls.show.terminal.streams import open_streams; open_streams()\n"
    program += "print('lost', file=sys.stderr, flush=True); print('goes on')"
    with FULL.open("wb") as full:
        done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=full, check=False)
    assert (done.returncode, done.stdout) == (0, b"goes on\n")


@pytest.mark.skipif(not FULL.exists(), reason="the system has no /dev/full")
def test_a_training_goes_on_while_the_disk_of_its_log_is_full(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with io.TextIOWrapper(io.BufferedWriter(MessageFile(FULL, "w")), write_through=True) as full:
        monkeypatch.setattr(sys, "stderr", full)
        run = tmp_path / "run"
        assert train(drawn, run, "model.backbone=test_convnext", "train.epochs=1", "--folds", "0") == Exit.OK
    assert (run / "summary.json").exists()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp949"])
def test_a_character_that_the_encoding_lacks_is_shown_in_another_way(encoding: str) -> None:
    program = "import sys; from maskcls.show.terminal.streams import open_streams; open_streams()\n"
    program += f"print('{BARS} é…'); print('ü', file=sys.stderr)"
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    shown = done.stdout.decode(encoding)
    expected = {"ascii": "_.-:=+*# \\xe9...", "latin-1": "_.-:=+*# é...", "cp949": None}[encoding]
    assert expected is None or shown == expected + "\n"
    assert "ü" in done.stderr.decode(encoding) or "\\xfc" in done.stderr.decode(encoding)


def test_json_stays_json_in_any_encoding() -> None:
    done = run(["config", "show", "--json", "model.weights=é.pt"], PYTHONIOENCODING="ascii")
    assert done.returncode == Exit.OK
    assert b"\\u00e9.pt" in done.stdout
    assert json.loads(done.stdout)["config"]["model"]["weights"] == "é.pt"


def test_a_closed_stdout_is_no_fault() -> None:
    command = f"{sys.executable} -m maskcls config list optim >&-"
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_no_file_gets_the_number_of_a_closed_stream() -> None:
    """What a library prints there would stand in that file."""
    program = "import os; from maskcls.show.terminal.streams import open_streams; open_streams()\n"
    program += "handle = os.open('/', os.O_RDONLY); os._exit(handle)"
    done = subprocess.run(["bash", "-c", f'{sys.executable} -c "{program}" <&- >&- 2>&-'], check=False)
    assert done.returncode > 2


def test_only_encoding_is_repaired() -> None:
    with pytest.raises(UnicodeDecodeError):
        ascii_instead(UnicodeDecodeError("ascii", b"\xff", 0, 1, "not ascii"))


@pytest.mark.parametrize(
    "words",
    [
        *("train LONG", "train x --run LONG", "evaluate LONG", "runs list LONG", "data check LONG", "demo LONG"),
        *("predict LONG --data x", "group LONG", "submission check LONG", "data crop LONG -o x --like y"),
    ],
)
def test_a_name_that_is_too_long_is_no_bug(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from maskcls.cli import run_app

    monkeypatch.chdir(tmp_path)
    assert run_app(words.replace("LONG", "a" * 300).split()) not in (Exit.OK, Exit.INTERNAL)
    assert capsys.readouterr().err.startswith("error[")
