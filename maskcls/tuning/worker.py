"""One worker of a study: it takes trials, trains them and records how each ended, until nothing is left to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from maskcls.config.validation import without_automatic_baseline
from maskcls.errors import MaskclsError, ResultError, Stopped
from maskcls.machine import machine_error
from maskcls.rundir import RunDir
from maskcls.runs.summary import read_summary
from maskcls.schema import Config
from maskcls.tuning.claims import FOLDS, SPENT, WHY, Claim, OpenStudy, Wait, beating, give_back, next_claim
from maskcls.tuning.pruning import TrialPrunedError, epoch_pruner, worse_over_folds
from maskcls.tuning.space.check_space import epochs_compare
from maskcls.tuning.space.trial_config import with_values
from maskcls.tuning.storage import quiet_optuna, storage_errors
from maskcls.tuning.trial_reporter import OutOfTimeError, TrialReporter
from maskcls.tuning.worker_files import living

if TYPE_CHECKING:
    from optuna.trial import TrialState

POLL_S = 1.0  # between two looks at the trials of other workers
MOST_FAILURES = 5  # in a row, of one worker, after which the search ends


class TrainTrial(Protocol):
    """Trains a trial, or continues its training; raises what that raises."""

    def __call__(self, cfg: Config, run: RunDir, report: TrialReporter, *, begun: bool) -> object:
        """Train the run with this configuration. begun: there is a part of it."""


@dataclass
class Limits:
    """When a worker ends.

    trials    of the study, those of earlier commands included; None: no limit.
    deadline  on the clock of `time.monotonic`; None: no limit.
    """

    trials: int | None = None
    deadline: float | None = None

    @property
    def over(self) -> bool:
        """Whether the time is over."""
        return self.deadline is not None and time.monotonic() >= self.deadline


@dataclass
class Worker:
    """What one worker has, for all its trials.

    after  called behind each trial that ended, without the study's lock.
    quiet  nothing is shown while a trial is trained.
    """

    opened: OpenStudy
    train: TrainTrial
    limits: Limits
    after: Callable[[], object]
    quiet: bool = False
    trials_begun: int = 0
    failures: list[str] = field(default_factory=list)


def work(worker: Worker) -> None:
    """Do trials until the study has enough of them, the time is over, or too many failed in a row (ResultError).

    A trial that is stopped, by the end of the time, Ctrl-C or SIGTERM, becomes a waiting one, which a later command
    continues. The first trial is finished whatever the time, so that a search has a result.
    """
    opened = worker.opened
    with living(opened.folder) as name, storage_errors(opened.facts.storage):
        while not worker.limits.over or not _any_result(opened):
            claim = next_claim(opened, name, worker.limits.trials)
            if claim is None:
                return
            if isinstance(claim, Wait):
                time.sleep(POLL_S)
                continue
            _do(worker, claim)
            worker.after()
            if len(worker.failures) >= MOST_FAILURES:
                raise ResultError(
                    f"{MOST_FAILURES} trials failed one after the other",
                    where=str(opened.folder.path),
                    offenders=worker.failures,
                    fix="correct the space or the base configuration; the same command goes on with further trials",
                )


def _any_result(opened: OpenStudy) -> bool:
    return any(one.state.name == "COMPLETE" for one in opened.trials)


def _do(worker: Worker, claim: Claim) -> None:
    """Train a trial and record its end."""
    from optuna.trial import TrialState

    worker.trials_begun += 1
    opened, started, report = worker.opened, time.monotonic(), _reporter(worker, claim)
    try:
        with beating(opened, claim), quiet_optuna(), report:
            score = _trained(worker, claim, report)
    except (OutOfTimeError, KeyboardInterrupt, Stopped) as stop:
        _spend(claim, started, report)
        give_back(opened, claim)
        if not isinstance(stop, OutOfTimeError):
            raise
        return
    except TrialPrunedError as pruned:
        _end(worker, claim, TrialState.PRUNED, None, str(pruned), started, report)
        return
    except Exception as error:
        known = error if isinstance(error, MaskclsError) else machine_error(error)
        why = _in_one_line(known) if known is not None else f"a bug: {type(error).__name__}: {error}"
        _end(worker, claim, TrialState.FAIL, None, why, started, report)
        if known is None:
            raise
        return
    _end(worker, claim, TrialState.COMPLETE, score, "", started, report)


def _trained(worker: Worker, claim: Claim, report: TrialReporter) -> float:
    """Train and return the macro-F1 of the trial's out-of-fold rows."""
    where = f"trial {claim.number}"
    cfg = without_automatic_baseline(with_values(worker.opened.base, claim.values, where=where))
    worker.train(cfg, claim.run, report, begun=claim.begun)
    summary = read_summary(claim.run)
    score = summary.pooled.macro_f1 if summary is not None and summary.pooled is not None else None
    if score is None:
        raise ResultError("the trial has no score", where=where, fix="search on rows whose labels are known")
    return score


