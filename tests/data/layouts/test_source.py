"""Every layout by its name: all of them offer the same, and nothing else in the package branches on a name."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path
from typing import get_args

import pandas as pd
import pytest
from project import PACKAGE_DIR

from maskcls.data.layouts import contest, source, table
from maskcls.data.layouts.layout import Layout
from maskcls.errors import DataError
from maskcls.labels import CONTEST
from maskcls.layoutnames import LayoutName
from maskcls.results.submissions.answers import ANSWER

NAMES: tuple[LayoutName, ...] = get_args(LayoutName)
SHARED = {
    "contest_parts",
    "fixes",
    "__init__",
    "folder",
    "folder_answers",
    "folder_scan",
    "layout",
    "left_out",
    "named",
    "paths",
    "row_fixes",
    "source",
}
SHARED |= {"table_columns"}  # no layouts of their own
FILES = {"folders": "class_folders"}  # of layouts whose file has another name


def as_table(drawn: Path, folder: Path) -> Path:
    """Write a table of the drawn photos beside a copy of them."""
    frame = contest.read_train(drawn, CONTEST)
    shutil.copytree(drawn, folder / "photos")
    rows = pd.DataFrame({"path": [f"photos/{path}" for path in frame["path"]], "group": frame["person"]})
    for task in CONTEST.tasks:
        rows[task.name] = frame["age_value"] if task.bins else [task.classes[i] for i in frame[task.name]]
    rows.to_csv(folder / "rows.csv", index=False)
    return folder / "rows.csv"


def test_there_is_a_file_for_every_name() -> None:
    files = {path.stem for path in (PACKAGE_DIR / "data" / "layouts").glob("*.py")}
    assert files == SHARED | {FILES.get(name, name) for name in NAMES}
    assert len(NAMES) >= 3
    for name in NAMES:
        assert isinstance(source.layout_named(name), Layout)


def test_the_shipped_ones() -> None:
    assert source.layout_named("contest") is contest.LAYOUT
    assert source.layout_named("table") is table.LAYOUT
    headers = {name: (source.layout_named(name).id_column, source.layout_named(name).task_columns) for name in NAMES}
    assert headers["contest"] == ("ImageID", False)
    assert headers["table"] == headers["folders"] == ("path", True)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_data_set_is_refused_by_every_reader(name: LayoutName, tmp_path: Path) -> None:
    for read in (source.read_people, source.list_photos):
        with pytest.raises(DataError, match="no such data"):
            read(tmp_path / "none", name)
    for read_rows in (source.read_labelled, source.read_unlabelled):
        with pytest.raises(DataError, match="no such data"):
            read_rows(tmp_path / "none", name, CONTEST)


@pytest.mark.parametrize("name", ["contest", "table"])
def test_functions_of_a_layout_agree(name: LayoutName, drawn: Path, tmp_path: Path) -> None:
    data = drawn if name == "contest" else as_table(drawn, tmp_path)
    layout = source.layout_named(name)
    assert source.guess_layout(data) == name
    labelled, people = source.read_labelled(data, name, CONTEST), source.read_people(data, name)
    listing = source.list_photos(data, name)
    assert sorted(listing.labelled) == sorted(labelled["path"])
    for column in ("id", "person"):
        assert people.sort_values("id")[column].tolist() == labelled.sort_values("id")[column].tolist()
    root = source.image_root(data, name)
    assert all((root / path).is_file() for path in (*listing.tables, *listing.labelled, *listing.unlabelled))
    unlabelled = source.read_unlabelled(data, name, CONTEST)
    assert layout.unlabelled_ids(data) == unlabelled["id"].tolist()
    if layout.has_unlabelled(data):
        assert list(listing.unlabelled) == unlabelled["path"].tolist()
    assert layout.has_labelled(data) == layout.has_unlabelled(data) == (name == "contest")
    assert layout.id_column != ANSWER


def test_a_folder_without_parts_is_guessed_to_be_the_contest_s(tmp_path: Path) -> None:
    assert source.guess_layout(tmp_path) == "contest"
    assert source.guess_layout(tmp_path / "none") == "table"
    assert source.layout_named("contest").prescribed(tmp_path) is None
    (tmp_path / "eval").mkdir()
    assert source.layout_named("contest").prescribed(tmp_path) == CONTEST
    assert source.layout_named("table").prescribed(tmp_path) is None


def test_nothing_else_compares_a_layout_by_its_name() -> None:
    """A branch on `data.format` elsewhere would have to be found by whoever adds a layout."""
    files = [p for p in PACKAGE_DIR.rglob("*.py") if p.parent.name != "layouts"]
    assert len(files) >= 150
    found = []
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Compare) and any("data.format" in ast.unparse(x) for x in ast.walk(node)):
                found.append(f"{path.name}:{node.lineno}")
            if (
                isinstance(node, ast.ImportFrom)
                and node.module == "maskcls.data.layouts"
                and not {one.name for one in node.names} <= SHARED
            ):
                found.append(f"{path.name}:{node.lineno}: a layout's own file")
    assert not found
