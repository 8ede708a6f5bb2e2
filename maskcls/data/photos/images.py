"""Read and decode photos, for training, validation and prediction.

Pillow is the only decoder: it rejects a truncated file, which OpenCV fills with grey, and two decoders would give
different pixels for some files. ICC profiles are ignored. Damaged files are never repaired.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from maskcls.data.photos import libtiff_errors
from maskcls.data.photos.encodings import encoding_fault, inverted_grey_16, small_grey_bits
from maskcls.data.photos.pixel_budget import DECODING
from maskcls.data.photos.rgb import Pixels, rgb, upright
from maskcls.errors import DataError
from maskcls.files import FileKind, read_file

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
PHOTO = FileKind("the photo", DataError, 64 << 20)  # more than a PNG of the most pixels that we decode usually has
MAX_PIXELS = 50_000_000
MAX_PIXELS_WEBP = 25_000_000  # Pillow decodes each WebP as an animation, with 16 bytes per pixel; a PNG takes 7
MIN_SIDE = 16
MAX_ASPECT = 20
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # first bytes
ORIENTATION = 0x0112  # EXIF tag
DRAFTED = ("JPEG", "MPO")  # formats that can be decoded at a smaller size
TURNED = (5, 6, 7, 8)  # EXIF orientations that swap height and width
UNSUPPORTED, AS_PNG = "this form of image is not supported", "save it as a PNG or JPEG file with 8 bits per channel"
AT_ONCE = 1024  # images that are queued for the threads at a time

# Pillow warns about sizes far above our limit before we can check them. As an error, the warning rejects the file; as a
# warning, it would be printed without a file name.
warnings.simplefilter("error", Image.DecompressionBombWarning)


def read_image(path: Path, *, at_least: tuple[int, int] | None = None) -> Pixels:
    """Decode one photo: `decode` of `read_bytes`."""
    return decode(read_bytes(path), path, at_least=at_least)


def decode(
    data: bytes,
    path: Path,
    *,
    at_least: tuple[int, int] | None = None,
    max_pixels: int = MAX_PIXELS,
    admit: Callable[[int], object] | None = None,
) -> Pixels:
    """Decode a file's bytes to RGB, upright: uint8 (H, W, 3), contiguous and writable.

    The EXIF orientation is applied; grey, palette, CMYK and YCbCr become RGB; transparent pixels are blended with grey
    (`rgb.BACKGROUND`); 16 bits are scaled to 8; of a multi-picture JPEG (MPO) the first picture is used.

    path        only for messages; nothing is read from it.
    at_least    (height, width) in pixels: a JPEG may then be decoded at 1/2, 1/4 or 1/8 of its size, the smallest with
                no side below this. The decoder skips high frequencies, which is several times faster.
    max_pixels  of the photo as its header says, before it is decoded.
    admit       called with the number of bytes that will be returned, before any is decoded; it may wait.

    Large photos are decoded one after another, see `pixel_budget`.

    Raises DataError with file and cause: too large, too small, too narrow, several pictures, not an image, a form that
    cannot be decoded rightly (`encodings`), truncated or damaged.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_header(path, image, max_pixels)
            inverted, grey_bits = inverted_grey_16(image), small_grey_bits(image)
            # Asked for the orientation of a PNG, Pillow would decode all of it, here without a share of the budget.
            if at_least is not None and image.format in DRAFTED:
                height, width = at_least[::-1] if orientation(image) in TURNED else at_least
                image.draft(None, (width, height))
            pixels = image.width * image.height
            if admit is not None:
                admit(3 * pixels)
            with DECODING.taken(pixels):
                with libtiff_errors.no_errors():
                    image.load()
                # Read after loading: Pillow turns a TIFF itself, and then removes the tag.
                turn, pixels_HWC = orientation(image), rgb(image, inverted=inverted, grey_bits=grey_bits)
                image.close()  # its pixels, too: they are not needed to turn the others
                return np.ascontiguousarray(upright(pixels_HWC, turn))
    except (DataError, MemoryError):
        raise
    except Exception as error:  # damaged files raise anything: OSError, SyntaxError, ValueError, struct.error, …
        raise _decode_error(path, data, error) from None


