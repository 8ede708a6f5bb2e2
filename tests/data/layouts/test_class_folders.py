"""Photos in folders named by class: labelled rows, rows to predict, groups, corrections, and every fault listed."""

import shutil
from pathlib import Path

import pytest

from maskcls.data.layouts import source
from maskcls.data.layouts.class_folders import read_class_folders
from maskcls.data.layouts.left_out import LINKS_FIX
from maskcls.data.rows import manifest
from maskcls.errors import DataError
from maskcls.labels import LabelSpace, Task
from maskcls.layoutnames import LayoutName

PETS = LabelSpace((Task("pet", ("dog", "cat")),))
TWO = LabelSpace((Task("pet", ("dog", "cat")), Task("years", ("<2", ">=2"), (2,))))


def tree(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"photo")
    return root


def faults(root: Path, space: LabelSpace = PETS) -> tuple[str, ...]:
    with pytest.raises(DataError) as caught:
        read_class_folders(root, space)
    return caught.value.offenders


def test_classes_are_the_folders_and_every_photo_is_alone(tmp_path: Path) -> None:
    frame = read_class_folders(tree(tmp_path, "dog/b.png", "cat/a.png", "cat/c.png"), PETS)
    assert frame["id"].tolist() == frame["path"].tolist() == ["cat/a.png", "cat/c.png", "dog/b.png"]
    assert frame["person"].tolist() == frame["id"].tolist()
    assert manifest.labels(frame, PETS)["pet"].tolist() == [1, 1, 0]
    assert manifest.notes(frame) == ("every photo is its own group; name what belongs together with data.group=REGEX",)


@pytest.mark.parametrize("name", ["val", "valid", "Validation"])
def test_val_is_joined_and_said_once(name: str, tmp_path: Path) -> None:
    root = tree(tmp_path, "train/dog/b.png", "train/cat/a.png", f"{name}/cat/c.png", "test/9.png", "test/10.png")
    frame = source.read_labelled(root, "folders", PETS, group="none")
    assert set(frame["id"]) == {"train/dog/b.png", "train/cat/a.png", f"{name}/cat/c.png"}
    assert manifest.notes(frame) == (
        f"photos of {name}/ (1 photo) are labelled rows like those of train: maskcls makes its own folds",
    )
    rest = source.read_unlabelled(root, "folders", PETS)
    assert rest["id"].tolist() == rest["path"].tolist() == ["test/10.png", "test/9.png"]
    assert rest["pet"].isna().all()


def test_one_level_per_task_in_their_order(tmp_path: Path) -> None:
    root = tree(tmp_path, "train/dog/<2/a.png", "train/cat/>=2/b.png", "train/dog/>=2/c.png")
    frame = read_class_folders(root, TWO)
    labels = manifest.labels(frame, TWO)
    assert (labels["pet"].tolist(), labels["years"].tolist()) == ([1, 0, 0], [1, 0, 1])
    assert frame["years_value"].isna().all()


def test_the_test_part_may_have_class_folders_and_may_be_missing(tmp_path: Path) -> None:
    root = tree(tmp_path, "train/dog/b.png", "train/cat/a.png", "test/cow/c.png")
    assert source.read_unlabelled(root, "folders", PETS)["id"].tolist() == ["test/cow/c.png"]
    shutil.rmtree(root / "test")
    with pytest.raises(DataError, match="no folder test"):
        source.read_unlabelled(root, "folders", PETS)
    assert source.read_unlabelled(root / "train", "folders", PETS)["id"].tolist() == ["cat/a.png", "dog/b.png"]


def test_everything_that_does_not_fit_is_listed_at_once(tmp_path: Path) -> None:
    root = tmp_path / "data"
    tree(root, "train/dog/b.png", "train/cat/a.png", "train/\uff44og/c.png", "train/cow/d.png", "train/e.png")
    tree(root, "train/cat/deep/f.png", "other/g.png", "h.png")
    (root / "train" / "cat" / "linked").symlink_to(tree(tmp_path / "store", "i.png"))
    (root / "train" / "cat" / "k.png").symlink_to(tmp_path / "gone.png")
    (root / "train" / "empty").mkdir()
    assert faults(root) == (
        "train/cow: 1 photo, but no class of pet (dog, cat)",
        "train/\uff44og: 1 photo, but no class of pet (dog, cat) (it looks like 'dog', "
        "but has full-width or half-width characters)",
        "train/cat/deep/f.png: in 2 class folders, expected 1",
        "train/e.png: in 0 class folders, expected 1",
        "h.png: beside the folders train, val and test",
        "other: beside the folders train, val and test",
        "train/empty: an empty folder",
        f"train/cat/linked: a link to a folder; {LINKS_FIX}",
        "train/cat/k.png: a link to nothing",
    )


def test_too_few_levels_and_two_test_folders(tmp_path: Path) -> None:
    tree(tmp_path, "train/dog/b.png", "train/cat/a.png", "test/c.png", "Testing/d.png")
    assert faults(tmp_path, TWO) == (
        "train/cat/a.png: in 1 class folders, expected 2",
        "train/dog/b.png: in 1 class folders, expected 2",
        "Testing, test: several folders of photos to predict",
    )


