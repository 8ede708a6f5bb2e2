"""The one decode function: which files it takes, the pixels it gives, and how it refuses the rest."""

import io
import os
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps

from maskcls.data.photos import images
from maskcls.data.photos.images import decode, each_image, read_image
from maskcls.errors import DataError
from maskcls.files import size_text

RNG_SEED = 0


def picture(height: int = 20, width: int = 32) -> np.ndarray:
    """Return uint8 (H, W, 3) noise, different in every corner."""
    return np.random.default_rng(RNG_SEED).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def refused(path: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    return caught.value


def smooth_jpeg(**options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.tile(np.arange(64, dtype=np.uint8)[None, :, None] * 3, (48, 1, 3))).save(
        buffer, "JPEG", **options
    )
    return buffer.getvalue()


def test_rgb_pixels_are_exact_writable_and_contiguous(tmp_path: Path) -> None:
    pixels = picture()
    got = read_image(save(tmp_path / "a.png", Image.fromarray(pixels)))
    assert got.dtype == np.uint8
    assert got.flags["C_CONTIGUOUS"]
    assert got.flags["WRITEABLE"]
    np.testing.assert_array_equal(got, pixels)


def test_a_jpeg_equals_what_pillow_decodes(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", Image.fromarray(picture()), quality=80)
    np.testing.assert_array_equal(read_image(path), np.asarray(Image.open(path).convert("RGB")))


def test_the_content_decides_not_the_extension(tmp_path: Path) -> None:
    pixels = picture()
    path = save(tmp_path / "a.png", Image.fromarray(pixels)).rename(tmp_path / "a.jpg")
    np.testing.assert_array_equal(read_image(path), pixels)


@pytest.mark.parametrize("kind", ["png", "webp", "bmp", "tiff", "gif"])
def test_other_lossless_kinds(tmp_path: Path, kind: str) -> None:
    pixels = np.repeat(np.repeat(picture(4, 4), 8, axis=0), 8, axis=1)  # 16 colours: a GIF can hold them
    options = {"lossless": True} if kind == "webp" else {}
    np.testing.assert_array_equal(read_image(save(tmp_path / f"a.{kind}", Image.fromarray(pixels), **options)), pixels)


@pytest.mark.parametrize("name", ["with space.png", "한글.png", "😀.png", "u\u0308.png", "x" * 251 + ".png"])
def test_names_of_all_kinds(tmp_path: Path, name: str) -> None:
    np.testing.assert_array_equal(read_image(save(tmp_path / name, Image.fromarray(picture()))), picture())


def test_grey_and_bilevel_become_three_equal_channels(tmp_path: Path) -> None:
    grey = picture()[:, :, 0]
    want = np.stack([grey] * 3, axis=2)
    np.testing.assert_array_equal(read_image(save(tmp_path / "l.png", Image.fromarray(grey))), want)
    bits = Image.fromarray(grey).point(lambda v: 255 * (v > 127), "1")
    np.testing.assert_array_equal(read_image(save(tmp_path / "1.png", bits)), np.where(want > 127, 255, 0))


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    image = Image.new("P", (16, 16), 1)
    image.putpalette([9, 9, 9, 10, 20, 30])
    assert read_image(save(tmp_path / "p.png", image))[3, 5].tolist() == [10, 20, 30]


@pytest.mark.parametrize(
    ("mode", "pixel", "want"),
    [
        ("RGBA", (200, 100, 0, 0), [127, 127, 127]),  # invisible: the background alone
        ("RGBA", (200, 100, 0, 255), [200, 100, 0]),
        ("RGBA", (227, 27, 127, 51), [147, 107, 127]),  # a fifth of the way from 127
        ("LA", (227, 51), [147, 147, 147]),
        ("LA", (50, 255), [50, 50, 50]),
    ],
)
def test_transparent_pixels_lie_on_mid_grey(tmp_path: Path, mode: str, pixel: tuple[int, ...], want: list[int]) -> None:
    assert read_image(save(tmp_path / "a.png", Image.new(mode, (16, 16), pixel)))[0, 0].tolist() == want


def test_a_transparent_colour_lies_on_mid_grey(tmp_path: Path) -> None:
    image = Image.new("RGB", (16, 16), (1, 2, 3))
    image.putpixel((0, 0), (9, 8, 7))
    got = read_image(save(tmp_path / "rgb.png", image, transparency=(1, 2, 3)))
    assert got[0, 0].tolist() == [9, 8, 7]
    assert got[5, 5].tolist() == [127, 127, 127]
    palette = Image.new("P", (16, 16), 1)
    palette.putpalette([9, 9, 9, 10, 20, 30])
    assert read_image(save(tmp_path / "p.png", palette, transparency=1))[0, 0].tolist() == [127, 127, 127]


@pytest.mark.parametrize(("value", "want"), [(0, 0), (128, 0), (129, 1), (30000, 117), (65535, 255), (257, 1)])
@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path: Path, value: int, want: int, kind: str) -> None:
    image = Image.fromarray(np.full((16, 16), value, dtype=np.uint16))
    assert np.unique(read_image(save(tmp_path / f"a.{kind}", image))).tolist() == [want]


def test_pixels_of_an_unknown_range_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "f.tiff", Image.fromarray(np.full((16, 16), 0.5, dtype=np.float32)))
    error = refused(path)
    assert error.what == "this form of image is not supported"
    assert "range" in str(error.got)


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    path = save(tmp_path / "c.jpg", Image.new("CMYK", (16, 16), (0, 255, 255, 0)), quality=100)
    got = read_image(path)[8, 8].astype(int)
    assert np.abs(got - [255, 0, 0]).max() <= 3  # JPEG rounding


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["png", "webp", "tiff", "tiff, compressed"])
def test_every_orientation_gives_the_upright_picture(tmp_path: Path, orientation: int, kind: str) -> None:
    upright = picture()
    # How a camera lies when it writes each value, from the EXIF standard: where row 0 and column 0 of the file lie.
    stored = {
        1: upright,  # top, left
        2: upright[:, ::-1],  # top, right
        3: upright[::-1, ::-1],  # bottom, right
        4: upright[::-1],  # bottom, left
        5: upright.transpose(1, 0, 2),  # left, top
        6: upright.transpose(1, 0, 2)[::-1],  # right, top
        7: upright.transpose(1, 0, 2)[::-1, ::-1],  # right, bottom
        8: upright.transpose(1, 0, 2)[:, ::-1],  # left, bottom
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"webp": {"lossless": True}, "tiff, compressed": {"compression": "tiff_lzw"}}.get(kind, {})
    image = Image.fromarray(np.ascontiguousarray(stored))
    path = save(tmp_path / f"o.{kind[:4]}", image, exif=exif if kind.startswith("tiff") else exif.tobytes(), **options)
    got = read_image(path)
    np.testing.assert_array_equal(read_image(path, at_least=(4, 8)), upright)  # only a JPEG is scaled
    np.testing.assert_array_equal(got, upright)
    with Image.open(path) as opened:
        np.testing.assert_array_equal(got, np.asarray(ImageOps.exif_transpose(opened)))
    assert got.flags["C_CONTIGUOUS"]
    assert got.flags["WRITEABLE"]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_jpeg_equals_that_of_opencv(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "o.jpg", Image.fromarray(picture()), quality=90, exif=exif.tobytes())
    want = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR_RGB)
    np.testing.assert_allclose(
        read_image(path).astype(int), want, atol=1
    )  # two builds of libjpeg-turbo may round apart


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_orientation_out_of_range_means_upright(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "o.png", Image.fromarray(picture()), exif=exif.tobytes())
    np.testing.assert_array_equal(read_image(path), picture())


