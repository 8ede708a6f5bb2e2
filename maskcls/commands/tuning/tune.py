"""maskcls tune: search for settings that score better, by trials that are runs."""

from __future__ import annotations

from collections.abc import Callable

from maskcls.results.search.study import SearchStudy
from maskcls.rundir import RunDir
from maskcls.runs.records.unsealed import SealedScore
from maskcls.tuning.claims import OpenStudy
from maskcls.tuning.keep import Strip, free_disk
from maskcls.tuning.trial_table import search_study, write_trial_table
from maskcls.tuning.winner import SearchResult, honest_score, register_trials, run_of, write_winner
from maskcls.tuning.worker import Limits, TrainTrial, Worker, work


def run_worker(
    opened: OpenStudy,
    limits: Limits,
    *,
    keep: int,
    train: TrainTrial,
    strip: Strip,
    show: Callable[[SearchStudy], object],
    quiet: bool = False,
) -> None:
    """Do trials in this process until the search ends.

    train, strip  what the verbs train, resume and runs prune do.
    show          gets the study behind each trial.
    """

    def after() -> None:
        study = search_study(opened)
        show(study)
        free_disk(opened, study, keep, strip)
        write_trial_table(opened, study)

    work(Worker(opened, train, limits, after, quiet))


def end_search(
    opened: OpenStudy, *, keep: int, strip: Strip, unseal: Callable[[RunDir], SealedScore | None]
) -> SearchResult:
    """Write the table, the score of the best trial for new people, and its configuration.

    unseal  scores a run on its sealed people; called for the best trial alone, and only where people are sealed and no
            trial is left to do.
    """
    study = search_study(opened)
    free_disk(opened, study, keep, strip)
    left, best, sealed = study.count("running"), study.best, None
    if best is not None and opened.base.folds.sealed and not left:
        sealed = unseal(run_of(opened, best))
    kept = tuple(str(run_of(opened, one).path) for one in study.ranked[:keep])
    result = SearchResult(study, honest_score(opened, study, sealed), kept, left)
    register_trials(opened, study)
    write_trial_table(opened, study)
    write_winner(opened, result)
    return result
