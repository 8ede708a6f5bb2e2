"""Sealed people: in no table, network, statistic or file of a run but sealed.csv, until they are scored, once."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score
from tiny import PLAIN, experiment, train

from maskcls.cli import run_app
from maskcls.commands.submission.check import check_submission
from maskcls.labels import CONTEST
from maskcls.results.predictions import Predictions
from maskcls.results.scores.metrics import ClassScore
from maskcls.rundir import RunDir
from maskcls.runs.choices.register import read_register
from maskcls.runs.records.unsealed import SealedScore
from maskcls.runs.summary import SavedScores
from maskcls.show.runs.unsealed import print_unsealed
from maskcls.training import prediction
from maskcls.training.person_clustering import describe_photos
from maskcls.training.stored_experiment import open_experiment

SEALED = ("folds.sealed=0.25", *PLAIN, "train.epochs=1")


@pytest.fixture(scope="module")
def run(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with sealed people, whose look-alike photos are averaged and which has a network of all rows."""
    path = tmp_path_factory.mktemp("sealed") / "a"
    assert train(drawn, path, *SEALED, "train.refit=true", "predict.groups=look", "data.cache=off") == 0
    return path


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


def column(path: Path, name: str) -> list[str]:
    return [row[name] for row in table(path)]


def test_every_row_is_in_one_of_the_two_tables(run: Path, drawn: Path) -> None:
    whole = experiment(drawn)
    people = set(whole.manifest["person"])
    sealed, seen = column(run / "sealed.csv", "id"), column(run / "manifest.csv", "id")
    assert sorted([*sealed, *seen]) == whole.manifest["id"].tolist()
    assert len(set(column(run / "sealed.csv", "person"))) == round(0.25 * len(people))
    assert not set(column(run / "sealed.csv", "person")) & set(column(run / "manifest.csv", "person"))
    assert column(run / "folds.csv", "id") == seen
    assert sorted(Predictions.load(run / "oof.npz").ids.tolist()) == sorted(seen)
    for fold in ("fold0", "fold1"):
        assert not set(Predictions.load(run / fold / "oof.npz").ids.tolist()) & set(sealed)


def test_no_network_gets_a_sealed_row(run: Path) -> None:
    opened, env = open_experiment(RunDir(run))
    sealed = set(column(run / "sealed.csv", "id"))
    ids = opened.manifest["id"].to_numpy()
    trained = [opened.rows(member, k) for member, k in opened.trainings(env.folds)]
    assert len(trained) == 3  # two folds, and the network of all rows
    for rows in trained:
        assert not sealed & set(ids[rows.train].tolist())
        assert not sealed & set(ids[rows.valid].tolist())
    assert set(ids[trained[2].train].tolist()) == set(column(run / "manifest.csv", "id"))


