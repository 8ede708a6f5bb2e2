"""Whether two runs are folds of one cross-validation: the same settings, rows, folds and starting weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from maskcls import files
from maskcls.csvfile import TABLE
from maskcls.errors import ConfigError, DataError, WeightsError
from maskcls.rundir import RunDir
from maskcls.runs.gathering.fold_runs import FoldRun
from maskcls.runs.integrity.photos_now import run_photos
from maskcls.runs.records.settings import assignment, settings_of

# Paths of files whose content is compared instead: in the table of rows, beside it, or by the hash of the weights.
PATHS = ("data.fixes", "data.pseudo", "data.synth", "model.weights")
# What these choose for a training is in its plan or environment, and compared there, or has no part in its result.
OF_THE_MACHINE = (
    *("device.type", "device.precision", "device.memory_format", "device.compile", "device.threads", "device.workers"),
    *("train.accumulate", "train.fold_jobs", "train.save_minutes", "train.report", "train.baseline", "data.cache"),
    *("track", "tracking.project", "tracking.name", "tracking.mlflow"),
)
SHOWN = 12  # hex digits of a digest in a message
UNSET = "not set"


def refuse_other_experiment(first: FoldRun, other: FoldRun) -> None:
    """Raise the error about the first thing in which two runs are of different experiments.

    ConfigError for settings, DataError for rows, photos and folds, WeightsError for starting weights.
    """
    _refuse_other_settings(first, other)
    a, b = first.run, other.run
    one_data_set = "train all folds on one data set"
    one_order = "train with one version of maskcls"
    one_file = "train with one file of pseudo labels, or of samples"
    one_machine = "train all folds on one machine, or without predict.groups=look"
    pair = partial(_refuse_other_file, first, other)
    pair(a.labels, "the runs have other classes", one_data_set)
    pair(a.manifest, "the runs have other rows", one_data_set, lambda: _changed_lines(a, b))
    pair(a.photos, "the runs have other photos", one_data_set, lambda: _changed_photos(a, b))
    pair(a.sealed, "the runs have other sealed rows", one_data_set)
    pair(a.folds, "the runs have other folds", one_order)
    for path in (a.pseudo, a.pseudo_origin, a.samples, a.samples_origin):
        pair(path, "the runs have other added rows", one_file)
    pair(a.person_clustering, "the runs have learned other photo similarities", one_machine)
    _refuse_other_weights(first, other)


def setting_notes(first: FoldRun, other: FoldRun) -> list[str]:
    """Return a line per setting that differs without a part in the result; the gathered run has the first one's."""
    return [
        f"{_pair(key, one, two)} in {first.name} and {other.name}: the gathered run has the first"
        for key, one, two in _differing(first, other)
        if _is_free(key)
    ]


def _refuse_other_settings(first: FoldRun, other: FoldRun) -> None:
    for key, one, two in _differing(first, other):
        if not _is_free(key):
            raise ConfigError(
                f"the runs have other settings: {key}",
                where=f"{first.name} and {other.name}",
                got=_pair(key, one, two),
                expected="one configuration",
                fix=f"train the folds of one of them again with {key} of the other",
            )


def _differing(first: FoldRun, other: FoldRun) -> list[tuple[str, str, str]]:
    """Return the key and both values of each setting that differs, in the order of the configuration."""
    a, b = settings_of(first.cfg), settings_of(other.cfg)
    values = [(key, _value(a, key), _value(b, key)) for key in dict.fromkeys((*a, *b))]
    return [(key, one, two) for key, one, two in values if one != two]


def _value(settings: Mapping[str, Any], key: str) -> str:
    return assignment(key, settings[key]).partition("=")[2] if key in settings else UNSET


def _pair(key: str, one: str, two: str) -> str:
    return f"{key}={one} and {two}"


def _is_free(key: str) -> bool:
    """Tell whether a setting is compared otherwise, or has no part in the result; also one of a task alone."""
    own = key.split(".", 2)[2] if key.startswith("separate.") and key.count(".") > 1 else key
    return own in PATHS or own in OF_THE_MACHINE


def _refuse_other_file(
    first: FoldRun,
    other: FoldRun,
    path: Path,
    what: str,
    fix: str,
    offenders: Callable[[], Sequence[str]] = tuple,
) -> None:
    one, two = (part.env.hashes.get(path.name) for part in (first, other))
    if one != two:
        got = " and ".join("none" if sha is None else f"sha256 {sha[:SHOWN]}…" for sha in (one, two))
        raise DataError(
            what,
            where=f"{path.name} of {first.name} and {other.name}",
            got=got,
            expected="equal files",
            fix=fix,
            offenders=offenders(),
        )


def _changed_lines(a: RunDir, b: RunDir) -> list[str]:
    """Return the lines of the tables of rows that only one of two runs has, with the run that has it."""
    one, two = (files.read_file(run.manifest, TABLE).decode().splitlines() for run in (a, b))
    in_one, in_two = set(one), set(two)
    found = [f"{line} (only in {a.path})" for line in one if line not in in_two]
    return found + [f"{line} (only in {b.path})" for line in two if line not in in_one]


def _changed_photos(a: RunDir, b: RunDir) -> list[str]:
    """Return the ids of photos whose content differs; none where one of the runs does not know its photos."""
    one, two = run_photos(a), run_photos(b)
    return [] if one is None or two is None else one.other_than(two.contents)


def _refuse_other_weights(first: FoldRun, other: FoldRun) -> None:
    for task in dict.fromkeys((*first.env.weights, *other.env.weights)):
        one, two = (part.env.weights.get(task) for part in (first, other))
        if one != two:
            of_task = f" of {task}" if task else ""
            got = " and ".join("none" if sha is None else f"sha256 {sha[:SHOWN]}…" for sha in (one, two))
            raise WeightsError(
                f"the runs began with other starting weights{of_task}",
                where=f"{first.name} and {other.name}",
                got=got,
                expected="one file",
                fix="train the folds of one of them again with the file of the other (model.weights)",
            )
