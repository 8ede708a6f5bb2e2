"""The manifest: types, checks, its CSV form, and the one place that reads label cells."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskcls.data.rows import manifest
from maskcls.errors import ConfigError, DataError
from maskcls.labels import CONTEST, LabelSpace, Task

AGE = CONTEST.task("age")


def small() -> pd.DataFrame:
    """Return three rows: one all known, one without gender and age, one without anything."""
    return manifest.build(
        ["NA", "00123", "1e5"],
        ["x/a.jpg", "한글.png", "c"],
        CONTEST,
        person=["null", "p", "p"],
        labels={"mask": np.array([0, 2, -1]), "gender": np.array([1, -1, -1])},
        values={"age": np.array([29, -1, -1])},
    )


def test_columns_and_their_types() -> None:
    assert {name: str(kind) for name, kind in small().dtypes.items()} == {
        "id": "str",
        "path": "str",
        "person": "str",
        "mask": "Int16",
        "gender": "Int16",
        "age": "Int16",
        "age_value": "Int16",
        "split": "str",
        "source": "str",
        "weight": "float64",
    }


def test_labels_are_int64_with_minus_one_for_unknown() -> None:
    got = manifest.labels(small(), CONTEST)
    assert {name: column.tolist() for name, column in got.items()} == {
        "mask": [0, 2, -1],
        "gender": [1, -1, -1],
        "age": [0, -1, -1],
    }
    assert all(column.dtype == np.int64 for column in got.values())
    assert CONTEST.encode(got).tolist() == [3, -1, -1]


def test_bytes_of_the_csv_form() -> None:
    assert manifest.to_csv(small()).decode() == (
        "id,path,person,mask,gender,age,age_value,split,source,weight\n"
        "NA,x/a.jpg,null,0,1,0,29,train,real,1.0\n"
        "00123,한글.png,p,2,,,,train,real,1.0\n"
        "1e5,c,p,,,,,train,real,1.0\n"
    )


def test_the_csv_form_is_read_back_equal(tmp_path: Path) -> None:
    frame = small().assign(weight=[0.0, 1 / 3, 1e-17])
    path = tmp_path / "manifest.csv"
    path.write_bytes(manifest.to_csv(frame))
    again = manifest.from_csv(path, CONTEST)
    pd.testing.assert_frame_equal(again, frame)
    assert manifest.sha256(again) == manifest.sha256(frame)


def test_rows_to_predict_are_read_back_equal(tmp_path: Path) -> None:
    frame = manifest.build(["b", "a"], ["b", "a"], CONTEST, split="eval")
    path = tmp_path / "manifest.csv"
    path.write_bytes(manifest.to_csv(frame))
    pd.testing.assert_frame_equal(manifest.from_csv(path, CONTEST), frame)
    assert frame["person"].tolist() == ["", ""]


def test_the_hash_sees_every_cell_and_the_order() -> None:
    frame = small()
    changed = [frame.assign(weight=[1.0, 1.0, 2.0]), frame.assign(person=["null", "p", "q"]), frame.iloc[::-1]]
    assert len({manifest.sha256(f) for f in [frame, *changed]}) == 4


NAME = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp"), exclude_characters="/\\~"), min_size=1, max_size=20
)


@settings(deadline=None, max_examples=25)
@given(st.lists(NAME.filter(lambda n: n not in (".", "..")), min_size=1, max_size=6, unique=True))
def test_any_id_survives(tmp_path_factory: pytest.TempPathFactory, ids: list[str]) -> None:
    frame = manifest.build(ids, ids, CONTEST, person=ids)
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(manifest.to_csv(frame))
    pd.testing.assert_frame_equal(manifest.from_csv(path, CONTEST), frame)


def faults(**cells: object) -> tuple[str, ...]:
    with pytest.raises(DataError) as caught:
        manifest.check_manifest(small().assign(**cells), CONTEST)
    return caught.value.offenders


@pytest.mark.parametrize(
    ("cells", "offender"),
    [
        ({"id": ["NA", "x", "NA"]}, "row 'NA': the id occurs more than once"),
        ({"id": ["", "x", "y"]}, "row '': the id is empty"),
        ({"path": ["a", "../b", "c"]}, "row '00123': the path is not safe"),
        ({"path": ["/a/../b", "b", "c"]}, "row 'NA': the path is not safe"),
        ({"mask": pd.array([0, 3, None], "Int16")}, "row '00123': the label mask is outside its classes"),
        ({"gender": pd.array([-1, 0, 1], "Int16")}, "row 'NA': the label gender is outside its classes"),
        ({"age_value": pd.array([30, None, None], "Int16")}, "row 'NA': age_value belongs to another class than age"),
        ({"split": ["train", "test", "eval"]}, "row '00123': the split is not one of train, eval"),
        ({"source": ["real", "", "real"]}, "row '00123': the source is empty"),
        ({"weight": [1.0, -0.5, 0.0]}, "row '00123': the weight is not a finite number >= 0"),
        ({"weight": [1.0, np.nan, np.inf]}, "row '00123': the weight is not a finite number >= 0"),
    ],
)
def test_each_fault_names_its_row(cells: dict[str, object], offender: str) -> None:
    assert offender in faults(**cells)


def test_all_faults_are_reported_at_once() -> None:
    got = faults(id=["a", "a", "b"], weight=[1.0, 1.0, np.inf], mask=pd.array([9, 0, 0], "Int16"))
    assert got == (
        "row 'a': the id occurs more than once",
        "row 'a': the id occurs more than once",
        "row 'a': the label mask is outside its classes",
        "row 'b': the weight is not a finite number >= 0",
    )


def test_a_missing_column_is_named() -> None:
    with pytest.raises(DataError, match="columns are wrong"):
        manifest.check_manifest(small().drop(columns="age"), CONTEST)


def test_a_class_without_its_number_is_allowed() -> None:
    frame = small().assign(age_value=pd.array([None, None, None], "Int16"))
    manifest.check_manifest(frame, CONTEST)
    assert frame["age"].tolist()[0] == 0


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("mask", "-1"),
        ("mask", "1.0"),
        ("mask", "32768"),
        ("age_value", "32768"),
        ("weight", ""),
        ("weight", "inf"),
        ("mask", "wear"),
    ],
)
def test_a_damaged_cell_names_line_and_column(tmp_path: Path, column: str, cell: str) -> None:
    path = tmp_path / "m.csv"
    small().astype(object).assign(**{column: ["0", cell, "0"]}).to_csv(path, index=False)
    with pytest.raises(DataError) as caught:
        manifest.from_csv(path, CONTEST)
    assert caught.value.offenders == (f"line 3, column {column}: {cell!r}",)


def test_the_largest_cells_are_read(tmp_path: Path) -> None:
    space = LabelSpace((Task("size", ("small", "large"), (32000,)),))
    frame = manifest.build(["a", "b"], ["a", "b"], space, values={"size": np.array([32767, 31999])})
    (tmp_path / "m.csv").write_bytes(manifest.to_csv(frame))
    again = manifest.from_csv(tmp_path / "m.csv", space)
    assert again["size_value"].tolist() == [32767, 31999]
    assert again["size"].tolist() == [1, 0]


def test_a_task_named_like_a_value_column_is_refused() -> None:
    with pytest.raises(ConfigError, match="name of another column"):
        manifest.columns(LabelSpace((AGE, Task("age_value", ("a", "b")))))


@pytest.mark.parametrize(
    ("text", "want"),
    [("0", (0, 0)), ("29", (0, 29)), ("30", (1, 30)), ("59", (1, 59)), ("60", (2, 60)), ("120", (2, 120))],
)
def test_ages_at_the_boundaries(text: str, want: tuple[int, int]) -> None:
    assert manifest.parse_label(AGE, text) == want


@pytest.mark.parametrize(
    "text", ["29.5", "29.0", "-1", "121", "999", "thirty", "", " 30", "30 ", "+30", "1e1", "030", "٣٠", "0x1e"]
)
def test_ages_that_are_no_whole_years_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"whole number 0\.\.120"):
        manifest.parse_label(AGE, text)


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=8))
def test_a_class_is_its_exact_name(text: str) -> None:
    task = CONTEST.task("gender")
    if text in ("male", "female"):
        assert manifest.parse_label(task, text) == (["male", "female"].index(text), -1)
    else:
        with pytest.raises(ValueError, match="male, female"):
            manifest.parse_label(task, text)


def test_a_column_lists_every_wrong_cell_with_its_line() -> None:
    cells = pd.Series(["20", "", "old", "60", "old"], index=range(2, 7), dtype="str")
    label, value, wrong = manifest.parse_column(AGE, cells, empty_ok=True)
    assert label.tolist() == [0, -1, -1, 2, -1]
    assert value.tolist() == [20, -1, -1, 60, -1]
    assert wrong == [f"line {n}, column age: 'old', expected a whole number 0..120" for n in (4, 6)]
    assert manifest.parse_column(AGE, cells, empty_ok=False)[2][0].startswith("line 3, column age: ''")


def test_absent_classes_are_named() -> None:
    assert manifest.absent_classes(small(), CONTEST) == ["mask=incorrect", "gender=male", "age=30-59", "age=>=60"]


def test_a_task_may_have_many_classes() -> None:
    space = LabelSpace((Task("breed", tuple(f"b{i}" for i in range(300))),))
    frame = manifest.build(["a", "b"], ["a.png", "b.png"], space, labels={"breed": np.array([299, 127])})
    assert manifest.labels(frame, space)["breed"].tolist() == [299, 127]
