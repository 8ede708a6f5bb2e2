"""Going on from a fold's best weights with the people that scored them: what changes, what stays, who is asked."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tiny import UNSCORED, experiment, hashes, log_lines, outcome, resume, train

from maskcls.cli import run_app
from maskcls.results.predictions import Predictions
from maskcls.training.folds import continuing

PLAIN = ("model.backbone=test_convnext", "train.epochs=1", "schedule.kind=constant", "schedule.warmup_epochs=0")
WORDS = (*PLAIN, "train.continue_epochs=2")


@pytest.fixture(scope="module")
def whole(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("continued") / "run"
    assert train(drawn, run, *WORDS) == 0
    return run


def test_the_rows_it_learns_from(drawn: Path) -> None:
    for how in ("all", "valid"):
        plan = experiment(drawn, "train.continue_epochs=1", f"train.continue_rows={how}")
        member, k = plan.trainings([1])[-1]
        assert (member.continued, k, member.title(k)) == (True, 1, "fold 1 continued")
        rows, scored = plan.rows(member, 1), plan.rows(plan.members[0], 1)
        wanted = range(84) if how == "all" else scored.valid
        assert rows.train.tolist() == list(wanted)
        assert rows.valid.tolist() == []


def test_the_recipe_it_goes_on_with(drawn: Path) -> None:
    words = ("train.epochs=9", "train.continue_epochs=3", "train.continue_lr_share=0.25", "optim.lr=4e-3")
    words += ("optim.freeze_epochs=1", "train.stages=[[2, 0.5]]", "train.patience=1", "schedule.warmup_epochs=4")
    cfg = continuing(experiment(drawn, *words).members[0]).cfg
    assert (cfg.train.epochs, cfg.train.patience, cfg.train.stages) == (3, None, ())
    assert (cfg.optim.lr, cfg.optim.freeze_epochs, cfg.schedule.warmup_epochs) == (1e-3, 0, 0)


def test_what_it_leaves(whole: Path, drawn: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert train(drawn, run, *PLAIN) == 0
    for k in range(2):
        before, after = hashes(run / f"fold{k}"), hashes(whole / f"fold{k}")
        own = {name.removeprefix("continued/") for name in after if name.startswith("continued/")}
        assert own == UNSCORED
        assert len(UNSCORED) == 8
        # What was scored is what it would have been without.
        assert (
            after["best/weights.safetensors"]
            == before["best/weights.safetensors"]
            != after["continued/best/weights.safetensors"]
        )
        assert after["oof.npz"] == before["oof.npz"]
        lines = log_lines(whole / f"fold{k}/continued")
        assert [line["lr"] for line in lines] == pytest.approx([3e-5, 3e-5])  # a tenth of the default
    assert (whole / "oof.npz").read_bytes() == (run / "oof.npz").read_bytes()


def predictions(run: Path, drawn: Path, tmp_path: Path, networks: str) -> Predictions:
    out = tmp_path / f"{networks}.csv"
    assert run_app(["predict", str(run), "--data", str(drawn), "-o", str(out), f"predict.networks={networks}"]) == 0
    ending = "" if networks == "folds" else f"-{networks}"
    return Predictions.load(run / "test" / f"faces-none{ending}.npz")


def test_it_is_asked_by_name(whole: Path, drawn: Path, tmp_path: Path) -> None:
    found = {name: predictions(whole, drawn, tmp_path, name) for name in ("folds", "continued")}
    difference = abs(found["folds"].prob - found["continued"].prob).max()
    assert 1e-5 < difference < 0.2  # it begins where the folds' networks ended, and so stays near them


def test_a_run_without_it_cannot_ask_for_it(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert train(drawn, run, *PLAIN, "--folds", "0") == 0
    words = ["predict", str(run), "--data", str(drawn), "-o", str(tmp_path / "a.csv")]
    assert run_app([*words, "predict.networks=continued"]) == 3
    assert "train.continue_epochs above 0" in capsys.readouterr().err


def test_resume_trains_what_is_left(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    shutil.rmtree(run / "fold1/continued")
    assert resume(run) == 0
    assert outcome(run) == outcome(whole)
    capsys.readouterr()
    assert resume(run) == 0
    assert "nothing to do" in capsys.readouterr().err


SHORT = ("train.epochs=1", "train.continue_epochs=1", "train.continue_rows=valid", "--folds", "0")


@pytest.mark.parametrize(
    ("more", "networks"),
    [
        (("train.seeds=2",), 2),
        pytest.param(("model.heads=separate", "train.seeds=2"), 6, marks=pytest.mark.slow),
    ],
)
def test_with_a_network_a_task_and_seeds(drawn: Path, tmp_path: Path, more: tuple[str, ...], networks: int) -> None:
    assert train(drawn, tmp_path / "run", *SHORT, *more) == 0
    assert len(list((tmp_path / "run").glob("members/*/fold0/continued/DONE"))) == networks


def test_with_what_only_teaches(drawn: Path, tmp_path: Path) -> None:
    assert train(drawn, tmp_path / "run", *SHORT, "balance.learned=true") == 0
    assert (tmp_path / "run/fold0/continued/DONE").exists()
