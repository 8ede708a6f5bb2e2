"""The register of runs: what a folder tells, what the list shows, notes, what prune may delete. Nothing is trained."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from edited import edit_json
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from maskcls import config, files, owned
from maskcls.commands.runs import list as runs_list
from maskcls.commands.runs import note as runs_note
from maskcls.commands.runs import prune as runs_prune
from maskcls.data.rows import folds as folding
from maskcls.data.rows import manifest as tables
from maskcls.engine.checkpoint import save_state
from maskcls.engine.compute.plan import Plan
from maskcls.errors import ResultError, UsageError
from maskcls.labels import CONTEST, Ints
from maskcls.results.predictions import Predictions
from maskcls.results.scores.intervals import Interval
from maskcls.rundir import REFIT, RunDir
from maskcls.runs.environment import Machine, this_machine
from maskcls.runs.identity import identity_hashes
from maskcls.runs.integrity.done_file import mark_done
from maskcls.runs.integrity.epoch_log import write_log
from maskcls.runs.locks import run_lock
from maskcls.runs.networks import run_networks
from maskcls.runs.records.finding import find_runs
from maskcls.runs.records.notes import read_notes
from maskcls.runs.records.order import SORTS, in_order
from maskcls.runs.records.record import RunRecord, read_record
from maskcls.runs.records.settings import assignment, setting_differences, shared_settings
from maskcls.runs.records.unsealed import SealedScore, write_sealed_score
from maskcls.runs.summary import SavedScores
from maskcls.show.runs.pruning import print_pruning
from maskcls.show.runs.run_list import print_runs, render_runs
from maskcls.show.terminal.units import size
from maskcls.training.assemble import assemble
from maskcls.training.experiment import Experiment
from maskcls.training.stored_experiment import write_identity

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
PEOPLE, PHOTOS = 30, 6
WORDS = ["model.backbone=test_efficientnet", "folds.k=2", "train.epochs=2"]
BIG, SMALL = 1000, 100  # bytes of weights and of a state to resume from
UNSEALED = SealedScore(
    scores=SavedScores(macro_f1=0.61234, tasks={}),
    interval=Interval(0.55, 0.67, 0.95),
    people=40,
    rows=280,
    out_of_fold=0.7,
    weights=(),
    views="none",
    sealed="",
    date="2026-11-21T09:30:00+00:00",
)


# --- runs made without training


@cache
def photos() -> pd.DataFrame:
    """Thirty people, five of each gender and age; each mask twice. One table for all; do not change it."""
    who_N = np.repeat(np.arange(PEOPLE), PHOTOS)
    ids = [f"i{row}" for row in range(len(who_N))]
    labels = {"mask": np.tile(np.arange(PHOTOS) % 3, PEOPLE), "gender": who_N % 2}
    values = {"age": np.array([20, 40, 70])[who_N // 2 % 3]}
    paths = [f"{name}.jpg" for name in ids]
    return tables.build(ids, paths, CONTEST, person=[f"p{who}" for who in who_N], labels=labels, values=values)


@cache
def truth() -> Ints:
    return CONTEST.encode(tables.labels(photos(), CONTEST))


@cache
def machine() -> Machine:
    return this_machine("cpu", 1)


def guesses(share: float, seed: int = 0) -> Ints:
    """Joint labels, at least `share` of them right."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(len(truth())) < share, truth(), rng.integers(CONTEST.size, size=len(truth())))


def begin(path: Path, *words: str, folds: Sequence[int] = (0, 1), jobs: int = 1, sealed: bool = False) -> Experiment:
    """Write what `maskcls train` writes first."""
    cfg, frame = config.load(None, [*WORDS, *words])[0], photos()
    table = folding.build(frame, cfg.space, k=cfg.folds.k, holdout=cfg.folds.holdout, seed=cfg.folds.seed)
    plans = {name: Plan(fold_jobs=jobs) for name in config.members(cfg)}
    apart = frame if sealed else None
    experiment = Experiment(cfg, path.parent / "data", frame, table, RunDir(path), plans=plans, sealed=apart)
    path.mkdir(parents=True)
    (path / ".lock").write_text("process 1 on here since 2026-01-01T00:00:00")
    write_identity(experiment, folds, machine())
    return experiment


def train(experiment: Experiment, predicted_N: Ints, folds: Sequence[int], *, epoch_s: float = 10.0) -> None:
    """Write what the trainings of these folds leave: two epochs a log, sure predictions, weights, a state."""
    part_of = CONTEST.decode(predicted_N)
    for member, k in experiment.trainings(folds):
        folder = experiment.fold_dir(member, k)
        if k != REFIT and not member.continued:
            here = np.flatnonzero(experiment.fold == k)
            label_N = predicted_N if member.task == "" else part_of[member.task]
            prob = np.eye(member.space.size, dtype=np.float32)[label_N[here]]
            Predictions(experiment.manifest["id"].to_numpy()[here], prob, member.space).save(folder.oof)
        write_log(folder, [{"seconds": epoch_s}] * 2)
        for part in (folder.best, folder.last):
            files.commit(part.tensors, b"w" * BIG)
            files.commit(part.meta, b"{}\n")
        files.commit(folder.state, b"s" * SMALL)
        mark_done(folder, files.file_sha256(folder.best.tensors))


