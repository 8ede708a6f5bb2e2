"""The picture of `maskcls explain`: per photo the photo, the network's view, and per task its map and probabilities."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from maskcls.engine.cam import enlarged
from maskcls.show.answers.explanation import ExplainedPhoto, ExplainedTask
from maskcls.show.pictures.lettering import Colour, write_text
from maskcls.show.pictures.overlay import overlay

Pixels = NDArray[np.uint8]

TILE, GAP, LINE, TEXT, MARGIN = 224, 12, 18, 13, 14  # pixels
NAME, NUMBER = 88, 42  # width of a class name and of a number beside its bar
LEGEND = "Yellow raises the logit of the class in the title most, its bar is blue. * true class, where it is known"
MOST_BARS = 8  # classes with a bar; the others are counted
INK, MUTED, BAR, MARKED, GROUND = (20, 20, 20), (95, 95, 95), (150, 165, 185), (33, 96, 168), (255, 255, 255)


def explained_png(photos: Sequence[ExplainedPhoto], read: Callable[[ExplainedPhoto], Pixels]) -> bytes:
    """Return a PNG with a row per photo. read: returns the photo's own pixels (H, W, 3) uint8."""
    rows = [_row(photo, read(photo)) for photo in photos]
    sheet = Image.new("RGB", (max(row.width for row in rows), MARGIN + LINE + sum(row.height for row in rows)), GROUND)
    write_text(sheet, MARGIN, MARGIN + TEXT, LEGEND, size=TEXT, width=sheet.width - 2 * MARGIN, colour=MUTED)
    top = MARGIN + LINE
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    out = io.BytesIO()
    sheet.save(out, format="PNG")
    return out.getvalue()


def _row(photo: ExplainedPhoto, pixels: Pixels) -> Image.Image:
    views: dict[bytes, tuple[Pixels, list[str]]] = {}
    for task in photo.tasks:
        views.setdefault(task.view.tobytes(), (task.view, []))[1].append(task.task)
    bars = min(MOST_BARS + 1, max(len(task.classes) for task in photo.tasks))
    columns = 1 + len(views) + len(photo.tasks)
    width, height = MARGIN + columns * (TILE + GAP), 2 * MARGIN + (3 + bars) * LINE + TILE
    row = Image.new("RGB", (width, height), GROUND)
    write_text(
        row, MARGIN, MARGIN + TEXT, f"{photo.path}  {photo.networks}", size=TEXT, width=width - 2 * MARGIN, colour=INK
    )
    left = MARGIN
    _tile(row, left, "photo", pixels)
    for view, tasks in views.values():
        left += TILE + GAP
        size = f"{view.shape[0]} x {view.shape[1]} pixels"
        _tile(row, left, "network's view" + (f", {', '.join(tasks)}" if len(views) > 1 else ""), view)
        write_text(row, left, _below() + TEXT, size, size=TEXT, width=TILE, colour=MUTED)
    for task in photo.tasks:
        left += TILE + GAP
        _task(row, left, task)
    return row


def _task(row: Image.Image, left: int, task: ExplainedTask) -> None:
    given = f" given {task.given}" if task.given else ""
    shown, title = task.view, task.task
    if task.map_hw is not None:
        height, width = task.view.shape[:2]
        shown, title = (
            overlay(task.view, enlarged(task.map_hw, (height, width))),
            f"{task.task}: {task.explained}{given}",
        )
    _tile(row, left, title, shown)
    order = np.argsort(-task.prob_C, kind="stable")
    top = _below()
    for place, c in enumerate(order[:MOST_BARS].tolist()):
        name = task.classes[c]
        colour = MARKED if name == task.explained else BAR
        _bar(row, (left, top + place * LINE), name, float(task.prob_C[c]), colour, marked=name == task.label)
    if len(order) > MOST_BARS:
        text = f"and {len(order) - MOST_BARS} more classes"
        write_text(row, left, top + MOST_BARS * LINE + TEXT, text, size=TEXT, width=TILE, colour=MUTED)


def _bar(row: Image.Image, place: tuple[int, int], name: str, share: float, colour: Colour, *, marked: bool) -> None:
    """Draw a class, its probability as a bar, and the number; the true label is marked by a dot."""
    left, top = place
    pen = ImageDraw.Draw(row)
    write_text(row, left, top + TEXT, f"* {name}" if marked else name, size=TEXT, width=NAME - 6, colour=INK)
    room = TILE - NAME - NUMBER
    pen.rectangle((left + NAME, top + 3, left + NAME + room, top + TEXT + 1), outline=(215, 215, 215))
    if (length := round(room * share)) > 0:
        pen.rectangle((left + NAME, top + 3, left + NAME + length, top + TEXT + 1), fill=colour)
    write_text(row, left + TILE - NUMBER + 6, top + TEXT, f"{share:.3f}", size=TEXT, colour=INK)


def _tile(row: Image.Image, left: int, title: str, pixels: Pixels) -> None:
    """Draw a title and below it an image, fitted into a square."""
    top = MARGIN + LINE
    write_text(row, left, top + LINE - 4, title, size=TEXT, width=TILE, colour=INK)
    height, width = pixels.shape[:2]
    factor = TILE / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    shown = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    row.paste(Image.fromarray(shown), (left + (TILE - size[0]) // 2, top + LINE + (TILE - size[1]) // 2))


def _below() -> int:
    return MARGIN + 2 * LINE + TILE + 6
