"""Samples of generators in a training: each fold learns from its own, none is validated, and every leak is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_samples import noise_png, png, write_made_samples
from PIL import Image
from tiny import experiment, outcome, resume, tiny, train

from maskcls.cli import run_app
from maskcls.data.photos.images import decode
from maskcls.engine.step_plan import StepPlan
from maskcls.errors import DataError
from maskcls.results.predictions import Predictions
from maskcls.rundir import REFIT, RunDir
from maskcls.runs.integrity.run_checks import run_checks
from maskcls.training.added.sample_copies import validated_copies
from maskcls.training.experiment import read_experiment
from maskcls.training.stored_experiment import open_experiment

WORDS = ("model.backbone=test_convnext", "train.epochs=1")
PER_SET = 3


@pytest.fixture(scope="module")
def samples(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "s.csv"
    write_made_samples(path, experiment(drawn), per_set=PER_SET, weight=0.5)
    return path


@pytest.fixture(scope="module")
def base(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("base") / "run"
    assert train(drawn, run, *WORDS) == 0
    return run


@pytest.fixture(scope="module")
def taught(samples: Path, drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("taught") / "run"
    assert train(drawn, run, *WORDS, f"data.synth={samples}") == 0
    return run


def refusal(drawn: Path, path: Path, *words: str) -> DataError:
    with pytest.raises(DataError) as caught:
        experiment(drawn, f"data.synth={path}", *words)
    return caught.value


def test_each_fold_learns_from_its_own_samples_and_validates_what_it_did(samples: Path, drawn: Path) -> None:
    without, plan = experiment(drawn), experiment(drawn, f"data.synth={samples}")
    (source,) = plan.added
    count = len(without.manifest)
    pd.testing.assert_frame_equal(plan.manifest.iloc[:count], without.manifest)
    assert set(plan.manifest["source"][count:]) == {"synth"}
    assert (plan.fold[count:] == -1).all()
    place = {one: row for row, one in enumerate(plan.manifest["id"])}
    for k in (0, 1, REFIT):
        before, rows, of_set = without.rows(without.members[0], k), plan.rows(plan.members[0], k), source.for_fold(k)
        places = [place[one] for one in of_set.ids.tolist()]
        np.testing.assert_array_equal(rows.valid, before.valid)
        np.testing.assert_array_equal(rows.train, [*before.train, *sorted(places)])
        assert rows.soft is None
        assert (rows.weight[places] == 0.5).all()
        assert (np.delete(rows.weight, places) == 1).all()
        for name, label_N in of_set.labels.items():
            np.testing.assert_array_equal(rows.labels[name][places], label_N)
            np.testing.assert_array_equal(rows.labels[name][:count], before.labels[name])
        assert len(np.unique(rows.people[places])) == PER_SET
        assert not set(rows.people[places]) & set(rows.people[:count])


def test_the_images_are_those_beside_the_table(samples: Path, drawn: Path) -> None:
    plan = experiment(drawn, f"data.synth={samples}")
    rows = plan.rows(plan.members[0], 0)
    first = samples.parent / "s" / "0-0.png"
    (row,) = (row for row, one in enumerate(plan.manifest["id"]) if one == "synth/0/0")
    assert Path(rows.photos.paths[row]) == first
    assert first.read_bytes() == noise_png(1, 0)
    assert np.asarray(Image.open(first)).shape == (32, 32, 3)


def test_they_change_the_weights_and_not_which_rows_are_scored(taught: Path, base: Path) -> None:
    weights = "fold0/best/weights.safetensors"
    assert outcome(taught)[weights] != outcome(base)[weights]
    one, other = (Predictions.load(run / "oof.npz") for run in (taught, base))
    assert one.ids.tolist() == other.ids.tolist()
    assert {"samples.csv", "samples.json"} <= set(json.loads((taught / "env.json").read_text())["hashes"])


def test_a_run_with_them_resumes_and_notices_other_samples(
    taught: Path, samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(taught, tmp_path / "run")
    shutil.rmtree(run / "fold1")
    (run / "summary.json").unlink()
    assert resume(run) == 0
    assert outcome(run) == outcome(taught)
    shutil.rmtree(run / "fold1")
    (run / "summary.json").unlink()
    image = samples.parent / "s" / "1-0.png"
    before = image.read_bytes()
    try:
        image.write_bytes(noise_png(99, 99))
        capsys.readouterr()
        assert resume(run) != 0
        assert "1-0.png" in capsys.readouterr().err
        image.unlink()
        assert resume(run) == 4
        assert "1-0.png" in capsys.readouterr().err
    finally:
        image.write_bytes(before)
    table = (run / "samples.csv").read_text()
    (run / "samples.csv").write_text(table.replace(",0.5,", ",2.5,"))
    assert resume(run) == 9
    assert "samples.csv" in capsys.readouterr().err
    assert "samples.csv" in [check.name for check in run_checks(RunDir(run)) if check.faults]


def test_data_that_moved_keep_their_samples(taught: Path, drawn: Path, tmp_path: Path) -> None:
    run, moved = shutil.copytree(taught, tmp_path / "run"), shutil.copytree(drawn, tmp_path / "elsewhere")
    shutil.rmtree(run / "fold1")
    (run / "summary.json").unlink()
    assert resume(run, "--data", str(moved)) == 0
    assert outcome(run) == outcome(taught)


def test_other_images_than_were_made_are_refused(
    samples: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(shutil.copy(samples, tmp_path / "s.csv"))
    shutil.copy(samples.with_suffix(".json"), tmp_path)
    shutil.copytree(samples.parent / "s", tmp_path / "s")
    (tmp_path / "s" / "0-1.png").write_bytes(noise_png(7, 7))
    assert train(drawn, tmp_path / "run", *WORDS, f"data.synth={path}") == 4
    out = capsys.readouterr().err
    assert "made as samples" in out
    assert "synth/0/1" in out
    assert not (tmp_path / "run").exists()
    assert run_app(["verify", str(path)]) != 0
    assert "0-1.png" in capsys.readouterr().out
    assert run_app(["verify", str(samples)]) == 0


def test_a_generator_that_saw_the_validation_fold_is_refused(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "leak.csv"
    write_made_samples(path, experiment(drawn), makers={1: [0]})
    assert train(drawn, tmp_path / "run", *WORDS, f"data.synth={path}") == 4
    message = " ".join(capsys.readouterr().err.split())
    assert (
        "a sample of set 1 was made by the generator of fold 0, which was trained on people that fold 1 validates"
        in message
    )
    assert "'synth/1/0': generator of fold 0" in message
    assert not (tmp_path / "run").exists()


def test_leaky_samples_train_on_demand_and_leave_no_score(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, run = tmp_path / "leak.csv", tmp_path / "run"
    write_made_samples(path, experiment(drawn), makers={1: [0]})
    assert train(drawn, run, *WORDS, f"data.synth={path}", "--folds", "0", "data.leaky=true") == 0
    captured = capsys.readouterr()
    assert "no out-of-fold score: it was trained with data.leaky=true: pseudo labels or samples" in " ".join(
        captured.out.split()
    )
    assert "the samples are leaky" in " ".join(captured.err.split())
    assert not (run / "oof.npz").exists()
    opened, _ = open_experiment(RunDir(run))
    rows = opened.rows(opened.members[0], 0)
    assert {opened.manifest["id"].iloc[row] for row in rows.train if row >= len(opened.labelled_rows)} == {
        f"synth/all/{n}" for n in range(3)
    }


def test_a_parent_of_the_validation_people_is_refused(drawn: Path, tmp_path: Path) -> None:
    plan = experiment(drawn)
    of_fold = {k: str(plan.manifest["id"][plan.fold == k].iloc[0]) for k in (0, 1)}
    write_made_samples(tmp_path / "a.csv", plan, parents={"synth/0/0": (of_fold[1],), "synth/all/0": (of_fold[0],)})
    assert not experiment(drawn, f"data.synth={tmp_path / 'a.csv'}").leaky
    write_made_samples(tmp_path / "b.csv", plan, parents={"synth/0/0": (of_fold[1],), "synth/1/0": (of_fold[1],)})
    found = refusal(drawn, tmp_path / "b.csv")
    assert found.what == "a sample was made from photos of people that its fold validates"
    assert [line.partition(":")[0] for line in found.offenders] == ["'synth/1/0'"]


def test_a_sealed_parent_is_refused(drawn: Path, tmp_path: Path) -> None:
    words = ("folds.sealed=0.3",)
    plan = experiment(drawn, *words)
    assert plan.sealed is not None
    name = str(plan.sealed["id"].iloc[0])
    write_made_samples(tmp_path / "a.csv", plan, parents={"synth/0/0": (name,)})
    for more in ((), ("data.leaky=true",)):
        found = refusal(drawn, tmp_path / "a.csv", *words, *more)
        assert found.what == "samples were made from photos of sealed people"
    write_made_samples(tmp_path / "b.csv", experiment(drawn))  # the generators saw the people who are sealed here
    assert "made with other folds" in refusal(drawn, tmp_path / "b.csv", *words).what
    assert "may have seen sealed" in refusal(drawn, tmp_path / "b.csv", *words, "data.leaky=true").what
    write_made_samples(tmp_path / "c.csv", plan)
    assert not experiment(drawn, f"data.synth={tmp_path / 'c.csv'}", *words).leaky


@pytest.mark.parametrize("words", [("folds.seed=5",), ("folds.k=3",)])
def test_other_folds_are_refused(words: tuple[str, ...], samples: Path, drawn: Path) -> None:
    assert "made with other folds" in refusal(drawn, samples, *words).what


def test_a_sample_with_the_pixels_of_a_validation_photo_is_refused(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the table says about parents: the photo itself tells."""
    plan = experiment(drawn)
    row_of = {k: int(np.flatnonzero(plan.fold == k)[0]) for k in (0, 1)}
    paths = {k: plan.photo_root / plan.photo_paths[row] for k, row in row_of.items()}
    copies = {k: png(decode(path.read_bytes(), path)) for k, path in paths.items()}
    write_made_samples(tmp_path / "own.csv", plan, images={"synth/0/1": copies[1], "synth/all/0": copies[0]})
    words = (*WORDS, "--dry-run")
    assert train(drawn, tmp_path / "run", *words, f"data.synth={tmp_path / 'own.csv'}") == 0
    capsys.readouterr()
    write_made_samples(tmp_path / "other.csv", plan, images={"synth/0/1": copies[0]})
    assert train(drawn, tmp_path / "run", *words, f"data.synth={tmp_path / 'other.csv'}") == 4
    message = " ".join(capsys.readouterr().err.split())
    assert "samples are photos of people that their fold validates" in message
    assert "'synth/0/1' is the photo" in message
    more = (*words, "data.same_photos=allow", f"data.synth={tmp_path / 'other.csv'}")
    assert train(drawn, tmp_path / "run", *more) == 0
    assert "warning: 1 sample of a fold that validates the same photo" in " ".join(capsys.readouterr().err.split())


