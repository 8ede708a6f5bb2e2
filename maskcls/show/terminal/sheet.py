"""A contact sheet of what enters the network, with the labels it learns. "The best tip: look at your data"."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maskcls.show.pictures.lettering import write_text

TILE_PX = 160
LINE_PX = 15
TEXT_PX = 11
COLUMNS = 8


def contact_sheet(images_NHWC: Sequence[NDArray[np.uint8]], captions: Sequence[Sequence[str]]) -> bytes:
    """Draw RGB images (H, W, 3) uint8 in rows of eight, each above its caption lines; returns a PNG.

    Images are enlarged without smoothing, so that the network's own pixels show. Captions may be of any script; see
    `pictures.fonts` for characters that no font has.
    """
    lines = max(len(caption) for caption in captions)
    tiles = [_tile(image, caption, lines) for image, caption in zip(images_NHWC, captions, strict=True)]
    columns = min(COLUMNS, len(tiles))
    blank = np.full_like(tiles[0], 255)
    tiles += [blank] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    _, png = cv2.imencode(".png", cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))
    return png.tobytes()


def _tile(image_HWC: NDArray[np.uint8], caption: Sequence[str], lines: int) -> NDArray[np.uint8]:
    height, width = image_HWC.shape[:2]
    factor = TILE_PX / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    shown = cv2.resize(image_HWC, size, interpolation=cv2.INTER_NEAREST)
    tile = np.full((TILE_PX + LINE_PX * lines + 8, TILE_PX + 8, 3), 255, dtype=np.uint8)
    left = (tile.shape[1] - shown.shape[1]) // 2
    tile[4 : 4 + shown.shape[0], left : left + shown.shape[1]] = shown
    drawn = Image.fromarray(tile)
    for index, text in enumerate(caption):
        write_text(drawn, 5, TILE_PX + 6 + LINE_PX * (index + 1) - 4, text, size=TEXT_PX, width=TILE_PX)
    return np.asarray(drawn)
