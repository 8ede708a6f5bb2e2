"""What `maskcls predict` prints of single photos, and of the tables it wrote for many."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table
from rich.text import Text

from maskcls.labels import UNKNOWN, LabelSpace
from maskcls.results.predicted.rows import PhotoRows, TableForm, shortest
from maskcls.results.predicted.table_file import WrittenTable
from maskcls.show.terminal.json_output import NONE, Versions, print_json
from maskcls.show.terminal.text import near, plain_table, plural, say, show

BAR = 24  # characters of a probability of 1, for one photo
SHORT_BAR = 4
FULL, SHARES = "█", "▏▎▍▌▋▊▉"  # a whole character, and its eighths


def print_photos(rows: PhotoRows, space: LabelSpace, *, versions: Versions = NONE, json: bool = False) -> None:
    """Print the classes of a few photos with their probabilities; one photo with those of every class."""
    if json:
        photos = [_in_json(rows, row, space) for row in range(len(rows))]
        print_json({"photos": photos, "other_versions": dict(versions)})
    elif len(rows) == 1:
        _print_one(rows, space)
    else:
        show(_several(rows, space))


def print_tables(tables: Sequence[WrittenTable], *, versions: Versions = NONE, json: bool = False) -> None:
    """Print the tables that were written; of JSON, the keys of the first are those of a submission."""
    if json:
        first, *others = map(_table_in_json, tables)
        print_json(first | {"tables": [first, *others], "other_versions": dict(versions)})
        return
    for table in tables:
        bad = f", {table.unreadable:,} of them unreadable" if table.unreadable else ""
        say(f"{near(table.path.absolute())}  {plural(table.rows, 'row')}{bad}")
        say(f"{near(table.sidecar.absolute())}  provenance: model and data hashes")


def print_shard(folder: Path, photos: int, unreadable: int, *, versions: Versions = NONE, json: bool = False) -> None:
    """Print the folder of a shard, and what to do with it."""
    if json:
        about = {"folder": str(folder), "photos": photos, "unreadable": unreadable}
        print_json({**about, "other_versions": dict(versions)})
        return
    bad = f", {unreadable:,} of them unreadable" if unreadable else ""
    say(f"{near(folder.absolute())}  {plural(photos, 'photo')}{bad}")
    say("when all shards are there: maskcls predict --gather FOLDER… -o FILE")


def bar(share: float, width: int) -> str:
    """Draw a share as a bar of at most `width` characters, in eighths of a character.

    >>> bar(0.5, 4), bar(1.0, 2), bar(0.0, 4), bar(0.28125, 4)
    ('██', '██', '', '█▏')
    """
    eighths: int = round(share * width * 8)
    whole, rest = divmod(eighths, 8)
    return FULL * whole + ("" if rest == 0 else SHARES[rest - 1])


def _print_one(rows: PhotoRows, space: LabelSpace) -> None:
    say(rows.names[0])
    if rows.errors[0]:
        say(f"  cannot be read: {rows.errors[0]}")
        return
    shares, label = space.marginals(rows.prob_NJ), int(rows.label_N[0])
    say(f"  predicted (*): {space.joint_names[label]}, joint class {label}")
    decided = space.decode(rows.label_N)
    table = plain_table("task")
    for heading in ("", "class"):
        table.add_column(heading, no_wrap=True)
    table.add_column("probability", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, width=BAR)
    for task in space.tasks:
        for c, name in enumerate(task.classes):
            share, chosen = float(shares[task.name][0, c]), c == int(decided[task.name][0])
            mark = "*" if chosen else ""
            table.add_row(task.name if c == 0 else "", mark, name, f"{share:.3f}", bar(share, BAR))
    show(table)


def _several(rows: PhotoRows, space: LabelSpace) -> Table:
    shares, decided = space.marginals(rows.prob_NJ), space.decode(rows.label_N)
    table = plain_table("photo")
    for task in space.tasks:
        table.add_column(task.name, no_wrap=True)
    for row, name in enumerate(rows.names):
        if rows.label_N[row] == UNKNOWN:
            # In the column that may be broken: the reason is longer than a class.
            table.add_row(f"{name}: cannot be read: {rows.errors[row]}")
            continue
        cells = []
        for task in space.tasks:
            c = int(decided[task.name][row])
            share, widest = float(shares[task.name][row, c]), max(map(len, task.classes))
            cells.append(Text(f"{task.classes[c]:{widest}} {share:.2f} {bar(share, SHORT_BAR):{SHORT_BAR}}"))
        table.add_row(name, *cells)
    return table


def _in_json(rows: PhotoRows, row: int, space: LabelSpace) -> dict[str, Any]:
    one = PhotoRows(
        rows.names[row : row + 1], rows.prob_NJ[row : row + 1], rows.label_N[row : row + 1], rows.errors[row : row + 1]
    )
    cells = TableForm(space, probabilities=True, errors=True).cells(one)
    found = {name: column[0] for name, column in cells.items()}
    return {name: shortest(cell) if isinstance(cell, np.float32) else cell for name, cell in found.items()}


def _table_in_json(table: WrittenTable) -> dict[str, Any]:
    return {
        "file": str(table.path),
        "sha256": table.sha256,
        "rows": table.rows,
        "unreadable": table.unreadable,
        "provenance": str(table.sidecar),
    }
