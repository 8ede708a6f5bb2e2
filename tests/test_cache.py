"""The cache of photos: exactly the eval views, found again while no photo changed, whole or not there."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from photos import LIVELY, PLAIN, noise, write_photos
from PIL import Image

from maskcls.cli import run_app
from maskcls.data import cache, images
from maskcls.data.cache import build_pack, cache_folder, open_pack, packs, remove
from maskcls.data.dataset import Key, Photos
from maskcls.data.images import read_image
from maskcls.data.transforms import eval_view
from maskcls.errors import DataError, ResourceError

COUNT = 6
SPEC = replace(PLAIN, crop=(0.9, 0.8), size=(16, 12))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MASKCLS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    write_photos(tmp_path / "photos", COUNT)
    for path in (tmp_path / "photos").iterdir():
        os.utime(path, (1e9, 1e9))
    return tmp_path / "photos"


NAMES = [f"{i}.png" for i in range(COUNT)]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Count the photos that are decoded."""
    seen: list[str] = []
    original = images.decode

    def counted(data: bytes, path: Path, **options: tuple[int, int]) -> np.ndarray:
        seen.append(path.name)
        return original(data, path, **options)

    monkeypatch.setattr(images, "decode", counted)
    return iter([seen])


def build(root: Path, threads: int = 2) -> np.ndarray:
    return build_pack(root, NAMES, SPEC, threads=threads)


def settle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files written just now count as old."""
    monkeypatch.setattr(cache, "FRESH_NS", -(10**18))


def test_a_pack_holds_exactly_the_eval_views_in_order(root: Path, folder: Path) -> None:
    done: list[int] = []
    assert open_pack(root, NAMES, SPEC) is None
    pixels = build_pack(root, NAMES, SPEC, threads=3, on_progress=done.append)
    assert pixels.shape == (COUNT, 16, 12, 3)
    assert pixels.dtype == np.uint8
    assert not pixels.flags.writeable
    for row in range(COUNT):
        np.testing.assert_array_equal(pixels[row], eval_view(noise(row), SPEC))
    assert done == list(range(1, COUNT + 1))
    (pack,) = (path for path in folder.iterdir() if path.is_dir())
    assert {path.name for path in pack.iterdir()} == {"pixels.u8", "rows.npz", "pack.json"}
    assert (pack / "pixels.u8").stat().st_size == COUNT * 16 * 12 * 3


def test_a_pack_is_decoded_once(root: Path, decoded: Iterator[list[str]]) -> None:
    seen = next(decoded)
    first = build(root)
    assert sorted(seen) == NAMES
    np.testing.assert_array_equal(build(root), first)
    found = open_pack(root, NAMES, replace(SPEC, hflip=1.0, colour=0.7, mean=(0.1, 0.1, 0.1)))
    assert found is not None
    np.testing.assert_array_equal(found, first)
    assert len(seen) == COUNT


@pytest.mark.parametrize("other", [replace(SPEC, crop=(0.8, 0.8)), replace(SPEC, size=(12, 16))])
def test_another_view_is_another_pack(root: Path, other: cache.ViewSpec) -> None:
    build(root)
    assert open_pack(root, NAMES, other) is None
    assert open_pack(root, NAMES[::-1], SPEC) is None
    assert open_pack(root, NAMES[:-1], SPEC) is None


@pytest.mark.parametrize("part", ["Pillow", "OpenCV", "format", "oversize"])
def test_whatever_decides_the_pixels_is_part_of_the_key(root: Path, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    build(root)
    match part:
        case "Pillow":
            monkeypatch.setattr(cache.PIL, "__version__", "0")
        case "OpenCV":
            monkeypatch.setattr(cache.cv2, "__version__", "0")
        case "format":
            monkeypatch.setattr(cache, "FORMAT", 0)
        case _:
            monkeypatch.setattr(cache, "OVERSIZE", 0)
    assert open_pack(root, NAMES, SPEC) is None


def test_a_photo_that_changed_makes_a_new_pack(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even one of the same size whose time of change was put back."""
    settle(monkeypatch)
    build(root)
    Image.fromarray(noise(9)).save(root / "2.png", compress_level=0)
    Image.fromarray(noise(2)).save(root / "new.png", compress_level=0)
    same_size = (root / "new.png").read_bytes()
    assert len(same_size) == (root / "2.png").stat().st_size
    os.utime(root / "2.png", (1e9, 1e9))
    before = build(root)
    (root / "2.png").write_bytes(same_size)
    os.utime(root / "2.png", (1e9, 1e9))
    assert open_pack(root, NAMES, SPEC) is None
    after = build(root)
    np.testing.assert_array_equal(before[2], eval_view(noise(9), SPEC))
    np.testing.assert_array_equal(after[2], eval_view(noise(2), SPEC))


