"""Reading any CSV table of photos: labelled or not, with every fault listed."""

from pathlib import Path

import pytest

from maskcls.data.layouts import source
from maskcls.data.layouts.paths import OUTSIDE
from maskcls.data.layouts.table import read_table
from maskcls.data.rows import manifest
from maskcls.errors import DataError
from maskcls.labels import LabelSpace, Task

SPACE = LabelSpace((Task("glasses", ("no", "yes")), Task("years", ("<30", ">=30"), (30,))))


def write(folder: Path, *rows: str, header: str = "path,group,glasses,years") -> Path:
    """Write a table; and, for each path in it that can be one, an empty file."""
    (folder / "sub").mkdir(exist_ok=True)
    for name in ("b.jpg", "sub/a.jpg", "00123", "NA"):
        (folder / name).touch()
    (folder / "t.csv").write_text("\n".join([header, *rows]) + "\n")
    return folder / "t.csv"


def faults(path: Path) -> tuple[str, ...]:
    with pytest.raises(DataError) as caught:
        read_table(path, SPACE, labelled=True)
    assert caught.value.where is not None
    assert caught.value.where.startswith(str(path))
    return caught.value.offenders


def test_a_labelled_table(tmp_path: Path) -> None:
    path = write(tmp_path, "sub/a.jpg,null,yes,29", "b.jpg,p,,30", "NA,p,no,", "00123,NA,no,0")
    frame = read_table(path, SPACE, labelled=True)
    assert frame["id"].tolist() == frame["path"].tolist() == ["00123", "NA", "b.jpg", "sub/a.jpg"]
    assert frame["person"].tolist() == ["NA", "p", "p", "null"]
    labels = manifest.labels(frame, SPACE)
    assert labels["glasses"].tolist() == [0, 0, -1, 1]
    assert labels["years"].tolist() == [0, -1, 1, 0]
    assert frame["years_value"].fillna(-1).tolist() == [0, -1, 30, 29]
    assert set(frame["split"]) == {"train"}


def test_the_order_of_rows_and_columns_does_not_matter(tmp_path: Path) -> None:
    first = read_table(write(tmp_path, "b.jpg,p,no,30", "NA,q,yes,3"), SPACE, labelled=True)
    path = write(tmp_path, "x,3,yes,q,NA", "x,30,no,p,b.jpg", header="note,years,glasses,group,path")
    assert read_table(path, SPACE, labelled=True).equals(first)


def test_rows_to_predict_keep_their_order_and_need_only_paths(tmp_path: Path) -> None:
    path = write(tmp_path, "sub/a.jpg,maybe", "NA,", "b.jpg,yes", header="path,glasses")
    frame = read_table(path, SPACE, labelled=False)
    assert frame["id"].tolist() == ["sub/a.jpg", "NA", "b.jpg"]
    assert frame["person"].tolist() == ["", "", ""]
    assert frame["glasses"].isna().all()
    assert set(frame["split"]) == {"eval"}
    assert source.read_unlabelled(path, "table", SPACE).equals(frame)


def test_the_dispatcher_reads_labels(tmp_path: Path) -> None:
    path = write(tmp_path, "b.jpg,p,no,30", "NA,q,yes,3")
    assert source.read_labelled(path, "table", SPACE).equals(read_table(path, SPACE, labelled=True))


def test_every_fault_is_listed_with_line_and_column(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "b.jpg,p,Yes,30",
        "b.jpg,p,yes,30",
        "gone.jpg,p,yes,3e0",
        "../b.jpg,p,yes,30",
        "/b.jpg,p,yes,-1",
        "NA,,no,32768",
        "00123,q,,",
        "sub,q,no,4",
    )
    assert faults(path) == (
        "line 3, column path: 'b.jpg' is on an earlier line too",
        "line 4, column path: 'gone.jpg' no such file",
        "line 5, column path: '../b.jpg' the part '..' is not a name",
        "line 6, column path: '/b.jpg' no such file",
        "line 9, column path: 'sub' not a file",
        "line 2, column glasses: 'Yes', expected one of no, yes",
        "line 4, column years: '3e0', expected a whole number 0..32767",
        "line 6, column years: '-1', expected a whole number 0..32767",
        "line 7, column years: '32768', expected a whole number 0..32767",
        "line 7, column group: empty",
        "line 8: no label at all; remove the row",
    )


