"""Forms of image files that Pillow opens but does not decode rightly, or whose meaning the file leaves open.

They are refused: a wrong negative or a shifted plane looks like a photo to a network. Found by comparing Pillow with
pixels known in advance and with OpenCV, see `tests/data/photos/test_encodings.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, TiffImagePlugin

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6  # TIFF's PhotometricInterpretation
BITS = {WHITE_IS_ZERO: (1, 2, 4, 8, 16), BLACK_IS_ZERO: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8)} | {
    CMYK: (8, 16),
    YCBCR: (8,),
}
COLOURS = {RGB: 3, YCBCR: 3, CMYK: 4}  # channels without the extra ones; 1 for the others
LOSSLESS = ("raw", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits", "lzma", "zstd")
COMPRESSIONS = (*LOSSLESS, "tiff_ccitt", "group3", "group4", "jpeg")
PREMULTIPLIED = 1  # of TIFF's ExtraSamples
PLANAR = 2  # of TIFF's PlanarConfiguration
REVERSED_BITS = 2  # of TIFF's FillOrder
REC_601 = (0.299, 0.587, 0.114)
FULL_RANGE = (0, 255, 128, 255, 128, 255)

BITSPERSAMPLE, PHOTOMETRIC, FILL_ORDER, PLANES, EXTRA, SAMPLE_FORMAT = 258, 262, 266, 284, 338, 339
YCBCR_COEFFICIENTS, YCBCR_SUBSAMPLING, REFERENCE_BLACK_WHITE = 529, 530, 532


def encoding_fault(image: Image.Image) -> str | None:
    """Return why an opened image, not yet loaded, cannot be decoded rightly; None if it can.

    Pillow's own errors for damaged or unknown files are not repeated here.
    """
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return _tiff_fault(image)
    if image.format == "JPEG" and image.mode == "CMYK" and "adobe" not in image.info:
        return "a CMYK JPEG without the Adobe marker, which says whether its values are inverted"
    if image.format == "PNG" and _raw_mode(image) == "RGB;16B" and "transparency" in image.info:
        return "a PNG with 16 bits per channel and a transparent colour"
    if image.format == "BMP" and not _bmp_bits_fit(image):
        return "a BMP whose palette of greys does not fit its bits per pixel"
    return None


def inverted_grey_16(image: Image.Image) -> bool:
    """Return whether an opened image is a TIFF of 16-bit grey, white is zero, that Pillow would not invert."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return False
    return image.tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO and _raw_mode(image) in ("I;16", "I;16N")


def small_grey_bits(image: Image.Image) -> int | None:
    """Return 2 or 4 for an opened PNG of grey pixels with so few bits, which Pillow scales to 8 bits; else None."""
    return {"L;2": 2, "L;4": 4}.get(_raw_mode(image)) if image.format == "PNG" else None


def _tiff_fault(image: TiffImagePlugin.TiffImageFile) -> str | None:
    tags = image.tag_v2
    photometric = tags.get(PHOTOMETRIC, WHITE_IS_ZERO)
    bits, extra = set(tags.get(BITSPERSAMPLE, (1,))), tuple(tags.get(EXTRA, ()))
    compression = str(image.info.get("compression"))
    if compression not in COMPRESSIONS:
        return f"a TIFF with the compression {compression}"
    if set(tags.get(SAMPLE_FORMAT, (1,))) != {1}:
        return "a TIFF with signed or floating-point pixels, whose range is not known"
    if photometric not in BITS:
        return f"a TIFF with the colour space {photometric} (PhotometricInterpretation)"
    if len(bits) != 1 or not bits <= {*BITS[photometric]}:
        return f"a TIFF with {', '.join(map(str, sorted(bits)))} bits per channel in the colour space {photometric}"
    if tags.get(PLANES, 1) == PLANAR and (fault := _planar_fault(tags, photometric, bits, extra)):
        return f"a TIFF with one plane per channel and {fault}"
    return _ycbcr_fault(tags, compression) if photometric == YCBCR else None


def _planar_fault(
    tags: TiffImagePlugin.ImageFileDirectory_v2, photometric: int, bits: set[int], extra: Sequence[int]
) -> str | None:
    """Return what Pillow's reader of planes does not take into account."""
    if bits != {8}:
        return f"{', '.join(map(str, bits))} bits per channel"
    if tags.get(FILL_ORDER, 1) == REVERSED_BITS:
        return "reversed bits"
    if PREMULTIPLIED in extra or photometric == YCBCR or (extra and photometric not in COLOURS):
        return "premultiplied alpha, YCbCr colours, or grey with alpha"
    return None


def _ycbcr_fault(tags: TiffImagePlugin.ImageFileDirectory_v2, compression: str) -> str | None:
    coefficients = tuple(map(float, tags.get(YCBCR_COEFFICIENTS, REC_601)))
    if any(abs(a - b) > 0.001 for a, b in zip(coefficients, REC_601, strict=True)):
        return "a TIFF with YCbCr colours that are not of Rec. 601"
    if tuple(map(float, tags.get(REFERENCE_BLACK_WHITE, FULL_RANGE))) != FULL_RANGE:
        return "a TIFF with YCbCr colours of a limited range"
    if compression == "raw" and tuple(tags.get(YCBCR_SUBSAMPLING, (2, 2))) != (1, 1):
        return "an uncompressed TIFF with subsampled YCbCr colours"
    return None


def _bmp_bits_fit(image: Image.Image) -> bool:
    """Return whether Pillow reads a BMP that it takes as grey, mode 1 or L, with as many bits as the file has."""
    if image.mode not in ("1", "L"):
        return True
    bits = 1 if image.mode == "1" else 8
    decoder, _, _, (_, stride, *_) = image.tile[0]  # type: ignore[attr-defined]
    if decoder != "raw":  # run lengths: one byte per pixel
        return bits == 8
    return bool(stride == (image.size[0] * bits + 31) // 32 * 4)


def _raw_mode(image: Image.Image) -> str:
    """Return the form in which a file holds its pixels, as Pillow names it; "" where there is none."""
    tiles = getattr(image, "tile", ())
    args = tiles[0].args if tiles else ""
    return str(args[0] if isinstance(args, tuple) else args)
