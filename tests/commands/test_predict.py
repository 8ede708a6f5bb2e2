"""maskcls predict: from photos to a submission whose every row can be worked out by hand."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score
from tiny import experiment, hashes, train

from maskcls.cli import run_app
from maskcls.commands.predicting.predict import note_dominant_class
from maskcls.data import dataset
from maskcls.data.photos import images
from maskcls.data.photos.images import read_bytes, read_image
from maskcls.data.views.transforms import eval_view
from maskcls.engine.checkpoint import load_predictor
from maskcls.engine.infer import Predictor
from maskcls.labels import CONTEST
from maskcls.results.predictions import Predictions
from maskcls.rundir import RunDir

EVAL_PHOTOS = 21
QUICK = (
    "model.backbone=test_convnext",
    "train.epochs=1",
    "optim.lr=1e-2",
    "schedule.warmup_epochs=0",
    "average.kind=none",
)
TASKS = "tasks=[{name: mask, classes: [wear, incorrect, normal]}, {name: years, classes: [young, old], bins: [40]}]"
TABLE = ("data.format=table", TASKS)


def predict(run: Path, data: Path, output: Path, *words: str) -> int:
    return run_app(["predict", str(run), "--data", str(data), "-o", str(output), *words])


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def column(path: Path, name: str) -> list[str]:
    return [row[name] for row in rows_of(path)]


def probabilities(path: Path) -> np.ndarray[Any, Any]:
    return Predictions.load(path).prob


@pytest.fixture(scope="module")
def run(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folds, three heads on one trunk; tests that write into it work on a copy."""
    made = tmp_path_factory.mktemp("run") / "run"
    assert train(drawn, made, *QUICK) == 0
    return made


@pytest.fixture(scope="module")
def separate(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folds of three networks; the one for gender sees larger photos and another range of values."""
    made = tmp_path_factory.mktemp("separate") / "run"
    own = "separate={gender: {transforms.size: [48, 36], transforms.mean: [0.1, 0.2, 0.3]}}"
    assert train(drawn, made, "model.heads=separate", own, *QUICK) == 0
    return made


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    shutil.copytree(run, tmp_path / "copy")
    return tmp_path / "copy"


# ---- by hand --------------------------------------------------------------------------------------------------------


def softmaxes(predictor: Predictor, path: Path, *, flip: bool) -> dict[str, list[float]]:
    """Return each head's probabilities for one photo, alone in its batch."""
    small = eval_view(read_image(path), predictor.spec)
    pixels = torch.tensor(np.ascontiguousarray(small[:, ::-1] if flip else small), dtype=torch.float32).permute(2, 0, 1)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (predictor.spec.mean, predictor.spec.std))
    with torch.no_grad():
        logits = predictor.network((pixels / 255 - mean)[None] / std)
    return {name: torch.softmax(value[0].double(), 0).tolist() for name, value in logits.items()}


def joint_by_hand(folds: list[list[Predictor]], path: Path, *, flips: tuple[bool, ...] = (False,)) -> list[float]:
    """Average, over folds, the product of the tasks' probabilities; a network's are averaged over its views first.

    folds  for each fold its networks: one that speaks about all tasks, or one a task.
    """
    total = np.zeros(18)
    for predictors in folds:
        by_network = []
        for predictor in predictors:
            views = [softmaxes(predictor, path, flip=flip) for flip in flips]
            by_network.append(views)
        if len(predictors) == 1:
            for view in by_network[0]:
                total += np.array(products(view)) / len(flips) / len(folds)
        else:
            means = {k: np.mean([view[k] for view in views], axis=0).tolist() for views in by_network for k in views[0]}
            total += np.array(products(means)) / len(folds)
    return total.tolist()


def products(prob: dict[str, list[float]]) -> list[float]:
    return [m * g * a for m in prob["mask"] for g in prob["gender"] for a in prob["age"]]


