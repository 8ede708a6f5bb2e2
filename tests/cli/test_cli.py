"""The command line: its surface, its messages and its exit codes."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from maskcls import __version__, cli
from maskcls.errors import DataError, Exit

# Every verb with its arguments (capitals) and options; hidden ones, of earlier versions, stand apart.
SURFACE = {
    "train": frozenset(
        {"DATA", "KEY=VALUE", "-c/--config", "--run", "--folds", "--on", "--dry-run", "--budget", "--json"}
    ),
    "resume": frozenset({"RUN", "--folds", "--data", "--budget", "--on", "--json"}),
    "predict": frozenset(
        {
            *("RUN", "WHAT|KEY=VALUE", "--data", "-o/--output", "--probabilities", "--format", "--groups", "--decide"),
            *("--engine", "--skip-unreadable", "--shard", "--on", "--gather", "--force", "--json"),
        }
    ),
    "pseudo-label": frozenset(
        {
            *("RUN|KEY=VALUE", "--data", "-o/--output", "--min-confidence", "--partial", "--agree", "--max-per-class"),
            *("--max-share", "--balance", "--like-train", "--soft", "--temperature", "--weight", "--weigh", "--views"),
            *("--leaky", "--force", "--json"),
        }
    ),
    "pretrain": frozenset(
        {
            *("DATA", "KEY=VALUE", "-c/--config", "-o/--output", "--epochs", "--lr", "--minutes", "--without-fold"),
            *("--force", "--json"),
        }
    ),
    "self-train": frozenset(
        {
            *("DATA", "KEY=VALUE", "-c/--config", "--run", "--unlabelled", "--rounds", "--min-confidence", "--partial"),
            *("--agree", "--soft", "--weight", "--json"),
        }
    ),
    "tune": frozenset(
        {
            *("DATA", "KEY=VALUE", "-c/--config", "--space", "--study", "--trials", "--budget", "--sampler", "--seed"),
            *("--prune-epochs", "--prune-folds", "--workers", "--storage", "--keep", "--sealed", "--dry-run", "--json"),
        }
    ),
    "explain": frozenset(
        {"RUN", "PHOTO|KEY=VALUE", "-o/--output", "--folds", "--class", "--no-maps", "--page", "--data", "--force"}
        | {"--json"},
    ),
    "serve": frozenset(
        {
            *("RUN|MODEL", "KEY=VALUE", "--host", "--port", "--token", "--decide", "--max-photos", "--max-megabytes"),
            *("--max-pixels", "--batch", "--wait-ms", "--queue"),
        }
    ),
    "tta": frozenset({"RUN", "KEY=VALUE", "--adapt", "--shift", "--data", "--json"}),
    "export": frozenset(
        {"RUN", "KEY=VALUE", "--to", "-o/--output", "--decide", "--check", "--licence", "--force", "--json"}
        | {"--int8", "--calibration", "--max-loss", "--data"},
    ),
    "evaluate": frozenset({"WHAT", "--answers", "--section", "--full", "-o/--output", "--force", "--json"}),
    "report": frozenset({"RUN", "-o/--output", "--png", "--with-photos", "--cam", "--force", "--json"}),
    "calibrate": frozenset({"RUN", "--rule", "--json"}),
    "ensemble": frozenset(
        {
            *("MEMBER|KEY=VALUE", "--data", "-o/--output", "--method", "--weights", "--recipe", "--decide", "--groups"),
            *("--oof-groups", "--force", "--json"),
        }
    ),
    "unseal": frozenset({"RUN", "--data", "--json"}),
    "debug": frozenset(
        {
            *("DATA|RUN", "KEY=VALUE", "-c/--config", "--quick", "--check", "--minutes", "--page", "--force"),
            *("--data", "--json"),
        }
    ),
    "verify": frozenset({"RUN|FILE|cache", "--run", "--data", "--json"}),
    "runs list": frozenset({"FOLDER", "--base", "--sort", "--json"}),
    "runs note": frozenset({"RUN", "TEXT", "--leaderboard", "--name", "--keep/--no-keep", "--json"}),
    "runs compare": frozenset({"A", "B", "C", "--answers", "-o/--output", "--force", "--json"}),
    "runs gather": frozenset({"A B C", "-o/--output", "--data", "--accept", "--json"}),
    "runs jobs": frozenset({"RUN|FILE", "--cancel", "--json"}),
    "runs prune": frozenset({"FOLDER", "--keep", "--budget", "--whole", "--yes", "--json"}),
    "group": frozenset({"DATA", "-o/--output", "--unlabelled", "--train", "--run", "--force", "--json"}),
    "synth train": frozenset(
        {
            *("RUN|DATA", "KEY=VALUE", "--kind", "-c/--config", "--run", "--folds", "--minutes", "--force"),
            *("--data", "--json"),
        }
    ),
    "synth resume": frozenset({"SYNTH", "--minutes", "--data", "--json"}),
    "synth sample": frozenset({"SYNTH", "KEY=VALUE", "-o/--output", "--classifier", "--force", "--data", "--json"}),
    "synth page": frozenset(
        {"SAMPLES", "--run", "-o/--output", "--generators", "--with-photos", "--force", "--data", "--json"}
    ),
    "synth judge": frozenset(
        {
            *("DATA", "SAMPLES|KEY=VALUE", "-c/--config", "--run", "--seeds", "--fit", "--page", "--use"),
            *("--force", "--json"),
        }
    ),
    "submission check": frozenset({"FILE", "--data", "--run", "--strict", "--json"}),
    "demo": frozenset({"DIR", "--json"}),
    "config list": frozenset({"PREFIX", "--json", "--markdown"}),
    "config show": frozenset({"KEY=VALUE", "-c/--config", "--yaml", "--json"}),
    "config schema": frozenset(),
    "data make": frozenset({"DIR", "--people", "--seed", "--eval-people", "--ages", "--age-error-years", "--json"}),
    "data init": frozenset({"DATA", "-o/--output", "--task", "--group", "--force", "--json"}),
    "data check": frozenset(
        {
            *("DATA", "KEY=VALUE", "-c/--config", "--run", "--weights", "--fail-on", "--page", "--with-photos"),
            *("--force", "--json"),
        }
    ),
    "data look": frozenset(
        {
            *("DATA", "KEY=VALUE", "-c/--config", "-o/--output", "--photos", "--draws", "--force", "--json"),
            *("--no-boxes", "--page", "--with-photos"),
        }
    ),
    "data labels": frozenset(
        {
            *("RUN|KEY=VALUE", "-o/--output", "--page", "--with-photos", "--top", "--least", "--prove", "--fixes"),
            *("--seeds", "--run", "-c/--config", "--force", "--json"),
        }
    ),
    "data crop": frozenset(
        {
            *("DATA", "-o/--output", "--detector", "--any-detector", "--like", "--fixed", "--margin", "--aspect"),
            "--json",
        }
    ),
    "bench data": frozenset({"DATA", "KEY=VALUE", "-c/--config", "--json"}),
    "bench lr": frozenset({"DATA", "KEY=VALUE", "-c/--config", "--low", "--high", "--steps", "--json"}),
    "bench step": frozenset({"KEY=VALUE", "-c/--config", "--json"}),
    "data cache list": frozenset({"--json"}),
    "data cache prune": frozenset({"--days", "--yes", "--json"}),
}
# The verb words that are hidden and kept for earlier versions; tests/cli/test_older.py runs each of them.
HIDDEN = frozenset(
    {
        *("train --leaky", "predict --tta", "pseudo-label --tta", "pseudo-label --set", "ensemble --set"),
        *("evaluate --write", "runs compare --changed", "group --photos", "runs prune --dry-run"),
        "data cache prune --dry-run",
    }
)


def parameters(*, hidden: bool) -> dict[str, frozenset[str]]:
    """Return the parameters of every verb as they are written, the hidden ones or the others."""
    return dict(leaves(typer.main.get_command(cli.app), "", hidden))


def leaves(command: Any, path: str, hidden: bool) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield every verb below a group, by its words, with its parameters."""
    for name, child in command.commands.items():
        if hasattr(child, "commands"):
            yield from leaves(child, f"{path}{name} ", hidden)
        else:
            found = [one for one in child.params if one.name != "help" and getattr(one, "hidden", False) == hidden]
            yield path + name, frozenset(map(written, found))


