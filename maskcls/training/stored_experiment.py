"""An experiment on disk: its identity written before training, and read back to resume or to predict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from maskcls import config, files
from maskcls.csvfile import TABLE
from maskcls.data.layouts.source import image_root, read_labelled
from maskcls.data.photos.crops import cropping
from maskcls.data.rows import folds as folding
from maskcls.data.rows import manifest as tables
from maskcls.errors import DataError, MaskclsError, ResultError, WeightsError
from maskcls.results.people.model_file import from_bytes, to_bytes
from maskcls.results.predictions import PREDICTIONS
from maskcls.rundir import RunDir
from maskcls.runs.environment import FORMAT, Environment, Machine, read_environment, write_environment
from maskcls.runs.identity import changed_files, identity_hashes, missing_files, optional_files
from maskcls.runs.integrity.photos_now import run_photos
from maskcls.runs.summary import read_summary
from maskcls.show.terminal.progress import Reporter
from maskcls.training.added.added_source import PSEUDO, SYNTH, added_files, read_added
from maskcls.training.experiment import Experiment
from maskcls.training.known_photos import cured_by_restoring


def write_identity(
    experiment: Experiment,
    folds: Sequence[int],
    machine: Machine,
    origins: Mapping[str, str] | None = None,
    *,
    further: Mapping[Path, bytes] | None = None,
    weights: Mapping[str, str] | None = None,
) -> None:
    """Commit what the run is: configuration, labels, manifest, folds, and last the environment.

    origins  of the settings by dotted key, see `config.load`; None: not known.
    further  the content of further files of the identity, by path.
    weights  the hash of the file each task's network started from; None: of the files as they are.
    """
    run, cfg = experiment.run, experiment.cfg
    files.commit(run.config, config.to_yaml(cfg).encode())
    files.commit_json(run.labels, cfg.space.to_json())
    files.commit(run.manifest, tables.to_csv(experiment.manifest))
    files.commit(run.folds, folding.to_csv(experiment.folds))
    for left in optional_files(run):  # by a command that was killed before it wrote env.json
        left.unlink(missing_ok=True)
    stored = _stored_files(run)
    for source, given in added_files(cfg).items():
        origin, table = stored[source]
        if (beside := files.sidecar_path(given)).exists():
            files.commit(origin, files.read_file(beside, files.SIDECAR_FILE))
        files.commit(table, files.read_file(given, TABLE))
    if experiment.photos is not None:
        files.commit(run.photos, experiment.photos.to_csv())
    if experiment.sealed is not None:
        files.commit(run.sealed, tables.to_csv(experiment.sealed))
    if experiment.person_clustering is not None:
        files.commit(run.person_clustering, to_bytes(experiment.person_clustering))
    for path, content in (further or {}).items():
        files.commit(path, content)
    environment = Environment(
        format=FORMAT,
        data=str(experiment.data),
        folds=tuple(folds),
        hashes=identity_hashes(run),
        cropping=cropping(experiment.photo_root),
        weights=dict(weights_hashes(experiment) if weights is None else weights),
        plans=dict(experiment.plans),
        origins=None if origins is None else {key: str(one) for key, one in origins.items() if one != config.DEFAULT},
        **dict(machine),
    )
    write_environment(run, environment)


def _stored_files(run: RunDir) -> dict[str, tuple[Path, Path]]:
    """Return where a run keeps the sidecar and the table of added rows, by source."""
    return {PSEUDO: (run.pseudo_origin, run.pseudo), SYNTH: (run.samples_origin, run.samples)}


def weights_hashes(experiment: Experiment) -> dict[str, str]:
    """Return the hash of the file each task's network starts from; those that start without one are left out."""
    weights = {member.task: member.cfg.model.weights for member in experiment.kinds}
    return {task: files.file_sha256(Path(file)) for task, file in weights.items() if file}


def open_experiment(run: RunDir, data: Path | None = None) -> tuple[Experiment, Environment]:
    """Read a run's experiment back; returns it with the content of env.json.

    run   the folder of a run, or of generators.
    data  where the data set is now; None: where it was when the training began.

    Raises ResultError when files are missing, damaged or were changed.
    """
    env = read_environment(run, generators=True)
    if missing := missing_files(run, env.hashes):
        raise ResultError("files of the run are missing", where=str(run.path), offenders=missing, fix="restore them")
    if changed := changed_files(run, env.hashes):
        raise ResultError(
            "files of the run were changed by hand",
            where=str(run.path),
            offenders=changed,
            fix="restore them, or train a new run with what you want to change",
        )
    _refuse_lost_folds(run, env)
    if env.plans is None:
        got = f"maskcls {env.maskcls}, without the settings of its execution"
        raise ResultError("the run was made by an earlier maskcls", where=str(run.path), got=got, fix="train it again")
    cfg = config.of_run(run.config)
    manifest, folds = tables.from_csv(run.manifest, cfg.space), folding.from_csv(run.folds)
    clustering = (
        from_bytes(files.read_file(run.person_clustering, PREDICTIONS), where=str(run.person_clustering))
        if cfg.predict.groups == "look"
        else None
    )
    sealed = tables.from_csv(run.sealed, cfg.space) if cfg.folds.sealed else None
    place, stored = Path(env.data) if data is None else _moved(data), _stored_files(run)
    paths = {source: stored[source][1] for source in added_files(cfg)}
    added = read_added(paths, cfg, manifest, folds, sealed, image_root(place, cfg.data.format)) if paths else ()
    return Experiment(
        cfg,
        place,
        manifest,
        folds,
        run,
        plans=env.plans,
        added=added,
        person_clustering=clustering,
        sealed=sealed,
        photos=run_photos(run),
    ), env


