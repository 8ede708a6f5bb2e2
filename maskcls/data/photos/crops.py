"""The part of a photo to keep around a face: where the face is, where faces usually are, and what is cut out.

Sizes are (height, width) in pixels; x and width run along the columns, y and height along the rows. H height, W width.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from maskcls.data.photos.images import MIN_SIDE, Pixels, read_bytes
from maskcls.errors import DataError

Size = tuple[int, int]

NEARLY = 0.5  # of the most prominent face: from here on being nearer to the centre counts for more
SPREAD_PERCENTILES = (15.87, 84.13)  # a normal distribution has one standard deviation between its middle and these
MOST_MARGIN = 5.0
MOST_ASPECT = 4  # of the longer side to the shorter

ABOUT = "crops.json"  # beside a cropped copy


JPEG_QUALITY = 95
LOSSLESS = {".png": "PNG", ".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF"}


class Box(NamedTuple):
    """Whole pixels of a photo; right and bottom are exclusive."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True)
class Face:
    """A face as a detector sees it: a box in pixels that may reach over the photo's edge, and a score in [0, 1]."""

    left: float
    top: float
    width: float
    height: float
    score: float = 1.0

    @property
    def middle(self) -> tuple[float, float]:
        """Its centre (x, y)."""
        return self.left + self.width / 2, self.top + self.height / 2


Detector = Callable[[Pixels], list[Face]]  # RGB (H, W, 3) -> the faces in it, in any order; called from many threads


@dataclass(frozen=True)
class Window:
    """Where the face usually is in a set of photos, as shares of a photo's width (x, width) and height (y, height).

    x, y           centre of the face, the median over the photos.
    width, height  size of the face, the median.
    spread         of x, y, width and height: half the distance between the 16th and the 84th percentile.
    faces          how many were measured.
    """

    x: float
    y: float
    width: float
    height: float
    spread: tuple[float, float, float, float]
    faces: int

    def face(self, size: Size) -> Face:
        """Return the usual face of a photo of this size."""
        height, width = size
        wide, tall = self.width * width, self.height * height
        return Face(self.x * width - wide / 2, self.y * height - tall / 2, wide, tall)

    def box(self, size: Size, *, margin: float, aspect: float) -> Box:
        """Return the usual face with its surroundings, as `widen` does it."""
        return widen(self.face(size), margin=margin, aspect=aspect, size=size)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Window:
        """Rebuild a window from `to_json` data; KeyError, TypeError or ValueError for anything else."""
        x, y, width, height = (float(data[name]) for name in ("x", "y", "width", "height"))
        a, b, c, d = (float(share) for share in data["spread"])
        # A comparison with NaN is false.
        if not (0 <= x <= 1 and 0 <= y <= 1 and 0 < width <= 2 and 0 < height <= 2 and min(a, b, c, d) >= 0):
            raise ValueError("shares out of range")
        return Window(x, y, width, height, (a, b, c, d), int(data["faces"]))


class Learned(NamedTuple):
    """What a crops.json hands on to another set: margin, aspect (height, width), and where faces usually are."""

    margin: float
    aspect: tuple[int, int]
    window: Window


def best_face(faces: Sequence[Face], size: Size) -> Face | None:
    """Return the face the photo is of: the most prominent (area x score), or None where there are no faces.

    Of several that are nearly as prominent (`NEARLY`) the nearest to the photo's centre counts, because a poster on
    the wall may show a larger face than the person's, and a mask lowers the score.
    """
    if not faces:
        return None
    least = NEARLY * max(_prominence(face) for face in faces)
    centre = size[1] / 2, size[0] / 2
    return min((f for f in faces if _prominence(f) >= least), key=lambda face: math.dist(face.middle, centre))


def widen(face: Face, *, margin: float, aspect: float, size: Size) -> Box:
    """Return the box around a face, with its surroundings, inside a photo of `size`.

    The face gets `margin` on each side; then the shorter direction grows until the box has the aspect. A box that
    reaches over an edge is shifted inside; one larger than the photo shrinks in both directions, so nothing is ever
    stretched. No side is below `MIN_SIDE`, which the decoder asks for, even where that costs the aspect.

    margin  share of the face's own width and height, 0 or more.
    aspect  height / width of the box, up to rounding to whole pixels.
    size    of the photo, each side `MIN_SIDE` or more.

    >>> widen(Face(40, 30, 20, 30), margin=0.5, aspect=2.0, size=(200, 100))
    Box(left=30, top=5, right=70, bottom=85)
    """
    tall, wide = (1 + 2 * margin) * face.height, (1 + 2 * margin) * face.width
    tall, wide = max(tall, wide * aspect), max(wide, tall / aspect)
    fit = min(1.0, size[0] / tall, size[1] / wide)
    rows, columns = (min(most, max(MIN_SIDE, round(fit * n))) for n, most in zip((tall, wide), size, strict=True))
    x, y = face.middle
    left = min(max(0, round(x - columns / 2)), size[1] - columns)
    top = min(max(0, round(y - rows / 2)), size[0] - rows)
    return Box(left, top, left + columns, top + rows)