@pytest.mark.parametrize("views", ["none", "hflip"])
def test_the_submission_is_the_argmax_of_the_mean_over_folds(
    run: Path, drawn: Path, tmp_path: Path, copy: Path, views: str
) -> None:
    output = tmp_path / "out" / "submission.csv"
    assert predict(copy, drawn, output, f"predict.views={views}") == 0
    folds = [[load_predictor(RunDir(run).fold(k).best)] for k in (0, 1)]
    flips = (False,) if views == "none" else (False, True)
    wanted = [row["ImageID"] for row in rows_of(drawn / "eval" / "info.csv")]
    want = [joint_by_hand(folds, drawn / "eval" / "images" / name, flips=flips) for name in wanted]
    assert output.read_text() == "ImageID,ans\n" + "".join(
        f"{name},{int(np.argmax(row))}\n" for name, row in zip(wanted, want, strict=True)
    )
    assert len(wanted) == EVAL_PHOTOS
    assert len(set(column(output, "ans"))) > 1
    kept = Predictions.load(copy / "test" / f"faces-{views}.npz")
    assert kept.ids.tolist() == wanted
    # A batch of one and of many differ in the last bits of float32 sums.
    assert abs(kept.prob - np.array(want)).max() < 1e-5
    assert {p.name for p in output.parent.iterdir()} == {"submission.csv", "submission.json"}


