"""Which weights a fold ends with: chosen by the other folds' rows, from the epochs that were kept, or their average."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from edited import edit_json
from safetensors.torch import load_file
from sklearn.metrics import f1_score, log_loss
from tiny import hashes, in_a_fold, log_lines, outcome, resume, train

from maskcls import files
from maskcls.cli import run_app
from maskcls.data.layouts import contest
from maskcls.data.rows.manifest import from_csv, labels
from maskcls.errors import ResourceError
from maskcls.labels import CONTEST, Floats, Ints
from maskcls.nn.average import soup
from maskcls.rundir import RunDir
from maskcls.runs.records.record import read_record
from maskcls.training.epochs import epoch_selection

FOLDS, EPOCHS = 3, 4
WORDS = ("folds.k=3", "train.epochs=4", "average.kind=none", "optim.lr=3e-3")
Score = Callable[[Ints, Floats], float]


@pytest.fixture(scope="module")
def chosen(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose epochs differ much, so that a wrong choice shows."""
    run = tmp_path_factory.mktemp("chosen") / "run"
    assert train(drawn, run, *WORDS) == 0
    return run


def one_line(text: str) -> str:
    return " ".join(text.split())


def truth_of(run: Path, k: int) -> dict[str, Ints]:
    """Return the labels of a fold's validation rows, in the order of the manifest."""
    fold = np.array([int(line.rsplit(",", 1)[1]) for line in (run / "folds.csv").read_text().splitlines()[1:]])
    return {
        name: values[fold == k] for name, values in labels(from_csv(run / "manifest.csv", CONTEST), CONTEST).items()
    }


def rows_of(run: Path, k: int) -> list[Floats]:
    return [np.load(run / f"fold{k}/epochs/{epoch}.npy") for epoch in range(EPOCHS)]


def expected(run: Path, k: int, score: Score, among: range = range(EPOCHS)) -> int:
    """Choose a fold's epoch with scikit-learn, from the files of the other folds."""
    others = [j for j in range(FOLDS) if j != k]
    truth = np.concatenate([CONTEST.encode(truth_of(run, j)) for j in others])
    values = [score(truth, np.concatenate([rows_of(run, j)[epoch] for j in others])) for epoch in among]
    return max(among, key=lambda epoch: (values[among.index(epoch)], epoch))


def macro(truth: Ints, prob: Floats) -> float:
    return float(f1_score(truth, prob.argmax(1), average="macro"))


def task_macro(index: int) -> Score:
    part = list(CONTEST.decode(np.arange(18)).values())[index]
    return lambda truth, prob: float(f1_score(part[truth], part[prob.argmax(1)], average="macro"))


def minus_loss(truth: Ints, prob: Floats) -> float:
    return -float(log_loss(truth, prob.astype(float), labels=range(18)))


SCORES: dict[str, Score] = {
    "macro_f1": macro,
    "tasks": lambda truth, prob: float(np.mean([task_macro(i)(truth, prob) for i in range(3)])),
    "loss": minus_loss,
    "gender": task_macro(1),
}


def used_epochs(run: Path) -> list[int]:
    return [json.loads((run / f"fold{k}/summary.json").read_text())["best_epoch"] for k in range(FOLDS)]


