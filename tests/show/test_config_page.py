"""docs/configuration.md is what `maskcls config list --markdown` prints."""

from __future__ import annotations

import re

import pytest
from project import PROJECT_DIR

from maskcls import cli
from maskcls.commands.config.list import list_options
from maskcls.config.yaml12 import parse_yaml
from maskcls.show.config_page import COMMAND, reference_page

PAGE = PROJECT_DIR / "docs" / "configuration.md"


def test_the_page_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run_app(COMMAND.split()[1:]) == 0
    printed = capsys.readouterr().out
    assert printed == reference_page(list_options(None))
    assert PAGE.read_text(encoding="utf-8") == printed, f"fix: {COMMAND} > docs/configuration.md"


def test_every_option_has_one_row_of_four_cells() -> None:
    options = PAGE.read_text(encoding="utf-8").partition("## Options")[2]
    rows = [line for line in options.splitlines() if line.startswith("| `")]
    keys = [option.key for section in list_options(None) for option in section.options]
    assert [row.split("`")[1] for row in rows] == keys
    assert len(keys) == 185
    assert {len(re.split(r"(?<!\\)\|", row)) for row in rows} == {6}


def test_the_examples_of_the_page_are_yaml() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 3
    assert all(isinstance(parse_yaml(block, where="page"), dict) for block in blocks)
