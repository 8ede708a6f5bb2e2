"""Options and resolved configurations: as text of 80 columns, as a table, as JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from maskcls import config
from maskcls.schema import Config
from maskcls.schema.options import NONE, Option, OptionSection

COLUMNS = 80
VERSION = 1  # of the JSON below


def options_text(sections: Sequence[OptionSection]) -> str:
    """Write options with what they take, their defaults and their descriptions, in lines of at most 80 columns."""
    return "\n".join(line for section in sections for line in _section_lines(section))


def _section_lines(section: OptionSection) -> Iterator[str]:
    if section.name:
        yield from textwrap.wrap(f"{section.name}: {section.help}", COLUMNS)
        yield ""
    for option in section.options:
        given = "must be given" if option.default is NONE else f"default {plain(option.default)}"
        yield from textwrap.wrap(f"{option.key}  ({given})", COLUMNS, subsequent_indent="    ", initial_indent="  ")
        indent = " " * 4
        for text in (option.allowed, option.help):
            yield from textwrap.wrap(
                text, COLUMNS, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
            )
        yield ""


def options_json(sections: Sequence[OptionSection]) -> str:
    """Write options as one JSON object."""
    options = [_option_data(section, option) for section in sections for option in section.options]
    return json.dumps({"version": VERSION, "options": options}, ensure_ascii=False, indent=2)


def _option_data(section: OptionSection, option: Option) -> dict[str, Any]:
    return {
        "key": option.key,
        "section": section.name or None,
        "help": option.help,
        "allowed": option.allowed,
        "choices": list(option.choices),
        "required": option.default is NONE,
        "default": None if option.default is NONE else option.default,
    }


def settings_rows(cfg: Config, origins: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return key, value and origin of every setting, as text."""
    settings = config.flatten(cfg.model_dump(mode="json"))
    return [(key, plain(value), origins[key]) for key, value in settings.items()]


def settings_json(cfg: Config, origins: Mapping[str, str]) -> str:
    """Write a resolved configuration as one JSON object."""
    data = {"version": VERSION, "config": cfg.model_dump(mode="json"), "origins": dict(origins)}
    return json.dumps(data, ensure_ascii=False, indent=2)


def print_settings(cfg: Config, origins: Mapping[str, str]) -> None:
    """Print a table of settings, values and origins; defaults are dim."""
    from rich.console import Console
    from rich.table import Table

    table = Table("setting", "value", "origin", box=None, pad_edge=False, header_style="bold")
    for key, value, origin in settings_rows(cfg, origins):
        table.add_row(key, value, origin, style="dim" if origin == "default" else "")
    Console(highlight=False).print(table)


def plain(value: object) -> str:
    """Write a value as it may be given on the command line."""
    return json.dumps(value, ensure_ascii=False)
