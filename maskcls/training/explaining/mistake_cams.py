"""Class activation maps of the wrong photos that a report lists, as pictures for its page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from maskcls.results.rows_by_id import rows_of
from maskcls.results.scores.mistakes import WrongPhoto
from maskcls.runs.environment import Environment
from maskcls.runs.reported.reported_run import ReportedRun
from maskcls.show.pages.photos import jpeg_uri
from maskcls.show.pictures.overlay import overlay
from maskcls.show.report.mistakes import photos_to_explain
from maskcls.training.experiment import Experiment
from maskcls.training.explaining.cams import cams_of, row_views
from maskcls.training.known_photos import cured_by_restoring
from maskcls.training.stored_experiment import open_experiment

SIDE_PX = 160  # the longer side of a picture, at most


def mistake_cams(reported: ReportedRun) -> dict[tuple[Path, str, int], dict[str, str]]:
    """Return {(run folder, task, row): {title: data URI}}: the maps of the predicted and of the true class.

    The maps are of the networks that did not train on the person. Empty for a run without wrong photos.
    Raises ResultError, WeightsError or DataError where weights or photos are missing.
    """
    if reported.rows is None:
        return {}
    experiment, env = open_experiment(reported.run)
    listed = list(photos_to_explain(reported.rows))
    ids = reported.rows.labelled.ids
    found: dict[tuple[Path, str, int], dict[str, str]] = {}
    for task in dict.fromkeys(name for name, _ in listed):
        photos = [photo for name, photo in listed if name == task]
        with cured_by_restoring(takes_data=False):
            pictures = _pictures(experiment, env, task, photos, [ids[photo.row] for photo in photos])
        found |= {(reported.run.path, task, photo.row): one for photo, one in zip(photos, pictures, strict=True)}
    return found


def _pictures(
    experiment: Experiment, env: Environment, task: str, photos: Sequence[WrongPhoto], ids: Sequence[str]
) -> list[dict[str, str]]:
    """Return the two maps of each wrong photo of a task, by title."""
    rows = rows_of(experiment.manifest["id"].tolist(), list(ids))
    names = list(experiment.cfg.space.task(task).classes)
    views = row_views(experiment, rows, task)
    maps = {}
    for what, wanted in (("predicted", [one.predicted for one in photos]), ("true", [one.true for one in photos])):
        class_n = np.array([names.index(name) for name in wanted], dtype=np.int64)
        cams = cams_of(experiment, env, rows, task, class_n=class_n)
        uris = [jpeg_uri(overlay(view, cam), px=SIDE_PX) for view, cam in zip(views, cams, strict=True)]
        maps[what] = [(f"map of {name} ({what})", uri) for name, uri in zip(wanted, uris, strict=True)]
    return [dict(pair) for pair in zip(*maps.values(), strict=True)]
