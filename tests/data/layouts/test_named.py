"""Photos by name: what each kind of word means, the order, and that every photo comes once."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from maskcls.data.layouts.named import find_photos
from maskcls.data.rows import manifest
from maskcls.errors import DataError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder: photos (empty files) in folders, a table, a list, the contest's folders."""
    for name in ("b.jpg", "a.jpg", "x/2.png", "x/1.jpg", "x/deep/3.JPG", "x/notes.txt", "x/.hidden.jpg", "t/p.bin"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "cls/red").mkdir(parents=True)
    (tmp_path / "cls/red/1.png").write_bytes(b"")
    (tmp_path / "t/table.csv").write_text("path,other\np.bin,1\n")
    (tmp_path / "list.txt").write_bytes("\ufeffx/2.png\r\n\n  \nb.jpg\n".encode())
    (tmp_path / "contest/eval/images").mkdir(parents=True)
    (tmp_path / "contest/eval/images/z.jpg").write_bytes(b"")
    (tmp_path / "contest/eval/info.csv").write_text("ImageID,ans\nz.jpg,0\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*what: str) -> list[str]:
    return find_photos(what, check_lists=True).names


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("a.jpg", ["a.jpg"]),
        ("x", ["x/1.jpg", "x/2.png", "x/deep/3.JPG"]),  # hidden files and other suffixes are not photos
        ("x/", ["x/1.jpg", "x/2.png", "x/deep/3.JPG"]),
        ("x/notes.txt", ["x/notes.txt"]),  # named alone: decoding says that it is no photo
        ("x/*", ["x/1.jpg", "x/2.png"]),
        ("x/**/*.[jJ]*", ["x/1.jpg", "x/deep/3.JPG"]),
        ("t/table.csv", ["t/p.bin"]),
        ("@list.txt", ["x/2.png", "b.jpg"]),
        ("contest", ["contest/eval/images/z.jpg"]),
    ],
)
def test_every_kind_of_word(here: Path, word: str, expected: list[str]) -> None:
    assert names(word) == expected


def test_what_a_pattern_matches_and_is_no_photo_is_counted(here: Path) -> None:
    (here / "x/4.heic").write_bytes(bytes(4) + b"ftypheic" + bytes(8))
    found = find_photos(["x/*"], check_lists=True)
    assert found.names == ["x/1.jpg", "x/2.png"]
    (note,) = found.notes
    assert note.startswith("x/*: left out: 1 photo with another suffix, or none (x/4.heic: HEIC or AVIF); 1 file that")
    with pytest.raises(DataError) as caught:
        names("x/*.heic")
    assert "x/4.heic: HEIC or AVIF" in caught.value.offenders[0]


def test_names_on_stdin(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"b.jpg\na.jpg\n")))
    assert names("-") == ["b.jpg", "a.jpg"]


def test_stdin_may_be_closed(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DataError, match="nothing to predict") as caught:
        names("-")
    assert caught.value.offenders == ("-: stdin is closed",)


def test_what_is_beside_the_part_to_predict_is_named(here: Path) -> None:
    for name in ("train/red/a.png", "test/b.png", "odd/c.png", "d.png"):
        (here / "parts" / name).parent.mkdir(parents=True, exist_ok=True)
        (here / "parts" / name).write_bytes(b"")
    found = find_photos(["parts"], check_lists=True)
    assert found.names == ["parts/test/b.png"]
    assert found.notes == ("parts: only the photos in test/ are predicted, not those in train, d.png, odd",)
    assert found.given == (Path("parts"),)


def test_a_folder_is_listed_without_a_manifest(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A manifest holds several hundred bytes per row; a folder may have millions of photos."""
    monkeypatch.setattr(manifest, "build", None)
    assert names("x", "cls") == ["x/1.jpg", "x/2.png", "x/deep/3.JPG", "cls/red/1.png"]


def test_inputs_keep_their_order_and_every_photo_comes_once(here: Path) -> None:
    (here / "link.jpg").symlink_to("a.jpg")
    found = find_photos(["b.jpg", "x", "./b.jpg", "link.jpg", "x/../a.jpg", "x/*.png"], check_lists=True)
    assert found.names == ["b.jpg", "x/1.jpg", "x/2.png", "x/deep/3.JPG", "link.jpg"]
    assert found.repeated == ["./b.jpg", "x/../a.jpg", "x/2.png"]


def test_the_roots_are_the_folders_of_the_inputs(here: Path) -> None:
    found = find_photos(["x/1.jpg", "x", "contest", "t/table.csv", "x/d*/*"], check_lists=True)
    assert found.roots == (Path("x"), Path("contest"), Path("t"))


def test_all_words_without_photos_are_listed(here: Path) -> None:
    (here / "empty.txt").write_text("\n")
    long = "l" * 256 + ".jpg"
    with pytest.raises(DataError, match="nothing to predict") as caught:
        names("a.jpg", "x/*.webp", "gone.jpg", "@gone.txt", "@empty.txt", long)
    assert caught.value.offenders == (
        "x/*.webp: no photo matches this pattern",
        "gone.jpg: no such file or folder",
        "@gone.txt: cannot read the list of names (No such file or directory)",
        "@empty.txt: the list has no names",
        f"{long}: File name too long",
    )


def test_a_list_may_name_missing_files_only_if_they_become_rows(here: Path) -> None:
    (here / "more.txt").write_text("a.jpg\ngone.jpg\n")
    with pytest.raises(DataError, match="files of a list do not exist") as caught:
        names("@more.txt")
    assert caught.value.offenders == ("gone.jpg",)
    assert find_photos(["@more.txt"], check_lists=False).names == ["a.jpg", "gone.jpg"]


@pytest.mark.parametrize("name", ["a\nb.jpg", "a\rb.jpg", "=1.jpg", "+1.jpg"])
def test_names_that_a_table_cannot_hold_are_refused(here: Path, name: str) -> None:
    (here / name).write_bytes(b"")
    with pytest.raises(DataError) as caught:
        names("a.jpg", name)
    assert caught.value.offenders == (repr(name),)


def test_a_name_that_is_no_utf8_is_refused(here: Path) -> None:
    name = b"\xff.jpg".decode(errors="surrogateescape")
    (here / name).write_bytes(b"")
    with pytest.raises(DataError, match="cannot be written"):
        names(name)
