"""Photos with wrong predictions, per task and for the joint classes, and the people who are wrong most often."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from maskcls.data.layouts.source import image_root
from maskcls.groupnouns import PHOTOS, Noun
from maskcls.results.scores.mistakes import (
    JOINT,
    LabelledClasses,
    WrongPerson,
    WrongPhoto,
    classes_of,
    least_probable_true,
    mistaken_people,
    most_confident_wrong,
    probabilities_by_task,
)
from maskcls.runs.integrity.photos_now import changed_in_words, unreadable_in_words
from maskcls.runs.reported.reported_run import ReportedRun, ScoredRows
from maskcls.show.pages.photos import PagePhoto, photo_or_placeholder, shown_name
from maskcls.show.pages.table import Table
from maskcls.show.report.section import PageSettings
from maskcls.show.terminal.text import number, number_of, plural

MOST = 6  # photos per list
MOST_PEOPLE = 20
SHOWN_CLASSES = 3  # the most probable ones of a task
LEAST = 0.005  # a smaller probability would be written as 0.00

Finder = Callable[[LabelledClasses, Sequence[str] | Any, int], list[WrongPhoto]]
LISTS: tuple[tuple[str, Finder], ...] = (
    ("Most confident mistakes", most_confident_wrong),
    ("Lowest probability of the true class", least_probable_true),
)


@dataclass(frozen=True)
class MistakeList:
    """One list of wrong photos. task: JOINT for the joint classes."""

    task: str
    title: str
    mistakes: tuple[WrongPhoto, ...]


@dataclass(frozen=True)
class ClassProbability:
    """A class with its probability as text. true: whether it is the true class."""

    name: str
    value: str
    true: bool


@dataclass(frozen=True)
class MistakeCard:
    """One wrong photo as it is shown. probabilities: of the classes, by task; cams: pictures as data URIs, by title."""

    photo: PagePhoto
    mistake: WrongPhoto
    person: str
    probabilities: Mapping[str, tuple[ClassProbability, ...]]
    cams: Mapping[str, str]


def mistakes_section(reported: ReportedRun, settings: PageSettings) -> Mapping[str, Any] | None:
    """Return the lists of wrong photos and the table of people; None for a leaky run."""
    if reported.rows is None:
        return None
    lists = mistake_lists(reported.rows)
    people = [] if reported.noun == PHOTOS else mistaken_people(reported.rows.labelled, MOST_PEOPLE)
    return {
        "groups": [
            {
                "title": f"{task or 'joint classes'}: {_counted(reported.rows, task)}",
                "has_cams": any((reported.run.path, task) == key[:2] for key in settings.cams),
                "lists": [
                    {"title": one.title, "cards": [_card(reported, settings, task, each) for each in one.mistakes]}
                    for one in lists
                    if one.task == task
                ],
            }
            for task in dict.fromkeys(one.task for one in lists)
        ],
        "noun": reported.noun[0],
        "many": reported.noun[1],
        "alone": reported.noun == PHOTOS,
        "people": _people_table(people, reported.noun) if people else None,
        "with_photos": settings.with_photos,
        "changed": changed_in_words(changed) if (changed := settings.changed.get(reported.run.path)) else "",
        "unreadable": unreadable_in_words(gone) if (gone := settings.unreadable.get(reported.run.path)) else "",
        "with_cams": bool(settings.cams),
    }


def mistake_lists(rows: ScoredRows) -> list[MistakeList]:
    """Return the lists of wrong photos that are shown: of the joint classes, then of each task; no list is empty.

    A photo is not in both lists of a task. Of two classes both would be the same, so there is one.
    """
    labelled, found = rows.labelled, []
    people = list(labelled.ids) if labelled.people_N is None else labelled.people_N
    tasks = [task.name for task in labelled.space.tasks]
    for name in [JOINT, *tasks] if len(tasks) > 1 else tasks:
        classes = classes_of(labelled, name)
        listed: set[int] = set()
        for title, find in LISTS if len(classes.names) > 2 else LISTS[:1]:
            new = [one for one in find(classes, people, MOST * len(LISTS)) if one.row not in listed][:MOST]
            listed |= {one.row for one in new}
            if new:
                found.append(MistakeList(name, title, tuple(new)))
    return found


def _counted(rows: ScoredRows, task: str) -> str:
    found = classes_of(rows.labelled, task)
    return f"{int(found.wrong.sum()):,} of {plural(int((found.true_N >= 0).sum()), 'photo')} wrong"


def _card(reported: ReportedRun, settings: PageSettings, task: str, mistake: WrongPhoto) -> MistakeCard:
    assert reported.rows is not None
    labelled, row = reported.rows.labelled, mistake.row
    assert labelled.prob_NJ is not None
    id, path = labelled.ids[row], reported.rows.paths[row]
    parts = probabilities_by_task(labelled.prob_NJ, labelled.space, row)
    name = shown_name(id, settings.changed.get(reported.run.path, ()))
    truth = {name: int(np.asarray(label_N)[row]) for name, label_N in labelled.truth.items()}
    return MistakeCard(
        photo_or_placeholder(
            reported_photo_root(reported) / path, name, page=settings.page, embed=settings.with_photos
        ),
        mistake,
        "" if labelled.people_N is None else str(labelled.people_N[row]),
        {name: _probabilities(prob, truth[name]) for name, prob in parts.items()},
        settings.cams.get((reported.run.path, task, row), {}),
    )


def listed_photos(reported: ReportedRun) -> dict[str, str]:
    """Return {id: path relative to the photo root} of every photo that is listed."""
    if (rows := reported.rows) is None:
        return {}
    listed = dict.fromkeys(mistake.row for one in mistake_lists(rows) for mistake in one.mistakes)
    return {rows.labelled.ids[row]: rows.paths[row] for row in listed}


def reported_photo_root(reported: ReportedRun) -> Path:
    """Return the folder that the paths of a run's photos are relative to."""
    return image_root(Path(reported.environment.data), reported.config.data.format)


def _probabilities(prob: Mapping[str, float], true: int) -> tuple[ClassProbability, ...]:
    """Return the most probable classes of a task, and the true one; others close to 0 are left out.

    >>> [(one.name, one.value, one.true) for one in _probabilities({"a": 0.7, "b": 0.3, "c": 0.0, "d": 0.0}, 3)]
    [('a', '0.70', False), ('b', '0.30', False), ('d', '0.00', True)]
    """
    names = list(prob)
    right = names[true] if true >= 0 else None
    best = sorted(names, key=lambda name: -prob[name])[:SHOWN_CLASSES]
    shown = [name for name in best if prob[name] >= LEAST or name == right]
    shown += [right] if right is not None and right not in shown else []
    return tuple(ClassProbability(name, number(prob[name], 2), name == right) for name in shown)


def _people_table(people: Sequence[WrongPerson], noun: Noun) -> Table:
    tasks = list(people[0].by_task)
    several = tasks if len(tasks) > 1 else []
    rows = [
        [
            one.person,
            str(one.photos),
            str(one.wrong),
            *(str(one.by_task[name]) for name in several),
            number(one.log_loss, 2),
        ]
        for one in people
    ]
    head = [noun[0], "photos", "wrong", *(f"wrong in {name}" for name in several), "mean log loss"]
    return Table(head, rows, f"The {number_of(len(rows), noun)} with the most wrong photos")


def photos_to_explain(rows: ScoredRows) -> Iterator[tuple[str, WrongPhoto]]:
    """Yield the task and the mistake of every photo that is listed for one task."""
    for one in mistake_lists(rows):
        if one.task != JOINT:
            yield from ((one.task, mistake) for mistake in one.mistakes)
