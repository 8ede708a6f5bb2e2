"""Tables of people and photos: by class, and by fold."""

from __future__ import annotations

import pandas as pd
from rich.table import Table

from maskcls.data.rows import folds as folding
from maskcls.data.rows.manifest import person_tasks
from maskcls.groupnouns import PHOTOS, Noun
from maskcls.labels import LabelSpace


def class_counts(frame: pd.DataFrame, space: LabelSpace) -> list[tuple[str, str, int, int]]:
    """Return task, class, people and photos, class by class."""
    whole = pd.DataFrame({"id": frame["id"], "person": frame["person"], "fold": 0})
    counts = folding.fold_counts(frame, whole, space)
    rows = counts[counts["task"] != "all"].itertuples(index=False)
    return [(str(row[1]), str(row[2]), int(row[3]), int(row[4])) for row in rows]


def class_table(frame: pd.DataFrame, space: LabelSpace, noun: Noun) -> Table:
    """Return a table of people, or what groups are called, and photos by task and class."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("task", "class"):
        table.add_column(name, overflow="fold")
    for name in (*_groups(noun), "photos"):
        table.add_column(name, justify="right", no_wrap=True)
    for task, name, people, photos in class_counts(frame, space):
        table.add_row(task, name, *(str(people) for _ in _groups(noun)), str(photos))
    return table


def fold_table(manifest: pd.DataFrame, folds: pd.DataFrame, space: LabelSpace, noun: Noun) -> Table:
    """Return a table of people and photos by fold, and people by class of every task that is constant in a person."""
    counts = folding.fold_counts(manifest, folds, space)
    shown = ("all", *person_tasks(manifest, space))
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("fold", overflow="fold")
    first = counts[counts["fold"] == counts["fold"].min()]
    for name in [row.task if row.task == "all" else row[3] for row in first.itertuples() if row.task in shown]:
        table.add_column(noun[1] if name == "all" else str(name), justify="right", no_wrap=True)
    for name in _photos(noun):
        table.add_column(name, justify="right", no_wrap=True)
    for fold, group in counts[counts["task"].isin(shown)].groupby("fold"):
        photos = group.loc[group["task"] == "all", "photos"].iloc[0]
        name = "only trains" if fold == folding.NEVER else str(fold)
        table.add_row(name, *map(str, group["people"]), *(str(photos) for _ in _photos(noun)))
    return table


def _groups(noun: Noun) -> list[str]:
    return [] if noun == PHOTOS else [noun[1]]


def _photos(noun: Noun) -> list[str]:
    """Return the last column of the folds; none where the groups are the photos, which are counted already."""
    return [] if noun == PHOTOS else ["photos"]
