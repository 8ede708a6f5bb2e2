"""Results as text on stdout: lines, tables, and numbers written the same way in all of them."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from shutil import get_terminal_size
from textwrap import TextWrapper
from typing import TYPE_CHECKING, TextIO

from maskcls.groupnouns import PEOPLE, Noun

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from maskcls.results.scores.intervals import PredictionInterval

KAPPA = "kappa: agreement beyond chance; 1: always equal, 0: as by chance"
NO_GAIN = "no proven gain: the interval is not above 0"


def say(text: str = "", indent: int | None = None) -> None:
    """Print lines of a result; a terminal breaks them between words, see `wrapped`."""
    print(wrapped(text, indent, sys.stdout))


def say_whole(text: str) -> None:
    """Print a document as it is, such as YAML, whose lines must not be broken; it ends its own last line."""
    print(text, end="")


def show(what: RenderableType) -> None:
    """Print tables and text: no figure is cut, names are broken where needed.

    Files and pipes keep every line whole, unless COLUMNS says how wide they are.
    """
    from rich.columns import Columns
    from rich.console import Console, Group
    from rich.table import Table

    from maskcls.show.terminal.table_width import WIDEST, fit_table

    if isinstance(what, Group):
        for part in what.renderables:
            show(part)
        return
    if isinstance(what, str):
        say(what)
        return
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ and not isinstance(what, Columns):
        console.width = WIDEST
    for part in what.renderables if isinstance(what, Columns) else [what]:
        if isinstance(part, Table):
            console.width = max(console.width, fit_table(part, console.width))
    console.print(what)


def show_whole(table: Table) -> None:
    """Print a table as wide as its content: no cell is broken, whatever the width of the terminal."""
    from rich.console import Console

    from maskcls.show.terminal.table_width import WIDEST

    Console(highlight=False, markup=False, emoji=False, width=WIDEST).print(table)


def wrapped(text: str, indent: int | None, stream: TextIO) -> str:
    """Break lines between words where the stream is a terminal; files and pipes keep them whole.

    indent  spaces before what follows the first part of a line; None: two more than the line itself starts with.
    """
    if not stream.isatty():
        return text
    width = get_terminal_size().columns
    return "\n".join(_broken(line, _start(line) + 2 if indent is None else indent, width) for line in text.split("\n"))


def _start(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _broken(line: str, indent: int, width: int) -> str:
    lines = TextWrapper(
        width,
        subsequent_indent=" " * indent,
        replace_whitespace=False,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines.fill(line)


def near(path: Path) -> Path:
    """Return a path from the working folder, where it is below that."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def plain_table(first: str, *numbers: str, width: int = 12) -> Table:
    """Return an empty table: a text column of at least `width` characters, then columns of numbers, kept whole."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True, header_style="")
    table.add_column(first, overflow="fold", min_width=width)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def number(value: float | None, digits: int = 4, *, sign: bool = False) -> str:
    """Write a score; a dash where there is none.

    >>> number(0.5), number(0.5, 2, sign=True), number(None), number(float("nan"))
    ('0.5000', '+0.50', '-', '-')
    """
    if value is None or math.isnan(value):
        return "-"
    return f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"


def span(low: float, high: float, *, sign: bool = False) -> str:
    """Write the two ends of an interval.

    >>> span(-0.01, 0.02, sign=True)
    '-0.0100 to +0.0200'
    """
    return f"{number(low, sign=sign)} to {number(high, sign=sign)}"


def new_people(found: PredictionInterval, of: str = "people") -> str:
    """Write where the score of new people may lie.

    >>> from maskcls.results.scores.intervals import PredictionInterval
    >>> new_people(PredictionInterval(0.5, 0.75, 1200, 0.95))
    'the score of 1,200 new people lies within 0.5000 to 0.7500 with 95 % probability'
    """
    ends = span(found.low, found.high)
    return f"the score of {found.people:,} new {of} lies within {ends} with {percent(found.level)} probability"


def number_or_dash(count: int | None) -> str:
    """Write a count; a dash where it is not known.

    >>> number_or_dash(1200), number_or_dash(None)
    ('1,200', '-')
    """
    return "-" if count is None else f"{count:,}"


def whose(noun: Noun) -> str:
    """Return what averaging within groups must know of a photo.

    >>> whose(("person", "people")), whose(("patient", "patients"))
    ('who is on each photo', 'the patient of each photo')
    """
    return "who is on each photo" if noun == PEOPLE else f"the {noun[0]} of each photo"


def percent(share: float) -> str:
    """Write a share in percent, with three digits where they differ from 0.

    >>> percent(0.95), percent(0.98333)
    ('95 %', '98.3 %')
    """
    return f"{share * 100:.3g} %"


def classes_scored(scored: int, classes: int) -> str:
    """Return ", 15 of 18 classes scored", or "" where the macro-F1 is over all classes.

    >>> classes_scored(15, 18), classes_scored(18, 18)
    (', 15 of 18 classes scored', '')
    """
    return f", {scored:,} of {classes:,} classes scored" if scored < classes else ""


def number_of(count: int, noun: Noun) -> str:
    """Write a count with its noun, which is given for one and for several.

    >>> number_of(1, ("photo", "photos")), number_of(1200, ("family", "families"))
    ('1 photo', '1,200 families')
    """
    return f"{count:,} {noun[count != 1]}"


def trained_folds(folds: Sequence[int], k: int) -> str:
    """Write which of k folds are trained.

    >>> trained_folds([0], 5), trained_folds([0, 2], 5), trained_folds(range(5), 5), trained_folds([0], 1)
    ('fold 0 of 5', 'folds 0, 2 of 5', '5 folds', '1 fold')
    """
    if len(folds) == k:
        return plural(k, "fold")
    return f"fold{'' if len(folds) == 1 else 's'} {', '.join(map(str, folds))} of {k}"


def plural(count: int, name: str) -> str:
    """Write a count with its noun.

    >>> plural(1, "photo"), plural(1200, "photo"), plural(2, "person")
    ('1 photo', '1,200 photos', '2 people')
    """
    if name.endswith("person"):
        many = name.removesuffix("person") + "people"
    else:
        many = f"{name}es" if name.endswith("ss") else f"{name}s"
    return f"{count:,} {name if count == 1 else many}"
