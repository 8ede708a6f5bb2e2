"""The submission: exact bytes, refusals, faults at every write, and reading answers back."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskcls import files
from maskcls.csvfile import read_columns
from maskcls.errors import BusyError, DataError, ResourceError, ResultError, UsageError
from maskcls.files import outputs
from maskcls.labels import CONTEST, LabelSpace, Task
from maskcls.results.submissions.answers import read_answers
from maskcls.results.submissions.write import Written, sidecar_space, write_submission

ODD_IDS = ["00123", "1e5", "NA", "null", 'say "hi".jpg', "a,b.jpg", "한글.jpg", " padded ", "-1", "a;b", "'q'", "x\ty"]
HEADER = ("ImageID", "ans")


def write(path: Path, ids: list[str] | None = None, labels: object = None, **options: Any) -> Written:
    ids = ["b.jpg", "a.jpg"] if ids is None else ids
    labels_N = np.arange(len(ids)) % 18 if labels is None else np.asarray(labels)
    given = {"header": HEADER, "space": CONTEST, "lineage": {"run": "runs/a"}, **options}
    return write_submission(path, ids=ids, labels=labels_N, **given)


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# --- what is written ---


def test_golden_bytes(tmp_path: Path) -> None:
    written = write(tmp_path / "submission.csv", ["00123", "1e5", "NA", 'q"', "a,b", "한글"], [17, 0, 3, 4, 5, 10])
    raw = (tmp_path / "submission.csv").read_bytes()
    assert raw == 'ImageID,ans\n00123,17\n1e5,0\nNA,3\n"q""",4\n"a,b",5\n한글,10\n'.encode()
    assert (written.rows, written.sha256) == (6, files.sha256(raw))


def test_sidecar_says_where_it_comes_from(tmp_path: Path) -> None:
    written = write(tmp_path / "out.csv", ["a", "b", "c"], [2, 2, 17], lineage={"weights": ["ab12"]})
    data = json.loads((tmp_path / "out.json").read_bytes())
    assert list(data) == [
        "kind",
        "version",
        "file",
        "sha256",
        "rows",
        "columns",
        "label_space",
        "classes",
        "lineage",
        "code_sha256",
        "digest",
    ]
    assert (data["file"], data["rows"], data["columns"]) == ("out.csv", 3, ["ImageID", "ans"])
    assert data["sha256"] == written.sha256 == files.file_sha256(tmp_path / "out.csv")
    assert data["label_space"] == {"fingerprint": CONTEST.fingerprint, "tasks": CONTEST.to_json()}
    assert len(data["classes"]) == 18
    assert data["classes"][2] == {"label": 2, "name": "wear/male/>=60", "rows": 2}
    assert [one["rows"] for one in data["classes"]] == list(written.class_rows)
    assert data["lineage"] == {"weights": ["ab12"]}
    assert set(content_of(tmp_path)) == {"out.csv", "out.json"}


def test_extra_columns_follow(tmp_path: Path) -> None:
    extra = {"mask": ["wear", "normal"], "age": ["<30", ">=60"]}
    write(tmp_path / "s.csv", ["p/1.jpg", "p/2.jpg"], [0, 14], header=("path", "ans"), extra_columns=extra)
    assert (tmp_path / "s.csv").read_text() == "path,ans,mask,age\np/1.jpg,0,wear,<30\np/2.jpg,14,normal,>=60\n"


def test_any_ids_in_any_order_come_back(tmp_path: Path) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        ids = [ODD_IDS[i] for i in rng.permutation(len(ODD_IDS))]
        labels = rng.integers(18, size=len(ids))
        write(tmp_path / "s.csv", ids, labels, force=True)
        with (tmp_path / "s.csv").open(newline="", encoding="utf-8") as handle:
            assert list(csv.reader(handle))[1:] == [[a, str(b)] for a, b in zip(ids, labels, strict=True)]
        got_ids, got = read_answers(tmp_path / "s.csv", CONTEST)
        assert got_ids == ids
        assert np.array_equal(CONTEST.encode(got), labels)


