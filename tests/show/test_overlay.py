"""A map on its image, by hand."""

from __future__ import annotations

import numpy as np
from photos import noise

from maskcls.show.pictures.overlay import STRONGEST, overlay


def test_the_image_shows_alone_where_the_map_is_0() -> None:
    view = noise(0, 6, 8)
    shown = overlay(view, np.zeros((6, 8), dtype=np.float32))
    grey = view @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(shown, np.repeat(grey[..., None], 3, axis=2), atol=1)


def test_the_colours_grow_with_the_map() -> None:
    view, cam = np.full((1, 3, 3), 100, dtype=np.uint8), np.array([[0, 0.5, 1]], dtype=np.float32)
    shown = overlay(view, cam).astype(int)
    viridis = np.array([[68, 1, 84], [33, 145, 140], [253, 231, 37]])  # its first, middle and last colour
    share = STRONGEST * cam[0][:, None]
    np.testing.assert_allclose(shown[0], 100 * (1 - share) + viridis * share, atol=2)
    assert shown.shape == (1, 3, 3)