def written(parameter: Any) -> str:
    """Return an option with all its spellings, or an argument's name in the help."""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar)
    return "/".join(sorted([*parameter.opts, *parameter.secondary_opts], key=len))


def test_the_verbs_and_options_are_the_written_ones() -> None:
    assert parameters(hidden=False) == SURFACE
    assert len(SURFACE) == 46
    hidden = {f"{verb} {option}" for verb, options in parameters(hidden=True).items() for option in options}
    assert hidden == HIDDEN


def test_one_spelling_has_one_meaning() -> None:
    """What is written is -o, a photo set without labels --unlabelled, settings are words with a dotted key."""
    every = [option for options in SURFACE.values() for option in options]
    assert len(every) > 100
    retired = {"--set", "--write", "--changed", "--tta", "--leaky"}
    assert {option for verb, options in SURFACE.items() for option in options & retired} == {"--leaky"}
    assert [verb for verb, options in SURFACE.items() if "--leaky" in options] == ["pseudo-label"]
    prunes = [verb for verb in SURFACE if verb.endswith("prune")]
    assert len(prunes) == 2
    assert all("--yes" in SURFACE[verb] for verb in prunes)


@pytest.mark.parametrize("verb", [[], *[name.split() for name in SURFACE]], ids=lambda v: " ".join(v) or "maskcls")
def test_help_shows_an_example(verb: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run_app([*verb, "--help"]) == Exit.OK
    assert f"maskcls {' '.join(verb)}".strip() in capsys.readouterr().out.replace("Usage: maskcls", "")


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from maskcls import cli; cli.run_app(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    heavy = {"torch", "timm", "numpy", "pandas", "sklearn", "scipy", "cv2", "albumentations", "pydantic", "PIL"}
    assert "typer" in loaded
    assert loaded.isdisjoint(heavy), loaded & heavy


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run_app(["--version"]) == Exit.OK
    assert capsys.readouterr().out == f"{__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["tarin"], Exit.USAGE, "Did you mean 'train'?"),
        (["train"], Exit.USAGE, "DATA"),
        (["train", "x", "--fold", "0"], Exit.USAGE, "--folds"),
        (["train", "x", "optim.lr"], Exit.USAGE, "dotted.key=value"),
        (["train", "x", "optim.lrr=1"], Exit.CONFIG, "did you mean 'lr'?"),
        (["train", "x", "--config", "mutli"], Exit.CONFIG, "did you mean 'multi'?"),
        (["train", "x", "--config", "absent.yaml"], Exit.CONFIG, "absent.yaml"),
        (["train", "absent"], Exit.DATA, "there is no such data"),
        (["train", "absent", "--folds", "0,9"], Exit.USAGE, "numbers from 0 to 4"),
        (["resume", "absent"], Exit.RESULT, "this is not a run"),
        (["predict", "absent", "--data", "x"], Exit.RESULT, "this is not a run"),
        (["predict", "absent", "--data", "x", "--tta", "none", "predict.views=hflip"], Exit.USAGE, "different values"),
        (["evaluate", "absent.csv", "--answers", "x.csv"], Exit.DATA, "absent.csv"),
        (["evaluate", "runs/typo"], Exit.DATA, "no such file or folder"),
        (["train", "a.txt", "data.format=table", "model.weights=no.pth"], Exit.WEIGHTS, "model.weights"),
        (["data", "make", "x", "--people", "0"], Exit.USAGE, "people"),
        (["data", "check", "absent"], Exit.DATA, "there is no such data"),
        (["demo", "a.txt"], Exit.RESOURCE, "a.txt"),
    ],
)
def test_a_fault_is_one_message_and_a_code(
    arguments: list[str],
    code: Exit,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("a file where a folder should be")
    assert cli.run_app(arguments) == code
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error
    if code != Exit.USAGE or error.startswith("error["):
        assert error.startswith(f"error[{code.name.lower()}]")
        assert len(error.splitlines()) <= 6
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_long_list_of_offenders_is_kept_in_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"photo {i}" for i in range(25)]

    def fail(*_: object) -> int:
        raise DataError("bad photos", offenders=names)

    monkeypatch.setattr(cli, "_exit_code", fail)
    assert cli.run_app([]) == Exit.DATA
    error = capsys.readouterr().err
    assert "photo 9" in error
    assert "photo 10" not in error
    kept = Path(re.findall(r"all of them: (\S+)", error)[0])
    assert kept.read_text().splitlines() == names
    kept.unlink()


