"""Which columns become tasks, and which not: on tables small enough to judge by eye."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from maskcls.data.proposal.of_table import labels_of_table
from maskcls.data.proposal.proposed import ProposedLabels
from maskcls.errors import DataError, UsageError

TABLE = Path("photos.csv")
PEOPLE = [f"p{n // 2}" for n in range(24)]  # 12 people, two photos each
COLUMNS = {
    "Path": [f"{n}.png" for n in range(24)],
    "Patient_ID": PEOPLE,
    "mask": ["worn", "no", "no"] * 8,
    "grade": ["10", "9", "2", ""] * 6,
    "age": [str(18 + 3 * (n // 2)) for n in range(24)],
    "height": [f"{50 + n // 2}.5" for n in range(24)],
    "site": ["Seoul"] * 24,
    "note": [f"text {n}" for n in range(24)],
    "name": [f"name {n // 2}" for n in range(24)],
    "word": [f"w{n % 9}" for n in range(24)],
    "Eye colour": ["blue", "brown"] * 12,
    "fold": ["0", "1"] * 12,
}


def propose(columns: dict[str, list[str]], **given: object) -> ProposedLabels:
    return labels_of_table(TABLE, columns, **given)[0]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def labels() -> ProposedLabels:
    return propose(COLUMNS)


def test_columns_of_classes_and_of_numbers_are_tasks(labels: ProposedLabels) -> None:
    tasks = {one.task.name: one for one in labels.tasks}
    assert list(tasks) == ["mask", "age", "grade", "height"]  # the contest's names first
    assert tasks["mask"].task.classes == ("no", "worn")
    assert tasks["mask"].photos == (16, 8)
    assert tasks["grade"].task.classes == ("2", "9", "10")  # as numbers
    assert (tasks["grade"].photos, tasks["grade"].unknown) == ((6, 6, 6), 6)
    assert not tasks["grade"].task.bins
    # Ages 18, 21, …, 51: the contest's border 60 would leave a class empty, so tertiles are used. Eight photos are
    # below 30, eight from 30 to 39 (30, 33, 36, 39), eight from 40 on.
    assert tasks["age"].task.bins == (30, 40)
    assert tasks["age"].photos == (8, 8, 8)
    assert tasks["age"].groups == (4, 4, 4)
    # 50.5, 51.5, …, 61.5, rounded down: tertiles at 54 and 58.
    assert tasks["height"].task.bins == (54, 58)
    assert tasks["height"].task.classes == ("<54", "54-57", ">=58")


def test_the_group_is_found_by_its_name(labels: ProposedLabels) -> None:
    assert labels.data == {"format": "table", "group": "Patient_ID"}
    assert (labels.photos, labels.groups) == (24, 12)
    assert labels.noun == ("Patient_ID group", "Patient_ID groups")


def test_the_other_columns_are_left_out_with_a_reason(labels: ProposedLabels) -> None:
    assert set(labels.left_out) == {"site", "note", "name", "word", "Eye colour", "fold"}
    assert labels.left_out["site"] == "all its values are 'Seoul'"
    assert labels.left_out["note"] == "all its values are different"
    assert "second name of the groups" in labels.left_out["name"]
    assert labels.left_out["word"] == "it has 9 different values on 24 photos, too many for classes"
    assert "give the column such a name" in labels.left_out["Eye colour"]
    assert "maskcls uses this name itself" in labels.left_out["fold"]


def test_asked_columns_are_the_only_tasks() -> None:
    found = propose(COLUMNS, asked=["word"])
    assert [one.task.name for one in found.tasks] == ["word"]
    assert not found.left_out
    with pytest.raises(DataError, match="cannot be tasks"):
        propose(COLUMNS, asked=["mask", "site"])
    with pytest.raises(UsageError, match="no such column"):
        propose(COLUMNS, asked=["masks"])


def test_the_group_can_be_chosen() -> None:
    assert propose(COLUMNS, group="name").data["group"] == "name"
    alone = propose(COLUMNS, group="none")
    assert (alone.data["group"], alone.groups, alone.noun) == ("none", 24, ("photo", "photos"))
    assert "Patient_ID" in alone.left_out  # a label of its own, of too many values


def test_without_a_named_group_every_photo_is_alone() -> None:
    found = propose({"path": COLUMNS["Path"], "mask": COLUMNS["mask"]})
    assert (found.data["group"], found.groups) == ("none", 24)


def test_the_contest_s_ages_keep_their_borders() -> None:
    ages = [str(20 + 5 * (n // 2)) for n in range(24)]  # 20 to 75
    (task,) = propose({"path": COLUMNS["Path"], "person": PEOPLE, "age": ages}).tasks
    assert task.task.bins == (30, 60)
    assert task.task.classes == ("<30", "30-59", ">=60")


@pytest.mark.parametrize(("half", "kind"), [("", "whole numbers"), (".5", "numbers, rounded down,")])
def test_decimals_are_not_called_whole_numbers(half: str, kind: str) -> None:
    ages = [f"{18 + 3 * (n // 2)}{half if n == 3 else ''}" for n in range(24)]
    (task,) = propose({"path": COLUMNS["Path"], "person": PEOPLE, "age": ages}).tasks
    assert task.reason == f"{kind} from 18 to 51; borders near the tertiles"


def test_rows_of_test_are_not_counted() -> None:
    columns = {"path": COLUMNS["Path"], "mask": COLUMNS["mask"], "split": ["train", "val", "TEST"] * 8}
    found, paths = labels_of_table(TABLE, columns)
    assert len(paths) == found.photos == 16
    assert "2.png" not in paths


def test_a_table_without_tasks_or_photos_is_an_error() -> None:
    with pytest.raises(DataError, match="no column of the table can be a task"):
        propose({"path": COLUMNS["Path"], "site": COLUMNS["site"]})
    with pytest.raises(DataError, match="no column path"):
        propose({"mask": COLUMNS["mask"]})


def test_a_table_with_other_separators_is_said_to_have_them() -> None:
    for separator, name in ((";", "';'"), ("\t", "tab"), ("|", "'|'")):
        with pytest.raises(DataError, match=f"the table looks {re.escape(name)} separated"):
            propose({separator.join(("path", "group", "mask")): COLUMNS["mask"]})


@pytest.mark.parametrize("text", ["NaN", "nan", "NA", "n/a", "NULL", "?"])
def test_a_class_that_often_means_no_value_is_noted(text: str) -> None:
    columns = {"path": COLUMNS["Path"], "ok": ["yes", text, "no"] * 8}
    (note,) = propose(columns).notes
    assert note.startswith(f"ok: {text!r} is taken as a class; empty these cells")
    assert propose({"path": COLUMNS["Path"], "ok": ["yes", "none", "no"] * 8}).notes == ()


def test_classes_that_differ_in_case_only_are_noted() -> None:
    columns = {"path": COLUMNS["Path"], "ok": ["yes", "Yes", "no"] * 8}
    assert propose(columns).notes == (
        "ok: 'Yes' and 'yes' are different classes; correct the cells if they mean the same",
    )


def test_too_many_joint_classes_leave_the_largest_task_out() -> None:
    columns = {"path": [f"{n}.png" for n in range(250)]}
    columns |= {name: [f"{name}{n % size}" for n in range(250)] for name, size in (("a", 50), ("b", 25), ("c", 10))}
    found = propose(columns)  # 12,500 joint classes
    assert [one.task.name for one in found.tasks] == ["b", "c"]
    assert "50 classes" in found.left_out["a"]
