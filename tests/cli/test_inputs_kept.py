"""Inputs are never written to: every option that names an output, with a place inside what the command reads."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from finished_run import finish_run
from test_cli import SURFACE
from tiny import hashes

from maskcls.cli import run_app
from maskcls.errors import Exit
from maskcls.runs.environment import read_environment, write_environment

OUTPUTS = {"-o/--output", "--page", "--png", "--probabilities", "--use"}
MADE_RUNS = {(verb, "--run") for verb in ("train", "self-train", "data labels", "synth train", "synth judge")}
MADE_RUNS |= {("tune", "--study")}
FOLDERS = {*MADE_RUNS, ("report", "--png"), ("data crop", "-o/--output"), ("runs gather", "-o/--output")}
MAKES = {"data make", "demo"}  # DIR is new; nothing is read

# The option, and a command line with this option as its last; {data}: a data set; {run}: a finished run on it.
INSIDE = {
    ("train", "--run"): "{data} --run {data}/runs/a",
    ("self-train", "--run"): "{data} --run {data}",
    ("tune", "--study"): "{data} --study {data}/runs/study",
    ("predict", "-o/--output"): "{run} --data {data} -o {data}/s.csv",
    ("predict", "--probabilities"): "{run} {data}/eval -o {out}/s.csv --probabilities {data}/eval/p.csv",
    ("pseudo-label", "-o/--output"): "{run} --data {data} -o {data}/train/p.csv",
    ("pretrain", "-o/--output"): "{data} -o {data}/train/t.safetensors",
    ("synth judge", "--run"): "{data} smote --fit heads --run {data}/arms",
    ("synth judge", "--use"): "{data} smote --fit heads --run {out}/arms --use {data}/use.yaml",
    ("synth judge", "--page"): "{data} smote --fit heads --run {out}/arms --page {data}/page.html",
    ("synth sample", "-o/--output"): "{run} synth.kind=oversample -o {data}/train/s.csv",
    ("explain", "-o/--output"): "{run} {photo} -o {run}/fold0/why.png",
    ("explain", "--page"): "{run} {photo} -o {out}/why.png --page {run}/fold0/why.html",
    ("export", "-o/--output"): "{run} -o {run}/fold1/model.onnx",
    ("evaluate", "-o/--output"): "{run} -o {run}/test/rows.csv",
    ("report", "-o/--output"): "{run} -o {run}/fold0/best/page.html",
    ("report", "--png"): "{run} --png {run}/fold0",
    ("ensemble", "-o/--output"): "{run} --data {data} -o {link}/s.csv",
    ("debug", "--page"): "{data} --page {data}/page.html",
    ("synth page", "-o/--output"): "{data}/train/train.csv --run {run} -o {run}/fold0/page.html",
    ("synth train", "--run"): "{data} --kind dcgan --run {data}/runs/g",
    ("runs compare", "-o/--output"): "{run} {other} -o {other}/fold0/rows.csv",
    ("runs gather", "-o/--output"): "{run} {other} -o {other}/fold0/run",
    ("group", "-o/--output"): "{link} --unlabelled {data} -o {data}/g.csv",
    ("data init", "-o/--output"): "{data} -o {data}/mine.yaml",
    ("data check", "--page"): "{data} --page {data}/check.html",
    ("data look", "-o/--output"): "{data} -o {data}/look.png",
    ("data look", "--page"): "{data} -o {out}/look.png --page {data}/look.html",
    ("data labels", "-o/--output"): "{run} -o {run}/fold0/fixes.csv",
    ("data labels", "--page"): "{run} --page {run}/fold0/labels.html",
    ("data labels", "--run"): "{run} --prove --run {data}/labels",
    ("data crop", "-o/--output"): "{data} --fixed -o {data}/crops",
}
# An output of the right ending that is a file of the run, with --force.
ONTO = {
    "predict": "{run} --data {data} -o {run}/manifest.csv",
    "evaluate": "{run} -o {run}/folds.csv",
    "runs compare": "{run} {other} -o {other}/manifest.csv",
    "data labels": "{run} -o {run}/folds.csv",
}


@pytest.fixture(scope="module")
def read(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return what is read: a data set, a link to it, a photo of it, and two runs on it."""
    root = tmp_path_factory.mktemp("read")
    run, other = finish_run(root / "a"), finish_run(root / "b", seed=1)
    (run.path / "test").mkdir()
    write_environment(run, read_environment(run).model_copy(update={"data": str(drawn)}))
    (root / "link").symlink_to(drawn)
    photo = next((drawn / "eval" / "images").iterdir())
    return {"data": drawn, "link": root / "link", "photo": photo, "run": run.path, "other": other.path}


