"""Still WebP photos, read with libwebp's functions: the pixels and refusals of Pillow's own reader."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskcls.data.photos import images
from maskcls.data.photos.decoders import webp
from maskcls.data.photos.images import decode
from maskcls.errors import DataError

NAME = Path("photo")
needs_libwebp = pytest.mark.skipif(webp.LIBWEBP is None, reason="this Pillow does not export libwebp's functions")


def encoded(seed: int, mode: str, **options: object) -> bytes:
    """Return a WebP of 33 x 50 pixels, with edges and smooth parts."""
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 10, 4), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(coarse).resize((50, 33)).convert(mode).save(file, "WEBP", **options)
    return file.getvalue()


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


FORMS = {
    "lossy": encoded(0, "RGB", quality=60),
    "lossy, transparent": encoded(1, "RGBA", quality=80),
    "lossless": encoded(2, "RGB", lossless=True),
    "lossless, transparent": encoded(3, "RGBA", lossless=True, exact=True),
    "turned": encoded(4, "RGB", exif=turned(6)),
    "mirrored, transparent": encoded(5, "RGBA", exif=turned(5)),
    "turned by XMP": encoded(6, "RGB", xmp=b'<x tiff:Orientation="8"/>'),
    "EXIF that the header does not announce": b"",
}


def unannounced() -> bytes:
    data = bytearray(FORMS["turned"])
    data[20] &= ~0x08  # the flags of VP8X
    return bytes(data)


FORMS["EXIF that the header does not announce"] = unannounced()


def outcome(data: bytes) -> bytes | str:
    try:
        pixels = decode(data, NAME)
    except DataError as error:
        return f"{error.what}: {error.got}"
    return str(pixels.shape).encode() + pixels.tobytes()


@pytest.fixture
def by_pillow(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], bytes | str]:
    def read(data: bytes) -> bytes | str:
        with monkeypatch.context() as patch:
            patch.setattr(webp, "LIBWEBP", None)
            return outcome(data)

    return read


@needs_libwebp
@pytest.mark.parametrize("form", FORMS)
def test_the_pixels_are_those_of_pillow(form: str, by_pillow: Callable[[bytes], bytes | str]) -> None:
    assert webp.webp_header(FORMS[form]) is not None
    found = outcome(FORMS[form])
    assert isinstance(found, bytes)
    assert found == by_pillow(FORMS[form])


@needs_libwebp
@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's about EXIF data that are damaged
def test_damaged_files_are_read_and_refused_as_by_pillow(by_pillow: Callable[[bytes], bytes | str]) -> None:
    rng, refused = np.random.default_rng(0), 0
    for data in FORMS.values():
        for change in range(12):
            mutant = bytearray(data)
            if change % 3 == 0:
                mutant = mutant[: int(rng.integers(0, len(mutant)))]
            else:
                mutant[int(rng.integers(12, 60 if change % 3 == 1 else len(mutant)))] = int(rng.integers(0, 256))
            found = outcome(bytes(mutant))
            assert found == by_pillow(bytes(mutant)), bytes(mutant[:60])
            refused += isinstance(found, str)
    assert 20 < refused < 96


def chunk(name: bytes, content: bytes) -> bytes:
    return name + len(content).to_bytes(4, "little") + content + bytes(len(content) % 2)


def animation() -> bytes:
    """Return an animation of one picture, 40 x 30 pixels of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (40, 30), (9, 8, 7)).save(file, "WEBP", lossless=True)
    sides = b"".join((side - 1).to_bytes(3, "little") for side in (40, 30))
    parts = [
        chunk(b"VP8X", bytes([webp.ANIMATED, 0, 0, 0]) + sides),
        chunk(b"ANIM", bytes(6)),
        chunk(b"ANMF", bytes(6) + sides + bytes(4) + file.getvalue()[12:]),
    ]
    return b"RIFF" + (4 + sum(map(len, parts))).to_bytes(4, "little") + b"WEBP" + b"".join(parts)


def test_an_animation_of_one_picture_is_read_by_pillow_at_half_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert images.MAX_PIXELS_ANIMATED * 2 == images.MAX_PIXELS
    assert webp.webp_header(animation()) is None
    assert decode(animation(), NAME)[3, 4].tolist() == [9, 8, 7]
    monkeypatch.setattr(images, "MAX_PIXELS_ANIMATED", 1199)
    with pytest.raises(DataError, match="the image is too large") as caught:
        decode(animation(), NAME)
    assert caught.value.expected == "at most 0.001199 million pixels"