def test_unlabelled_rows_are_checked_too(tmp_path: Path) -> None:
    path = write(tmp_path, "b.jpg", "gone.jpg", "b.jpg", header="path")
    with pytest.raises(DataError) as caught:
        read_table(path, SPACE, labelled=False)
    assert caught.value.offenders == (
        "line 3, column path: 'gone.jpg' no such file",
        "line 4, column path: 'b.jpg' is on an earlier line too",
    )


def test_missing_columns_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, "b.jpg,p,no,3", header="photo,person,glass,years")
    assert faults(path) == ("'path' is missing", "'glasses' is missing (found 'glass')")


def test_a_class_that_never_occurs_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "b.jpg,p,no,3", "NA,q,no,4")
    assert faults(path) == ("glasses=yes", "years=>=30")


def test_an_age_has_the_limit_of_an_age(tmp_path: Path) -> None:
    space = LabelSpace((Task("age", ("young", "old"), (60,)),))
    path = write(tmp_path, "b.jpg,p,121", "NA,q,120", header="path,group,age")
    with pytest.raises(DataError) as caught:
        read_table(path, space, labelled=True)
    assert caught.value.offenders == ("line 2, column age: '121', expected a whole number 0..120",)


def test_links_to_photos_are_followed_and_linked_folders_outside_refused(tmp_path: Path) -> None:
    (tmp_path / "outside").touch()
    (tmp_path / "data").mkdir()
    path = write(tmp_path / "data", "b.jpg,p,no,30", "NA,q,yes,3")
    (tmp_path / "data" / "NA").unlink()
    (tmp_path / "data" / "NA").symlink_to(tmp_path / "outside")
    assert len(read_table(path, SPACE, labelled=True)) == 2
    (tmp_path / "data" / "up").symlink_to(tmp_path)
    path = write(tmp_path / "data", "b.jpg,p,no,30", "up/outside,q,yes,3")
    assert faults(path) == (f"line 3, column path: 'up/outside' {OUTSIDE}",)


def test_the_table_and_its_photos_stay_as_they_are(tmp_path: Path) -> None:
    path = write(tmp_path, "b.jpg,p,no,30", "NA,q,yes,3")
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in tmp_path.rglob("*") if p.is_file()}
    assert len(before) == 5
    read_table(path, SPACE, labelled=True)
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in tmp_path.rglob("*") if p.is_file()} == before


def with_fixes(folder: Path, *rows: str) -> dict[str, list[int]]:
    """Read a table of two people with these corrections; the labels, in the order of the paths."""
    path = write(folder, "b.jpg,p,no,20", "sub/a.jpg,q,yes,40", "NA,p,no,20")
    (folder / "f.csv").write_text("\n".join(["path,field,value", *rows]) + "\n")
    frame = source.read_labelled(path, "table", SPACE, fixes=folder / "f.csv")
    return {name: label_N.tolist() for name, label_N in manifest.labels(frame, SPACE).items()}


def test_corrections_replace_cells(tmp_path: Path) -> None:
    assert with_fixes(tmp_path) == {"glasses": [0, 0, 1], "years": [0, 0, 1]}
    found = with_fixes(tmp_path, "b.jpg,glasses,yes", "sub/a.jpg,years,29", "b.jpg,years,30", "b.jpg,glasses,yes")
    assert found == {"glasses": [0, 1, 1], "years": [0, 1, 0]}
    assert with_fixes(tmp_path, "b.jpg,glasses,") == {"glasses": [0, -1, 1], "years": [0, 0, 1]}


