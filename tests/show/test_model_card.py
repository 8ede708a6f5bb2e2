"""The model card holds the numbers of the run, on any label space, and names no photo and no person."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from finished_run import finish_run
from markdown_it import MarkdownIt

from maskcls.labels import CONTEST, LabelSpace, Task
from maskcls.results.labelled_predictions import LabelledPredictions
from maskcls.results.scores.evaluation import task_intervals
from maskcls.results.scores.intervals import macro_f1_intervals
from maskcls.runs.reported.reported_run import read_reported_run
from maskcls.runs.summary import read_summary
from maskcls.show.card.card import CardOf, model_card
from maskcls.show.card.markdown import escaped, table_markdown
from maskcls.show.pages.table import Table
from maskcls.show.terminal.text import number, span

STRANGE = LabelSpace((Task("a_b", ("<b>", "*x*", "_", "`c`", "[y](z)")), Task("free", ("yes", "no"))))
SECTIONS = ["Model", "Use", "Training data", "Folds", "Scores", "Scores within groups", "Limits", "Licence"]


def tables_of(card: str) -> dict[str, list[list[str]]]:
    """Return the rows of every table of the rendered page, by its caption; text alone, without markup."""
    html = MarkdownIt("commonmark").enable("table").render(card)
    found = re.findall(r"<p><strong>([^<]*)</strong></p>\n<table>(.*?)</table>", html, re.S)
    return {caption: [cells(row) for row in re.findall(r"<tr>(.*?)</tr>", rows, re.S)] for caption, rows in found}


def cells(row: str) -> list[str]:
    return [plain(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S)]


def plain(html: str) -> str:
    return html.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&amp;", "&")


def headings(card: str) -> Iterator[str]:
    return (line.removeprefix("## ") for line in card.splitlines() if line.startswith("## "))


@pytest.fixture
def card(tmp_path: Path) -> str:
    return model_card(read_reported_run(finish_run(tmp_path / "runs" / "a")), CardOf({"model.onnx": "f" * 64}))


def test_the_sections_and_their_order(card: str) -> None:
    assert list(headings(card)) == [*SECTIONS, "Versions and hashes"]
    assert card.startswith("# Model card: a\n")


def test_scores_are_those_of_the_summary(card: str, tmp_path: Path) -> None:
    summary, tables = read_summary(finish_run(tmp_path / "runs" / "b")), tables_of(card)
    assert summary is not None
    assert summary.pooled is not None
    assert summary.interval is not None
    assert summary.prediction_interval is not None

    (_, joint, *tasks) = tables["Macro-F1 with intervals"]

    new = summary.prediction_interval
    ends = [span(one.low, one.high) for one in (summary.interval, new)]
    assert joint == ["all tasks", number(summary.pooled.macro_f1), *ends]
    assert {row[0]: row[1] for row in tasks} == {
        name: number(one.macro_f1) for name, one in summary.pooled.tasks.items()
    }
    assert len(tables["Macro-F1 by fold"]) == 5  # head, two folds, mean, deviation
    assert [row[0] for row in tables["Quality of the probabilities (lower is better)"]][1:] == [
        *CONTEST.names,
        "joint classes",
    ]


def test_photos_and_people_of_each_class_are_counted(card: str) -> None:
    found = tables_of(card)["Labelled photos by class"]

    # 24 people with 3 photos each; the last task is the same on all photos of a person.
    assert len(found) == 9
    assert sum(int(row[3]) for row in found if row[0] == "age") == 72
    assert [row[2:] for row in found if row[0] == "age"] == [["8", "24"]] * 3
    assert "labelled photos: 72, of 24 people" in card


def test_classes_of_few_people_are_named(card: str) -> None:
    assert "fewer than 50 people" in card
    assert "mask wear (" in card


def test_missing_facts_are_said_to_be_missing(card: str) -> None:
    assert "Not stated." in card
    assert "not recorded by maskcls" in card
    assert "The run is not calibrated" in card


def test_no_photo_and_no_person_is_named(card: str) -> None:
    assert not re.search(r"\bp\d+/\d|\bp\d+\b|\.jpg", card)


def test_licence_files_and_parts_are_written(tmp_path: Path) -> None:
    run = read_reported_run(finish_run(tmp_path / "runs" / "a"))
    of = CardOf({"model.onnx": "f" * 64}, ["## Loading\n\nlike this"], ["Other views."])

    found = model_card(run, of, licence="CC-BY-4.0")

    assert "CC-BY-4.0" in found
    assert "Not stated" not in found
    assert ["exported file", "model.onnx", "f" * 64] in tables_of(found)["Hashes"]
    assert list(headings(found))[:3] == ["Model", "Loading", "Use"]
    assert "- Other views." in found.split("## Limits")[1]


def test_strange_names_are_shown_as_they_are(tmp_path: Path) -> None:
    found = model_card(read_reported_run(finish_run(tmp_path / "runs" / "a", STRANGE, years=False)), CardOf())

    classes = [row[:2] for row in tables_of(found)["Labelled photos by class"][1:]]

    assert classes == [[task.name, name] for task in STRANGE.tasks for name in task.classes]


def test_a_leaky_run_has_no_scores(tmp_path: Path) -> None:
    run = finish_run(tmp_path / "runs" / "a", leaky=True)

    found = model_card(read_reported_run(run), CardOf())

    assert "The run is leaky" in found
    assert "There is no score" in found
    assert "Macro-F1 with intervals" not in found


def test_one_task_and_one_fold(tmp_path: Path) -> None:
    space = LabelSpace((Task("kind", ("cat", "dog")),))
    run = finish_run(tmp_path / "runs" / "a", space, trained=(0,), people=400)

    found = model_card(read_reported_run(run), CardOf())

    assert "1 of 2 folds trained" in found
    assert [row[0] for row in tables_of(found)["Macro-F1 with intervals"]] == ["task", "kind"]
    assert "fewer than" not in found


def test_task_intervals_are_those_of_the_task_alone() -> None:
    rng, space = np.random.default_rng(0), CONTEST
    truth = {task.name: rng.integers(0, len(task.classes), 60) for task in space.tasks}
    truth["age"][:] = -1
    pred_N, people_N = rng.integers(0, space.size, 60), np.repeat(np.arange(20), 3).astype(str)

    found = task_intervals(LabelledPredictions([str(i) for i in range(60)], pred_N, truth, space, None, people_N))

    assert set(found) == {"mask", "gender"}
    mask_N = pred_N // 6
    assert found["mask"] == macro_f1_intervals(truth["mask"], mask_N, people_N, 3)


@pytest.mark.parametrize("text", ["<script>", "a*b*c", "~~x~~", "&lt;", "_x_", "![x](y)", "x\x1b[31m", "<30"])
def test_escaped_text_is_text(text: str) -> None:
    html = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(escaped(text))

    shown = text.replace("\x1b", "\\x1b")
    assert plain(html) == f"<p>{shown}</p>\n"


def test_numbers_are_to_the_right() -> None:
    assert (
        table_markdown(Table(["a", "n"], [["x", "1"], ["", "2"]])) == "| a | n |\n| --- | ---: |\n| x | 1 |\n|   | 2 |"
    )