@pytest.mark.parametrize(
    "select", ["macro_f1", "loss", "gender", "last", pytest.param("tasks", marks=pytest.mark.slow)]
)
def test_each_criterion_chooses_by_the_other_folds(
    chosen: Path, drawn: Path, tmp_path: Path, select: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = chosen
    if select != "macro_f1":
        run = tmp_path / "run"
        assert train(drawn, run, *WORDS, f"train.select={select}") == 0
        assert [f"fold0/epochs/{e}.npy" in hashes(run) for e in range(EPOCHS)] == [True] * EPOCHS
    want = [EPOCHS - 1] * FOLDS if select == "last" else [expected(run, k, SCORES[select]) for k in range(FOLDS)]
    assert used_epochs(run) == want
    summary = json.loads((run / "summary.json").read_text())["selection"]
    assert (summary["by"], list(summary["epochs"].values())) == (select, want)
    assert list(summary["epochs"]) == [f"fold {k}" for k in range(FOLDS)]
    assert summary["kept"] == []


def test_the_criteria_are_told_apart(chosen: Path) -> None:
    """Otherwise the test above could not see that one is taken for another."""
    found = [tuple(expected(chosen, k, score) for k in range(FOLDS)) for score in SCORES.values()]
    own = tuple(int(np.argmax([line["val/macro_f1"] for line in log_lines(chosen / f"fold{k}")])) for k in range(FOLDS))
    assert len(set(found)) > 1
    assert found[0] != own


def test_the_weights_and_rows_are_those_of_the_chosen_epoch(chosen: Path) -> None:
    for k, epoch in enumerate(used_epochs(chosen)):
        meta = json.loads((chosen / f"fold{k}/best/meta.json").read_text())
        line = log_lines(chosen / f"fold{k}")[epoch]
        assert meta["epoch"] == epoch
        assert meta["scores"]["macro_f1"] == line["val/macro_f1"]
        summary = json.loads((chosen / f"fold{k}/summary.json").read_text())
        assert summary["macro_f1"] == pytest.approx(
            macro(CONTEST.encode(truth_of(chosen, k)), rows_of(chosen, k)[epoch])
        )
        assert {name for name in hashes(chosen) if name.startswith(f"fold{k}/")} == {
            f"fold{k}/{name}" for name in in_a_fold(EPOCHS)
        }


def test_the_last_epochs_score_stands_beside(chosen: Path) -> None:
    summary = json.loads((chosen / "summary.json").read_text())
    truth = np.concatenate([CONTEST.encode(truth_of(chosen, k)) for k in range(FOLDS)])
    last = macro(truth, np.concatenate([rows_of(chosen, k)[-1] for k in range(FOLDS)]))
    assert summary["selection"]["last"] == pytest.approx(last)
    gain = summary["selection"]["gain"]
    assert gain["value"] == pytest.approx(summary["pooled"]["macro_f1"] - last)
    assert gain["low"] <= gain["value"] <= gain["high"]


def test_only_kept_epochs_can_be_chosen(chosen: Path, drawn: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert train(drawn, run, *WORDS, "train.keep_epochs=2") == 0
    want = [expected(run, k, macro, range(2, EPOCHS)) for k in range(FOLDS)]
    assert used_epochs(run) == want != used_epochs(chosen)


def test_one_fold_uses_its_last_epoch_and_says_so(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert train(drawn, run, *WORDS, "--folds", "1") == 0
    assert "the last one is used" in capsys.readouterr().err
    assert json.loads((run / "fold1/best/meta.json").read_text())["epoch"] == EPOCHS - 1


def test_folds_that_are_added_later_choose_as_one_command_does(
    chosen: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert train(drawn, run, *WORDS, "--folds", "0") == 0
    assert "1 of 3 folds: the weights to choose epochs from" in one_line(capsys.readouterr().err)
    assert sorted(path.name for path in (run / "fold0/candidates").iterdir()) == ["0", "1", "2", "3"]
    assert resume(run) == 0
    assert "nothing to do; folds 1, 2 are not part of it; add them with --folds 1,2" in one_line(
        capsys.readouterr().err
    )
    assert read_record(RunDir(run)).status == "finished, 1 of 3 folds"
    assert resume(run, "--folds", "2") == 0
    assert json.loads((run / "fold0/summary.json").read_text())["among"] == [0, 2]
    assert resume(run, "--folds", "1") == 0
    assert outcome(run) == outcome(chosen)
    assert used_epochs(run) == [expected(run, k, macro) for k in range(FOLDS)] != [EPOCHS - 1] * FOLDS
    assert set(hashes(run)) == set(hashes(chosen))
    assert read_record(RunDir(run)).status == "finished"


def test_interrupted_while_folds_are_chosen_again_it_ends_the_same(
    chosen: Path, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, commit = tmp_path / "run", files.commit_json
    assert train(drawn, run, *WORDS, "--folds", "0,1") == 0

    def stopped(path: Path, data: Any) -> str:
        if path in stops:
            raise ResourceError("the disk is full")
        return commit(path, data)

    monkeypatch.setattr(files, "commit_json", stopped)
    for stop in ("fold0/summary.json", "fold0/DONE", "fold1/DONE", "summary.json"):
        stops = {run / stop}
        assert resume(run, "--folds", "2") == 6
    monkeypatch.setattr(files, "commit_json", commit)
    assert resume(run) == 0
    assert outcome(run) == outcome(chosen)
    assert set(hashes(run)) == set(hashes(chosen))


def test_a_network_that_was_continued_from_other_weights_is_trained_again(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words, whole, parts = (*WORDS, "train.continue_epochs=1"), tmp_path / "whole", tmp_path / "parts"
    assert train(drawn, whole, *words) == 0
    assert train(drawn, parts, *words, "--folds", "0") == 0
    capsys.readouterr()
    assert resume(parts, "--folds", "1,2") == 0
    assert "fold0/continued is trained again" in one_line(capsys.readouterr().err)
    assert outcome(parts) == outcome(whole)


def test_a_fold_whose_other_epochs_were_deleted_keeps_its_epoch(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its rows count for the folds that come later."""
    run = tmp_path / "run"
    assert train(drawn, run, *WORDS, "--folds", "0") == 0
    assert run_app(["runs", "prune", str(tmp_path), "--keep", "1", "--yes"]) == 0
    before = hashes(run / "fold0")
    assert not [name for name in before if name.startswith("candidates")]
    assert resume(run, "--folds", "1,2") == 0
    assert (
        "chosen by macro_f1 of the other folds; kept from a training of fewer folds: fold 0" in capsys.readouterr().out
    )
    assert json.loads((run / "summary.json").read_text())["selection"]["kept"] == ["fold 0"]
    assert hashes(run / "fold0") == before
    assert used_epochs(run) == [EPOCHS - 1, *(expected(run, k, macro) for k in (1, 2))]


def test_a_leaky_run_keeps_no_rows_and_uses_its_last_epoch(chosen: Path, drawn: Path, tmp_path: Path) -> None:
    made, by_hand, run = tmp_path / "pseudo.csv", tmp_path / "by_hand.csv", tmp_path / "run"
    words = ["--data", str(drawn), "-o", str(made), "--min-confidence", "0", "--agree", "0"]
    assert run_app(["pseudo-label", str(chosen), *words]) == 0
    table = pd.read_csv(made, dtype=str, keep_default_na=False).query("set == 'all'")
    table[["id", "path", "mask", "gender", "age"]].to_csv(by_hand, index=False)  # without a sidecar
    assert train(drawn, run, *WORDS, f"data.pseudo={by_hand}", "data.leaky=true") == 0
    assert not list(run.rglob("epochs"))
    assert used_epochs(run) == [EPOCHS - 1] * FOLDS


# ---- soups ----------------------------------------------------------------------------------------------------------

SOUP = (*WORDS, "average.soup=3")


States = list[list[dict[str, torch.Tensor]]]


def watching(monkeypatch: pytest.MonkeyPatch) -> States:
    """Return the states every soup is made of, as they come."""
    seen: States = []

    def noting(states: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        seen.append([{name: value.clone() for name, value in state.items()} for state in states])
        return soup(states)

    monkeypatch.setattr(epoch_selection, "soup", noting)
    return seen


@pytest.fixture(scope="module")
def soups(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, States]]:
    """A run of soups, not to be changed, and the states that each is made of."""
    run = tmp_path_factory.mktemp("soups") / "run"
    with pytest.MonkeyPatch.context() as patch:
        watched = watching(patch)
        assert train(drawn, run, *SOUP) == 0
    before = hashes(run)
    yield run, watched
    assert hashes(run) == before, "a test has written into the run that all read"


def test_a_soup_takes_the_place_of_the_chosen_epoch(chosen: Path, soups: tuple[Path, States]) -> None:
    """Whether an average is used is no choice: no row could score it without taking part in it."""
    run, watched = soups
    assert [len(states) for states in watched] == [3] * FOLDS
    used = json.loads((run / "summary.json").read_text())["selection"]["soups"]
    for k, states in enumerate(watched):
        meta = json.loads((run / f"fold{k}/best/meta.json").read_text())
        saved = load_file(run / f"fold{k}/best/weights.safetensors")
        fold = json.loads((run / f"fold{k}/summary.json").read_text())
        assert meta["epoch"] == fold["best_epoch"] == used_epochs(chosen)[k]
        assert meta["soup"] == fold["soup"] == used[f"fold {k}"]
        assert len(meta["soup"]) == 3
        assert meta["epoch"] in meta["soup"]
        assert meta["scores"]["macro_f1"] == pytest.approx(fold["macro_f1"])
        for name, value in soup(states).items():
            torch.testing.assert_close(saved[name], value)
        assert not (run / f"fold{k}/candidates").exists()
        assert "soup" not in json.loads((run / f"fold{k}/last/meta.json").read_text())


def test_a_soup_of_one_fold_is_of_its_last_epochs(drawn: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert train(drawn, run, *SOUP, "--folds", "0") == 0
    assert json.loads((run / "fold0/best/meta.json").read_text())["soup"] == [1, 2, 3]


def test_a_soup_without_any_complete_row_has_no_score(drawn: Path, tmp_path: Path) -> None:
    """Nobody has a label of every task: the joint log loss is not defined, and null on disk."""
    table, run = tmp_path / "table.csv", tmp_path / "run"
    shutil.copytree(drawn / "train", tmp_path / "train")
    incomplete_table(drawn).to_csv(table, index=False)
    words = ("average.soup=2", "data.format=table", "folds.k=2", "train.epochs=2")
    assert train(table, run, *words) == 0
    meta = json.loads((run / "fold0/best/meta.json").read_text())
    assert (meta["scores"]["loss"], len(meta["soup"])) == (None, 2)


def incomplete_table(drawn: Path) -> pd.DataFrame:
    """Return a table of the drawn photos: of every other person the mask is unknown, of the rest the gender."""
    frame = contest.read_train(drawn, CONTEST)
    known = {name: [CONTEST.task(name).classes[i] for i in frame[name]] for name in ("mask", "gender")}
    table = pd.DataFrame(
        {"path": frame["path"], "group": frame["person"], **known, "age": frame["age_value"].astype(str)}
    )
    even = pd.factorize(frame["person"])[0] % 2 == 0
    return table.assign(mask=table["mask"].mask(even, ""), gender=table["gender"].mask(~even, ""))


def test_the_soup_s_epochs_are_those_the_other_folds_rank_first(drawn: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert train(drawn, run, *WORDS, "average.soup=2") == 0
    for k in range(FOLDS):
        first = expected(run, k, macro)
        left = [epoch for epoch in range(EPOCHS) if epoch != first]
        others = [j for j in range(FOLDS) if j != k]
        truth = np.concatenate([CONTEST.encode(truth_of(run, j)) for j in others])
        scores = {e: macro(truth, np.concatenate([rows_of(run, j)[e] for j in others])) for e in left}
        second = max(left, key=lambda e: (scores[e], e))
        assert json.loads((run / f"fold{k}/best/meta.json").read_text())["soup"] == sorted((first, second))


def test_one_epoch_is_no_soup(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, watched = tmp_path / "run", watching(monkeypatch)
    assert train(drawn, run, *SOUP, "train.epochs=1", "schedule.warmup_epochs=0.5") == 0
    assert watched == []
    assert not list(run.rglob("soup*"))


@pytest.mark.parametrize(
    "stop",
    [
        pytest.param("fold1/candidates/soup/meta.json", marks=pytest.mark.slow),
        "fold1/best/meta.json",
        pytest.param("fold1/summary.json", marks=pytest.mark.slow),
    ],
)
def test_interrupted_while_folds_are_finished_it_ends_the_same(
    soups: tuple[Path, States], drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: str
) -> None:
    (whole, _), cut, commit = soups, tmp_path / "cut", files.commit_json

    def stopped(path: Path, data: Any) -> str:
        if path == cut / stop:
            raise ResourceError("the disk is full")
        return commit(path, data)

    monkeypatch.setattr(files, "commit_json", stopped)
    assert train(drawn, cut, *SOUP) == 6
    monkeypatch.setattr(files, "commit_json", commit)
    epochs = len(log_lines(cut / "fold0"))
    assert resume(cut) == 0
    assert len(log_lines(cut / "fold0")) == epochs == EPOCHS
    assert outcome(cut) == outcome(whole)
    assert set(hashes(cut)) == set(hashes(whole))


# ---- damage ---------------------------------------------------------------------------------------------------------


HUGE = (
    b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999999, 18), }"
    + b" " * 41
    + b"\n"
)


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", b"PK\x03\x04", HUGE, None])
def test_damaged_rows_are_named(
    chosen: Path, tmp_path: Path, damage: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(chosen, run)
    path = run / "fold1/epochs/2.npy"
    if damage is None:
        np.save(path, np.load(path)[:-1])
    else:
        path.write_bytes(damage)
    (run / "fold0/DONE").unlink()
    (run / "summary.json").unlink()
    assert resume(run) == 9
    message = capsys.readouterr().err
    assert str(path) in message
    assert "cannot read the rows of an epoch" in message


def test_missing_rows_are_named(chosen: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    shutil.copytree(chosen, run)
    for name in ("fold1/epochs/1.npy", "fold0/DONE", "summary.json"):
        (run / name).unlink()
    assert resume(run) == 9
    message = capsys.readouterr().err
    assert "the rows of an epoch are missing" in message
    assert str(run / "fold1/epochs/1.npy") in message


def test_weights_that_a_killed_process_did_not_delete_are_not_chosen(chosen: Path, tmp_path: Path) -> None:
    """keep_epochs=1 leaves the last epoch alone: older candidates on disk, whole or in part, do not count."""
    folder = RunDir(tmp_path).fold(0)
    for place, epoch in (
        (folder.last, 3),
        (folder.candidate(3), 3),
        (folder.candidate(2), 2),
        (folder.candidate(1), 1),
    ):
        shutil.copytree(chosen / "fold0/last", place.path)
        edit_json(place.meta, {"epoch": epoch})
    folder.candidate(1).tensors.unlink()
    assert set(epoch_selection.weights_by_epoch(folder, 1)) == {3}
    assert set(epoch_selection.weights_by_epoch(folder, 2)) == {2, 3}


def test_a_fold_of_an_earlier_version_has_no_rows_and_is_left_out(chosen: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(chosen, run)
    for name in ("fold1/epochs", "fold2/epochs"):
        shutil.rmtree(run / name)
    for name in ("fold0/DONE", "summary.json", "oof.npz"):
        (run / name).unlink()
    assert resume(run) == 0
    assert used_epochs(run)[1:] == used_epochs(chosen)[1:]
    assert used_epochs(run)[0] == EPOCHS - 1
    assert json.loads((run / "summary.json").read_text())["selection"] is None