def make(
    path: Path,
    *words: str,
    share: float = 0.6,
    folds: Sequence[int] = (0, 1),
    jobs: int = 1,
    sealed: bool = False,
) -> RunDir:
    """Make a finished run."""
    experiment = begin(path, *words, folds=folds, jobs=jobs, sealed=sealed)
    train(experiment, guesses(share), folds)
    assemble(experiment, folds)
    return experiment.run


def shown(found: Sequence[RunRecord], width: int, base: dict[str, Any] | None = None) -> list[str]:
    console = Console(width=width, highlight=False, markup=False, emoji=False)
    shared = shared_settings([one.settings for one in found if one.settings])
    with console.capture() as captured:
        console.print(render_runs(found, shared if base is None else base, width))
    return [line.rstrip() for line in captured.get().splitlines()]


def everything(folder: Path) -> dict[str, bytes]:
    """All files below a folder, by relative path."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# --- what a folder tells


def test_a_finished_run(tmp_path: Path) -> None:
    run = make(tmp_path / "a")
    summary = json.loads(run.summary.read_text())
    found = read_record(run)
    assert (found.state, found.status, found.fault, found.left) == ("finished", "finished", "", "")
    assert found.score == summary["pooled"]["macro_f1"]
    assert found.interval == (summary["interval"]["low"], summary["interval"]["high"])
    assert found.sd == summary["sd"]["macro_f1"]
    assert found.tasks == {n: summary["pooled"]["tasks"][n]["macro_f1"] for n in ("mask", "gender", "age")}
    assert found.bytes == sum(map(len, everything(run.path).values()))
    assert found.folds == (0, 1)
    assert found.settings["train.epochs"] == 2
    assert found.weights
    (run.fold(1).best.tensors).unlink()
    assert read_record(run).status == "finished, weights deleted"


KINDS = {
    "plain": [],
    "separate": ["model.heads=separate"],
    "seeds": ["train.seeds=2", "seed=5"],
    "refit": ["train.refit=true"],
    "continued": ["train.continue_epochs=1"],
    "all": ["model.heads=separate", "train.seeds=2", "train.refit=true", "train.continue_epochs=1"],
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_networks_are_those_that_are_trained(kind: str, tmp_path: Path) -> None:
    experiment = begin(tmp_path / "a", *KINDS[kind])
    wanted = {(m.task, k, experiment.fold_dir(m, k).path) for m, k in experiment.trainings([0, 1])}
    found = run_networks(experiment.cfg, [0, 1])
    assert {(one.task, one.fold, one.folder(experiment.run).path) for one in found} == wanted
    assert len(found) == {"plain": 2, "separate": 6, "seeds": 4, "refit": 3, "continued": 4, "all": 30}[kind]
    assert {one.folder(experiment.run).path for one in found if one.scored} == {
        experiment.fold_dir(member, k).path for member in experiment.members for k in (0, 1)
    }


def test_seconds_are_shared_out_over_folds_side_by_side(tmp_path: Path) -> None:
    # Two epochs of 10 s a network. Side by side two folds take 20 s; what has no score is trained alone.
    assert read_record(make(tmp_path / "a")).seconds == 40
    assert read_record(make(tmp_path / "b", jobs=2)).seconds == 20
    assert read_record(make(tmp_path / "c", jobs=8)).seconds == 20
    assert read_record(make(tmp_path / "d", folds=(1,), jobs=2)).seconds == 20
    assert read_record(make(tmp_path / "e", "train.refit=true", jobs=2)).seconds == 40
    assert read_record(make(tmp_path / "f", "model.heads=separate", jobs=2)).seconds == 60


def test_an_unfinished_run_says_how_far_it_is(tmp_path: Path) -> None:
    experiment = begin(tmp_path / "a", "train.refit=true", "model.heads=separate")
    run = experiment.run
    assert read_record(run).status == "unfinished: 0 of 2 folds are complete"
    train(experiment, guesses(0.5), [0, 1])
    done = {path: path.read_bytes() for path in (run.fold(1, member).done for member in ("mask", "age"))}
    for path in done:
        path.unlink()
    found = read_record(run)
    assert (found.state, found.status, found.score) == ("unfinished", "unfinished: 1 of 2 folds are complete", None)
    for path, content in done.items():
        path.write_bytes(content)
    refitted = run.fold(REFIT, "age").done.read_bytes()
    run.fold(REFIT, "age").done.unlink()
    assert read_record(run).status == "unfinished: all folds are complete, 1 further network to train"
    run.fold(REFIT, "age").done.write_bytes(refitted)
    assert read_record(run).status == "unfinished: all folds are complete, but not put together"


def test_where_an_interrupted_training_stands_is_told(tmp_path: Path) -> None:
    run = begin(tmp_path / "a", "model.heads=separate").run
    progress: dict[str, Any] = {"epoch": 2, "step": 27, "history": [], "so_far": {"steps": 7, "images": 112}}
    save_state(run.fold(1, "age").state, {"w": torch.ones(2)}, progress)
    save_state(run.fold(0, "age").state, {"w": torch.ones(2)}, {**progress, "so_far": None})
    save_state(run.fold(0, "mask").state, {"w": torch.ones(2)}, {"epoch": 1})  # as earlier versions wrote it
    files.commit(run.fold(1, "mask").state, b"\xff" * 30)
    os.utime(run.env, (1, 1))
    found = read_record(run)
    assert found.status == "unfinished: 0 of 2 folds are complete, age fold 1 is in epoch 3 after step 7"
    assert found.date is not None
    assert found.date.year > 2000  # the state is the last thing that was written


def test_a_run_whose_folds_were_extended_is_unfinished_again(tmp_path: Path) -> None:
    run = make(tmp_path / "a", folds=(0,))
    assert read_record(run).state == "finished"
    edit_json(run.env, {"folds": [0, 1]})
    assert read_record(run).status == "unfinished: 1 of 2 folds are complete"


def make_leaky(run: RunDir) -> RunDir:
    """Leave what a leaky run leaves: no out-of-fold rows, and a summary without scores."""
    empty: dict[str, Any] = {"pooled": None, "interval": None, "mean": {}, "sd": {}}
    data = {"leaky": True, "people": PEOPLE, "folds": {"0": {}, "1": {}}} | empty
    files.commit_json(run.summary, owned.with_owner(data, run.summary, run.path))
    run.oof.unlink()
    return run


def test_a_leaky_run_is_finished_without_a_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_leaky(make(tmp_path / "a"))
    found = read_record(run)
    assert (found.state, found.status) == ("finished", "finished, leaky: no score")
    assert (found.score, found.interval, found.tasks) == (None, None, {})
    print_runs(runs_list.list_runs([tmp_path], base=None, sort="score"), json=True)
    told = json.loads(capsys.readouterr().out)["runs"][0]
    assert (told["state"], told["status"], told["macro_f1"]) == ("finished", "finished, leaky: no score", None)
    print_runs(runs_list.list_runs([tmp_path], base=None, sort="score"), json=False)
    assert "finished, leaky: no score" in capsys.readouterr().out
    plan = runs_prune.plan_pruning(tmp_path, keep=0, whole=True)
    assert (plan.parts, plan.kept) == ((), {run: "it has no score"})
    (run.fold(1).best.tensors).unlink()
    assert read_record(run).status == "finished, leaky: no score, weights deleted"


def test_a_run_in_training_is_seen_and_not_disturbed(tmp_path: Path) -> None:
    run = begin(tmp_path / "a").run
    with run_lock.lock(run):
        assert read_record(run).status == "in training: 0 of 2 folds are complete"
    assert read_record(run).status == "unfinished: 0 of 2 folds are complete"
    with run_lock.lock(run):  # looking held nothing
        pass


def damage(run: RunDir, how: str) -> None:
    match how:
        case "no config":
            run.config.unlink()
        case "manifest edited":
            run.manifest.write_text(run.manifest.read_text().replace("p1,", "p2,"))
        case "env is a list":
            run.env.write_text("[1]")
        case "env is cut":
            run.env.write_bytes(run.env.read_bytes()[:50])
        case "env is binary":
            run.env.write_bytes(b"\xff\xfe\0")
        case "no env":
            run.env.unlink()
            run.lock_file.unlink()
        case "before it began":
            run.env.unlink()
            for folder in run.all_networks():
                shutil.rmtree(folder.path)
        case "earlier maskcls":
            edit_json(run.env, {"format": 1}, without=("plans",))
        case "summary of another form":
            edit_json(run.summary, {"pooled": {"macro_f1": "high", "tasks": {}}})
        case "no scores":
            edit_json(run.summary, {"pooled": None})
        case "log cut":
            run.fold(0).log.write_text('{"seconds": 1')
        case "log gone":
            run.fold(0).log.unlink()
        case "log is a number":
            run.fold(0).log.write_text("3\n")
        case "unknown setting":
            run.config.write_text(run.config.read_text() + "later: 1\n")
        case "notes damaged":
            run.notes.write_text('[{"text": 3}]')
        case "notes a mapping":
            files.commit_json(run.notes, owned.with_owner({}, run.notes, run.path))
        case "a folder for a file":
            run.summary.unlink()
            run.summary.mkdir()


DAMAGES = {
    "no config": "config.yaml",
    "manifest edited": "changed by hand: manifest.csv",
    "env is a list": "unexpected form",
    "env is cut": "cannot be read",
    "env is binary": "cannot be read",
    "no env": "cannot read a file of the run; where: env.json",
    "before it began": "stopped before it began",
    "earlier maskcls": "made by an earlier maskcls",
    "summary of another form": "pooled.macro_f1",
    "no scores": "only a leaky run has no scores",
    "log cut": "a log cannot be read; where: fold0/log.jsonl",
    "log gone": "cannot read a file of the run; where: fold0/log.jsonl",
    "log is a number": "a log cannot be read; where: fold0/log.jsonl",
    "unknown setting": "later",
    "notes damaged": "notes.json",
    "notes a mapping": "the notes are not a list",
    "a folder for a file": "summary.json",
}


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_run_is_listed_with_the_reason(how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, other = make(tmp_path / "a"), make(tmp_path / "b")
    damage(run, how)
    assert [one.path for one in find_runs([tmp_path])] == [run.path, other.path]
    found = read_record(run)
    assert found.state == "broken"
    assert DAMAGES[how] in found.status
    assert len(set(found.fault.split("; where: "))) == len(found.fault.split("; where: "))  # each fault once
    assert str(tmp_path) not in found.status
    assert "\n" not in found.status
    for json_wanted in (False, True):
        print_runs(runs_list.list_runs([tmp_path], base=None, sort="score"), json=json_wanted)
    assert DAMAGES[how].split(":")[0] in capsys.readouterr().out.replace("\n    ", " ")


def test_what_is_no_run_is_ignored(tmp_path: Path) -> None:
    make(tmp_path / "deep" / "er" / "a")
    make(tmp_path / ".hidden" / "b")
    (tmp_path / "empty").mkdir()
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "labels.json").write_text("{}")
    (tmp_path / "file").write_text("text")
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "er" / "a")
    (tmp_path / "loop").symlink_to(tmp_path)
    a = tmp_path / "deep" / "er" / "a"
    assert [one.path for one in find_runs([tmp_path])] == [a]
    assert [one.path for one in find_runs([a, tmp_path, tmp_path / "link"])] == [a]
    assert [one.path for one in find_runs([tmp_path / "link"])] == [tmp_path / "link"]
    outside = tmp_path / "outside"
    shutil.move(tmp_path / "deep", outside)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "c").symlink_to(outside / "er" / "a")
    assert [one.path for one in find_runs([tmp_path / "runs"])] == [tmp_path / "runs" / "c"]
    assert find_runs([tmp_path / "runs"], links=False) == []
    with pytest.raises(ResultError, match="cannot read the folder"):
        find_runs([tmp_path / "nowhere"])


# --- settings


def test_the_shared_settings_are_the_most_common_ones() -> None:
    every = [{"seed": 3, "x": 1}, {"seed": 4, "x": 1}, {"seed": 0, "x": 2}, {"seed": 4, "loss.age": "ce"}]
    # seed: 4 twice. x: 1 twice of four, against once 2 and once absent. loss.age: most have none.
    assert shared_settings(every) == {"seed": 4, "x": 1}
    assert shared_settings([{"seed": 3}, {"seed": 0}]) == {"seed": 0}  # a tie goes to the default
    assert shared_settings([{"x": [1, 2]}, {"x": [3]}]) == {"x": [1, 2]}  # or the first
    assert shared_settings([]) == {}


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(
        st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufeff\ufffe\uffff"),
        max_size=12,
    ),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@given(VALUES)
def test_a_difference_can_be_given_to_train(value: Any) -> None:
    assert config.parse_override(assignment("a.b", value)) == ("a.b", value)


def test_differences_to_a_base(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(tmp_path / "a")
    make(tmp_path / "b", "optim.lr=1e-3", "mix.kind=mixup")
    make(tmp_path / "c", "loss.age=focal", "loss.mask=ce")

    def differences(base: Path | None) -> dict[str, list[str]]:
        print_runs(runs_list.list_runs([tmp_path], base=base, sort="name"), json=True)
        data = json.loads(capsys.readouterr().out)
        assert data["base"] == (str(base) if base else None)
        return {Path(one["run"]).name: one["differences"] for one in data["runs"]}

    common = differences(None)
    assert common["a"] == []
    assert common["b"] == ["mix.kind=mixup", "optim.lr=0.001"]
    assert differences(tmp_path / "b")["a"] == ["mix.kind=none", "optim.lr=0.0003"]
    with pytest.raises(ResultError, match="this is not a run"):
        print_runs(runs_list.list_runs([tmp_path], base=tmp_path, sort="name"), json=True)


# --- the list


def many(folder: Path) -> list[RunRecord]:
    """A good run, a bad one with a lot of settings and notes, an unfinished and a broken one."""
    good = make(folder / "runs" / "good", share=0.8)
    bad = make(
        folder / "runs" / "a_name_that_is_long_itself",
        *("optim.lr=1e-3", "mix.kind=cutmix", "transforms.size=[64, 64]", "schedule.kind=linear", "model.drop=0.2"),
        share=0.3,
    )
    runs_note.note(good, "sent with hflip", leaderboard=0.7123, now=NOW)
    runs_note.note(good, keep=True, now=NOW)
    runs_note.note(bad, "\x1b[31m" + "too much of everything at once, " * 4, now=NOW)
    half = begin(folder / "runs" / "half").run
    damage(make(folder / "runs" / "lost"), "no config")
    return in_order([read_record(run) for run in find_runs([folder])], "score") if half else []


@pytest.mark.parametrize("width", [80, 120])
def test_the_list_fits_the_terminal(width: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = [read_record(RunDir(one.run.path.relative_to(tmp_path))) for one in many(tmp_path)]
    lines = shown(found, width)
    assert max(map(len, lines)) <= width
    assert not any("…" in line or "\x1b" in line for line in lines)
    numbers = [i for i, line in enumerate(lines) if line.split()[-1:] and line.split()[-1].startswith("20")]
    assert len(numbers) == 4
    ends = {len(lines[i]) for i in numbers} | {len(lines[0])}
    assert len(ends) == 1  # one below the other
    text = " ".join(" ".join(lines).split())
    best, worst = found[0], next(one for one in found if one.run.path.name.startswith("a_name"))
    assert f"{best.score:.4f}" in text
    assert best.interval
    assert f"{best.interval[0]:.3f}-{best.interval[1]:.3f}" in text
    for words in setting_differences(worst.settings, shared_settings([one.settings for one in found])):
        assert words in text
    assert "leaderboard public 0.7123" in text
    assert "2026-11-21 sent with hflip" in text
    assert re.search(r"unfinished: 0 of 2 folds are complete; continue with: maskcls resume \S+", text)
    assert "broken: " in text
    assert "kept" in text


def test_a_wide_terminal_takes_one_line_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "good", share=0.8)
    make(tmp_path / "poor", share=0.3)
    monkeypatch.chdir(tmp_path)
    found = [read_record(run) for run in find_runs([Path()])]
    assert len(shown(found, 100)) == 3
    assert len(shown(found, 75)) == 5
    head, first, _ = shown(found, 100)
    assert head.split() == ["run", "F1", "95", "%", "sd", "mask", "gender", "age", "time", "size", "date"]
    one, today = found[0], datetime.now().strftime("%Y-%m-%d")
    assert first.split()[:2] == ["good", f"{one.score:.4f}"]
    assert first.split()[-5:] == ["40", "s", *size(one.bytes).split(), today]


def test_the_score_on_sealed_people_is_in_the_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scored, other = make(tmp_path / "a"), make(tmp_path / "b")
    write_sealed_score(scored, UNSEALED)
    found = runs_list.list_runs([tmp_path], base=None, sort="name")
    assert [one.state for one in found.runs] == ["finished", "finished"]
    assert [line for line in shown(list(found.runs), 100) if "sealed people" in line] == [
        "    40 sealed people  0.6123, 95 % 0.5500 to 0.6700"
    ]
    capsys.readouterr()
    print_runs(found, json=True)
    told = json.loads(capsys.readouterr().out)["runs"]
    expected = {"macro_f1": 0.61234, "interval": [0.55, 0.67], "people": 40, "date": "2026-11-21T09:30:00+00:00"}
    assert [one["sealed"] for one in told] == [expected, None]
    other.unsealed.write_text("{")
    assert "unsealed.json" in read_record(other).fault


def test_names_may_be_wide(tmp_path: Path) -> None:
    found = [read_record(make(tmp_path / name)) for name in ("가면", "ab")]
    lines = shown([read_record(RunDir(one.run.path)) for one in found], 400)
    from rich.cells import cell_len

    assert len({cell_len(line) for line in lines}) == 1


def test_the_orders(tmp_path: Path) -> None:
    make(tmp_path / "b", share=0.9, folds=(0,))
    make(tmp_path / "a", share=0.2)
    begin(tmp_path / "c")
    for age_s, name in ((300, "a"), (200, "c"), (100, "b")):
        for path in (tmp_path / name).rglob("*"):
            os.utime(path, (NOW.timestamp() - age_s,) * 2)
    found = [read_record(run) for run in find_runs([tmp_path])]

    def names(sort: str) -> str:
        return "".join(one.run.path.name for one in in_order(found, sort))

    assert {sort: names(sort) for sort in SORTS} == {
        "score": "bac",
        "date": "bca",
        "time": "abc",
        "size": "abc",
        "name": "abc",
    }
    with pytest.raises(UsageError, match="no such order"):
        print_runs(runs_list.list_runs([tmp_path], base=None, sort="f1"), json=False)


def test_json_holds_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    many(tmp_path)
    print_runs(runs_list.list_runs([tmp_path], base=None, sort="name"), json=True)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    told = json.loads(out)["runs"]
    assert [(Path(one["run"]).name, one["state"]) for one in told] == [
        ("a_name_that_is_long_itself", "finished"),
        ("good", "finished"),
        ("half", "unfinished"),
        ("lost", "broken"),
    ]
    good = told[1]
    assert (good["leaderboard"], good["kept"]) == ({"public": 0.7123}, True)
    assert [one["text"] for one in good["notes"]] == ["sent with hflip", ""]
    assert told[2]["macro_f1"] is None


def test_scores_of_different_rows_are_pointed_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(tmp_path / "a")
    make(tmp_path / "b", "folds.seed=3")  # other folds, but every row is scored all the same
    print_runs(runs_list.list_runs([tmp_path], base=None, sort="score"), json=False)
    assert "not all can be compared" not in " ".join(capsys.readouterr().out.split())
    make(tmp_path / "c", folds=(0,))
    print_runs(runs_list.list_runs([tmp_path], base=None, sort="score"), json=False)
    out = " ".join(capsys.readouterr().out.split())
    assert "not all can be compared" in out
    assert "3 runs: 3 finished" in out


@pytest.mark.parametrize("source", ["pseudo", "synth"])
@pytest.mark.parametrize("folds", [(0, 1), (0,)])
def test_added_rows_are_not_scored_and_do_not_count(folds: Sequence[int], source: str, tmp_path: Path) -> None:
    without = begin(tmp_path / "a", folds=folds)
    (tmp_path / "p.csv").write_text("")
    run = begin(tmp_path / "b", f"data.{source}={tmp_path / 'p.csv'}", folds=folds).run
    added = tables.build(["x", "y"], ["x.jpg", "b,.jpg"], CONTEST, person=["x", "y"]).assign(source=source)
    never = pd.DataFrame({"id": ["x", "y"], "person": ["x", "y"], "fold": pd.array([-1, -1], dtype="Int8")})
    files.commit(run.manifest, tables.to_csv(pd.concat([photos(), added], ignore_index=True)))
    files.commit(run.folds, folding.to_csv(pd.concat([without.folds, never], ignore_index=True)))
    hashes = identity_hashes(run)
    edit_json(run.env, {"hashes": hashes})
    found, other = read_record(run), read_record(without.run)
    assert hashes["manifest.csv"] not in found.scored_on
    assert (found.fault, found.scored_on) == ("", other.scored_on)
    run.manifest.write_bytes(b"\xff")
    assert read_record(run).state == "broken"


def test_no_run_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_runs(runs_list.list_runs([tmp_path], base=None, sort="score"), json=False)
    assert "no run in" in capsys.readouterr().out


@pytest.mark.parametrize(
    "module",
    ["runs.records.record", "commands.runs.list", "commands.runs.note", "commands.runs.prune", "commands.runs.compare"],
)
def test_importing_it_brings_no_torch(module: str) -> None:
    code = f"import sys, maskcls.{module}; print(sorted({{m.partition('.')[0] for m in sys.modules}}))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "'maskcls'" in loaded
    for heavy in ("torch", "timm", "pandas", "scipy", "sklearn", "cv2", "PIL", "albumentations"):
        assert f"'{heavy}'" not in loaded


# --- notes


def test_notes_are_only_added_to_and_nothing_else_is_touched(tmp_path: Path) -> None:
    run = make(tmp_path / "a")
    before = everything(run.path)
    runs_note.note(run, "first", now=NOW)
    runs_note.note(run, "가장 좋음", leaderboard=0.7, name="private", now=NOW)
    runs_note.note(run, keep=False, now=NOW)
    after = everything(run.path)
    assert {name: data for name, data in after.items() if name in before} == before
    assert after.keys() - before.keys() == {"notes.json", ".notes.lock"}
    assert json.loads(after["notes.json"])["notes"] == [
        {"date": "2026-11-21T09:30:00+00:00", "text": "first", "leaderboard": {}},
        {"date": "2026-11-21T09:30:00+00:00", "text": "가장 좋음", "leaderboard": {"private": 0.7}},
        {"date": "2026-11-21T09:30:00+00:00", "text": "", "leaderboard": {}, "keep": False},
    ]
    assert read_record(run).state == "finished"


def test_the_last_word_counts(tmp_path: Path) -> None:
    run = make(tmp_path / "a")
    for keep, score in ((True, 0.6), (None, 0.7), (False, None)):
        runs_note.note(run, "x", keep=keep, leaderboard=score, now=NOW)
        assert read_record(run).kept is (keep is not False)
    assert read_record(run).leaderboard == {"public": 0.7}


def test_a_run_in_training_can_be_noted(tmp_path: Path) -> None:
    run = begin(tmp_path / "a").run
    with run_lock.lock(run):
        runs_note.note(run, "slow today", now=NOW)
    assert [one.text for one in read_notes(run)] == ["slow today"]


NOTING = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from maskcls.commands.runs import note as runs_note
from maskcls.rundir import RunDir
for i in range(8):
    runs_note.note(RunDir(Path(sys.argv[1])), f"{sys.argv[2]}{i}", now=datetime.now(UTC))
"""


