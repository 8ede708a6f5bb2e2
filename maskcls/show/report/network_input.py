"""What entered the networks: photos and people per fold, the view and its augmentation, and the first images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from maskcls import files
from maskcls.data.rows import folds as folding
from maskcls.errors import MaskclsError
from maskcls.groupnouns import PHOTOS, Noun
from maskcls.rundir import RunDir
from maskcls.runs.networks import RunNetwork, run_networks
from maskcls.runs.records.settings import settings_of
from maskcls.runs.reported.network_logs import network_title
from maskcls.runs.reported.reported_run import ReportedRun
from maskcls.show.pages.photos import PagePhoto, jpeg_uri, photo
from maskcls.show.pages.table import Table
from maskcls.show.report.section import PageSettings

MOST_EMBEDDED = 6  # pictures of first images; the others are links
PICTURE_PX = 1000
SECTIONS = ("transforms", "mix", "sampler")


@dataclass(frozen=True)
class FoldRowCounts:
    """Photos of one fold: those its network may train on, those it is validated on, and the people on the latter."""

    fold: int
    trains: int
    validates: int
    people: int


def network_input_section(reported: ReportedRun, settings: PageSettings) -> Mapping[str, Any]:
    """Return the rows per fold, the settings of the images, and the pictures of the first images."""
    networks = [one for one in _networks(reported) if one.folder(reported.run).first_batch.is_file()]
    counts = list(fold_row_counts(reported.run, reported.environment.folds))
    return {
        "folds": fold_row_table(counts, reported.noun),
        "settings": _settings_table(reported),
        "pictures": [_picture(reported.run, one, place, settings) for place, one in enumerate(networks)],
        "with_photos": settings.with_photos,
        "embedded": min(len(networks), MOST_EMBEDDED),
    }


def _networks(reported: ReportedRun) -> Sequence[RunNetwork]:
    return run_networks(reported.config, reported.environment.folds)


def fold_row_counts(run: RunDir, trained: Sequence[int]) -> Iterator[FoldRowCounts]:
    """Yield the rows of each trained fold, from folds.csv; raises DataError when that is damaged."""
    table = folding.from_csv(run.folds)
    fold_N, person_N = table["fold"].to_numpy(np.int64), table["person"].to_numpy(str)
    for fold in trained:
        inside_N = fold_N == fold
        yield FoldRowCounts(fold, int((~inside_N).sum()), int(inside_N.sum()), len(np.unique(person_N[inside_N])))


def fold_row_table(counts: Sequence[FoldRowCounts], noun: Noun) -> Table:
    """Return the photos that each fold trains on and is validated on, and its groups."""
    head = ["network", "photos of other folds", "validation photos", f"validation {noun[1]}"]
    rows = [[f"fold {one.fold}", f"{one.trains:,}", f"{one.validates:,}", f"{one.people:,}"] for one in counts]
    if noun == PHOTOS:
        return Table(head[:-1], [row[:-1] for row in rows], "Photos per fold")
    return Table(head, rows, f"Photos and {noun[1]} per fold")


def _settings_table(reported: ReportedRun) -> Table:
    found = settings_of(reported.config)
    rows = [[key, _value(value)] for key, value in found.items() if key.partition(".")[0] in SECTIONS]
    return Table(["setting", "value"], rows, "View, augmentation, mixing and sampling")


def _value(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _picture(run: RunDir, network: RunNetwork, place: int, settings: PageSettings) -> PagePhoto:
    path, name = network.folder(run).first_batch, f"First images of {network_title(network)}"
    link = photo(path, name, page=settings.page)
    if not settings.with_photos or place >= MOST_EMBEDDED:
        return link
    if (data := _embedded(path)) is None:
        return PagePhoto(f"{name} (cannot be read)", link.href, is_missing=True)
    return PagePhoto(name, link.href, data)


def _embedded(path: Path) -> str | None:
    """Return the picture as a data URI; None where it cannot be read, so that the link remains."""
    try:
        with files.opened(path, files.RUN_FILE) as file, Image.open(file) as image:
            return jpeg_uri(np.asarray(image.convert("RGB")), px=PICTURE_PX)
    except (OSError, ValueError, MaskclsError):
        return None