def each_image(
    root: Path,
    paths: Sequence[str],
    work: Callable[[int, bytes], object],
    *,
    threads: int,
    on_progress: Callable[[int], None] | None = None,
) -> None:
    """Read every file once and call `work(row, bytes)` on several threads; then raise one DataError for all errors.

    The arguments are those of `image_faults`.
    """
    if faults := image_faults(root, paths, work, threads=threads, on_progress=on_progress):
        fix = "restore these files from the source, or remove them from the data set"
        listed = [f"{paths[row]}: {fault}" for row, fault in faults.items()]
        raise DataError("images cannot be read", where=str(root), offenders=listed, fix=fix)


def image_faults(
    root: Path,
    paths: Sequence[str],
    work: Callable[[int, bytes], object],
    *,
    threads: int,
    on_progress: Callable[[int], None] | None = None,
) -> dict[int, str]:
    """Read every file once and call `work(row, bytes)` on several threads; return what is wrong, by row.

    paths        relative to root.
    work         may raise DataError, which is collected; any other exception ends the work immediately.
    on_progress  called with the number of images done so far.
    """

    def fault(row: int) -> str | None:
        try:
            with DECODING.kept():
                work(row, read_bytes(root / paths[row]))
        except DataError as error:
            return error.brief
        return None

    faults: dict[int, str] = {}
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(paths), AT_ONCE):
            block = range(start, min(start + AT_ONCE, len(paths)))
            for row, found in zip(block, pool.map(fault, block), strict=True):
                if found is not None:
                    faults[row] = found
                if on_progress is not None:
                    on_progress(row + 1)
    return faults


def read_bytes(path: Path) -> bytes:
    """Return a photo's bytes; raises DataError when it cannot be read, is empty or larger than 64 MiB."""
    data = read_file(path, PHOTO)
    if not data:
        raise DataError("empty file (0 bytes)", where=str(path), fix="restore it from the source")
    return data


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 without one."""
    found = image.getexif().get(ORIENTATION)
    return found if isinstance(found, int) else 1


def _check_header(path: Path, image: Image.Image, max_pixels: int) -> None:
    """Raise DataError, before any pixel is decoded, for a size, number of pictures or form out of range."""
    width, height = image.size
    most = min(max_pixels, MAX_PIXELS_WEBP) if image.format == "WEBP" else max_pixels
    got = f"{width} x {height} pixels"
    if width * height > most:
        expected = f"at most {most / 1_000_000:g} million pixels"
        raise DataError(
            "the image is too large",
            where=str(path),
            got=got,
            expected=expected,
            fix="save the photo with fewer pixels",
        )
    if min(width, height) < MIN_SIDE:
        raise DataError(
            "the image is too small",
            where=str(path),
            got=got,
            expected=f"{MIN_SIDE} pixels per side or more",
            fix="get a larger photo, or leave it out",
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        expected = f"sides of at most {MAX_ASPECT} : 1"
        raise DataError(
            "the image is too narrow",
            where=str(path),
            got=got,
            expected=expected,
            fix="cut out the part with the face, or leave the photo out",
        )
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        fix = "save one picture as a JPEG or PNG file"
        raise DataError("the file holds several pictures", where=str(path), got=f"{image.format}", fix=fix)
    if fault := encoding_fault(image):
        raise DataError(UNSUPPORTED, where=str(path), got=fault, fix=AS_PNG)


def _decode_error(path: Path, data: bytes, error: Exception) -> DataError:
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        expected = f"at most {MAX_PIXELS // 1_000_000} million pixels"
        return DataError(
            "the image is too large",
            where=str(path),
            got="more than 89 million pixels",
            expected=expected,
            fix="save the photo with fewer pixels",
        )
    kind = _other_kind(data)
    if kind:
        return DataError(f"not an image: {kind}", where=str(path), expected="JPEG or PNG", fix="get the original photo")
    if isinstance(error, UnidentifiedImageError) and data.startswith(TIFF):
        got = "a TIFF that is damaged, or of a rare kind"
        return DataError(UNSUPPORTED, where=str(path), got=got, fix=AS_PNG)
    if isinstance(error, UnidentifiedImageError):
        return DataError(
            "not an image of a known format",
            where=str(path),
            expected=", ".join(FORMATS),
            fix="save the photo as JPEG or PNG",
        )
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