def test_notes_of_two_processes_at_once_are_all_kept(tmp_path: Path) -> None:
    run = begin(tmp_path / "a").run
    started = [subprocess.Popen([sys.executable, "-c", NOTING, str(run.path), who]) for who in "xy"]
    assert [process.wait() for process in started] == [0, 0]
    assert sorted(one.text for one in read_notes(run)) == sorted(f"{who}{i}" for who in "xy" for i in range(8))


def test_notes_that_say_nothing_or_cannot_be_are_refused(tmp_path: Path) -> None:
    run = make(tmp_path / "a")
    for words, score in ((" ", None), ("", 71.23), ("x", -0.1), ("x", math.nan)):
        with pytest.raises(UsageError):
            runs_note.note(run, words, leaderboard=score, now=NOW)
    with pytest.raises(ResultError, match="this is not a run"):
        runs_note.note(RunDir(tmp_path), "x", now=NOW)
    run.notes.write_text("[3]")
    with pytest.raises(ResultError):
        runs_note.note(run, "x", now=NOW)
    assert run.notes.read_text() == "[3]"


# --- pruning

STAYS = ("oof.npz", "summary.json", "config.yaml", "log.jsonl", "DONE", "meta.json", "notes.json")


@pytest.fixture(scope="module")
def three_made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three finished runs, the worst first; not to be changed."""
    folder = tmp_path_factory.mktemp("three") / "runs"
    for name, share in (("worst", 0.2), ("middle", 0.5), ("best", 0.9)):
        make(folder / name, share=share)
    return folder


@pytest.fixture
def three(three_made: Path, tmp_path: Path) -> Path:
    """A folder with three finished runs, the worst first."""
    return shutil.copytree(three_made, tmp_path / "runs")


def steps(plan: runs_prune.Pruning) -> list[tuple[str, str]]:
    return [(step.found.run.path.name, step.what) for step in plan.parts]


RESUMED, BEST, WHOLE = "resume state", "best weights", "the whole folder"


def test_the_plan_goes_from_the_harmless_to_the_worst_and_spares_the_best(three: Path) -> None:
    plan = runs_prune.plan_pruning(three, keep=1)
    assert steps(plan) == [
        ("worst", RESUMED),
        ("middle", RESUMED),
        ("best", RESUMED),
        ("worst", BEST),
        ("middle", BEST),
    ]
    # Two folds each: the last weights with their meta.json of 3 bytes, and a state; then the best weights alone.
    assert [step.bytes for step in plan.parts] == [2 * (BIG + 3 + SMALL)] * 3 + [2 * BIG] * 2
    assert plan.bytes == sum(map(len, everything(three).values()))


def test_a_dry_run_deletes_nothing(three: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = everything(three)
    print_pruning(runs_prune.prune(three, keep=1, budget=None, whole=True, yes=False, now=NOW))
    assert everything(three) == before
    said = capsys.readouterr().out
    assert "would be freed" in said
    assert "--yes" in said
    assert "number 1 by score" in " ".join(said.split())


def test_pruning_deletes_what_was_planned_and_no_more(three: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = everything(three)
    freed = runs_prune.plan_pruning(three, keep=1).freed
    print_pruning(runs_prune.prune(three, keep=1, budget=None, whole=False, yes=True, now=NOW))
    after = everything(three)
    gone = before.keys() - after.keys()
    assert sum(len(before[name]) for name in gone) == freed
    assert {name for name in gone if "/best/" in name} == {
        f"{run}/fold{k}/best/weights.safetensors" for run in ("worst", "middle") for k in (0, 1)
    }
    assert gone == {name for name in before if "/last/" in name or "/resume/" in name} | {
        name for name in gone if "/best/" in name
    }
    kept = {name for name in before if name.rpartition("/")[2] in STAYS and "/last/" not in name}
    assert len(kept) == 3 * (3 + 2 * (1 + 1 + 1 + 1))  # and three logs, marks and metas of each fold
    assert kept <= after.keys()
    assert all(before[name] == after[name] for name in before.keys() & after.keys() if not name.endswith(".lock"))
    assert f"{size(freed)} freed" in capsys.readouterr().out
    worst = read_record(RunDir(three / "worst"))
    assert worst.status == "finished, weights deleted"
    assert [note.text for note in worst.notes] == ["best weights deleted by runs prune"]
    assert read_record(RunDir(three / "best")).status == "finished"
    assert steps(runs_prune.plan_pruning(three, keep=1)) == []  # nothing is left to delete


def test_whole_folders(three: Path) -> None:
    (three / "worst" / "more.txt").write_text("mine")
    plan = runs_prune.plan_pruning(three, keep=2, whole=True)
    assert steps(plan)[3:] == [("worst", WHOLE)]
    inside = {n: d for n, d in everything(three).items() if n.startswith("worst") or "/last/" in n or "/resume/" in n}
    assert plan.freed == sum(map(len, inside.values()))
    print_pruning(runs_prune.prune(three, keep=2, budget=None, whole=True, yes=True, now=NOW))
    assert sorted(path.name for path in three.iterdir()) == ["best", "middle"]


def test_a_budget_stops_it_as_soon_as_it_is_met(three: Path, capsys: pytest.CaptureFixture[str]) -> None:
    total, each = runs_prune.plan_pruning(three, keep=1).bytes, 2 * (BIG + 3 + SMALL)
    assert steps(runs_prune.plan_pruning(three, keep=1, budget=total)) == []
    assert steps(runs_prune.plan_pruning(three, keep=1, budget=total - 1)) == [("worst", RESUMED)]
    assert steps(runs_prune.plan_pruning(three, keep=1, budget=total - each)) == [("worst", RESUMED)]
    assert len(steps(runs_prune.plan_pruning(three, keep=1, budget=total - 3 * each - 1))) == 4
    print_pruning(runs_prune.prune(three, keep=1, budget=10, whole=False, yes=False, now=NOW))
    assert "more than --budget 10 B" in capsys.readouterr().out


def test_what_must_not_be_pruned(three: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(three.parent)
    for name in ("noted", "ensembled", "started_from", "linked", "unscored", "sealed", "unsealed"):
        make(three / name, share=0.1, sealed="sealed" in name)
    write_sealed_score(RunDir(three / "unsealed"), UNSEALED)
    runs_note.note(RunDir(three / "noted"), keep=True, now=NOW)
    (three / "sub").mkdir()
    recipe = "members: [{run: ../ensembled, weight: 0.5}]\n"
    (three / "sub" / "x.recipe.yaml").write_text(recipe)
    make(
        three / "later",
        f"model.weights={three / 'started_from' / 'fold0' / 'best' / 'weights.safetensors'}",
        share=0.95,
    )
    shutil.move(three / "linked" / "fold0", three.parent / "elsewhere")
    (three / "linked" / "fold0").symlink_to(three.parent / "elsewhere")
    summary = files.read_json(three / "unscored" / "summary.json")
    summary["pooled"]["macro_f1"], summary["interval"] = None, None
    edit_json(three / "unscored" / "summary.json", summary)
    train(begin(three / "half"), guesses(0.1), [0])
    damage(make(three / "lost", share=0.1), "manifest edited")
    (three / "away").symlink_to(make(three.parent / "outside", share=0.1).path)

    plan = runs_prune.plan_pruning(three, keep=0, whole=True)
    assert {name for name, _ in steps(plan)} == {"worst", "middle", "best", "later", "unsealed"}
    why = {run.path.name: reason for run, reason in plan.kept.items()}
    assert why.keys() == {"noted", "ensembled", "started_from", "linked", "unscored", "sealed", "half", "lost"}
    assert why["sealed"] == f"its sealed people are not scored yet: maskcls unseal {three / 'sealed'}"
    assert "a note says keep" in why["noted"]
    assert "x.recipe.yaml names it" in why["ensembled"]
    assert "later was started from its weights" in why["started_from"]
    assert "symbolic link, fold0" in why["linked"]
    assert "no score" in why["unscored"]
    assert "unfinished: 1 of 2" in why["half"]
    assert "broken" in why["lost"]
    before = everything(three.parent)
    print_pruning(runs_prune.prune(three, keep=0, budget=None, whole=True, yes=True, now=NOW))
    after = everything(three.parent)
    gone = {name.split("/")[1] for name in before.keys() - after.keys()}
    assert gone == {"worst", "middle", "best", "later", "unsealed"}


@pytest.mark.parametrize("words", ["runs/worst", "worst", "{absolute}", "runs/../runs/worst/oof.npz", "link"])
def test_recipes_name_runs_in_many_ways(three: Path, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    monkeypatch.chdir(three.parent)
    (three / "link").symlink_to(three / "worst")
    words = words.replace("{absolute}", str(three / "worst"))
    (three / "all.recipe.yaml").write_text(f"method: mean\nmembers:\n  - {{run: {words}}}\n")
    assert {name for name, _ in steps(runs_prune.plan_pruning(three, keep=0))} == {"middle", "best"}


def test_recipes_elsewhere(three: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(three.parent)
    Path("submission.recipe.yaml").write_text("members: [{run: runs/worst}]\n")  # beside us, outside the folder
    (three / "recipe.yaml").write_text("optim: {lr: 1e-3}\n")  # of a training: names no member
    assert {name for name, _ in steps(runs_prune.plan_pruning(three, keep=0))} == {"middle", "best"}
    (three / "middle" / "recipe.yaml").write_text("members: [\n")
    with pytest.raises(ResultError, match="a recipe cannot be read"):
        runs_prune.plan_pruning(three, keep=0)


def test_what_changes_between_plan_and_deed_is_respected(three: Path) -> None:
    first, second, third = runs_prune.plan_pruning(three, keep=3).parts
    with run_lock.lock(first.found.run):
        assert runs_prune.carry_out(first, NOW) == "another process is working on it"
    runs_note.note(second.found.run, keep=True, now=NOW)
    assert runs_prune.carry_out(second, NOW) == "a note says keep"
    shutil.rmtree(third.found.run.fold(0).last.path)
    (three / "other").mkdir()
    (three / "other" / "precious").write_text("mine")
    third.found.run.fold(0).last.path.symlink_to(three / "other")
    assert "symbolic link" in runs_prune.carry_out(third, NOW)
    assert (three / "other" / "precious").exists()
    assert all(step.paths[0].exists() for step in (first, second))


def test_what_a_killed_prune_moved_aside_is_removed_where_nothing_else_is(three: Path) -> None:
    """As after a kill in its last deletion: the run has no resume state any more, and keeps its best weights."""
    runs_prune.prune(three, keep=3, budget=None, whole=True, yes=True, now=NOW)
    before = everything(three)
    for place in (three / "best" / "fold1", three / "best", three):
        (place / f".{'0a' * 8}.tmp" / "resume").mkdir(parents=True)
        (place / f".{'0a' * 8}.tmp" / "resume" / "state.safetensors").write_bytes(b"state")
    for yes, left in ((False, 3), (True, 0)):
        found = runs_prune.prune(three, keep=3, budget=None, whole=True, yes=yes, now=NOW)
        assert found.parts == ()
        assert len(everything(three)) == len(before) + left


def test_all_networks_of_a_run_are_pruned(tmp_path: Path) -> None:
    run = make(tmp_path / "runs" / "a", *KINDS["all"])
    print_pruning(runs_prune.prune(tmp_path / "runs", keep=0, budget=None, whole=False, yes=True, now=NOW))
    assert len(list(run.path.rglob("meta.json"))) == 30
    assert not list(run.path.rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("words", "count"),
    [("0B", 0), ("500MB", 500_000_000), ("20 GB", 20 * 10**9), ("1.5GiB", 3 << 29), ("2TB", 2 * 10**12), ("3kB", 3000)],
)
def test_sizes_are_read(words: str, count: int) -> None:
    assert runs_prune.read_size(words) == count


@pytest.mark.parametrize("words", ["", "20", "GB", "-1GB", "20gb", "1e3GB", "20 G B"])
def test_sizes_that_are_none_are_refused(words: str) -> None:
    with pytest.raises(UsageError, match="not a size"):
        runs_prune.read_size(words)


@given(st.integers(0, 10**15))
def test_a_written_size_is_near_the_number(count: int) -> None:
    number, unit = size(count).split()
    power = ["B", "kB", "MB", "GB", "TB"].index(unit)
    assert float(number) * 1000**power == pytest.approx(count, rel=0.051)
    assert len(number) <= 3 or unit == "TB"