def _refuse_lost_folds(run: RunDir, env: Environment) -> None:
    """Raise ResultError when the summary is about folds that env.json does not name: their networks would be left out.

    The summary is written after env.json, so only a change by hand takes folds away.
    """
    try:
        summary = read_summary(run)
    except ResultError:
        return  # what needs the summary says what is wrong with it, and resuming makes it again
    if lost := sorted(set(summary.fold_numbers) - set(env.folds)) if summary else []:
        raise ResultError(
            "the run has fewer folds than its summary",
            where=str(run.env),
            got=f"folds {', '.join(map(str, env.folds))}, without {', '.join(map(str, lost))}",
            expected=f"the folds of {run.summary}",
            fix="restore env.json from a copy of the run",
        )


def _moved(data: Path) -> Path:
    """Return the place of a data set that was named; raises DataError where nothing is there."""
    if not data.exists():
        raise DataError("there is no such data", where="--data", got=str(data), fix="check the path")
    return data.resolve()


def open_with_photos(run: RunDir, data: Path | None) -> tuple[Experiment, Environment]:
    """Read a run's experiment back as `open_experiment`, for a command that reads its photos again.

    Raises DataError where there are no data any more, WeightsError where `data` is not the run's data set.
    """
    experiment, env = open_experiment(run, data)
    refuse_missing_data(experiment)
    if data is not None:
        check_data_unchanged(experiment)
    return experiment, env


def refuse_missing_data(experiment: Experiment, *, takes_data: bool = True) -> None:
    """Raise DataError where the run's data set is not.

    takes_data  whether the verb has the option --data for data that have moved.
    """
    if not experiment.data.exists():
        raise DataError(
            "the run's data set is not there",
            where=str(experiment.data),
            expected=f"the data set of {experiment.run.path}",
            fix="restore it, or say where it is now: --data PATH" if takes_data else "restore it there",
        )


def check_data_unchanged(experiment: Experiment) -> None:
    """Raise WeightsError, naming the rows that differ, unless the data set still gives the run's manifest.

    DataError, with the cure of a run, where it cannot be read.
    """
    refuse_missing_data(experiment)
    cfg = experiment.cfg
    fixes = Path(cfg.data.fixes) if cfg.data.fixes else None
    with cured_by_restoring():
        now = read_labelled(experiment.data, cfg.data.format, cfg.space, fixes, cfg.data.group)
    then = experiment.labelled_rows
    if tables.sha256(now) == tables.sha256(then):
        return
    raise WeightsError(
        "the data set is no longer the one this run began with",
        where=str(experiment.data),
        expected=f"the {len(then)} rows of {experiment.run.manifest}",
        fix="restore the data set, say where it is now with --data PATH, or train a new run",
        offenders=_row_changes(then, now),
    )


def note_changed_data(experiment: Experiment, report: Reporter) -> None:
    """Print a warning if the table of the data set changed while the run was trained on what it was before."""
    try:
        check_data_unchanged(experiment)
    except MaskclsError as error:
        changes = f": {error.offenders[0]}" if error.offenders else ""
        report.note(
            "warning: the data set changed during the training; the run has its rows as they were at the start"
            f" ({error.where}{changes})"
        )


def _row_changes(before: pd.DataFrame, now: pd.DataFrame) -> list[str]:
    """Return what changed, row by row."""
    old, new = (_cells_by_id(frame) for frame in (before, now))
    lost = [f"{name!r} is gone" for name in old if name not in new]
    added = [f"{name!r} is new" for name in new if name not in old]
    changed = [
        f"{name!r}: {column} was {old[name][column] or 'empty'}, is {new[name][column] or 'empty'}"
        for name in old
        if name in new
        for column in old[name]
        if old[name][column] != new[name][column]
    ]
    return lost + added + changed or ["the rows are in another order"]


def _cells_by_id(frame: pd.DataFrame) -> dict[str, dict[str, str]]:
    text = frame.astype(str).mask(frame.isna(), "").set_index("id", drop=False)
    return {str(name): {str(k): v for k, v in row.items()} for name, row in text.to_dict(orient="index").items()}
