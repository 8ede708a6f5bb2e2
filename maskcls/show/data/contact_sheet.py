"""What `maskcls data look` returns and prints: the picture it wrote, and which augmentation is on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import plural, say


@dataclass(frozen=True)
class Views:
    """How some networks see photos. networks: their tasks, or "" for a single one; drawn: the random steps."""

    networks: str
    size: str
    drawn: tuple[str, ...]


@dataclass(frozen=True)
class ContactSheet:
    """A picture of photos as they enter the network.

    epochs     of training that it shows of each photo.
    font_note  what to do where no font has a character of the class names.
    """

    path: Path
    data: Path
    photos: int
    epochs: int
    views: tuple[Views, ...]
    font_note: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self) | {"path": str(self.path), "data": str(self.data)}


def print_contact_sheet(found: ContactSheet, *, json: bool = False) -> None:
    """Print the picture's path, and one line per kind of view."""
    if json:
        print_json(found.to_json())
        return
    shown = f"validation view and {plural(found.epochs, 'augmented training view')}"
    say(f"{found.path}  {plural(found.photos, 'photo')} of {found.data}: {shown}")
    for one in found.views:
        say("  ".join(filter(None, (one.networks, one.size, *one.drawn))), 2)
    if found.font_note:
        say(f"note: {found.font_note}")
