"""maskcls explain: what a run says about some photos, per task, fold and view, and which parts of them decide it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from maskcls import files
from maskcls.data.photos.images import read_image
from maskcls.data.photos.rgb import Pixels
from maskcls.data.rows import manifest as tables
from maskcls.engine.device import start
from maskcls.errors import UsageError, nearest
from maskcls.files import OutputFile
from maskcls.labels import Floats, Ints, LabelSpace, Task
from maskcls.machine import refuse_several
from maskcls.rundir import RunDir
from maskcls.runs.checks import wanted_folds
from maskcls.runs.environment import Environment
from maskcls.runs.group_averaging import GroupAveraging
from maskcls.runs.identity import files_read
from maskcls.runs.overrides import refuse_adapting, with_overrides
from maskcls.schema import Config
from maskcls.show.answers.explanation import ExplainedPhoto, ExplainedTask, Explanation
from maskcls.show.pages.explained import PX, explained_page
from maskcls.show.pictures.explained import explained_png
from maskcls.show.pictures.fonts import missing_note
from maskcls.show.terminal.progress import Reporter
from maskcls.training.experiment import Experiment
from maskcls.training.explaining.batch import (
    PhotoBatch,
    given_task,
    maps_by_fold,
    mean_prediction,
    network_probabilities,
    task_probabilities,
    task_views,
)
from maskcls.training.explaining.own_folds import Chosen, InTable, choose_networks, find_in_table
from maskcls.training.person_clustering import averaging_for
from maskcls.training.predicting.loaded_networks import load_networks
from maskcls.training.predicting.other_cropping import note_other_cropping
from maskcls.training.prediction import note_other_versions, work_in_words
from maskcls.training.stored_experiment import check_data_unchanged, open_experiment
from maskcls.viewnames import parse_views

MOST_PHOTOS = 100  # in one picture


@dataclass(frozen=True)
class ExplainRequest:
    """What the user asked for. classes: {task: class index} to explain; folds: of the run; maps: whether to compute."""

    classes: Mapping[str, int]
    folds: tuple[int, ...] | None
    maps: bool


def explain(
    run: RunDir,
    photos: Sequence[Path],
    output: Path,
    *,
    overrides: list[str],
    folds: str | None = None,
    classes: Sequence[str] = (),
    maps: bool = True,
    page: Path | None = None,
    data: Path | None = None,
    force: bool = False,
    report: Reporter,
) -> Explanation:
    """Predict some photos, compute what raises the logit of a class in each task, and write a picture.

    A photo of the run's own table is explained by the networks of the fold that did not train on it, any other by the
    networks that `predict` uses.

    overrides  of `predict.*`, `device.*` and `data.cache` alone.
    folds      such as `0,2`: use the networks of these folds instead, for every photo.
    classes    `task=class`: explain this class; in other tasks the class that is predicted.
    maps       whether to compute class activation maps.
    page       an HTML file to write as well.
    data       where the run's data set is now; None: where it was.

    Raises BusyError when the output exists, unless `force`; UsageError for photos that are given twice, for a name that
    is no .png, for classes and folds that do not exist, for photos of sealed people, and for a backbone without maps.
    """
    check_words(run, photos, output, page, force=force)
    experiment, env = open_experiment(run, data)
    if data is not None:
        check_data_unchanged(experiment)
    experiment = replace(experiment, cfg=with_overrides(experiment.cfg, overrides))
    refuse_adapting(experiment.cfg, "explain shows the networks as they are")
    asked = ExplainRequest(
        _asked_classes(classes, experiment.cfg.space), _asked_folds(folds, experiment.cfg, env), maps
    )
    space = experiment.cfg.space
    if note := missing_note(name for task in space.tasks for name in task.classes):
        report.note(note)
    root, frame = photo_table(photos, experiment)
    places = find_in_table(experiment, photos)
    accelerator = start(experiment.cfg.device)
    refuse_several("maskcls explain")
    note_other_cropping(run, root, report, experiment.photo_root)
    note_other_versions(run, report)
    found: dict[int, ExplainedPhoto] = {}
    for (_, chosen), rows in _rows_by_networks(places, env, experiment.cfg, asked).items():
        part = frame.iloc[rows].reset_index(drop=True)
        networks = load_networks(experiment, experiment.predicting(chosen.folds, chosen.choice))
        batch = PhotoBatch(experiment.cfg, root, part, networks, accelerator, report)
        about = [_about(photos[row], places[row], chosen, experiment) for row in rows]
        found |= zip(rows, _explained(experiment, env, batch, about, asked), strict=True)
    explained = tuple(found[row] for row in range(len(photos)))
    explanation = Explanation(run.path, output, page, parse_views(experiment.cfg.predict.views), explained)
    outputs = [OutputFile(output, explained_png(explained, _pixels))]
    if page is not None:
        outputs.append(OutputFile(page, explained_page(explanation, _pixels).encode()))
    files.commit_outputs(outputs, force=force)
    return explanation


def _pixels(photo: ExplainedPhoto) -> Pixels:
    return read_image(photo.path, at_least=(PX, PX))


def check_words(run: RunDir, photos: Sequence[Path], output: Path, page: Path | None, *, force: bool) -> None:
    """Raise what is wrong with the command line before anything is read: UsageError, or BusyError for an output."""
    if page is not None:
        files.check_page_name(page)
    files.check_picture_name(output)
    if folders := [str(photo) for photo in photos if photo.is_dir()]:
        raise UsageError("folders cannot be explained", offenders=folders, fix="name photos, such as DIR/*.jpg")
    if twice := sorted({str(photo) for photo in photos if list(photos).count(photo) > 1}):
        raise UsageError("photos are given twice", offenders=twice, fix="name each photo once")
    if len(photos) > MOST_PHOTOS:
        expected = f"at most {MOST_PHOTOS} photos in one picture"
        raise UsageError("too many photos", got=str(len(photos)), expected=expected, fix="explain them in parts")
    files.refuse_finished(
        output, *([page] if page is not None else []), inputs=files_read(run.path, *photos), force=force
    )


def photo_table(photos: Sequence[Path], experiment: Experiment) -> tuple[Path, pd.DataFrame]:
    """Return the photos as rows to predict, and the folder that their paths are relative to."""
    absolute = [os.path.abspath(photo) for photo in photos]
    root = experiment.photo_root
    if not all(Path(path).is_relative_to(root) for path in absolute):
        root = Path(os.path.commonpath([os.path.dirname(path) for path in absolute]))
    paths = [Path(path).relative_to(root).as_posix() for path in absolute]
    return root, tables.build(paths, paths, experiment.cfg.space, split="eval")


@dataclass(frozen=True)
class About:
    """What is known of a photo before it is predicted. label: {task: true class} of a photo of the run's table."""

    path: Path
    row: str | None
    trained: bool
    label: Mapping[str, str]