def learn(faces: Sequence[Face], sizes: Sequence[Size]) -> Window:
    """Measure where the face usually is: medians and spread over N photos, one face and one size each.

    Medians, so that a few faces on posters move nothing. Raises ValueError when there is no face at all.
    """
    if not faces:
        raise ValueError("no face to learn from")
    shares_N4 = np.array(
        [
            (face.middle[0] / width, face.middle[1] / height, face.width / width, face.height / height)
            for face, (height, width) in zip(faces, sizes, strict=True)
        ]
    )
    x, y, wide, tall = np.median(shares_N4, axis=0).clip((0, 0, 1e-3, 1e-3), (1, 1, 2, 2)).tolist()
    low_4, high_4 = np.percentile(shares_N4, SPREAD_PERCENTILES, axis=0)
    a, b, c, d = ((high_4 - low_4) / 2).tolist()
    return Window(x, y, wide, tall, (a, b, c, d), len(faces))


def holds(box: Box, face: Face) -> bool:
    """Say whether a face lies wholly inside a box."""
    return (
        box.left <= face.left
        and box.top <= face.top
        and face.left + face.width <= box.right
        and face.top + face.height <= box.bottom
    )


def centred_shares(box: Box, size: Size) -> tuple[float, float]:
    """Return the smallest centre crop that holds a box: shares (height, width), rounded up to whole hundredths.

    >>> centred_shares(Box(20, 30, 70, 90), (100, 100))
    (0.8, 0.6)
    """
    height, width = size
    tall = max(height - 2 * box.top, 2 * box.bottom - height)
    wide = max(width - 2 * box.left, 2 * box.right - width)
    return -(-100 * tall // height) / 100, -(-100 * wide // width) / 100


def cut(image_HWC: Pixels, box: Box) -> Pixels:
    """Return the pixels of a box, a view of the photo's."""
    return image_HWC[box.top : box.bottom, box.left : box.right]


def encode(image_HWC: Pixels, name: str) -> bytes:
    """Encode RGB (H, W, 3) for a file of this name: PNG, BMP and TIFF without loss, all else as JPEG (or WebP).

    JPEG and WebP at quality 95, and JPEG with full colour resolution. Nothing of the old file's metadata remains.
    """
    suffix = Path(name).suffix.lower()
    file = io.BytesIO()
    image = Image.fromarray(image_HWC)
    if suffix in LOSSLESS:
        image.save(file, LOSSLESS[suffix])
    elif suffix == ".webp":
        image.save(file, "WEBP", quality=JPEG_QUALITY)
    else:
        image.save(file, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return file.getvalue()


def read_learned(path: Path) -> Learned:
    """Read the margin, aspect and window of a crops.json; DataError when it is none, or nothing was learned there."""
    fix = "name the crops.json of a set that maskcls data crop wrote with --detector"
    try:
        told = json.loads(read_bytes(path))
        margin, (tall, wide) = float(told["margin"]), told["aspect"]
        tall, wide = int(tall), int(wide)
        if not (0 <= margin <= MOST_MARGIN and 0 < max(tall, wide) <= MOST_ASPECT * min(tall, wide)):
            raise ValueError("margin or aspect out of range")
        window = told["window"]
        learned = None if window is None else Learned(margin, (tall, wide), Window.from_json(window))
    except DataError as error:
        raise DataError(f"the learned crop: {error.what}", where=str(path), got=error.got, fix=fix) from None
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        got = f"{type(error).__name__}: {error}"
        raise DataError("this is no crops.json of maskcls", where=str(path), got=got, fix=fix) from None
    if learned is None:
        raise DataError("this set has learned no crop: it had no train photos", where=str(path), fix=fix)
    return learned


def cropping(root: Path) -> dict[str, Any] | None:
    """Return how the photos below a folder were cropped, plain data; None where its crops.json is missing or no ours.

    Copies that were cropped alike have the same.
    """
    try:
        told = json.loads(read_bytes(root / ABOUT))
        return {name: told[name] for name in ("detector", "fixed", "margin", "aspect", "window")}
    except (DataError, KeyError, TypeError, ValueError, RecursionError):
        return None


def _prominence(face: Face) -> float:
    return face.width * face.height * face.score
