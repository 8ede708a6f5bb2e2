"""Reading any CSV table of photos: labelled or not, with every fault listed."""

from pathlib import Path

import pytest

from maskcls.data.layouts import source
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
        "gone.jpg,p,yes,3.0",
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
        "line 6, column path: '/b.jpg' not relative",
        "line 9, column path: 'sub' not a file",
        "line 2, column glasses: 'Yes', expected one of no, yes",
        "line 4, column years: '3.0', expected a whole number 0..32767",
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
    path = write(tmp_path, "b.jpg,p,no,3", header="path,person,Glasses,years")
    assert faults(path) == ("'group' is missing", "'glasses' is missing (found 'Glasses')")


def test_a_class_that_never_occurs_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "b.jpg,p,no,3", "NA,q,no,4")
    assert faults(path) == ("glasses=yes", "years=>=30")


def test_an_age_has_the_limit_of_an_age(tmp_path: Path) -> None:
    space = LabelSpace((Task("age", ("young", "old"), (60,)),))
    path = write(tmp_path, "b.jpg,p,121", "NA,q,120", header="path,group,age")
    with pytest.raises(DataError) as caught:
        read_table(path, space, labelled=True)
    assert caught.value.offenders == ("line 2, column age: '121', expected a whole number 0..120",)


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "outside").touch()
    (tmp_path / "data").mkdir()
    path = write(tmp_path / "data", "b.jpg,p,no,30", "NA,q,yes,3")
    (tmp_path / "data" / "NA").unlink()
    (tmp_path / "data" / "NA").symlink_to(tmp_path / "outside")
    assert faults(path) == ("line 3, column path: 'NA' leads outside the data folder",)


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
        "line 2: no photo 'x.jpg' in the table",
        "line 3: field 'glass', expected 'glasses', 'years'",
        "line 4, column value: 'maybe', expected one of no, yes",
        "line 7: NA: glasses is 'no' on an earlier line, here 'yes'",
        "line 5, column value: 'x', expected a whole number 0..32767",
    )
