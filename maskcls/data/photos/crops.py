"""Crops around faces: the face of a photo, the median face position of a data set, and the crop box.

Sizes are (height, width) in pixels; x and width count columns, y and height count rows. H height, W width.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from maskcls import files
from maskcls.data.photos.images import MIN_SIDE, read_bytes
from maskcls.data.photos.rgb import Pixels
from maskcls.errors import DataError

Size = tuple[int, int]

NEARLY = 0.5  # of several faces with at least this share of the largest prominence, the most central one is chosen
SPREAD_PERCENTILES = (15.87, 84.13)  # of a normal distribution: its mean minus and plus one standard deviation
MOST_MARGIN = 5.0
MOST_ASPECT = 4  # of the longer side to the shorter

ABOUT = "crops.json"  # beside a cropped copy


JPEG_QUALITY = 95
LOSSLESS = {".png": "PNG", ".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF"}


class Box(NamedTuple):
    """A rectangle of a photo in whole pixels; right and bottom are exclusive."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True)
class Face:
    """A detected face: a box in pixels, which may extend beyond the photo's edge, and a score in [0, 1]."""

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
    """The median face position of a set of photos, as shares of a photo's width (x, width) and height (y, height).

    x, y           centre of the face, median over the photos.
    width, height  size of the face, median over the photos.
    spread         of x, y, width and height: half the distance between the 16th and the 84th percentile.
    faces          number of measured faces; 0 for `USUAL`.
    """

    x: float
    y: float
    width: float
    height: float
    spread: tuple[float, float, float, float]
    faces: int

    def face(self, size: Size) -> Face:
        """Return the median face, in pixels of a photo of this size."""
        height, width = size
        wide, tall = self.width * width, self.height * height
        return Face(self.x * width - wide / 2, self.y * height - tall / 2, wide, tall)

    def box(self, size: Size, *, margin: float, aspect: float) -> Box:
        """Return the box around the median face; arguments as for `widen`."""
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


# Where a face usually is in a portrait: between the medians of generated faces (y 0.47, height 0.44) and of the real
# faces of benchmarks/README.md (y 0.61, height 0.54), with the spread of the latter. It was not measured in the photos
# that it crops.
USUAL = Window(x=0.5, y=0.55, width=0.55, height=0.5, spread=(0.06, 0.06, 0.06, 0.06), faces=0)


class Learned(NamedTuple):
    """The values that another data set can reuse from a crops.json: margin, aspect (height, width), median face."""

    margin: float
    aspect: tuple[int, int]
    window: Window


def best_face(faces: Sequence[Face], size: Size) -> Face | None:
    """Return the main face of a photo: the most prominent one (area x score); None without faces.

    If several are nearly as prominent (`NEARLY`), the nearest to the photo's centre is chosen, because a poster in the
    background may show a larger face, and a mask lowers the score.
    """
    if not faces:
        return None
    least = NEARLY * max(_prominence(face) for face in faces)
    centre = size[1] / 2, size[0] / 2
    return min((f for f in faces if _prominence(f) >= least), key=lambda face: math.dist(face.middle, centre))


def widen(face: Face, *, margin: float, aspect: float, size: Size) -> Box:
    """Return the crop box around a face, inside a photo of `size`.

    The face's box gets `margin` on each side; then its shorter direction grows until the box has the aspect. A box
    beyond an edge is shifted inside; a box larger than the photo shrinks in both directions, so nothing is distorted.
    No side is below `MIN_SIDE`, which the decoder requires, even if the aspect then differs.

    margin  share of the face's own width and height, 0 or more.
    aspect  height / width of the box, up to rounding to whole pixels.
    size    (height, width) of the photo, each `MIN_SIDE` or more.

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
    """Measure the median face position and its spread over N photos, with one face and one size per photo.

    Medians are not affected by a few faces on posters. Raises ValueError when there is no face.
    """
    if not faces:
        raise ValueError("no face to measure")
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
    """Return whether a face is completely inside a box."""
    return (
        box.left <= face.left
        and box.top <= face.top
        and face.left + face.width <= box.right
        and face.top + face.height <= box.bottom
    )


def centred_shares(box: Box, size: Size) -> tuple[float, float]:
    """Return the smallest centre crop that contains a box: shares (height, width), rounded up to hundredths.

    >>> centred_shares(Box(20, 30, 70, 90), (100, 100))
    (0.8, 0.6)
    """
    height, width = size
    tall = max(height - 2 * box.top, 2 * box.bottom - height)
    wide = max(width - 2 * box.left, 2 * box.right - width)
    return -(-100 * tall // height) / 100, -(-100 * wide // width) / 100


def cut(image_HWC: Pixels, box: Box) -> Pixels:
    """Return the pixels of a box, as a view of the photo's array."""
    return image_HWC[box.top : box.bottom, box.left : box.right]


def encode(image_HWC: Pixels, name: str) -> bytes:
    """Encode RGB (H, W, 3) uint8 by the file name: lossless for .png, .bmp, .tif and .tiff; .webp as WebP; else JPEG.

    JPEG and WebP use quality 95, JPEG without chroma subsampling. No metadata is written.
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
    """Read margin, aspect and median face of a crops.json; DataError when it is damaged, or has no median face."""
    fix = "name the crops.json of a data set that maskcls data crop wrote with --detector"
    try:
        found = files.parse_json(read_bytes(path))
        margin, (tall, wide) = float(found["margin"]), found["aspect"]
        tall, wide = int(tall), int(wide)
        if not (0 <= margin <= MOST_MARGIN and 0 < max(tall, wide) <= MOST_ASPECT * min(tall, wide)):
            raise ValueError("margin or aspect out of range")
        window = found["window"]
        learned = None if window is None else Learned(margin, (tall, wide), Window.from_json(window))
    except DataError as error:
        raise DataError(f"the learned crop: {error.what}", where=str(path), got=error.got, fix=fix) from None
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        got = f"{type(error).__name__}: {error}"
        raise DataError("this is not a crops.json of maskcls", where=str(path), got=got, fix=fix) from None
    if learned is None:
        raise DataError("there is no median face: the data set had no train photos", where=str(path), fix=fix)
    return learned


def cropping(root: Path) -> dict[str, Any] | None:
    """Return how the photos below a folder were cropped, as JSON data; None if its crops.json is missing or invalid.

    Copies with the same crop have equal data.
    """
    try:
        found = files.parse_json(read_bytes(root / ABOUT))
        return {name: found[name] for name in ("detector", "fixed", "margin", "aspect", "window")}
    except (DataError, KeyError, TypeError, ValueError, RecursionError):
        return None


def _prominence(face: Face) -> float:
    return face.width * face.height * face.score
