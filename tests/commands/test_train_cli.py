"""maskcls train from the command line to the files: what a run holds, and that its numbers are true."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from sklearn.metrics import accuracy_score, f1_score
from tiny import contents, hashes, in_a_fold, log_lines, outcome, resume, train

from maskcls import config, files
from maskcls.data.drawn.faces import make_faces
from maskcls.engine.session import Session
from maskcls.engine.step_plan import FoldRows
from maskcls.errors import Exit
from maskcls.results.predictions import Predictions
from maskcls.schema import Config
from maskcls.training.checks import with_absolute_paths
from maskcls.training.forecasting import forecast as forecasting

TASKS = ("mask", "gender", "age")
IDENTITY = {"config.yaml", "labels.json", "manifest.csv", "folds.csv", "photos.csv", "env.json", ".lock"}
RESULTS = {"oof.npz", "summary.json", "times.json"}
CHOSEN = {"best/weights.safetensors", "best/meta.json", "oof.npz", "summary.json", "DONE"}
CANDIDATE = {"candidates/0/weights.safetensors", "candidates/0/meta.json"}


def files_of(folds: dict[str, int]) -> set[str]:
    """Return every file of a finished run with these fold folders and their numbers of epochs."""
    return IDENTITY | RESULTS | {f"{fold}/{name}" for fold, epochs in folds.items() for name in in_a_fold(epochs)}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def weights_of(run: Path, fold: str = "fold0", kind: str = "best") -> bytes:
    return (run / fold / kind / "weights.safetensors").read_bytes()


@pytest.fixture(scope="module")
def multi(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two folds and two epochs, three heads on one trunk; tests must not write there."""
    run = tmp_path_factory.mktemp("multi") / "run"
    assert train(drawn, run) == 0
    return run


@pytest.fixture(scope="module")
def separate(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of three networks; age has its own trunk, view, rate and number of epochs."""
    run = tmp_path_factory.mktemp("separate") / "run"
    own = "model.backbone: test_resnet, transforms.size: [40, 32], optim.lr: 1.0e-3, train.epochs: 3"
    assert train(drawn, run, "model.heads=separate", "train.epochs=1", f"separate={{age: {{{own}}}}}") == 0
    return run


@pytest.fixture(scope="module")
def joint(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with one head over the joint classes."""
    run = tmp_path_factory.mktemp("joint") / "run"
    assert train(drawn, run, "model.heads=joint", "train.epochs=1") == 0
    return run


# ---- what a run holds -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("optim.name=adamww", "adamw"),
        ("optim.betas=[0.9]", "optim.betas"),
        ("optim.freeze_layers=500", "optim.freeze_layers"),
        ("age.drop=[60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70]", "no row of >=60 is left"),
    ],
)
def test_what_cannot_be_trained_is_told_before_anything_is_written(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], word: str, said: str
) -> None:
    run = tmp_path / "run"
    assert train(drawn, run, word) == (Exit.DATA if word.startswith("age") else Exit.CONFIG)
    assert said in capsys.readouterr().err
    assert not run.exists()


def test_the_files_of_a_run_are_exactly_these(multi: Path, joint: Path, separate: Path) -> None:
    assert set(hashes(multi)) == files_of({"fold0": 2, "fold1": 2})
    assert set(hashes(joint)) == files_of({"fold0": 1, "fold1": 1})
    epochs = dict(zip(TASKS, (1, 1, 3), strict=True))
    assert set(hashes(separate)) == files_of({f"members/{t}/fold{k}": n for t, n in epochs.items() for k in (0, 1)})
    assert len(hashes(separate)) == 7 + 3 + 6 * 10 + 2 * (1 + 1 + 3)


