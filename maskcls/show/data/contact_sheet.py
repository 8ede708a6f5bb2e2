"""What `maskcls data look` returns and prints: the picture it wrote, and how each training view was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from maskcls.data.views.marks import Box
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import plural, say


@dataclass(frozen=True)
class Views:
    """How some networks see photos. networks: their tasks, or "" for a single one; drawn: the random steps."""

    networks: str
    size: str
    drawn: tuple[str, ...]


@dataclass(frozen=True)
class TrainingView:
    """One augmented view of a photo.

    partner  path of the photo that is mixed in; None: none is.
    pasted   its box in the view; None for a view that is not mixed, or blended.
    hidden   boxes of Cutout and random erasing that show.
    target   share of each class in the target of each task that has a label: {task: {class: share}}.
    """

    epoch: int
    partner: str | None
    pasted: Box | None
    hidden: tuple[Box, ...]
    target: Mapping[str, Mapping[str, float]]

    @property
    def shares(self) -> list[str]:
        """The target, one text per task.

        >>> TrainingView(0, None, None, (), {"mask": {"wear": 0.7, "normal": 0.3}, "age": {"<30": 1.0}}).shares
        ['mask: wear 70%, normal 30%', 'age: <30']
        """
        return [f"{task}: {_shares(classes)}" for task, classes in self.target.items()]


@dataclass(frozen=True)
class PhotoViews:
    """The views of one photo. networks: as in `Views`; labels: the class of each task that has a label."""

    networks: str
    path: str
    labels: Mapping[str, str]
    views: tuple[TrainingView, ...]


@dataclass(frozen=True)
class ContactSheet:
    """A picture of photos as they enter the network. epochs: of training that it shows of each photo.

    rows       one per photo and kind of view, from top to bottom.
    page       the page that was written; None: none was.
    font_note  what to do where no font has a character of the class names.
    notes      what the reader of the data set said about it.
    """

    path: Path
    data: Path
    photos: int
    epochs: int
    views: tuple[Views, ...]
    rows: tuple[PhotoViews, ...] = ()
    page: Path | None = None
    font_note: str | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        places = {"path": str(self.path), "data": str(self.data), "page": None if self.page is None else str(self.page)}
        return asdict(self) | places


def print_contact_sheet(found: ContactSheet, *, json: bool = False) -> None:
    """Print the picture's path, and one line per kind of view."""
    if json:
        print_json(found.to_json())
        return
    shown = f"validation view and {plural(found.epochs, 'augmented training view')}"
    say(f"{found.path}  {plural(found.photos, 'photo')} of {found.data}: {shown}")
    for one in found.views:
        say("  ".join(filter(None, (one.networks, one.size, *one.drawn))), 2)
    if found.page is not None:
        say(f"{found.page}  the same as a page")
    for note in (*found.notes, *filter(None, [found.font_note])):
        say(f"note: {note}")


def _shares(classes: Mapping[str, float]) -> str:
    if len(classes) == 1:
        return next(iter(classes))
    return ", ".join(f"{name} {share:.0%}" for name, share in classes.items())
