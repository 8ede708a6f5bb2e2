"""Terminals of all kinds, and none: few columns, no colour, an encoding of ASCII alone, a pipe."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

COMMAND = [sys.executable, "-m", "maskcls"]


def test_what_is_not_a_terminal_gets_plain_text() -> None:
    """Whatever the environment says about columns, colours and language."""
    plain = {"COLUMNS": "20", "NO_COLOR": "1", "TERM": "dumb"}
    c_locale = {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [*COMMAND, "config", "list", "transforms.size"]
    done = subprocess.run(command, capture_output=True, env=os.environ | plain | c_locale)
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode("ascii")
    assert text.isprintable() or set(re.sub(r"[ -~]", "", text)) == {"\n"}
    assert "transforms.size" in text
    assert "Traceback" not in text


def test_a_narrow_terminal_without_colour_gets_lines_that_fit() -> None:
    """Bold is allowed: NO_COLOR is about colours."""
    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 20, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [*COMMAND, "config", "list", "optim"],
        stdout=terminal,
        stderr=terminal,
        env=environment | {"NO_COLOR": "1", "TERM": "xterm"},
    )
    os.close(terminal)
    shown = b""
    while True:
        try:
            part = os.read(main, 65536)
        except OSError:  # the end of a terminal
            break
        if not part:
            break
        shown += part
    os.close(main)
    assert process.wait() == 0
    text = shown.decode()
    assert "optim.lr" in text
    assert not re.search(r"\x1b\[[0-9;]*(3[0-7]|9[0-7]|38|48)[;m]", text)
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text).replace("\r", "").split("\n")
    assert len(lines) > 20
    assert [line for line in lines if len(line) > 20 and " " in line.strip()] == []
