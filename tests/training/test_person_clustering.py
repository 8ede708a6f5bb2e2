"""predict.groups=look: photos that look like one person's answer together, out of fold and in a submission."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from edited import edit_json
from sklearn.metrics import f1_score
from threadpoolctl import threadpool_limits
from tiny import contents, hashes, outcome, resume, train

from maskcls import files
from maskcls.cli import run_app
from maskcls.commands.group import group
from maskcls.errors import ResultError
from maskcls.labels import CONTEST, Floats, Ints
from maskcls.results.labelled_predictions import LabelledPredictions
from maskcls.results.people import expected_gain
from maskcls.results.people.averaging import average_groups
from maskcls.results.people.clustering import Metric, PairQuality, PersonClusterer, PersonClustering
from maskcls.results.people.expected_gain import Way
from maskcls.results.people.model_file import from_bytes, to_bytes
from maskcls.results.people.out_of_fold import average_rows, average_rows_equally, rows_by_way
from maskcls.results.people.pair_rates import PairRates
from maskcls.results.predictions import Predictions
from maskcls.runs.group_averaging import check_rows
from maskcls.show.terminal.progress import Reporter
from maskcls.training import person_clustering as clustering
from maskcls.training.person_clustering import fit_person_clustering, group_photos

QUICK = ("model.backbone=test_convnext", "train.epochs=1", "optim.lr=1e-2", "schedule.warmup_epochs=0")
LOOK = "predict.groups=look"
SHARED = ("gender", "age")


def predict(run: Path, data: Path, output: Path, *words: str) -> int:
    return run_app(["predict", str(run), "--data", str(data), "-o", str(output), *words])


def oof(run: Path) -> Predictions:
    return Predictions.load(run / "oof.npz")


def shared(prob_NJ: Floats) -> Floats:
    """Return the probabilities of gender and age together, (N, 6)."""
    of_both: Floats = prob_NJ.reshape(-1, 3, 6).sum(axis=1)
    return of_both


def mask(prob_NJ: Floats) -> Floats:
    of_mask: Floats = prob_NJ.reshape(-1, 3, 6).sum(axis=2)
    return of_mask


@pytest.fixture(scope="module", autouse=True)
def any_gain() -> Iterator[None]:
    """Average whatever the gain is: that of a few drawn people and one epoch is not proven."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expected_gain, "PROVEN_ABOVE", -2.0)
        yield


