"""docs/reference.md is what docs/reference.py prints, and names every verb, option and exit code."""

from __future__ import annotations

import re
import runpy

from pages import typed_commands, verbs
from project import PROJECT_DIR

from maskcls.errors import Exit

REFERENCE = runpy.run_path(str(PROJECT_DIR / "docs" / "reference.py"))
PAGE = (PROJECT_DIR / "docs" / "reference.md").read_text(encoding="utf8")


def test_the_page_is_current() -> None:
    assert REFERENCE["reference_page"]() == PAGE, f"fix: {REFERENCE['COMMAND']}"


def test_every_verb_has_a_section_with_its_options() -> None:
    sections = dict(re.findall(r"^### `([^`]+)`\n(.*?)(?=^### |\Z)", PAGE, re.M | re.S))
    assert sections.keys() == verbs().keys()
    assert len(sections) >= 30
    options = 0
    for verb, section in sections.items():
        assert f"Usage: `maskcls {verb} [OPTIONS]" in section
        rows = "\n".join(re.findall(r"^\| (`[^|]+`) \|", section, re.M))
        named = set(re.findall(r"`(--?[\w-]+)`", rows))
        assert named <= verbs()[verb], verb
        options += len(named)
        assert f"(#{verb.replace(' ', '-')})" in PAGE
    assert options >= 120


def test_every_exit_code_has_a_row() -> None:
    codes = [int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.M)]
    assert codes == [int(code) for code in Exit]
    assert "| 7 | `busy` | The output exists already, or another process holds the run. |" in PAGE


def test_examples_are_commands() -> None:
    assert len(typed_commands(PAGE)) >= 60
