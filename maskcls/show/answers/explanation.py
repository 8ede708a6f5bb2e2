"""What `maskcls explain` returns and prints: probabilities per task, fold and view, and maps of what was looked at.

C classes of a task, h x w places of a feature map.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import Floats
from maskcls.rundir import REFIT
from maskcls.show.terminal.json_output import NONE, Versions, print_json
from maskcls.show.terminal.text import near, plural, say

Pixels = NDArray[np.uint8]
Maps = Mapping[int, Floats]


@dataclass(frozen=True, eq=False)
class ExplainedTask:
    """One task of one photo.

    classes    their names, in order.
    prob_C     as `predict` gives them: the mean over folds, seeds and views.
    by_fold    {fold: {view: (C,)}}, the mean over seeds; "" is the mean over views, REFIT the network of all rows.
    label      the known true class of a photo of the run's table.
    explained  the class whose logit the maps explain.
    given      for a head that depends on another task: the class of that task, as text; else None.
    map_hw     the mean of the folds' maps, in [0, 1]; map_by_fold: those maps; None and {} where none was asked for.
    view       the network's view (H, W, 3) uint8, on which the map lies.
    """

    task: str
    classes: tuple[str, ...]
    prob_C: Floats
    by_fold: Mapping[int, Mapping[str, Floats]]
    label: str | None
    explained: str
    given: str | None
    map_hw: Floats | None
    map_by_fold: Maps
    view: Pixels

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "task": self.task,
            "probabilities": self._named(self.prob_C),
            "label": self.label,
            "explained": self.explained,
            "given": self.given,
            "map": _grid(self.map_hw),
            "folds": [self._fold(fold, views) for fold, views in self.by_fold.items()],
        }

    def _fold(self, fold: int, views: Mapping[str, Floats]) -> dict[str, Any]:
        single = [{"view": name, "probabilities": self._named(prob)} for name, prob in views.items() if name]
        found = {"fold": None if fold == REFIT else fold, "probabilities": self._named(views[""]), "views": single}
        return found | {"map": _grid(self.map_by_fold.get(fold))}

    def _named(self, prob_C: Floats) -> dict[str, float]:
        return dict(zip(self.classes, map(float, prob_C), strict=True))


@dataclass(frozen=True, eq=False)
class ExplainedPhoto:
    """One photo. row: its id in the run's table, or None; trained: whether a network used here trained on it."""

    path: Path
    row: str | None
    folds: tuple[int, ...]
    trained: bool
    tasks: tuple[ExplainedTask, ...]

    @property
    def networks(self) -> str:
        """Say which networks explain it.

        >>> ExplainedPhoto(Path("a.jpg"), "a", (2,), False, ()).networks
        'fold 2, which did not train on this photo'
        >>> ExplainedPhoto(Path("a.jpg"), None, (0, 1, REFIT), False, ()).networks
        'folds 0, 1, all rows'
        """
        names = ", ".join("all rows" if fold == REFIT else str(fold) for fold in self.folds)
        text = names if self.folds == (REFIT,) else f"{'fold' if len(self.folds) == 1 else 'folds'} {names}"
        if self.row is None:
            return text
        return text + (", trained on this photo" if self.trained else ", which did not train on this photo")

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "photo": str(self.path),
            "row": self.row,
            "folds": [None if fold == REFIT else fold for fold in self.folds],
            "trained": self.trained,
            "tasks": [task.to_json() for task in self.tasks],
        }


@dataclass(frozen=True, eq=False)
class Explanation:
    """Photos that were explained by a run.

    picture  the PNG that shows them; page: an HTML file, or None.
    views    the test-time views.
    """

    run: Path
    picture: Path
    page: Path | None
    views: tuple[str, ...]
    photos: tuple[ExplainedPhoto, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        photos = [photo.to_json() for photo in self.photos]
        page = None if self.page is None else str(self.page)
        return {
            "run": str(self.run),
            "file": str(self.picture),
            "page": page,
            "views": list(self.views),
            "photos": photos,
        }


def print_explanation(found: Explanation, *, versions: Versions = NONE, json: bool = False) -> None:
    """Print the picture's path, and for each photo the probabilities of every task."""
    if json:
        print_json(found.to_json() | {"other_versions": dict(versions)})
        return
    say(f"{near(found.picture)}  {plural(len(found.photos), 'photo')}, views {'+'.join(found.views)}")
    if found.page is not None:
        say(str(near(found.page)))
    for photo in found.photos:
        say(f"{photo.path}  {photo.networks}")
        for task in photo.tasks:
            say(f"  {task.task}  {_line(task)}")


def _line(task: ExplainedTask) -> str:
    order = np.argsort(-task.prob_C, kind="stable")
    text = "  ".join(f"{task.classes[c]} {task.prob_C[c]:.3f}" for c in order)
    if task.label is not None:
        text += f"  (label {task.label})"
    if task.map_hw is None:
        return text
    return f"{text}  map of {task.explained}" + (f" given {task.given}" if task.given else "")


def _grid(map_hw: Floats | None) -> list[list[float]] | None:
    return None if map_hw is None else [[round(float(value), 4) for value in row] for row in map_hw]
