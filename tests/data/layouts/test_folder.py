"""A folder of photos without any table."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from maskcls.data.layouts.folder import is_folder_of_photos, read_folder
from maskcls.data.layouts.source import read_unlabelled
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


def test_a_link_that_leads_outside(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"x")
    (photos / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    with pytest.raises(DataError) as caught:
        read_folder(photos, CONTEST)
    assert caught.value.offenders == ("link.jpg: leads outside the data folder",)
