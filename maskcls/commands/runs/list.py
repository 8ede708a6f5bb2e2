"""maskcls runs list: the runs of some folders, in an order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from maskcls.errors import MaskclsError, ResultError, UsageError
from maskcls.results.comparison.many import best_of
from maskcls.results.comparison.optimism import optimism_of_best
from maskcls.results.rows_by_id import find_rows
from maskcls.runs.choices.register import read_register, rows_key
from maskcls.runs.choices.search_result import FinishedSearch, read_search, study_of
from maskcls.runs.choices.tried import tried_digest
from maskcls.runs.choices.tried_rows import counts_of
from maskcls.runs.read_labelled import parts_of, read_out_of_fold
from maskcls.runs.records.finding import checked_run, find_runs
from maskcls.runs.records.order import SORTS, in_order
from maskcls.runs.records.record import RunRecord, read_record
from maskcls.runs.records.settings import shared_settings
from maskcls.runs.repeats.repeat_runs import is_repeat
from maskcls.show.runs.run_list import BestRun, RunList


def list_runs(folders: Sequence[Path], *, base: Path | None, sort: str) -> RunList:
    """Read the runs of some folders: scores, time, size, and how their settings differ.

    base  the run whose settings the others' are compared with; None: the settings most of them share.

    Raises UsageError for an unknown order, ResultError for a folder that is not there or a base that is no run.
    """
    if sort not in SORTS:
        raise UsageError("no such order", where="--sort", got=repr(sort), expected=", ".join(SORTS))
    found = in_order([read_record(run) for run in find_runs(folders)], sort)
    settings = _base_settings(base) if base else shared_settings([one.settings for one in found if one.settings])
    return RunList(tuple(found), tuple(folders), base, settings, best_run(found), _searches(found))


def _searches(found: Sequence[RunRecord]) -> tuple[FinishedSearch, ...]:
    """Return the searches whose trials are among the runs, without those that have no result or a damaged one."""
    results = []
    for study in dict.fromkeys(study for one in found if (study := study_of(one.run)) is not None):
        with suppress(ResultError):
            results.append(read_search(study))
    return tuple(one for one in results if one is not None)


def best_run(found: Sequence[RunRecord]) -> BestRun | None:
    """Score the best run among those of the same rows when it is chosen on other people; None with fewer than two.

    Runs that cannot be read are in the list as broken, and left out here.
    """
    scored = [one for one in found if one.score is not None and one.state == "finished" and one.scored_on]
    scored = [one for one in scored if not is_repeat(one.run)]  # nobody chooses among the repeats of a run
    if not scored:
        return None
    top = max(scored, key=lambda one: one.score or 0.0)
    try:
        listed_runs = [one for one in scored if one.scored_on == top.scored_on]
        same_rows = [read_out_of_fold(one.run) for one in listed_runs]
        rows, first = rows_key(top.scored_on), same_rows[0]
        if len(same_rows) < 2 or len(np.unique(first.people_N)) < 2:  # type: ignore[arg-type] # a run's people are known
            return None
        labels = [one.pred_N[find_rows(one.ids, first.ids, name="")] for one in same_rows]
        best = best_of(labels, first.space.encode(first.truth), parts_of(first), first.space.size)
        known = {choice.what for choice in read_register(top.run).of("run", rows)}
        tried = len(known | {tried_digest(one.run, known) for one in listed_runs})
        optimism = optimism_of_best(counts_of(first, labels), runs=tried)
        return BestRun(tuple(str(one.run.path) for one in listed_runs), tried, best, optimism, first.noun)
    except MaskclsError:
        return None


def _base_settings(path: Path) -> Mapping[str, Any]:
    found = read_record(checked_run(path))
    if not found.settings:
        raise ResultError(
            "the settings of the base cannot be read",
            where=str(path),
            got=found.fault,
            fix="name another run with --base",
        )
    return found.settings
