"""The page about a search: what it says, that hostile text stays text, and that it fits and can be read."""

import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from browser import axe_violations, browser_page, overflow

from maskcls.results.scores.intervals import Interval
from maskcls.results.search.score import SearchScore
from maskcls.results.search.study import SearchDimension, SearchStudy, SearchTrial
from maskcls.show.pages import palette
from maskcls.show.pages.figure import to_svg
from maskcls.show.tuning.history import history_figure
from maskcls.show.tuning.importance import importance_figure
from maskcls.show.tuning.page import study_page
from maskcls.show.tuning.parallel import parallel_figure, score_parts
from maskcls.show.tuning.score_lines import score_lines
from maskcls.show.tuning.slices import slice_figures

LR, LOSS, MIX = "optim.lr", "loss.age", "mix.alpha"
SPACE = (SearchDimension(LR, is_log=True), SearchDimension(LOSS, choices=("ce", "focal")), SearchDimension(MIX))
HOSTILE = "</title></script><script>alert(1)</script>\x1b[31m"
SCORE = SearchScore("corrected", 0.52, Interval(0.48, 0.56, 0.95), 0.55, Interval(0.51, 0.59, 0.95), 5, 300)
SMALL = SearchStudy(
    "first",
    "tpe",
    SPACE,
    (
        SearchTrial(0, "done", {LR: 1e-4, LOSS: "ce"}, 0.5, {0: 0.4, 1: 0.6}, Interval(0.46, 0.54, 0.95), 20, 60.0),
        SearchTrial(1, "pruned", {LR: 1e-2, LOSS: "ce"}, 0.3, {0: 0.3}, epochs=3, seconds=9.0, why="below the median"),
        SearchTrial(2, "done", {LR: 1e-3, LOSS: "focal", MIX: 0.4}, 0.55, seconds=61.0),
        SearchTrial(3, "failed", {LR: 1.0, LOSS: "focal"}, why="out of memory"),
        SearchTrial(4, "done", {LR: 1e-3, LOSS: "ce"}, 0.52, seconds=50.0),
    ),
)


def many(count: int, dimensions: int, name: str = "setting") -> SearchStudy:
    """Return a study of drawn trials, of which some are pruned or failed and some score far below the others."""
    rng = np.random.default_rng(count)
    space = [SearchDimension(f"section.{name}_{place}", is_log=place % 3 == 0) for place in range(dimensions)]
    kinds = tuple(f"{name}-{kind}-with-a-rather-long-value" for kind in range(4))
    space[1::3] = [SearchDimension(one.name, choices=kinds) for one in space[1::3]]
    trials = []
    for number in range(count):
        values = {one.name: kinds[rng.integers(4)] if one.choices else float(rng.random()) + 1e-3 for one in space}
        state = "done" if number % 5 else ("failed" if number % 2 else "pruned")
        score = None if state == "failed" else float(rng.normal(0.5, 0.03)) - 0.4 * (number % 17 == 3)
        trials.append(SearchTrial(number, state, values, score, seconds=60.0, why="" if state == "done" else name))
    return SearchStudy(name, "random", tuple(space), tuple(trials))


def text_of(html: str) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub(r"<(style|script|svg).*?</\1>|<[^>]*>", " ", html, flags=re.S)))


def test_the_page_says_what_was_tried_and_the_score_first() -> None:
    text = text_of(study_page(SMALL, score=SCORE, importance={LR: 0.7, LOSS: 0.3}))
    assert "5 trials by tpe: 3 done, 1 pruned, 1 failed" in text
    assert all(line in text for line in score_lines(SCORE))
    assert text.index("macro-F1 for new people: 0.5200") < text.rindex("Best trials")
    assert "failed 1 out of memory 3" in text
    assert "pruned 1 below the median 1" in text


def test_the_table_of_the_best_has_the_settings_that_differ() -> None:
    html = study_page(SMALL, score=SCORE, importance={})
    table = re.findall(r"<table>.*?</table>", html, re.S)[1]
    cells = [text_of(row).split() for row in re.findall(r"<tr>(.*?)</tr>", table, re.S)]
    assert [row[:2] for row in cells[1:]] == [["2", "0.5500"], ["4", "0.5200"], ["0", "0.5000"]]
    assert [row[-3:] for row in cells[1:]] == [["0.001", "focal", "0.4"], ["0.001", "ce", "-"], ["0.0001", "ce", "-"]]
    same = SearchStudy("a", "tpe", SPACE[:2], (SMALL.trials[0], SMALL.trials[4]))
    assert "The same in all of them: loss.age=ce." in text_of(study_page(same, score=SCORE, importance={}))


def test_hostile_text_stays_text() -> None:
    space = (SearchDimension(HOSTILE, choices=(HOSTILE, "$x^2$")), SearchDimension(LR))
    trials = [SearchTrial(n, "done", {HOSTILE: HOSTILE, LR: 0.1 * n}, 0.5 + n / 100) for n in range(3)]
    trials += [SearchTrial(3, "failed", {HOSTILE: "$x^2$"}, why=HOSTILE)]
    study = SearchStudy(HOSTILE, HOSTILE, space, tuple(trials))
    html = study_page(study, score=SCORE, importance={HOSTILE: 1.0})
    assert html.count("<script") == html.count("</script>") == 1
    assert "\x1b" not in html
    assert "alert(1)" in text_of(html)


@pytest.mark.parametrize("count", [0, 1])
def test_a_study_that_has_hardly_begun_is_shown(count: int) -> None:
    study = SearchStudy("a", "tpe", SPACE, SMALL.trials[:count])
    text = text_of(study_page(study, score=None, importance={}))
    assert f"{count} trial" in text
    assert "No trial is done" in text_of(study_page(SearchStudy("a", "tpe", SPACE, ()), score=None, importance={}))


