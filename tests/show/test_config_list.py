"""The list of options is as wide as a terminal, and 80 columns wide elsewhere."""

from __future__ import annotations

import sys

import pytest

from maskcls.schema.options import OptionSection
from maskcls.show.config import print_options

HELP = "a word " * 60


@pytest.mark.parametrize(("terminal", "columns", "widest"), [(True, 140, 140), (True, 60, 60), (False, 140, 80)])
def test_lines_fill_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, terminal: bool, columns: int, widest: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    print_options([OptionSection("optim", HELP, ())])
    found = max(map(len, capsys.readouterr().out.splitlines()))
    assert widest - len("word ") - 2 <= found <= widest
