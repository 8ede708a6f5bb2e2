"""Every form of image file gives the right pixels, or an error: never wrong pixels without a word.

The pixels of lossless forms are known, because the files are written here from them; those of lossy forms are
OpenCV's, which decodes with libraries of its own.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from maskcls.data.photos import libtiff_errors
from maskcls.data.photos.encodings import COMPRESSIONS
from maskcls.data.photos.images import decode
from maskcls.errors import DataError
from tests.image_files import Ints, bmp, packed, padded, png, tiff

H, W = 20, 24
RNG = np.random.default_rng(0)
REVERSED = np.array([int(f"{byte:08b}"[::-1], 2) for byte in range(256)])


class Form(NamedTuple):
    """A file, its pixels, and the largest difference allowed."""

    data: bytes
    want_HWC: NDArray[np.uint8] | NDArray[np.float64]
    within: int = 0


def samples(channels: int, bits: int) -> Ints:
    return RNG.integers(0, 1 << bits, (H, W, channels))


def scaled(samples_HWC: Ints, bits: int) -> NDArray[np.float64]:
    """Return samples as 0..255, in three channels."""
    value_HWC = samples_HWC * 255 / ((1 << bits) - 1)
    return np.repeat(value_HWC, 3, axis=2) if value_HWC.shape[2] == 1 else value_HWC


def on_grey(colour_HWC: NDArray[np.float64], alpha_HW1: NDArray[np.float64]) -> NDArray[np.float64]:
    """Blend with the grey 127; alpha in [0, 1]."""
    return colour_HWC * alpha_HW1 + 127 * (1 - alpha_HW1)


def cmyk_to_rgb(cmyk_HW4: Ints, bits: int) -> NDArray[np.float64]:
    share = 1 - cmyk_HW4 / ((1 << bits) - 1)
    return 255 * share[:, :, :3] * share[:, :, 3:]


def with_pillow(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def by_opencv(data: bytes) -> NDArray[np.uint8]:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    assert pixels is not None
    return pixels


def tiffs() -> dict[str, Form]:
    forms = {}
    for bits in (1, 2, 4, 8, 16):
        s = samples(1, bits)
        forms[f"tiff grey {bits}"] = Form(tiff(s, photometric=1, bits=bits), scaled(s, bits))
        inverse = (1 << bits) - 1 - s
        forms[f"tiff grey {bits}, white is zero"] = Form(tiff(s, photometric=0, bits=bits), scaled(inverse, bits))
    s = samples(1, 16)
    forms["tiff grey 16, big-endian"] = Form(tiff(s, photometric=1, bits=16, order=">"), scaled(s, 16))
    lzw = with_pillow(Image.fromarray(s[:, :, 0].astype(np.uint16)), "TIFF", compression="tiff_lzw")
    forms["tiff grey 16, lzw"] = Form(lzw, scaled(s, 16))
    assert lzw.count(struct.pack("<HHLL", 262, 3, 1, 1)) == 1
    white = lzw.replace(struct.pack("<HHLL", 262, 3, 1, 1), struct.pack("<HHLL", 262, 3, 1, 0))
    forms["tiff grey 16, lzw, white is zero"] = Form(white, scaled(65535 - s, 16))
    for order in "<>":
        s3, s4 = samples(3, 16), samples(4, 16)
        # Of 16-bit colours Pillow keeps the upper byte, which is at most 1 from the nearest; a blend adds its rounding.
        forms[f"tiff rgb 16 {order}"] = Form(tiff(s3, photometric=2, bits=16, order=order), scaled(s3, 16), 1)
        blend = on_grey(scaled(s4[:, :, :3], 16), s4[:, :, 3:] / 65535)
        forms[f"tiff rgba 16 {order}"] = Form(tiff(s4, photometric=2, bits=16, order=order, extra=[2]), blend, 2)
        forms[f"tiff cmyk 16 {order}"] = Form(tiff(s4, photometric=5, bits=16, order=order), cmyk_to_rgb(s4, 16), 2)
    for planar in (False, True):
        place = ", planes" if planar else ""
        s = samples(4, 8)
        rgb, alpha = scaled(s[:, :, :3], 8), s[:, :, 3:] / 255
        form = {"bits": 8, "planar": planar}
        forms[f"tiff rgb 8{place}"] = Form(tiff(s[:, :, :3], photometric=2, **form), rgb)
        forms[f"tiff rgba 8{place}"] = Form(tiff(s, photometric=2, extra=[2], **form), on_grey(rgb, alpha), 1)
        forms[f"tiff cmyk 8{place}"] = Form(tiff(s, photometric=5, **form), cmyk_to_rgb(s, 8), 1)
    s = samples(4, 8)
    forms["tiff rgb 8 and a channel without meaning"] = Form(
        tiff(s, photometric=2, bits=8, extra=[0]), scaled(s[:, :, :3], 8)
    )
    s[:, :, :3] = np.minimum(s[:, :, :3], s[:, :, 3:])
    premultiplied = s[:, :, :3] + 127 * (1 - s[:, :, 3:] / 255)
    # Pillow divides by alpha and multiplies again: each rounds.
    forms["tiff rgba 8, premultiplied"] = Form(tiff(s, photometric=2, bits=8, extra=[1]), premultiplied, 2)
    s = samples(2, 8)
    blend = on_grey(scaled(s[:, :, :1], 8), s[:, :, 1:] / 255)
    forms["tiff grey and alpha 8"] = Form(tiff(s, photometric=1, bits=8, extra=[2]), blend, 1)
    for bits in (1, 2, 4, 8):
        s, palette = samples(1, bits), RNG.integers(0, 256, (3, 1 << bits))
        data = tiff(s, photometric=3, bits=bits, tags={320: (palette * 257).ravel().tolist()})
        forms[f"tiff palette {bits}"] = Form(data, palette.T[s[:, :, 0]].astype(np.float64))
    s = samples(3, 8)
    forms["tiff rgb 8, reversed bits"] = Form(tiff(REVERSED[s], photometric=2, bits=8, tags={266: [2]}), scaled(s, 8))
    forms["tiff rgb 8, strips"] = Form(tiff(s, photometric=2, bits=8, rows_per_strip=7), scaled(s, 8))
    forms["tiff rgb 8, tiles"] = Form(tiff(s, photometric=2, bits=8, tile=16), scaled(s, 8))
    luma, blue, red = (s[:, :, c].astype(float) for c in range(3))
    rgb = (luma + 1.402 * (red - 128), luma - 0.344136 * (blue - 128) - 0.714136 * (red - 128))
    rgb_HWC = np.stack([*rgb, luma + 1.772 * (blue - 128)], axis=2).clip(0, 255)
    # Pillow's tables of the conversion are rounded.
    forms["tiff ycbcr 8"] = Form(tiff(s, photometric=6, bits=8, tags={530: [1, 1]}), rgb_HWC, 1)
    return forms


def compressed_tiffs() -> dict[str, Form]:
    pixels = samples(3, 8).astype(np.uint8)
    colour, bilevel = Image.fromarray(pixels), Image.fromarray(pixels).convert("1")
    forms = {}
    for name in COMPRESSIONS:
        image = bilevel if name in ("tiff_ccitt", "group3", "group4") else colour
        data = with_pillow(image, "TIFF", compression=name)
        want = by_opencv(data) if name == "jpeg" else np.array(image.convert("RGB"))
        forms[f"tiff, compression {name}"] = Form(data, want, 1 if name == "jpeg" else 0)  # JPEG: rounding, see `jpegs`
    data = with_pillow(colour.convert("YCbCr"), "TIFF", compression="jpeg")
    forms["tiff ycbcr, compression jpeg"] = Form(data, by_opencv(data), 1)
    forms["tiff by opencv"] = Form(cv2.imencode(".tiff", pixels[:, :, ::-1])[1].tobytes(), pixels)
    return forms


def pngs() -> dict[str, Form]:
    forms = {}
    for bits in (1, 2, 4, 8, 16):
        s = samples(1, bits)
        grey, key = scaled(s, bits), s[3, 3, 0]
        chunk = [(b"tRNS", struct.pack(">H", key))]
        forms[f"png grey {bits}"] = Form(png(s, "grey", bits), grey)
        forms[f"png grey {bits}, interlaced"] = Form(png(s, "grey", bits, interlaced=True), grey)
        forms[f"png grey {bits}, transparent value"] = Form(
            png(s, "grey", bits, chunks=chunk), np.where(s == key, 127, grey)
        )
    for bits in (1, 2, 4, 8):
        s = samples(1, bits)
        palette, alpha = RNG.integers(0, 256, (1 << bits, 3)), RNG.integers(0, 256, (1 << bits, 1))
        colours = [(b"PLTE", palette.astype(np.uint8).tobytes())]
        forms[f"png palette {bits}"] = Form(png(s, "palette", bits, chunks=colours), palette[s[:, :, 0]].astype(float))
        blend = on_grey(palette.astype(float), alpha / 255)[s[:, :, 0]]
        data = png(s, "palette", bits, chunks=[*colours, (b"tRNS", alpha.astype(np.uint8).tobytes())])
        forms[f"png palette {bits}, transparent"] = Form(data, blend, 1)
    for bits, within in ((8, 0), (16, 1)):  # of 16 bits the upper byte is kept; a blend adds its rounding
        most = (1 << bits) - 1
        rgb, rgba, grey_alpha = samples(3, bits), samples(4, bits), samples(2, bits)
        forms[f"png rgb {bits}"] = Form(png(rgb, "rgb", bits), scaled(rgb, bits), within)
        forms[f"png rgb {bits}, interlaced"] = Form(png(rgb, "rgb", bits, interlaced=True), scaled(rgb, bits), within)
        blend = on_grey(scaled(rgba[:, :, :3], bits), rgba[:, :, 3:] / most)
        forms[f"png rgba {bits}"] = Form(png(rgba, "rgb_alpha", bits), blend, within + 1)
        blend = on_grey(scaled(grey_alpha[:, :, :1], bits), grey_alpha[:, :, 1:] / most)
        forms[f"png grey and alpha {bits}"] = Form(png(grey_alpha, "grey_alpha", bits), blend, within + 1)
    rgb = samples(3, 8)
    key = rgb[2, 2]
    data = png(rgb, "rgb", 8, chunks=[(b"tRNS", struct.pack(">HHH", *key.tolist()))])
    forms["png rgb 8, transparent colour"] = Form(data, np.where((rgb == key).all(-1, keepdims=True), 127, rgb) * 1.0)
    return forms


def jpegs() -> dict[str, Form]:
    """Compare with OpenCV: the same algorithm, in another build of libjpeg-turbo, which may round one value apart."""
    image = Image.fromarray(samples(3, 8).astype(np.uint8))
    files = {
        "jpeg 4:4:4": with_pillow(image, "JPEG", quality=90, subsampling=0),
        "jpeg 4:2:2": with_pillow(image, "JPEG", quality=90, subsampling=1),
        "jpeg 4:2:0": with_pillow(image, "JPEG", quality=90, subsampling=2),
        "jpeg progressive": with_pillow(image, "JPEG", quality=90, progressive=True),
        "jpeg rgb": with_pillow(image, "JPEG", quality=90, keep_rgb=True),
        "jpeg grey": with_pillow(image.convert("L"), "JPEG", quality=90),
        "jpeg cmyk of Adobe, inverted": with_pillow(image.convert("CMYK"), "JPEG", quality=100),
    }  # fmt: skip
    ycck = bytearray(files["jpeg cmyk of Adobe, inverted"])
    ycck[ycck.index(b"Adobe") + 11] = 2  # the transform
    return {name: Form(data, by_opencv(data), 1) for name, data in (files | {"jpeg ycck": bytes(ycck)}).items()}


def others() -> dict[str, Form]:
    pixels = samples(3, 8).astype(np.uint8)
    image, rgba = Image.fromarray(pixels), samples(4, 8).astype(np.uint8)
    blend = on_grey(rgba[:, :, :3].astype(float), rgba[:, :, 3:] / 255)
    lossy = with_pillow(image, "WEBP", quality=80)
    forms = {
        "webp": Form(lossy, by_opencv(lossy), 1),  # another build of libwebp may round apart
        "webp lossless": Form(with_pillow(image, "WEBP", lossless=True), pixels),
        "webp with alpha": Form(with_pillow(Image.fromarray(rgba), "WEBP", lossless=True, exact=True), blend, 1),
        "bmp 24": Form(cv2.imencode(".bmp", pixels[:, :, ::-1])[1].tobytes(), pixels),
        "bmp 24 from above": Form(bmp(padded([row.tobytes() for row in pixels[:, :, ::-1]]), W, -H, 24), pixels),
        "bmp 32, the fourth byte reserved": Form(bmp(rgba[::-1].tobytes(), W, H, 32), rgba[:, :, 2::-1]),
    }
    s = RNG.integers(0, 1 << 15, (H, W))
    want = np.stack([s >> 10, s >> 5 & 31, s & 31], axis=2) * 255 / 31
    forms["bmp 555"] = Form(bmp(s[::-1].astype("<u2").tobytes(), W, H, 16), want, 1)  # Pillow rounds down
    s = RNG.integers(0, 1 << 16, (H, W))
    want = np.stack([(s >> 11) * 255 / 31, (s >> 5 & 63) * 255 / 63, (s & 31) * 255 / 31], axis=2)
    masks = struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    forms["bmp 565"] = Form(bmp(s[::-1].astype("<u2").tobytes(), W, H, 16, compression=3, masks=masks), want, 1)
    for bits in (1, 4, 8):
        s, palette = samples(1, bits), np.pad(RNG.integers(0, 256, (1 << bits, 3), dtype=np.uint8), ((0, 0), (0, 1)))
        rows = padded([packed(row.reshape(1, -1), bits) for row in s[::-1]])
        colours = palette[s[:, :, 0]][:, :, 2::-1]
        forms[f"bmp palette {bits}"] = Form(bmp(rows, W, H, bits, palette=palette.tobytes()), colours)
        if bits > 1:
            shift = 8 - bits
            runs = b"".join(
                b"".join(bytes([1, index << shift]) for index in row[:, 0].tolist()) + b"\0\0" for row in s[::-1]
            )
            data = bmp(runs + b"\0\1", W, H, bits, palette=palette.tobytes(), compression=1 if bits == 8 else 2)
            forms[f"bmp palette {bits}, run lengths"] = Form(data, colours)
    few = image.quantize(64)
    want, place = np.array(few.convert("RGB")), np.asarray(few)[:, :, None]
    forms["gif"] = Form(with_pillow(few, "GIF"), want)
    forms["gif interlaced"] = Form(with_pillow(few, "GIF", interlace=1), want)
    forms["gif transparent"] = Form(
        with_pillow(few, "GIF", transparency=3, optimize=False), np.where(place == 3, 127, want)
    )
    return forms


FORMS = tiffs() | compressed_tiffs() | pngs() | jpegs() | others()
WITH_ALPHA = ("alpha", "transparent", "rgba", "premultiplied")  # OpenCV drops alpha
OTHER_IN_OPENCV = ("cmyk 16", "lzma", "zstd", "tiles", " 2", " 4", "bmp 555", "bmp 565")  # refused, or fewer bits


def test_the_table_is_complete() -> None:
    assert len(FORMS) == 105
    assert {name.split()[0].strip(",") for name in FORMS} == {"tiff", "png", "jpeg", "webp", "bmp", "gif"}


@pytest.mark.parametrize("name", FORMS)
def test_the_pixels_are_right(name: str) -> None:
    form = FORMS[name]
    got = decode(form.data, Path(name))
    assert got.shape == (H, W, 3)
    np.testing.assert_allclose(got.astype(float), np.rint(form.want_HWC), atol=form.within)


def test_opencv_agrees_with_what_this_table_wants() -> None:
    """The pixels wanted are not a mistake of this file: OpenCV reads the same ones, up to the rounding of 16 bits."""
    names = [name for name in FORMS if not any(word in name for word in (*WITH_ALPHA, *OTHER_IN_OPENCV))]
    assert len(names) == 57
    for name in names:
        difference = np.abs(by_opencv(FORMS[name].data) - np.rint(FORMS[name].want_HWC)).max()
        # OpenCV keeps the upper byte of 16 bits, and has other tables for CMYK and YCbCr.
        assert difference <= (1 if "16" in name or "cmyk" in name or "ycbcr" in name else 0), name


S1, S3, S4 = samples(1, 8), samples(3, 8), samples(4, 8)
CMYK_JPEG = FORMS["jpeg cmyk of Adobe, inverted"].data
MARKER = CMYK_JPEG.index(b"\xff\xee")
TWO_GREYS = bytes(4) + b"\xff\xff\xff\0"
ROWS_8, ROWS_4 = (padded([packed(row.reshape(1, -1), bits) for row in samples(1, 1)]) for bits in (8, 4))
REFUSED = {
    "tiff grey 12": (tiff(samples(1, 12), photometric=1, bits=12), "12 bits"),
    "tiff signed 8": (tiff(S1, photometric=1, bits=8, tags={339: [2]}), "range"),
    "tiff signed 16": (tiff(samples(1, 16), photometric=1, bits=16, tags={339: [2]}), "range"),
    "tiff 32 bits": (tiff(samples(1, 32), photometric=1, bits=32), "32 bits"),
    "tiff float": (tiff(samples(1, 32), photometric=1, bits=32, tags={339: [3]}), "range"),
    "tiff CIELAB": (tiff(S3, photometric=8, bits=8), "colour space 8"),
    "tiff rgb 16, planes": (tiff(samples(3, 16), photometric=2, bits=16, planar=True), "one plane per channel"),
    "tiff cmyk 16, planes": (tiff(samples(4, 16), photometric=5, bits=16, planar=True), "one plane per channel"),
    "tiff planes of reversed bits": (tiff(S3, photometric=2, bits=8, planar=True, tags={266: [2]}), "reversed bits"),
    "tiff premultiplied, planes": (tiff(S4, photometric=2, bits=8, planar=True, extra=[1]), "premultiplied"),
    "tiff grey and alpha, planes": (tiff(samples(2, 8), photometric=1, bits=8, planar=True, extra=[2]), "with alpha"),
    "tiff ycbcr, planes": (tiff(S3, photometric=6, bits=8, planar=True, tags={530: [1, 1]}), "YCbCr"),
    "tiff ycbcr, subsampled": (tiff(S3, photometric=6, bits=8, data=bytes(H * W * 3 // 2)), "subsampled"),
    "tiff ycbcr of Rec. 709": (
        tiff(S3, photometric=6, bits=8, tags={530: [1, 1], 529: [2126, 10000, 7152, 10000, 722, 10000]}),
        "Rec. 601",
    ),
    "tiff ycbcr of a limited range": (
        tiff(S3, photometric=6, bits=8, tags={530: [1, 1], 532: [16, 1, 235, 1, 128, 1, 240, 1, 128, 1, 240, 1]}),
        "limited range",
    ),
    "tiff old-style jpeg": (tiff(S3, photometric=6, bits=8, tags={259: [6]}), "compression tiff_jpeg"),
    "tiff rare": (tiff(samples(1, 16), photometric=0, bits=16, order=">"), "rare kind"),
    "png rgb 16, transparent colour": (
        png(samples(3, 16), "rgb", 16, chunks=[(b"tRNS", bytes(6))]),
        "a transparent colour",
    ),
    "jpeg cmyk, not of Adobe": (CMYK_JPEG[:MARKER] + CMYK_JPEG[MARKER + 16 :], "Adobe marker"),
    "bmp 8 with two greys": (bmp(ROWS_8, W, H, 8, palette=TWO_GREYS), "palette of greys"),
    "bmp 4 with two greys": (bmp(ROWS_4, W, H, 4, palette=TWO_GREYS), "palette of greys"),
    "bmp run lengths of two greys": (bmp(ROWS_8, W, H, 8, palette=TWO_GREYS, compression=1), "palette of greys"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_decoded_rightly_is_refused_by_name(name: str) -> None:
    data, word = REFUSED[name]
    with pytest.raises(DataError) as caught:
        decode(data, Path(name))
    assert caught.value.what == "this form of image is not supported"
    assert word in str(caught.value.got)
    assert caught.value.where == name
    assert "8 bits per channel" in str(caught.value.fix)


def test_every_refused_form_is_tried() -> None:
    assert len(REFUSED) == 22


@pytest.mark.skipif(not libtiff_errors.HEARD, reason="this Pillow does not export libtiff's functions")
@pytest.mark.parametrize("kind", ["group4", "tiff_lzw"])
def test_what_libtiff_reports_is_an_error_with_the_photo(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Otherwise libtiff prints lines without a name, and a damaged fax page has wrong pixels."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 240, 3), dtype=np.uint8))
    whole = with_pillow(noise.convert("1") if kind == "group4" else noise, "TIFF", compression=kind)
    with Image.open(io.BytesIO(whole)) as image:
        middle = image.tag_v2[273][0] + image.tag_v2[279][0] // 2
    damaged = whole[:middle] + np.random.default_rng(1).bytes(64) + whole[middle + 64 :]
    with pytest.raises(DataError, match="truncated or damaged") as caught:
        decode(damaged, Path("fax.tif"))
    assert caught.value.where == "fax.tif"
    assert decode(whole, Path("fax.tif")).shape == (200, 240, 3)  # the error of another photo is not taken for its own
    assert capfd.readouterr() == ("", "")
