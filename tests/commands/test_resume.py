"""Interrupted anywhere and resumed, a run ends as if nothing had happened, bit for bit."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from dying import killed_after
from edited import edit_json
from interrupted import Moments, copied, ending
from tiny import hashes, log_lines, recipe, resume, train

from maskcls import files
from maskcls.engine import fit as loop
from maskcls.engine import session as keeping
from maskcls.errors import BusyError
from maskcls.rundir import RunDir
from maskcls.runs.checks import refuse_existing
from maskcls.runs.locks import run_lock
from maskcls.show.terminal.progress import Reporter

# Everything that carries state from one epoch to the next: moments, an average, dropout, patience, a rate that changes.
WORDS = ("train.epochs=3", "model.drop=0.3", "train.patience=2", "average.decay=0.9", "optim.lr=1e-3")
IDENTITY = ["config.yaml", "labels.json", "manifest.csv", "folds.csv", "photos.csv", "env.json"]
EPOCH_FIRST, EPOCH_REST = "resume/state.safetensors", ["log.jsonl", "last/weights.safetensors", "last/meta.json"]
FINISHING = ["best/weights.safetensors", "best/meta.json", "oof.npz", "summary.json", "DONE"]


@pytest.fixture(scope="module")
def moments(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Moments:
    """The uninterrupted run of two folds and three epochs, with a copy after each of its commits."""
    made = Moments(tmp_path_factory.mktemp("moments"))
    with pytest.MonkeyPatch.context() as patch:
        made.record(drawn, patch, *WORDS)
    return made


@pytest.fixture(scope="module")
def whole(moments: Moments) -> dict[str, Any]:
    """What the uninterrupted run ends with."""
    found = ending(moments.run)
    assert len(found) == 2 + 1 + 2 * 7 + 2 + 1  # of the run; the fold table; each fold; two logs; the names
    assert [len(found[f"fold{k}/log.jsonl"]) for k in (0, 1)] == [3, 3]
    return found


def test_the_commits_come_in_this_order(moments: Moments) -> None:
    """State first: whatever else is missing can be made again from it. DONE after all of a fold, then the summary.

    The seconds are written before the first epoch and, when nothing is left to do, once more.
    """
    assert moments.commits[:7] == [*IDENTITY, "times.json"]
    assert moments.commits[-3:] == ["oof.npz", "summary.json", "times.json"]
    middle = moments.commits[7:-3]
    for k in (0, 1):
        mine = [name.removeprefix(f"fold{k}/") for name in middle if name.startswith(f"fold{k}/")]
        assert mine[0] == "first_batch.png"
        assert mine[-5:] == FINISHING
        starts = [i for i, name in enumerate(mine) if name == EPOCH_FIRST]
        assert len(starts) == 3
        for epoch, start in enumerate(starts):
            candidate = [f"candidates/{epoch}/{name}" for name in ("weights.safetensors", "meta.json")]
            assert mine[start - 1 : start + 6] == [f"epochs/{epoch}.npy", EPOCH_FIRST, *EPOCH_REST, *candidate]
    # Both folds are trained before the epoch of either is chosen.
    assert [name for name in middle if name.split("/", 1)[1] in FINISHING] == middle[-2 * len(FINISHING) :]


@pytest.mark.parametrize("fold", [0, 1])
@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_killed_after_any_epoch_it_ends_the_same(
    moments: Moments, whole: dict[str, Any], fold: int, epoch: int
) -> None:
    states = [i for i, name in enumerate(moments.commits) if name == f"fold{fold}/{EPOCH_FIRST}"]
    run = moments.after(states[epoch])
    # Killed right after the state: the log and the weights of this epoch are still missing.
    written = (run / f"fold{fold}" / "log.jsonl").exists() and log_lines(run / f"fold{fold}")
    assert len(written or []) == epoch
    assert resume(run) == 0
    assert ending(run) == whole


@pytest.mark.slow
def test_killed_after_any_commit_it_ends_the_same(drawn: Path, moments: Moments, whole: dict[str, Any]) -> None:
    """Every boundary; before env.json there is no run yet, and the train command is given again."""
    tried = 0
    for index, name in enumerate(moments.commits):
        run = copied(moments.root / str(index), moments.root / f"{index}-tried")
        if index < len(IDENTITY) - 1:
            assert resume(run) == 9
            assert train(drawn, run, *WORDS) == 0
        else:
            assert resume(run) == 0
        assert ending(run) == whole, f"after commit {index}, {name}"
        shutil.rmtree(run)
        tried += 1
    assert tried == len(moments.commits) >= 40


def test_killed_before_it_began_it_is_trained_again(
    drawn: Path, moments: Moments, capsys: pytest.CaptureFixture[str]
) -> None:
    index = moments.commits.index("env.json") - 1
    run = moments.after(index)
    assert resume(run) == 9
    message = capsys.readouterr().err
    assert "stopped before it began" in message
    assert "give the train command again" in message
    assert train(drawn, run, *WORDS, "--folds", "0", "train.epochs=1") == 0


def test_killed_while_folds_are_added(drawn: Path, moments: Moments, tmp_path: Path, whole: dict[str, Any]) -> None:
    """The new fold is done but the summary still that of the old ones: there is something left to do."""
    run = copied(moments.run, tmp_path / "run")
    old = tmp_path / "old"
    assert train(drawn, old, *WORDS, "--folds", "0") == 0
    for name in ("oof.npz", "summary.json"):
        shutil.copy(old / name, run / f"{name}.new")
        os.replace(run / f"{name}.new", run / name)
    assert resume(run) == 0
    assert ending(run) == whole


def test_stopped_by_hand_it_loses_no_step(
    drawn: Path,
    tmp_path: Path,
    moments: Moments,
    whole: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Ctrl-C in an optimizer step, SIGTERM in a validation, Ctrl-C before an epoch is saved: no step is made twice."""
    run, calls = tmp_path / "run", {"step": 0, "validation": 0, "epoch": 0}
    stops = {("step", 5): signal.SIGINT, ("validation", 3): signal.SIGTERM, ("epoch", 4): signal.SIGINT}

    def stopping(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def working(*arguments: Any, **named: Any) -> Any:
            calls[name] += 1
            if number := stops.get((name, calls[name])):
                os.kill(os.getpid(), number)
            return work(*arguments, **named)

        return working

    monkeypatch.setattr(loop, "train_step", stopping("step", loop.train_step))
    monkeypatch.setattr(loop, "validate_epoch", stopping("validation", loop.validate_epoch))
    monkeypatch.setattr(Reporter, "epoch", stopping("epoch", Reporter.epoch))
    assert train(drawn, run, *WORDS) == 130
    assert f"what was trained is kept. Continue with: maskcls resume {run}" in capsys.readouterr().err
    assert len(log_lines(run / "fold0")) == 1  # a running epoch has no line
    assert resume(run) == 143
    told = capsys.readouterr().err
    assert "fold 0: continuing in epoch 2 of 3 after step 2 of 3" in told
    assert f"maskcls resume {run}" in told
    assert len(log_lines(run / "fold0")) == 2
    # A resume within an epoch leaves the weights of the finished epochs as they are.
    second = [i for i, name in enumerate(moments.commits) if name == f"fold0/{EPOCH_FIRST}"][2] - 1
    assert hashes(run / "fold0/candidates") == hashes(moments.root / str(second) / "fold0/candidates")
    assert hashes(run / "fold0/last") == hashes(moments.root / str(second) / "fold0/last")
    assert resume(run) == 130
    assert "fold 0: continuing in epoch 3 of 3 after step 3 of 3" in capsys.readouterr().err
    assert [len(log_lines(run / f"fold{k}")) for k in (0, 1)] == [3, 1]
    assert resume(run) == 0
    assert "fold 1: continuing after epoch 1" in capsys.readouterr().err
    assert calls == {"step": 2 * 3 * 3, "validation": 2 * 3 + 1, "epoch": 2 * 3}
    assert ending(run) == whole


def test_killed_after_an_early_stop_it_stays_stopped(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The score falls, so patience ends the fold after two of three epochs; the kill comes before DONE."""
    validate, scores = loop.validate_epoch, iter([0.5, 0.1, 0.9])

    def falling(*args: Any) -> Any:
        val, prob = validate(*args)
        return val | {"macro_f1": next(scores)}, prob

    monkeypatch.setattr(loop, "validate_epoch", falling)
    words = ("--folds", "0", "train.epochs=3", "train.patience=1")
    run = tmp_path / "run"
    assert train(drawn, run, *words) == 0
    assert len(log_lines(run / "fold0")) == 2
    want = ending(run)
    for name in ("fold0/DONE", "fold0/summary.json", "summary.json", "oof.npz"):
        (run / name).unlink()
    assert resume(run) == 0  # a third epoch would take the third score, and be the best
    assert ending(run) == want


@pytest.mark.slow
def test_a_real_kill(drawn: Path, tmp_path: Path, whole: dict[str, Any]) -> None:
    """kill -9 of a real process, once the first epoch is there; half-written files are swept."""
    run = tmp_path / "run"
    words = ["train", str(drawn), "--run", str(run), *recipe(*WORDS)]
    assert killed_after(1, f"fold0/{EPOCH_FIRST}", words) == -9
    assert not (run / "summary.json").exists()
    (run / "fold0" / f".{'0' * 16}.tmp").write_bytes(b"half")
    assert resume(run) == 0
    assert ending(run) == whole


def test_only_half_written_files_are_swept(tmp_path: Path) -> None:
    half, kept = f".{'0a' * 8}.tmp", [".notes.tmp", f"{'0a' * 8}.tmp", f".{'0A' * 8}.tmp", ".lock"]
    for folder in (tmp_path, tmp_path / "fold0" / "resume", tmp_path / "test"):
        folder.mkdir(parents=True, exist_ok=True)
        for name in (half, *kept):
            (folder / name).write_bytes(b"x")
    run_lock.sweep_run(RunDir(tmp_path))
    gone = {name for name in (half, f"fold0/resume/{half}", f"test/{half}") if name not in hashes(tmp_path)}
    assert gone == {half, f"fold0/resume/{half}", f"test/{half}"}
    assert len(hashes(tmp_path)) == 3 * len(kept)


# ---- teeth ----------------------------------------------------------------------------------------------------------


def forget_moments(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(keeping, "restore_moments", lambda *_: None)


def forget_average(patch: pytest.MonkeyPatch) -> None:
    part = keeping.with_prefix
    patch.setattr(keeping, "with_prefix", lambda ts, name: part(ts, "network/" if name == "average/" else name))


def forget_seed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(loop, "stream_seed", lambda *key: 1)


def forget_step(patch: pytest.MonkeyPatch) -> None:
    restore = keeping.restore_session

    def without_step(session: Any, tensors: Any, progress: Any) -> None:
        restore(session, tensors, {**progress, "step": 0})

    patch.setattr("maskcls.training.fold.restore_session", without_step)


@pytest.mark.parametrize("forget", [forget_moments, forget_average, forget_seed, forget_step])
def test_whatever_is_forgotten_shows(
    moments: Moments,
    whole: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    forget: Callable[[pytest.MonkeyPatch], None],
) -> None:
    """Proof that the comparison sees each part of the state: killed before fold 1's last epoch, resumed without it."""
    states = [i for i, name in enumerate(moments.commits) if name == f"fold1/{EPOCH_FIRST}"]
    run = copied(moments.root / str(states[1]), tmp_path / "run")
    forget(monkeypatch)
    assert resume(run) == 0
    found = ending(run)
    last = "fold1/last/weights.safetensors"
    assert found[last] != whole[last]
    assert found["fold0/last/weights.safetensors"] == whole["fold0/last/weights.safetensors"]


# ---- what is refused ------------------------------------------------------------------------------------------------


def test_a_finished_run_is_left_as_it_is(moments: Moments, capsys: pytest.CaptureFixture[str]) -> None:
    before = hashes(moments.run)
    (moments.run / f".{'0a' * 8}.tmp").touch()  # of a training that was killed at its very end
    assert resume(moments.run) == 0
    shown = capsys.readouterr()
    assert "nothing to do" in shown.err
    assert "out-of-fold macro-F1" in shown.out
    assert hashes(moments.run) == before
    assert "not part of it" not in shown.err  # it has all folds


def test_a_new_training_is_sent_to_resume_only_where_something_is_left(moments: Moments, drawn: Path) -> None:
    for run, continued in ((moments.run, False), (moments.after(18), True)):
        with pytest.raises(BusyError) as caught:
            refuse_existing(RunDir(run), drawn)
        assert ("maskcls resume" in str(caught.value.fix)) == continued
        assert "choose another --run" in str(caught.value.fix)


def test_a_run_in_use_is_refused(moments: Moments, capsys: pytest.CaptureFixture[str]) -> None:
    run = moments.after(20)
    before = hashes(run)
    with run_lock.lock(RunDir(run)):
        held = hashes(run)
        assert resume(run) == 7
        assert hashes(run) == held
    assert "another process is working on this run" in capsys.readouterr().err
    assert {k: v for k, v in held.items() if k != ".lock"} == {k: v for k, v in before.items() if k != ".lock"}


def test_changed_data_is_refused_and_named(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, run = tmp_path / "faces", tmp_path / "run"
    shutil.copytree(drawn, data)
    assert train(data, run, "--folds", "0", "train.epochs=1") == 0
    (run / "summary.json").unlink()
    before = hashes(run)
    table = data / "train" / "train.csv"
    lines = table.read_text().splitlines()
    fields = lines[3].split(",")
    fields[1] = {"male": "female", "female": "male"}[fields[1]]
    table.write_text("\n".join([*lines[:3], ",".join(fields), *lines[4:]]) + "\n")
    assert resume(run) == 5
    message = capsys.readouterr().err
    old, new = {"male": (1, 0), "female": (0, 1)}[fields[1]]
    assert f"'{fields[4]}/mask1': gender was {old}, is {new}" in message
    assert "7 in total" in message
    assert hashes(run) == before


def test_files_changed_by_hand_are_refused(
    moments: Moments, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, change in {"config.yaml": ("seed: 0", "seed: 1"), "folds.csv": (",0\n", ",1\n")}.items():
        run = tmp_path / name
        shutil.copytree(moments.root / "12", run)
        text = (run / name).read_text()
        assert change[0] in text
        (run / name).write_text(text.replace(*change, 1))
        assert resume(run) == 9
        message = capsys.readouterr().err
        assert f"1 in total: {name}" in message
        assert "fix:" in message


def test_a_missing_file_is_named(moments: Moments, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    shutil.copytree(moments.root / "12", run)
    (run / "manifest.csv").unlink()
    assert resume(run) == 9
    assert "1 in total: manifest.csv" in capsys.readouterr().err


def test_a_damaged_state_is_refused(
    moments: Moments, whole: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = moments.commits.index("fold0/last/meta.json")
    for cut in (False, True):
        run = tmp_path / f"run{cut}"
        shutil.copytree(moments.root / str(index), run)
        state = run / "fold0" / EPOCH_FIRST
        data = bytearray(state.read_bytes())
        data[len(data) // 2] ^= 1
        state.write_bytes(data[: len(data) // 2] if cut else data)
        assert resume(run) == 5
        message = capsys.readouterr().err
        assert str(state) in message
        assert "delete this file to train the fold from its start" in message
        state.unlink()
    assert resume(run) == 0
    assert ending(run) == whole


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert resume(tmp_path) == 9
    assert "this is not a run" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_another_machine_is_told(moments: Moments, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bits are promised on the same versions and device only; what differs is said."""
    run = tmp_path / "run"
    shutil.copytree(moments.root / str(moments.commits.index("summary.json") - 1), run)
    packages = files.read_json(run / "env.json")["packages"]
    edit_json(run / "env.json", {"processes": 64, "packages": packages | {"timm": "0.1"}})
    assert resume(run) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("not bit-exact")]
    assert len(told) == 2
    assert any("timm: 0.1 -> " in line for line in told)
    assert any("processes: 64 -> 1" in line for line in told)


def test_other_starting_weights_are_refused(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Folds that begin from different weights are not one experiment."""
    start, run = tmp_path / "start.pt", tmp_path / "run"
    for seed in (0, 1):
        torch.manual_seed(seed)
        torch.save(timm.create_model("test_efficientnet", num_classes=0).state_dict(), start)
        if seed == 0:
            assert train(drawn, run, "--folds", "0", f"model.weights={start}", "train.epochs=1") == 0
    capsys.readouterr()
    assert resume(run, "--folds", "1") == 5
    assert "starting weights" in capsys.readouterr().err
