"""The scan of class folders, on small trees whose content is written out."""

from pathlib import Path

import pytest

from maskcls.data.layouts.folder_scan import natural_key, scan_class_folders
from maskcls.errors import DataError


def tree(root: Path, *paths: str) -> Path:
    """Make empty files, and a folder for every path that ends in a slash."""
    for path in paths:
        target = root / path
        (target if path.endswith("/") else target.parent).mkdir(parents=True, exist_ok=True)
        if not path.endswith("/"):
            target.touch()
    return root


def test_class_folders_without_parts(tmp_path: Path) -> None:
    found = scan_class_folders(tree(tmp_path, "10/a.png", "9/b.JPG", "9/a.png", "x/", "9/notes.txt", "9/.DS_Store"))

    (part,) = found.parts
    assert (part.role, part.folder, part.levels, part.misplaced) == ("all", "", 1, ())
    assert list(part.classes[0].items()) == [("9", 2), ("10", 1), ("x", 0)]
    assert part.photos == ("10/a.png", "9/a.png", "9/b.JPG")
    assert (found.empty, found.no_photos, found.hidden) == (("x",), ("9/notes.txt",), ("9/.DS_Store",))
    assert found.labelled == (part,)
    assert found.test is None
    assert found.looks_like_classes


def test_parts_in_order_and_what_is_beside_them(tmp_path: Path) -> None:
    paths = ("test/1.png", "Valid/cat/2.png", "train/cat/3.png", "train/dog/4.png", "other/5.png", "6.png")

    found = scan_class_folders(tree(tmp_path, *paths))

    assert [(part.role, part.folder, part.levels) for part in found.parts] == [
        ("train", "train", 1),
        ("val", "Valid", 1),
        ("test", "test", 0),
    ]
    assert found.strays == ("6.png", "other")
    assert found.levels == 1
    assert found.classes == ({"cat": 2, "dog": 1},)
    assert found.test is not None
    assert found.test.photos == ("test/1.png",)


def test_one_folder_level_per_task(tmp_path: Path) -> None:
    paths = ("train/wear/male/1.png", "train/wear/female/2.png", "train/normal/male/3.png", "train/normal/4.png")

    (part,) = scan_class_folders(tree(tmp_path, *paths)).parts

    assert part.levels == 2
    assert part.classes == ({"normal": 1, "wear": 2}, {"female": 1, "male": 2})
    assert part.misplaced == ("train/normal/4.png",)


def test_a_class_may_be_named_test_if_there_is_no_train(tmp_path: Path) -> None:
    (part,) = scan_class_folders(tree(tmp_path, "test/1.png", "rest/2.png")).parts

    assert (part.role, list(part.classes[0])) == ("all", ["rest", "test"])


def test_links_to_folders_are_listed_and_not_entered(tmp_path: Path) -> None:
    tree(tmp_path, "store/1.png", "data/cat/2.png")
    (tmp_path / "data" / "dog").symlink_to(tmp_path / "store")
    (tmp_path / "data" / "cat" / "3.png").symlink_to(tmp_path / "store" / "1.png")

    found = scan_class_folders(tmp_path / "data")

    assert found.links == ("dog",)
    assert found.parts[0].photos == ("cat/2.png", "cat/3.png")


def test_flat_and_empty_folders_have_no_classes(tmp_path: Path) -> None:
    assert not scan_class_folders(tree(tmp_path / "flat", "1.png", "2.png")).looks_like_classes
    assert scan_class_folders(tree(tmp_path / "none", "a/")).empty == ("a",)


def test_a_folder_that_is_none_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read a folder"):
        scan_class_folders(tmp_path / "gone")


def test_natural_order() -> None:
    assert sorted(["b10", "b9", "10", "9", "b", "a1b2", "a1b10"], key=natural_key) == [
        *("9", "10", "a1b2", "a1b10", "b", "b9", "b10")
    ]
