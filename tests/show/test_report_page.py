"""The report page: every section of every kind of run, and numbers that are those of `maskcls evaluate`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from browser import axe_violations, browser_page, overflow
from finished_run import finish_run
from matplotlib.figure import Figure

from maskcls.labels import CONTEST, LabelSpace, Task
from maskcls.results.predictions import Predictions
from maskcls.results.scores.evaluation import evaluate_predictions
from maskcls.runs.choices.register import Attempt, add_attempts
from maskcls.runs.choices.tried import rows_of_run, run_digest
from maskcls.runs.read_labelled import read_out_of_fold
from maskcls.runs.reported.reported_run import ReportedRun, read_reported_run
from maskcls.show.answers.many import optimism_line
from maskcls.show.pages.figure import Figure as PageFigure
from maskcls.show.pages.figure import to_svg
from maskcls.show.report import page as page_module
from maskcls.show.report import side_by_side
from maskcls.show.report.page import Part, render_report, report_figures, report_files, report_parts
from maskcls.show.report.section import FilledSection, PageSettings
from maskcls.show.report.sections import OF_EACH

ONE_TASK = LabelSpace((Task("animal", ("cat", "dog & cat")),))
MANY = LabelSpace((Task("colour", tuple(f"c{i}" for i in range(10))), Task("size", tuple(f"s{i}" for i in range(10)))))
HUNDRED = LabelSpace((Task("kind", tuple(f"k{i}" for i in range(100))),))
MINE = ("score", "curves", "confusion", "classes", "reliability", "values", "slices", "people", "choices")


@pytest.fixture(scope="module")
def contest(tmp_path_factory: pytest.TempPathFactory) -> ReportedRun:
    return read_reported_run(finish_run(tmp_path_factory.mktemp("runs") / "a"))


@pytest.fixture(scope="module")
def contest_html(contest: ReportedRun) -> str:
    return rendered(report_parts([contest], PageSettings(Path("index.html"))), [contest])


def sections(run: ReportedRun, tmp_path: Path) -> dict[str, FilledSection]:
    parts = report_parts([run], PageSettings(tmp_path / "index.html"))
    return {one.id: one for part in parts for one in part.sections}


def ids_of(html: str) -> list[str]:
    found: list[str] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.extend(value for name, value in attrs if name == "id" and value)

    Parser().feed(html)
    return found


def rendered(parts: tuple[Part, ...], runs: list[ReportedRun]) -> str:
    html = render_report(runs, parts)
    ids = ids_of(html)
    assert len(ids) == len(set(ids))
    for target in re.findall(r'href="#([^"]+)"', html):
        assert target in ids
    return html


def test_all_sections_are_there_for_a_contest_run(contest: ReportedRun, contest_html: str, tmp_path: Path) -> None:
    assert set(MINE) <= sections(contest, tmp_path).keys()
    assert [one.id for one in OF_EACH if one.id in MINE] == list(MINE)
    assert not re.search(r"\bnan\b", contest_html.partition("<main")[2])


def test_the_score_is_that_of_evaluate(contest: ReportedRun, contest_html: str, tmp_path: Path) -> None:
    found = evaluate_predictions(read_out_of_fold(contest.run))
    assert found.interval is not None
    assert found.prediction is not None
    for value in (found.scores.macro_f1, found.interval.low, found.interval.high, found.prediction.low):
        assert f"{value:.4f}" in contest_html
    table = sections(contest, tmp_path)["score"].figures[0].table
    assert table.rows[2] == ["24 new people", "", f"{found.prediction.low:.4f}", f"{found.prediction.high:.4f}"]
    assert [row[0] for row in table.rows[3:]] == ["fold 0", "fold 1"]


def test_curves_hold_every_epoch_of_every_fold(contest: ReportedRun, tmp_path: Path) -> None:
    figures = sections(contest, tmp_path)["curves"].figures
    assert [one.name for one in figures] == [
        *("curves-loss", "curves-macro-f1", "curves-score0", "curves-score1", "curves-score2", "curves-lr"),
    ]
    loss, score, rate = figures[0].table, figures[1].table, figures[-1].table
    assert loss.head == ["epoch", "fold 0 train", "fold 1 train", "fold 0 validation", "fold 1 validation"]
    assert [row[1] for row in loss.rows] == ["1.0000", "0.5000", "0.3333"]
    assert score.rows[2] == ["3", "0.6000", "0.6000"]
    assert rate.head == ["epoch", "all networks"]
    assert [row[1] for row in rate.rows] == ["0.001", "0.000667", "0.000333"]


def test_the_dot_is_on_the_epoch_that_is_used(contest: ReportedRun, tmp_path: Path) -> None:
    axes = Figure().add_subplot()
    sections(contest, tmp_path)["curves"].figures[1].paint(axes)
    dots = [line for line in axes.get_lines() if line.get_linestyle() == "None" or len(line.get_xdata()) == 1]
    assert [list(line.get_xdata()) for line in dots] == [[2], [2]]


def test_confusion_counts_every_photo_once(contest: ReportedRun, tmp_path: Path) -> None:
    figures = sections(contest, tmp_path)["confusion"].figures
    assert [one.title for one in figures] == [
        f"Confusion: {name}" for name in ("mask", "gender", "age", "joint classes")
    ]
    for figure in figures:
        counts = [int(cell.split(" ")[0]) for row in figure.table.rows for cell in row[1:]]
        assert sum(counts) == 72


def test_bars_name_photos_and_people(contest: ReportedRun, tmp_path: Path) -> None:
    gender = sections(contest, tmp_path)["classes"].figures[1]
    assert gender.table.head[4:7] == ["photos", "predicted", "people"]
    assert [row[4] for row in gender.table.rows] == ["36", "36"]


def test_age_is_scored_by_true_number_with_borders(contest: ReportedRun, tmp_path: Path) -> None:
    section = sections(contest, tmp_path)["values"]
    assert section.title == "Score by true age"
    (figure,) = section.figures
    assert [row[:4] for row in figure.table.rows] == [
        ["0", "<30", "24", "8"],
        ["30", "30-59", "24", "8"],
        ["60", ">=60", "24", "8"],
    ]
    axes = Figure().add_subplot()
    figure.paint(axes)
    borders = [line.get_xdata()[0] for line in axes.get_lines() if line.get_linestyle() == "--"]
    assert borders == [29.5, 59.5]


def test_choices_count_the_runs_of_the_folder(tmp_path: Path) -> None:
    finish_run(tmp_path / "b", seed=0)
    run = read_reported_run(finish_run(tmp_path / "a", seed=0))
    values = sections(run, tmp_path)["choices"].values
    assert values["counts"].rows == [["run", "1"]]  # equal predictions: trying the same again is no further choice
    assert "No other run" in values["line"]


def test_what_a_choice_among_the_runs_is_worth_is_on_the_page(tmp_path: Path) -> None:
    a, rng = finish_run(tmp_path / "a"), np.random.default_rng(0)
    for number in range(3):
        other = finish_run(tmp_path / f"b{number}")
        oof = Predictions.load(other.oof)
        hit_N = rng.random(len(oof.ids)) < 0.3  # a third of the answers are others
        prob_NJ = np.where(hit_N[:, None], np.roll(oof.prob, number + 1, axis=1), oof.prob)
        Predictions(oof.ids, prob_NJ, oof.space).save(other.oof)
        what = run_digest(other)
        add_attempts(a, [Attempt(rows=rows_of_run(a), kind="run", what=what, name=other.path.name)])
    run = read_reported_run(a)
    optimism = run.choices.optimism
    assert optimism is not None
    assert (optimism.runs, optimism.at_hand) == (4, 4)
    line = sections(run, tmp_path)["choices"].values["line"]
    assert optimism_line(optimism) in line
    assert "folds.renew" in line
    assert "maskcls unseal" in line
    (tmp_path / "b0" / "oof.npz").unlink()  # a run that is gone still counts
    fewer = read_reported_run(run.run).choices.optimism
    assert fewer is not None
    assert (fewer.runs, fewer.at_hand) == (4, 3)


@pytest.mark.usefixtures("painted")
@pytest.mark.parametrize(
    ("space", "settings", "left_out"),
    [
        (ONE_TASK, (), {"values"}),
        (MANY, (), {"values"}),
        (HUNDRED, (), {"values"}),
        (CONTEST, ("train.seeds=2", "train.refit=true"), set()),
        (CONTEST, ("model.heads=separate",), set()),
    ],
    ids=["one task", "100 joint classes", "100 classes", "seeds and refit", "separate"],
)
def test_other_runs_have_a_page_too(
    space: LabelSpace, settings: tuple[str, ...], left_out: set[str], tmp_path: Path
) -> None:
    run = read_reported_run(finish_run(tmp_path / "a", space, people=100, settings=settings))
    found = sections(run, tmp_path)
    assert set(MINE) - found.keys() == left_out
    html = rendered(report_parts([run], PageSettings(tmp_path / "x.html")), [run])
    assert ">nan" not in html
    if space in (MANY, HUNDRED):
        (mistakes,) = found["confusion"].values["tables"][-1:]
        assert len(mistakes.rows) == 20
        assert all(len(one.table.rows) <= 10 for one in found["confusion"].figures)


def test_without_years_there_is_no_section_of_numbers(tmp_path: Path) -> None:
    run = read_reported_run(finish_run(tmp_path / "a", years=False))
    assert "values" not in sections(run, tmp_path)


@pytest.mark.usefixtures("painted")
@pytest.mark.parametrize("unknown", ["gender", "age"])
def test_a_task_without_labels_leaves_the_other_tasks(unknown: str, tmp_path: Path) -> None:
    run = read_reported_run(finish_run(tmp_path / "a", unknown=unknown))
    found = sections(run, tmp_path)
    html = rendered(report_parts([run], PageSettings(tmp_path / "x.html")), [run])
    assert not re.search(r"\bnan\b", html.partition("<main")[2])
    assert [one.title for one in found["reliability"].figures] == [
        f"Reliability: {name}" for name in ("mask", "gender", "age") if name != unknown
    ]
    assert len(found["confusion"].figures) == 2
    assert found["score"].values["headline"].startswith("No row has a label of every task")


def test_fewer_folds_than_asked_are_named(tmp_path: Path) -> None:
    run = read_reported_run(finish_run(tmp_path / "a", trained=(1,)))
    values = sections(run, tmp_path)["score"].values
    assert any(line.startswith("1 of 2 folds trained") for line in values["lines"])
    assert [row[0] for row in values["folds"].rows] == ["fold 1"]


def test_a_leaky_run_shows_no_score(tmp_path: Path) -> None:
    run = read_reported_run(finish_run(tmp_path / "a", leaky=True))
    found = sections(run, tmp_path)
    assert {"score", "curves"} <= found.keys()
    assert not {"confusion", "classes", "reliability", "values", "slices", "people"} & found.keys()
    assert "leaky" in found["score"].values["headline"]
    assert [one.name for one in found["curves"].figures] == ["curves-loss", "curves-lr"]
    assert found["curves"].figures[0].table.head == ["epoch", "fold 0 train", "fold 1 train"]


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paint figures, but write no SVG, whose layout takes most of the time."""

    def paint(figure: PageFigure) -> str:
        figure.paint(Figure(figsize=figure.size).add_subplot())
        return "<svg></svg>"

    monkeypatch.setattr("maskcls.show.pages.page.to_svg", paint)