def test_members_with_views_of_their_own_are_multiplied(separate: Path, drawn: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(separate, copy)
    assert predict(copy, drawn, tmp_path / "s.csv", "predict.views=hflip") == 0
    tasks = ("mask", "gender", "age")
    folds = [[load_predictor(RunDir(copy).fold(k, task).best) for task in tasks] for k in (0, 1)]
    assert [predictor.spec.size for predictor in folds[0]] == [(32, 32), (48, 36), (32, 32)]
    names = column(drawn / "eval" / "info.csv", "ImageID")
    want = [joint_by_hand(folds, drawn / "eval" / "images" / name, flips=(False, True)) for name in names]
    assert abs(probabilities(copy / "test" / "faces-hflip.npz") - np.array(want)).max() < 1e-5
    assert column(tmp_path / "s.csv", "ans") == [str(int(np.argmax(row))) for row in want]


def test_views_change_the_probabilities(copy: Path, drawn: Path, tmp_path: Path) -> None:
    """Without predict.views the run's own views are used."""
    for name, words in {"a": ["predict.views=none"], "b": ["predict.views=hflip"], "c": []}.items():
        assert predict(copy, drawn, tmp_path / f"{name}.csv", *words) == 0
    none, hflip = (probabilities(copy / "test" / f"faces-{views}.npz") for views in ("none", "hflip"))
    assert abs(none - hflip).max() > 1e-3
    views = [json.loads((tmp_path / f"{name}.json").read_text())["lineage"]["views"] for name in "abc"]
    assert views == ["none", "hflip", "none"]


def test_every_photo_is_read_once(separate: Path, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six networks, two views and two sizes look at one photo, in batches that do not come out even."""
    copy = tmp_path / "run"
    shutil.copytree(separate, copy)
    monkeypatch.setenv("MASKCLS_CACHE", str(tmp_path / "cache"))
    seen: list[str] = []

    def counted(path: Path) -> bytes:
        seen.append(path.name)
        return read_bytes(path)

    monkeypatch.setattr(dataset, "read_bytes", counted)
    monkeypatch.setattr(images, "read_bytes", counted)
    words = ("predict.views=hflip", "predict.batch_size=8")
    assert predict(copy, drawn, tmp_path / "decoded.csv", *words, "data.cache=off") == 0
    assert sorted(seen) == sorted(column(drawn / "eval" / "info.csv", "ImageID"))
    assert len(seen) == EVAL_PHOTOS
    assert not (tmp_path / "cache").exists()
    decoded = probabilities(copy / "test" / "faces-hflip.npz")
    for _ in range(2):  # the first fills the cache: once for either size
        assert predict(copy, drawn, tmp_path / "cached.csv", *words, "--force") == 0
        np.testing.assert_array_equal(probabilities(copy / "test" / "faces-hflip.npz"), decoded)
    assert len(seen) == 3 * EVAL_PHOTOS
    assert (tmp_path / "cached.csv").read_bytes() == (tmp_path / "decoded.csv").read_bytes()


def test_the_batch_size_changes_no_label(copy: Path, drawn: Path, tmp_path: Path) -> None:
    answers, rows = set(), []
    for size in (1, 3, 16, 64):
        output = tmp_path / f"{size}.csv"
        assert predict(copy, drawn, output, f"predict.batch_size={size}") == 0
        answers.add(output.read_bytes())
        rows.append(probabilities(copy / "test" / "faces-none.npz"))
    assert len(answers) == 1
    assert np.ptp(rows, axis=0).max() < 1e-5  # sums of float32 in another order


def test_nearly_all_photos_of_one_class_are_a_warning() -> None:
    told: list[str] = []
    report: Any = SimpleNamespace(note=told.append)
    for labels in ([3] * 1990 + [4] * 10, [3] * 1980 + [4] * 20, [3] * 99):
        note_dominant_class(np.array(labels), CONTEST, report)
    assert told == [
        "warning: 1,990 of 2,000 photos are predicted as wear/female/<30; compare with the training set: "
        "maskcls submission check"
    ]


# ---- where it comes from -------------------------------------------------------------------------------------------


def test_the_sidecar_names_the_files_it_comes_from(copy: Path, drawn: Path, tmp_path: Path) -> None:
    before = hashes(copy)
    output = tmp_path / "s.csv"
    assert predict(copy, drawn, output) == 0
    sidecar = json.loads((tmp_path / "s.json").read_text())
    lineage = sidecar["lineage"]
    assert sidecar["sha256"] == hashlib.sha256(output.read_bytes()).hexdigest()
    assert (sidecar["rows"], sidecar["columns"]) == (EVAL_PHOTOS, ["ImageID", "ans"])
    copied = ("config.yaml", "labels.json", "manifest.csv", "folds.csv", "photos.csv")
    assert lineage["run_hashes"] == {name: before[name] for name in copied}
    assert lineage["weights"] == [
        {"member": "", "seed": 0, "fold": k, "sha256": before[f"fold{k}/best/weights.safetensors"]} for k in (0, 1)
    ]
    assert lineage["predictions"] == hashes(copy)["test/faces-none.npz"]
    names = column(drawn / "eval" / "info.csv", "ImageID")
    table = "id,path,person,mask,gender,age,age_value,split,source,weight\n"
    table += "".join(f"{name},eval/images/{name},,,,,,eval,real,1.0\n" for name in names)
    assert lineage["data_sha256"] == hashlib.sha256(table.encode()).hexdigest()
    assert lineage["oof_macro_f1"] == json.loads((copy / "summary.json").read_text())["pooled"]["macro_f1"]
    after = hashes(copy)
    assert after.pop("test/faces-none.npz")
    assert after == before  # predicting changes no weight, not even a running mean


def test_scores_of_the_submission_are_those_of_its_labels(
    copy: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, answers = tmp_path / "s.csv", drawn / "eval" / "answers.csv"
    assert predict(copy, drawn, output) == 0
    shown = capsys.readouterr().out
    assert f"{output}  {EVAL_PHOTOS} rows" in shown
    assert run_app(["evaluate", str(output), "--answers", str(answers), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    truth, said = ([int(text) for text in column(path, "ans")] for path in (answers, output))
    assert scores["macro_f1"] == pytest.approx(f1_score(truth, said, average="macro"))


# ---- what is refused ------------------------------------------------------------------------------------------------


def test_an_output_that_exists_is_kept(
    copy: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "s.csv"
    output.write_text("mine\n")
    assert predict(copy, drawn, output) == 7
    assert "--force" in capsys.readouterr().err
    assert output.read_text() == "mine\n"
    assert not (tmp_path / "s.json").exists()
    assert predict(copy, drawn, output, "--force") == 0
    assert (tmp_path / "s.csv.bak").read_text() == "mine\n"
    assert len(rows_of(output)) == EVAL_PHOTOS


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        (["train.epochs=3"], 3, "train.epochs"),
        (["model.backbone=test_vit"], 3, "model.backbone"),
        (["predict.size=3"], 3, "predict.size"),
        (["device.compile=on"], 3, "device.compile"),
        (["device={augment: device}"], 3, "device.augment"),
        (["predict.views=hflop"], 3, "hflip"),
        (["--tta", "none", "predict.views=hflip"], 2, "--tta"),
    ],
)
def test_only_prediction_and_device_can_be_set(
    run: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, named: str
) -> None:
    before = hashes(run)
    assert predict(run, drawn, tmp_path / "s.csv", *words) == code
    assert named in capsys.readouterr().err
    assert hashes(run) == before
    assert list(tmp_path.iterdir()) == []


def test_an_output_named_like_its_sidecar_is_refused(run: Path, drawn: Path, tmp_path: Path) -> None:
    assert predict(run, drawn, tmp_path / "s.json") == 2
    assert list(tmp_path.iterdir()) == []


def test_a_photo_that_cannot_be_read_leaves_no_submission(
    copy: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "faces"
    shutil.copytree(drawn, data)
    victim = data / "eval" / "images" / column(drawn / "eval" / "info.csv", "ImageID")[9]
    victim.write_bytes(victim.read_bytes()[:300])
    before = hashes(copy)
    assert predict(copy, data, tmp_path / "s.csv") == 4
    assert victim.name in capsys.readouterr().err
    assert not (tmp_path / "s.csv").exists()
    assert not (tmp_path / "s.json").exists()
    assert hashes(copy) == before


def test_weights_that_were_changed_are_refused(
    copy: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = copy / "fold1" / "best" / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert predict(copy, drawn, tmp_path / "s.csv") == 5
    assert str(path) in capsys.readouterr().err
    assert not (tmp_path / "s.csv").exists()


def test_an_unfinished_run_is_refused(
    copy: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One of two folds would give a submission too, but not the one that was asked for."""
    (copy / "fold1" / "DONE").unlink()
    assert predict(copy, drawn, tmp_path / "s.csv") == 9
    message = capsys.readouterr().err
    assert "1 in total: fold 1" in message
    assert f"maskcls resume {copy}" in message
    assert not (tmp_path / "s.csv").exists()


def test_a_run_of_some_folds_predicts_with_these(drawn: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert train(drawn, run, *QUICK, "--folds", "1") == 0
    assert predict(run, drawn, tmp_path / "s.csv") == 0
    lineage = json.loads((tmp_path / "s.json").read_text())["lineage"]
    assert [weights["fold"] for weights in lineage["weights"]] == [1]


# ---- tables ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def photos(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the drawn train photos, beside which tables can be written."""
    folder = tmp_path_factory.mktemp("table")
    shutil.copytree(drawn / "train" / "images", folder / "images")
    return folder


def labelled(photos: Path, *, without_years: int = 0, without_mask: int = 0) -> list[dict[str, str]]:
    """Return a row a photo; of every two, `without_years` lack the years, `without_mask` the mask."""
    rows = []
    for path in sorted((photos / "images").rglob("*.*")):
        person, stem = path.parent.name, path.stem
        mask = {"incorrect_mask": "incorrect", "normal": "normal"}.get(stem, "wear")
        rows.append({"path": str(path.relative_to(photos)), "group": person, "mask": mask, "years": person[-2:]})
    assert len(rows) == 84
    for number, row in enumerate(rows):
        if number % 2 < without_years:
            row["years"] = ""
        if number % 2 >= 2 - without_mask:
            row["mask"] = ""
    return rows


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.mark.parametrize("heads", ["multi", "joint", pytest.param("separate", marks=pytest.mark.slow)])
def test_a_table_from_end_to_end(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], heads: str) -> None:
    """Years are unknown on every second photo: such a row teaches the mask, and is scored by it alone."""
    rows = labelled(photos, without_years=1)
    run, table = tmp_path / "run", write(photos / f"{heads}.csv", rows)
    assert train(table, run, *TABLE, *QUICK, f"model.heads={heads}") == 0
    shown = capsys.readouterr()
    assert ("42 of 84 rows lack a label" in shown.err) == (heads == "joint")
    summary = json.loads((run / "summary.json").read_text())
    oof = Predictions.load(run / "oof.npz")
    said = dict(zip(oof.ids.tolist(), oof.prob.argmax(axis=1).tolist(), strict=True))
    masks = [["wear", "incorrect", "normal"].index(row["mask"]) for row in rows]
    known = [row for row in rows if row["years"]]
    old = [int(int(row["years"]) >= 40) for row in known]
    of_task = summary["pooled"]["tasks"]
    assert (len(said), summary["pooled"]["rows"], of_task["mask"]["rows"], of_task["years"]["rows"]) == (84, 42, 84, 42)
    assert of_task["mask"]["macro_f1"] == pytest.approx(
        f1_score(masks, [said[row["path"]] // 2 for row in rows], average="macro")
    )
    assert of_task["years"]["macro_f1"] == pytest.approx(
        f1_score(old, [said[row["path"]] % 2 for row in known], average="macro")
    )
    output = tmp_path / "s.csv"
    asked = write(photos / "asked.csv", [{"path": row["path"]} for row in reversed(rows[:20])])
    assert predict(run, asked, output) == 0
    answers = rows_of(output)
    assert list(answers[0]) == ["path", "ans", "mask", "years"]
    assert [row["path"] for row in answers] == [row["path"] for row in reversed(rows[:20])]
    for row in answers:
        label = int(row["ans"])
        assert (row["mask"], row["years"]) == (("wear", "incorrect", "normal")[label // 2], ("young", "old")[label % 2])
    capsys.readouterr()
    truth = write(tmp_path / "answers.csv", [{k: row[k] for k in ("path", "mask", "years")} for row in rows[:20]])
    assert run_app(["evaluate", str(output), "--answers", str(truth), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert (scores["rows"], scores["tasks"]["mask"]["rows"]) == (10, 20)


def test_a_label_that_is_missing_teaches_nothing(photos: Path, tmp_path: Path) -> None:
    """Only photos without years change their mask's weight in nothing: the years' loss counts the others alone."""
    write(photos / "half.csv", labelled(photos, without_years=1))
    assert train(photos / "half.csv", tmp_path / "run", *TABLE, *QUICK, "train.batch_size=84", "--folds", "0") == 0
    line = json.loads((tmp_path / "run" / "fold0" / "log.jsonl").read_text())
    # One step from heads that know nothing: the mean over the labels there are is the logarithm of the classes.
    assert line["train/mask"] == pytest.approx(np.log(3), abs=1e-6)
    assert line["train/years"] == pytest.approx(np.log(2), abs=1e-6)


@pytest.mark.parametrize(
    "heads", ["joint", *(pytest.param(name, marks=pytest.mark.slow) for name in ("multi", "separate"))]
)
def test_one_task_alone(photos: Path, tmp_path: Path, heads: str) -> None:
    table = write(photos / f"one-{heads}.csv", labelled(photos))
    run, output = tmp_path / "run", tmp_path / "s.csv"
    alone = "tasks=[{name: years, classes: [young, old], bins: [40]}]"
    assert train(table, run, "data.format=table", alone, *QUICK, f"model.heads={heads}") == 0
    summary = json.loads((run / "summary.json").read_text())["pooled"]
    assert summary["macro_f1"] == summary["tasks"]["years"]["macro_f1"]
    assert predict(run, table, output) == 0
    assert {(row["ans"], row["years"]) for row in rows_of(output)} <= {("0", "young"), ("1", "old")}
    assert len(rows_of(output)) == 84


def test_no_row_with_every_label(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There is no joint class to score then: the tasks' own scores are shown, and no interval."""
    table = write(photos / "apart.csv", labelled(photos, without_years=1, without_mask=1))
    run = tmp_path / "run"
    assert train(table, run, *TABLE, *QUICK) == 0
    shown = capsys.readouterr().out
    assert "no row has a label for every task" in shown
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["interval"], summary["pooled"]["macro_f1"], summary["pooled"]["rows"]) == (None, None, 0)
    assert f"mask {summary['pooled']['tasks']['mask']['macro_f1']:.4f}" in shown
    line = json.loads((run / "fold0" / "log.jsonl").read_text())
    assert line["val/macro_f1"] == pytest.approx((line["val/mask"] + line["val/years"]) / 2)
    assert line["val/loss"] is None
    assert predict(run, table, tmp_path / "s.csv") == 0
    assert run_app(["resume", str(run)]) == 0
    capsys.readouterr()
    assert train(table, tmp_path / "joint", *TABLE, "model.heads=joint") == 4
    assert "model.heads=multi" in capsys.readouterr().err
    assert not (tmp_path / "joint").exists()


def test_a_fold_that_cannot_score_a_task(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody's years are known in fold 0: its last epoch is kept, and its score is null in every file."""
    rows = labelled(photos)
    words = (*TABLE, "folds.k=3", "folds.stratify=[]")
    plan = experiment(write(photos / "all.csv", rows), *words)
    fold = dict(zip(plan.manifest["id"], plan.fold.tolist(), strict=True))
    for row in rows:
        row["years"] = "" if fold[row["path"]] == 0 else row["years"]
    run, table = tmp_path / "run", write(photos / "no-years-in-0.csv", rows)
    assert train(table, run, *words, *QUICK, "model.heads=separate", "train.epochs=3", "--folds", "0") == 0
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["folds"]["0"]["years"], summary["mean"]["years"]) == (None, None)
    assert summary["folds"]["0"]["mask"] == summary["mean"]["mask"] > 0
    meta = json.loads((run / "members/years/fold0/best/meta.json").read_text())
    assert (meta["epoch"], meta["scores"]["macro_f1"], meta["scores"]["years"]) == (2, None, None)
    shown = capsys.readouterr()
    assert re.search(r"years fold 0 +3/3 ", shown.err)
    assert "nan" not in shown.err + shown.out
