"""A photo on a page: embedded as a small JPEG, or a link by name."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maskcls.data.photos.images import read_image
from maskcls.errors import MaskclsError

QUALITY = 80
SIDE_PX = 160  # the longer side of a photo, at most


@dataclass(frozen=True)
class PagePhoto:
    """One photo.

    name  shown, and the alternative text.
    href  link to the file, relative to the page's folder where that is possible.
    data  data URI of the embedded picture; None for a link only.
    is_missing  whether it should be embedded but cannot be read: a placeholder is shown.
    """

    name: str
    href: str
    data: str | None = None
    is_missing: bool = False


def shown_name(name: str, changed: Collection[str]) -> str:
    """Return the name of a photo as a page shows it; changed: names of those that changed since the training."""
    return f"{name} (changed since the training)" if name in changed else name


def photo(path: Path, name: str, *, page: Path, embed: bool = False, px: int = SIDE_PX) -> PagePhoto:
    """Return a photo for the page that is written to `page`.

    embed  put the picture into the page, its longer side at most `px` pixels; DataError when it cannot be decoded.
    """
    href = quote(os.path.relpath(path.absolute(), page.absolute().parent))
    return PagePhoto(name, href, jpeg_uri(read_image(path, at_least=(px, px)), px=px) if embed else None)


def photo_or_placeholder(path: Path, name: str, *, page: Path, embed: bool, px: int = SIDE_PX) -> PagePhoto:
    """Return a photo as `photo`; one that cannot be read is a link that says so."""
    try:
        return photo(path, name, page=page, embed=embed, px=px)
    except (MaskclsError, OSError):
        return replace(photo(path, f"{name} (cannot be read)", page=page), is_missing=True)


def jpeg_uri(pixels: NDArray[np.uint8], *, px: int) -> str:
    """Return pixels, uint8 (H, W, 3), as the data URI of a JPEG whose longer side is at most `px`."""
    image, out = Image.fromarray(pixels), io.BytesIO()
    image.thumbnail((px, px), Image.Resampling.LANCZOS)
    image.save(out, format="JPEG", quality=QUALITY)
    return _uri("image/jpeg", out.getvalue())


def png_uri(data: bytes) -> str:
    """Return the bytes of a PNG file as a data URI."""
    return _uri("image/png", data)


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
