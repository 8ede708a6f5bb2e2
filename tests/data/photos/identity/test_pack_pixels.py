"""A changed pixel of the cache is found before it is used; so is a changed file of a pack."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from photos import PLAIN, write_photos

from maskcls.data.dataset import Key, Photos
from maskcls.data.photos.cache import build_pack, open_pack
from maskcls.data.photos.cache_folder import cache_folder, packs
from maskcls.data.photos.identity.pack_check import check_pack
from maskcls.data.photos.identity.pack_pixels import PackPixels
from maskcls.errors import ResourceError

COUNT = 6
SPEC = replace(PLAIN, size=(16, 12))
VIEW = 16 * 12 * 3
NAMES = [f"{i}.png" for i in range(COUNT)]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MASKCLS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "photos").mkdir()
    write_photos(tmp_path / "photos", COUNT)
    return tmp_path / "photos"


def build(root: Path) -> PackPixels:
    return build_pack(root, NAMES, SPEC, threads=2)


def flip(file: Path, at: int, bit: int = 1) -> None:
    """Change one bit in place, and put the time of change back."""
    before = file.stat()
    with file.open("r+b") as handle:
        handle.seek(at)
        byte = handle.read(1)[0]
        handle.seek(at)
        handle.write(bytes([byte ^ bit]))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_every_changed_bit_is_found_in_its_view_and_the_others_are_not_blamed(root: Path) -> None:
    build(root)
    rng = np.random.default_rng(0)
    for _ in range(200):
        build(root)
        (pack,) = packs(cache_folder())
        at, bit = int(rng.integers(0, COUNT * VIEW)), 1 << int(rng.integers(0, 8))
        flip(pack.folder / "pixels.u8", at, bit)
        row = at // VIEW
        pixels = open_pack(root, NAMES, SPEC)
        assert pixels is not None
        others = np.array([one for one in range(COUNT) if one != row])
        assert pixels[others].shape == (COUNT - 1, 16, 12, 3)
        with pytest.raises(ResourceError, match="damaged") as caught:
            pixels[np.array([0, row])]
        assert caught.value.offenders == (NAMES[row],)
        assert not pack.folder.exists()  # so that the next command makes it again


def test_a_view_that_was_used_is_compared_again_when_the_file_was_written_to(root: Path) -> None:
    pixels = build(root)
    pixels[np.arange(COUNT)]
    flip(pixels.folder / "pixels.u8", 2 * VIEW)
    pixels[np.array([1, 3])]
    with pytest.raises(ResourceError, match="damaged"):
        pixels[np.array([2])]


def test_a_view_is_compared_once_while_nothing_is_written(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from maskcls.data.photos.identity import pack_pixels

    pixels, seen = build(root), list[int]()
    digest = pack_pixels.digest
    monkeypatch.setattr(pack_pixels, "digest", lambda data: (seen.append(len(data)), digest(data))[1])
    for _ in range(3):
        pixels[np.array([4, 1])]
    pixels[np.array([4, 0])]
    assert len(seen) == 3
    if (child := os.fork()) == 0:  # as a loader process
        pixels[np.array([5])]
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    pixels[np.array([5])]
    assert len(seen) == 3


def test_photos_report_a_damaged_pack_as_an_error_of_the_batch(root: Path) -> None:
    pixels = build(root)
    flip(pixels.folder / "pixels.u8", 3 * VIEW + 7)
    photos = Photos(root, NAMES, NAMES, [SPEC], seed=0, cached=[pixels])
    assert isinstance(photos[Key(3)], ResourceError)
    assert isinstance(photos[Key(2)], list)


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 1)


@pytest.mark.parametrize(
    ("harm", "fault"),
    [
        (lambda pack: flip(pack / "pixels.u8", 5 * VIEW), "pixels.u8: the view of photo 6 of 6"),
        (lambda pack: cut(pack / "pixels.u8"), "pixels.u8: 3455 bytes, expected 3456"),
        (lambda pack: flip(pack / "rows.bin", 30), "rows.bin: damaged"),
        (lambda pack: (pack / "rows.bin").unlink(), "rows.bin: No such file"),
        (lambda pack: flip(pack / "pack.json", 3), "pack.json: not the description"),
        (lambda pack: (pack / "pack.json").write_text("{}"), "pack.json: not the description"),
    ],
)
def test_check_pack_names_the_file(root: Path, harm: Callable[[Path], object], fault: str) -> None:
    pack = build(root).folder
    assert check_pack(pack) == []
    harm(pack)
    (found,) = check_pack(pack)
    assert found.startswith(fault)


def test_a_damaged_pack_is_made_again_and_named(root: Path) -> None:
    pack, notes = build(root).folder, list[str]()
    flip(pack / "rows.bin", 30)
    build_pack(root, NAMES, SPEC, threads=1, on_note=notes.append)
    assert len(notes) == 1
    assert str(pack) in notes[0]
    assert "rows.bin" in notes[0]
    assert check_pack(pack) == []
    build_pack(root, NAMES, SPEC, threads=1, on_note=notes.append)
    assert len(notes) == 1


def test_equal_photos_are_found_by_the_digests_of_their_views(root: Path) -> None:
    (root / "4.png").write_bytes((root / "1.png").read_bytes())
    assert build(root).equal == [(1, 4)]