def test_the_log_has_a_line_an_epoch(multi: Path, separate: Path) -> None:
    lines = log_lines(multi / "fold1")
    assert [line["epoch"] for line in lines] == [0, 1]
    assert [line["step"] for line in lines] == [3, 6]  # 42 rows in steps of 16
    scores = {f"val/{name}" for name in ("macro_f1", "loss", *TASKS)}
    losses = {f"train/{name}" for name in ("loss", *TASKS)}
    assert set(lines[0]) == {"epoch", "step", "lr", "seconds", "images_per_second", "is_best"} | scores | losses
    assert [len(log_lines(separate / "members" / task / "fold0")) for task in TASKS] == [1, 1, 3]


def test_the_best_weights_are_those_of_the_epoch_with_the_other_folds_highest_score(multi: Path) -> None:
    logged = {fold: [line["val/macro_f1"] for line in log_lines(multi / fold)] for fold in ("fold0", "fold1")}
    for fold, other in (("fold0", "fold1"), ("fold1", "fold0")):
        best, last = (json.loads((multi / fold / kind / "meta.json").read_text()) for kind in ("best", "last"))
        assert (best["epoch"], last["epoch"]) == (int(logged[other][1] >= logged[other][0]), 1)
        assert best["scores"]["macro_f1"] == logged[fold][best["epoch"]]
        assert files.read_json(multi / fold / "DONE")["weights"] == best["sha256"]


def test_a_members_own_recipe_reaches_its_weights(separate: Path) -> None:
    metas = {t: json.loads((separate / "members" / t / "fold1/best/meta.json").read_text()) for t in TASKS}
    assert [metas[task]["backbone"] for task in TASKS] == ["test_efficientnet"] * 2 + ["test_resnet"]
    assert [metas[task]["transforms"]["size"] for task in TASKS] == [[32, 32]] * 2 + [[40, 32]]
    assert [[label["name"] for label in metas[task]["labels"]] for task in TASKS] == [[task] for task in TASKS]
    rates = {task: log_lines(separate / "members" / task / "fold0")[0]["lr"] for task in TASKS}
    # Half an epoch of warm-up is 2 of 3 steps, so the third is at the peak: the default one, and age's own.
    assert rates == pytest.approx({"mask": 3e-4, "gender": 3e-4, "age": 1e-3})


def test_the_saved_configuration_is_the_one_that_ran(multi: Path, drawn: Path) -> None:
    cfg, origins = config.load(multi / "config.yaml")
    assert (cfg.model.backbone, cfg.transforms.size, cfg.train.epochs, cfg.folds.k) == (
        "test_efficientnet",
        (32, 32),
        2,
        2,
    )
    assert set(origins.values()) == {"config.yaml"}
    env = json.loads((multi / "env.json").read_text())
    assert (env["data"], env["folds"]) == (str(drawn.resolve()), [0, 1])
    assert env["hashes"] == {name: digest for name, digest in hashes(multi).items() if name in env["hashes"]}
    assert set(env["hashes"]) == {"config.yaml", "labels.json", "manifest.csv", "folds.csv", "photos.csv"}


# ---- the numbers ----------------------------------------------------------------------------------------------------


def truth_of(run: Path) -> dict[str, tuple[int, int, int]]:
    """Return mask, gender and age class by id, from the manifest's text; the age is banded anew."""
    found = {}
    for row in rows_of(run / "manifest.csv"):
        years = int(row["age_value"])
        found[row["id"]] = (int(row["mask"]), int(row["gender"]), 0 if years < 30 else 1 if years < 60 else 2)
    return found


