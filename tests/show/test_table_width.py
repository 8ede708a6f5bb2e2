"""No table cuts a figure: what every table says of its columns, and tables with long names and large numbers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from project import PACKAGE_DIR
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from maskcls.groupnouns import PEOPLE
from maskcls.labels import LabelSpace, Task
from maskcls.results.labelled_predictions import LabelledPredictions
from maskcls.results.scores.evaluation import evaluate_predictions
from maskcls.show.answers.evaluation import print_evaluation
from maskcls.show.data.class_counts import class_table
from maskcls.show.terminal import table_width
from maskcls.show.terminal.table_width import fit_table
from maskcls.show.terminal.text import plain_table, show

SHOW = PACKAGE_DIR / "show"
OF_PAGES = {"pages", "report"}  # HTML, whose tables are scrolled
PRINTING = {"show/terminal/text.py", "show/terminal/progress.py"}  # modules that print with rich themselves
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


# ---- what every table says of its columns ----------------------------------------------------------------------------


def modules() -> list[Path]:
    found = [path for path in sorted(SHOW.rglob("*.py")) if path.relative_to(SHOW).parts[0] not in OF_PAGES]
    return [path for path in found if "maskcls.show.pages.table" not in path.read_text("utf-8")]


def faults(source: str) -> Iterator[tuple[int, str]]:
    """Yield columns whose cells rich would cut with an ellipsis: those that are neither broken nor kept whole."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func).rpartition(".")[2]
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if ast.unparse(node.func) in ("Table", "Table.grid") and node.args:
            yield node.lineno, "columns without a way: use add_column"
        if name == "add_column":
            if given.get("no_wrap") != "True" and given.get("overflow") != "'fold'":
                yield node.lineno, "neither no_wrap=True nor overflow='fold'"
            if given.get("justify") == "'right'" and given.get("no_wrap") != "True":
                yield node.lineno, "figures without no_wrap=True"


def test_every_column_of_every_table_is_kept_whole_or_broken() -> None:
    assert len(modules()) > 25
    columns, bad = 0, []
    for path in modules():
        source = path.read_text("utf-8")
        columns += source.count("add_column(")
        bad += [f"{path.name}:{line}: {what}" for line, what in faults(source)]
    assert bad == []
    assert columns >= 15


def test_tables_are_printed_by_one_function() -> None:
    users = {
        path.relative_to(PACKAGE_DIR).as_posix()
        for path in modules()
        if re.search(r"\bConsole\([^)]*\)\.print\(|\bconsole\.print\(", path.read_text("utf-8"))
    }
    assert users == PRINTING


@pytest.mark.parametrize(
    "planted",
    [
        "t = Table('a', 'b')",
        "t.add_column('a')",
        "t.add_column('a', justify='right', overflow='fold')",
        "Table.grid(Column(justify='right'))",
    ],
)
def test_the_rules_can_fail(planted: str) -> None:
    assert list(faults(planted))


def test_what_is_right_is_no_fault() -> None:
    assert list(faults("t.add_column('a', justify='right', no_wrap=True); t.add_column('b', overflow='fold')")) == []


# ---- any table -------------------------------------------------------------------------------------------------------


def rendered(table: Table, width: int) -> list[str]:
    """Return the lines of a table in a terminal of so many columns, or as many as its figures need."""
    console = Console(width=max(width, fit_table(table, width)), highlight=False, markup=False, emoji=False)
    with console.capture() as caught:
        console.print(table)
    return caught.get().splitlines()


NAMES = st.text("abcdefgh ijk한", min_size=1, max_size=70)
FIGURES = st.one_of(
    st.integers(-(10**12), 10**12).map("{:,}".format),
    st.floats(-1, 1).map("{:+.4f} to +0.1234".format),
    st.just("-"),
)


@settings(max_examples=60)
@given(data=st.data(), width=st.integers(20, 140))
def test_every_figure_of_any_table_is_whole(data: st.DataObject, width: int) -> None:
    columns = data.draw(st.integers(1, 7))
    heads = data.draw(st.lists(NAMES, min_size=columns, max_size=columns))
    rows = data.draw(st.lists(st.lists(FIGURES, min_size=columns, max_size=columns), min_size=1, max_size=4))
    table = plain_table(data.draw(NAMES), *heads)
    for row in rows:
        table.add_row(data.draw(NAMES), *row)
    text = "\n".join(rendered(table, width))
    position = 0
    for row in rows:  # in their order; a name that is broken goes on in the lines below
        for figure in row:
            position = text.index(figure, position) + len(figure)


def test_headings_are_shortened_before_a_table_gets_wider_than_the_terminal() -> None:
    table = plain_table("class", *(f"a_task_with_a_long_name_{letter}" for letter in "abcdef"))
    table.add_row("men", *["1,234,567"] * 6)
    lines = rendered(table, 80)
    assert max(map(cell_len, lines)) <= 80
    heads = lines[0].split()[1:]
    assert all(head.endswith("…") and "a_task_with".startswith(head[:6]) for head in heads)
    assert len(heads) == 6
    assert lines[2].split() == ["men", *["1,234,567"] * 6]


def test_a_table_that_fits_is_left_as_it_is() -> None:
    table = plain_table("class", "a_long_heading")
    table.add_row("men", "1")
    assert rendered(table, 80)[0].split() == ["class", "a_long_heading"]


# ---- the tables of results -------------------------------------------------------------------------------------------

WIDE = LabelSpace(
    (
        Task("a_task_with_a_name_of_thirty_two", ("a class that has a name of many words", "another_class_" * 3)),
        Task("b_task_with_a_name_of_thirty_two", tuple(f"class {i} with a name of many words" for i in range(5))),
    )
)


def evaluated(rows: int, space: LabelSpace) -> LabelledPredictions:
    rng = np.random.default_rng(0)
    truth = {task.name: rng.integers(0, len(task.classes), rows) for task in space.tasks}
    prob_NJ = rng.dirichlet(np.ones(space.size), rows).astype(np.float32)
    people_N = rng.integers(0, rows // 3, rows).astype(np.str_)
    pred_N, fold_N = prob_NJ.argmax(axis=1), rng.integers(0, 2, rows)
    return LabelledPredictions([str(i) for i in range(rows)], pred_N, truth, space, prob_NJ, people_N, fold_N)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Table]:
    """A terminal of 80 columns; the tables that are printed there."""
    tables: list[Table] = []
    real = table_width.fit_table

    def fit(table: Table, width: int) -> int:
        tables.append(table)
        return real(table, width)

    monkeypatch.setattr(table_width, "fit_table", fit)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    return tables


def check_figures(tables: list[Table], out: str, fewest: int) -> None:
    text = ANSI.sub("", out)
    figures = [str(cell) for table in tables for column in table.columns if column.no_wrap for cell in column.cells]
    assert len(figures) >= fewest
    assert [figure for figure in figures if figure not in text] == []


def test_no_table_of_an_evaluation_cuts_a_figure(seen: list[Table], capsys: pytest.CaptureFixture[str]) -> None:
    print_evaluation(evaluate_predictions(evaluated(4000, WIDE)), "all")
    check_figures(seen, capsys.readouterr().out, 150)


def test_no_table_of_class_counts_cuts_a_figure(seen: list[Table], capsys: pytest.CaptureFixture[str]) -> None:
    task = WIDE.tasks[0]
    frame = pd.DataFrame({"id": ["a", "b"], "person": ["p", "q"], task.name: [0, 1], WIDE.tasks[1].name: [0, 4]})
    show(class_table(frame, WIDE, PEOPLE))
    check_figures(seen, capsys.readouterr().out, 10)