@pytest.fixture(scope="module")
def together(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose photos answer together; tests that write into it work on a copy."""
    run = tmp_path_factory.mktemp("together") / "run"
    assert train(drawn, run, *QUICK, LOOK) == 0
    return run


@pytest.fixture(scope="module")
def alone(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same training, every photo for itself."""
    run = tmp_path_factory.mktemp("alone") / "run"
    assert train(drawn, run, *QUICK) == 0
    return run


def way_of(run: Path) -> Way:
    """Return the way in which a run's out-of-fold rows were averaged: that of the smaller gain."""
    groups = json.loads((run / "summary.json").read_text())["groups"]
    return "cut" if groups["cut"]["value"] < groups["whole"]["value"] else "whole"


@pytest.fixture(scope="module")
def found(drawn: Path) -> PersonClustering:
    """What `maskcls group` finds among the train photos."""
    with Reporter(quiet=True) as report:
        it = group(drawn, output=None, train=True, report=report)
    return PersonClustering(PersonClusterer(Metric(*[np.ones(1)] * 3), 0.0, it.most), it.group_N, it.quality)


# --- out of fold


def test_the_networks_are_those_of_the_run_without(together: Path, alone: Path) -> None:
    def networks(run: Path) -> dict[str, Any]:
        return {name: content for name, content in contents(run).items() if name.startswith("fold")}

    assert len(networks(alone)) == 15  # of two folds, and folds.csv
    assert networks(together) == networks(alone)
    assert set(hashes(together)) - set(hashes(alone)) == {"looks.npz"}


def test_out_of_fold_rows_are_smoothed_by_the_groups_other_people_taught(
    together: Path, alone: Path, found: PersonClustering
) -> None:
    before, after = oof(alone), oof(together)
    assert after.ids.tolist() == before.ids.tolist()
    manifest = pd.read_csv(together / "manifest.csv")
    assert manifest["id"].tolist() == before.ids.tolist()
    folds = pd.read_csv(together / "folds.csv")["fold"].to_numpy(np.int64)
    truth = {name: manifest[name].to_numpy(np.int64) for name in CONTEST.names}
    group_N = np.unique(found.group_N * 2 + folds, return_inverse=True)[1]  # no group has rows of two folds
    people = manifest["person"].to_numpy(np.str_)
    rows = LabelledPredictions(before.ids.tolist(), before.labels(), truth, CONTEST, before.prob, people, folds, 0)
    how = rows_by_way(rows, found.group_N, SHARED)[way_of(together)]
    assert np.array_equal(after.prob, average_rows(rows, how, folds, SHARED)[0].prob)
    for number in np.unique(group_N):
        rows = np.flatnonzero(group_N == number)
        of_group = shared(after.prob)[rows]
        np.testing.assert_allclose(of_group, of_group[:1].repeat(len(rows), 0), rtol=1e-4)
    np.testing.assert_allclose(mask(after.prob), mask(before.prob), atol=1e-5)
    assert not np.allclose(shared(after.prob), shared(before.prob), atol=1e-3)


def test_the_summary_is_of_the_answers_and_says_what_they_were_alone(
    together: Path, alone: Path, found: PersonClustering
) -> None:
    summary = json.loads((together / "summary.json").read_text())
    without = json.loads((alone / "summary.json").read_text())
    manifest, after = pd.read_csv(together / "manifest.csv"), oof(together)
    joint_N = CONTEST.encode({name: manifest[name].to_numpy(np.int64) for name in CONTEST.names})

    def macro(label_N: np.ndarray, rows: np.ndarray) -> float:
        return float(f1_score(joint_N[rows], label_N[rows], average="macro"))

    every, folds = np.arange(len(joint_N)), pd.read_csv(together / "folds.csv")["fold"].to_numpy()
    assert summary["pooled"]["macro_f1"] == pytest.approx(macro(after.labels(), every))
    for k in (0, 1):
        rows = np.flatnonzero(folds == k)
        assert summary["folds"][str(k)]["macro_f1"] == pytest.approx(macro(after.labels(), rows))
    groups = summary["groups"]
    assert set(groups) == {
        *("by", "averaged", "tasks", "weights", "alone", "gain", "cut", "whole", "right_only", "rows_precision"),
        *("photos", "expected", "low", "pair_precision", "pair_recall", "precision_among"),
    }
    assert (groups["averaged"], groups["photos"]) == (True, 84)
    assert groups["gain"] == min((groups["cut"], groups["whole"]), key=lambda gain: gain["value"])
    assert groups["expected"] <= groups["gain"]["value"]
    assert groups["low"] - groups["gain"]["low"] == pytest.approx(groups["expected"] - groups["gain"]["value"])
    assert list(groups["precision_among"]) == ["84", "168", "336"]
    assert (groups["pair_precision"], groups["pair_recall"]) == (found.quality.precision, found.quality.recall)
    assert (groups["by"], groups["tasks"]) == ("look", list(SHARED))
    assert groups["alone"] == without["pooled"]["macro_f1"]
    assert groups["gain"]["value"] == pytest.approx(summary["pooled"]["macro_f1"] - groups["alone"])
    assert set(groups["weights"]) == set(CONTEST.tasks[0].classes)
    assert "groups" not in without


def test_a_run_of_several_seeds_answers_together_seed_by_seed(drawn: Path, together: Path, tmp_path: Path) -> None:
    assert train(drawn, tmp_path / "run", *QUICK, LOOK, "train.seeds=2") == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert set(summary["seeds"]) == {"0", "1"}
    gain = summary["pooled"]["macro_f1"] - summary["groups"]["alone"]
    assert summary["groups"]["gain"]["value"] == pytest.approx(gain)
    of_seed_0 = json.loads((together / "summary.json").read_text())["pooled"]
    assert summary["seeds"]["0"]["macro_f1"] == of_seed_0["macro_f1"]


def test_one_fold_is_scored_by_parts_of_its_people(drawn: Path, together: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert train(drawn, run, *QUICK, LOOK, "--folds", "1") == 0
    assert len(oof(run)) == 42
    assert (run / "looks.npz").read_bytes() == (together / "looks.npz").read_bytes()
    assert resume(run, "--folds", "0") == 0
    now, at_once = contents(run), contents(together)
    for name in ("summary.json", "fold1/summary.json"):  # they say that fold 1 chose its epoch alone
        del now[name], at_once[name]
    assert now == at_once


def test_the_groups_are_those_of_the_group_command(together: Path, found: PersonClustering) -> None:
    looks = from_bytes((together / "looks.npz").read_bytes(), where="")
    assert np.array_equal(looks.group_N, found.group_N)
    assert looks.quality == found.quality
    assert looks.clusterer.max_photos == found.clusterer.max_photos == 7


def rows_of_one_group(
    people: list[str], folds: list[int], tasks: tuple[str, ...] = SHARED
) -> tuple[LabelledPredictions, Ints]:
    """Return rows that all look like one person's, and their groups."""
    prob_NJ = np.random.default_rng(0).dirichlet(np.ones(18), len(people)).astype(np.float32)
    ids, truth = [f"{row}" for row in range(len(people))], {name: np.zeros(len(people), np.int64) for name in tasks}
    rows = LabelledPredictions(ids, prob_NJ.argmax(1), truth, CONTEST, prob_NJ, np.array(people), np.array(folds))
    return rows, np.zeros(len(people), np.int64)


@pytest.mark.parametrize("way", ["cut", "whole"])
def test_networks_of_other_folds_never_answer(way: Way) -> None:
    """They have learnt the labels of this fold's people: a look-alike's photo would tell them."""
    people = [name for name in ("ann", "bob", "cat", "dan") for _ in range(2)]
    rows, group_N = rows_of_one_group(people, [0, 0, 1, 1, 0, 0, 1, 1], CONTEST.names)
    group_N = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    assert rows.prob_NJ is not None

    def averaged(prob_NJ: Floats) -> Floats:
        given = replace(rows, prob_NJ=prob_NJ)
        how = rows_by_way(given, group_N, CONTEST.names)[way]
        return average_rows_equally(given, how, CONTEST.names).prob

    before, others = averaged(rows.prob_NJ), rows.prob_NJ.copy()
    others[np.flatnonzero(np.asarray(rows.fold_N) == 1)] = others[0]
    after = averaged(others)
    assert np.array_equal(before[[0, 1, 4, 5]], after[[0, 1, 4, 5]])
    assert not np.array_equal(before[2:4], after[2:4])
    assert np.array_equal(before[0], before[1])


def test_one_person_alone_proves_nothing() -> None:
    rows, group_N = rows_of_one_group(["ann"] * 3, [0] * 3, CONTEST.names)
    found = check_rows(rows, group_N, SHARED, precision=1.0)
    assert (found.averaged, found.gain) == (False, None)
    assert np.array_equal(found.rows.prob, rows.prob_NJ)


def test_rows_without_a_label_of_every_task_prove_nothing() -> None:
    rows, group_N = rows_of_one_group(["ann", "ann", "bob", "bob"], [0, 0, 1, 1], CONTEST.names)
    rows = replace(rows, truth={**rows.truth, "age": np.full(4, -1)})
    assert check_rows(rows, group_N, SHARED, precision=1.0).averaged is False


def test_what_is_learned_does_not_depend_on_the_threads_of_the_arithmetic() -> None:
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(150), 4)
    shots = (rng.normal(size=(150, 576))[people] + rng.normal(size=(600, 576)) / 2).astype(np.float32)
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            learned = fit_person_clustering(shots, [str(one) for one in people], "x")
            found.append((to_bytes(learned), group_photos(learned.clusterer, shots).tolist()))
    assert found[0] == found[1]


# --- photos to predict


def test_photos_that_look_alike_answer_together(drawn: Path, together: Path, alone: Path, tmp_path: Path) -> None:
    for run, name in ((together, "together"), (alone, "alone")):
        shutil.copytree(run, tmp_path / name)
        assert predict(tmp_path / name, drawn, tmp_path / f"{name}.csv") == 0
    after = Predictions.load(tmp_path / "together" / "test" / "faces-none-look.npz")
    before = Predictions.load(tmp_path / "alone" / "test" / "faces-none.npz")
    with Reporter(quiet=True) as report:
        of_photos = group(drawn, output=None, report=report)
    assert list(of_photos.ids) == after.ids.tolist()
    weights = json.loads((together / "summary.json").read_text())["groups"]["weights"]
    assert np.array_equal(after.prob, average_groups(before, of_photos.group_N, SHARED, weights=weights).prob)
    answers = pd.read_csv(tmp_path / "together.csv")["ans"].to_numpy()
    assert np.array_equal(answers, after.labels())
    assert len(np.unique(np.stack([of_photos.group_N, answers % 6]), axis=1).T) == len(np.unique(of_photos.group_N))
    lineage = json.loads((tmp_path / "together.json").read_text())["lineage"]
    assert (lineage["groups"]["tasks"], lineage["groups"]["weights"]) == (list(SHARED), weights)


def test_groups_can_be_left_out_or_taken_from_a_file(drawn: Path, together: Path, alone: Path, tmp_path: Path) -> None:
    run, file = tmp_path / "run", tmp_path / "groups.csv"
    shutil.copytree(together, run)
    assert predict(run, drawn, tmp_path / "none.csv", "predict.groups=none") == 0
    plain = Predictions.load(run / "test" / "faces-none.npz")
    shutil.copytree(alone, tmp_path / "alone")
    assert predict(tmp_path / "alone", drawn, tmp_path / "alone.csv") == 0
    assert (tmp_path / "none.csv").read_bytes() == (tmp_path / "alone.csv").read_bytes()
    file.write_text("id,group\n" + "".join(f"{name},all\n" for name in plain.ids.tolist()))
    assert predict(run, drawn, tmp_path / "file.csv", "--groups", str(file)) == 0
    assert not (run / "test" / "faces-none-look.npz").exists()
    answers = pd.read_csv(tmp_path / "file.csv")["ans"].to_numpy()
    assert len(np.unique(answers % 6)) == 1  # all photos are one person's
    assert np.array_equal(answers, average_groups(plain, np.zeros(len(plain), np.int64), SHARED).labels())


def test_an_ensemble_takes_the_run_as_it_answers(drawn: Path, together: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(together, run)
    assert predict(run, drawn, tmp_path / "own.csv") == 0
    kept = (run / "test" / "faces-none-look.npz").stat().st_mtime_ns
    assert run_app(["ensemble", str(run), "--data", str(drawn), "-o", str(tmp_path / "e.csv")]) == 0
    assert (run / "test" / "faces-none-look.npz").stat().st_mtime_ns == kept  # it was read, not made anew
    assert pd.read_csv(tmp_path / "e.csv").equals(pd.read_csv(tmp_path / "own.csv"))


def test_the_decision_is_fitted_on_the_answers(
    drawn: Path, together: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(together, run)
    assert run_app(["calibrate", str(run)]) == 0
    assert json.loads((run / "decision.json").read_text())["oof_sha256"] == files.file_sha256(together / "oof.npz")
    assert predict(run, drawn, tmp_path / "a.csv", "--decide") == 0
    capsys.readouterr()
    assert predict(run, drawn, tmp_path / "a.csv", "--decide", LOOK, "--force") == 0  # it does anyway
    capsys.readouterr()
    assert predict(run, drawn, tmp_path / "b.csv", "--decide", "predict.groups=none") == 2
    assert "fitted with other groups" in capsys.readouterr().err
    assert not (tmp_path / "b.csv").exists()


def test_files_of_a_run_that_answers_in_two_ways_are_no_member(
    drawn: Path, together: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(together, run)
    assert predict(run, drawn, tmp_path / "a.csv", "predict.groups=none") == 0
    assert predict(run, drawn, tmp_path / "b.csv") == 0
    words = ["--data", str(drawn), "-o", str(tmp_path / "e.csv")]
    capsys.readouterr()
    assert run_app(["ensemble", str(run), f"{run}/test/faces-none.npz,{run}/oof.npz", *words]) == 9
    assert "averaged over groups in one of the files and not in the other" in capsys.readouterr().err
    assert run_app(["ensemble", str(run), f"{run}/test/faces-none-look.npz,{run}/oof.npz", *words]) == 0


def test_a_run_without_its_summary_does_not_answer(
    drawn: Path, together: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was killed before it fitted weights; other ones would answer otherwise than it is scored."""
    run = tmp_path / "run"
    shutil.copytree(together, run)
    (run / "summary.json").unlink()
    assert predict(run, drawn, tmp_path / "a.csv") == 9
    assert "the run is not finished" in capsys.readouterr().err
    assert resume(run) == 0
    assert outcome(run) == outcome(together)
    assert predict(run, drawn, tmp_path / "a.csv") == 0


# --- without a proven gain


@pytest.fixture
def gain_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expected_gain, "PROVEN_ABOVE", 2.0)


def test_predictions_that_were_averaged_before_the_gain_was_measured_again_are_made_anew(
    drawn: Path, together: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(together, run)
    assert predict(run, drawn, tmp_path / "a.csv") == 0
    (run / "summary.json").unlink()
    monkeypatch.setattr(expected_gain, "PROVEN_ABOVE", 2.0)
    assert resume(run) == 0
    assert run_app(["ensemble", str(run), "--data", str(drawn), "-o", str(tmp_path / "e.csv")]) == 0
    assert "prove no gain" in capsys.readouterr().err
    assert not Predictions.load(run / "test" / "faces-none-look.npz").lineage["groups"]


@pytest.mark.usefixtures("gain_needed")
def test_a_run_without_a_proven_gain_answers_photo_by_photo(
    drawn: Path, alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert train(drawn, run, *QUICK, LOOK, "train.seeds=2") == 0
    printed = capsys.readouterr().out
    assert "gender and age not averaged over similar photos" in printed
    assert "every photo is scored and predicted alone" in printed
    assert "expected pair precision: " in printed
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["groups"]["averaged"], summary["groups"]["weights"]) == (False, None)
    assert summary["pooled"]["macro_f1"] == summary["groups"]["alone"]
    without = json.loads((alone / "summary.json").read_text())
    assert summary["seeds"]["0"]["macro_f1"] == without["pooled"]["macro_f1"]
    assert not oof(run).lineage.get("groups")
    assert predict(run, drawn, tmp_path / "a.csv") == 0
    assert "not averaged in groups: the run's out-of-fold rows prove no gain" in capsys.readouterr().err
    assert predict(run, drawn, tmp_path / "b.csv", "predict.groups=none") == 0
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert run_app(["calibrate", str(run)]) == 0
    assert predict(run, drawn, tmp_path / "c.csv", "--decide") == 0  # rule and photos: both are of single photos


def test_photos_among_which_too_many_look_alike_are_predicted_alone(
    drawn: Path, together: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(together, run)
    assert run_app(["calibrate", str(run)]) == 0
    assert predict(run, drawn, tmp_path / "averaged.csv") == 0
    assert "expected pair precision among these photos 0.9" in capsys.readouterr().err
    monkeypatch.setattr(PairRates, "precision_of", lambda self, group_N: 0.25)
    summary = json.loads((run / "summary.json").read_text())
    summary["groups"]["right_only"] = 2.0  # wrong pairs cost much, so that the gain is below -2
    edit_json(run / "summary.json", summary)
    assert predict(run, drawn, tmp_path / "a.csv") == 0
    told = capsys.readouterr().err
    assert "photos are not averaged in groups, because no gain is proven" in told
    assert "expected pair precision among these photos 0.2500" in told
    assert predict(run, drawn, tmp_path / "b.csv", "predict.groups=none") == 0
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert predict(run, drawn, tmp_path / "c.csv", "--decide") == 2
    assert "too many people look similar among these photos" in capsys.readouterr().err
    assert run_app(["ensemble", str(run), "--data", str(drawn), "-o", str(tmp_path / "e.csv")]) == 0
    assert "out-of-fold rows are averaged in groups, these photos are not" in capsys.readouterr().err


def test_a_run_of_an_earlier_version_averages_and_says_that_its_gain_can_be_too_high(
    drawn: Path, together: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(together, run)
    summary = json.loads((run / "summary.json").read_text())
    old = ("by", "tasks", "weights", "alone", "gain", "pair_precision", "pair_recall")
    summary["groups"] = {name: summary["groups"][name] for name in old}
    edit_json(run / "summary.json", summary)
    assert predict(run, drawn, tmp_path / "a.csv") == 0
    told = capsys.readouterr().err
    assert "of an earlier version, whose gain can be too high" in told
    assert f"remove {run / 'summary.json'} and type maskcls resume {run}" in told
    assert json.loads((tmp_path / "a.json").read_text())["lineage"]["groups"]["weights"] == summary["groups"]["weights"]
    assert resume(run) == 0  # it prints the summary
    assert "averaged over similar photos" in capsys.readouterr().out
    (run / "summary.json").unlink()
    assert resume(run) == 0
    assert outcome(run) == outcome(together)


# --- refusals

REFUSED = {
    "not learned": ("alone", ["predict", "RUN", "--data", "DATA", "-o", "OUT", LOOK], 3, "has no person clustering"),
    "twice": (
        "together",
        ["predict", "RUN", "--data", "DATA", "-o", "OUT", "--groups", "g.csv", "predict.groups=none"],
        2,
        "set the same",
    ),
    "tta": ("together", ["tta", "RUN", "predict.groups=none"], 2, "groups"),
    "pseudo-label": (
        "together",
        ["pseudo-label", "RUN", "--data", "DATA", "-o", "OUT", "predict.groups=none"],
        2,
        "groups",
    ),
    "ensemble": (
        "together",
        ["ensemble", "RUN", "--data", "DATA", "-o", "OUT", "predict={groups: none}"],
        2,
        "keep the groups of their training",
    ),
    "group": ("together", ["group", "DATA", "--run", "RUN"], 2, "averaged over groups already"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(
    name: str, drawn: Path, tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    of, words, code, message = REFUSED[name]
    out = tmp_path / "out.csv"
    groups = tmp_path / "g.csv"
    groups.write_text("id,group\n")
    places = {"RUN": str(request.getfixturevalue(of)), "DATA": str(drawn), "OUT": str(out), "g.csv": str(groups)}
    capsys.readouterr()
    assert run_app([places.get(word, word) for word in words]) == code
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not out.exists()


def test_the_refusals_are_all_there() -> None:
    assert len(REFUSED) == 6


def test_nothing_to_answer_together_is_told_before_training(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    only_mask = "tasks=[{name: mask, classes: [wear, incorrect, normal]}]"
    assert train(drawn, tmp_path / "run", *QUICK, LOOK, only_mask, "folds.stratify=[]") == 4
    assert "no task has the same label on all photos of each person" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_file_of_groups_needs_a_task_that_people_share(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, file = tmp_path / "run", tmp_path / "groups.csv"
    only_mask = "tasks=[{name: mask, classes: [wear, incorrect, normal]}]"
    assert train(drawn, run, *QUICK, only_mask, "folds.stratify=[]", "--folds", "0") == 0
    with Reporter(quiet=True) as report:
        group(drawn, output=file, report=report)
    words = ["--data", str(drawn), "-o", str(tmp_path / "a.csv"), "--groups", str(file)]
    for verb in ("predict", "ensemble"):
        capsys.readouterr()
        assert run_app([verb, str(run), *words]) == 4
        assert "no task has the same label on all photos of each person" in capsys.readouterr().err
    assert not (tmp_path / "a.csv").exists()


def test_people_with_one_photo_each_cannot_teach_looks(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = pd.read_csv(drawn / "train" / "train.csv")
    lines = ["path,group,mask,gender,age"]
    kinds = [("normal", "normal"), ("mask1", "wear"), ("incorrect_mask", "incorrect")] * 4
    for (kind, label), path, gender, age in zip(kinds, rows["path"], rows["gender"], rows["age"], strict=True):
        photo = next((drawn / "train" / "images" / path).glob(f"{kind}.*"))
        shutil.copy(photo, tmp_path / f"{path}{photo.suffix}")
        lines.append(f"{path}{photo.suffix},{path},{label},{gender},{age}")
    table = tmp_path / "table.csv"
    table.write_text("\n".join(lines) + "\n")
    assert train(table, tmp_path / "run", *QUICK, LOOK, "data.format=table") == 4
    assert "do not suffice to recognise groups" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_more_photos_than_can_be_compared_are_told_at_once(
    drawn: Path,
    together: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(clustering, "MAX_PHOTOS", 20)
    assert train(drawn, tmp_path / "run", *QUICK, LOOK) == 6
    assert "got: 42 photos, about 0 GiB" in capsys.readouterr().err  # half of the people
    assert predict(together, drawn, tmp_path / "a.csv") == 6
    assert "expected: at most 20 photos" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_what_a_killed_command_learned_is_no_part_of_another_run(drawn: Path, together: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for name in (".lock", "config.yaml", "labels.json", "manifest.csv", "folds.csv", "photos.csv"):
        shutil.copy(together / name, run / name)
    for name in ("looks.npz", "pseudo.csv", "pseudo.json"):
        shutil.copy(together / "looks.npz", run / name)
    assert train(drawn, run, *QUICK) == 0
    assert not any((run / name).exists() for name in ("looks.npz", "pseudo.csv", "pseudo.json"))
    assert "looks.npz" not in json.loads((run / "env.json").read_text())["hashes"]


def test_a_dry_run_compares_photos_and_writes_nothing(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(drawn, tmp_path / "run", *QUICK, LOOK, "--dry-run") == 0
    assert "person clustering: 84 photos of" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.unlink(), "files of the run are missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "files of the run were changed by hand"),
    ],
)
def test_looks_are_part_of_what_the_run_is(
    change: object, message: str, drawn: Path, together: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(together, run)
    assert callable(change)
    change(run / "looks.npz")
    assert predict(run, drawn, tmp_path / "a.csv") == 9
    error = capsys.readouterr().err
    assert message in error
    assert "looks.npz" in error


# --- the file


def learned() -> PersonClustering:
    rng = np.random.default_rng(0)
    metric = Metric(rng.normal(size=5), rng.normal(size=(5, 3)), np.array([3.0, 2.0, 0.5]))
    return PersonClustering(
        PersonClusterer(metric, -1.25, 7), np.array([0, 0, 1, 2]), PairQuality(0.5, 0.25, 4, 3, 2, 4 / 3)
    )


def test_what_is_written_is_read_back() -> None:
    one, data = learned(), to_bytes(learned())
    two = from_bytes(data, where="x")
    assert to_bytes(two) == data
    assert two.quality == one.quality
    assert (two.clusterer.threshold, two.clusterer.max_photos) == (-1.25, 7)
    for name in ("mean_D", "axes_DK", "ratio_K"):
        assert np.array_equal(getattr(two.clusterer.metric, name), getattr(one.clusterer.metric, name))
    assert np.array_equal(two.group_N, one.group_N)


def spoilt(**changes: object) -> bytes:
    with np.load(io.BytesIO(to_bytes(learned()))) as found:
        arrays = {name: found[name] for name in found.files} | changes
    buffer = io.BytesIO()
    np.savez(buffer, **{name: array for name, array in arrays.items() if array is not None})
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no archive",
        to_bytes(learned())[:-30],
        spoilt(axes=None),
        spoilt(axes=np.ones((3, 3))),
        spoilt(meta=np.array("{")),
        spoilt(meta=np.array(json.dumps({"version": 2}))),
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ResultError, match=r"cannot be read\n  where: /x/looks\.npz"):
        from_bytes(data, where="/x/looks.npz")
