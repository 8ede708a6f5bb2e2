"""Heights and widths of photos, read from the headers of their files; no pixel is decoded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from maskcls.data.photos.images import FORMATS, PHOTO, TURNED, orientation
from maskcls.errors import DataError, ResourceError
from maskcls.files import opened

Size = tuple[int, int]  # (height, width) in pixels


def header_size(path: Path) -> Size:
    """Return the (height, width) in pixels of an upright photo; DataError for a header that cannot be read."""
    try:
        with opened(path, PHOTO) as file, Image.open(file, formats=FORMATS) as image:
            width, height = image.size
            # Pillow would decode a PNG to look for EXIF data behind the pixels.
            turned = (image.format != "PNG" or "exif" in image.info) and orientation(image) in TURNED
            return (width, height) if turned else (height, width)
    except (DataError, ResourceError, MemoryError):
        raise
    except Exception as error:  # damaged files raise anything, as in `images.decode`
        raise DataError(
            "the header of a photo cannot be read",
            where=str(path),
            got=str(error),
            fix="restore the photo from its source",
        ) from None


def evenly_spread(count: int, most: int) -> list[int]:
    """Return at most `most` >= 2 of the numbers 0..count-1, ascending and evenly spread, with the first and the last.

    >>> evenly_spread(10, 4), evenly_spread(3, 4)
    ([0, 3, 6, 9], [0, 1, 2])
    """
    if count <= most:
        return list(range(count))
    return [round(i * (count - 1) / (most - 1)) for i in range(most)]


def sample_sizes(root: Path, paths: Sequence[str], most: int) -> tuple[list[Size], list[str]]:
    """Return the sizes of at most `most` photos, spread over the list, and the paths among them without a size.

    paths  relative to root.
    """
    sizes: list[Size] = []
    unread: list[str] = []
    for path in [paths[i] for i in evenly_spread(len(paths), most)]:
        try:
            sizes.append(header_size(root / path))
        except DataError:
            unread.append(path)
    return sizes, unread