@pytest.mark.parametrize("heads", ["multi", "joint", "separate"])
def test_the_summary_is_what_scikit_learn_finds_in_the_oof_rows(heads: str, request: pytest.FixtureRequest) -> None:
    run: Path = request.getfixturevalue(heads)
    oof, truth = Predictions.load(run / "oof.npz"), truth_of(run)
    assert oof.ids.tolist() == list(truth)  # the manifest's rows in its order, each once
    assert len(truth) == 84
    true = np.array([truth[name] for name in oof.ids.tolist()])
    joint_true = true[:, 0] * 6 + true[:, 1] * 3 + true[:, 2]
    said = oof.prob.argmax(axis=1)
    parts = (said // 6, said // 3 % 2, said % 3)
    summary = json.loads((run / "summary.json").read_text())
    assert summary["pooled"]["macro_f1"] == pytest.approx(f1_score(joint_true, said, average="macro"))
    assert summary["pooled"]["accuracy"] == pytest.approx(accuracy_score(joint_true, said))
    for name, column, part in zip(TASKS, true.T, parts, strict=True):
        of_task = summary["pooled"]["tasks"][name]
        assert of_task["macro_f1"] == pytest.approx(f1_score(column, part, average="macro"))
    fold = np.array([int(row["fold"]) for row in rows_of(run / "folds.csv")])
    by_fold = [f1_score(joint_true[fold == k], said[fold == k], average="macro") for k in (0, 1)]
    assert [summary["folds"][str(k)]["macro_f1"] for k in (0, 1)] == pytest.approx(by_fold)
    assert summary["mean"]["macro_f1"] == pytest.approx(sum(by_fold) / 2)
    assert summary["sd"]["macro_f1"] == pytest.approx(abs(by_fold[0] - by_fold[1]) / 2**0.5)
    assert summary["people"] == 12
    assert summary["interval"]["low"] < summary["pooled"]["macro_f1"] < summary["interval"]["high"]


def test_members_are_multiplied_into_the_joint_rows(separate: Path) -> None:
    whole = Predictions.load(separate / "oof.npz")
    rows = {name: i for i, name in enumerate(whole.ids.tolist())}
    seen = 0
    for k in (0, 1):
        parts = [Predictions.load(separate / f"members/{task}/fold{k}/oof.npz") for task in TASKS]
        for i, name in enumerate(parts[0].ids.tolist()):
            mask, gender, age = (part.prob[i] for part in parts)
            want = [float(m) * float(g) * float(a) for m in mask for g in gender for a in age]
            assert whole.prob[rows[name]] == pytest.approx(want, abs=1e-6)  # float32 products of numbers below 1
            seen += 1
    assert seen == 84


def test_no_person_is_in_two_folds_and_all_heads_share_the_folds(multi: Path, joint: Path, separate: Path) -> None:
    table = rows_of(multi / "folds.csv")
    folds: dict[str, set[str]] = {}
    for row in table:
        folds.setdefault(row["person"], set()).add(row["fold"])
    assert (len(table), len(folds)) == (84, 12)
    assert all(len(found) == 1 for found in folds.values())
    assert sorted(next(iter(found)) for found in folds.values()) == ["0"] * 6 + ["1"] * 6
    assert len({(run / "folds.csv").read_bytes() for run in (multi, joint, separate)}) == 1


# ---- folds on their own ---------------------------------------------------------------------------------------------


def test_every_fold_begins_with_a_network_of_its_own(drawn: Path, multi: Path, tmp_path: Path) -> None:
    """Fold 1 after fold 0 is fold 1 alone: nothing of fold 0 is carried on but the choice of the epoch."""
    run = tmp_path / "run"
    assert train(drawn, run, "--folds", "1") == 0
    kept = {f"fold1/candidates/{epoch}/{name}" for epoch in (0, 1) for name in ("weights.safetensors", "meta.json")}
    assert set(hashes(run)) == files_of({"fold1": 2}) | kept  # to choose from when the other fold is there
    names = ("last/weights.safetensors", "last/meta.json", "epochs/0.npy", "epochs/1.npy")
    alone, after = hashes(run / "fold1"), hashes(multi / "fold1")
    assert [alone[name] for name in names] == [after[name] for name in names]
    assert alone["best/weights.safetensors"] == alone["last/weights.safetensors"]


def test_resume_adds_folds(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A fold that is done keeps its epoch, so the runs are equal where the epoch does not depend on other folds."""
    run, multi = tmp_path / "run", tmp_path / "multi"
    assert train(drawn, multi, "train.select=last") == 0
    assert train(drawn, run, "train.select=last", "--folds", "0") == 0
    assert len(Predictions.load(run / "oof.npz")) == 42
    assert list(json.loads((run / "summary.json").read_text())["folds"]) == ["0"]
    assert resume(run, "--folds", "1") == 0
    assert outcome(run) == outcome(multi)
    assert json.loads((run / "env.json").read_text())["folds"] == [0, 1]
    capsys.readouterr()
    assert resume(run, "--folds", "7") == 2
    assert "--folds" in capsys.readouterr().err


def test_one_fold_is_a_hold_out(drawn: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert train(drawn, run, "folds.k=1", "folds.holdout=0.25", "train.epochs=1") == 0
    assert set(hashes(run)) == files_of({"fold0": 1})
    held = {row["id"]: row["fold"] for row in rows_of(run / "folds.csv")}
    people = {row["person"] for row in rows_of(run / "folds.csv") if row["fold"] == "0"}
    assert (len(held), len(people), set(held.values())) == (84, 3, {"0", "-1"})
    oof = Predictions.load(run / "oof.npz")
    assert oof.ids.tolist() == [name for name, fold in held.items() if fold == "0"]
    summary = json.loads((run / "summary.json").read_text())
    assert summary["sd"] == {"macro_f1": None, "mask": None, "gender": None, "age": None}


# ---- the same bits --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("device.workers=1",), marks=pytest.mark.slow),
        ("device.workers=2",),
        ("data.cache=off",),
        ("device.workers=2", "data.cache=off"),
    ],
)
def test_neither_the_cache_nor_loader_processes_change_anything(
    drawn: Path, multi: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """The run they are compared with had the one and not the other."""
    assert train(drawn, tmp_path / "run", *words) == 0
    assert contents(tmp_path / "run") == contents(multi)


def test_without_room_for_the_cache_photos_are_decoded_and_it_is_said(
    drawn: Path, multi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MASKCLS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("maskcls.data.photos.cache.SPARE_BYTES", 1 << 62)
    assert train(drawn, tmp_path / "refused", "data.cache=on") == 6
    assert not (tmp_path / "refused").exists()
    assert "not enough disk space for the cache of photos" in capsys.readouterr().err
    assert train(drawn, tmp_path / "run") == 0
    assert "photos are decoded every epoch: not enough disk space" in " ".join(capsys.readouterr().err.split())
    assert outcome(tmp_path / "run") == outcome(multi)


def test_a_dry_run_fills_no_cache(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASKCLS_CACHE", str(tmp_path / "cache"))
    assert train(drawn, tmp_path / "run", "--dry-run") == 0
    assert list(tmp_path.iterdir()) == []


def test_the_seed_decides_the_weights(drawn: Path, multi: Path, tmp_path: Path) -> None:
    assert train(drawn, tmp_path / "again", "--folds", "0") == 0
    again, before = contents(tmp_path / "again" / "fold0"), contents(multi / "fold0")
    del again["summary.json"], before["summary.json"]  # it names the folds that chose the epoch
    kept = {name for name in again if name.startswith("candidates/")}  # for folds that are added later
    assert kept
    assert {name: content for name, content in again.items() if name not in kept} == before
    assert train(drawn, tmp_path / "other", "--folds", "0", "seed=1") == 0
    assert weights_of(tmp_path / "other") != weights_of(multi)
    assert (tmp_path / "other" / "folds.csv").read_bytes() == (multi / "folds.csv").read_bytes()


@pytest.mark.slow
def test_initial_weights_differ_between_folds_members_and_seeds(drawn: Path, tmp_path: Path) -> None:
    """At a rate of next to nothing the last weights are the first."""
    still = ("optim.lr=1e-30", "train.epochs=1", "average.kind=none", "model.backbone=test_convnext")

    def first(name: str, fold: str, *words: str) -> np.ndarray[Any, Any]:
        if not (tmp_path / name).exists():
            assert train(drawn, tmp_path / name, *still, *words) == 0
        tensors = load_file(tmp_path / name / fold / "last" / "weights.safetensors")
        return tensors["trunk.stem.0.weight"]

    zero, one = first("a", "fold0"), first("a", "fold1")
    assert (zero != one).mean() > 0.99
    assert (first("b", "fold0", "--folds", "0") == zero).all()
    assert (first("c", "fold0", "--folds", "0", "seed=1") != zero).mean() > 0.99
    members = [first("d", f"members/{task}/fold0", "--folds", "0", "model.heads=separate") for task in TASKS]
    assert (members[0] != members[1]).mean() > 0.99
    assert (members[1] != members[2]).mean() > 0.99


@pytest.mark.slow
def test_every_option_of_the_view_reaches_the_network(drawn: Path, multi: Path, tmp_path: Path) -> None:
    for override in ("transforms.hflip=0", "transforms.crop=[0.8, 0.8]", "model.drop=0.5", "train.batch_size=15"):
        run = tmp_path / override
        assert train(drawn, run, "--folds", "0", "train.epochs=1", override) == 0
        first = log_lines(multi / "fold0")[0]["train/loss"]
        assert log_lines(run / "fold0")[0]["train/loss"] != first


# ---- what is refused ------------------------------------------------------------------------------------------------


def test_an_existing_run_is_refused_and_left_as_it_is(
    drawn: Path, multi: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = hashes(multi)
    assert train(drawn, multi) == 7
    assert "the folder holds a finished run" in capsys.readouterr().err
    assert train(drawn, multi, "--dry-run") == 7
    assert hashes(multi) == before


def test_a_run_made_by_another_process_meanwhile_is_refused(
    drawn: Path, multi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is looked at again under the lock."""
    run = tmp_path / "run"

    def slow_reading(*_: object, **__: object) -> dict[object, object]:
        os.symlink(multi, run)
        return {}

    monkeypatch.setattr("maskcls.training.checks.cached_views", slow_reading)
    before = {name: digest for name, digest in hashes(multi).items() if name != ".lock"}
    assert train(drawn, run) == 7
    assert {name: digest for name, digest in hashes(multi).items() if name != ".lock"} == before


def test_files_that_are_no_run_are_not_replaced(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.yaml").write_text("mine\n")
    assert train(drawn, tmp_path) == 7
    assert "config.yaml" in capsys.readouterr().err
    assert set(hashes(tmp_path)) == {"config.yaml"}


def test_a_dry_run_tells_and_writes_nothing(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = hashes(drawn)
    assert train(drawn, tmp_path / "run", "--dry-run", "optim.lr=1e-3") == 0
    told = capsys.readouterr().out
    settings = {line.split()[0]: line.split()[-2:] for line in told.splitlines() if line.startswith("optim.")}
    assert len(settings) == len(Config().optim.model_dump())
    assert settings["optim.lr"] == ["command", "line"]
    assert "nothing was written" in " ".join(told.split())
    assert "forecast: 2 folds x 1 network, " in told
    order = [told.index(word) for word in ("people", "fold  ", "network  ", "learning rate", "\noptim.lr ", "forecast")]
    assert order == sorted(order)  # the forecast stays on the screen
    assert list(tmp_path.iterdir()) == []
    assert hashes(drawn) == before


def test_a_dry_run_prints_its_plan_as_json(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(drawn, tmp_path / "run", "--dry-run", "--json", "optim.lr=1e-3", "--folds", "1") == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    found = json.loads(out)
    assert (found["config"]["optim"]["lr"], found["origins"]["optim.lr"]) == (1e-3, "command line")
    assert [fold["fold"] for fold in found["folds"]] == [0, 1]
    assert [sum(fold[name] for fold in found["folds"]) for name in ("people", "photos")] == [12, 84]
    masks = {one["class"]: one["photos"] for one in found["classes"] if one["task"] == "mask"}
    assert masks == {"wear": 60, "incorrect": 12, "normal": 12}  # five, one and one photo of each person
    (rates,) = found["learning_rates"]
    assert rates["high"] <= 1e-3
    assert (found["forecast"]["folds"], found["forecast"]["networks"], found["run"]) == (1, 1, str(tmp_path / "run"))
    assert found["forecast"]["seconds"] > 0
    assert not (tmp_path / "run").exists()


def test_a_photo_that_cannot_be_read_stops_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_faces(tmp_path / "faces", people=12, seed=0, eval_people=1, size=(48, 36))
    victim = sorted((tmp_path / "faces/train/images").rglob("*.jpg"))[40]
    victim.write_bytes(victim.read_bytes()[:300])
    assert train(tmp_path / "faces", tmp_path / "run") == 4
    assert victim.name in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_divergence_ends_with_8_and_keeps_the_last_good_epoch(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rate explodes in the second epoch's second step; without that, resuming ends like a run that never did."""
    from maskcls.engine import fit as loop

    calm = loop.lr_at
    monkeypatch.setattr(loop, "lr_at", lambda step, *a, **kw: 1e30 if step == 3 else calm(step, *a, **kw))
    run = tmp_path / "run"
    assert train(drawn, run, "--folds", "0") == 8
    message = capsys.readouterr().err
    assert "error[diverged]" in message
    assert "epoch 2, step 5" in message
    assert {name for name in hashes(run) if name.startswith("fold0/")} == {
        f"fold0/{name}" for name in in_a_fold(1) - CHOSEN | CANDIDATE
    }
    assert [line["epoch"] for line in log_lines(run / "fold0")] == [0]
    monkeypatch.setattr(loop, "lr_at", calm)
    assert resume(run) == 0
    assert train(drawn, tmp_path / "calm", "--folds", "0") == 0
    assert outcome(run) == outcome(tmp_path / "calm")


def test_a_run_names_its_files_absolutely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run must be resumable from any folder, a task's own weights included."""
    monkeypatch.chdir(tmp_path)
    cfg, _ = config.load(
        None,
        [
            "model.heads=separate",
            "model.weights=a.pt",
            "data.fixes=f.csv",
            "separate.age.model.weights=b.pt",
            "separate={mask: {train: {epochs: 2}}}",
        ],
    )
    absolute = with_absolute_paths(cfg)
    assert (absolute.model.weights, absolute.data.fixes) == (str(tmp_path / "a.pt"), str(tmp_path / "f.csv"))
    found = config.members(absolute)
    assert [found[name].model.weights for name in ("mask", "gender", "age")] == [
        str(tmp_path / name) for name in ("a.pt", "a.pt", "b.pt")
    ]
    assert (found["mask"].train.epochs, found["age"].train.epochs) == (2, cfg.train.epochs)


def test_the_forecast_is_of_whole_epochs(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small images and frozen layers of the first epochs say nothing about the others."""
    seen: list[Config] = []
    real = forecasting.fit

    def watched(session: Session, rows: FoldRows, cfg: Config, *, key: tuple[int, int, int]) -> Iterator[object]:
        seen.append(cfg)
        return real(session, rows, cfg, key=key)

    monkeypatch.setattr(forecasting, "fit", watched)
    words = ("train.epochs=5", "train.stages=[[2, 0.5]]", "transforms.size=[64, 64]", "optim.freeze_epochs=3")
    assert train(drawn, tmp_path / "run", "--dry-run", *words) == 0
    assert [(cfg.train.stages, cfg.optim.freeze_epochs, cfg.transforms.size) for cfg in seen] == [((), 0, (64, 64))]
