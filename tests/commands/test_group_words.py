"""Output about a table of patients: no command calls them people."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from test_data_init import QUICK, table
from tiny import train

from maskcls.cli import run_app
from maskcls.errors import Exit
from maskcls.files import file_sha256
from maskcls.groupnouns import PEOPLE, PHOTOS
from maskcls.results.predictions import Predictions
from maskcls.rundir import RunDir
from maskcls.runs.summary import read_summary, write_summary
from maskcls.show.card.limits import use_part

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


def test_groups_that_a_table_lacks_are_those_of_the_run(
    table: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`group` takes no settings, so it cannot advise one."""
    other = table.with_name("renamed.csv")
    other.write_text(re.sub("^([^\n]*)patient", r"\1visitor", table.read_text(), count=1))
    assert run_app(["group", str(other), "--run", str(run), "--train", "-o", str(tmp_path / "g.csv")]) == Exit.DATA
    said = capsys.readouterr().err
    assert "there is no column of this name" in said
    assert "fix: name the data set that the run was trained on, with data.group=patient" in said
    assert "set data.group" not in said


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


@pytest.fixture(scope="module")
def copies(run: Path) -> list[Path]:
    """The run, and two copies of it with other predictions."""
    found = [run]
    for k, name in enumerate("bc", 1):
        shutil.copytree(run, run.with_name(name))
        copy = RunDir(run.with_name(name))
        rows = Predictions.load(copy.oof)
        replace(rows, prob=np.roll(rows.prob, k, axis=1)).save(copy.oof)
        summary = read_summary(copy)
        assert summary is not None
        made = {**summary.files, copy.oof.name: file_sha256(copy.oof)}
        write_summary(copy, summary.model_copy(update={"files": made}))
        found.append(copy.path)
    return found


def test_lists_and_comparisons_of_runs_speak_of_patients(
    copies: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    a, b, c = map(str, copies)
    for words in (["list", str(copies[0].parent)], ["compare", a, b], ["compare", a, b, c]):
        assert run_app(["runs", *words]) == Exit.OK
    captured = capsys.readouterr()
    assert words_about_people(captured.out + captured.err) == []
    printed = " ".join(captured.out.split())  # lines are as wide as the terminal
    assert "chosen on other patients" in printed
    assert "24 rows of 12 patients" in printed
    assert "of 12 new patients lies within" in printed
    assert "by patient: b is better for" in printed
    assert "as photos of one patient are not independent" in printed


def test_suspected_labels_are_those_of_patients(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["data", "labels", str(run)]) == Exit.OK
    captured = capsys.readouterr()
    assert words_about_people(captured.out + captured.err) == []
    assert captured.out.startswith("patient ")
    assert " of 12 patients, compared with 1 run" in captured.out


def test_the_model_card_speaks_of_patients_and_assumes_no_people(run: Path, tmp_path: Path) -> None:
    assert run_app(["export", str(run), "--to", "model-card", "-o", str(tmp_path / "card.md")]) == Exit.OK
    card = (tmp_path / "card.md").read_text()
    before, rest = card.split("maskcls does not know what the photos show. If they show people")
    use, after = rest.split("## Training data")
    assert words_about_people(before + after) == []
    assert "No identification" in use
    assert "These rules assume that photos show people" not in card
    assert "The patients were split into 2 parts" in card
    assert "All photos of a patient are in one fold." in card
    assert "labelled photos: 24, of 12 patients" in card
    assert "not trained on its patient." in card
    assert "fewer than 50 patients" in card


def test_the_model_card_of_photos_alone_does_not_count_them_twice() -> None:
    assert "These rules assume that photos show people." in use_part(PEOPLE)
    assert "If they show people" in use_part(PHOTOS)


def test_errors_about_weights_speak_of_patients(
    run: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = RunDir(run).fold(0).best.tensors
    settings = [*QUICK, f"model.weights={weights}", "folds.seed=5"]
    assert run_app(["train", str(table), "--run", str(tmp_path / "a"), *settings]) == Exit.DATA
    assert run_app(["unseal", str(run)]) == Exit.USAGE
    captured = capsys.readouterr()
    assert words_about_people(captured.out + captured.err) == []
    assert "trained on patients of the validation folds" in captured.err
    assert "weights made from photos of other patients" in captured.err
    assert "the run has no sealed patients" in captured.err


@pytest.mark.slow
def test_sealed_patients_are_scored(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "runs" / "a"
    assert train(table, run, *QUICK, "folds.sealed=0.25") == Exit.OK
    for words in (["unseal", str(run)], ["unseal", str(run)], ["runs", "list", str(run.parent)]):
        assert run_app(words) == Exit.OK
    captured = capsys.readouterr()
    assert words_about_people(captured.out + captured.err) == []
    assert captured.out.count("sealed patients") >= 2


@pytest.mark.slow
def test_an_ensemble_of_patients(run: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "b"
    assert train(table, other, *QUICK, "seed=5") == Exit.OK
    asked = table.with_name("asked.csv")
    asked.write_text("path\n0.png\n1.png\n")
    words = ["ensemble", str(run), str(other), "--data", str(asked), "-o", str(tmp_path / "e.csv")]
    assert run_app(words) == Exit.OK
    captured = capsys.readouterr()
    assert words_about_people(captured.out + captured.err) == []
    assert "chosen on other patients" in captured.out


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
