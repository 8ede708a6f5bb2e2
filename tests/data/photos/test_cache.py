"""The cache of photos: exactly the eval views, found again while no photo changed, whole or not there."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from photos import LIVELY, PLAIN, noise, write_photos
from PIL import Image
from tiny import tiny

from maskcls.cli import run_app
from maskcls.data.dataset import Key, Photos
from maskcls.data.photos import cache, images
from maskcls.data.photos.cache import build_pack, open_pack
from maskcls.data.photos.cache_folder import _is_held as pack_is_held
from maskcls.data.photos.cache_folder import cache_folder, leftovers, packs, remove
from maskcls.data.photos.images import read_image
from maskcls.data.views.transforms import eval_view
from maskcls.errors import DataError, ResourceError
from maskcls.show.terminal.units import size as size_text
from maskcls.training.photos import Views, cached_views

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
    return np.asarray(build_pack(root, NAMES, SPEC, threads=threads))


def settle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files written just now count as old."""
    monkeypatch.setattr(cache, "FRESH_NS", -(10**18))


def test_a_pack_holds_exactly_the_eval_views_in_order(root: Path, folder: Path) -> None:
    done: list[int] = []
    assert open_pack(root, NAMES, SPEC) is None
    pack_pixels = build_pack(root, NAMES, SPEC, threads=3, on_progress=done.append)
    assert pack_pixels.shape == (COUNT, 16, 12, 3)
    pixels = np.asarray(pack_pixels)
    assert pixels.shape == (COUNT, 16, 12, 3)
    assert pixels.dtype == np.uint8
    for row in range(COUNT):
        np.testing.assert_array_equal(pixels[row], eval_view(noise(row), SPEC))
    assert done == list(range(1, COUNT + 1))
    (pack,) = (path for path in folder.iterdir() if path.is_dir())
    assert {path.name for path in pack.iterdir()} == {"pixels.u8", "rows.bin", "pack.json"}
    assert (pack / "pixels.u8").stat().st_size == COUNT * 16 * 12 * 3


def test_a_pack_is_decoded_once(root: Path, decoded: Iterator[list[str]]) -> None:
    seen = next(decoded)
    first = build(root)
    assert sorted(seen) == NAMES
    np.testing.assert_array_equal(build(root), first)
    found = open_pack(root, NAMES, replace(SPEC, hflip=1.0, zoom=0.7, randaugment=2, mean=(0.1, 0.1, 0.1)))
    assert found is not None
    np.testing.assert_array_equal(found, first)
    assert len(seen) == COUNT


@pytest.mark.parametrize(
    "other", [replace(SPEC, crop=(0.8, 0.8)), replace(SPEC, size=(12, 16)), replace(SPEC, crop_centre=(0.4, 0.5))]
)
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
    before = {path: path.read_bytes() for path in root.parent.glob("cache/*/*") if path.suffix != ".u8"}
    for _ in range(2):
        assert open_pack(root, NAMES, SPEC) is not None  # which only looks, and so has to compare again
    assert read == ["3.png"] * 2
    assert all(path.read_bytes() == data for path, data in before.items())
    for _ in range(2):
        build(root)
    assert read == ["3.png"] * 3
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