def refused(line: str, verb: str, read: dict[str, Path], out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that is refused; return its message, when it has written nothing into what it read."""
    before = {name: hashes(path) for name, path in read.items() if path.is_dir()}
    assert run_app([*verb.split(), *line.format(out=out, **read).split()]) == Exit.USAGE
    assert {name: hashes(path) for name, path in read.items() if path.is_dir()} == before
    assert not list(out.iterdir())
    return capsys.readouterr().err


def test_every_option_of_an_output_is_in_the_table() -> None:
    found = {(verb, option) for verb, options in SURFACE.items() for option in options & OUTPUTS if verb not in MAKES}
    assert found | MADE_RUNS == INSIDE.keys()
    assert len(INSIDE) == 32


@pytest.mark.parametrize(("verb", "option"), INSIDE)
def test_no_output_is_inside_what_is_read(
    verb: str, option: str, read: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = INSIDE[verb, option]
    message = refused(line, verb, read, tmp_path, capsys)
    what = "the copy would stand inside the data set" if verb == "data crop" else "inside a folder that is read"
    assert what in message
    assert f"where: {line.format(out=tmp_path, **read).split()[-1]}\n" in message


@pytest.mark.parametrize(
    "words", ["train {data} --run {data}/runs/a", "predict {run} {data}/eval -o {data}/eval/s.csv"]
)
def test_no_job_is_made_inside_what_is_read(
    words: str, read: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Jobs have a folder beside the output, and write there."""
    verb, _, line = words.partition(" ")
    message = refused(f"{line} --on local:2", verb, read, tmp_path, capsys)
    assert "inside a folder that is read" in message


@pytest.mark.parametrize("verb", ONTO)
def test_no_output_replaces_a_file_of_a_run(
    verb: str, read: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "the output is a file that is read" in refused(f"{ONTO[verb]} --force", verb, read, tmp_path, capsys)


def test_what_another_command_wrote_into_a_run_may_be_replaced(read: dict[str, Path], tmp_path: Path) -> None:
    run = finish_run(tmp_path / "run").path
    for _ in range(2):
        assert run_app(["evaluate", str(run), "-o", str(run / "mine" / "rows.csv"), "--force"]) == Exit.OK
    assert (run / "mine" / "rows.csv").is_file()


@pytest.mark.parametrize("verb", ["train {data} --run {out}/run", "self-train {data} --run {out}/self"])
def test_the_cache_is_not_inside_the_data_set(
    verb: str,
    read: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MASKCLS_CACHE", str(read["data"] / "cache"))
    name, *_ = verb.split()
    assert "the cache is inside the data set" in refused(verb.partition(" ")[2], name, read, tmp_path, capsys)


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir], ids=["pipe", "folder"])
@pytest.mark.parametrize(("verb", "option"), [place for place in INSIDE if place not in FOLDERS])
def test_an_output_that_cannot_be_a_file_is_said_before_the_work(
    verb: str,
    option: str,
    make: Callable[[Path], None],
    read: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    *words, last = INSIDE[verb, option].format(out=tmp_path, **read).split()
    odd = tmp_path / Path(last).name
    make(odd)
    assert run_app([*verb.split(), *words, str(odd), "--force"]) == Exit.RESOURCE
    assert "not a regular file" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [odd.name]


@pytest.mark.parametrize("place", ["report/index.html", "report", "png"])
def test_a_report_that_cannot_be_written_is_said_before_it_is_made(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("maskcls.commands.report.report_files", lambda *_, **__: pytest.fail("it was made"))
    run = finish_run(tmp_path / "run").path
    (run / place).parent.mkdir(exist_ok=True)
    os.mkfifo(run / place)
    assert (
        run_app(["report", str(run), *(["--png", str(run / "png" / "new")] if place == "png" else [])]) == Exit.RESOURCE
    )
    assert str(run / place) in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        "submission check .",
        "submission check /",
        "ensemble {run} --data {data} -o .",
        "predict {run} {data}/eval -o .",
        "predict {run} --data {data} -o /",
        "group {data} -o .",
    ],
)
def test_a_folder_is_no_file(words: str, read: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    code = run_app(words.format(**read).split())
    assert code not in (Exit.OK, Exit.INTERNAL), capsys.readouterr().err
