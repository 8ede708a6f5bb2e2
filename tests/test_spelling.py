"""Names that look the same: which do, which do not, and what every reader of a table says about them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from maskcls.config import load
from maskcls.csvfile import read_columns, read_csv
from maskcls.data.layouts.contest import read_eval
from maskcls.data.layouts.folder import read_folder
from maskcls.data.layouts.source import read_people
from maskcls.data.layouts.table import read_table
from maskcls.errors import ConfigError, DataError
from maskcls.labels import CONTEST, LabelSpace, Task
from maskcls.results.ensembles.external import read_member
from maskcls.results.people.group_file import read_groups
from maskcls.results.pseudo.read_labels import read_pseudo
from maskcls.results.submissions.answers import read_answers
from maskcls.results.submissions.checks import check_distinct, check_ids
from maskcls.runs import read_labelled
from maskcls.spelling import appearance, lookalikes, meant, misspelled_columns, plain_number

SAME = [  # a name, and another spelling of it
    ("kim", "kim "),
    ("kim", " kim"),
    ("kim", "\tkim"),
    ("kim", "kim\r"),
    ("kim", "kim\u00a0"),  # no-break space
    ("kim", "\u3000kim"),  # ideographic space
    ("kim", "kim\u2009"),  # thin space
    ("kim lee", "kim\u00a0lee"),
    ("kim lee", "kim  lee"),
    ("kim", "k\u200bim"),  # zero-width space
    ("kim", "\ufeffkim"),  # byte order mark
    ("kim", "ki\u00adm"),  # soft hyphen
    ("kim", "kim\u200d"),  # zero-width joiner
    ("kim", "\u200ekim"),  # left-to-right mark
    ("kim", "kim\u2060"),  # word joiner
    ("kim", "kim\x07"),
    ("kim", "kim\x7f"),
    ("kim", "ki\x1bm"),
    ("kim", "kim\ufe0f"),  # variation selector
    ("kim", "kim\u3164"),  # Hangul filler
    ("kim", "\uff4b\uff49\uff4d"),  # full-width letters
    ("p01", "p\uff10\uff11"),  # full-width digits
    ("\u30ac", "\uff76\uff9e"),  # half-width katakana
    ("\uae40", "\u1100\u1175\u11b7"),  # Hangul: composed, decomposed
    ("caf\u00e9", "cafe\u0301"),
    ("\u212b", "A\u030a"),  # the angstrom sign and the letter
    ("a-b", "a\uff0db"),
    ("", " \u200b"),
]
DIFFERENT = [
    ("kim", "Kim"),
    ("kim", "kin"),
    ("kimlee", "kim lee"),
    ("p1", "p01"),
    ("x2", "x\u00b2"),  # superscript
    ("fi", "\ufb01"),  # ligature
    ("cafe", "caf\u00e9"),
    ("1498", "1498-1"),
    ("\u0430", "a"),  # Cyrillic and Latin: another alphabet, which a reader may tell apart
]


def test_the_table_is_complete() -> None:
    assert (len(SAME), len(DIFFERENT)) == (28, 9)
    assert len({other for _, other in SAME}) == 28


@pytest.mark.parametrize(("name", "other"), SAME)
def test_names_that_look_the_same(name: str, other: str) -> None:
    assert appearance(name) == appearance(other)
    (message,) = lookalikes([name, "else", other])
    assert message.startswith(f"{other!r} in row 3 looks like {name!r} in row 1: ")
    assert re.fullmatch(r"(it|the other) (begins|has) .*", message.partition(": ")[2].rpartition(": ")[2])


@pytest.mark.parametrize(("name", "other"), DIFFERENT)
def test_names_that_do_not(name: str, other: str) -> None:
    assert appearance(name) != appearance(other)
    assert lookalikes([name, other, name]) == []


@given(st.text(max_size=8))
def test_a_look_looks_like_itself_and_is_composed(text: str) -> None:
    seen = appearance(text)
    assert appearance(seen) == seen
    assert unicodedata.is_normalized("NFC", seen)
    assert seen == seen.strip()
    assert appearance(f"  {text}\u200b") == seen


def test_every_different_spelling_is_named_once_where_it_is_first() -> None:
    names = ["kim", "lee", "kim ", "kim ", "kim\u200b", "lee"]
    assert lookalikes(names, [f"line {n}" for n in range(2, 8)]) == [
        "'kim ' in line 4 looks like 'kim' in line 2: it has a space at its start or end",
        "'kim\\u200b' in line 6 looks like 'kim' in line 2: it has a character that cannot be seen",
    ]


def test_the_unusual_one_is_named_also_where_it_is_first() -> None:
    assert lookalikes(["cafe\u0301", "caf\u00e9"]) == [
        "'caf\u00e9' in row 2 looks like 'cafe\u0301' in row 1: the other has decomposed characters (NFD)"
    ]


def test_headers_match_in_any_case() -> None:
    found = ["PATH", "group", "Gr\u200boup", "other", "\uff4dask"]
    assert misspelled_columns(found, ["path", "group", "mask"]) == [
        "'PATH': did you mean 'path'?",
        "'Gr\\u200boup': did you mean 'group'?",
        "'\uff4dask': did you mean 'mask'?",
    ]


def test_a_hint_only_for_what_looks_like_a_name() -> None:
    assert "has a space at its start or end" in meant("worn\u00a0", ["none", "worn"])
    assert "but that one has decomposed characters" in meant("caf\u00e9", ["cafe\u0301"])
    assert meant("\u0430", ["a"]) == meant("worn ", ["worn"]) == meant("caf\u00e9", ["caf\u00e9"]) == ""


# ---- the readers -----------------------------------------------------------------------------------------------------

HELMET = LabelSpace((Task("helmet", ("none", "worn")),))
PAIRS = [("kim", "kim "), ("caf\u00e9", "cafe\u0301"), ("kim", "kim\u200b"), ("p1", "p\uff11")]


def photo(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((16, 16, 3), dtype=np.uint8)).save(path, "PNG")


def csv(folder: Path, *lines: str, name: str = "t.csv") -> Path:
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / name


def table_groups(folder: Path, a: str, b: str) -> object:
    for n in (0, 1):
        photo(folder / f"{n}.png")
    return read_table(csv(folder, "path,group,helmet", f"0.png,{a},none", f"1.png,{b},worn"), HELMET, labelled=True)


def table_paths(folder: Path, a: str, b: str) -> object:
    photo(folder / a)
    photo(folder / b)
    return read_table(csv(folder, "path", a, b), HELMET, labelled=False)


def people_of_a_table(folder: Path, a: str, b: str) -> object:
    for n in (0, 1):
        photo(folder / f"{n}.png")
    return read_people(csv(folder, "path,group", f"0.png,{a}", f"1.png,{b}"), "table")


def contest_ids(folder: Path, a: str, b: str) -> object:
    photo(folder / "eval/images" / a)
    photo(folder / "eval/images" / b)
    csv(folder / "eval", "ImageID,ans", f"{a},0", f"{b},0", name="info.csv")
    return read_eval(folder, CONTEST)


def folder_names(folder: Path, a: str, b: str) -> object:
    photo(folder / f"{a}.png")
    photo(folder / f"{b}.png")
    return read_folder(folder, HELMET)


def groups_file(folder: Path, a: str, b: str) -> object:
    return read_groups(csv(folder, "id,group", f"x,{a}", f"y,{b}"), ["x", "y"])


def ids_of_groups(folder: Path, a: str, b: str) -> object:
    return read_groups(csv(folder, "id,group", f"{a},1", f"{b},2"), [a, b])


def answers_ids(folder: Path, a: str, b: str) -> object:
    return read_answers(csv(folder, "id,helmet", f"{a},none", f"{b},worn"), HELMET)


def answers_people(folder: Path, a: str, b: str) -> object:
    return read_labelled.people_of_answers(csv(folder, "id,helmet,group", f"x,none,{a}", f"y,worn,{b}"), HELMET)


def pseudo_ids(folder: Path, a: str, b: str) -> object:
    path = csv(folder, "id,path,helmet", f"{a},a.png,none", f"{b},b.png,worn")
    return read_pseudo(path, HELMET, folds_sha256="", k=2, allow_leaky=True)


def member_ids(folder: Path, a: str, b: str) -> object:
    return read_member(csv(folder, "id,0,1", f"{a},0.5,0.5", f"{b},0.5,0.5"), HELMET)


READERS: list[Callable[[Path, str, str], object]] = [
    *(table_groups, table_paths, people_of_a_table, contest_ids, folder_names, groups_file, ids_of_groups),
    *(answers_ids, answers_people, pseudo_ids, member_ids),
]


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_refuses_names_that_look_the_same(tmp_path: Path, reader: Callable[..., object]) -> None:
    assert len(READERS) == 11
    for n, (a, b) in enumerate(PAIRS):
        if reader is folder_names and b == "kim ":
            b = " kim"  # its ending follows the name
        folder = tmp_path / str(n)
        (folder / "eval").mkdir(parents=True)
        with pytest.raises(DataError) as caught:
            reader(folder, a, b)
        assert any(f"{b}" in line and "looks like" in line for line in map(_unescaped, caught.value.offenders)), (a, b)


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_takes_names_that_do_not(tmp_path: Path, reader: Callable[..., object]) -> None:
    for n, (a, b) in enumerate([("kim", "Kim"), ("\uae40", "\uac15"), ("x2", "x\u00b2")]):
        folder = tmp_path / str(n)
        if reader is not folder_names:
            (folder / "eval").mkdir(parents=True)
        reader(folder, a, b)


def _unescaped(line: str) -> str:
    return line.replace("\\u200b", "\u200b")


def test_a_group_of_blanks_is_empty(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        table_groups(tmp_path, "kim", " ")
    assert caught.value.offenders == ("line 3, column group: empty",)
    with pytest.raises(DataError, match="no group"):
        groups_file(tmp_path, "kim", "\u200b")
    answers = csv(tmp_path, "id,helmet,group", "x,none,kim", "y,worn, ", name="answers.csv")
    with pytest.raises(DataError, match="without a person"):
        read_labelled.read_submission(csv(tmp_path, "id,helmet", "x,none", "y,worn"), answers, HELMET)


@pytest.mark.parametrize("header", ["Group", "group ", "gr\u200boup", "\uff47roup"])
def test_a_column_spelled_differently_is_not_passed_over(tmp_path: Path, header: str) -> None:
    """A column "Group" of answers would leave them without people, and one beside "group" would not be read."""
    path = csv(tmp_path, f"id,helmet,{header}", "x,none,kim")
    with pytest.raises(DataError) as caught:
        read_labelled.people_of_answers(path, HELMET)
    assert "did you mean 'group'?" in caught.value.offenders[0]
    with pytest.raises(DataError, match="did you mean 'group'"):
        read_csv(csv(tmp_path, f"group,{header}", "kim,lee"), required=["group"])
    with pytest.raises(DataError, match="group"):
        read_csv(csv(tmp_path, f"id,{header}", "kim,lee"), required=["group"])
    assert list(read_columns(path)) == ["id", header]  # a reader that looks for no such column


@pytest.mark.parametrize("header", ["Helmet", "ANS", "helmet "])
def test_answers_with_a_label_column_spelled_differently_are_refused(tmp_path: Path, header: str) -> None:
    path = csv(tmp_path, f"id,ans,{header}", "x,0,worn")
    with pytest.raises(DataError, match="did you mean"):
        read_answers(path, HELMET)


def test_a_label_that_looks_like_a_class_gets_a_hint(tmp_path: Path) -> None:
    space = LabelSpace((Task("drink", ("caf\u00e9", "tea")),))
    photo(tmp_path / "0.png")
    with pytest.raises(DataError, match="decomposed"):
        read_table(csv(tmp_path, "path,group,drink", "0.png,kim,cafe\u0301"), space, labelled=True)
    with pytest.raises(DataError, match="decomposed"):
        read_answers(csv(tmp_path, "id,drink", "x,cafe\u0301"), space)


def test_classes_that_look_the_same_are_refused() -> None:
    with pytest.raises(ConfigError, match="look the same"):
        load([], ['tasks=[{name: helmet, classes: ["caf\u00e9", "cafe\u0301"]}]'])


def test_a_submission_is_checked_for_ids_that_look_the_same() -> None:
    assert check_distinct(["a", "b"]).verdict == "ok"
    assert check_distinct(["a", "a "]).verdict == "FAILED"
    (fault, hint) = check_ids(["a\u200b.jpg"], ["a.jpg"]).faults
    assert fault == "'a.jpg' is missing"
    assert hint.endswith("but 'a.jpg'")


@pytest.mark.parametrize("text", ["\uff11", "1_0", "\u0661", "", "one", "0x1"])
def test_a_number_is_written_in_ascii(text: str) -> None:
    with pytest.raises(ValueError, match=r"not|could not"):
        plain_number(text)
    assert [plain_number(one) for one in ("1", "-0.5", "1e3", " 2 ")] == [1, -0.5, 1000, 2]
