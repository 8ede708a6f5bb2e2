"""A folder of photos without any table."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from maskcls.data.layouts.folder import is_folder_of_photos, read_folder
from maskcls.data.layouts.source import read_unlabelled
from maskcls.data.rows.manifest import notes
from maskcls.errors import DataError
from maskcls.labels import CONTEST


@pytest.fixture
def photos(drawn: Path, tmp_path: Path) -> Path:
    """A few of the drawn eval photos under names and in folders of their own, among files that are none."""
    root, found = tmp_path / "album", sorted((drawn / "eval/images").glob("*.jpg"))
    for name, photo in zip(("b.JPG", "a 1.jpeg", "trip/day 1/x.jpg"), found, strict=False):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(photo, root / name)
    for name in ("._b.jpg", ".hidden/z.jpg", "notes.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("no photo")
    return root


def test_every_photo_below_it_in_order(photos: Path) -> None:
    frame = read_folder(photos, CONTEST)
    assert frame["path"].tolist() == ["a 1.jpeg", "b.JPG", "trip/day 1/x.jpg"]
    assert frame["id"].tolist() == frame["path"].tolist()
    assert set(frame["split"]) == {"eval"}
    assert read_unlabelled(photos, "contest", CONTEST).equals(frame)


def test_a_contest_s_folder_is_never_taken_for_one(drawn: Path, tmp_path: Path) -> None:
    assert not is_folder_of_photos(drawn)
    (tmp_path / "eval").mkdir()
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"info\.csv|cannot read"):
        read_unlabelled(tmp_path, "contest", CONTEST)


def test_a_link_to_a_folder_is_not_passed_over(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (photos / "more").symlink_to(tmp_path / "more")
    with pytest.raises(DataError, match="links to folders"):
        read_folder(photos, CONTEST)


def test_nothing_to_predict(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing to predict"):
        read_folder(tmp_path, CONTEST)


def test_links_to_photos_are_followed_and_counted(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "stored.jpg").write_bytes(b"x")
    (photos / "link.jpg").symlink_to(tmp_path / "stored.jpg")
    frame = read_folder(photos, CONTEST)
    assert "link.jpg" in frame["path"].tolist()
    assert "1 photo is a link (link.jpg)" in notes(frame)


def test_a_link_to_nothing_is_refused(photos: Path, tmp_path: Path) -> None:
    (photos / "link.jpg").symlink_to(tmp_path / "gone.jpg")
    with pytest.raises(DataError) as caught:
        read_folder(photos, CONTEST)
    assert caught.value.offenders == ("link.jpg: a link to nothing",)


def test_what_is_left_out_is_counted_and_photos_among_it_are_named(photos: Path) -> None:
    (photos / "scan").write_bytes(b"\xff\xd8\xff\xe0" + bytes(20))
    (photos / "phone.heic").write_bytes(bytes(4) + b"ftypheic" + bytes(20))
    (left_out,) = notes(read_folder(photos, CONTEST))
    assert left_out == (
        "left out: 2 photos with another suffix, or none (phone.heic: HEIC or AVIF, scan: JPEG); "
        "1 file that is no photo (notes.txt); 2 hidden files and folders (._b.jpg, .hidden); "
        "give them a suffix such as .jpg, or convert them to JPEG"
    )