def test_equal_input_gives_equal_files(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    write(tmp_path / "s.csv", ODD_IDS)
    write(tmp_path / "x" / "s.csv", np.array(ODD_IDS), np.arange(12, dtype=np.uint8))  # type: ignore[arg-type]
    assert content_of(tmp_path / "x") == {name: (tmp_path / name).read_bytes() for name in ("s.csv", "s.json")}


def test_a_repeated_id_needs_one_label(tmp_path: Path) -> None:
    assert write(tmp_path / "s.csv", ["a", "b", "a"], [1, 2, 1]).rows == 3
    with pytest.raises(ResultError, match="two labels") as caught:
        write(tmp_path / "t.csv", ["a", "b", "a"], [1, 2, 3])
    assert caught.value.offenders == ("'a'",)


# --- what is refused, with nothing written ---


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 18], "outside"),
        ([-1, 0], "outside"),
        ([0.0, 1.0], "do not fit"),
        ([True, False], "do not fit"),
        ([0], "do not fit"),
        ([[0], [1]], "do not fit"),
    ],
)
def test_labels_that_are_none(tmp_path: Path, labels: object, message: str) -> None:
    with pytest.raises(ResultError, match=message):
        write(tmp_path / "s.csv", labels=labels)
    assert content_of(tmp_path) == {}


@pytest.mark.parametrize("bad", ["=1+1", "+1", "@x", "\tx", "\rx", "", "a\nb", "a\rb", "a\0", "\ud800"])
def test_ids_a_reader_would_change(tmp_path: Path, bad: str) -> None:
    with pytest.raises(DataError) as caught:
        write(tmp_path / "s.csv", ["fine", bad])
    assert caught.value.offenders == (repr(bad),)
    assert content_of(tmp_path) == {}


def test_no_rows_a_repeated_column_a_json_name_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no rows to submit"):
        write(tmp_path / "s.csv", [], np.zeros(0, dtype=int))
    with pytest.raises(DataError, match="column name occurs twice"):
        write(tmp_path / "s.csv", header=("ans", "ans"))
    with pytest.raises(DataError, match="column name occurs twice"):
        write(tmp_path / "s.csv", extra_columns={"ans": ["x", "y"]})
    with pytest.raises(UsageError, match=r"\.json"):
        write(tmp_path / "s.json")
    assert content_of(tmp_path) == {}
    (tmp_path / "s.csv").mkdir()
    with pytest.raises(ResourceError, match="regular file"):
        write(tmp_path / "s.csv", force=True)


def test_a_short_extra_column_is_a_bug(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="shorter"):
        write(tmp_path / "s.csv", extra_columns={"mask": ["wear"]})
    assert content_of(tmp_path) == {}


def test_existing_output_is_refused_and_forced(tmp_path: Path) -> None:
    write(tmp_path / "s.csv", labels=[1, 2])
    before = content_of(tmp_path)
    with pytest.raises(BusyError, match="the output exists") as caught:
        write(tmp_path / "s.csv", labels=[3, 4])
    assert "--force" in str(caught.value)
    assert content_of(tmp_path) == before
    write(tmp_path / "s.csv", labels=[3, 4], force=True)
    after = content_of(tmp_path)
    assert set(after) == {"s.csv", "s.json", "s.csv.bak", "s.json.bak"}
    assert (after["s.csv.bak"], after["s.json.bak"]) == (before["s.csv"], before["s.json"])
    assert after["s.csv"] == b"ImageID,ans\nb.jpg,3\na.jpg,4\n"


def test_somebody_elses_json_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"mine": 1}')
    with pytest.raises(BusyError, match=r"s\.json"):
        write(tmp_path / "s.csv")
    write(tmp_path / "s.tsv.csv")  # its sidecar is s.tsv.json
    assert (tmp_path / "s.json").read_text() == '{"mine": 1}'
    write(tmp_path / "s.csv", force=True)
    assert (tmp_path / "s.json.bak").read_text() == '{"mine": 1}'