def test_contents_are_compared_a_block_at_a_time(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A million photos that were copied anew are not a million tasks in a queue; the first that differs ends it."""
    settle(monkeypatch)
    build(root)
    Image.fromarray(noise(0)).save(root / "0.png", compress_level=0)
    Image.fromarray(noise(9)).save(root / "new.png", compress_level=0)
    build(root)
    (root / "0.png").write_bytes((root / "new.png").read_bytes())
    for name in NAMES:
        os.utime(root / name)
    read: list[str] = []
    original = images.read_bytes
    monkeypatch.setattr(images, "read_bytes", lambda path: (read.append(path.name), original(path))[1])
    monkeypatch.setattr(images, "AT_ONCE", 2)
    assert open_pack(root, NAMES, SPEC) is None
    assert {"0.png"} <= set(read) <= set(NAMES[:2])  # the second may have been called off in time


def test_the_same_photos_under_another_name_of_their_folder_share_the_pack(
    root: Path, tmp_path: Path, decoded: Iterator[list[str]]
) -> None:
    seen = next(decoded)
    first = build(root)
    (tmp_path / "link").symlink_to(root)
    np.testing.assert_array_equal(build(tmp_path / "link"), first)
    assert len(seen) == COUNT


def test_two_sets_alike_in_names_and_sizes_never_meet(root: Path, tmp_path: Path) -> None:
    """Neither takes the other's pack, nor is one replaced by the other's while it is looked at."""
    other = tmp_path / "other"
    other.mkdir()
    for row, name in enumerate(NAMES):
        Image.fromarray(noise(row)).save(root / name, "BMP")
        Image.fromarray(noise(row + 100)).save(other / name, "BMP")
        assert (root / name).stat().st_size == (other / name).stat().st_size
    build(root)
    for name in NAMES:
        os.utime(root / name)
    compare = cache._same_content

    def slowly(*args: Any) -> bool:
        same = compare(*args)
        monkeypatch.undo()
        build(other)  # by another process
        return same

    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(cache, "_same_content", slowly)
    during = build(root)
    after = open_pack(root, NAMES, SPEC)
    assert after is not None
    after = np.asarray(after)
    assert after is not None
    for row in range(COUNT):
        np.testing.assert_array_equal(during[row], eval_view(noise(row), SPEC))
        np.testing.assert_array_equal(after[row], eval_view(noise(row), SPEC))
        np.testing.assert_array_equal(build(other)[row], eval_view(noise(row + 100), SPEC))
    assert len(packs(cache_folder())) == 2


def test_new_times_are_noted_in_the_pack_they_belong_to_alone(root: Path, folder: Path) -> None:
    """While photos were compared, another process may have put a new pack in the old one's place, or deleted it."""
    build(root)
    (pack,) = packs(folder)
    rows = pack.folder / "rows.bin"
    cache._note_times(pack.folder, b"another pack's", b"new")
    with cache.locked(pack.folder):
        cache._note_times(pack.folder, rows.read_bytes(), b"new")
    assert rows.read_bytes() != b"new"
    cache._note_times(pack.folder, rows.read_bytes(), b"new")
    assert rows.read_bytes() == b"new"
    assert remove(pack.folder)
    cache._note_times(pack.folder, b"new", b"newer")
    assert not pack.folder.exists()


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


@pytest.mark.parametrize("name", ["rows.bin", "pixels.u8", "pack.json"])
def test_a_pack_that_lacks_a_file_is_made_again(root: Path, folder: Path, name: str) -> None:
    build(root)
    next(folder.glob(f"*/{name}")).unlink()
    assert open_pack(root, NAMES, SPEC) is None
    np.testing.assert_array_equal(build(root)[5], eval_view(noise(5), SPEC))


def test_a_pack_whose_rows_are_damaged_is_made_again(root: Path, folder: Path) -> None:
    build(root)
    (rows,) = folder.glob("*/rows.bin")
    good = rows.read_bytes()
    flipped = [good[:at] + bytes([good[at] ^ 1 << at % 8]) + good[at + 1 :] for at in range(len(good))]
    assert len(flipped) == COUNT * (24 + 16 + 16) + 16 + 16
    for damaged in (b"", good[:1], good[: len(good) // 2], good[:-1], good + b"x", bytes(len(good)), *flipped):
        rows.write_bytes(damaged)
        assert open_pack(root, NAMES, SPEC) is None
    np.testing.assert_array_equal(build(root)[5], eval_view(noise(5), SPEC))
    assert len(rows.read_bytes()) == len(good)


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
    with pytest.raises(ResourceError, match="not enough disk space") as caught:
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
    assert {path.name for path in folder.glob("*.lock")} == {f"{pack.folder.name}.lock" for pack in packs(folder)}
    assert (old.photos, old.root, old.used) == (COUNT, str(root), 1e9)
    assert old.bytes >= COUNT * 16 * 12 * 3
    assert remove(old.folder)
    assert [pack.size for pack in packs(folder)] == [(24, 18)]
    assert len(list(folder.iterdir())) == 2  # a pack and its lock
    np.testing.assert_array_equal(pixels[3], eval_view(noise(3), SPEC))
    build(root)
    assert open_pack(root, NAMES, SPEC) is not None


def test_using_a_pack_is_noted(root: Path, folder: Path) -> None:
    build(root)
    (pack,) = packs(folder)
    os.utime(pack.folder / "pack.json", (1e9, 1e9))
    open_pack(root, NAMES, SPEC)
    assert packs(folder)[0].used == 1e9  # a look is no use
    build(root)
    assert packs(folder)[0].used > 1e9 + 1


def test_a_pack_that_is_being_made_is_not_removed(root: Path, folder: Path) -> None:
    build(root)
    (pack,) = packs(folder)
    with cache.locked(pack.folder):
        assert not remove(pack.folder)
        assert open_pack(root, NAMES, SPEC) is not None
    assert packs(folder) == [pack]


def test_a_lock_that_was_deleted_while_it_was_waited_for_holds_nothing(root: Path, folder: Path) -> None:
    """Whoever comes next makes a new one, and both would hold "the" lock."""
    build(root)
    (pack,) = packs(folder)
    order: list[str] = []

    def wait() -> None:
        with cache.locked(pack.folder):
            order.append("second")
            assert pack_is_held(pack.folder)  # by way of the file that is there now

    second = threading.Thread(target=wait)
    with cache.locked(pack.folder):
        second.start()
        while not waited_for(pack.folder.with_suffix(".lock")):
            pass
        order.append("first")
        pack.folder.with_suffix(".lock").unlink()
    second.join()
    assert order == ["first", "second"]
    assert pack.folder.with_suffix(".lock").exists()


def waited_for(lock: Path) -> bool:
    """Tell whether somebody waits for a lock, by the kernel's table."""
    inode = str(lock.stat().st_ino)
    lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return any("->" in words and words[-3].endswith(f":{inode}") for words in lines)


# --- what no run can use


ABOUTS = ["", "null", "[]", "3", "{}", '"text"', "[" * 100_000, "\ud800", '{"photos": 6, "size": 3}'] + [
    json.dumps({"photos": 6, "size": [16, 12], "root": "r", "made": 1.0} | wrong)
    for wrong in ({"size": 3}, {"size": "ab"}, {"size": [1]}, {"root": 5}, {"photos": "z"}, {"made": None})
]


@pytest.mark.parametrize("about", ABOUTS, ids=range(len(ABOUTS)))
def test_a_pack_with_a_damaged_description_is_made_again_or_pruned(
    root: Path, folder: Path, about: str, capsys: pytest.CaptureFixture[str]
) -> None:
    build(root)
    (file,) = folder.glob("*/pack.json")
    file.write_bytes(about.encode(errors="surrogatepass"))
    assert packs(folder) == []
    assert [left.path for left in leftovers(folder)] == [file.parent]
    assert f"broken, or left by a build that was killed: {file.parent.name}" in told(capsys, "list")
    (listed,) = json.loads(told(capsys, "list", "--json"))["packs"]
    assert listed == {"folder": str(file.parent), "bytes": leftovers(folder)[0].bytes, "broken": True}
    assert open_pack(root, NAMES, SPEC) is None
    build(root)
    assert len(packs(folder)) == 1
    assert leftovers(folder) == []
    file.write_bytes(about.encode(errors="surrogatepass"))
    assert "delete  " in told(capsys, "prune", "--yes")
    assert list(folder.iterdir()) == []


def test_what_a_killed_build_left_is_counted_and_freed(
    root: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(root)
    build_pack(root, NAMES, LIVELY, threads=1)
    killed, kept = (pack.folder for pack in packs(folder))
    killed.rename(killed.with_suffix(".part"))
    lonely = folder / ("ab" * 12 + ".lock")
    lonely.touch()
    strangers = [folder / "speeds", folder / ("cd" * 12), folder / f"{'ef' * 12}.txt", folder / ("09" * 12 + ".lock")]
    strangers[0].mkdir()
    strangers[1].mkdir()
    for file in (strangers[1] / "mine.txt", *strangers[2:]):
        file.write_text("not of the cache")
    assert [pack.folder for pack in packs(folder)] == [kept]
    left = {one.path: one.bytes for one in leftovers(folder)}
    assert set(left) == {killed.with_suffix(".part"), lonely}
    size = sum(file.stat().st_size for file in killed.with_suffix(".part").iterdir())
    assert left[killed.with_suffix(".part")] == size > 0
    before = sorted(folder.rglob("*"))
    assert f"{size_text(size)} would be freed" in told(capsys, "prune")
    assert sorted(folder.rglob("*")) == before
    with cache.locked(killed):  # a build that lives
        assert [one.path for one in leftovers(folder)] == [lonely]
        assert not remove(killed.with_suffix(".part"))
    assert f"{size_text(size)} freed" in told(capsys, "prune", "--yes")
    assert leftovers(folder) == []
    assert set(folder.iterdir()) == {kept, kept.with_suffix(".lock"), *strangers}


# --- where the cache is


def test_the_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("MASKCLS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/maskcls")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "maskcls"


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a home folder, as in a container run under a number."""

    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("MASKCLS_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(cache.Path, "home", unknown)


def test_a_user_without_a_home_is_told_of_the_variable(
    root: Path, homeless: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ResourceError, match="no folder is known") as caught:
        build(root)
    assert "MASKCLS_CACHE" in str(caught.value.fix)
    assert run_app(["data", "cache", "list"]) == 6
    assert "set MASKCLS_CACHE" in capsys.readouterr().err


# --- what a command makes of it


class Notes:
    """A reporter that keeps the lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)

    def images(self, *_: object) -> None:
        """Show nothing."""


def views(root: Path, *words: str, build: bool = True, first: bool = True) -> tuple[Views, list[str]]:
    """Return what `cached_views` gives, and the lines it wrote."""
    alone: Any = SimpleNamespace(is_local_main_process=first, wait_for_everyone=lambda: None)
    report: Any = Notes()
    return cached_views(root, NAMES, [SPEC], tiny(*words), alone, report, build=build), report.lines


@pytest.mark.parametrize("build", [True, False])
def test_without_a_folder_photos_are_decoded_every_epoch(root: Path, homeless: None, build: bool) -> None:
    line = "photos are decoded every epoch: no folder is known for the cache of photos (MASKCLS_CACHE: not set, "
    found, lines = views(root, build=build)
    assert found == {}
    assert [text.startswith(line) for text in lines] == [True]
    assert views(root, build=build, first=False) == ({}, [])  # one process of a machine says it
    assert views(root, "data.cache=off", build=build) == ({}, [])
    with pytest.raises(ResourceError, match="no folder is known"):
        views(root, "data.cache=on", build=build)


def test_looking_writes_nothing_and_tells_what_a_build_would(
    root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a dry run does: neither a pack, nor a folder, nor a lock."""
    assert views(root, "data.cache=on", build=False) == ({}, [])
    assert not folder.exists()
    monkeypatch.setattr(cache, "SPARE_BYTES", 1 << 62)
    with pytest.raises(ResourceError, match="not enough disk space"):
        views(root, "data.cache=on", build=False)
    found, lines = views(root, build=False)
    assert (found, lines[0].startswith("photos are decoded every epoch: not enough disk space")) == ({}, True)
    assert not folder.exists()
    monkeypatch.undo()
    monkeypatch.setenv("MASKCLS_CACHE", str(folder))
    build(root)
    for name in NAMES:
        os.utime(root / name)
    os.utime(packs(folder)[0].folder / "pack.json", (1e9, 1e9))
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    monkeypatch.setattr(cache, "SPARE_BYTES", 1 << 62)  # none is needed for a pack that is there
    assert list(views(root, "data.cache=on", build=False)[0]) == [SPEC]
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_large_jpeg_is_decoded_at_a_smaller_scale_cached_or_not(root: Path) -> None:
    smooth = Image.fromarray(noise(0, 12, 9)).resize((300, 400), Image.Resampling.BICUBIC)
    smooth.save(root / "big.jpg", quality=95)
    spec = replace(SPEC, size=(64, 48))
    assert spec.decode_size == (107, 90)  # 1.5 * 64 / 0.9 and 1.5 * 48 / 0.8, rounded up
    assert read_image(root / "big.jpg", at_least=spec.decode_size).shape == (200, 150, 3)
    assert read_image(root / "big.jpg", at_least=(100, 75)).shape == (100, 75, 3)
    assert read_image(root / "big.jpg", at_least=(101, 75)).shape == (200, 150, 3)
    pixels = np.asarray(build_pack(root, ["big.jpg"], spec, threads=1))
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
    assert told(capsys, "list") == f"{folder}: 0 packs, 0 B\n"
    build(root)
    build_pack(root, NAMES, LIVELY, threads=1)
    shown = told(capsys, "list")
    assert "16 x 12" in shown
    assert "24 x 18" in shown
    assert "2 packs" in shown
    listed = json.loads(told(capsys, "list", "--json"))
    assert [pack["photos"] for pack in listed["packs"]] == [COUNT, COUNT]
    assert {pack["folder"] for pack in listed["packs"]} == {str(pack.folder) for pack in packs(folder)}


def test_prune_deletes_what_was_not_used_for_long(root: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(root)
    build_pack(root, NAMES, LIVELY, threads=1)
    (old,) = (pack for pack in packs(folder) if pack.size == (16, 12))
    os.utime(old.folder / "pack.json", (1e9, 1e9))
    assert "nothing was deleted: add --yes to delete" in told(capsys, "prune")
    assert len(packs(folder)) == 2
    assert "delete  " in told(capsys, "prune", "--yes")
    assert [pack.size for pack in packs(folder)] == [(24, 18)]
    assert told(capsys, "prune", "--days", "30", "--yes").startswith("0 B freed, ")
    assert "delete  " in told(capsys, "prune", "--days", "0", "--yes")
    assert packs(folder) == []