def _about(photo: Path, place: InTable, chosen: Chosen, experiment: Experiment) -> About:
    if not place.rows:
        return About(photo, None, False, {})
    row = place.rows[0]
    index = {task.name: int(experiment.labels[task.name][row]) for task in experiment.cfg.space.tasks}
    label = {task.name: task.classes[index[task.name]] for task in experiment.cfg.space.tasks if index[task.name] >= 0}
    return About(photo, str(experiment.manifest["id"].iloc[row]), chosen.trained_on(place), label)


def _explained(
    experiment: Experiment, env: Environment, batch: PhotoBatch, about: Sequence[About], asked: ExplainRequest
) -> list[ExplainedPhoto]:
    """Explain the photos of a batch."""
    cfg, report = batch.cfg, batch.report
    report.note(work_in_words(len(batch.frame), len(batch.networks), cfg.predict.views))
    probs = network_probabilities(batch, cfg.predict.views)
    predictions = _in_groups(experiment, env, batch, about).average_photos(mean_prediction(batch, probs))
    by_fold, mean = task_probabilities(batch, probs), cfg.space.marginals(predictions.prob)
    label = dict(cfg.space.decode(predictions.labels()))
    label |= {name: np.full(len(about), index, dtype=np.int64) for name, index in asked.classes.items()}
    tasks = [_explained_task(batch, task, label, mean[task.name], by_fold, about, asked) for task in cfg.space.tasks]
    return [
        ExplainedPhoto(one.path, one.row, batch.folds, one.trained, tuple(parts))
        for one, *parts in zip(about, *tasks, strict=True)
    ]