def test_corrections_that_cannot_be_applied_are_listed(tmp_path: Path) -> None:
    wrong = ("x.jpg,glasses,no", "b.jpg,glass,no", "b.jpg,glasses,maybe", "NA,years,x")
    twice = ("NA,glasses,no", "NA,glasses,yes")
    with pytest.raises(DataError) as caught:
        with_fixes(tmp_path, *wrong, *twice)
    assert caught.value.where == str(tmp_path / "f.csv")
    assert caught.value.offenders == (
        "line 2: no photo 'x.jpg' in the data set",
        "line 3: field 'glass', expected 'glasses', 'years'",
        "line 4, column value: 'maybe', expected one of no, yes",
        "line 7: NA: glasses is 'no' on an earlier line, here 'yes'",
        "line 5, column value: 'x', expected a whole number 0..32767",
    )


def test_without_a_group_every_row_is_alone_and_a_note_says_so(tmp_path: Path) -> None:
    path = write(tmp_path, "b.jpg,no,30", "NA,yes,3", header="path,glasses,years")
    frame = read_table(path, SPACE, labelled=True)
    assert frame["person"].tolist() == ["NA", "b.jpg"]
    assert manifest.notes(frame) == ("no column group: every row is its own group; name one with data.group=COLUMN",)


def test_a_misspelled_group_is_not_taken_for_none(tmp_path: Path) -> None:
    for header in ("path,groups,glasses,years", "path,Group ,glasses,years"):
        path = write(tmp_path, "b.jpg,p,no,30", "NA,p,yes,3", header=header)
        assert any("did you mean 'group'?" in fault for fault in faults(path))


@pytest.mark.parametrize(
    ("group", "people", "said"),
    [
        ("auto", ["p", "p"], 0),
        ("none", ["NA", "b.jpg"], 0),
        ("patient", ["x", "y"], 0),
        ("Patient", ["x", "y"], 1),
        ("glasses", ["yes", "no"], 0),
    ],
)
def test_the_group_is_the_named_column(group: str, people: list[str], said: int, tmp_path: Path) -> None:
    path = write(tmp_path, "b.jpg,p,no,30,y", "NA,p,yes,3,x", header="path,group,glasses,years,patient")
    frame = source.read_labelled(path, "table", SPACE, group=group)
    assert frame["person"].tolist() == people
    assert len(manifest.notes(frame)) == said
    assert source.read_people(path, "table", group)["person"].tolist() == people[::-1]  # in the table's order


def test_a_group_column_that_is_not_there(tmp_path: Path) -> None:
    path = write(tmp_path, "b.jpg,p,no,30", "NA,p,yes,3")
    with pytest.raises(DataError, match="no column of this name"):
        read_table(path, SPACE, labelled=True, group="patient")


def test_columns_in_another_case_and_synonyms_of_path_are_taken_and_said(tmp_path: Path) -> None:
    path = write(tmp_path, "b.jpg,p,no,30", "NA,q,yes,3", header="Image_Path,GROUP,Glasses,years")
    frame = read_table(path, SPACE, labelled=True)
    assert frame["id"].tolist() == ["NA", "b.jpg"]
    assert manifest.labels(frame, SPACE)["glasses"].tolist() == [1, 0]
    assert manifest.notes(frame) == ("columns of t.csv: 'Image_Path' as path, 'Glasses' as glasses, 'GROUP' as group",)


@pytest.mark.parametrize("name", ["image", "file", "filename", "filepath", "image_path", "img", "Path", "FileName"])
def test_every_synonym_of_path(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, "b.jpg", header=name)
    assert read_table(path, SPACE, labelled=False)["path"].tolist() == ["b.jpg"]
    assert source.layout_named("table").unlabelled_ids(path) == ["b.jpg"]


