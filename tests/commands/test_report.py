"""maskcls report: what is written where, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from finished_run import finish_run

from maskcls import cli
from maskcls.errors import Exit
from maskcls.show.report import page as page_module
from maskcls.show.report.section import JointSection, PageSettings
from maskcls.show.report.sections import OF_EACH


@pytest.fixture(autouse=True)
def score_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the section of the score: drawing all figures takes seconds."""
    monkeypatch.setattr(page_module, "OF_EACH", OF_EACH[:1])
    monkeypatch.setattr(page_module, "OF_ALL", ())


def test_the_page_of_a_run_is_in_its_folder_and_written_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finish_run(tmp_path / "a")
    for _ in range(2):
        assert cli.run_app(["report", str(run.path)]) == Exit.OK
    page = run.path / "report" / "index.html"
    assert page.read_text().startswith("<!doctype html>")
    assert "report/index.html" in capsys.readouterr().out


def test_json_names_page_size_figures_and_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, leaky = finish_run(tmp_path / "a"), finish_run(tmp_path / "b", leaky=True)
    page, png = tmp_path / "r.html", tmp_path / "png"
    words = ["report", str(run.path), str(leaky.path), "-o", str(page), "--png", str(png), "--json"]
    assert cli.run_app(words) == Exit.OK
    found = json.loads(capsys.readouterr().out)
    assert found["page"] == str(page)
    assert found["size_bytes"] == page.stat().st_size
    assert found["png"] == [str(png / "run1-score-intervals.png")]
    assert Path(found["png"][0]).exists()
    summary = json.loads(run.summary.read_text())
    assert found["runs"] == [
        {"run": str(run.path), "macro_f1": summary["pooled"]["macro_f1"]},
        {"run": str(leaky.path), "macro_f1": None},
    ]


def test_with_photos_reaches_the_sections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, seen = finish_run(tmp_path / "a"), []

    def fill(reported: object, settings: PageSettings) -> None:
        seen.append((settings.with_photos, settings.page))

    monkeypatch.setattr(page_module, "OF_EACH", (page_module.OF_EACH[0].__class__("x", "X", fill),))
    assert cli.run_app(["report", str(run.path)]) == Exit.OK
    assert cli.run_app(["report", str(run.path), "--with-photos"]) == Exit.OK
    assert seen == [(False, run.report), (True, run.report)]


def test_an_output_is_replaced_only_with_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, page = finish_run(tmp_path / "a"), tmp_path / "r.html"
    page.write_text("mine")
    assert cli.run_app(["report", str(run.path), "-o", str(page)]) == Exit.BUSY
    assert page.read_text() == "mine"
    assert cli.run_app(["report", str(run.path), "-o", str(page), "--force"]) == Exit.OK
    assert page.read_text() != "mine"
    (tmp_path / "png").mkdir()
    (tmp_path / "png" / "score-intervals.png").write_text("mine")
    other = tmp_path / "other.html"
    words = ["report", str(run.path), "-o", str(other), "--png"]
    assert cli.run_app([*words, str(tmp_path / "png")]) == Exit.BUSY
    assert cli.run_app([*words, str(page)]) == Exit.USAGE
    assert not other.exists()
    assert (tmp_path / "png" / "score-intervals.png").read_text() == "mine"
    assert cli.run_app([*words, str(tmp_path / "png"), "--force"]) == Exit.OK


@pytest.mark.parametrize(
    ("names", "message"),
    [(["a", "b"], "a page about several runs needs a name"), (["a", "a"], "a run is given twice")],
)
def test_several_runs_need_a_name_and_differ(
    names: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in set(names):
        finish_run(tmp_path / name)
    assert cli.run_app(["report", *(str(tmp_path / name) for name in names)]) == Exit.USAGE
    assert message in capsys.readouterr().err


def test_a_run_is_not_compared_with_a_link_to_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, link = finish_run(tmp_path / "a"), tmp_path / "b"
    link.symlink_to(run.path)
    assert cli.run_app(["report", str(run.path), str(link), "-o", str(tmp_path / "r.html")]) == Exit.USAGE
    assert "a run is given twice" in capsys.readouterr().err


def test_what_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run_app(["report", str(tmp_path)]) == Exit.RESULT
    assert "this is not a run" in capsys.readouterr().err


def test_more_runs_than_colours_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [str(tmp_path / str(number)) for number in range(9)]
    assert cli.run_app(["report", *names, "-o", str(tmp_path / "r.html")]) == Exit.USAGE
    assert "at most 8" in capsys.readouterr().err


def test_maps_need_photos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = finish_run(tmp_path / "a")
    assert cli.run_app(["report", str(run.path), "--cam"]) == Exit.USAGE
    assert "add --with-photos" in capsys.readouterr().err
    assert not run.report.exists()


def test_several_runs_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs, seen = [finish_run(tmp_path / name, seed=seed) for seed, name in enumerate("ab")], []

    def fill(reported: object, settings: PageSettings) -> None:
        seen.append(settings.paired)

    monkeypatch.setattr(page_module, "OF_ALL", (JointSection("x", "X", fill),))
    words = [str(run.path) for run in runs]
    assert cli.run_app(["report", *words, "-o", str(tmp_path / "r.html")]) == Exit.OK
    assert cli.run_app(["report", words[0]]) == Exit.OK
    assert seen[0] is not None
    assert seen[1] is None


def test_the_page_of_several_runs_is_the_same_when_it_is_made_again(tmp_path: Path) -> None:
    words = [str(finish_run(tmp_path / name, seed=seed).path) for seed, name in enumerate("ab")]
    pages = [tmp_path / "1.html", tmp_path / "2.html"]
    for page in pages:
        assert cli.run_app(["report", *words, "-o", str(page)]) == Exit.OK
    assert pages[0].read_bytes() == pages[1].read_bytes()  # the comparison is registered, and counted, once
