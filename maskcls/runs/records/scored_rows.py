"""Which rows a run is scored on: scores can be compared, and choices counted together, where these are the same."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from itertools import islice

from maskcls import files
from maskcls.errors import ResultError
from maskcls.rundir import RunDir
from maskcls.runs.environment import Environment
from maskcls.schema import Config


def rows_scored(run: RunDir, env: Environment, cfg: Config) -> str:
    """Return what identifies the rows a run is scored on; ResultError when a table of it cannot be read."""
    rows, folds = (env.hashes.get(path.name, "") for path in (run.manifest, run.folds))
    if cfg.data.pseudo is not None or cfg.data.synth is not None:
        rows, folds = _real_hashes(run)
    every = cfg.folds.k > 1 and sorted(env.folds) == list(range(cfg.folds.k))
    return rows if every else f"{rows} {folds} {sorted(env.folds)}"


def _real_hashes(run: RunDir) -> tuple[str, str]:
    """Return the hashes of manifest.csv and folds.csv without the added rows, which are last."""
    try:
        texts = (files.read_file(path, files.RUN_FILE).decode() for path in (run.manifest, run.folds))
        tables = [io.StringIO(table, newline="").readlines() for table in texts]
        real = sum(row["source"] == "real" for row in csv.DictReader(tables[0]))
        rows, folds = (files.sha256("".join(_first(lines, real)).encode()) for lines in tables)
    except (KeyError, ValueError, csv.Error) as error:
        raise ResultError(
            "a table of the run cannot be read",
            where=str(run.manifest),
            got=repr(error),
            fix="restore it from a copy of the run",
        ) from None
    return rows, folds


def _first(lines: Sequence[str], rows: int) -> Sequence[str]:
    """Return the lines of the header and of this many rows, some of which may be several lines long."""
    reader = csv.reader(lines)
    for _ in islice(reader, rows + 1):
        pass
    return lines[: reader.line_num]
