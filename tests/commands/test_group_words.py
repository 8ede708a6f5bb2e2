"""Output about a table of patients: no command calls them people."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest
from test_data_init import QUICK, table
from tiny import train

from maskcls.cli import run_app
from maskcls.errors import Exit

__all__ = ["table"]  # the fixture: 12 patients, two photos each

# Names of settings and keys, which are the same for every data set.
KEYS = ("sampler.one_per_person", "one_per_person")


def words_about_people(text: str) -> list[str]:
    """Return the lines with people or person in them, as text without markup and names of settings."""
    plain = unescape(re.sub(r"<style.*?</style>|<script.*?</script>|data:[^\"]*|<[^>]*>", " ", text, flags=re.S))
    for key in KEYS:
        plain = plain.replace(key, "")
    return [line.strip() for line in plain.splitlines() if re.search("people|person", line, re.I)]


def test_a_word_about_people_is_found() -> None:
    assert words_about_people("<p>12 people</p>\nsampler.one_per_person false\nEach Person") == [
        "12 people",
        "Each Person",
    ]


@pytest.fixture(scope="module")
def run(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "a"
    assert train(table, path, *QUICK) == Exit.OK
    return path


def test_a_dry_run_and_a_training_speak_of_patients(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(["train", str(table), "--run", str(tmp_path / "a"), *QUICK, "--dry-run"]) == Exit.OK
    assert run_app(["train", str(table), "--run", str(tmp_path / "a"), *QUICK]) == Exit.OK
    captured = capsys.readouterr()
    assert words_about_people(captured.out + captured.err) == []
    assert re.search("^fold +patients", captured.out, re.M)
    assert "the score of 12 new patients" in captured.out
    assert "of the validation patients" in captured.err


def test_evaluate_speaks_of_patients(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["evaluate", str(run), "--full"]) == Exit.OK
    captured = capsys.readouterr()
    assert words_about_people(captured.out + captured.err) == []
    assert "from 12 patients" in captured.out


@pytest.mark.slow
def test_report_and_calibrate_speak_of_patients(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "report.html"
    assert run_app(["report", str(run), "-o", str(page)]) == Exit.OK
    assert run_app(["calibrate", str(run)]) == Exit.OK
    captured = capsys.readouterr()
    assert words_about_people(captured.out + captured.err) == []
    assert words_about_people(page.read_text()) == []
    assert "photos and patients of the class" in page.read_text()


def test_data_check_speaks_of_patients(
    table: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_app(["data", "check", str(table), "folds.k=13"]) == Exit.DATA  # more folds than patients
    captured = capsys.readouterr()
    assert words_about_people(captured.out + captured.err) == []
    assert "the patients cannot be divided into folds" in captured.out
    assert "classes of fewer patients than folds" in captured.out


@pytest.mark.slow
def test_the_page_of_data_check_speaks_of_patients(table: Path, tmp_path: Path) -> None:
    page = tmp_path / "check.html"
    assert run_app(["data", "check", str(table), "--page", str(page), "folds.k=13"]) == Exit.DATA
    assert words_about_people(page.read_text()) == []


@pytest.mark.slow
def test_debug_speaks_of_patients(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "debug.html"
    assert run_app(["debug", str(table), *QUICK, "--quick", "--page", str(page)]) in (Exit.OK, Exit.RESULT)
    assert run_app(["debug", str(table), *QUICK, "--minutes", "0.2", "--json"]) in (Exit.OK, Exit.RESULT)
    captured = capsys.readouterr()
    keys = captured.out.replace('"people":', "").replace('"of_people":', "")
    assert words_about_people(keys + captured.err) == []
    assert "patient" in captured.out
    assert words_about_people(page.read_text()) == []