def test_which_copies_are_of_validated_photos(samples: Path, drawn: Path) -> None:
    plan = experiment(drawn, f"data.synth={samples}")
    ids, sources = plan.manifest["id"].tolist(), plan.manifest["source"].tolist()
    place = {one: row for row, one in enumerate(ids)}
    real = {k: int(np.flatnonzero(plan.fold == k)[0]) for k in (0, 1)}
    groups = [(real[0], place["synth/0/0"]), (real[1], place["synth/0/1"]), (real[0], place["synth/all/0"])]
    found = list(validated_copies(plan.added, ids, sources, plan.fold, groups))
    assert found == [f"'synth/0/0' is the photo {ids[real[0]]!r}, which fold 0 validates"]


def test_pseudo_labels_and_samples_together(base: Path, samples: Path, drawn: Path, tmp_path: Path) -> None:
    labels = tmp_path / "p.csv"
    words = ["--min-confidence", "0", "--agree", "0", "--soft"]
    assert run_app(["pseudo-label", str(base), "--data", str(drawn), "-o", str(labels), *words]) == 0
    plan = experiment(drawn, f"data.pseudo={labels}", f"data.synth={samples}")
    assert [one.source for one in plan.added] == ["pseudo", "synth"]
    rows = plan.rows(plan.members[0], 1)
    source = plan.manifest["source"].to_numpy()
    trained = source[rows.train]
    assert ((trained == "pseudo").sum(), (trained == "synth").sum()) == (21, PER_SET)
    assert rows.soft is not None
    assert rows.soft[source == "pseudo"].sum(axis=1) == pytest.approx(1)
    assert not rows.soft[source != "pseudo"].any()
    run = tmp_path / "run"
    assert train(drawn, run, *WORDS, f"data.pseudo={labels}", f"data.synth={samples}", "--folds", "0") == 0
    assert len(Predictions.load(run / "fold0/oof.npz").ids) == (plan.fold == 0).sum()


