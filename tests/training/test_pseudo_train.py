"""Pseudo labels from end to end: made fold by fold, trained on fold by fold, and never used for scores."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from edited import edit_json
from tiny import experiment, outcome, resume, tiny, train

from maskcls.cli import run_app
from maskcls.commands.pseudo_label import class_prior
from maskcls.engine.objective import build_heads, head_targets
from maskcls.results.predictions import Predictions
from maskcls.results.pseudo.read_labels import read_pseudo
from maskcls.rundir import REFIT, RunDir
from maskcls.training.stored_experiment import open_experiment

WORDS = ("model.backbone=test_convnext", "train.epochs=1")
EVAL_PHOTOS = 21


def label(run: Path, data: Path, output: Path, *words: str) -> int:
    """Run `maskcls pseudo-label`, taking every photo unless told otherwise."""
    words = words if any(word.startswith("--min") for word in words) else (*words, "--min-confidence", "0")
    words = words if "--agree" in words else (*words, "--agree", "0")  # networks this small agree on little
    return run_app(["pseudo-label", str(run), "--data", str(data), "-o", str(output), *words])


@pytest.fixture(scope="module")
def base(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("base") / "run"
    assert train(drawn, run, *WORDS) == 0
    return run


@pytest.fixture(scope="module")
def pseudo(base: Path, drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("labels") / "pseudo.csv"
    assert label(base, drawn, path, "--soft") == 0
    return path


@pytest.fixture(scope="module")
def taught(pseudo: Path, drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("taught") / "run"
    assert train(drawn, run, *WORDS, f"data.pseudo={pseudo}") == 0
    return run


def fold_prediction(base: Path, drawn: Path, tmp_path: Path, k: int) -> Predictions:
    """Predict with fold k's network alone, by an independent way: a run folder that was asked for that fold only."""
    run = tmp_path / f"only{k}"
    shutil.copytree(base, run)
    edit_json(run / "env.json", {"folds": [k]})
    (run / "summary.json").unlink()  # which names the other fold
    assert run_app(["predict", str(run), "--data", str(drawn), "-o", str(tmp_path / f"{k}.csv")]) == 0
    return Predictions.load(run / "test/faces-none.npz")


def test_each_set_is_what_its_fold_s_network_says(base: Path, pseudo: Path, drawn: Path, tmp_path: Path) -> None:
    opened = open_experiment(RunDir(base))[0]
    found = read_pseudo(pseudo, opened.cfg.space, folds_sha256=sha_of(base), k=2)
    alone = [fold_prediction(base, drawn, tmp_path, k) for k in range(2)]
    assert abs(alone[0].prob - alone[1].prob).max() > 1e-3
    wanted = {0: alone[0].prob, 1: alone[1].prob, REFIT: (alone[0].prob + alone[1].prob) / 2}
    assert set(found.sets) == set(wanted)
    for k, prob in wanted.items():
        rows = found.for_fold(k)
        assert rows.ids.tolist() == alone[0].ids.tolist()
        assert rows.prob is not None
        np.testing.assert_allclose(rows.prob, prob, atol=2e-6)


def sha_of(run: Path) -> str:
    return str(json.loads((run / "env.json").read_text())["hashes"]["folds.csv"])


def test_each_fold_learns_from_its_own_set_and_none_is_scored_on_it(taught: Path, pseudo: Path, drawn: Path) -> None:
    opened, env = open_experiment(RunDir(taught))
    assert set(env.hashes) >= {"pseudo.csv", "pseudo.json"}
    (of_file,) = opened.added
    added = np.flatnonzero(opened.manifest["source"] == "pseudo")
    assert len(added) == EVAL_PHOTOS
    assert (opened.fold[added] == -1).all()
    for k in (0, 1, REFIT):
        rows, of_set = opened.rows(opened.members[0], k), of_file.for_fold(k)
        assert set(added) <= set(rows.train)
        assert not set(added) & set(rows.valid)
        place = {id: row for row, id in enumerate(opened.manifest["id"])}
        places = [place[id] for id in of_set.ids]
        assert rows.soft is not None
        assert of_set.prob is not None
        np.testing.assert_array_equal(rows.soft[places], of_set.prob)
        assert not np.delete(rows.soft, places, axis=0).any()
        for name, label_N in of_set.labels.items():
            np.testing.assert_array_equal(rows.labels[name][places], label_N)
            assert (np.delete(rows.labels[name], places) >= 0).all()
    oof = Predictions.load(taught / "oof.npz")
    assert set(oof.ids) == set(opened.manifest["id"][: added[0]])


