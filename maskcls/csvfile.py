"""The strict CSV reader: what a lenient reader would guess, shift or fill in is an error here.

N rows. Cells are kept as text, so ids such as `00123`, `1e5` and `NA` are unchanged. pandas' own reader shifts the
columns when every row has one field too many, fills short rows and renames repeated columns without a message; so this
module uses the csv module.
"""

from __future__ import annotations

import csv
import difflib
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from maskcls.errors import DataError, nearest
from maskcls.files import FileKind, read_file
from maskcls.spelling import appearance, misspelled_columns

if TYPE_CHECKING:
    import pandas as pd

TABLE = FileKind("the table", DataError, 256 << 20, "check the path")  # some millions of rows
MAX_COLUMNS = 1000
ROWS_AT_ONCE = 500  # too few lists to start the garbage collector
SEPARATORS = {";": "';'", "\t": "tab", "|": "'|'"}
# What a spreadsheet runs when it opens a table: = + @ also after blanks and in full width, a tab or carriage return in
# front, and - where a call, a command or a reference to another file follows; file names and ids begin with a plain -.
FORMULA = re.compile(r"[\t\r]|\s*(?:[=+@\uff1d\uff0b\uff20]|[-\uff0d].*[(|!'#\[])", re.DOTALL)
FIRST_ROW = 2  # the header is line 1, and no cell may hold a line break, so row i is on line i + 2


def refuse_formulas(cells: Iterable[str], *, fix: str) -> None:
    """Raise DataError that lists the cells that a spreadsheet would run as formulas.

    Tables are read by programs too, which join them by id, so no cell is quoted or changed.
    """
    found = [repr(cell) for cell in dict.fromkeys(cells) if FORMULA.match(cell)]
    if found:
        expected = "text that does not start with =, +, @, a tab or a carriage return, nor with - and a formula"
        raise DataError("a spreadsheet would run this text as a formula", expected=expected, fix=fix, offenders=found)


def read_csv(
    path: Path, *, required: Sequence[str], optional: Sequence[str] = (), allow_empty: bool = False
) -> pd.DataFrame:
    """Read a comma-separated UTF-8 table into a frame of text, whose index holds the line numbers.

    required     columns that must be there; the order in the file is free.
    optional     columns that may be there. A similar name ("Group" for "group") is an error, also beside the right
                 column; others are allowed.
    allow_empty  accept a header without rows.

    Returns all columns of the file as text, no cell is NA. Raises DataError that lists every wrong line or column;
    a line break inside a cell is one, because the line numbers would be wrong.
    """
    import pandas as pd  # takes half a second, and `read_columns` does not need it

    columns = _read(path, required, optional, (*required, *optional), allow_empty=allow_empty, line_breaks=False)
    count = len(next(iter(columns.values())))
    return pd.DataFrame(columns, index=pd.RangeIndex(FIRST_ROW, FIRST_ROW + count, name="line"), dtype="str")


def read_header(path: Path) -> list[str]:
    """Return the first line of a table, unchecked; [] where it is not valid CSV. Raises DataError as `read_csv`."""
    try:
        return next(csv.reader(io.StringIO(_decoded(path, _content(path)), newline=""), strict=True), [])
    except csv.Error:
        return []


def read_columns(path: Path, *, known: Sequence[str] = ()) -> dict[str, list[str]]:
    """Read a comma-separated UTF-8 table with at least one row as {column: its N cells}, in the file's order.

    known  columns the caller looks for: another spelling of one, such as "Group " for "group", is an error.

    Cells are kept as text, and may hold a line break within quotes. Raises DataError that lists every wrong line or
    column.
    """
    return _read(path, (), (), known, allow_empty=False, line_breaks=True)