def _end(
    worker: Worker,
    claim: Claim,
    state: TrialState,
    value: float | None,
    why: str,
    started: float,
    report: TrialReporter,
) -> None:
    from optuna.exceptions import UpdateFinishedTrialError
    from optuna.trial import TrialState

    if state == TrialState.FAIL:
        worker.failures.append(f"trial {claim.number}: {why}")
    else:
        worker.failures.clear()
    try:
        _spend(claim, started, report)
        if why:
            claim.trial.set_user_attr(WHY, why)
        worker.opened.storage.set_trial_state_values(claim.trial._trial_id, state, None if value is None else [value])
    except UpdateFinishedTrialError:
        report.note(f"trial {claim.number} was taken over by another worker, as this one gave no sign of life")


def _spend(claim: Claim, started: float, report: TrialReporter) -> None:
    seconds, epochs = claim.trial.user_attrs.get(SPENT, (0.0, 0))
    spent = [round(seconds + time.monotonic() - started, 2), epochs + report.epochs_trained]
    claim.trial.set_user_attr(SPENT, spent)


def _in_one_line(error: MaskclsError) -> str:
    found = (("where", error.where), ("got", error.got), ("expected", error.expected))
    parts = [error.what, *(f"{name}: {value}" for name, value in found if value), *error.offenders[:2]]
    return "; ".join(" ".join(part.split()) for part in parts)


def _reporter(worker: Worker, claim: Claim) -> TrialReporter:
    """Return the reporter of a trial, which compares it with the others."""
    opened, facts = worker.opened, worker.opened.facts
    compared = facts.prune_epochs != "none" and epochs_compare(opened.space)
    opened.study.pruner = epoch_pruner(facts.prune_epochs, opened.base.train.epochs)
    first = not _any_result(opened)

    def bad_epoch(epoch: int, score: float) -> str | None:
        if not compared:
            return None
        if epoch - 1 not in dict(_known_epochs(claim)):
            claim.trial.report(score, epoch - 1)
        if not claim.trial.should_prune():
            return None
        return f"epoch {epoch} of fold 0 scored {score:.4f}, worse than others ({facts.prune_epochs})"

    def bad_folds(scores: Mapping[str, float]) -> str | None:
        claim.trial.set_user_attr(FOLDS, dict(scores))
        if facts.prune_folds == "none" or (best := _best_folds(opened)) is None:
            return None
        p = worse_over_folds(scores, best)
        return None if p is None else f"worse than the best trial in {len(scores)} folds (Wilcoxon, p {p:.3f})"

    return TrialReporter(
        f"trial {claim.number}",
        quiet=worker.quiet,
        first=worker.trials_begun == 1,
        deadline=None if first else worker.limits.deadline,
        bad_epoch=bad_epoch,
        bad_folds=bad_folds,
        fold_scores=claim.trial.user_attrs.get(FOLDS, {}),
    )


def _known_epochs(claim: Claim) -> Mapping[int, float]:
    return claim.trial.study._storage.get_trial(claim.trial._trial_id).intermediate_values


def _best_folds(opened: OpenStudy) -> Mapping[str, float] | None:
    done = [one for one in opened.trials if one.state.name == "COMPLETE" and one.value is not None]
    best = max(done, key=lambda one: one.value or 0.0, default=None)
    return None if best is None else best.user_attrs.get(FOLDS)
