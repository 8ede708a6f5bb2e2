"""What the verbs of `maskcls config` print, and the table of settings of a dry run."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from shutil import get_terminal_size
from typing import Any

from maskcls import config
from maskcls.config.overrides import written
from maskcls.schema import Config
from maskcls.schema.options import NONE, Option, OptionSection
from maskcls.show.terminal.json_output import print_document, print_json
from maskcls.show.terminal.text import say_whole, show

COLUMNS = 80  # where the output is no terminal
WIDEST_VALUE = 40  # columns of a table of settings: a longer value is broken, so that its origin stays beside it


def print_options(sections: Sequence[OptionSection], *, json: bool = False) -> None:
    """Print options with what they take, their defaults and their descriptions, in lines as wide as the terminal."""
    if json:
        print_json({"options": [_option_data(section, option) for section in sections for option in section.options]})
        return
    width = get_terminal_size().columns if sys.stdout.isatty() else COLUMNS
    say_whole("\n".join(line for section in sections for line in _section_lines(section, width)).rstrip("\n") + "\n")


def _section_lines(section: OptionSection, width: int) -> Iterator[str]:
    if section.name:
        yield from textwrap.wrap(f"{section.name}: {section.help}", width)
        yield ""
    for option in section.options:
        given = "must be given" if option.default is NONE else f"default {written(option.default)}"
        yield from textwrap.wrap(f"{option.key}  ({given})", width, subsequent_indent="    ", initial_indent="  ")
        indent = " " * 4
        for text in (option.allowed, option.help):
            yield from textwrap.wrap(
                text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
            )
        yield ""


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


def print_settings(cfg: Config, origins: Mapping[str, str], *, json: bool = False) -> None:
    """Print a table of settings, values and origins; defaults are dim.

    A setting without an origin was added when a task's network got the normalisation of its own backbone.
    """
    if json:
        print_json({"config": cfg.model_dump(mode="json"), "origins": dict(origins)})
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("setting", "value", "origin"):
        table.add_column(name, overflow="fold", max_width=WIDEST_VALUE if name == "value" else None)
    for key, value in config.flatten(cfg.model_dump(mode="json")).items():
        origin = origins.get(key, config.BACKBONE)
        table.add_row(key, written(value), origin, style="dim" if origin == "default" else "")
    show(table)


def print_settings_file(cfg: Config) -> None:
    """Print the settings as a file that --config takes."""
    say_whole(config.to_yaml(cfg))


def print_schema(schema: Mapping[str, Any]) -> None:
    """Print a JSON schema, which has a form of its own and no version of ours."""
    print_document(schema)
