"""A study opened in this process: its facts and base configuration from its folder, its trials from the storage."""

from __future__ import annotations

import secrets
from pathlib import Path

from maskcls import config
from maskcls.errors import ResourceError
from maskcls.rundir import StudyDir
from maskcls.runs.locks.waiting_lock import waiting_lock
from maskcls.schema import Config
from maskcls.tuning.claims import OpenStudy
from maskcls.tuning.facts import EpochPruning, FoldPruning, SamplerName, StudyFacts, begin_or_join, read_study_facts
from maskcls.tuning.samplers import grid_points, stage_starts
from maskcls.tuning.space.space import Space
from maskcls.tuning.space.space_file import to_plain
from maskcls.tuning.storage import LOCKED_S, open_storage, quiet_optuna, sqlite_url, storage_errors, without_password
from maskcls.tuning.study_checks import refuse_other_folder

OWN = "study"  # the name of a study in a database of its own


def begin_study(
    folder: StudyDir,
    base: Config,
    space: Space,
    *,
    data: Path,
    sampler: SamplerName,
    seed: int,
    prune_epochs: EpochPruning,
    prune_folds: FoldPruning,
    trials: int | None,
    storage: str | None,
) -> OpenStudy:
    """Begin a study, or go on with the one in the folder; BusyError when that is about something else, or the folder
    holds another thing.

    trials   the stages of zoom depend on them.
    storage  its URL; None: a file in the folder.
    """
    refuse_other_folder(folder)
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResourceError(
            "cannot make the folder of the study",
            where=str(folder.path),
            got=error.strerror,
            fix="choose another --study",
        ) from None
    known = read_study_facts(folder).study if folder.facts.exists() else None
    facts = StudyFacts(
        study=known or (OWN if storage is None else f"{folder.path.resolve().name}-{secrets.token_hex(4)}"),
        storage="study.db" if storage is None else without_password(storage),
        data=str(data.resolve()),
        space=to_plain(space),
        sampler=sampler,
        seed=seed,
        prune_epochs=prune_epochs,
        prune_folds=prune_folds,
        stages=stage_starts(trials) if sampler == "zoom" and trials is not None else (),
    )
    if sampler == "grid":
        grid_points(space, seed, None)  # refuses one that is too large
    with waiting_lock(folder.lock_file, LOCKED_S):
        begin_or_join(folder, base, facts)
    return open_study(folder, storage)


def open_study(folder: StudyDir, storage: str | None) -> OpenStudy:
    """Open a study that was begun; ResultError for damaged files, ResourceError for a storage that does not answer."""
    import optuna

    facts, url = read_study_facts(folder), storage or sqlite_url(folder.database)
    with waiting_lock(folder.lock_file, LOCKED_S), storage_errors(url), quiet_optuna():
        database = open_storage(url)
        study = optuna.create_study(storage=database, study_name=facts.study, direction="maximize", load_if_exists=True)
    return OpenStudy(folder, facts, config.of_run(folder.base), database, study)