def test_further_training_on_validation_rows_leaves_them_out(samples: Path, drawn: Path) -> None:
    for rows, wanted in (("valid", 0), ("all", PER_SET)):
        words = ("train.continue_epochs=1", f"train.continue_rows={rows}")
        plan = experiment(drawn, f"data.synth={samples}", *words)
        member = replace(plan.members[0], continued=True)
        trained = plan.manifest["source"].to_numpy()[plan.rows(member, 0).train]
        assert (trained == "synth").sum() == wanted


def test_one_of_the_samples_and_photos_of_a_person_takes_a_turn(samples: Path, drawn: Path) -> None:
    """Each sample is a person of its own, so none stands in for a photo."""
    with_samples, without = (
        experiment(drawn, "sampler.one_per_person=true", *more) for more in ((f"data.synth={samples}",), ())
    )
    counts = [StepPlan(one.rows(one.members[0], 0), one.members[0].cfg).epoch_images for one in (with_samples, without)]
    assert counts[0] == counts[1] + PER_SET


def test_rare_classes_are_counted_with_their_samples(samples: Path, drawn: Path) -> None:
    """As many draws of each joint class: a class of samples has fewer draws per photo."""
    words = ("sampler.draw=weighted", f"data.synth={samples}")
    plan = experiment(drawn, *words)
    steps = StepPlan(plan.rows(plan.members[0], 0), plan.members[0].cfg)
    of_samples = plan.manifest["source"].to_numpy()[steps.rows.train] == "synth"
    assert sorted(steps.group[of_samples].tolist()) == [0, 1, 2]  # the joint classes of the samples of fold 0


