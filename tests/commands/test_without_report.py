"""Without the extra `report`: verbs that need it say so before they work; a training is complete, without its page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from finished_run import finish_run
from project import PROJECT_DIR
from tiny import RECIPE, recipe
from without_report_extra import GONE, hide_report_extra, run_without

import maskcls
from maskcls import config
from maskcls.cli import run_app
from maskcls.errors import Exit, ResourceError
from maskcls.rundir import RunDir
from maskcls.schema import Config
from maskcls.show.report import after_training as module
from maskcls.show.report.after_training import after_training
from maskcls.show.terminal.progress import Reporter
from maskcls.training.tracking.logged import draw_confusions

INSTALL = "pip install 'maskcls[report]'"
FIGURES, LABELS = "matplotlib and fontTools are not installed", "cleanlab is not installed"
# Command lines that cannot work: what is missing, and what needs it.
NEEDING = {
    "report run": (FIGURES, "maskcls report"),
    "report run -o page.html --png figures": (FIGURES, "maskcls report"),
    "data check faces --page page.html": (FIGURES, "--page"),
    "debug faces --page page.html": (FIGURES, "--page"),
    "debug run --page page.html": (FIGURES, "--page"),
    "data labels run": (LABELS, "maskcls data labels"),
    "data labels run --prove": (LABELS, "maskcls data labels"),
}
EACH_LINE = """
import contextlib, io, json, sys
from maskcls.cli import run_app
found = {}
for line in sys.argv[1:]:
    err = io.StringIO()
    with contextlib.redirect_stderr(err):
        code = run_app(line.split())
    found[line] = [code, err.getvalue(), sorted({"torch", "pandas", "maskcls.runs"} & sys.modules.keys())]
print(json.dumps(found))
"""
TRACKED = f"no pictures of the confusion for trackers at the end of this training, as {FIGURES}: {INSTALL}"
# Where the packages are imported; each of these is behind a check of the extra, or has another way.
IMPORTING = {
    "results/labels/noise.py",
    "show/pages/figure.py",
    "show/pictures/figure_text.py",
    "show/pictures/fonts.py",
    "show/report/confusion.py",
    "show/report/curves.py",
    "show/report/side_by_side.py",
    "show/tuning/history.py",
    "show/tuning/parallel.py",
}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str, list[str]]]:
    """Give every command line to a Python without the packages; in an empty folder, so that a later check fails."""
    folder = tmp_path_factory.mktemp("empty")
    done = run_without(folder / "site", "-c", EACH_LINE, *NEEDING, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in folder.iterdir()] == ["site"]
    return {line: tuple(found) for line, found in json.loads(done.stdout).items()}


@pytest.mark.parametrize("line", NEEDING)
def test_a_verb_that_needs_it_says_so_before_it_works(line: str, said: dict[str, tuple[int, str, list[str]]]) -> None:
    what, where = NEEDING[line]
    message = f"error[resource] {what}\n  where: {where}\n  fix: {INSTALL}\n"
    assert said[line] == (Exit.RESOURCE, message, [])


def test_the_packages_are_imported_where_they_are_used_and_in_functions_alone() -> None:
    found = {}
    for path in (PROJECT_DIR / "maskcls").rglob("*.py"):
        lines = re.findall(rf"^( *)(?:from|import) (?:{'|'.join(GONE)}|cycler)\b", path.read_text(), flags=re.M)
        if lines:
            found[path.relative_to(PROJECT_DIR / "maskcls").as_posix()] = min(map(len, lines))
    assert set(found) == IMPORTING
    assert min(found.values()) >= 4


def noted(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Stop each training where it says what it will lack; returns `train.report` of those that came so far."""
    found: list[bool] = []

    def note(cfg: Config, report: Reporter) -> None:
        found.append(cfg.train.report)
        raise ResourceError("noted")

    monkeypatch.setattr(module, "note_missing_report", note)
    monkeypatch.setattr("maskcls.commands.demo.make_faces", lambda *_, **__: None)
    return found


