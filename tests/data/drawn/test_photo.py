"""Drawn photos: what the pixels show of a look, a mask and the way it is worn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from maskcls.data.drawn.canvas import Pixels
from maskcls.data.drawn.look import MASK_KINDS, Look
from maskcls.data.drawn.people import people_of
from maskcls.data.drawn.photo import draw_photo
from maskcls.data.drawn.traits import look_of

SIZE = (64, 48)


def _look(**changes: object) -> Look:
    return replace(look_of(people_of("train", 1, seed=3)[0], seed=3), **changes)  # type: ignore[arg-type]


def _photo(look: Look, state: str, kind: str = "surgical", draw: int = 0) -> Pixels:
    rng = np.random.default_rng(draw)
    return draw_photo(look, state, kind, rng=rng, size=(128, 96))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def test_the_mask_covers_the_mouth_and_spares_the_forehead() -> None:
    look = _look(glasses=False, fringe=0.0)
    change = np.zeros((128, 96))
    for draw in range(4):
        worn, bare = (_photo(look, state, "dark", draw).astype(float) for state in ("wear", "normal"))
        change += abs(worn - bare).mean(axis=2) / 4
    mouth, forehead = change[66:84, 38:58].mean(), change[30:40, 38:58].mean()
    assert mouth > 40
    assert mouth > 4 * forehead  # what is left above is noise and light


def test_each_kind_of_mask_looks_its_own_way() -> None:
    photos = [_photo(_look(), "wear", kind) for kind in MASK_KINDS]
    assert len(photos) == 6
    assert len({photo.tobytes() for photo in photos}) == 6


def test_a_bare_face_ignores_the_kind_of_mask() -> None:
    assert np.array_equal(_photo(_look(), "normal", "cup"), _photo(_look(), "normal", "boat"))


@pytest.mark.parametrize(
    "change",
    [
        {"wrinkles": 1.0}, {"sag": 1.0}, {"spots": 1.0}, {"grey": 1.0}, {"recede": 1.0}, {"stubble": 1.0},
        {"makeup": 1.0}, {"glasses": True}, {"earrings": True}, {"hair_length": 0.9}, {"garment": "hood"},
        {"brow": 0.15}, {"jaw": 0.9}, {"lips": (200.0, 10.0, 40.0)}, {"cloth": (10.0, 200.0, 10.0)}, {"scene": 1},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_every_trait_shows(change: dict[str, object]) -> None:
    plain = _look(
        wrinkles=0.0, sag=0.0, spots=0.0, grey=0.0, recede=0.0, stubble=0.0, makeup=0.0, glasses=False, earrings=False,
        hair_length=0.0, garment="tee", brow=0.05, jaw=0.7, lips=(180.0, 100.0, 100.0), cloth=(90.0, 90.0, 90.0),
        scene=0,
    )  # fmt: skip
    changed = replace(plain, **change)  # type: ignore[arg-type]
    assert abs(_photo(plain, "normal").astype(int) - _photo(changed, "normal")).max() > 15
