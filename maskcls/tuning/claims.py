"""Which trial a worker does next: one that was left by a dead worker, a waiting one, or a new one.

Everything here happens under the study's lock, so that no trial is given twice. A trial in work becomes a waiting one
again when its worker died: it keeps its number, its settings and its run, which is resumed. No second trial is made for
it, as Optuna's own retry does, so that a process that dies in between loses and doubles nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from maskcls.machine.repeated import repeated
from maskcls.rundir import RunDir, StudyDir
from maskcls.runs.locks.waiting_lock import waiting_lock
from maskcls.schema import Config
from maskcls.tuning.facts import StudyFacts
from maskcls.tuning.samplers import best_of_stage, grid_points, params_of, sampler_for, suggest
from maskcls.tuning.space.narrow import narrowed
from maskcls.tuning.space.space import Space, Values
from maskcls.tuning.space.space_file import parse_space, to_plain
from maskcls.tuning.space.trial_config import all_settings
from maskcls.tuning.storage import BEAT_S, LOCKED_S, quiet_optuna
from maskcls.tuning.worker_files import lives, sweep_workers

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial, Trial

ATTEMPTS = 2  # how often a trial is begun before a worker that dies in it counts as its failure
KILLED = "its worker was killed twice"

# What is kept with a trial in the storage; OWNER: the name of the worker and how often the trial was begun.
OWNER, VALUES, IS_BASE, WHY, SPENT, FOLDS = "owner", "values", "base", "why", "spent", "folds"
STAGE_SPACES = "stages"  # with the study: the narrowed spaces of zoom, as plain data


@dataclass(frozen=True)
class OpenStudy:
    """A study with its storage, as one worker has it open."""

    folder: StudyDir
    facts: StudyFacts
    base: Config
    storage: RDBStorage
    study: Study

    @cached_property
    def space(self) -> Space:
        """The whole space."""
        return self.facts.read_space()

    @cached_property
    def base_values(self) -> Values | None:
        """The base configuration's own values of the space; None where one of them is outside it."""
        return self.space.inside(all_settings(self.base))

    @cached_property
    def grid(self) -> list[Values]:
        """The points of the grid."""
        return grid_points(self.space, self.facts.seed, self.base_values)

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials, in the order of their numbers."""
        return self.study.get_trials(deepcopy=False)

    def close(self) -> None:
        """Close the connections to the storage."""
        self.storage.remove_session()
        self.storage.engine.dispose()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the study's lock."""
        with waiting_lock(self.folder.lock_file, LOCKED_S):
            yield


@dataclass(frozen=True)
class Claim:
    """A trial that a worker has taken.

    begun  whether another worker had begun it before.
    """

    trial: Trial
    values: Values
    run: RunDir
    attempts: int

    @property
    def number(self) -> int:
        """The number of the trial."""
        return self.trial.number

    @property
    def begun(self) -> bool:
        """Whether its run was begun before."""
        return self.run.env.exists()


@dataclass(frozen=True)
class Wait:
    """Other workers are at the last trials: one of them may die, so a worker that has nothing to do waits."""


def next_claim(opened: OpenStudy, worker: str, most: int | None) -> Claim | Wait | None:
    """Take a trial, or tell that there is nothing to do now, or nothing any more (None).

    most  trials of the study, those of earlier commands included; None: no limit.
    """
    with opened.locked(), quiet_optuna():
        _take_back(opened)
        trials = opened.trials
        if not any(one.state.name == "WAITING" for one in trials) and not _enqueued(opened, len(trials), most):
            return Wait() if any(one.state.name == "RUNNING" for one in trials) else None
        opened.study.sampler = sampler_for(opened.facts.sampler, opened.facts.seed, _next_number(trials))
        return _taken(opened, opened.study.ask(), worker)


def _next_number(trials: Sequence[FrozenTrial]) -> int:
    return next((one.number for one in trials if one.state.name == "WAITING"), len(trials))