def test_a_long_list_keeps_the_bytes_of_names_and_is_left_out_where_no_file_can_be_made(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    names = [os.fsdecode(b"photo \xff%d" % i) for i in range(25)]

    def fail(*_: object) -> int:
        raise DataError("bad photos", offenders=names)

    monkeypatch.setattr(cli, "_exit_code", fail)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), "utf8", "backslashreplace"))
    assert cli.run_app([]) == Exit.DATA
    (kept,) = tmp_path.iterdir()
    assert kept.read_bytes().splitlines() == list(map(os.fsencode, names))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    assert cli.run_app([]) == Exit.DATA


def test_a_bug_is_said_to_be_one_and_its_traceback_is_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> int:
        raise ZeroDivisionError("a bug to be seen")

    monkeypatch.setattr(cli, "_exit_code", fail)
    monkeypatch.delenv("MASKCLS_DEBUG", raising=False)
    assert cli.run_app([]) == Exit.INTERNAL
    error = capsys.readouterr().err
    assert "Traceback" not in error
    kept = Path(re.findall(r"where: (\S+)", error)[0])
    assert "a bug to be seen" in kept.read_text()
    kept.unlink()
    monkeypatch.setenv("MASKCLS_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        cli.run_app([])


def test_other_processes_say_who_they_are(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("RANK", "1")
    assert cli.run_app(["resume", "absent"]) == Exit.RESULT
    assert all(line.startswith("[process 1] ") for line in capsys.readouterr().err.splitlines())


def test_faces_are_made_checked_and_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = tmp_path / "faces"
    # Copies and pairs of photos, of which fewer take less time.
    monkeypatch.setattr("maskcls.training.data_check.duplicates.MADE_FROM", 4)
    monkeypatch.setattr("maskcls.data.duplicates.candidates.NEAREST", 2)
    assert cli.run_app(["data", "make", str(faces), "--people", "6", "--eval-people", "2", "--seed", "3"]) == Exit.OK
    assert "42 photos of 6 people" in capsys.readouterr().out
    assert cli.run_app(["data", "check", str(faces)]) == Exit.OK
    assert "train: 42 photos of 6 people, all readable\neval: 14 photos, all readable" in capsys.readouterr().out
    answers = str(faces / "eval" / "answers.csv")
    assert cli.run_app(["evaluate", answers, "--answers", answers, "--json"]) == Exit.OK
    scores = json.loads(capsys.readouterr().out)
    assert (scores["macro_f1"], scores["accuracy"], scores["rows"]) == (1.0, 1.0, 14)


def test_data_make_hands_on_its_seed(tmp_path: Path) -> None:
    tables = []
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        arguments = ["data", "make", str(tmp_path / name), "--people", "2", "--eval-people", "1", "--seed", seed]
        assert cli.run_app(arguments) == Exit.OK
        tables.append((tmp_path / name / "train" / "train.csv").read_bytes())
        tables[-1] += (tmp_path / name / "eval" / "info.csv").read_bytes()
    assert tables[0] == tables[1] != tables[2]


def test_data_check_reads_the_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rows.csv").write_text("path,group,mask,gender,age\n")
    assert cli.run_app(["data", "check", str(tmp_path / "rows.csv"), "data.format=contest"]) == Exit.DATA
    assert "the contest's format needs a folder" in capsys.readouterr().err
    assert cli.run_app(["data", "check", str(tmp_path / "rows.csv"), "data.format=table"]) == Exit.DATA
    assert "rows.csv" in capsys.readouterr().err


def test_a_reader_that_leaves_early_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("ImageID,ans\n" + "".join(f"{i}.jpg,{i % 18}\n" for i in range(200)))
    command = f"{sys.executable} -m maskcls evaluate a.csv --answers a.csv; echo code $? >&2"
    script = f"({command}) | (exec <&-; sleep 3)"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    told = [line for line in done.stderr.splitlines() if not line.endswith("s so far")]  # on a busy machine
    assert told == ["code 141"]


@pytest.mark.slow
def test_the_demo_goes_the_whole_way_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in (1, 2):
        assert cli.run_app(["demo", str(tmp_path)]) == Exit.OK
        out = capsys.readouterr().out
        assert (tmp_path / f"demo-{number}.csv").exists()
        assert (tmp_path / "runs" / f"demo-{number}" / "summary.json").exists()
        assert float(re.findall(r"macro-F1 (0\.\d+) on people", out)[0]) > 0.2  # guessing gives 0.06


@pytest.mark.parametrize("verb", [[], *[name.split() for name in SURFACE]], ids=lambda v: " ".join(v) or "maskcls")
def test_help_has_no_python_types_and_no_broken_example(
    verb: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.run_app([*verb, "--help"]) == Exit.OK
    text = capsys.readouterr().out
    assert re.findall(r"<\w+>|list\[|\b(?:bool|str|int|float)\b", text) == []
    found: Any = typer.main.get_command(cli.app)
    for word in verb:
        found = found.commands[word]
    examples = [line.strip() for line in found.help.splitlines() if line.strip().startswith("maskcls ")]
    assert examples
    assert [line for line in examples if line not in text] == []
