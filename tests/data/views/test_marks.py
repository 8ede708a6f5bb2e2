"""Outlines of views on a photo, and the boxes that show: by hand, and by marked pixels through the real code."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tiny import tiny

from maskcls.data.views.augment import augment
from maskcls.data.views.draws import draw
from maskcls.data.views.marks import crop_outline, showing_boxes, view_marks
from maskcls.data.views.transforms import ViewSpec, eval_view
from maskcls.training.experiment import view_spec

PLAIN = ("transforms.preset=none", "transforms.size=[40, 20]")


def spec_of(*words: str) -> ViewSpec:
    return view_spec(tiny(*PLAIN, *words))


def test_a_view_without_changes_is_the_crop() -> None:
    spec = spec_of("transforms.crop=[0.5, 0.25]", "transforms.crop_centre=[0.5, 0.75]")
    expected = [(130, 50), (180, 50), (180, 150), (130, 150)]  # of 200 x 200: half the rows, a quarter of the columns
    np.testing.assert_array_equal(crop_outline(spec, (200, 200)), np.array(expected) - [5, 0])
    draws = draw(spec, seed=0, epoch_B=np.array([0]), key_B=np.array([7], dtype=np.uint64))
    found = view_marks(draws, 0, spec, (200, 200))
    np.testing.assert_allclose(found.outline, crop_outline(spec, (200, 200)), atol=1e-4)
    assert (found.moved, found.hidden) == (False, ())


def test_a_flip_exchanges_the_sides() -> None:
    spec = spec_of("transforms.hflip=1")
    draws = draw(spec, seed=0, epoch_B=np.array([0]), key_B=np.array([7], dtype=np.uint64))
    expected = [(100, 0), (0, 0), (0, 200), (100, 200)]
    np.testing.assert_allclose(view_marks(draws, 0, spec, (200, 100)).outline, expected, atol=1e-3)


@pytest.mark.parametrize("word", ["transforms.zoom=1", "transforms.geometry=1"])
def test_the_outline_is_where_the_pixels_come_from(word: str) -> None:
    """A photo whose red is its column and whose green is its row says where the middle of each view was taken."""
    spec = spec_of(word, "transforms.zoom_share=0.5", "transforms.rotate_deg=30", "transforms.crop=[0.8, 0.8]")
    rows, columns = np.mgrid[:200, :100]
    photo = np.stack([columns, rows, np.zeros_like(rows)], axis=2).astype(np.uint8)
    keys = np.arange(5, dtype=np.uint64)
    draws = draw(spec, seed=3, epoch_B=np.zeros(5, dtype=np.int64), key_B=keys)
    views = augment(np.stack([eval_view(photo, spec)] * 5), draws, spec.fill)
    for place in range(5):
        found = view_marks(draws, place, spec, photo.shape[:2])
        assert found.moved
        middle = views[place, 19:21, 9:11, :2].reshape(-1, 2).mean(axis=0) + 0.5
        np.testing.assert_allclose(found.outline.mean(axis=0), middle, atol=1.0)
        right = views[place, 19:21, 13:15, :2].reshape(-1, 2).mean(axis=0) + 0.5
        step = (found.outline[1] - found.outline[0] + found.outline[2] - found.outline[3]) / 2 / 20 * 4
        np.testing.assert_allclose(right - middle, step, atol=1.5)


def test_hidden_boxes_are_those_that_are_filled() -> None:
    spec = spec_of("transforms.cutout=1", "transforms.erasing=1", "transforms.erasing_boxes=3")
    draws = draw(spec, seed=1, epoch_B=np.zeros(4, dtype=np.int64), key_B=np.arange(4, dtype=np.uint64))
    views = augment(np.full((4, 40, 20, 3), 255, dtype=np.uint8), draws, (0, 0, 0))
    for place in range(4):
        filled = np.zeros((40, 20), dtype=bool)
        for top, left, bottom, right in view_marks(draws, place, spec, (40, 20)).hidden:
            filled[top:bottom, left:right] = True
        np.testing.assert_array_equal(views[place, :, :, 0] == 0, filled)
    assert view_marks(replace(draws, box=draws.box * 0, erased=draws.erased * 0), 0, spec, (40, 20)).hidden == ()


def test_only_what_shows_is_marked() -> None:
    own, partner = ((0, 0, 4, 4), (8, 8, 12, 12)), ((0, 0, 6, 6), (20, 20, 24, 24))
    assert showing_boxes(own, partner, None) == own + partner
    assert showing_boxes(own, partner, (0, 0, 5, 5)) == ((8, 8, 12, 12), (0, 0, 5, 5))
    assert showing_boxes(own, (), (0, 0, 2, 2)) == own
