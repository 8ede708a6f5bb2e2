"""Text on stdout: no column is lost, lines break between words in a terminal alone, numbers are written in one way."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from maskcls.show.terminal import text
from maskcls.show.terminal.text import near, number, percent, plain_table, plural, say, say_whole, show, span, wrapped


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make terminals 40 columns wide."""
    monkeypatch.setenv("COLUMNS", "40")


@pytest.mark.usefixtures("narrow")
def test_a_table_wider_than_the_terminal_keeps_all_its_columns(capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"column{i}" for i in range(10)]
    table = plain_table("first", *names)
    table.add_row("a", *map(str, range(100_000, 100_010)))
    show(table)
    head, _, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["first", *names]
    assert row.split() == ["a", *map(str, range(100_000, 100_010))]


@pytest.mark.usefixtures("narrow")
def test_text_in_a_table_is_folded_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    table = plain_table("first", "number")
    table.add_row("word " * 20, "1")
    show(table)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 40
    assert sum(line.split().count("word") for line in lines) == 20


@pytest.mark.usefixtures("narrow")
def test_a_terminal_breaks_lines_between_words_and_a_file_keeps_them(capsys: pytest.CaptureFixture[str]) -> None:
    line = "warning  classes: of the run, and a/very/long/path-with-hyphens/that/is/wider/than/forty/columns.csv"
    assert wrapped(line, 4, io.StringIO()) == line
    broken = wrapped(line, 4, Terminal()).splitlines()
    assert broken[0] == "warning  classes: of the run, and"
    assert broken[1] == "    a/very/long/path-with-hyphens/that/is/wider/than/forty/columns.csv"
    say(line, 4)
    assert capsys.readouterr().out == line + "\n"


@pytest.mark.usefixtures("narrow")
def test_say_breaks_every_line_between_words_and_indents_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Terminal()
    monkeypatch.setattr("sys.stdout", out)
    say("short\n\n  gain +0.0123 over the best member alone, 95 % interval +0.0012 to +0.0234")
    say_whole("key: a line of a document that is longer than the terminal is wide\n")
    assert out.getvalue().splitlines() == [
        "short",
        "",
        "  gain +0.0123 over the best member",
        "    alone, 95 % interval +0.0012 to",
        "    +0.0234",
        "key: a line of a document that is longer than the terminal is wide",
    ]


def test_paths_are_written_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert near(tmp_path / "a" / "b.csv") == Path("a/b.csv")
    assert near(Path("c.csv")) == Path("c.csv")
    assert near(tmp_path.parent / "d.csv") == tmp_path.parent / "d.csv"


def test_numbers_and_counts() -> None:
    assert [number(0.12345), number(None), number(float("nan")), number(0.5, 2, sign=True)] == [
        "0.1235",
        "-",
        "-",
        "+0.50",
    ]
    assert span(-0.01, 0.02) == "-0.0100 to 0.0200"
    assert (percent(0.95), percent(0.5)) == ("95 %", "50 %")
    counts = [plural(1, "pass"), plural(2, "pass"), plural(1, "train person"), plural(1200, "train person")]
    assert counts == ["1 pass", "2 passes", "1 train person", "1,200 train people"]
    assert "the interval is not above 0" in text.NO_GAIN
