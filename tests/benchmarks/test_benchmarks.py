"""The benchmarks of scale and start-up run, on next to nothing, and write what their headers promise."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from project import BENCHMARKS_DIR
from tiny import experiment, train

BENCHMARKS = BENCHMARKS_DIR


@pytest.mark.slow
def test_scale(tmp_path: Path) -> None:
    command = [sys.executable, BENCHMARKS / "scale.py", "--photos", "700,1400", "--json", tmp_path / "out.json"]
    done = subprocess.run([*command, "--folder", tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    printed, data = done.stdout, json.loads((tmp_path / "out.json").read_text())

    assert (data["photos"], data["people"]) == ([700, 1400], [100, 200])
    assert len(data["stages"]) == 10
    for name, results in data["stages"].items():
        assert f"| {name} |" in printed
        assert [len(result["seconds"]) for result in results] == [1, 1]
        assert all(result["seconds"][0] > 0 and result["peak_mib"] > 10 for result in results)
        assert len(data["exponents"][name]) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]


@pytest.mark.slow
def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    cli = runpy.run_path(str(BENCHMARKS / "cli.py"))
    assert list(cli["COMMANDS"]) == [
        *("maskcls --help", "maskcls --version", "maskcls evaluate", "maskcls data check"),
        *("python -c pass", "python -c 'import torch'"),
    ]
    del cli["COMMANDS"]["python -c 'import torch'"]  # seconds of waiting that show nothing here
    monkeypatch.setattr(sys, "argv", ["cli.py", "--repeats", "1", "--json", str(tmp_path / "out.json")])
    cli["main"]()

    data, printed = json.loads((tmp_path / "out.json").read_text()), capsys.readouterr().out
    assert data["rows"] == 2800
    assert {name: len(times) for name, times in data["seconds"].items()} == dict.fromkeys(cli["COMMANDS"], 1)
    assert all(f"| `{name}` |" in printed for name in cli["COMMANDS"])
    assert all(min(times) > 0 for times in data["seconds"].values())


def test_the_comparison_of_splits_reads_its_command_line_and_deals_single_photos(drawn: Path) -> None:
    leakage = runpy.run_path(str(BENCHMARKS / "leakage.py"))
    given = leakage["argument_parser"]().parse_args(["runs/a", "--folds", "0,1", "--out", "out.json"])
    assert (given.run, given.folds, given.out) == (Path("runs/a"), "0,1", Path("out.json"))

    planned = experiment(drawn)
    dealt = planned.folds.assign(fold=leakage["image_level_folds"](planned)["fold"])
    by_image, by_person = (table.groupby("person")["fold"].nunique().max() for table in (dealt, planned.folds))
    assert by_image > by_person == 1
    line = leakage["row"]("by image", [{"macro_f1": 0.25}, {"macro_f1": 0.75}], ["macro_f1"])
    assert line == "| by image | 0.5000 ± 0.3536 |"


@pytest.mark.slow
def test_the_comparison_of_splits(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(drawn, tmp_path / "run", "train.epochs=1") == 0
    monkeypatch.setattr(sys, "argv", ["leakage.py", str(tmp_path / "run"), "--out", str(tmp_path / "out.json")])
    runpy.run_path(str(BENCHMARKS / "leakage.py"), run_name="__main__")
    written = json.loads((tmp_path / "out.json").read_text())
    assert (written["folds"], len(written["person"]), len(written["image"])) == ([0, 1], 2, 2)
    assert "| by person |" in capsys.readouterr().out


def test_bits_names_what_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bits = runpy.run_path(str(BENCHMARKS_DIR / "bits.py"))
    assert list(bits["RECIPES"]) == ["tiny", "multi", "joint", "separate", "seeds", "groups"]

    def train(out: Path) -> None:
        for name in (
            "runs/a/oof.npz",
            "runs/a/fold0/resume/state.safetensors",
            "cache/p.npz",
            "a.csv",
            "runs/a/env.json",
        ):
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_text(f"{name} {out.name if name == 'a.csv' else ''}")

    monkeypatch.setitem(bits["main"].__globals__, "train", train)
    for words, code in (("one", 0), ("one2 --like one", 1), ("x/one --like one", 0)):
        out, *rest = (str(tmp_path / word) if not word.startswith("-") else word for word in words.split())
        monkeypatch.setattr(sys, "argv", ["bits.py", out, *rest])
        try:
            bits["main"]()
            ended = 0
        except SystemExit as end:
            ended = int(end.code or 0)
        assert ended == code, words
    printed = capsys.readouterr().out
    assert "2 files of 6 recipes" in printed
    assert "different: a.csv\n1 of 2 files differ" in printed
    assert "0 of 2 files differ" in printed