def test_of_a_multi_picture_jpeg_the_first_counts(tmp_path: Path) -> None:
    first, second = Image.new("RGB", (32, 32), (250, 0, 0)), Image.new("RGB", (16, 16), (0, 0, 250))
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[second])
    got = read_image(tmp_path / "a.jpg")
    assert got.shape == (32, 32, 3)
    assert got[:, :, 0].min() > 240


@pytest.mark.parametrize("kind", ["gif", "webp", "tiff", "png"])
def test_several_pictures_are_refused(tmp_path: Path, kind: str) -> None:
    frames = [Image.new("RGB", (16, 16), (c, 0, 0)) for c in (0, 200)]
    error = refused(save(tmp_path / f"a.{kind}", frames[0], save_all=True, append_images=frames[1:]))
    assert error.what == "the file holds several pictures"
    assert error.got == kind.upper()


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    assert refused(tmp_path / "a.jpg").what == "empty file (0 bytes)"


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"<!DOCTYPE html><html>404</html>", "HTML"),
        (b"\n\n<HTML>", "HTML"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"just some words\n", "text"),
        (b"%PDF-1.7\n\xff\xfe", "PDF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (bytes(range(128, 256)), "known format"),
    ],
)
def test_what_is_no_image_is_named(tmp_path: Path, content: bytes, word: str) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    error = refused(tmp_path / "a.jpg")
    assert error.what.startswith("not an image")
    assert word in error.what


@pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=["baseline", "progressive"])
def test_a_jpeg_cut_anywhere_is_refused(tmp_path: Path, options: dict[str, object]) -> None:
    data, path = smooth_jpeg(quality=95, **options), tmp_path / "a.jpg"
    path.write_bytes(data)
    assert read_image(path).shape == (48, 64, 3)
    cuts = [*range(1, len(data), 16), len(data) - 2]
    assert len(cuts) > 40
    for cut in cuts:
        path.write_bytes(data[:cut])
        refused(path)


def test_a_png_cut_anywhere_or_with_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.fromarray(picture()))
    data = path.read_bytes()
    body = data.index(b"IEND") - 4
    for cut in range(1, body, 64):
        path.write_bytes(data[:cut])
        refused(path)
    middle = data.index(b"IDAT") + 40
    path.write_bytes(data[:middle] + bytes([data[middle] ^ 0x55]) + data[middle + 1 :])
    refused(path)


def test_truncated_files_are_never_filled_up() -> None:
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


def test_any_mutation_gives_pixels_or_a_data_error(tmp_path: Path) -> None:
    rng, path = np.random.default_rng(RNG_SEED), tmp_path / "a"
    exif = Image.Exif()
    exif[0x0112] = 6
    sources = [smooth_jpeg(exif=exif.tobytes())]
    for kind in ("PNG", "GIF", "WEBP", "BMP"):
        buffer = io.BytesIO()
        Image.fromarray(picture(16, 16)).save(buffer, kind)
        sources.append(buffer.getvalue())
    outcomes = {"pixels": 0, "refused": 0}
    for source in sources:
        for _ in range(60):
            data = bytearray(source)
            for at in rng.integers(0, len(data), 3):
                data[at] = rng.integers(256)
            path.write_bytes(data)
            try:
                assert read_image(path).ndim == 3
                outcomes["pixels"] += 1
            except DataError:
                outcomes["refused"] += 1
    assert min(outcomes.values()) > 20, outcomes


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that declares a size and holds next to nothing."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    chunks = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("side", [7072, 12_000, 20_000, 60_000])
def test_a_bomb_is_refused_by_its_header(tmp_path: Path, side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("50 million pixels are decoded"))
    path = tmp_path / "a.png"
    path.write_bytes(png_header(side, side))
    assert refused(path).what == "the image is too large"


def test_the_pixel_limit_itself_is_not_too_large(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png_header(5000, 10_000))
    assert refused(path).what == "truncated or damaged image"


