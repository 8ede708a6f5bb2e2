"""Reading the contest's folders: what is read, what is skipped, and what is refused, all of it at once."""

import hashlib
import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskcls.data.layouts import contest, source
from maskcls.data.layouts.paths import OUTSIDE, file_faults, name_fault, path_fault
from maskcls.data.rows import manifest
from maskcls.errors import ConfigError, DataError
from maskcls.labels import CONTEST, LabelSpace, Task

STEMS = ("incorrect_mask", "mask1", "mask2", "mask3", "mask4", "mask5", "normal")
PROFILES = {  # path: id, gender, age
    "000001_female_Asian_45": ("000001", "female", "45"),
    "000002_male_Asian_29": ("000002", "male", "29"),
    "001498-1_male_Asian_60": ("001498-1", "male", "60"),
    "003397_female_Asian_19": ("003397", "female", "19"),
    "003397_female_Asian_20": ("003397", "female", "20"),
}
FIRST, SECOND, THIRD = list(PROFILES)[:3]


def make(root: Path) -> Path:
    """Write a contest data set of five profiles and three photos to predict; the files hold no pixels."""
    images = root / "train" / "images"
    for n, path in enumerate(reversed(PROFILES)):
        (images / path).mkdir(parents=True)
        for m, stem in enumerate(STEMS):
            (images / path / (stem + (".jpg", ".png", ".jpeg", ".JPG")[(n + m) % 4])).write_bytes(b"x")
    (images / FIRST / "._mask1.jpg").write_bytes(b"mac")
    (images / "._000001_female_Asian_45").write_bytes(b"mac")
    (images / ".DS_Store").write_bytes(b"mac")
    rows = [f"{id},{gender},Asian,{age},{path}\n" for path, (id, gender, age) in reversed(PROFILES.items())]
    (root / "train" / "train.csv").write_text("id,gender,race,age,path\n" + "".join(rows))
    (root / "eval" / "images").mkdir(parents=True)
    for name in ("b.jpg", "a.jpg", "00123.jpg", "._a.jpg", ".DS_Store"):
        (root / "eval" / "images" / name).write_bytes(b"x")
    (root / "eval" / "info.csv").write_text("ImageID,ans\nb.jpg,0\n00123.jpg,0\na.jpg,0\n")
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data set that is as it should be."""
    return make(tmp_path / "data")


def photo(root: Path, path: str, stem: str) -> Path:
    """Return the one file of a stem."""
    (found,) = (root / "train" / "images" / path).glob(f"{stem}.*")
    return found


def edit(root: Path, old: str, new: str, table: str = "train/train.csv") -> None:
    """Replace text in a table; it must stand there exactly once."""
    path = root / table
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def train_faults(root: Path, space: LabelSpace = CONTEST) -> tuple[str, ...]:
    with pytest.raises(DataError) as caught:
        contest.read_train(root, space)
    assert str(root) in str(caught.value)
    return caught.value.offenders


def eval_faults(root: Path) -> tuple[str, ...]:
    with pytest.raises(DataError) as caught:
        contest.read_eval(root, CONTEST)
    assert caught.value.where == str(root / "eval")
    return caught.value.offenders


def digest(root: Path) -> dict[str, tuple[str, int]]:
    """Return the hash and the time of change of every file below root."""
    files = [path for path in root.rglob("*") if path.is_file()]
    return {str(p): (hashlib.sha256(p.read_bytes()).hexdigest(), p.stat().st_mtime_ns) for p in files}


# --- training set ---------------------------------------------------------------------------------


def test_a_photo_is_a_row_sorted_by_id(root: Path) -> None:
    frame = contest.read_train(root, CONTEST)
    assert frame["id"].tolist() == [f"{path}/{stem}" for path in PROFILES for stem in STEMS]
    assert frame["person"].tolist() == [path for path in PROFILES for _ in STEMS]
    assert frame["mask"].tolist() == [1, 0, 0, 0, 0, 0, 2] * 5
    assert frame["gender"].tolist() == [g for g in (1, 0, 0, 1, 1) for _ in STEMS]
    assert frame["age"].tolist() == [a for a in (1, 0, 2, 0, 0) for _ in STEMS]
    assert frame["age_value"].tolist() == [a for a in (45, 29, 60, 19, 20) for _ in STEMS]
    assert set(frame["split"]) == {"train"}
    assert set(frame["source"]) == {"real"}
    assert set(frame["weight"]) == {1.0}
    for id, path in zip(frame["id"], frame["path"], strict=True):
        assert os.path.splitext(path)[0] == f"train/images/{id}"
        assert (root / path).is_file()
    assert {os.path.splitext(path)[1] for path in frame["path"]} == {".jpg", ".png", ".jpeg", ".JPG"}


def test_two_profiles_of_one_id_are_two_people(root: Path) -> None:
    frame = contest.read_train(root, CONTEST)
    assert frame.loc[frame["id"].str.startswith("003397_"), "person"].nunique() == 2


def test_the_order_of_table_and_folders_does_not_matter(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = manifest.to_csv(contest.read_train(root, CONTEST))
    table = root / "train" / "train.csv"
    header, *rows = table.read_text().splitlines(keepends=True)
    table.write_text(header + "".join(sorted(rows, reverse=True)))
    listdir = os.listdir
    monkeypatch.setattr(os, "listdir", lambda folder: sorted(listdir(folder), reverse=True))
    assert manifest.to_csv(contest.read_train(root, CONTEST)) == before


def test_rows_are_sorted_by_the_bytes_of_the_id_not_by_folder(root: Path) -> None:
    for old, new in ((FIRST, "p"), (SECOND, "p-1")):
        (root / "train" / "images" / old).rename(root / "train" / "images" / new)
        edit(root, f",{old}\n", f",{new}\n")
    ids = contest.read_train(root, CONTEST)["id"].tolist()
    assert ids == sorted(ids, key=lambda id: id.encode())
    assert ids[-14] == "p-1/incorrect_mask"  # "-" is less than "/", although the folder "p" is less than "p-1"


def test_ages_come_from_the_table_not_from_the_folders_name(root: Path) -> None:
    edit(root, ",45,", ",77,")
    frame = contest.read_train(root, CONTEST)
    assert frame.loc[frame["person"] == FIRST, "age_value"].unique().tolist() == [77]


def test_nothing_in_the_input_changes(root: Path, tmp_path: Path) -> None:
    fixes = tmp_path / "fixes.csv"
    fixes.write_text(f"path,field,value\n{FIRST},gender,male\n")
    before = digest(tmp_path)
    assert len(before) == 5 * 7 + 3 + 1 + 5 + 1 + 1
    contest.read_train(root, CONTEST, fixes)
    contest.read_eval(root, CONTEST)
    assert digest(tmp_path) == before


def test_a_subset_of_the_tasks_with_other_bins_and_orders(root: Path) -> None:
    space = LabelSpace((Task("age", ("young", "old"), (58,)), Task("mask", ("normal", "wear", "incorrect"))))
    frame = contest.read_train(root, space)
    assert list(frame.columns) == ["id", "path", "person", "age", "age_value", "mask", "split", "source", "weight"]
    assert frame["mask"].tolist() == [2, 1, 1, 1, 1, 1, 0] * 5
    assert frame.loc[frame["age"] == 1, "person"].unique().tolist() == [THIRD]


def test_columns_of_tasks_that_are_not_asked_may_be_missing(root: Path) -> None:
    table = root / "train" / "train.csv"
    table.write_text("path\n" + "".join(f"{path}\n" for path in PROFILES))
    assert len(contest.read_train(root, LabelSpace((CONTEST.task("mask"),)))) == 35
    assert train_faults(root) == ("'gender' is missing", "'age' is missing")


@pytest.mark.parametrize(
    ("task", "word"),
    [
        (Task("glasses", ("no", "yes")), "unknown task"),
        (Task("mask", ("wear", "normal")), "wrong classes"),
        (Task("gender", ("female", "man")), "wrong classes"),
        (Task("gender", ("male", "female"), (1,)), "wrong classes"),
        (Task("age", ("young", "old")), "needs bins"),
    ],
)
def test_tasks_the_contest_cannot_answer(root: Path, task: Task, word: str) -> None:
    for read in (contest.read_train, contest.read_eval):
        with pytest.raises(ConfigError, match=word) as caught:
            read(root, LabelSpace((task,)))
        assert "data.format=table" in str(caught.value.fix)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (",female,Asian,45", ",Female,Asian,45", "column gender: 'Female', expected one of male, female"),
        (",female,Asian,45", ", female,Asian,45", "column gender: ' female', expected one of male, female"),
        (",female,Asian,45", ",,Asian,45", "column gender: '', expected one of male, female"),
        ("Asian,45,", "Asian,29.5,", "column age: '29.5', expected a whole number 0..120"),
        ("Asian,45,", "Asian,121,", "column age: '121', expected a whole number 0..120"),
        ("Asian,45,", "Asian,,", "column age: '', expected a whole number 0..120"),
    ],
)
def test_a_wrong_cell_names_its_line_and_column(root: Path, old: str, new: str, fault: str) -> None:
    edit(root, old, new)
    assert train_faults(root) == (f"line 6, {fault}",)


UNSAFE = ["..", ".", "/etc", "a/b", "../x", "a\\b", "~root", "a\x01b", "x" * 256, "\u2028", ".hidden", "._x"]


@pytest.mark.parametrize("name", UNSAFE)
def test_an_unsafe_path_names_its_line(root: Path, name: str) -> None:
    edit(root, f",45,{FIRST}", f",45,{name}")
    first, *rest = train_faults(root)
    assert first.startswith(f"line 6, column path: {name!r} ")
    assert rest == [f"{FIRST}: without a row in train.csv"]


def test_every_fault_of_the_data_set_is_reported_at_once(root: Path) -> None:
    images = root / "train" / "images"
    photo(root, FIRST, "mask3").unlink()
    photo(root, SECOND, "normal").rename(images / SECOND / "norml.jpg")
    (images / SECOND / "mask1.webp").write_bytes(b"x")
    (images / THIRD / "Thumbs.db").write_bytes(b"x")
    (images / THIRD / f"mask5{'.png' if photo(root, THIRD, 'mask5').suffix != '.png' else '.jpg'}").write_bytes(b"x")
    (images / "stray").mkdir()
    (images / "notes.txt").write_bytes(b"x")
    edit(root, "Asian,20,", "Asian,old,")
    with (root / "train" / "train.csv").open("a") as table:
        table.write(f"9,male,Asian,30,{FIRST}\n9,male,Asian,30,nobody\n")
    faults = [fault.partition(", expected")[0].partition(", beside")[0] for fault in train_faults(root)]
    second = sorted([f"{THIRD}/mask5.jpg", f"{THIRD}/mask5.png", f"{THIRD}/mask5.jpeg", f"{THIRD}/mask5.JPG"])
    (doubled,) = [fault for fault in faults if fault.startswith(tuple(second))]
    assert doubled.endswith("a second file for its stem")
    faults.remove(doubled)
    assert faults == [
        f"line 7, column path: {FIRST!r} is on an earlier line too",
        "line 2, column age: 'old'",
        f"{FIRST}: no photo 'mask3'",
        f"{SECOND}/mask1.webp: an extra file",
        f"{SECOND}/norml.jpg: an unknown stem",
        f"{SECOND}: no photo 'normal'",
        f"{THIRD}/Thumbs.db: an extra file",
        "line 8: no folder 'nobody'",
        "notes.txt: without a row in train.csv",
        "stray: without a row in train.csv",
    ]


def test_a_file_in_place_of_a_profile_and_a_folder_in_place_of_a_photo(root: Path) -> None:
    for path in (root / "train" / "images" / FIRST).iterdir():
        path.unlink()
    (root / "train" / "images" / FIRST).rmdir()
    (root / "train" / "images" / FIRST).write_bytes(b"x")
    place = photo(root, SECOND, "mask1")
    place.unlink()
    place.mkdir()
    assert train_faults(root) == (f"{FIRST}: not a folder", f"train/images/{SECOND}/{place.name}: not a file")


def test_stems_are_case_sensitive_and_extensions_are_not(root: Path) -> None:
    place = photo(root, FIRST, "mask1")
    place.rename(place.with_name("mask1.JpEg"))
    assert len(contest.read_train(root, CONTEST)) == 35
    place.with_name("mask1.JpEg").rename(place.with_name("Mask1.jpg"))
    assert [fault.partition(",")[0] for fault in train_faults(root)] == [
        f"{FIRST}/Mask1.jpg: an unknown stem",
        f"{FIRST}: no photo 'mask1'",
    ]


def test_links_to_photos_are_followed_wherever_they_lead(root: Path, tmp_path: Path) -> None:
    store, outside = root / "store", tmp_path / "outside.jpg"
    place = photo(root, FIRST, "mask1")
    place.rename(store)
    place.symlink_to(store)
    assert len(contest.read_train(root, CONTEST)) == 35
    outside.write_bytes(b"x")
    place.unlink()
    place.symlink_to(outside)
    assert len(contest.read_train(root, CONTEST)) == 35
    place.unlink()
    place.symlink_to(tmp_path / "none")
    assert train_faults(root) == (f"train/images/{FIRST}/{place.name}: a link to nothing",)
    place.unlink()
    place.symlink_to("/dev/zero")
    assert train_faults(root) == (f"train/images/{FIRST}/{place.name}: not a file",)


@pytest.mark.parametrize("level", ["train", "train/images", f"train/images/{FIRST}"])
def test_a_linked_folder_outside_is_refused(root: Path, tmp_path: Path, level: str) -> None:
    (root / level).rename(tmp_path / "away")
    (root / level).symlink_to(tmp_path / "away")
    faults = train_faults(root)
    assert len(faults) == (7 if FIRST in level else 35)
    assert all(fault.endswith(f": {OUTSIDE}") for fault in faults)


def test_a_data_root_that_is_itself_a_link_is_fine(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    assert manifest.to_csv(contest.read_train(tmp_path / "link", CONTEST)) == manifest.to_csv(
        contest.read_train(root, CONTEST)
    )


def test_a_name_composed_differently_is_explained(root: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "å") for form in ("NFC", "NFD"))
    edit(root, f",45,{FIRST}", f",45,{composed}")
    (root / "train" / "images" / FIRST).rename(root / "train" / "images" / decomposed)
    assert any("NFC and NFD" in fault for fault in train_faults(root))


def test_a_missing_data_set_says_where_it_was_sought(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read the table"):
        contest.read_train(tmp_path, CONTEST)
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "train.csv").write_text("id,gender,race,age,path\n1,male,x,20,a\n")
    with pytest.raises(DataError, match="cannot read a folder") as caught:
        contest.read_train(tmp_path, CONTEST)
    assert caught.value.where == str(tmp_path / "train" / "images")


# --- evaluation set -------------------------------------------------------------------------------


def test_eval_keeps_the_order_of_its_table_and_knows_no_labels(root: Path) -> None:
    frame = contest.read_eval(root, CONTEST)
    assert frame["id"].tolist() == ["b.jpg", "00123.jpg", "a.jpg"]
    assert frame["path"].tolist() == [f"eval/images/{name}" for name in frame["id"]]
    assert set(frame["person"]) == {""}
    assert set(frame["split"]) == {"eval"}
    assert all((column == -1).all() for column in manifest.labels(frame, CONTEST).values())


def test_every_fault_of_the_evaluation_set_is_reported_at_once(root: Path) -> None:
    with (root / "eval" / "info.csv").open("a") as table:
        table.write("b.jpg,0\n../x.jpg,0\ngone.jpg,0\n._a.jpg,0\n")
    (root / "eval" / "images" / "extra.jpg").write_bytes(b"x")
    (root / "eval" / "images" / "Thumbs.db").write_bytes(b"x")
    assert eval_faults(root) == (
        "line 5, column ImageID: 'b.jpg' is on an earlier line too",
        "line 6, column ImageID: '../x.jpg' contains a path separator",
        "line 8, column ImageID: '._a.jpg' starts with a dot; such files are skipped",
        "gone.jpg: no such file",
        "Thumbs.db: not named in info.csv",
        "extra.jpg: not named in info.csv",
    )


def test_eval_links_out_of_the_root_are_followed(root: Path, tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"x")
    (root / "eval" / "images" / "a.jpg").unlink()
    (root / "eval" / "images" / "a.jpg").symlink_to(tmp_path / "x.jpg")
    before = contest.read_eval(root, CONTEST)
    assert before["path"].str.endswith("/a.jpg").sum() == 1
    (tmp_path / "x.jpg").unlink()
    assert eval_faults(root) == ("a.jpg: a link to nothing",)


def test_the_answers_column_may_be_missing_but_not_misspelt(root: Path) -> None:
    (root / "eval" / "info.csv").write_text("ImageID\nb.jpg\n00123.jpg\na.jpg\n")
    assert len(contest.read_eval(root, CONTEST)) == 3
    edit(root, "ImageID", "imageID", "eval/info.csv")
    with pytest.raises(DataError) as caught:
        contest.read_eval(root, CONTEST)
    assert caught.value.offenders == ("'ImageID' is missing (found 'imageID')",)


# --- corrections ----------------------------------------------------------------------------------


def corrected(root: Path, *rows: str) -> dict[str, tuple[int, int, int, int]]:
    """Return {id: mask, gender, age, age_value} of the photos that the corrections changed."""
    fixes = root.parent / "fixes.csv"
    fixes.write_text("path,field,value\n" + "".join(f"{row}\n" for row in rows))
    columns = ["id", "mask", "gender", "age", "age_value"]
    before, after = (contest.read_train(root, CONTEST, f)[columns].to_numpy().tolist() for f in (None, fixes))
    return {new[0]: tuple(new[1:]) for old, new in zip(before, after, strict=True) if old != new}


def test_no_corrections_change_nothing(root: Path) -> None:
    assert corrected(root) == {}


def test_a_gender_and_an_age_are_corrected_on_all_photos(root: Path) -> None:
    got = corrected(root, f"{FIRST},gender,male", f"{FIRST},age,60")
    assert got == {f"{FIRST}/{stem}": (mask, 0, 2, 60) for stem, mask in zip(STEMS, [1, 0, 0, 0, 0, 0, 2], strict=True)}


@pytest.mark.parametrize("value", ["normal incorrect_mask", "incorrect_mask normal"])
@pytest.mark.parametrize("times", [1, 2])
def test_a_swap_exchanges_two_labels_once(root: Path, value: str, times: int) -> None:
    assert corrected(root, *[f"{SECOND},swap,{value}"] * times) == {
        f"{SECOND}/incorrect_mask": (2, 0, 0, 29),
        f"{SECOND}/normal": (1, 0, 0, 29),
    }


def test_a_swap_said_both_ways_is_no_contradiction(root: Path) -> None:
    assert len(corrected(root, f"{SECOND},swap,mask1 normal", f"{SECOND},swap,normal mask1")) == 2


def test_every_wrong_correction_is_listed(root: Path) -> None:
    with pytest.raises(DataError) as caught:
        corrected(
            root,
            "nobody,gender,male",
            f"{FIRST},race,Asian",
            f"{FIRST},gender,Male",
            f"{FIRST},age,121",
            f"{FIRST},swap,normal",
            f"{FIRST},swap,normal mask6",
            f"{FIRST},swap,mask1 mask2",
            f"{FIRST},swap,normal normal",
            f"{SECOND},age,30",
            f"{SECOND},age,31",
        )
    faults = caught.value.offenders
    assert [int(fault.split()[1].rstrip(":")) for fault in faults] == [2, 3, 4, 5, 6, 7, 8, 9, 11]
    assert faults[0] == "line 2: no profile 'nobody' in train.csv"
    assert faults[1] == "line 3: field 'race', expected gender, age or swap"
    assert faults[2] == "line 4: gender: 'Male', expected male or female"
    assert faults[3] == "line 5: age: '121', expected a whole number 0..120"
    assert "expected two of" in faults[4]
    assert "expected two of" in faults[5]
    assert faults[6] == "line 8: swap: 'mask1 mask2' have the same label"
    assert faults[7] == "line 9: swap: 'normal normal' have the same label"
    assert faults[8] == f"line 11: {SECOND}: age is '30' on an earlier line, here '31'"
    assert caught.value.where == str(root.parent / "fixes.csv")


def test_corrections_for_a_task_that_is_not_asked_are_checked_and_left_out(root: Path, tmp_path: Path) -> None:
    fixes, space = tmp_path / "f.csv", LabelSpace((CONTEST.task("gender"),))
    fixes.write_text(f"path,field,value\n{FIRST},age,20\n{FIRST},swap,normal mask1\n")
    assert contest.read_train(root, space, fixes).equals(contest.read_train(root, space))
    fixes.write_text(f"path,field,value\n{FIRST},age,x\n")
    with pytest.raises(DataError, match="cannot be applied"):
        contest.read_train(root, space, fixes)


# --- names, paths and the choice of a reader ------------------------------------------------------


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=20))
def test_a_path_that_passes_stays_below_the_root(text: str) -> None:
    if path_fault(text) is None:
        joined = os.path.normpath(os.path.join("/root/data", text))
        assert joined.startswith("/root/data/")
        assert joined != "/root/data"
        assert "\0" not in text
    if name_fault(text) is None:
        assert os.path.basename(text) == text
        assert path_fault(text) is None


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "/etc/passwd", "..", "a/..", "../a", "a/../../b", "a/./b", "a//b", "a/", "./a", "~", "~/a", "a/~b"),
        *("a\\b", "C:/x", "http://x/y", "a\0b", "a\nb", "a\x1bb", "\ud800", "x" * 300, "/".join(["y" * 200] * 21)),
    ],
)
def test_unsafe_paths(path: str) -> None:
    assert path_fault(path)


@pytest.mark.parametrize(
    "path", ["a", "a/b.jpg", "한글/😀.png", " a ", "a b/c", "-x", "a..b", "...", "a:b", "\u00a0", "x" * 255]
)
def test_safe_paths(path: str) -> None:
    assert path_fault(path) is None


def test_files_below_a_root(tmp_path: Path) -> None:
    (tmp_path / "r" / "sub").mkdir(parents=True)
    (tmp_path / "r2").mkdir()
    for name in ("r/a", "r/sub/b", "r2/c"):
        (tmp_path / name).touch()
    (tmp_path / "r" / "up").symlink_to(tmp_path / "r2")
    got = file_faults(tmp_path / "r", ["a", "sub/b", "sub", "none", "up/c", "none/x"])
    assert got == [None, None, "not a file", "no such file", OUTSIDE, "no such file"]


def test_the_reader_is_chosen_by_format(root: Path, tmp_path: Path) -> None:
    assert source.read_labelled(root, "contest", CONTEST).equals(contest.read_train(root, CONTEST))
    assert source.read_unlabelled(root, "contest", CONTEST).equals(contest.read_eval(root, CONTEST))
    assert source.image_root(root, "contest") == root
    assert source.image_root(tmp_path / "t.csv", "table") == tmp_path
    for data, fmt, word in (
        (root / "train" / "train.csv", "contest", "needs a folder"),
        (root, "table", "is a CSV file"),
        (tmp_path / "none", "contest", "no such data"),
    ):
        with pytest.raises(DataError, match=word):
            source.read_labelled(data, fmt, CONTEST)
        with pytest.raises(DataError, match=word):
            source.read_unlabelled(data, fmt, CONTEST)
    with pytest.raises(AssertionError, match="unreachable"):
        source.read_labelled(root, "folder", CONTEST)  # type: ignore[arg-type]


def test_corrections_pass_through_the_choice(root: Path, tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text(f"path,field,value\n{FIRST},age,20\n")
    frame = source.read_labelled(root, "contest", CONTEST, fixes=tmp_path / "f.csv")
    assert frame.loc[frame["person"] == FIRST, "age_value"].unique().tolist() == [20]