def test_the_sidecar_says_what_the_photos_were(pseudo: Path, base: Path, drawn: Path) -> None:
    found = read_pseudo(pseudo, tiny().space, folds_sha256=sha_of(base), k=2)
    photos = (drawn / "eval/images").iterdir()
    assert found.contents == {p.name: hashlib.blake2b(p.read_bytes(), digest_size=16).digest() for p in photos}


def test_pseudo_labelled_photos_are_not_reported_as_trained_on_and_predicted(
    pseudo: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All photos to predict have a pseudo label, and no warning; the one that is a real train photo has."""
    words = (*WORDS, f"data.pseudo={pseudo}", "--dry-run")
    assert train(drawn, tmp_path / "run", *words) == 0
    assert "also to be predicted" not in capsys.readouterr().err
    data = shutil.copytree(drawn, tmp_path / "faces")
    photo = experiment(data).manifest["path"].iloc[0]
    shutil.copy(data / photo, min((data / "eval" / "images").iterdir()))
    assert train(data, tmp_path / "run", *words) == 0
    assert "1 photo is trained on and also to be predicted" in " ".join(capsys.readouterr().err.split())


def test_the_first_photo_of_another_folder_is_the_one_that_is_read(drawn: Path, base: Path, tmp_path: Path) -> None:
    """The unlabelled photos may lie anywhere: here under another root than those with labels."""
    other = tmp_path / "elsewhere"
    shutil.copytree(drawn / "eval", other / "eval")
    path = tmp_path / "pseudo.csv"
    assert label(base, other, path) == 0
    plan = experiment(drawn, f"data.pseudo={path}")
    rows = plan.rows(plan.members[0], 0)
    paths = rows.photos.paths[-EVAL_PHOTOS:]
    assert all(Path(p).is_file() and str(p).startswith(str(other.resolve())) for p in paths)
    assert not any(Path(p).is_absolute() for p in rows.photos.paths[:-EVAL_PHOTOS])
    run = tmp_path / "run"
    assert train(drawn, run, *WORDS, f"data.pseudo={path}", "--folds", "0") == 0


def test_what_the_heads_are_taught(pseudo: Path, drawn: Path) -> None:
    """Soft rows are the marginals times the weight; finer classes and whole numbers learn nothing from them."""
    space = tiny().space
    for words, sums in (
        ((), {"mask": 1, "gender": 1, "age": 1}),
        (("age.head=normal",), {"mask": 1, "gender": 1, "age": 0}),
    ):
        plan = experiment(drawn, f"data.pseudo={pseudo}", *words)
        rows = plan.rows(plan.members[0], 1)
        cfg, device = plan.members[0].cfg, torch.device("cpu")
        targets = head_targets(
            build_heads(cfg), rows.labels, rows.values, rows.weight, rows.train, cfg, device, soft_NJ=rows.soft
        )
        assert rows.soft is not None
        marginals = space.marginals(rows.soft)
        for name, total in sums.items():
            taught = targets[name].rows[-EVAL_PHOTOS:].numpy()
            np.testing.assert_allclose(taught.sum(axis=1), total, atol=1e-5)
            if total:
                np.testing.assert_allclose(taught, marginals[name][-EVAL_PHOTOS:], atol=1e-6)
    joint = experiment(drawn, f"data.pseudo={pseudo}", "model.heads=joint")
    rows = joint.rows(joint.members[0], 1)
    cfg = joint.members[0].cfg
    target = head_targets(
        build_heads(cfg), rows.labels, rows.values, rows.weight, rows.train, cfg, torch.device("cpu"), soft_NJ=rows.soft
    )["joint"]
    assert rows.soft is not None
    np.testing.assert_allclose(target.rows[-EVAL_PHOTOS:].numpy(), rows.soft[-EVAL_PHOTOS:], atol=1e-6)


def test_hard_labels_weights_and_tasks_left_open(base: Path, drawn: Path, tmp_path: Path) -> None:
    path = tmp_path / "pseudo.csv"
    assert label(base, drawn, path, "--min-confidence", "mask=0,gender=1,age=0", "--partial", "--weight", "0.25") == 0
    plan = experiment(drawn, f"data.pseudo={path}")
    rows = plan.rows(plan.members[0], 0)
    assert rows.soft is None
    assert (rows.weight[-EVAL_PHOTOS:] == 0.25).all()
    assert (rows.labels["gender"][-EVAL_PHOTOS:] == -1).all()
    assert (rows.labels["age"][-EVAL_PHOTOS:] >= 0).all()


def test_they_change_what_is_learnt_and_a_run_with_them_resumes(
    taught: Path, base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = "fold0/best/weights.safetensors"
    assert outcome(taught)[weights] != outcome(base)[weights]
    run = tmp_path / "run"
    shutil.copytree(taught, run)
    shutil.rmtree(run / "fold1")
    (run / "summary.json").unlink()
    assert resume(run) == 0
    assert outcome(run) == outcome(taught)
    (run / "summary.json").unlink()
    table = pd.read_csv(run / "pseudo.csv", dtype=str, keep_default_na=False)
    table.assign(weight="2.0").to_csv(run / "pseudo.csv", index=False)
    capsys.readouterr()
    assert resume(run) == 9
    assert "pseudo.csv" in capsys.readouterr().err


def test_a_second_round_may_follow(taught: Path, drawn: Path, tmp_path: Path) -> None:
    path = tmp_path / "second.csv"
    assert label(taught, drawn, path) == 0
    plan = experiment(drawn, f"data.pseudo={path}")
    assert [one.source for one in plan.added] == ["pseudo"]
    assert not plan.leaky


REFUSED = {
    "folds": (("folds.seed=5",), "made with other folds"),
    "number of folds": (("folds.k=3",), "made with other folds"),
    "classes": (("tasks=[{name: age, classes: [young, old], bins: [40]}]",), "other classes"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_labels_that_would_leak_are_refused(
    name: str, pseudo: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words, message = REFUSED[name]
    assert train(drawn, tmp_path / "run", *WORDS, f"data.pseudo={pseudo}", *words) == 4
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_leaky_labels_train_on_demand_and_leave_no_score(
    pseudo: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, run = tmp_path / "hand.csv", tmp_path / "run"
    table = pd.read_csv(pseudo, dtype=str, keep_default_na=False).query("set == 'all'")
    table[["id", "path", "mask", "gender", "age"]].to_csv(path, index=False)
    words = (*WORDS, f"data.pseudo={path}", "--folds", "0", "predict.groups=look")
    assert train(drawn, run, *words) == 4
    assert "without a sidecar" in capsys.readouterr().err
    assert train(drawn, run, *words, "data.leaky=true") == 0
    captured = capsys.readouterr()
    assert "no out-of-fold score" in captured.out
    assert "macro-F1" not in captured.out
    assert "leaky" in captured.err
    (line,) = (line for line in captured.err.splitlines() if line.startswith("fold 0, leaky "))
    assert line.split()[5:9] == ["-"] * 4  # no epoch shows its score either
    assert not (run / "fold0/oof.npz").exists()
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["leaky"], summary["pooled"], summary["folds"]) == (True, None, {"0": {}})
    assert not (run / "oof.npz").exists()
    assert resume(run) == 0
    out = tmp_path / "s.csv"
    assert run_app(["predict", str(run), "--data", str(drawn), "-o", str(out)]) == 0
    lineage = json.loads(out.with_suffix(".json").read_text())["lineage"]
    assert lineage["oof_macro_f1"] is None
    assert lineage["groups"] is None  # there are no out-of-fold rows that could prove a gain
    capsys.readouterr()
    assert label(run, drawn, tmp_path / "again.csv") == 9
    assert "leaky" in capsys.readouterr().err


def test_what_cannot_be_labelled(base: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    half = tmp_path / "half"
    assert train(drawn, half, *WORDS, "--folds", "0") == 0
    assert label(half, drawn, tmp_path / "a.csv") == 9
    assert "--folds 1" in capsys.readouterr().err
    assert label(half, drawn, tmp_path / "a.csv", "--leaky") == 0
    assert label(base, drawn, tmp_path / "a.csv") == 7
    other = tmp_path / "other"
    assert train(drawn, other, *WORDS, "folds.seed=5") == 0
    words = ["--data", str(drawn), "-o", str(tmp_path / "b.csv"), "--min-confidence", "0", "--agree", "0"]
    capsys.readouterr()
    assert run_app(["pseudo-label", str(base), str(other), *words]) == 4
    assert "different folds" in capsys.readouterr().err
    assert run_app(["pseudo-label", str(base), str(other), *words, "--leaky"]) == 0
    assert label(base, drawn, tmp_path / "c.csv", "--min-confidence", "1") == 4
    assert "no photo reached the thresholds" in capsys.readouterr().err
    assert label(base, drawn, tmp_path / "c.csv", "--min-confidence", "mask=0.5,agee=0.5") == 3
    assert label(base, drawn, tmp_path / "c.csv", "--min-confidence", "sure") == 2


def test_photos_the_run_knows_are_refused_under_any_name(
    base: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every network but one has seen them, so the label sets would tell a fold's network of its validation people."""
    album = tmp_path / "album"
    album.mkdir()
    for number, photo in enumerate(sorted((drawn / "train/images").rglob("*.jpg"))[:3]):
        shutil.copyfile(photo, album / f"holiday {number}.jpg")
    assert label(base, album, tmp_path / "a.csv") == 4
    assert "trained or validated on" in capsys.readouterr().err
    shutil.rmtree(album)
    shutil.copytree(drawn / "eval/images", album)
    assert label(base, album, tmp_path / "a.csv") == 0


def test_soft_labels_teach_a_network_a_task(pseudo: Path, drawn: Path, tmp_path: Path) -> None:
    words = ("model.heads=separate", f"data.pseudo={pseudo}")
    plan = experiment(drawn, *words)
    for member in plan.members:
        rows, of_set = plan.rows(member, 0), plan.added[0].for_fold(0)
        assert of_set.prob is not None
        assert rows.soft is not None
        wanted = plan.cfg.space.marginals(of_set.prob)[member.task]
        np.testing.assert_allclose(rows.soft[-EVAL_PHOTOS:], wanted, atol=1e-6)
    assert train(drawn, tmp_path / "run", "train.epochs=1", *words, "--folds", "0") == 0


@pytest.mark.parametrize("wanted", ["auto", "true"])
def test_a_training_on_soft_labels_from_weights_has_no_baseline_and_goes_on(
    wanted: str, base: Path, pseudo: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Heads are fitted on labels, so only a baseline that was asked for is missed, and the training is not refused."""
    weights, run = tmp_path / "trunk.safetensors", tmp_path / "run"
    weights.write_bytes((base / "fold0/best/weights.safetensors").read_bytes())
    words = (*WORDS, f"data.pseudo={pseudo}", f"model.weights={weights}", f"train.baseline={wanted}", "--folds", "0")
    assert train(drawn, run, *words) == 0
    said = "no baseline of fitted heads: data.pseudo: heads are fitted on labels" in capsys.readouterr().err
    assert said == (wanted == "true")
    assert RunDir(run).fold(0).oof.exists()
    assert not RunDir(run).fold(0).frozen_heads.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--temperature", "0.5"], "--temperature is for soft labels"),
        (["--balance", "2", "--like-train"], "both say how many"),
        (["--max-per-class", "0"], "where: --max-per-class"),
        (["--min-confidence", "mask=0.9,mask=0.1"], "not a confidence"),
        (["--min-confidence", "mask.wear=0.5,mask=0.9"], "not a confidence"),
        (["predict.views=none"], "--views"),
    ],
)
def test_options_that_would_be_ignored_are_refused(
    words: list[str], message: str, base: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert label(base, drawn, tmp_path / "a.csv", *words) == 2
    assert message in capsys.readouterr().err


def test_classes_in_the_training_set_s_proportions(base: Path, drawn: Path, tmp_path: Path) -> None:
    """Set k gets the shares of the rows outside fold k: its people's labels have no part in it."""
    counted = {k: class_prior(open_experiment(RunDir(base))[0], k) for k in (0, 1, REFIT)}
    assert counted[0] != counted[1]
    assert sum(counted[REFIT]) == pytest.approx(1)
    assert label(base, drawn, tmp_path / "a.csv", "--like-train") in (0, 4)


def test_views_are_voices_of_their_own(
    base: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = []
    for words in (
        ("--views", "none"),
        ("--views", "none,hflip,shifts"),
        ("--views", "none,hflip,shifts", "--agree", "0"),
    ):
        path = tmp_path / f"{len(counts)}.csv"
        assert label(base, drawn, path, *words, "--json") == 0
        counts.append(json.loads(capsys.readouterr().out)["sets"]["0"])
    assert counts[0] == counts[2] == EVAL_PHOTOS
    assert counts[1] <= EVAL_PHOTOS


def test_what_is_printed(base: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert label(base, drawn, tmp_path / "a.csv", "--max-per-class", "2") == 0
    out = capsys.readouterr().out
    assert "mask incorrect" in out
    assert "disputed" in out
    assert "21 photos" in out
    assert any(line.startswith("for all rows ") for line in out.splitlines()[:2])
