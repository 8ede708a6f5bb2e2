"""The page about samples: its figures, what it embeds, and what it only names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from browser import axe_violations, browser_page, overflow
from PIL import Image

from maskcls.groupnouns import PEOPLE
from maskcls.results.synth.sample_quality import sample_quality
from maskcls.rundir import REFIT
from maskcls.show.synth.quality_page import distance_figure, quality_page
from maskcls.show.synth.sample_report import (
    HEAD,
    NO_VERDICT,
    Neighbour,
    SampleReport,
    SetReport,
    print_sample_report,
    quality_cells,
)


def report(root: Path) -> SampleReport:
    """Return a report about two sets with samples and one without, whose files lie in `root`."""
    rng = np.random.default_rng(0)
    photo, people = rng.normal(size=(60, 4)), np.repeat(np.arange(30), 2)
    good = sample_quality(photo, people, rng.normal(size=(40, 4)), np.full(40, -1), seed=0)
    few = sample_quality(photo, people, rng.normal(size=(1, 4)), np.full(1, -1), seed=0)
    for name in ("sample.png", "photo.jpg"):
        Image.new("RGB", (24, 32), (200, 30, 30)).save(root / name)
    sheet = np.full((32, 48, 3), 90, np.uint8)
    return SampleReport(
        root / "samples.csv",
        root / "page.html",
        "wgan-gp",
        "runs/a",
        PEOPLE,
        (
            SetReport(0, good, (Neighbour("sample.png", "photo.jpg", 0.4321),), ((500, sheet), (1000, sheet)), sheet),
            SetReport(1, few),
            SetReport(REFIT, None),
        ),
    )


def page_of(root: Path, *, with_photos: bool) -> str:
    """Return the HTML of the page."""
    return quality_page(
        root / "page.html", report(root), sample_root=root, photo_path=root.joinpath, with_photos=with_photos
    )


def test_without_photos_files_are_named_only(tmp_path: Path) -> None:
    html = page_of(tmp_path, with_photos=False)
    assert "data:image" not in html
    assert "sample.png" in html
    assert "closeness 0.43" in html
    assert "--with-photos" in html
    assert NO_VERDICT in html


def test_with_photos_everything_is_embedded(tmp_path: Path) -> None:
    html = page_of(tmp_path, with_photos=True)
    assert html.count('<img src="data:image/jpeg') == 2 + 2 + 1  # the pair, the sheets, the strips
    assert "after 1,000 steps" in html
    assert "--with-photos" not in html


def test_a_sample_that_is_gone_is_a_placeholder(tmp_path: Path) -> None:
    found = report(tmp_path)
    (tmp_path / "sample.png").unlink()
    html = quality_page(
        tmp_path / "page.html", found, sample_root=tmp_path, photo_path=tmp_path.joinpath, with_photos=True
    )
    assert "sample.png (cannot be read)" in html


def test_a_row_per_set_with_a_dash_for_what_there_is_not(tmp_path: Path) -> None:
    good, few, none = (quality_cells(one) for one in report(tmp_path).sets)
    assert len(good) == len(few) == len(none) == len(HEAD)
    assert good[:3] == ["0", "40", "60"]
    assert "chance" in good[7]
    assert few[:4] == ["1", "1", "60", "-"]
    assert none == ["all", "0", *["-"] * 7]


def test_the_figure_has_the_sets_with_a_distance(tmp_path: Path) -> None:
    figure = distance_figure(report(tmp_path))
    assert figure is not None
    assert [row[0] for row in figure.table.rows] == ["0"]
    assert distance_figure(SampleReport(tmp_path, None, "dcgan", "a", PEOPLE, (SetReport(1, None),))) is None


def test_the_terminal_gets_the_figures_and_no_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_sample_report(report(tmp_path))
    out = capsys.readouterr().out
    assert NO_VERDICT in out
    assert str(tmp_path / "page.html") in out.replace("\n", "")
    print_sample_report(report(tmp_path), json=True)
    data = json.loads(capsys.readouterr().out)
    assert set(data["sets"]) == {"0", "1", "all"}
    assert data["sets"]["0"]["samples"] == 40
    assert data["sets"]["1"]["samples_and_photos"]["kernel_distance"] is None
    assert data["sets"]["all"] is None


@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_fits_and_has_no_accessibility_faults(tmp_path: Path, width: int) -> None:
    path = tmp_path / "page.html"
    path.write_text(page_of(tmp_path, with_photos=True), encoding="utf-8")
    with browser_page(width=width) as page:
        page.goto(path.as_uri())
        assert overflow(page) <= 0
        assert axe_violations(page) == []