@pytest.mark.parametrize(
    ("header", "both"),
    [
        ("image,img,glasses,years", "'image' and 'img'"),
        ("Path,path,glasses,years", "'Path' and 'path'"),
        ("path,Glasses,glasses,years", "'Glasses' and 'glasses'"),
    ],
)
def test_two_candidates_are_refused_by_name(header: str, both: str, tmp_path: Path) -> None:
    path = write(tmp_path, "b.jpg,no,no,30", header=header)
    with pytest.raises(DataError, match="several columns may be") as caught:
        read_table(path, SPACE, labelled=True)
    assert caught.value.got == both


def test_path_comes_before_its_synonyms(tmp_path: Path) -> None:
    frame = read_table(write(tmp_path, "b.jpg,x", header="path,image"), SPACE, labelled=False)
    assert (frame["path"].tolist(), manifest.notes(frame)) == (["b.jpg"], ())


def test_absolute_paths_may_lead_anywhere_and_are_said(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "c.jpg").touch()
    path = write(tmp_path / "data", "b.jpg,p,no,30", f"{tmp_path}/c.jpg,q,yes,3")
    frame = read_table(path, SPACE, labelled=True)
    assert frame["id"].tolist() == frame["path"].tolist() == [f"{tmp_path}/c.jpg", "b.jpg"]
    assert manifest.notes(frame) == ("absolute paths: 1; the table fits this machine only",)
    (tmp_path / "m.csv").write_bytes(manifest.to_csv(frame))
    assert manifest.from_csv(tmp_path / "m.csv", SPACE).equals(frame)
    wrong = write(tmp_path / "data", f"{tmp_path}/data/../c.jpg,p,no,30", f"{tmp_path}/gone.jpg,q,yes,3")
    assert faults(wrong) == (
        f"line 2, column path: '{tmp_path}/data/../c.jpg' the part '..' is not a name",
        f"line 3, column path: '{tmp_path}/gone.jpg' no such file",
    )


def test_decimals_of_a_task_with_bins_fall_into_the_bin_of_their_value(tmp_path: Path) -> None:
    path = write(tmp_path, "b.jpg,p,no,29.9", "NA,q,yes,30.0", "00123,q,yes,30.5", "sub/a.jpg,q,no,4")
    frame = read_table(path, SPACE, labelled=True)
    assert frame["years_value"].tolist() == [30, 30, 29, 4]
    assert manifest.labels(frame, SPACE)["years"].tolist() == [1, 1, 0, 0]
    assert manifest.notes(frame) == ("column years: 3 decimals are rounded down, such as 29.9",)


def test_rows_of_test_are_rows_to_predict(tmp_path: Path) -> None:
    rows = ("b.jpg,p,no,30,Train", "NA,q,yes,3,VAL", "sub/a.jpg,r,,,test", "00123,r,,,Test")
    path = write(tmp_path, *rows, header="path,group,glasses,years,Split")
    labelled, rest = (read_table(path, SPACE, labelled=is_labelled) for is_labelled in (True, False))
    assert labelled["id"].tolist() == ["NA", "b.jpg"]
    assert rest["id"].tolist() == ["sub/a.jpg", "00123"]
    assert manifest.notes(labelled) == (
        "columns of t.csv: 'Split' as split",
        "column split: 2 rows to train on, 2 rows of test to predict",
    )
    layout = source.layout_named("table")
    assert layout.has_unlabelled(path)
    assert layout.unlabelled_ids(path) == ["sub/a.jpg", "00123"]
    assert source.read_people(path, "table")["id"].tolist() == ["b.jpg", "NA"]
    assert source.list_photos(path, "table").unlabelled == ("sub/a.jpg", "00123")


def test_without_rows_of_test_all_rows_are_predicted(tmp_path: Path) -> None:
    path = write(tmp_path, "b.jpg,train", "NA,val", header="path,split")
    assert read_table(path, SPACE, labelled=False)["id"].tolist() == ["b.jpg", "NA"]
    assert not source.layout_named("table").has_unlabelled(path)


def test_a_split_of_another_name_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "b.jpg,p,no,30,0", "NA,p,yes,3,train", header="path,group,glasses,years,split")
    assert faults(path) == ("line 2: '0'",)
