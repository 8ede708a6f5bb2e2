"""Read and decode photos, for training, validation and prediction.

Pillow is the only decoder: it rejects a truncated file, which OpenCV fills with grey, and two decoders would give
different pixels for some files. ICC profiles are ignored. Damaged files are never repaired.
"""

from __future__ import annotations

import io
import os
import stat
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from maskcls.errors import DataError

Pixels = NDArray[np.uint8]

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
MAX_BYTES = 64 << 20
MAX_PIXELS = 50_000_000
MIN_SIDE = 16
MAX_ASPECT = 20
BACKGROUND = 127  # grey value behind transparent pixels
ORIENTATION = 0x0112  # EXIF tag
TURNED = (5, 6, 7, 8)  # EXIF orientations that swap height and width
AT_ONCE = 1024  # images that are queued for the threads at a time

# Pillow warns about sizes far above our limit before we can check them. As an error, the warning rejects the file; as a
# warning, it would be printed without a file name.
warnings.simplefilter("error", Image.DecompressionBombWarning)


def read_image(path: Path, *, at_least: tuple[int, int] | None = None) -> Pixels:
    """Decode one photo: `decode` of `read_bytes`."""
    return decode(read_bytes(path), path, at_least=at_least)


def decode(data: bytes, path: Path, *, at_least: tuple[int, int] | None = None) -> Pixels:
    """Decode a file's bytes to RGB, upright: uint8 (H, W, 3), contiguous and writable.

    The EXIF orientation is applied; grey, palette and CMYK pixels become RGB; transparent pixels are blended with grey
    (`BACKGROUND`); 16-bit grey is scaled to 8 bits; of a multi-picture JPEG (MPO) the first picture is used.

    path      only for messages; nothing is read from it.
    at_least  (height, width) in pixels: a JPEG may then be decoded at 1/2, 1/4 or 1/8 of its size, the smallest with no
              side below this. The decoder skips high frequencies, which is several times faster.

    Raises DataError with file and cause: too large, too small, too narrow, several pictures, not an image, truncated or
    damaged.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_header(path, image)
            orientation = image.getexif().get(ORIENTATION, 1)
            if at_least is not None:
                height, width = at_least[::-1] if orientation in TURNED else at_least
                image.draft(None, (width, height))
            image.load()
            return np.ascontiguousarray(_upright(_rgb(image), orientation))
    except (DataError, MemoryError):
        raise
    except Exception as error:  # damaged files raise anything: OSError, SyntaxError, ValueError, struct.error, …
        raise _decode_error(path, data, error) from None


def check_images(
    root: Path, paths: Sequence[str], *, threads: int, on_progress: Callable[[int], None] | None = None
) -> None:
    """Decode every image once; raise one DataError that lists all unreadable images. Arguments as for `each_image`."""
    each_image(root, paths, lambda row, data: decode(data, root / paths[row]), threads=threads, on_progress=on_progress)


def each_image(
    root: Path,
    paths: Sequence[str],
    work: Callable[[int, bytes], object],
    *,
    threads: int,
    on_progress: Callable[[int], None] | None = None,
) -> None:
    """Read every file once and call `work(row, bytes)` on several threads; then raise one DataError for all errors.

    paths        relative to root.
    work         may raise DataError, which is collected; any other exception ends the work immediately.
    on_progress  called with the number of images done so far.
    """

    def fault(row: int) -> str | None:
        try:
            work(row, read_bytes(root / paths[row]))
        except DataError as error:
            return f"{paths[row]}: {error.what}" + (f" ({error.got})" if error.got else "")
        return None

    faults: list[str] = []
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(paths), AT_ONCE):
            block = range(start, min(start + AT_ONCE, len(paths)))
            for done, found in enumerate(pool.map(fault, block), start + 1):
                faults += [found] if found else []
                if on_progress is not None:
                    on_progress(done)
    if faults:
        fix = "restore these files from the source, or remove them from the data set"
        raise DataError("images cannot be read", where=str(root), offenders=faults, fix=fix)


def read_bytes(path: Path) -> bytes:
    """Return a regular file's bytes; raises DataError when it cannot be read, is empty or larger than 64 MiB."""
    try:
        # Without O_NONBLOCK, opening a pipe without a writer would wait for ever.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise DataError(
            "cannot open the file", where=str(path), got=getattr(error, "strerror", None) or str(error)
        ) from None
    try:
        info = os.fstat(handle)
        if not stat.S_ISREG(info.st_mode):
            raise DataError("not a regular file", where=str(path))
        if info.st_size > MAX_BYTES:
            got, expected = f"{info.st_size} bytes", f"at most {MAX_BYTES >> 20} MiB"
            raise DataError("the file is too large", where=str(path), got=got, expected=expected)
        data = _read(handle, info.st_size)
    except OSError as error:
        raise DataError("cannot read the file", where=str(path), got=error.strerror or str(error)) from None
    finally:
        os.close(handle)
    if not data:
        raise DataError("empty file (0 bytes)", where=str(path), fix="restore it from the source")
    return data