def test_a_declared_class_without_photos(tmp_path: Path) -> None:
    assert faults(tree(tmp_path, "cat/a.png", "cat/b.png")) == ("pet=dog",)


def test_links_to_photos_are_followed_and_other_files_counted(tmp_path: Path) -> None:
    root = tree(tmp_path / "data", "dog/b.png", "cat/a.png", "cat/notes.txt", "cat/.DS_Store")
    tree(tmp_path, "stored.png")
    (root / "cat" / "c.png").symlink_to(tmp_path / "stored.png")
    frame = source.read_labelled(root, "folders", PETS, group="none")
    assert frame["id"].tolist() == ["cat/a.png", "cat/c.png", "dog/b.png"]
    assert manifest.notes(frame) == (
        "left out: 1 file that is no photo (cat/notes.txt); 1 hidden file or folder (cat/.DS_Store)",
        "1 photo is a link (cat/c.png)",
    )


def test_groups_by_a_regular_expression(tmp_path: Path) -> None:
    root = tree(tmp_path, "dog/rex_1.png", "dog/rex_2.png", "cat/tom_1.png")
    pattern = r"([^/_]+)_\d+\.png"
    frame = source.read_labelled(root, "folders", PETS, group=pattern)
    assert frame["person"].tolist() == ["tom", "rex", "rex"]
    assert source.read_people(root, "folders", pattern)["person"].tolist() == ["tom", "rex", "rex"]
    tree(tmp_path, "cat/x.png")
    for read in (
        lambda: read_class_folders(root, PETS, group=pattern),
        lambda: source.read_people(root, "folders", pattern),
    ):
        with pytest.raises(DataError, match=r"data\.group does not match") as caught:
            read()
        assert caught.value.offenders == ("cat/x.png",)


def test_groups_that_look_the_same_are_refused(tmp_path: Path) -> None:
    root = tree(tmp_path, "dog/rex_1.png", "cat/re\u200bx_2.png")
    with pytest.raises(DataError, match="groups look the same"):
        read_class_folders(root, PETS, group=r"([^/_]+)_\d")


def test_corrections(tmp_path: Path) -> None:
    root = tree(tmp_path / "data", "dog/<2/a.png", "cat/>=2/b.png", "dog/>=2/c.png", "cat/<2/d.png")
    fixes = tmp_path / "f.csv"
    fixes.write_text("path,field,value\ncat/<2/d.png,pet,dog\ndog/<2/a.png,years,7\ndog/>=2/c.png,pet,\n")
    frame = read_class_folders(root, TWO, fixes)
    labels = manifest.labels(frame, TWO)
    assert frame["id"].tolist() == ["cat/<2/d.png", "cat/>=2/b.png", "dog/<2/a.png", "dog/>=2/c.png"]
    assert (labels["pet"].tolist(), labels["years"].tolist()) == ([0, 1, 0, -1], [0, 1, 1, 1])
    assert frame["years_value"].fillna(-1).tolist() == [-1, -1, 7, -1]
    fixes.write_text("path,field,value\nx.png,pet,dog\ndog/<2/a.png,pet,cow\n")
    with pytest.raises(DataError) as caught:
        read_class_folders(root, TWO, fixes)
    assert caught.value.offenders == (
        "line 2: no photo 'x.png' in the data set",
        "line 3, column value: 'cow', expected one of dog, cat",
    )


def test_what_other_commands_ask(tmp_path: Path) -> None:
    root = tree(tmp_path, "train/dog/b.png", "train/cat/a.png", "test/c.png")
    layout = source.layout_named("folders")
    assert source.guess_layout(root) == "folders"
    assert source.guess_layout(root / "train") == "folders"
    assert source.guess_layout(root / "test") == "contest"  # a plain folder of photos
    assert (layout.has_labelled(root), layout.has_unlabelled(root)) == (True, True)
    assert (layout.has_labelled(root / "train"), layout.has_unlabelled(root / "train")) == (False, False)
    assert layout.unlabelled_ids(root) == ["test/c.png"]
    listing = source.list_photos(root, "folders")
    assert (listing.tables, listing.labelled, listing.unlabelled) == (
        (),
        ("train/cat/a.png", "train/dog/b.png"),
        ("test/c.png",),
    )
    with pytest.raises(DataError, match="class folders are in a folder"):
        source.read_labelled(root / "test" / "c.png", "folders", PETS)


def test_the_contest_s_reader_names_class_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not the contest's layout") as caught:
        source.read_labelled(tree(tmp_path, "red/a.png", "blue/b.png"), "contest", PETS)
    assert caught.value.got == "photos in folders named blue, red"
    assert caught.value.fix is not None
    assert "data.format=folders" in caught.value.fix


@pytest.mark.parametrize("name", ["contest", "folders", "table"])
def test_a_photo_instead_of_a_data_set_is_called_one(name: LayoutName, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(20))
    with pytest.raises(DataError) as caught:
        source.read_unlabelled(tmp_path / "a.jpg", name, PETS)
    assert caught.value.got == "a photo (JPEG)"
