"""Runs of single folds with rows that are in no fold, gathered: pseudo-labelled photos, and sealed people."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from test_gather import QUICK, gather, one_line, refused, train_parts
from tiny import outcome, train

from maskcls.cli import run_app
from maskcls.errors import Exit

WORDS = (*QUICK, "folds.k=2")


def test_pseudo_labelled_rows_are_compared_by_their_content(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    teacher, whole, run = tmp_path / "teacher", tmp_path / "whole", tmp_path / "run"
    files = [tmp_path / name / "pseudo.csv" for name in "abc"]
    for file in files:
        file.parent.mkdir()
    assert train(drawn, teacher, *WORDS) == 0
    label = ["pseudo-label", str(teacher), "--data", str(drawn), "--min-confidence", "0", "--agree", "0"]
    assert run_app([*label, "-o", str(files[0])]) == 0
    for path in files[0].parent.iterdir():
        shutil.copy(path, files[1].parent)  # the same rows at another path
    assert run_app([*label, "-o", str(files[2]), "--soft"]) == 0
    assert train(drawn, whole, *WORDS, f"data.pseudo={files[0]}") == 0
    runs = []
    for file, fold in zip(files, ("0", "1", "1"), strict=True):
        runs += train_parts(drawn, file.parent, *WORDS, f"data.pseudo={file}", folds=(fold,))
    said = refused([runs[0], runs[2]], tmp_path / "run", capsys, code=Exit.DATA)
    assert "the runs have other added rows" in said
    assert gather(run, runs[:2]) == 0
    assert f"data.pseudo={files[0]} and {files[1]}" in one_line(capsys.readouterr().err)
    assert outcome(run) == outcome(whole)
    for name in ("pseudo.csv", "pseudo.json"):
        assert (run / name).read_bytes() == (whole / name).read_bytes()
    assert run_app(["verify", str(run)]) == 0


def test_sealed_people_stay_sealed_and_can_be_opened(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words, whole, run = (*WORDS, "folds.sealed=0.25"), tmp_path / "whole", tmp_path / "run"
    assert train(drawn, whole, *words) == 0
    parts = train_parts(drawn, tmp_path, *words, folds=("0", "1"))
    (other,) = train_parts(drawn, tmp_path / "other", *WORDS, folds=("1",))
    said = refused([parts[0], other], run, capsys, code=Exit.CONFIG)
    assert "the runs have other settings: folds.sealed" in said
    assert gather(run, parts) == 0
    assert outcome(run) == outcome(whole)
    sealed = pd.read_csv(run / "sealed.csv", dtype=str)
    assert not set(sealed["id"]) & set(pd.read_csv(run / "folds.csv", dtype=str)["id"])
    capsys.readouterr()
    found = []
    for one in (run, whole):
        assert run_app(["unseal", str(one), "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0]["rows"] == found[1]["rows"] == len(sealed)
    assert found[0]["scores"] == found[1]["scores"]