def test_another_submissions_sidecar_is_not_replaced(tmp_path: Path) -> None:
    write(tmp_path / "s.csv")
    with pytest.raises(BusyError, match=r"s\.json"):
        write(tmp_path / "s.txt")  # it would share s.json


# --- faults ---


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.replace(b"b.jpg,3\na.jpg,4", b"a.jpg,4\nb.jpg,3"),
        lambda raw: raw.replace(b"b.jpg,3\n", b""),
        lambda raw: raw + b"c.jpg,0\n",
        lambda raw: raw.replace(b",3", b",5"),
        lambda raw: raw.replace(b",3", b",3.0"),
        lambda raw: raw.replace(b"b.jpg", b"b.jpeg"),
        lambda raw: raw.replace(b"b.jpg", b'"b.jpg'),
        lambda raw: raw.replace(b"ImageID", b"id"),
        lambda raw: b"",
    ],
)
@pytest.mark.parametrize("old", [False, True])
def test_a_file_that_reads_back_differently_is_withdrawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[bytes], bytes], old: bool
) -> None:
    if old:
        write(tmp_path / "s.csv", labels=[1, 2])
    before, real = content_of(tmp_path), outputs.write_synced

    def write_synced(handle: int, raw: bytes) -> None:
        real(handle, change(raw) if raw.startswith(b"ImageID") else raw)

    monkeypatch.setattr(outputs, "write_synced", write_synced)
    with pytest.raises(ResultError, match=r"reads? back|other columns"):
        write(tmp_path / "s.csv", labels=[3, 4], force=True)
    assert content_of(tmp_path) == before


def test_lineage_that_is_no_json_changes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        write(tmp_path / "s.csv", lineage={"f1": float("nan")})
    assert content_of(tmp_path) == {}


# --- the sidecar's label space ---


def test_sidecar_gives_the_space_it_was_written_with(tmp_path: Path) -> None:
    space = LabelSpace((Task("hat", ("no", "yes")),))
    write(tmp_path / "s.csv", labels=[0, 1], space=space)
    assert sidecar_space(tmp_path / "s.csv") == space


