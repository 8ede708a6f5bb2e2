"""maskcls tta RUN --adapt: rows of the run without a shift, every method beside them, verdicts by the interval."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import train

from maskcls.cli import run_app
from maskcls.results.comparison.adaptation import TriedAdaptation, compare_adaptations
from maskcls.results.comparison.difference import Difference
from maskcls.results.shift.coral import FeatureMoments
from maskcls.training.predicting.adapted_networks import AdaptingRows, moments_of

QUICK = ("train.epochs=1", "optim.lr=1e-2", "schedule.warmup_epochs=0", "average.kind=none")


@pytest.fixture(scope="module")
def run(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("judged") / "run"
    assert train(drawn, made, *QUICK) == 0
    return made


def answer(run: Path, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert run_app(["tta", str(run), "--adapt", "--json", *words]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_without_a_shift_plain_is_the_run_s_own_score_and_nothing_is_written(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(str(path) for path in run.rglob("*"))
    found = answer(run, capsys)
    summary = json.loads((run / "summary.json").read_text())
    assert found["none"] == pytest.approx(summary["pooled"]["macro_f1"], abs=1e-9)
    assert [one["name"] for one in found["tried"]] == ["coral", "adabn", "expected", "em"]
    assert all(one["gain"]["level"] == pytest.approx(1 - 0.05 / 4) for one in found["tried"])
    assert (found["rows"], found["people"], found["shift"]) == (84, 12, "none")
    assert sorted(str(path) for path in run.rglob("*")) == before


def test_shifts_change_the_photos_and_the_printed_table_names_verdicts(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = answer(run, capsys)
    shares = answer(run, capsys, "--shift", "shares")
    assert 0 < shares["people"] < plain["people"]
    scores = {shift: answer(run, capsys, "--shift", shift)["none"] for shift in ("camera", "jpeg", "night")}
    assert len({plain["none"], *scores.values()}) >= 2
    assert run_app(["tta", str(run), "--adapt", "--shift", "night"]) == 0
    told = capsys.readouterr().out
    assert told.count("not shown") + told.count("helps") >= 4
    assert "with the planted shift night" in told


def test_a_backbone_without_batch_norm_leaves_adabn_out(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "run"
    assert train(drawn, made, *QUICK, "model.backbone=test_convnext") == 0
    found = answer(made, capsys)
    assert [one["name"] for one in found["tried"]] == ["coral", "expected", "em"]
    assert found["skipped"] == {"adabn": "the backbone has no batch norm"}


def test_coral_is_tested_between_people_the_network_has_not_seen(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is aimed at, and what is adapted, are two halves of the people whom the network's fold validates."""
    seen: list[tuple[str, ...]] = []

    def watched(predictor: Any, rows: AdaptingRows, *others: Any) -> FeatureMoments:
        seen.append(tuple(rows.id_N.tolist()))
        return moments_of(predictor, rows, *others)

    for name in ("adapted_networks", "adaptation_trial"):
        monkeypatch.setattr(f"maskcls.training.predicting.{name}.moments_of", watched)
    answer(run, capsys)
    with (run / "folds.csv").open() as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert len(seen) == 2 * 2 * 2  # folds, halves, both sides
    for source, new in zip(seen[::2], seen[1::2], strict=True):
        people = [{rows[name]["person"] for name in one} for one in (source, new)]
        assert people[0].isdisjoint(people[1])
        (fold,) = {rows[name]["fold"] for name in (*source, *new)}
        assert people[0] | people[1] == {row["person"] for row in rows.values() if row["fold"] == fold}
    assert len(set(seen[::2])) == 4  # each half of each fold is aimed at once


def test_refusals(run: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["tta", str(run), "--shift", "night"]) == 2
    assert "without --adapt" in capsys.readouterr().err
    one = tmp_path / "one"
    assert train(drawn, one, *QUICK, "--folds", "0") == 0
    assert run_app(["tta", str(one), "--adapt"]) == 9
    moved, other = tmp_path / "faces", tmp_path / "other"
    shutil.copytree(drawn, moved)
    assert train(moved, other, *QUICK, "model.backbone=test_convnext") == 0
    shutil.rmtree(moved)
    capsys.readouterr()
    assert run_app(["tta", str(other), "--adapt"]) == 4
    assert "--data PATH" in capsys.readouterr().err
    assert run_app(["tta", str(other), "--adapt", "--data", str(drawn)]) == 0


def test_verdicts_are_read_from_the_interval() -> None:
    def verdict(low: float, high: float) -> str:
        return TriedAdaptation("coral", 0.5, Difference((low + high) / 2, low, high, 0.5, 0.95)).verdict

    assert verdict(0.01, 0.2) == "helps"
    assert verdict(-0.2, 0.0) == "does not help"
    assert verdict(-0.2, -0.01) == "does not help"
    assert verdict(-0.1, 0.1) == verdict(0.0, 0.1) == "not shown"


def test_a_method_that_repairs_every_person_helps_and_one_that_breaks_them_does_not() -> None:
    truth, people = np.tile([0, 1], 60), np.repeat(np.arange(40), 3)
    plain = np.where(np.arange(120) % 3 == 0, 1 - truth, truth)
    worse = np.where(np.arange(120) % 3 < 2, 1 - truth, truth)
    found = compare_adaptations(
        plain, {"coral": truth, "adabn": worse, "em": plain}, truth, people, 2, shift="night", skipped={}
    )
    assert [one.verdict for one in found.tried] == ["helps", "does not help", "does not help"]
