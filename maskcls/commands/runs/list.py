"""maskcls runs list: the runs of some folders, in an order."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from maskcls.errors import ResultError, UsageError
from maskcls.rundir import RunDir
from maskcls.runs.records import Found, find_runs, is_run, read_run, shared_settings
from maskcls.show.runs.list import RunList

SORTS = ("score", "date", "time", "size", "name")


def list_runs(folders: Sequence[Path], *, base: Path | None, sort: str) -> RunList:
    """Read the runs of some folders: scores, time, size, and how their settings differ.

    base  the run whose settings the others' are compared with; None: the settings most of them share.

    Raises UsageError for an unknown order, ResultError for a folder that is not there or a base that is no run.
    """
    if sort not in SORTS:
        raise UsageError("no such order", where="--sort", got=repr(sort), expected=", ".join(SORTS))
    found = in_order([read_run(run) for run in find_runs(folders)], sort)
    settings = _base_settings(base) if base else shared_settings([one.settings for one in found if one.settings])
    return RunList(tuple(found), tuple(folders), base, settings)


def in_order(found: Sequence[Found], sort: str) -> list[Found]:
    """Return runs the best, the newest, the longest or the largest first, or by name; those without come last."""
    named = sorted(found, key=lambda one: str(one.run.path))
    if sort == "name":
        return named
    value: Callable[[Found], float | None] = {
        "score": lambda one: one.score,
        "date": lambda one: one.date.timestamp() if one.date else None,
        "time": lambda one: one.seconds,
        "size": lambda one: one.bytes,
    }[sort]
    return sorted(named, key=lambda one: math.inf if (v := value(one)) is None else -v)


def _base_settings(path: Path) -> Mapping[str, Any]:
    found = read_run(checked_run(path))
    if not found.settings:
        raise ResultError("the settings of the base cannot be read", where=str(path), got=found.fault)
    return found.settings


def checked_run(path: Path) -> RunDir:
    """Return the run at a path; ResultError when there is none."""
    if not is_run(RunDir(path)):
        expected = "a folder that maskcls train made"
        raise ResultError("this is not a run", where=str(path), expected=expected, fix="check the path")
    return RunDir(path)
