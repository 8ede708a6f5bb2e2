"""maskcls runs list: the runs of some folders, in an order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from maskcls.errors import ResultError, UsageError
from maskcls.runs.records.finding import checked_run, find_runs
from maskcls.runs.records.order import SORTS, in_order
from maskcls.runs.records.record import read_record
from maskcls.runs.records.settings import shared_settings
from maskcls.show.runs.run_list import RunList


def list_runs(folders: Sequence[Path], *, base: Path | None, sort: str) -> RunList:
    """Read the runs of some folders: scores, time, size, and how their settings differ.

    base  the run whose settings the others' are compared with; None: the settings most of them share.

    Raises UsageError for an unknown order, ResultError for a folder that is not there or a base that is no run.
    """
    if sort not in SORTS:
        raise UsageError("no such order", where="--sort", got=repr(sort), expected=", ".join(SORTS))
    found = in_order([read_record(run) for run in find_runs(folders)], sort)
    settings = _base_settings(base) if base else shared_settings([one.settings for one in found if one.settings])
    return RunList(tuple(found), tuple(folders), base, settings)


def _base_settings(path: Path) -> Mapping[str, Any]:
    found = read_record(checked_run(path))
    if not found.settings:
        raise ResultError("the settings of the base cannot be read", where=str(path), got=found.fault)
    return found.settings
