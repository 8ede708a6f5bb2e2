"""The page of `maskcls synth page`: figures of each set, its samples beside their nearest photos, and its pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from maskcls.results.added.set_names import set_name
from maskcls.results.synth.kernel_distance import KernelDistance
from maskcls.show.pages import palette
from maskcls.show.pages.figure import Figure
from maskcls.show.pages.page import render_page
from maskcls.show.pages.photos import PagePhoto, jpeg_uri, photo_or_placeholder
from maskcls.show.pages.table import Table
from maskcls.show.synth.sample_report import (
    HEAD,
    NO_VERDICT,
    SHRUNK,
    SampleReport,
    SetReport,
    distance_text,
    quality_cells,
)

SHEET_PX = 560  # the longer side of a sheet of samples
PAIR_PX = 120


@dataclass(frozen=True)
class ShownPair:
    """A sample and the photo nearest to it."""

    sample: PagePhoto
    photo: PagePhoto
    closeness: str


@dataclass(frozen=True)
class ShownSheet:
    """One picture of many samples, as a data URI, and what it shows."""

    src: str
    caption: str


@dataclass(frozen=True)
class SetSection:
    """One set on the page. sheets and strips are empty without embedded photos."""

    id: str
    title: str
    samples: int
    pairs: tuple[ShownPair, ...]
    sheets: tuple[ShownSheet, ...]
    strips: ShownSheet | None


def quality_page(
    path: Path, found: SampleReport, *, sample_root: Path, photo_path: Callable[[str], Path], with_photos: bool
) -> str:
    """Return the HTML of the page.

    path         where it will be.
    sample_root  folder that the samples' paths are relative to.
    photo_path   returns the file of a training photo by the path in its row.
    with_photos  embed samples, photos and sheets; else they are named.
    """

    def pair(one: Any) -> ShownPair:
        return ShownPair(
            photo_or_placeholder(sample_root / one.sample, one.sample, page=path, embed=with_photos, px=PAIR_PX),
            photo_or_placeholder(photo_path(one.photo), one.photo, page=path, embed=with_photos, px=PAIR_PX),
            f"{one.closeness:.2f}",
        )

    sections = [
        SetSection(
            f"set-{set_name(one.fold)}",
            one.title,
            0 if one.quality is None else one.quality.samples,
            tuple(map(pair, one.neighbours)),
            _sheets(one) if with_photos else (),
            _strips(one) if with_photos else None,
        )
        for one in found.sets
    ]
    figure = distance_figure(found)
    return render_page(
        "synth",
        title=f"Samples in {found.path.name}",
        kind=found.kind,
        network=found.network,
        many=found.noun[1],
        no_verdict=NO_VERDICT,
        shrunk=SHRUNK if found.shrunk else "",
        summary=Table(HEAD, [quality_cells(one) for one in found.sets], caption="Samples compared with photos"),
        figure=figure,
        sections=sections,
        embedded=with_photos,
    )


def distance_figure(found: SampleReport) -> Figure | None:
    """Return the kernel distances of all sets with their intervals; None without any."""
    compared = [(one.fold, one.quality) for one in found.sets if one.quality is not None]
    parts = [(fold, one.found.distance, one.among_photos.distance) for fold, one in compared if one.found.distance]
    if not parts:
        return None

    def paint(axes: Any) -> None:
        for colour, label, offset, distances in (
            (palette.SERIES[0], "samples and photos", -0.1, [samples for _, samples, _ in parts]),
            (palette.SERIES[1], "two halves of the photos", 0.1, [halves for _, _, halves in parts]),
        ):
            shown = [(place + offset, one) for place, one in enumerate(distances) if one is not None]
            axes.errorbar(
                [place for place, _ in shown],
                [one.value for _, one in shown],
                yerr=np.array([_arms(one) for _, one in shown]).reshape(-1, 2).T,
                fmt="o",
                color=colour.light,
                label=label,
                capsize=3,
            )
        axes.set_xticks(range(len(parts)), [set_name(fold) for fold, _, _ in parts])
        axes.set_xlim(-0.5, len(parts) - 0.5)
        axes.set_xlabel("set")
        axes.set_ylabel("kernel distance")
        axes.legend()

    rows = [[set_name(fold), distance_text(one), distance_text(halves)] for fold, one, halves in parts]
    return Figure(
        "distances",
        "Kernel distance of each set",
        "The distance of the samples to photos of the same classes, and of one half of these photos to the other half, "
        "with intervals over people. Samples that are as good as photos have the distance of the halves.",
        Table(("set", "samples and photos", "halves of the photos"), rows),
        paint,
    )


def _arms(one: KernelDistance) -> tuple[float, float]:
    if np.isnan(one.low):
        return 0.0, 0.0
    return one.value - one.low, one.high - one.value


def _sheets(one: SetReport) -> tuple[ShownSheet, ...]:
    return tuple(ShownSheet(jpeg_uri(sheet, px=SHEET_PX), f"after {steps:,} steps") for steps, sheet in one.sheets)


def _strips(one: SetReport) -> ShownSheet | None:
    if one.strips is None:
        return None
    return ShownSheet(jpeg_uri(one.strips, px=2 * SHEET_PX), "each row goes from one random input to another")
