"""Write a table block by block, as CSV, Parquet or lines of JSON: only one block is in memory."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, Literal, assert_never, get_args

import numpy as np

from maskcls.config.installed_extras import check_extra
from maskcls.csvfile import refuse_formulas
from maskcls.results.predicted.rows import Kind, PhotoRows, TableForm, shortest

TableFormat = Literal["csv", "parquet", "jsonl"]


def format_of(path: Path, given: TableFormat | None) -> TableFormat:
    """Return the format of an output: the given one, else that of the suffix, else CSV.

    Raises ResourceError for Parquet when pyarrow is not installed.
    """
    suffix = path.suffix.lower().removeprefix(".")
    formats: tuple[TableFormat, ...] = get_args(TableFormat)
    found: TableFormat = next((name for name in formats if name == suffix), "csv") if given is None else given
    if found == "parquet":
        check_extra("parquet", needed_by=str(path))
    return found


def write_table(handle: BinaryIO, name: TableFormat, form: TableForm, blocks: Iterable[PhotoRows]) -> None:
    """Write a table with these rows into an open file.

    csv      UTF-8, `\\n` line ends, quotes only where needed; an empty cell for None; a float32 in its shortest form.
    jsonl    one object per line, its keys as the columns; null for None.
    parquet  text, int64 and float32 columns, one row group per block; null for None.
    """
    match name:
        case "csv":
            _write_csv(handle, form, blocks)
        case "jsonl":
            _write_jsonl(handle, form, blocks)
        case "parquet":
            _write_parquet(handle, form, blocks)
        case _:
            assert_never(name)


def _write_csv(handle: BinaryIO, form: TableForm, blocks: Iterable[PhotoRows]) -> None:
    handle.write(_csv_lines([list(form.kinds)]))
    for rows in blocks:
        refuse_formulas(rows.names, fix="rename these photos")
        # The csv module writes a float32 in full as a float64, so it gets the text.
        columns = [[str(c) if isinstance(c, np.float32) else c for c in cells] for cells in form.cells(rows).values()]
        handle.write(_csv_lines(zip(*columns, strict=True)))


def _csv_lines(rows: Iterable[Iterable[object]]) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_MINIMAL).writerows(rows)
    return buffer.getvalue().encode()


def _write_jsonl(handle: BinaryIO, form: TableForm, blocks: Iterable[PhotoRows]) -> None:
    for rows in blocks:
        cells = form.cells(rows)
        columns = [[shortest(c) if isinstance(c, np.float32) else c for c in column] for column in cells.values()]
        lines = (dict(zip(cells, row, strict=True)) for row in zip(*columns, strict=True))
        handle.write("".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in lines).encode())


def _write_parquet(handle: BinaryIO, form: TableForm, blocks: Iterable[PhotoRows]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types: dict[Kind, Any] = {"text": pa.string(), "whole": pa.int64(), "share": pa.float32()}
    schema = pa.schema([(name, types[kind]) for name, kind in form.kinds.items()])
    with pq.ParquetWriter(handle, schema) as writer:
        for rows in blocks:
            arrays = [pa.array(c, field.type) for c, field in zip(form.cells(rows).values(), schema, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