def test_no_photo_of_a_sealed_person_is_opened_in_training(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The photos are gone from the disk: a training that would read one of them would end there."""
    data = shutil.copytree(drawn, tmp_path / "faces")
    gone = experiment(data, *SEALED).sealed
    assert gone is not None
    described: list[str] = []

    def watched(root: Path, paths: list[str], *rest: Any) -> Any:
        described.extend(paths)
        return describe_photos(root, paths, *rest)

    monkeypatch.setattr("maskcls.training.person_clustering.describe_photos", watched)
    for path in gone["path"]:
        (data / path).write_bytes(b"no photo")
    words = (*SEALED, "train.refit=true", "predict.groups=look", "data.cache=on", "train.continue_epochs=1")
    assert train(data, tmp_path / "a", *words) == 0
    assert described
    assert not set(described) & set(gone["path"])


def test_the_same_people_are_sealed_whatever_the_folds_are(drawn: Path) -> None:
    def sealed(*words: str) -> set[str]:
        found = experiment(drawn, *words).sealed
        return set() if found is None else set(found["person"])

    first = sealed("folds.sealed=0.25")
    assert len(first) == 3
    assert first == sealed("folds.sealed=0.25", "folds.seed=1", "folds.k=3", "seed=3")
    assert first != sealed("folds.sealed=0.25", "folds.sealed_seed=2")
    assert sealed() == set()


def test_the_run_is_scored_once(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = shutil.copytree(run, tmp_path / "a")
    capsys.readouterr()
    assert run_app(["unseal", str(copy), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["now"], found["runs"], found["kept"]) == (True, 1, True)
    rows = table(copy / "sealed.csv")
    assert (found["rows"], found["people"]) == (len(rows), len({row["person"] for row in rows}))
    assert found["interval"]["low"] <= found["scores"]["macro_f1"] <= found["interval"]["high"]
    kept = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    assert run_app(["unseal", str(copy)]) == 0
    text = capsys.readouterr().out
    assert f"macro-F1 {found['scores']['macro_f1']:.4f} (95 % interval" in text
    pooled = json.loads((copy / "summary.json").read_text())["pooled"]
    occurring = [one for one in found["scores"]["classes"] if one["support"] or one["predicted"]]
    assert found["scores"]["classes_scored"] == len(occurring)
    assert found["out_of_fold_classes"] == pooled["classes_scored"]
    assert "scored before" in text
    assert kept == {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    assert [one.kind for one in read_register(RunDir(copy)).attempts] == ["unsealed"]


def test_the_score_is_that_of_the_networks_on_these_photos(
    run: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table of the sealed photos, predicted by `predict`, and scored by scikit-learn."""
    copy = shutil.copytree(run, tmp_path / "a")
    rows = table(copy / "sealed.csv")
    opened, env = open_experiment(RunDir(copy))
    from maskcls.show.terminal.progress import Reporter

    predicted = prediction.predict_sealed(opened, env, Reporter(quiet=True))
    assert predicted is not None
    assert predicted.ids.tolist() == [row["id"] for row in rows]
    truth = np.array([6 * int(row["mask"]) + 3 * int(row["gender"]) + int(row["age"]) for row in rows])
    expected = f1_score(truth, predicted.labels(), average="macro", zero_division=0)
    capsys.readouterr()
    assert run_app(["unseal", str(copy), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["scores"]["macro_f1"] == pytest.approx(expected)
    ages = f1_score(truth % 3, CONTEST.decode(predicted.labels())["age"], average="macro", zero_division=0)
    assert found["scores"]["tasks"]["age"]["macro_f1"] == pytest.approx(ages)
    assert not (copy / "test").exists()


def test_both_scores_say_how_many_classes_they_are_over(capsys: pytest.CaptureFixture[str]) -> None:
    one = ClassScore("a", 0.5, 0.5, 0.5, 1, 1)
    scores = SavedScores(macro_f1=0.5, classes_scored=15, classes=(one,) * 18, tasks={})
    rest = {"people": 2, "rows": 9, "weights": (), "views": "none", "sealed": "", "date": ""}
    for classes, said in ((16, ", 16 of 18 classes scored"), (18, ""), (None, "")):
        found = SealedScore(scores=scores, interval=None, out_of_fold=0.6, out_of_fold_classes=classes, **rest)
        print_unsealed(Path("a"), found, now=True, runs=1, kept=True)
        out = capsys.readouterr().out
        assert "a  macro-F1 0.5000, 15 of 18 classes scored, 9 photos of 2 sealed people\n" in out
        assert f"out of fold 0.6000{said}\n" in out


def test_runs_of_the_same_sealed_people_are_counted(
    run: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, same, second = shutil.copytree(run, tmp_path / "a"), shutil.copytree(run, tmp_path / "copy"), tmp_path / "b"
    assert train(drawn, second, *SEALED, "seed=1", "data.cache=off", "--folds", "0") == 0
    capsys.readouterr()
    for path in (first, same):  # a copy has the same networks
        assert run_app(["unseal", str(path)]) == 0
        assert "runs were scored on these people" not in capsys.readouterr().out
    assert run_app(["unseal", str(second)]) == 0
    assert (
        "2 runs were scored on these people; the score of the better one is too high by the choice"
        in capsys.readouterr().out
    )


def test_without_sealed_people_or_unfinished_there_is_nothing_to_score(
    run: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(drawn, tmp_path / "plain", *PLAIN, "train.epochs=1", "data.cache=off", "--folds", "0") == 0
    assert not (tmp_path / "plain" / "sealed.csv").exists()
    assert run_app(["unseal", str(tmp_path / "plain")]) == 2
    assert "no sealed people" in capsys.readouterr().err
    part = shutil.copytree(run, tmp_path / "part")
    (part / "summary.json").unlink()
    assert run_app(["unseal", str(part)]) == 9
    changed = shutil.copytree(run, tmp_path / "changed")
    (changed / "sealed.csv").write_bytes((changed / "manifest.csv").read_bytes())
    assert run_app(["unseal", str(changed)]) == 9


def test_sealed_people_are_no_unlabelled_ones(
    run: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their photos may not be pseudo-labelled under other names."""
    rows = table(run / "sealed.csv")
    words = ["pseudo-label", str(run), "--data", str(tmp_path / "faces"), "-o", str(tmp_path / "p.csv")]
    faces = shutil.copytree(drawn, tmp_path / "faces")
    info = table(faces / "eval" / "info.csv")
    shutil.copy(drawn / rows[0]["path"], faces / "eval" / "images" / info[0]["ImageID"])
    capsys.readouterr()
    assert run_app(words) == 4
    assert "photos the networks were trained or validated on" in capsys.readouterr().err


def test_weights_that_saw_sealed_people_are_refused(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (*PLAIN, "train.epochs=1", "train.refit=true", "data.cache=off", "--folds", "0")
    assert train(drawn, tmp_path / "all", *words) == 0
    weights = tmp_path / "all" / "refit" / "best" / "weights.safetensors"
    capsys.readouterr()
    assert train(drawn, tmp_path / "b", *SEALED, f"model.weights={weights}", "data.cache=off") == 4
    assert "trained on sealed people" in capsys.readouterr().err


def test_the_record_of_other_networks_is_named(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Folds that are added later were not scored; the run still counts once."""
    run = tmp_path / "a"
    assert train(drawn, run, *SEALED, "data.cache=off", "--folds", "0") == 0
    assert run_app(["unseal", str(run)]) == 0
    assert "has changed since" not in capsys.readouterr().err
    assert run_app(["resume", str(run), "--folds", "1"]) == 0
    capsys.readouterr()
    assert run_app(["unseal", str(run)]) == 0
    shown = capsys.readouterr()
    assert "has changed since" in shown.err
    assert "runs were scored on these people" not in shown.out
    assert [one.kind for one in read_register(RunDir(run)).attempts].count("unsealed") == 1


def test_a_sealed_persons_photo_may_not_be_trained_on(
    run: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = shutil.copytree(drawn, tmp_path / "faces")
    sealed, seen = table(run / "sealed.csv")[0]["path"], table(run / "manifest.csv")[0]["path"]
    shutil.copy(data / sealed, data / seen)
    assert train(data, tmp_path / "a", *SEALED, "data.cache=off") == 4
    message = capsys.readouterr().err
    assert "photos of sealed people are also photos of people who are trained on" in message
    assert f"{seen} = {sealed}" in message
    assert train(data, tmp_path / "b", *SEALED, "data.cache=off", "data.same_photos=allow") == 0
    assert "warning: 1 photo is of a sealed person and of one who is trained on" in capsys.readouterr().err


def test_a_run_with_sealed_people_is_resumed(run: Path, drawn: Path, tmp_path: Path) -> None:
    assert train(drawn, tmp_path / "a", *SEALED, "data.cache=off", "--folds", "0") == 0
    assert run_app(["resume", str(tmp_path / "a"), "--folds", "1"]) == 0
    seen = Predictions.load(tmp_path / "a" / "oof.npz").ids.tolist()
    assert sorted(seen) == sorted(column(tmp_path / "a" / "manifest.csv", "id"))


def test_groups_that_sealed_people_taught_are_refused_until_they_are_scored(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, all_taught, rest_taught = tmp_path / "a", tmp_path / "all.csv", tmp_path / "rest.csv"
    assert train(drawn, run, *SEALED, "data.cache=off") == 0
    assert run_app(["group", str(drawn), "-o", str(all_taught)]) == 0
    assert run_app(["group", str(drawn), "-o", str(rest_taught), "--run", str(run)]) == 0
    train_taught = tmp_path / "train.csv"
    assert run_app(["group", str(drawn), "-o", str(train_taught), "--train"]) == 0
    predict = ["predict", str(run), "--data", str(drawn), "-o", str(tmp_path / "s.csv"), "--force", "--groups"]
    combine = ["ensemble", str(run), "--data", str(drawn), "-o", str(tmp_path / "e.csv"), "--force", "--groups"]
    capsys.readouterr()
    for words in ([*predict, str(all_taught)], [*combine, str(all_taught)]):
        assert run_app(words) == 4
        message = capsys.readouterr().err
        assert "the groups were learned from people who are sealed in the run" in message
        assert f"maskcls group DATA --run {run} -o FILE; or first: maskcls unseal {run}" in message
    assert run_app([*combine, str(rest_taught), "--oof-groups", str(train_taught)]) == 4
    assert f"--run {run} --train -o FILE" in capsys.readouterr().err
    assert run_app([*predict, str(rest_taught)]) == 0
    assert run_app(["unseal", str(run)]) == 0
    assert run_app([*predict, str(all_taught)]) == 0


def test_photos_of_sealed_people_are_not_predicted_until_they_are_scored(
    run: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(run, tmp_path / "a")
    sealed, seen = (Path(table(copy / name)[0]["path"]) for name in ("sealed.csv", "manifest.csv"))

    def predict(path: Path) -> int:
        folder = str((drawn / path).parent)
        return run_app(["predict", str(copy), "--data", folder, "-o", str(tmp_path / "s.csv"), "--force"])

    capsys.readouterr()
    assert predict(sealed) == 4
    message = capsys.readouterr().err
    assert "photos to predict show sealed people of the run" in message
    assert sealed.name in message
    assert predict(seen) == 0
    assert run_app(["unseal", str(copy)]) == 0
    assert predict(sealed) == 0


def test_class_shares_are_not_those_of_sealed_people(
    run: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, copy = tmp_path / "s.csv", shutil.copytree(run, tmp_path / "a")
    assert run_app(["ensemble", str(copy), "--data", str(drawn), "-o", str(path)]) == 0
    alone = next(one for one in check_submission(path, drawn).checks if one.name == "classes")
    known = next(one for one in check_submission(path, drawn, RunDir(copy)).checks if one.name == "classes")
    assert (alone.verdict, alone.about) == ("skipped", "the run that predicted has sealed people: give --run")
    assert known.verdict in ("ok", "warning")
    assert "differ from the run" in known.about