def _read(handle: int, size: int) -> bytes:
    """Read a file of known size, usually in one call."""
    parts, left = [], size
    while left and (part := os.read(handle, left)):
        parts.append(part)
        left -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _check_header(path: Path, image: Image.Image) -> None:
    """Raise DataError, before any pixel is decoded, for a size or number of pictures out of range."""
    width, height = image.size
    got = f"{width} x {height} pixels"
    if width * height > MAX_PIXELS:
        expected = f"at most {MAX_PIXELS // 1_000_000} million pixels"
        raise DataError("the image is too large", where=str(path), got=got, expected=expected)
    if min(width, height) < MIN_SIDE:
        raise DataError(
            "the image is too small", where=str(path), got=got, expected=f"{MIN_SIDE} pixels per side or more"
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        expected = f"sides of at most {MAX_ASPECT} : 1"
        raise DataError("the image is too narrow", where=str(path), got=got, expected=expected)
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        fix = "save one picture as a JPEG or PNG file"
        raise DataError("the file holds several pictures", where=str(path), got=f"{image.format}", fix=fix)


def _rgb(image: Image.Image) -> Pixels:
    """Return a decoded image of any mode as RGB (H, W, 3) uint8."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return np.array(image)
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        # `convert` would clip instead of scaling: 30000 of 65535 must become 117, not 255.
        grey_HW = (np.asarray(image).astype(np.int64) + 128) // 257
        return np.repeat(grey_HW.astype(np.uint8)[:, :, None], 3, axis=2)
    if image.mode in ("I", "F"):
        raise ValueError("32-bit pixels without a known range")
    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return np.array(
            Image.alpha_composite(Image.new("RGBA", image.size, (BACKGROUND,) * 3 + (255,)), rgba).convert("RGB")
        )
    return np.array(image.convert("RGB"))


def _upright(pixels_HWC: Pixels, orientation: int) -> Pixels:
    """Undo an EXIF orientation, 1 to 8: mirror for 2, 4, 5 and 7, then rotate."""
    if orientation in (2, 4, 5, 7):
        pixels_HWC = pixels_HWC[:, ::-1]
    quarter_turns = {3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}.get(orientation, 0)
    return np.rot90(pixels_HWC, quarter_turns) if quarter_turns else pixels_HWC


def _decode_error(path: Path, data: bytes, error: Exception) -> DataError:
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        expected = f"at most {MAX_PIXELS // 1_000_000} million pixels"
        return DataError(
            "the image is too large", where=str(path), got="more than 89 million pixels", expected=expected
        )
    kind = _other_kind(data)
    if kind:
        return DataError(f"not an image: {kind}", where=str(path), expected="JPEG or PNG", fix="get the original photo")
    if isinstance(error, UnidentifiedImageError):
        return DataError("not an image of a known format", where=str(path), expected=", ".join(FORMATS))
    got = str(error) or type(error).__name__
    return DataError("truncated or damaged image", where=str(path), got=got, fix="restore it from the source")


def _other_kind(data: bytes) -> str | None:
    """Return what bytes that are not an image seem to be; None if unknown."""
    start = data[:512].lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<head")):
        return "HTML, probably a failed download"
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer; run git lfs pull"
    if data[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypavif"):
        return "a HEIC or AVIF photo; convert it to JPEG"
    if start.startswith(b"%pdf"):
        return "a PDF document"
    try:
        return (
            "text" if data[:512].decode().replace("\n", "").replace("\r", "").replace("\t", "").isprintable() else None
        )
    except UnicodeDecodeError:
        return None