def test_a_webp_has_half_the_pixels_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert images.MAX_PIXELS_WEBP * 2 == images.MAX_PIXELS
    for name in ("a.webp", "a.png"):
        Image.new("RGB", (40, 30), (9, 8, 7)).save(tmp_path / name, lossless=True)
    monkeypatch.setattr(images, "MAX_PIXELS_WEBP", 1199)
    assert refused(tmp_path / "a.webp").expected == "at most 0.001199 million pixels"
    assert read_image(tmp_path / "a.png").shape == (30, 40, 3)
    monkeypatch.setattr(images, "MAX_PIXELS_WEBP", 1200)
    assert read_image(tmp_path / "a.webp")[3, 4].tolist() == [9, 8, 7]


@pytest.mark.parametrize(
    ("width", "height", "what"),
    [(15, 40, "the image is too small"), (1, 1, "the image is too small"), (321, 16, "the image is too narrow")],
)
def test_images_of_no_use_are_refused(tmp_path: Path, width: int, height: int, what: str) -> None:
    error = refused(save(tmp_path / "a.png", Image.new("RGB", (width, height))))
    assert error.what == what
    assert error.got == f"{width} x {height} pixels"


@pytest.mark.parametrize("size", [(16, 16), (320, 16), (16, 320)])
def test_the_smallest_and_narrowest_allowed(tmp_path: Path, size: tuple[int, int]) -> None:
    assert read_image(save(tmp_path / "a.png", Image.new("RGB", size))).shape == (size[1], size[0], 3)


def test_a_large_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.png", Image.fromarray(picture()))
    size = path.stat().st_size
    monkeypatch.setattr(images, "PHOTO", replace(images.PHOTO, most=size - 1))
    assert refused(path).brief == f"cannot read the photo (too large, {size_text(size)})"
    monkeypatch.setattr(images, "PHOTO", replace(images.PHOTO, most=size))
    assert read_image(path).shape == (20, 32, 3)


def test_pipes_folders_and_devices_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    for path in (tmp_path / "pipe.jpg", tmp_path / "folder.jpg", Path("/dev/zero")):
        assert "not a regular file" in refused(path).brief  # opening the pipe would wait, reading /dev/zero never end


def test_missing_and_impossible_names(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.jpg").got == "No such file or directory"
    with pytest.raises(DataError, match="cannot read"):
        read_image(tmp_path / "a\0b.jpg")


def test_an_unreadable_file_is_a_data_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    path = save(tmp_path / "a.png", Image.fromarray(picture()))
    monkeypatch.setattr(os, "open", denied)  # root ignores permission bits, so the call itself refuses
    assert refused(path).got == "Permission denied"


def test_reading_leaves_no_file_open(tmp_path: Path) -> None:
    good, bad = save(tmp_path / "a.png", Image.fromarray(picture())), tmp_path / "b.jpg"
    bad.write_bytes(smooth_jpeg()[:300])
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    for _ in range(5):
        read_image(good)
        refused(bad)
    assert (len(os.listdir("/proc/self/fd")) if before else 0) == before


@pytest.mark.parametrize("threads", [1, 3])
def test_check_lists_every_unreadable_file(tmp_path: Path, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "AT_ONCE", 4)
    names = [f"{i}.png" for i in range(11)]
    for name in names:
        save(tmp_path / name, Image.fromarray(picture()))
    done: list[int] = []
    each_image(tmp_path, names, lambda row, data: decode(data, tmp_path), threads=threads, on_progress=done.append)
    assert done == list(range(1, 12))
    (tmp_path / "2.png").write_bytes(b"")
    (tmp_path / "9.png").write_bytes(b"<html>")
    with pytest.raises(DataError) as caught:
        each_image(tmp_path, [*names, "no.png"], lambda row, data: decode(data, tmp_path), threads=threads)
    assert caught.value.offenders == (
        "2.png: empty file (0 bytes)",
        "9.png: not an image: HTML, probably a failed download",
        "no.png: cannot read the photo (No such file or directory)",
    )


def test_check_of_nothing_is_fine(tmp_path: Path) -> None:
    each_image(tmp_path, [], lambda row, data: decode(data, tmp_path), threads=2)


def test_read_image_keeps_its_earlier_name() -> None:
    from maskcls.data import images

    assert images.read_image is read_image