def test_a_photo_that_was_only_touched_is_read_once_more_and_kept(
    root: Path, decoded: Iterator[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(monkeypatch)
    seen = next(decoded)
    build(root)
    os.utime(root / "3.png")
    read: list[str] = []
    original = images.read_bytes
    monkeypatch.setattr(images, "read_bytes", lambda path: (read.append(path.name), original(path))[1])
    for _ in range(2):
        assert open_pack(root, NAMES, SPEC) is not None
    assert read == ["3.png"]
    assert len(seen) == COUNT


def test_a_photo_written_just_before_is_compared_by_content_next_time(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within one tick of the file system's clock a second change would leave the same time stamp."""
    monkeypatch.setattr(cache, "FRESH_NS", 10**18)
    build(root)
    read: list[str] = []
    original = images.read_bytes
    monkeypatch.setattr(images, "read_bytes", lambda path: (read.append(path.name), original(path))[1])
    assert open_pack(root, NAMES, SPEC) is not None
    assert sorted(read) == NAMES


def test_a_copy_of_the_data_set_shares_the_pack(root: Path, tmp_path: Path, decoded: Iterator[list[str]]) -> None:
    seen = next(decoded)
    first = build(root)
    shutil.copytree(root, tmp_path / "copy")
    found = open_pack(tmp_path / "copy", NAMES, SPEC)
    assert found is not None
    np.testing.assert_array_equal(found, first)
    assert len(seen) == COUNT


def test_all_photos_that_cannot_be_read_are_listed_and_nothing_is_left(root: Path, folder: Path) -> None:
    (root / "1.png").write_bytes(b"<html>")
    (root / "4.png").unlink()
    with pytest.raises(DataError) as caught:
        build(root)
    assert [line.split(":")[0] for line in caught.value.offenders] == ["1.png", "4.png"]
    assert [path for path in folder.iterdir() if path.suffix != ".lock"] == []
    assert packs(folder) == []


def test_a_pack_that_was_cut_short_is_made_again(root: Path, folder: Path) -> None:
    build(root)
    (file,) = folder.glob("*/pixels.u8")
    os.truncate(file, 100)
    assert open_pack(root, NAMES, SPEC) is None
    np.testing.assert_array_equal(build(root)[5], eval_view(noise(5), SPEC))


@pytest.mark.parametrize("name", ["rows.npz", "pixels.u8"])
def test_a_pack_that_lacks_a_file_is_made_again(root: Path, folder: Path, name: str) -> None:
    build(root)
    next(folder.glob(f"*/{name}")).unlink()
    assert open_pack(root, NAMES, SPEC) is None
    np.testing.assert_array_equal(build(root)[5], eval_view(noise(5), SPEC))


def test_what_a_killed_builder_left_is_swept(root: Path, folder: Path) -> None:
    build(root)
    (pack,) = (path for path in folder.iterdir() if path.is_dir())
    pack.rename(pack.with_name(pack.name + ".part"))
    assert open_pack(root, NAMES, SPEC) is None
    build(root)
    assert [path.name for path in folder.iterdir() if path.is_dir()] == [pack.name]


def test_two_builders_at_once_decode_once(root: Path, decoded: Iterator[list[str]]) -> None:
    seen = next(decoded)
    found: list[np.ndarray] = []
    builders = [threading.Thread(target=lambda: found.append(build(root))) for _ in range(3)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join()
    assert len(found) == 3
    assert sorted(seen) == NAMES


def test_no_room_is_told_before_anything_is_decoded(
    root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, decoded: Iterator[list[str]]
) -> None:
    seen = next(decoded)
    usage = shutil.disk_usage(root)
    needed = COUNT * 16 * 12 * 3
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=needed + cache.SPARE_BYTES - 1))
    with pytest.raises(ResourceError, match="no room") as caught:
        build(root)
    assert "MASKCLS_CACHE" in str(caught.value.fix)
    assert seen == []
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=needed + cache.SPARE_BYTES))
    build(root)


