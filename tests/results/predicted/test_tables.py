"""Tables of predicted photos: columns and cells by hand, in three formats; equal to the submission's writer."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from maskcls import files
from maskcls.config import installed_extras
from maskcls.errors import BusyError, DataError, ResourceError, UsageError
from maskcls.labels import CONTEST, LabelSpace, Task
from maskcls.results.ensembles.external import read_member
from maskcls.results.predicted.formats import TableFormat, format_of, write_table
from maskcls.results.predicted.rows import PhotoRows, TableForm
from maskcls.results.predicted.table_file import TableOutput, WrittenTable, check_tables_free, table_aside
from maskcls.results.submissions.write import write_submission

HATS = LabelSpace((Task("hat", ("no", "a, b")), Task("tie", ("off", "on"))))
# Joint classes: no/off, no/on, "a, b"/off, "a, b"/on.
ROWS = PhotoRows(
    ["1.jpg", "2.jpg", "한.jpg"],
    np.array([[0.5, 0.25, 0.125, 0.125], [0, 0, 0, 0], [0.1, 0.1, 0.1, 0.7]], dtype=np.float32),
    np.array([0, -1, 3]),
    ["", "empty file", ""],
)


def text(form: TableForm, name: TableFormat, *blocks: PhotoRows) -> str:
    handle = io.BytesIO()
    write_table(handle, name, form, blocks)
    return handle.getvalue().decode()


def test_classes_of_every_task() -> None:
    assert text(TableForm(HATS, errors=True), "csv", ROWS) == (
        'path,ans,hat,tie,error\n1.jpg,0,no,off,\n2.jpg,,,,empty file\n한.jpg,3,"a, b",on,\n'
    )


def test_probabilities_beside_the_classes() -> None:
    header, first, second, third = text(TableForm(HATS, "id", probabilities=True), "csv", ROWS).splitlines()
    assert header == 'id,ans,hat,hat_probability,tie,tie_probability,hat/no,"hat/a, b",tie/off,tie/on'
    assert first == "1.jpg,0,no,0.75,off,0.625,0.75,0.25,0.625,0.375"
    assert second == "2.jpg" + "," * 9
    assert third == '한.jpg,3,"a, b",0.8,on,0.8,0.2,0.8,0.2,0.8'


def test_only_the_joint_class() -> None:
    assert text(TableForm(HATS, "ImageID", task_columns=False), "csv", ROWS).splitlines()[:2] == [
        "ImageID,ans",
        "1.jpg,0",
    ]


def test_lines_of_json() -> None:
    lines = text(TableForm(HATS, probabilities=True, errors=True), "jsonl", ROWS).splitlines()
    assert lines[2] == (
        '{"path": "한.jpg", "ans": 3, "hat": "a, b", "hat_probability": 0.8, "tie": "on", "tie_probability": 0.8,'
        ' "hat/no": 0.2, "hat/a, b": 0.8, "tie/off": 0.2, "tie/on": 0.8, "error": null}'
    )
    assert json.loads(lines[1])["error"] == "empty file"
    assert json.loads(lines[1])["hat/no"] is None


def test_parquet_has_types_and_a_row_group_per_block(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    with (tmp_path / "t.parquet").open("wb") as handle:
        write_table(handle, "parquet", TableForm(HATS, probabilities=True, errors=True), [ROWS, ROWS])
    found = pq.ParquetFile(tmp_path / "t.parquet")
    assert found.num_row_groups == 2
    table = found.read()
    assert [str(table.schema.field(name).type) for name in ("path", "ans", "hat/no")] == ["string", "int64", "float"]
    assert table.column("ans").to_pylist() == [0, None, 3] * 2
    assert table.column("error").to_pylist() == [None, "empty file", None] * 2
    assert np.float32(table.column("tie/on").to_pylist()[2]) == np.float32(0.8)


def test_parquet_without_pyarrow_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed_extras, "find_spec", lambda name: None)
    with pytest.raises(ResourceError, match="pyarrow is not installed") as caught:
        format_of(Path("a.parquet"), None)
    assert "pip install 'maskcls[parquet]'" in str(caught.value)
    assert format_of(Path("a.parquet"), "csv") == "csv"


def test_the_format_follows_the_suffix_or_is_given() -> None:
    given = [format_of(Path(name), None) for name in ("a.csv", "a.JSONL", "a.parquet", "a.txt", "a")]
    assert given == ["csv", "jsonl", "parquet", "csv", "csv"]
    assert format_of(Path("a.csv"), "jsonl") == "jsonl"


def test_probabilities_read_back_as_the_same_float32() -> None:
    prob = np.random.default_rng(0).dirichlet(np.full(4, 0.1), 200).astype(np.float32)
    rows = PhotoRows([f"{i}.jpg" for i in range(200)], prob, prob.argmax(1), [""] * 200)
    form = TableForm(HATS, probabilities=True)
    want = HATS.marginals(prob)["tie"][:, 1]
    csv_N = [np.float32(line.split(",")[-1]) for line in text(form, "csv", rows).splitlines()[1:]]
    json_N = [np.float32(json.loads(line)["tie/on"]) for line in text(form, "jsonl", rows).splitlines()]
    np.testing.assert_array_equal(csv_N, want)
    np.testing.assert_array_equal(json_N, want)


def test_a_name_that_occurs_twice_is_refused() -> None:
    space = LabelSpace((Task("hat", ("no", "yes")), Task("hat_probability", ("x", "y"))))
    with pytest.raises(DataError, match="occurs twice"):
        _ = TableForm(space, probabilities=True).kinds
    assert len(TableForm(space).kinds) == 4


# ---- files ----------------------------------------------------------------------------------------------------------


def readable(rows: int) -> PhotoRows:
    prob = np.random.default_rng(1).dirichlet(np.full(18, 0.2), rows).astype(np.float32)
    return PhotoRows([f"{i}.jpg" for i in range(rows)], prob, prob.argmax(1), [""] * rows)


def write_table_file(
    output: TableOutput, blocks: Iterable[PhotoRows], lineage: dict[str, str], *, force: bool
) -> WrittenTable:
    with table_aside(output, blocks, lineage) as (written, made):
        files.commit_outputs(made, force=force)
    return written


def test_the_files_are_those_of_the_submission_writer(tmp_path: Path) -> None:
    rows = readable(7)
    decoded = CONTEST.decode(rows.label_N)
    extra = {task.name: [task.classes[c] for c in decoded[task.name]] for task in CONTEST.tasks}
    write_submission(
        tmp_path / "one" / "a.csv",
        header=("path", "ans"), ids=list(rows.names), labels=rows.label_N, space=CONTEST, lineage={"run": "r"},
        extra_columns=extra,
    )  # fmt: skip
    blocks = [
        PhotoRows(rows.names[a:b], rows.prob_NJ[a:b], rows.label_N[a:b], rows.errors[a:b]) for a, b in ((0, 3), (3, 7))
    ]
    written = write_table_file(
        TableOutput(tmp_path / "two" / "a.csv", "csv", TableForm(CONTEST)), blocks, {"run": "r"}, force=False
    )
    for name in ("a.csv", "a.json"):
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
    assert (written.rows, written.unreadable) == (7, 0)
    assert {path.name for path in (tmp_path / "two").iterdir()} == {"a.csv", "a.json"}


def test_an_ensemble_reads_the_probabilities(tmp_path: Path) -> None:
    rows = readable(9)
    output = TableOutput(tmp_path / "p.csv", "csv", TableForm(CONTEST, probabilities=True))
    write_table_file(output, [rows], {"run": "r"}, force=False)
    member = read_member(tmp_path / "p.csv", CONTEST)
    assert member.ids.tolist() == list(rows.names)
    assert (member.lineage["kind"], member.lineage["lineage"]) == ("task probabilities", {"run": "r"})
    want = CONTEST.compose(CONTEST.marginals(rows.prob_NJ))
    np.testing.assert_array_equal(member.prob, want)
    (tmp_path / "p.csv").write_text((tmp_path / "p.csv").read_text().replace("age/>=60", "age/old"))
    (tmp_path / "p.json").unlink()
    with pytest.raises(DataError, match="columns do not fit"):
        read_member(tmp_path / "p.csv", CONTEST)


def test_old_files_are_kept_only_when_asked_to_replace(tmp_path: Path) -> None:
    output = TableOutput(tmp_path / "a.csv", "csv", TableForm(CONTEST))
    write_table_file(output, [readable(2)], {}, force=False)
    before = {name: (tmp_path / name).read_bytes() for name in ("a.csv", "a.json")}
    with pytest.raises(BusyError, match="the output exists"):
        write_table_file(output, [readable(3)], {}, force=False)
    assert write_table_file(output, [readable(3)], {}, force=True).rows == 3
    assert {name: (tmp_path / f"{name}.bak").read_bytes() for name in before} == before
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 4


def test_an_error_between_two_blocks_leaves_no_file(tmp_path: Path) -> None:
    def blocks() -> object:
        yield readable(2)
        raise DataError("a part is damaged")

    output = TableOutput(tmp_path / "a.csv", "csv", TableForm(CONTEST))
    with pytest.raises(DataError, match="damaged"):
        write_table_file(output, blocks(), {}, force=False)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_two_tables_need_two_sidecars(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="two outputs are one file"):
        check_tables_free(tmp_path / "a.csv", tmp_path / "a.parquet", inputs=[], force=False)
    check_tables_free(tmp_path / "a.csv", tmp_path / "b.parquet", inputs=[], force=False)
    with pytest.raises(UsageError, match=r"cannot end in \.json"):
        check_tables_free(tmp_path / "a.json", inputs=[], force=False)


def test_unreadable_photos_are_counted(tmp_path: Path) -> None:
    output = TableOutput(tmp_path / "a.csv", "csv", TableForm(HATS, errors=True))
    written = write_table_file(output, [ROWS, replace(ROWS)], {}, force=False)
    assert (written.rows, written.unreadable) == (6, 2)