def test_samples_may_be_mixing_partners_of_their_fold(samples: Path, drawn: Path) -> None:
    words = ("mix.kind=halves", "mix.partner_classes={age: ['<30'], gender: [male], mask: [wear]}")
    plan = experiment(drawn, *words, f"data.synth={samples}")
    steps = StepPlan(plan.rows(plan.members[0], 0), plan.members[0].cfg)
    assert steps.pools is not None
    partners = plan.manifest["id"].to_numpy()[steps.pools.candidates[:-1]]
    assert [one for one in partners if one.startswith("synth/")] == ["synth/0/0"]


def test_what_the_notes_say(samples: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(drawn, tmp_path / "run", *WORDS, f"data.synth={samples}", "age.head=normal", "--dry-run") == 0
    text = " ".join(capsys.readouterr().err.split())
    assert "3 samples are trained on per fold" in text
    assert "the age head does not use samples: it is trained on whole numbers, which they lack" in text


def test_a_set_of_an_experiment_in_memory_is_that_of_the_stored_run(taught: Path, samples: Path, drawn: Path) -> None:
    opened, _ = open_experiment(RunDir(taught))
    given = read_experiment(tiny(*WORDS, f"data.synth={samples}"), drawn, RunDir(taught))
    assert opened.photo_paths == given.photo_paths
    assert opened.added[0].samples is not None
    assert given.added[0].samples is not None
    assert opened.added[0].samples.sha256 == given.added[0].samples.sha256
