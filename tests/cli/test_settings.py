"""Settings on the command line: --config in every verb that takes it, and settings given as options."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_cli import SURFACE

from maskcls import cli
from maskcls.errors import Exit

WITH_CONFIG = (
    "train",
    "pretrain",
    "self-train",
    "tune",
    "debug",
    "data check",
    "data look",
    "bench data",
    "bench step",
    "bench lr",
    "config show",
    "synth train",
    "synth judge",
)


def test_the_verbs_that_take_a_configuration_are_the_written_ones() -> None:
    found = {verb for verb, options in SURFACE.items() if "-c/--config" in options}
    assert found == {*WITH_CONFIG, "data labels"}  # that one reads it with --prove only: tests/commands
    assert len(WITH_CONFIG) == 13


@pytest.mark.parametrize("verb", WITH_CONFIG)
@pytest.mark.parametrize("first", [True, False])
def test_every_verb_reads_every_file(
    verb: str, first: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("wrong.yaml").write_text("optim: {lrr: 1}")
    names = ["wrong.yaml", "tiny_cpu"] if first else ["tiny_cpu", "wrong.yaml"]
    data = ["absent"] if SURFACE[verb] & {"DATA", "DATA|RUN", "RUN|DATA"} else []
    data += ["absent.csv"] if "SAMPLES|KEY=VALUE" in SURFACE[verb] else []
    assert cli.run_app([*verb.split(), *data, "-c", names[0], "-c", names[1]]) == Exit.CONFIG
    assert "wrong.yaml: optim.lrr" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["train", "x", "--epochs", "3"], "--epochs is a setting, not an option: give it as train.epochs=VALUE"),
        (["train", "x", "--batch-size=3"], "train.batch_size=VALUE or predict.batch_size=VALUE"),
        (["data", "check", "x", "--optim.lr", "3"], "give it as optim.lr=VALUE"),
        (["train", "x", "--seed", "3"], "give it as seed=VALUE or folds.seed=VALUE"),
        (["train", "x", "--nothing", "3"], None),
        (["evaluate", "x", "--epochs", "3"], None),  # takes no settings
        (["train", "x", "--folds"], None),
    ],
)
def test_a_setting_given_as_an_option_is_answered_with_its_key(
    words: list[str], hint: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run_app(words) == Exit.USAGE
    err = capsys.readouterr().err
    assert (hint in err) if hint else ("is a setting" not in err)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["train", "x", "--run", "a", "--run", "b"], "--run"),
        (["evaluate", "x", "-o", "a", "--output", "a"], "--output or -o"),
        (["runs", "note", "x", "--keep", "--no-keep"], "--keep or --no-keep"),
        (["data", "check", "x", "--page=a.html", "--page=b.html"], "--page"),
    ],
)
def test_an_option_of_one_value_is_given_once(words: list[str], name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run_app(words) == Exit.USAGE
    assert f"an option is given twice\n  got: {name}\n" in capsys.readouterr().err


def test_a_flag_and_an_option_of_many_values_may_be_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["config", "show", "-c", "tiny_cpu", "-c", "multi", "--json", "--json"]
    assert cli.run_app(words) == Exit.OK
    assert capsys.readouterr().err == ""


KEEPS = "error[usage] a run keeps the settings that it was trained with, and this verb takes none"
# Verbs of a run without settings, up to the first word that they have no place for.
WITHOUT_SETTINGS = [
    "resume RUN",
    "report RUN",
    "evaluate RUN",
    "calibrate RUN",
    "unseal RUN",
    "verify RUN",
    "runs note RUN text",
    "runs compare RUN other",
]


@pytest.mark.parametrize("line", WITHOUT_SETTINGS)
def test_a_verb_of_a_run_says_how_to_train_another_one(
    line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run_app([*_words(line), "optim.lr=1e-4", "seed=2"]) == 2
    again = "maskcls train DATA --config 'runs/a b/config.yaml' --run NEW optim.lr=1e-4 seed=2"
    said = capsys.readouterr().err
    assert said.startswith(f"{KEEPS}\n  got: optim.lr=1e-4 seed=2\n")
    assert " ".join(said.split()).endswith(again)


def _words(line: str) -> list[str]:
    return ["runs/a b" if word == "RUN" else word for word in line.split()]


@pytest.mark.parametrize("words", [["verify", "a", "b"], ["resume", "a", "x=1"], ["verify", "a", "seed=1"]])
def test_other_words_too_many_are_no_settings(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seed=1").mkdir()
    assert cli.run_app(words) == Exit.USAGE
    assert "unexpected extra argument" in capsys.readouterr().err


def test_a_note_and_a_run_may_look_like_a_setting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seed=1").mkdir()
    for words in (["runs", "note", "a", "seed=1"], ["report", "a", "seed=1", "-o", "x.html"]):
        assert cli.run_app(words) == Exit.RESULT  # these are no runs
        assert KEEPS not in capsys.readouterr().err
