"""Which files are photos: by name for a folder that is searched, by the first bytes for files with other names.

`SUFFIXES` is the only list of suffixes of photos that can be decoded (`images.FORMATS`).
"""

from __future__ import annotations

from pathlib import Path

from maskcls.errors import MaskclsError
from maskcls.files import WRITTEN_FILE, opened

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
HEAD_BYTES = 16
STARTS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
}
HEIF_BRANDS = (b"heic", b"heix", b"mif1", b"avif")


def has_photo_suffix(name: str) -> bool:
    """Return whether a file name ends like a photo's, in upper or lower case."""
    return name.lower().endswith(SUFFIXES)


def photo_kind(head: bytes) -> str | None:
    """Return the format of the photo that begins with these bytes (16 suffice); None for other files.

    >>> photo_kind(b"GIF89a"), photo_kind(b"path,label"), photo_kind(bytes(4) + b"ftypheic")
    ('GIF', None, 'HEIC or AVIF')
    """
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS:
        return "HEIC or AVIF"
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return "BMP"
    return next((kind for start, kind in STARTS.items() if head.startswith(start)), None)


def kind_of_file(path: Path) -> str | None:
    """Return `photo_kind` of a regular file; None for anything else and for files that cannot be read."""
    try:
        with opened(path, WRITTEN_FILE) as file:
            return photo_kind(file.read(HEAD_BYTES))
    except (OSError, MaskclsError):
        return None