def _explained_task(
    batch: PhotoBatch,
    task: Task,
    label: Mapping[str, Ints],
    prob_NC: Floats,
    by_fold: Mapping[int, Mapping[str, Mapping[str, Floats]]],
    about: Sequence[About],
    asked: ExplainRequest,
) -> list[ExplainedTask]:
    """Explain one task of every photo of a batch."""
    name, views, other = task.name, task_views(batch, task.name), given_task(batch, task.name)
    maps = maps_by_fold(batch, name, label) if asked.maps else {}
    mean = np.mean(list(maps.values()), axis=0) if maps else None
    given = batch.cfg.space.task(other).classes if other else ()
    return [
        ExplainedTask(
            name,
            task.classes,
            prob_NC[n],
            {fold: {view: prob[name][n] for view, prob in found.items()} for fold, found in by_fold.items()},
            one.label.get(name),
            task.classes[label[name][n]],
            f"{other} {given[label[other][n]]}" if other else None,
            None if mean is None else mean[n],
            {fold: grids[n] for fold, grids in maps.items()},
            views[n],
        )
        for n, one in enumerate(about)
    ]


def _in_groups(experiment: Experiment, env: Environment, batch: PhotoBatch, about: Sequence[About]) -> GroupAveraging:
    """Return how `predict` averages these photos in groups; photos of the run's own table are explained alone."""
    if batch.cfg.predict.groups == "none":
        return GroupAveraging()
    if about[0].row is not None:
        batch.report.note("photos of the run's own table are explained alone, not averaged in groups")
        return GroupAveraging()
    return averaging_for(experiment, env.folds, batch.frame, batch.root, batch.report)


def _rows_by_networks(
    places: Sequence[InTable], env: Environment, cfg: Config, asked: ExplainRequest
) -> dict[tuple[bool, Chosen], list[int]]:
    """Return the photos that each choice of networks explains; the run's own photos are apart from others."""
    found: dict[tuple[bool, Chosen], list[int]] = {}
    for row, place in enumerate(places):
        chosen = choose_networks(place, env.folds, cfg.predict.networks, asked.folds)
        found.setdefault((bool(place.rows), chosen), []).append(row)
    return found


def _asked_classes(classes: Sequence[str], space: LabelSpace) -> dict[str, int]:
    """Read `task=class` words; UsageError for a task or class that does not exist, or a task given twice."""
    found: dict[str, int] = {}
    for word in classes:
        name, equals, wanted = word.partition("=")
        if not equals or name not in space.names:
            expected = f"TASK=CLASS with one of {', '.join(space.names)}"
            raise UsageError("no such task", where="--class", got=repr(word), expected=expected)
        known = space.task(name).classes
        if wanted not in known:
            near = nearest(wanted, known)
            expected, fix = f"one of {', '.join(known)}", f"did you mean {name}={near}?" if near else None
            raise UsageError("no such class", where="--class", got=repr(word), expected=expected, fix=fix)
        if name in found:
            raise UsageError(
                "one class of a task can be explained at a time",
                where="--class",
                got=repr(word),
                fix="give one --class per task, and explain further classes in another call",
            )
        found[name] = known.index(wanted)
    return found


def _asked_folds(folds: str | None, cfg: Config, env: Environment) -> tuple[int, ...] | None:
    """Read `--folds`; UsageError for folds that are not trained, and with other networks than those of the folds."""
    if folds is None:
        return None
    if cfg.predict.networks != "folds":
        got = f"predict.networks={cfg.predict.networks}"
        raise UsageError("--folds chooses among the networks of the folds", got=got, fix="leave out one of them")
    wanted = wanted_folds(folds, cfg.folds.k)
    if absent := [str(k) for k in wanted if k not in env.folds]:
        expected = f"some of {', '.join(map(str, env.folds))}"
        raise UsageError("these folds are not trained", where="--folds", got=", ".join(absent), expected=expected)
    return wanted