def test_no_sidecar_or_another_programs_gives_none(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("ImageID,ans\na,1\n")
    assert sidecar_space(tmp_path / "s.csv") is None
    (tmp_path / "s.json").write_text('["mine"]')
    assert sidecar_space(tmp_path / "s.csv") is None
    assert sidecar_space(tmp_path / "s.json") is None


def test_changed_csv_and_damaged_sidecar_are_named(tmp_path: Path) -> None:
    write(tmp_path / "s.csv")
    raw = (tmp_path / "s.csv").read_bytes()
    (tmp_path / "s.csv").write_bytes(raw.replace(b",1", b",2"))
    with pytest.raises(DataError, match="does not match its sidecar"):
        sidecar_space(tmp_path / "s.csv")
    for damaged in (
        "{",
        '{"kind": "maskcls submission"}',
        '{"kind": "maskcls submission", "sha256": 1, "label_space": 2}',
    ):
        (tmp_path / "s.json").write_text(damaged)
        with pytest.raises(DataError, match="cannot be read"):
            sidecar_space(tmp_path / "s.csv")


# --- reading answers ---


def test_columns_are_text_without_byte_order_mark(tmp_path: Path) -> None:
    got = read_columns(table(tmp_path, '\ufeffid,"a ""b"""\r\n001,"x\ny"\r\n'))
    assert got == {"id": ["001"], 'a "b"': ["x\ny"]}


def table(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "answers.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_joint_answers(tmp_path: Path) -> None:
    ids, labels = read_answers(table(tmp_path, "\ufeffImageID,ans\r\n007,17\r\nNA,0\r\n"), CONTEST)
    assert ids == ["007", "NA"]
    assert {name: label.tolist() for name, label in labels.items()} == {"mask": [2, 0], "gender": [1, 0], "age": [2, 0]}


def test_one_column_a_task_with_names_ages_and_gaps(tmp_path: Path) -> None:
    text = (
        "path,person,age,gender,mask\na,p1,29,male,wear\nb,p1,30,,normal\nc,p2,>=60,female,\nd,p2,059,male,incorrect\n"
    )
    ids, labels = read_answers(table(tmp_path, text), CONTEST)
    assert ids == ["a", "b", "c", "d"]
    assert labels["age"].tolist() == [0, 1, 2, 1]
    assert labels["gender"].tolist() == [0, -1, 1, 0]
    assert labels["mask"].tolist() == [0, 2, -1, 1]


def test_both_forms_must_agree(tmp_path: Path) -> None:
    good = "path,ans,mask\na,0,wear\nb,17,\n"
    assert read_answers(table(tmp_path, good), CONTEST)[1]["mask"].tolist() == [0, 2]
    with pytest.raises(DataError, match="ans and mask contradict") as caught:
        read_answers(table(tmp_path, good.replace("17,", "17,wear")), CONTEST)
    assert caught.value.offenders == ("'b'",)


@pytest.mark.parametrize("bad", ["18", "-1", "1.0", " 1", "01", "+1", "", "one", "\u0661", "1e0", "True"])
def test_answers_that_are_no_label(tmp_path: Path, bad: str) -> None:
    with pytest.raises(DataError, match=r"column ans(.|\n)*0\.\.17") as caught:
        read_answers(table(tmp_path, f"ImageID,ans\na,1\nb,{bad}\n"), CONTEST)
    assert caught.value.offenders == (f"'b': {bad!r}",)


@pytest.mark.parametrize(
    ("column", "bad"),
    [("mask", "Wear"), ("gender", " male"), ("age", "29.5"), ("age", "-1"), ("age", "old"), ("mask", "0")],
)
def test_task_values_that_are_no_label(tmp_path: Path, column: str, bad: str) -> None:
    good = {"mask": "wear", "gender": "male", "age": "30", column: bad}
    with pytest.raises(DataError, match=f"column {column}") as caught:
        read_answers(table(tmp_path, f"id,{','.join(good)}\nx,{','.join(good.values())}\n"), CONTEST)
    assert caught.value.offenders == (f"'x': {bad!r}",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "table is empty"),
        ("ImageID,ans\n", "no rows"),
        ("ImageID,ans\na,1\na,2\n", "'a': rows 1 and 2"),
        ("ImageID,ans,ans\na,1,1\n", "'ans' occurs 2 times"),
        ("ImageID,ans\na,1\nb\n", "line 3: 1"),
        ("ImageID,ans\na,1\nb,1,2\n", "line 3: 3"),
        ("ImageID,ans\n,a,1\n,b,2\n", "2 in total: line 2: 3 fields; line 3: 3 fields"),
        ("ImageID;ans\na;1\n", "commas"),
        ("ImageID,anss\na,1\n", "'anss' looks like 'ans'"),
        ("ImageID, ans\na,1\n", "' ans': did you mean 'ans'?"),
        ("id,mask,gendr,age\na,wear,male,3\n", "'gendr' looks like 'gender'"),
        ("id,mask,age\na,wear,3\n", "all of mask, gender, age"),
        ('ImageID,ans\n"a,1\n', "not valid CSV"),
        ('ImageID,ans\n"a"b,1\n', "not valid CSV"),
        ("ImageID,ans\na\0,1\n", "NUL"),
        ("ImageID,ans\n한글,1\n".encode("cp949"), "UTF-8"),
        ("ImageID,ans\na,1\n".encode("utf-16"), "UTF-8"),
        ("<html><body>404</body></html>\n<p>\n", "this is an HTML page"),
    ],
)
def test_tables_that_are_wrong(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_answers(table(tmp_path, text), CONTEST)
    assert message in str(caught.value)
    assert "answers.csv" in str(caught.value)


def test_a_missing_table(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_answers(tmp_path / "none.csv", CONTEST)
