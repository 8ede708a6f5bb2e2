"""The page of `maskcls explain`: per photo its pictures, and per task the probabilities of every fold and view."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.engine.cam import enlarged
from maskcls.labels import Floats
from maskcls.rundir import REFIT
from maskcls.show.answers.explanation import ExplainedPhoto, ExplainedTask, Explanation
from maskcls.show.pages.page import render_page
from maskcls.show.pages.photos import jpeg_uri
from maskcls.show.pages.table import Table
from maskcls.show.pictures.overlay import overlay

PX = 320  # longer side of a picture
LEGEND = "Yellow raises the logit of the class most; a grey map means that nothing raises it."


def explained_page(found: Explanation, read: Callable[[ExplainedPhoto], NDArray[np.uint8]]) -> str:
    """Return the page as HTML. read: returns a photo's own pixels (H, W, 3) uint8."""
    photos = [_section(f"photo{n}", photo, read(photo)) for n, photo in enumerate(found.photos)]
    title, views = f"Explained photos of {_name(found.run)}", " + ".join(found.views)
    return render_page("explained", title=title, run=str(found.run), views=views, legend=LEGEND, photos=photos)


def _section(name: str, photo: ExplainedPhoto, pixels: NDArray[np.uint8]) -> dict[str, Any]:
    pictures = [_picture(pixels, "photo", f"photo {photo.path.name}")]
    pictures += [_map(task) if task.map_hw is not None else _view(task) for task in photo.tasks]
    row = f" (row {photo.row} of the run's table)" if photo.row is not None else ""
    return {
        "id": name,
        "title": "/".join(photo.path.absolute().parts[-2:]),  # photos of several people may have one name
        "path": str(photo.path),
        "networks": f"Explained by {photo.networks}{row}.",
        "pictures": pictures,
        "tables": [_table(task) for task in photo.tasks],
    }


def _map(task: ExplainedTask) -> dict[str, str]:
    assert task.map_hw is not None
    height, width = task.view.shape[:2]
    given = f" given {task.given}" if task.given else ""
    text = f"map of what raises the logit of {task.task} {task.explained}{given}"
    shown = overlay(task.view, enlarged(task.map_hw, (height, width)))
    return _picture(shown, f"{task.task}: {task.explained}{given}", text)


def _view(task: ExplainedTask) -> dict[str, str]:
    return _picture(task.view, f"{task.task}: the network's view", f"view of the network for {task.task}")


def _picture(pixels: NDArray[np.uint8], caption: str, text: str) -> dict[str, str]:
    return {"data": jpeg_uri(pixels, px=PX), "caption": caption, "text": text}


def _table(task: ExplainedTask) -> Table:
    rows = [["all", "mean", *_numbers(task.prob_C)]] if len(task.by_fold) > 1 else []
    for fold, views in task.by_fold.items():
        name = "all rows" if fold == REFIT else f"fold {fold}"
        single = [(view, prob) for view, prob in views.items() if view]
        shown = [("mean", views[""])] + (single if len(single) > 1 else [])
        rows += [[name, view, *_numbers(prob)] for view, prob in shown]
    label = f", true class {task.label}" if task.label is not None else ""
    return Table(["networks", "views", *task.classes], rows, f"{task.task}: probabilities{label}")


def _numbers(prob_C: Floats) -> list[str]:
    return [f"{value:.3f}" for value in prob_C]


def _name(run: Path) -> str:
    return run.resolve().name