def _enqueued(opened: OpenStudy, count: int, most: int | None) -> bool:
    """Make the next trial possible; False where the search is over."""
    if most is not None and count >= most:
        return False
    if count == 0:
        values = opened.base_values
        opened.study.enqueue_trial({} if values is None else params_of(opened.space, values), {IS_BASE: True})
    elif opened.facts.sampler == "grid":
        if count > len(opened.grid):
            return False
        opened.study.enqueue_trial(params_of(opened.space, opened.grid[count - 1]))
    return True


def _taken(opened: OpenStudy, trial: Trial, worker: str) -> Claim:
    attrs = trial.user_attrs
    attempts = attempts_of(attrs) + 1
    opened.storage.record_heartbeat(trial._trial_id)  # before it has an owner, whose death is looked for
    if VALUES not in attrs:
        trial.set_user_attr(VALUES, _drawn(opened, trial))
    trial.set_user_attr(OWNER, [worker, attempts])
    return Claim(trial, dict(trial.user_attrs[VALUES]), opened.folder.trial(f"{trial.number:04d}"), attempts)


def attempts_of(attrs: Mapping[str, Any]) -> int:
    """Return how often a trial was begun, without the times it was interrupted."""
    found: int = attrs.get(OWNER, ("", 0))[1]
    return found


def _drawn(opened: OpenStudy, trial: Trial) -> Values:
    if trial.user_attrs.get(IS_BASE):
        return {} if opened.base_values is None else suggest(trial, opened.space)
    return suggest(trial, _stage_space(opened, trial.number))


def _stage_space(opened: OpenStudy, number: int) -> Space:
    """Return the space of a trial: for zoom, that of its stage, which the first trial of the stage narrows."""
    stage = sum(start <= number for start in opened.facts.stages)
    spaces: list[Mapping[str, Any]] = list(opened.study.user_attrs.get(STAGE_SPACES, ()))
    while len(spaces) < stage:
        space = parse_space(spaces[-1], where=STAGE_SPACES) if spaces else opened.space
        found = [(one.value, one.user_attrs[VALUES]) for one in opened.trials if one.state.name == "COMPLETE"]
        inside = [(value, kept) for value, known in found if (kept := space.inside(known)) is not None]
        spaces.append(to_plain(narrowed(space, best_of_stage([(v, kept) for v, kept in inside if v is not None]))))
        opened.study.set_user_attr(STAGE_SPACES, spaces)
    return parse_space(spaces[stage - 1], where=STAGE_SPACES) if stage else opened.space


def _take_back(opened: OpenStudy) -> None:
    """Make the trials of dead workers waiting ones again; those that died twice have failed."""
    from optuna.trial import TrialState

    sweep_workers(opened.folder)
    running = [one for one in opened.trials if one.state.name == "RUNNING"]
    if not running:
        return
    silent = set(opened.storage._get_stale_trial_ids(opened.study._study_id))
    for one in running:
        owner = one.user_attrs.get(OWNER)
        alive = False if owner is None else lives(opened.folder, owner[0])
        if alive or (alive is None and one._trial_id not in silent):
            continue
        if attempts_of(one.user_attrs) >= ATTEMPTS:
            opened.storage.set_trial_user_attr(one._trial_id, WHY, KILLED)
            opened.storage.set_trial_state_values(one._trial_id, TrialState.FAIL)
        else:
            opened.storage.set_trial_state_values(one._trial_id, TrialState.WAITING)


def give_back(opened: OpenStudy, claim: Claim) -> None:
    """Make an interrupted trial a waiting one again; the interruption does not count as an attempt."""
    from optuna.trial import TrialState

    with opened.locked():
        claim.trial.set_user_attr(OWNER, ["", claim.attempts - 1])
        opened.storage.set_trial_state_values(claim.trial._trial_id, TrialState.WAITING)


@contextmanager
def beating(opened: OpenStudy, claim: Claim) -> Iterator[None]:
    """Give a sign of life for a trial until the block ends."""
    from optuna.exceptions import OptunaError
    from sqlalchemy.exc import SQLAlchemyError

    def beat() -> None:
        # The next one may come through; the end of the trial reports a storage that is gone.
        with suppress(OptunaError, SQLAlchemyError):
            opened.storage.record_heartbeat(claim.trial._trial_id)

    with repeated(beat, BEAT_S, "signs of life of a trial"):
        yield
