"""The page of `maskcls data look`: for each photo, how its training views are made, with or without the pictures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from maskcls.data.views.marks import Box
from maskcls.show.data.contact_sheet import ContactSheet, PhotoViews, TrainingView
from maskcls.show.pages.page import render_page
from maskcls.show.pages.photos import PagePhoto, jpeg_uri, photo
from maskcls.show.pages.table import Table
from maskcls.show.terminal.sheet import TILE_PX

Pixels = NDArray[np.uint8]
HEAD = ("epoch", "mixed with", "pasted box", "hidden boxes", "target")


@dataclass(frozen=True)
class ShownPicture:
    """One embedded picture, and what it shows."""

    src: str
    alt: str
    caption: str


@dataclass(frozen=True)
class PhotoSection:
    """One photo on the page. pictures: empty without embedded photos."""

    id: str
    title: str
    labels: str
    photo: PagePhoto
    pictures: tuple[ShownPicture, ...]
    table: Table | None


def look_page(path: Path, found: ContactSheet, root: Path, pictures: Sequence[Sequence[Pixels]] | None) -> str:
    """Return the HTML of the page.

    path      where it will be.
    root      folder that the photos' paths are relative to.
    pictures  tiles of each row of the sheet, to embed; None: the photos are named, and the sheet is a link.
    """
    tiles = pictures or [()] * len(found.rows)
    rows = zip(found.rows, tiles, strict=True)
    sections = [_section(place, one, shown, root, path) for place, (one, shown) in enumerate(rows)]
    return render_page(
        "look",
        title=f"Views of {found.data.name}",
        sections=sections,
        views=[", ".join(filter(None, (one.networks, one.size, *one.drawn))) for one in found.views],
        sheet=quote(os.path.relpath(found.path.absolute(), path.absolute().parent)),
        sheet_name=found.path.name,
        embedded=pictures is not None,
    )


def _section(place: int, one: PhotoViews, tiles: Sequence[Pixels], root: Path, page: Path) -> PhotoSection:
    title = f"{one.path} ({one.networks})" if one.networks else one.path
    labels = ", ".join(f"{task}: {name}" for task, name in one.labels.items()) or "no labels"
    told = (
        [("photo and outlines", "whole photo with the outlines of its views")]
        if len(tiles) > len(one.views) + 1
        else []
    )
    told += [("validation", "validation view"), *(_caption(view) for view in one.views)]
    shown = [
        ShownPicture(jpeg_uri(tile, px=TILE_PX), f"{one.path}: {alt}", caption)
        for tile, (caption, alt) in zip(tiles, told if tiles else [], strict=True)
    ]
    rows = [_cells(view) for view in one.views]
    table = Table(HEAD, rows, caption=f"Training views of {one.path}") if rows else None
    return PhotoSection(
        f"photo-{place}", title, labels, photo(root / one.path, one.path, page=page), tuple(shown), table
    )


def _caption(view: TrainingView) -> tuple[str, str]:
    """Return a view's caption, and its alternative text."""
    text = f"training view of epoch {view.epoch}" + (f", mixed with {view.partner}" if view.partner else "")
    return f"epoch {view.epoch}" + (", mixed" if view.partner else ""), text


def _cells(view: TrainingView) -> list[str]:
    pasted = "-" if view.pasted is None else _box(view.pasted)
    if view.partner and view.pasted is None:
        pasted = "whole image, blended"
    hidden = "; ".join(map(_box, view.hidden)) or "-"
    return [str(view.epoch), view.partner or "-", pasted, hidden, "; ".join(view.shares) or "-"]


def _box(box: Box) -> str:
    """Write a box as its size and the place of its upper left corner.

    >>> _box((10, 20, 40, 60))
    '40 x 30 at 20, 10'
    """
    top, left, bottom, right = box
    return f"{right - left} x {bottom - top} at {left}, {top}"