@pytest.fixture
def two_sections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave two short sections: drawing all figures takes seconds."""
    short = tuple(one for one in OF_EACH if one.id in ("score", "choices"))
    assert len(short) == 2
    monkeypatch.setattr(page_module, "OF_EACH", short)


@pytest.mark.usefixtures("two_sections")
def test_two_runs_share_no_id(tmp_path: Path) -> None:
    runs = [read_reported_run(finish_run(tmp_path / name, seed=seed)) for seed, name in enumerate("ab")]
    parts = report_parts(runs, PageSettings(tmp_path / "x.html"))
    html = rendered(parts, runs)
    assert "Score of a" in html
    assert "Score of b" in html
    names = [one.name for one in report_figures(parts)]
    assert {"run1-score-intervals", "run2-score-intervals"} <= set(names)
    assert len(names) == len(set(names))


@pytest.mark.usefixtures("two_sections")
def test_png_of_every_figure(contest: ReportedRun, tmp_path: Path) -> None:
    parts = report_parts([contest], PageSettings(tmp_path / "index.html"))
    figures, _ = report_files([contest], tmp_path / "index.html", png=tmp_path / "png")
    assert [one.path.stem for one in figures] == [one.name for one in report_figures(parts)] != []
    assert all(isinstance(one.content, bytes) and one.content.startswith(b"\x89PNG") for one in figures)


def test_figures_are_found_in_lists_and_mappings(contest: ReportedRun, tmp_path: Path) -> None:
    figure = sections(contest, tmp_path)["score"].figures[0]
    found = FilledSection("x", "X", "x", {"a": figure, "b": [{"c": (figure,)}], "d": "no figure"})
    assert found.figures == [figure, figure]


def test_names_of_the_user_are_text(tmp_path: Path) -> None:
    space = LabelSpace((Task("kind", ("<i>x</i>", "$\\y$")),))
    run = read_reported_run(finish_run(tmp_path / "<u>run</u>", space))
    html = rendered(report_parts([run], PageSettings(tmp_path / "x.html")), [run])
    assert not re.search(r"<i>x|<u>run", html)
    assert r">$\y$</text>" in html


def test_every_run_is_in_the_legend_whatever_its_name(tmp_path: Path) -> None:
    names = ["_a", "$b$"]
    runs = [read_reported_run(finish_run(tmp_path / name, seed=seed)) for seed, name in enumerate(names)]
    svg = to_svg(side_by_side._mean_figure(runs, names, "val/macro_f1", 0))
    assert all(f">{name}</text>" in svg for name in names)


def test_the_page_is_read_and_written_without_torch(contest: ReportedRun, tmp_path: Path) -> None:
    code = (
        "import sys; from maskcls import cli; "
        f"assert cli.run_app(['report', {str(contest.run.path)!r}, '-o', {str(tmp_path / 'r.html')!r}]) == 0; "
        "assert 'torch' not in sys.modules and 'matplotlib' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ, timeout=120)


def test_no_violation_and_nothing_too_wide(contest_html: str, tmp_path: Path) -> None:
    page_file = tmp_path / "index.html"
    page_file.write_text(contest_html)
    with browser_page(390, scheme="dark") as page:
        page.goto(page_file.as_uri())
        for details in page.query_selector_all("details"):
            details.evaluate("one => { one.open = true; }")
        assert axe_violations(page) == []
        assert overflow(page) == 0


def test_people_of_the_list_are_sorted_by_agreement(contest: ReportedRun, tmp_path: Path) -> None:
    rows = sections(contest, tmp_path)["people"].values["people"].rows
    shares = [float(row[5]) for row in rows]
    assert shares == sorted(shares)
    assert all(0 <= share < 1 for share in shares)