def test_a_finished_training_says_why_it_has_no_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finish_run(tmp_path / "a")
    hide_report_extra(monkeypatch)
    with Reporter() as report:
        without = after_training(run, report).to_json()
    assert without == {"report": None, "no_report": f"{FIGURES}: {INSTALL}", "next": without["next"]}
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        f"warning: the run is complete, but its report is not written: {FIGURES}: {INSTALL}."
        f" Write it with: maskcls report {run.path}"
    )


@pytest.mark.parametrize(
    ("settings", "note"),
    [
        ([], f"no report page at the end of this training, as {FIGURES}: {INSTALL}"),
        (["track=csv"], f"no report page and {TRACKED}"),
        (["train.report=false", "track=csv"], f"{TRACKED}"),
        (["train.report=false"], ""),
    ],
)
def test_what_a_training_will_lack_is_one_line(
    settings: list[str], note: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cfg, _ = config.load(None, settings)
    with Reporter() as report, monkeypatch.context() as patch:
        module.note_missing_report(cfg, report)
        assert capsys.readouterr().err == ""
        hide_report_extra(patch)
        module.note_missing_report(cfg, report)
    assert capsys.readouterr().err == (f"{note}\n" if note else "")


@pytest.mark.parametrize(
    "words", ["train {data} --run {out}", "resume {run}", "self-train {data} --run {out}", "demo {out}"]
)
def test_every_training_says_it_before_it_begins(
    words: str, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = noted(monkeypatch)
    run = finish_run(tmp_path / "run", settings=["train.report=false"])
    assert run_app(words.format(data=drawn, run=run.path, out=tmp_path / "out").split()) == Exit.RESOURCE
    assert "error[resource] noted" in capsys.readouterr().err
    assert given == [not words.startswith("resume")]  # the run's own setting


def test_the_python_api_says_it_before_it_begins(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noted(monkeypatch)
    with pytest.raises(ResourceError, match="noted"):
        maskcls.train(drawn, tmp_path / "run")


def test_pictures_for_trackers_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hide_report_extra(monkeypatch)
    with pytest.raises(ResourceError, match=FIGURES):
        draw_confusions(finish_run(tmp_path / "run"))


@pytest.mark.slow
def test_a_run_is_trained_used_and_reported_later(drawn: Path, tmp_path: Path) -> None:
    site, run = tmp_path / "site", str(tmp_path / "run")
    photo = str(min(drawn.glob("train/images/*/*.*")))
    words = recipe("model.backbone=test_convnext", "train.epochs=1", "train.report=true", "track=csv")
    done = run_without(site, "-m", "maskcls", "train", str(drawn), "--run", run, *words, "--json")
    assert done.returncode == Exit.OK, done.stderr
    assert json.loads(done.stdout)["no_report"] == f"{FIGURES}: {INSTALL}"
    assert done.stderr.index(f"no report page and {TRACKED}") < done.stderr.index("loading libraries")
    assert done.stderr.count("Traceback") == 0
    for line in (
        ["resume", run],
        ["evaluate", run, "--full"],
        ["calibrate", run],
        ["predict", run, "--data", str(drawn), "-o", "s.csv"],
        ["predict", run, photo],
        ["tta", run],
        ["debug", run],
        ["explain", run, photo, "--page", "explained.html"],
        ["data", "look", str(drawn), *RECIPE, "--page", "look.html"],
        ["data", "check", str(drawn), *RECIPE],
        ["export", run, "--to", "model-card", "-o", "card.md"],
        ["verify", run],
    ):
        done = run_without(site, "-m", "maskcls", *line, cwd=tmp_path)
        assert done.returncode == Exit.OK, done.stderr
    assert not RunDir(Path(run)).report.exists()
    assert run_app(["report", run]) == Exit.OK
    assert RunDir(Path(run)).report.exists()
