"""The strict CSV reader: text stays text, and every deviation is named with its line."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskcls import csvfile
from maskcls.csvfile import ROWS_AT_ONCE, read_csv, refuse_formulas
from maskcls.errors import DataError


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "t.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refused(path: Path, *required: str, **options: object) -> DataError:
    with pytest.raises(DataError) as caught:
        read_csv(path, required=required, **options)
    assert str(path) in str(caught.value)
    return caught.value


def test_ids_that_look_like_numbers_or_nothing_stay_text(tmp_path: Path) -> None:
    ids = ["00123", "1e5", "NA", "null", "nan", "-0", "True", " x ", "", "1,5", 'say "hi"', "한글", "None"]
    cells = [f'"{i.replace(chr(34), chr(34) * 2)}"' if "," in i or '"' in i else i for i in ids]
    frame = read_csv(write(tmp_path, "id,n\n" + "".join(f"{c},7\n" for c in cells)), required=["id"])
    assert frame["id"].tolist() == ids
    assert frame["n"].tolist() == ["7"] * len(ids)
    assert frame.index.tolist() == list(range(2, 2 + len(ids)))


TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\n\r"), max_size=12)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=8))
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]) -> None:
    quoted = "".join(",".join('"' + cell.replace('"', '""') + '"' for cell in row) + "\n" for row in rows)
    frame = read_csv(write(tmp_path_factory.getbasetemp(), "a,b\n" + quoted), required=["b", "a"])
    assert list(zip(frame["a"], frame["b"], strict=True)) == rows


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("tail", ["", "{end}", "{end}{end}{end}"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_blank_tail_and_byte_order_mark(tmp_path: Path, end: str, tail: str, mark: bytes) -> None:
    content = mark + (end.join(["id,x", "1,2", "3,4"]) + tail.format(end=end)).encode()
    frame = read_csv(write(tmp_path, content), required=["id"])
    assert frame["id"].tolist() == ["1", "3"]
    assert frame["x"].tolist() == ["2", "4"]


def test_all_rows_of_another_length_are_listed_with_their_lines(tmp_path: Path) -> None:
    error = refused(write(tmp_path, "id,x\n1,2\n3\n4,5,6\n\n7,8\n9,9,9,9\n"), "id")
    assert error.offenders == ("line 3: 1 fields", "line 4: 3 fields", "line 5: blank", "line 7: 4 fields")
    assert error.expected is not None
    assert error.expected.startswith("2 fields")


def test_a_table_longer_than_a_block_is_read_whole_and_checked_to_its_end(tmp_path: Path) -> None:
    rows = [f"{i},x{i}" for i in range(2 * ROWS_AT_ONCE + 3)]
    frame = read_csv(write(tmp_path, "\n".join(["id,x", *rows]) + "\n"), required=["id"])
    assert frame["x"].tolist() == [f"x{i}" for i in range(1003)]
    assert frame.index.tolist() == list(range(2, 1005))
    rows[-2] += ",y"
    assert refused(write(tmp_path, "\n".join(["id,x", *rows])), "id").offenders == ("line 1003: 3 fields",)


def test_a_field_too_many_on_every_row_does_not_shift_columns(tmp_path: Path) -> None:
    error = refused(write(tmp_path, "id,x\n1,2,3\n4,5,6\n"), "id")
    assert error.offenders == ("line 2: 3 fields", "line 3: 3 fields")


def test_a_trailing_comma_on_the_rows_is_a_field(tmp_path: Path) -> None:
    assert refused(write(tmp_path, "id,x\n1,2,\n"), "id").offenders == ("line 2: 3 fields",)


def test_line_breaks_in_cells_are_refused_and_later_lines_keep_their_number(tmp_path: Path) -> None:
    error = refused(write(tmp_path, 'id,x\n"a\nb",2\n3\n'), "id")
    assert error.offenders == ("line 2: a line break inside a cell", "line 4: 1 fields")
    error = refused(write(tmp_path, '"i\nd",id\n1,2\n'), "id")
    assert error.offenders == ("line 1: a line break inside a cell",)


def test_nul_bytes_are_refused_with_their_lines(tmp_path: Path) -> None:
    error = refused(write(tmp_path, b"id,x\n1,2\n\0,3\n4,5\n6,a\0b\n"), "id")
    assert error.offenders == ("line 3", "line 5")


def test_an_unclosed_quote_names_the_line_it_starts_on(tmp_path: Path) -> None:
    error = refused(write(tmp_path, 'id,x\n1,2\n"3,4\n5,6\n'), "id")
    assert error.where is not None
    assert error.where.endswith("line 3")
    assert error.got == "a quote that is never closed"


@pytest.mark.parametrize("content", [b"", b" \n\n", b"\xef\xbb\xbf"])
def test_empty_files(tmp_path: Path, content: bytes) -> None:
    error = refused(write(tmp_path, content), "id")
    assert "empty" in error.what or "no column names" in error.what


def test_a_header_without_rows_is_accepted_only_on_request(tmp_path: Path) -> None:
    path = write(tmp_path, "id,x\n")
    assert "no rows" in refused(path, "id").what
    frame = read_csv(path, required=["id"], allow_empty=True)
    assert list(frame.columns) == ["id", "x"]
    assert len(frame) == 0


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"<!DOCTYPE html>\n<html><body>404</body></html>", "HTML"),
        (b"\n <html>\n", "HTML"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "LFS"),
        (b"PK\x03\x04rest", "spreadsheet"),
        (b"\x1f\x8brest", "compressed"),
    ],
)
def test_other_kinds_of_file_are_named(tmp_path: Path, content: bytes, word: str) -> None:
    assert word in refused(write(tmp_path, content), "id").what


@pytest.mark.parametrize(
    ("codec", "name"),
    [("utf-16", "UTF-16"), ("utf-16-le", "UTF-16"), ("utf-16-be", "UTF-16"), ("cp949", "CP949")],
)
def test_other_encodings_are_named(tmp_path: Path, codec: str, name: str) -> None:
    text = "id,path\n1,마스크\n" if codec == "cp949" else "id,path\n1,mask\n"
    error = refused(write(tmp_path, text.encode(codec)), "id")
    assert "UTF-8" in error.what
    assert name in str(error.got)


def test_bytes_of_no_encoding_name_the_line(tmp_path: Path) -> None:
    error = refused(write(tmp_path, b"id,x\n1,2\n3,\xff\xff\xff\n"), "id")
    assert error.where is not None
    assert error.where.endswith("line 3")


@pytest.mark.parametrize(("separator", "name"), [(";", "';'"), ("\t", "tab"), ("|", "'|'")])
@pytest.mark.parametrize("extra", ["", ",b"])
def test_other_separators_are_named(tmp_path: Path, separator: str, name: str, extra: str) -> None:
    header = separator.join(["id", "path", "note" + extra])
    assert name in refused(write(tmp_path, header + "\n1\n"), "id", "path").what


def test_a_semicolon_in_an_extra_column_is_no_separator(tmp_path: Path) -> None:
    assert len(read_csv(write(tmp_path, "id,a;b\n1,2\n"), required=["id"])) == 1


def test_wrong_columns_are_reported_together_with_the_nearest_name(tmp_path: Path) -> None:
    error = refused(write(tmp_path, "id,id, ans,Path,other\n1,2,3,4,5\n"), "id", "ans", "path", "zebra")
    assert error.offenders == (
        "'id' occurs 2 times",
        "'ans' is missing (found ' ans')",
        "'path' is missing (found 'Path')",
        "'zebra' is missing",
    )
    assert error.got == "'id', 'id', ' ans', 'Path', 'other'"


@pytest.mark.parametrize("found", ["Group", " group", "groups", "GROUP "])
def test_a_near_miss_of_an_optional_column_is_not_ignored(tmp_path: Path, found: str) -> None:
    error = refused(write(tmp_path, f"id,{found}\n1,2\n"), "id", optional=["group"])
    assert error.offenders == (f"{found!r}: did you mean 'group'?",)


def test_extra_columns_are_kept(tmp_path: Path) -> None:
    frame = read_csv(write(tmp_path, "race,id,age\na,1,2\n"), required=["id"], optional=["group"])
    assert list(frame.columns) == ["race", "id", "age"]


def test_a_field_beyond_the_limit_and_too_many_columns_are_refused(tmp_path: Path) -> None:
    assert "valid CSV" in refused(write(tmp_path, f"id,x\n1,{'y' * 200_000}\n"), "id").what
    wide = ",".join(["id", *(f"c{i}" for i in range(1000))])
    assert "too many columns" in refused(write(tmp_path, wide + "\n" + wide + "\n"), "id").what


def test_a_large_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csvfile, "TABLE", replace(csvfile.TABLE, most=10))
    assert "too large" in str(refused(write(tmp_path, "id,x\n1,2\n3,4\n"), "id").got)


def test_missing_files_folders_and_pipes_are_refused_at_once(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.csv", "id").got == "No such file or directory"
    assert "regular" in str(refused(tmp_path, "id").got)
    os.mkfifo(tmp_path / "pipe")
    assert "regular" in str(refused(tmp_path / "pipe", "id").got)


def test_the_file_stays_as_it_is(tmp_path: Path) -> None:
    path = write(tmp_path, "id,x\r\n1,2\r\n")
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    read_csv(path, required=["id"])
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


@pytest.mark.parametrize(
    "cell",
    [
        *("=1+1", "+1", "@x", "\tx", "\rx", " =1", "\u00a0=1", "\n=1", "\uff1d1", "\uff0b1", "\uff20x"),
        *("-cmd|' /C calc'!A0", "-HYPERLINK(1)", "-'file:///a'#$b.A1", "\uff0d(1)"),
    ],
)
def test_text_that_a_spreadsheet_runs_is_refused(cell: str) -> None:
    with pytest.raises(DataError, match="as a formula") as caught:
        refuse_formulas(["fine", cell, cell], fix="rename it")
    assert caught.value.offenders == (repr(cell),)
    assert caught.value.fix == "rename it"


def test_text_that_no_spreadsheet_runs_passes_as_it_is() -> None:
    refuse_formulas(["", "-", "-1.jpg", "a=b", "a (1).jpg", "1e5", "./=1", "'=1", "60+", "<30", "#a", "--dash"], fix="")