def _read(
    path: Path,
    required: Sequence[str],
    optional: Sequence[str],
    known: Sequence[str],
    *,
    allow_empty: bool,
    line_breaks: bool,
) -> dict[str, list[str]]:
    text = _decoded(path, _content(path))
    header, columns = _regular(text, line_breaks) or _irregular(path, text, required, optional, line_breaks)
    _check_header(path, header, required, optional)
    if faults := misspelled_columns(header, known):
        fix = "give the column that name, or another one that does not look like it"
        raise DataError("columns are spelled differently", where=f"{path}, line 1", offenders=faults, fix=fix)
    if not columns[0] and not allow_empty:
        got, fix = f"header {', '.join(header)}", "add the rows, or use another file"
        raise DataError("the table has a header but no rows", where=str(path), got=got, fix=fix)
    return dict(zip(header, columns, strict=True))


def _content(path: Path) -> bytes:
    """Return the bytes of a table."""
    data = read_file(path, TABLE)
    if not data.strip():
        raise DataError(
            "the table is empty",
            where=str(path),
            got=f"{len(data)} bytes",
            fix="get the table again, or name another one",
        )
    return data


def _decoded(path: Path, data: bytes) -> str:
    """Decode UTF-8, with or without a byte order mark; an error names the other format that the bytes seem to have."""
    kind = _other_kind(data)
    if kind:
        raise DataError(f"this is {kind}, not a CSV table", where=str(path), fix="get the table itself")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _encoding_error(f"{path}, line {line}", _encoding(data)) from None
    if "\0" in text:
        if _encoding(data) != "unknown":
            raise _encoding_error(str(path), _encoding(data))
        lines = [f"line {n}" for n, line in enumerate(text.split("\n"), 1) if "\0" in line]
        raise DataError("the table holds NUL bytes", where=str(path), fix="save it again as text", offenders=lines)
    return text


def _other_kind(data: bytes) -> str | None:
    start = data[:200].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "an HTML page (probably a failed download)"
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer (run git lfs pull)"
    if data.startswith((b"PK\x03\x04", b"\x1f\x8b")):
        return "a compressed file or a spreadsheet"
    return None


def _encoding(data: bytes) -> str:
    """Name the encoding that text which is not UTF-8 seems to have."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or data[:2000].count(b"\0") > len(data[:2000]) // 4:
        return "UTF-16"
    if b"\0" not in data:
        for name in ("cp949", "shift_jis"):
            try:
                data.decode(name)
            except UnicodeDecodeError:
                continue
            return {"cp949": "CP949 (Korean)", "shift_jis": "Shift JIS (Japanese)"}[name]
    return "unknown"


def _encoding_error(where: str, encoding: str) -> DataError:
    got = None if encoding == "unknown" else f"probably {encoding}"
    return DataError("the table is not UTF-8 text", where=where, got=got, expected="UTF-8", fix="save it as UTF-8")


def _regular(text: str, line_breaks: bool) -> tuple[list[str], list[list[str]]] | None:
    """Return the header and the columns of a well-formed table; None for any other.

    Rows are turned into columns a block at a time: keeping a million lists would take more memory than their cells,
    and more time in the garbage collector than in reading.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        columns: list[list[str]] = [[] for _ in header]
        while block := list(itertools.islice(reader, ROWS_AT_ONCE)):
            if set(map(len, block)) != {len(header)}:
                return None
            for column, cells in zip(columns, zip(*block, strict=True), strict=True):
                column += cells
    except csv.Error:
        return None
    if not header:
        return None
    # As many lines as rows: no cell holds a line break.
    return (header, columns) if line_breaks or reader.line_num == 1 + len(columns[0]) else None


def _irregular(
    path: Path, text: str, required: Sequence[str], optional: Sequence[str], line_breaks: bool
) -> tuple[list[str], list[list[str]]]:
    """Return the header and the columns of a table with blank lines at its end; DataError for any other fault."""
    header, rows, ends = _split(path, text)
    _check_header(path, header, required, optional)
    _check_rows(path, header, rows, ends, line_breaks)
    return header, [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in header]