def test_only_failed_trials_give_their_reasons_and_no_figure() -> None:
    html = study_page(SearchStudy("a", "tpe", SPACE, SMALL.trials[3:4]), score=None, importance={})
    assert "<figure" not in html
    assert "out of memory" in html


def test_the_history_has_every_trial_and_the_best_so_far() -> None:
    figure = history_figure(SMALL, SCORE)
    assert [row[:4] for row in figure.table.rows] == [
        ["0", "done", "0.5000", "0.5000"],
        ["1", "pruned", "0.3000", "0.5000"],
        ["2", "done", "0.5500", "0.5500"],
        ["3", "failed", "-", "0.5500"],
        ["4", "done", "0.5200", "0.5500"],
    ]
    assert "0.5200" in figure.description
    svg = to_svg(figure)
    assert all(
        f">{label}</text>" in svg for label in ("score for new people", "done", "pruned", "failed", "best so far")
    )
    assert "score for new people" not in to_svg(history_figure(SMALL, None))


def test_slices_have_a_figure_per_setting_and_means_by_value() -> None:
    lr, loss, mix = slice_figures(SMALL)
    assert [one.title for one in (lr, loss, mix)] == [LR, LOSS, MIX]
    assert loss.table.rows == [["ce", "2", "0.5100", "0.5200"], ["focal", "1", "0.5500", "0.5500"]]
    assert lr.table.rows == [
        ["0.0001", "1", "0.5000", "0.5000"],
        ["0.001", "1", "0.5500", "0.5500"],
        ["0.001", "1", "0.5200", "0.5200"],
    ]
    assert mix.table.rows == [["0.4", "1", "0.5500", "0.5500"]]
    assert "logarithmic" in to_svg(lr)
    assert "logarithmic" not in to_svg(loss)


def test_numbers_of_a_slice_are_in_parts_of_as_many_trials() -> None:
    trials = tuple(SearchTrial(n, "done", {LR: float(n)}, n / 10) for n in range(10))
    (figure,) = slice_figures(SearchStudy("a", "tpe", (SearchDimension(LR),), trials))
    assert [row[:2] for row in figure.table.rows] == [[f"{n} to {n + 1}", "2"] for n in range(0, 10, 2)]


def test_importance_is_sorted_and_equal_shares_by_name() -> None:
    figure = importance_figure({"b": 0.25, "a": 0.25, "c": 0.5})
    assert figure.table.rows == [["c", "0.500"], ["a", "0.250"], ["b", "0.250"]]
    assert importance_figure({}) is None
    assert "0.00" in to_svg(importance_figure({"a": 0.0}))


def test_parallel_lines_have_the_colour_of_their_rank() -> None:
    figure = parallel_figure(SMALL)
    assert [row[:2] for row in figure.table.rows] == [["2", "0.5500"], ["4", "0.5200"], ["0", "0.5000"]]
    assert figure.table.rows[1][2:] == ["0.001", "ce", "not set"]
    svg = to_svg(figure)
    used = {one.variable for one in palette.SCALE if f"var({one.variable})" in svg}
    assert used == {"--s2", "--s3", "--s4"}
    assert ">not set</text>" in svg
    assert not figure.wide
    assert parallel_figure(many(30, 10)).wide
    assert parallel_figure(SearchStudy("a", "tpe", SPACE, SMALL.trials[:1])) is None
    assert parallel_figure(SearchStudy("a", "tpe", (), SMALL.trials)) is None


@pytest.mark.parametrize(("count", "sizes"), [(1, [1]), (4, [1, 1, 1, 1]), (7, [1, 2, 1, 2, 1]), (50, [10] * 5)])
def test_ranks_are_in_five_parts(count: int, sizes: list[int]) -> None:
    parts = score_parts([SearchTrial(n, "done", {}, 0.5) for n in range(count)])
    assert [len(part) for part in parts] == sizes


def test_score_lines_say_how_the_score_was_made() -> None:
    sealed = SearchScore("sealed", 0.5, SCORE.interval, 0.55, SCORE.naive_interval, 5, 40)
    assert score_lines(sealed)[1] == "sealed: measured on 40 people whom no trial has seen"
    single = SearchScore("corrected", 0.55, SCORE.interval, 0.55, SCORE.interval, 1, 300)
    assert score_lines(single)[1:] == [
        "one trial: nothing was chosen, so nothing is corrected",
        "on the rows of the search: 0.5500",
    ]
    clear = SearchScore("corrected", 0.55, SCORE.interval, 0.55, SCORE.interval, 9, 300)
    assert score_lines(clear)[2].endswith("hardly too high: one trial is the best whoever is asked")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "study",
    [SMALL, pytest.param(many(60, 10, name="<b>long_name_of_a_setting</b>"), marks=pytest.mark.slow)],
    ids=["small", "many"],
)
def test_the_page_fits_and_has_no_violation(tmp_path: Path, study: SearchStudy, scheme: str) -> None:
    path = tmp_path / "page.html"
    importance = {one.name: 1 / (2 + place) for place, one in enumerate(study.dimensions)}
    path.write_text(study_page(study, score=SCORE, importance=importance))
    with browser_page(1400, scheme=scheme) as page:
        page.goto(path.as_uri())
        assert axe_violations(page) == []
        for width in (1400, 800, 360):
            page.set_viewport_size({"width": width, "height": 900})
            assert overflow(page) == 0
