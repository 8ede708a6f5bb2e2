"""Whether photos to predict are cropped to faces like the training photos of a run, and what to do if they are not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maskcls import config
from maskcls.data.layouts.source import image_root
from maskcls.data.photos.crops import ABOUT, cropping
from maskcls.errors import shell_word
from maskcls.rundir import RunDir
from maskcls.runs.environment import read_environment
from maskcls.show.terminal.progress import Reporter

COPY = "COPY"  # stands for a folder that the user names


def trained_root(run: RunDir) -> Path:
    """Return the folder of a run's training photos, where they were when the training began."""
    return image_root(Path(read_environment(run).data), config.of_run(run.config).data.format)


def note_other_cropping(run: RunDir, root: Path, report: Reporter, trained: Path | None = None) -> None:
    """Print a note, once, when photos were cropped in another way than a run's training photos.

    root     the photos are below it; it, or a folder above it, says how they were cropped.
    trained  the folder of the training photos; None: where they were when the training began.
    """
    trained = trained or trained_root(run)
    if fault := _other_cropping(run, root, trained):
        report.once(f"{fault}; use {_way_out(run, trained)}")


def note_member_cropping(run: RunDir, root: Path, report: Reporter) -> None:
    """Print the same note about a member of an ensemble, which may have its own copy of the photos."""
    trained = trained_root(run)
    if fault := _other_cropping(run, root, trained):
        own = shell_word(f"{run.path},{COPY}")
        report.once(f"{fault}; name the member with its own copy of the photos, {own}: {_way_out(run, trained)}")


def cropped_root(folder: Path) -> Path:
    """Return the folder that says how its photos were cropped: this one or one above it; else this one."""
    full = folder.resolve()
    return next((above for above in (full, *full.parents) if (above / ABOUT).exists()), folder)


def _other_cropping(run: RunDir, root: Path, trained: Path) -> str | None:
    """Say in one line that photos were cropped in another way; None if they were not."""
    known, found = read_environment(run).cropping, cropping(cropped_root(root))
    if found == known:
        return None
    both = f"{root} ({_in_words(found)}), {trained} ({_in_words(known)})"
    return f"{run.path}: these photos are not cropped like the training photos: {both}"


def _in_words(found: Mapping[str, Any] | None) -> str:
    """Say in a few words how photos were cropped, by `cropping`.

    >>> _in_words({"detector": None, "fixed": True, "margin": 0.3, "aspect": [4, 3], "window": None})
    'crops.json: margin 0.3, aspect 4:3, without a detector'
    """
    if found is None:
        return f"no {ABOUT}"
    aspect = found["aspect"]
    shape = ":".join(map(str, aspect)) if isinstance(aspect, list) else json.dumps(aspect)
    detector = "with a detector" if found["detector"] else "without a detector"
    return f"{ABOUT}: margin {found['margin']}, aspect {shape}, {detector}"


def _way_out(run: RunDir, trained: Path) -> str:
    """Say which photos are cropped as a run's training photos, and how they are made."""
    known: Mapping[str, Any] | None = read_environment(run).cropping
    if known is None:
        return "the photos as they were before a crop"
    if cropping(trained) != known:
        return "a copy that is cropped as the training photos were"
    finder = " --detector FILE" if known["detector"] and not known["fixed"] else ""
    return f"a copy by maskcls data crop … -o {COPY} --like {shell_word(trained / ABOUT)}{finder}"