def _split(path: Path, text: str) -> tuple[list[str], list[list[str]], list[int]]:
    """Split text into the header, its rows, and the line after the last of each row; drop blank lines at the end."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[list[str]] = []
    ends: list[int] = []
    try:
        for row in reader:
            rows.append(row)
            ends.append(reader.line_num)
    except csv.Error as error:
        line = (ends[-1] if ends else 0) + 1
        got = "a quote that is never closed" if "end of data" in str(error) else str(error)
        raise DataError(
            "this is not valid CSV",
            where=f"{path}, line {line}",
            got=got,
            fix="save the table again as CSV, with quotes closed",
        ) from None
    while rows and not rows[-1]:
        rows.pop()
    if not rows or not rows[0]:
        raise DataError(
            "the first line holds no column names",
            where=f"{path}, line 1",
            fix="write the names of the columns into the first line",
        )
    return rows[0], rows[1:], ends


def _check_header(path: Path, header: list[str], required: Sequence[str], optional: Sequence[str]) -> None:
    if len(header) > MAX_COLUMNS:
        raise DataError("too many columns", where=str(path), got=str(len(header)), expected=f"at most {MAX_COLUMNS}")
    check_separator(path, header, required)
    faults = [f"{name!r} occurs {n} times" for name, n in Counter(header).items() if n > 1]
    faults += [_missing(name, header, required) for name in required if name not in header]
    faults += [
        f"{near!r}: did you mean {name!r}?"
        for name in optional
        if name not in header and (near := _near_miss(name, [h for h in header if h not in required]))
    ]
    if faults:
        got = _shown(header)
        expected = ", ".join(required) + (f"; optional: {', '.join(optional)}" if optional else "")
        raise DataError("the columns are wrong", where=f"{path}, line 1", got=got, expected=expected, offenders=faults)


def check_separator(path: Path, header: Sequence[str], required: Sequence[str]) -> None:
    """Raise DataError for a header without these columns that seems to be separated by something else than commas."""
    for separator, name in SEPARATORS.items():
        parts = [part.strip() for part in ",".join(header).split(separator)]
        if len(parts) > 1 and (len(header) == 1 or set(required) <= set(parts)) and not set(required) <= set(header):
            fix = "save the table with commas"
            raise DataError(f"the table looks {name} separated", where=str(path), expected="commas", fix=fix)


def _shown(header: Sequence[str]) -> str:
    return ", ".join(map(repr, header[:20])) + (" …" if len(header) > 20 else "")


def _missing(name: str, header: list[str], required: Sequence[str]) -> str:
    others = [found for found in header if found not in required]
    near = _near_miss(name, others) or nearest(name, others)
    return f"{name!r} is missing" + (f" (found {near!r})" if near is not None else "")


def _near_miss(name: str, found: Sequence[str]) -> str | None:
    """Return a column that probably means `name`: with spaces around it, in another case, or with one wrong letter."""
    for other in found:
        if appearance(other).casefold() == appearance(name).casefold():
            return other
    return next(iter(difflib.get_close_matches(name, found, n=1, cutoff=0.85)), None)


def _check_rows(path: Path, header: list[str], rows: list[list[str]], ends: list[int], line_breaks: bool) -> None:
    width = len(header)
    faults = []
    if ends[0] > 1 and not line_breaks:
        faults.append("line 1: a line break inside a cell")
    for i, row in enumerate(rows):
        if ends[i + 1] != ends[i] + 1 and not line_breaks:
            faults.append(f"line {ends[i] + 1}: a line break inside a cell")
        if len(row) != width:
            faults.append(f"line {ends[i] + 1}: {f'{len(row)} fields' if row else 'blank'}")
    if faults:
        expected = f"{width} fields in every row, as in the header: {_shown(header)}"
        expected += "" if line_breaks else "; every row on one line"
        raise DataError("rows do not fit the header", where=str(path), expected=expected, offenders=faults)