def test_a_disk_that_refuses_is_a_fault_of_the_machine(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(ResourceError, match="cannot be written") as caught:
        build(root)
    assert caught.value.got == "No space left on device"


def test_a_cache_folder_that_cannot_be_made_is_a_fault_of_the_machine(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MASKCLS_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(ResourceError, match="cannot be written"):
        build(root)


def test_packs_are_listed_the_last_used_first_and_removed_while_in_use(root: Path, folder: Path) -> None:
    pixels = build(root)
    build_pack(root, NAMES, LIVELY, threads=1)
    old, new = sorted(packs(folder), key=lambda pack: pack.size)
    assert (old.size, new.size) == ((16, 12), (24, 18))
    os.utime(old.folder / "pack.json", (1e9, 1e9))
    assert [pack.size for pack in packs(folder)] == [(24, 18), (16, 12)]
    (old,) = (pack for pack in packs(folder) if pack.size == (16, 12))
    assert (old.photos, old.root, old.used) == (COUNT, str(root), 1e9)
    assert old.bytes >= COUNT * 16 * 12 * 3
    assert remove(old)
    assert [pack.size for pack in packs(folder)] == [(24, 18)]
    np.testing.assert_array_equal(pixels[3], eval_view(noise(3), SPEC))
    build(root)
    assert open_pack(root, NAMES, SPEC) is not None


def test_using_a_pack_is_noted(root: Path, folder: Path) -> None:
    build(root)
    (pack,) = packs(folder)
    os.utime(pack.folder / "pack.json", (1e9, 1e9))
    open_pack(root, NAMES, SPEC)
    assert packs(folder)[0].used > 1e9 + 1


def test_a_pack_that_is_being_made_is_not_removed(root: Path, folder: Path) -> None:
    build(root)
    (pack,) = packs(folder)
    with cache._locked(pack.folder):
        assert not remove(pack)
    assert packs(folder) == [pack]


def test_the_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("MASKCLS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/maskcls")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "maskcls"


def test_a_large_jpeg_is_decoded_at_a_smaller_scale_cached_or_not(root: Path) -> None:
    smooth = Image.fromarray(noise(0, 12, 9)).resize((300, 400), Image.Resampling.BICUBIC)
    smooth.save(root / "big.jpg", quality=95)
    spec = replace(SPEC, size=(64, 48))
    assert spec.decode_size == (107, 90)  # 1.5 * 64 / 0.9 and 1.5 * 48 / 0.8, rounded up
    assert read_image(root / "big.jpg", at_least=spec.decode_size).shape == (200, 150, 3)
    assert read_image(root / "big.jpg", at_least=(100, 75)).shape == (100, 75, 3)
    assert read_image(root / "big.jpg", at_least=(101, 75)).shape == (200, 150, 3)
    pixels = build_pack(root, ["big.jpg"], spec, threads=1)
    (uncached,) = Photos(root, ["big.jpg"], ["a"], [spec], seed=0)[Key(0)]
    np.testing.assert_array_equal(pixels[0], uncached)
    whole = eval_view(read_image(root / "big.jpg"), spec).astype(int)
    assert 0 < np.abs(pixels[0].astype(int) - whole).mean() < 2  # not the same, and as good


def test_a_turned_jpeg_is_scaled_by_its_upright_sides(root: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise(0, 100, 400)).save(root / "turned.jpg", exif=exif)
    assert read_image(root / "turned.jpg", at_least=(200, 50)).shape == (200, 50, 3)
    assert read_image(root / "turned.jpg", at_least=(50, 200)).shape == (400, 100, 3)


def test_each_view_is_decoded_as_if_it_were_alone(root: Path) -> None:
    Image.fromarray(noise(0, 12, 9)).resize((300, 400)).save(root / "big.jpg")
    specs = [replace(SPEC, size=(64, 48)), SPEC]
    both = Photos(root, ["big.jpg"], ["a"], specs, seed=0)[Key(0)]
    for spec, view in zip(specs, both, strict=True):
        np.testing.assert_array_equal(view, Photos(root, ["big.jpg"], ["a"], [spec], seed=0)[Key(0)][0])


# --- maskcls data cache


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run_app(["data", "cache", *words]) == 0
    return capsys.readouterr().out


def test_the_list_shows_every_pack(root: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "list") == f"{folder}: 0 pack(s), 0.0 MB\n"
    build(root)
    build_pack(root, NAMES, LIVELY, threads=1)
    shown = told(capsys, "list")
    assert "16 x 12" in shown
    assert "24 x 18" in shown
    assert "2 pack(s)" in shown
    listed = json.loads(told(capsys, "list", "--json"))
    assert [pack["photos"] for pack in listed] == [COUNT, COUNT]
    assert {pack["folder"] for pack in listed} == {str(pack.folder) for pack in packs(folder)}


def test_prune_deletes_what_was_not_used_for_long(root: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(root)
    build_pack(root, NAMES, LIVELY, threads=1)
    (old,) = (pack for pack in packs(folder) if pack.size == (16, 12))
    os.utime(old.folder / "pack.json", (1e9, 1e9))
    assert "would delete" in told(capsys, "prune", "--dry-run")
    assert len(packs(folder)) == 2
    assert "deleted" in told(capsys, "prune")
    assert [pack.size for pack in packs(folder)] == [(24, 18)]
    assert told(capsys, "prune", "--days", "30") == "0.0 MB freed\n"
    assert "deleted" in told(capsys, "prune", "--days", "0")
    assert packs(folder) == []
