"""`maskcls synth sample` from end to end: real generators and networks, small ones; their table trains a network."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tiny import experiment, hashes, train

from maskcls.cli import run_app
from maskcls.labels import CONTEST, Ints
from maskcls.results.synth.read_samples import read_samples
from maskcls.results.synth.sample_table import Samples
from maskcls.rundir import REFIT, SynthDir
from maskcls.synth.embedded.example_counts import example_counts
from maskcls.synth.facts_file import read_facts, write_facts
from maskcls.synth.loop.synth_rows import generator_rows
from maskcls.synth.rows.fold_classifier import FoldClassifier
from maskcls.synth.rows.sample_rows import SampleRow, taken_in_turn
from maskcls.training.added.added_source import folds_sha256

WORDS = ("model.backbone=test_convnext", "train.epochs=1")
OLD = "synth.classes={age: ['>=60']}"
SMALL = ("synth.size=[32, 16]", "synth.width=4", "synth.steps=2", "synth.batch_size=8", "synth.latent=4", OLD)
TRUSTING = ("synth.agree=false", "synth.copy_quantile=0")


@pytest.fixture(scope="module")
def run(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "a"
    assert train(drawn, path, *WORDS) == 0
    return path


@pytest.fixture(scope="module")
def generators(run: Path) -> Path:
    path = run.parent / "g"
    words = ["--kind", "dcgan", "--run", str(path), *SMALL, "--force"]
    assert run_app(["synth", "train", str(run), *words]) == 0
    return path


@pytest.fixture(scope="module")
def table(generators: Path) -> Path:
    path = generators.parent / "s.csv"
    words = ("synth.per_class=2", "synth.weight=0.25", "synth.agree=false")
    assert sample(generators, path, *words) == 0
    return path


@pytest.fixture(scope="module")
def of_data(generators: Path) -> Path:
    """The same as if they were made from a data set."""
    path = generators.parent / "of-data"
    shutil.copytree(generators, path)
    write_facts(SynthDir(path), read_facts(SynthDir(path)).model_copy(update={"run": None}))
    return path


def sample(folder: Path, output: Path, *words: str) -> int:
    return run_app(["synth", "sample", str(folder), "-o", str(output), *words])


def read(path: Path, data: Path) -> Samples:
    plan = experiment(data)
    fold_of = dict(zip(plan.folds["id"], plan.folds["fold"], strict=True))
    digest = folds_sha256(plan.manifest, plan.folds)
    return read_samples(path, CONTEST, folds_sha256=digest, k=2, fold_of=fold_of)


def classes_with_photos(data: Path, k: int) -> list[int]:
    """Return the joint classes of people from 60 on that a fold trains on."""
    plan = experiment(data)
    joint = CONTEST.encode(plan.labels)[generator_rows(plan, k)]
    return [label for label in range(18) if label % 3 == 2 and (joint == label).any()]


def test_every_fold_has_its_quota_from_its_own_generator(table: Path, drawn: Path, generators: Path) -> None:
    found = read(table, drawn)
    assert (found.kind, found.leaky) == ("dcgan", False)
    for k in (0, 1, REFIT):
        rows = found.sets[k]
        wanted = np.repeat(classes_with_photos(drawn, k), 2)
        assert CONTEST.encode(rows.labels).tolist() == wanted.tolist()
        assert (rows.weight == 0.25).all()
        (maker,) = found.makers[k]
        meta = json.loads(SynthDir(generators).fold(k).generator.meta.read_text())
        assert (maker.fold, maker.sha256) == (k, meta["sha256"])
    assert not found.parents
    images = sorted(path.name for path in (table.parent / "s").iterdir())
    assert len(images) == sum(len(rows) for rows in found.sets.values())
    with Image.open(table.parent / "s" / "0-0.png") as image:
        assert image.size == (16, 32)


def test_a_training_takes_them(table: Path, drawn: Path, tmp_path: Path) -> None:
    assert train(drawn, tmp_path / "b", *WORDS, f"data.synth={table}", "--folds", "1") == 0
    assert (tmp_path / "b" / "fold1" / "oof.npz").exists()


def test_given_again_after_a_kill_it_ends_with_the_same_bytes(
    table: Path, generators: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only what was written before the kill is there: the last file is the table."""
    output = tmp_path / "s.csv"
    images = sorted((table.parent / "s").iterdir())
    (tmp_path / "s").mkdir()
    for image in images[: len(images) // 2]:
        shutil.copy(image, tmp_path / "s")
    words = ("synth.per_class=2", "synth.weight=0.25", "synth.agree=false")
    assert sample(generators, output, *words) == 0
    assert hashes(tmp_path) == {
        name: digest for name, digest in hashes(table.parent).items() if name.split("/")[0] in ("s.csv", "s.json", "s")
    }
    assert sample(generators, output, *words) == 7
    assert "the output exists" in capsys.readouterr().err


def test_without_a_named_classifier_it_is_the_run_that_the_generators_were_made_from(
    generators: Path,
    of_data: Path,
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def agreeing(self: FoldClassifier, images_MHWC: NDArray[np.uint8]) -> Ints:
        """Give the class with most samples wanted, so that some samples are kept."""
        return np.full(len(images_MHWC), max(classes_with_photos(Path(self.experiment.data), REFIT)), np.int64)

    words, said = ("synth.per_class=1", "synth.copy_quantile=0"), "the run that the generators were"
    monkeypatch.setattr(FoldClassifier, "labels", agreeing)
    capsys.readouterr()
    assert sample(generators, tmp_path / "s.csv", *words) == 0
    assert f"classifier: {run.resolve()}, {said} made from" in " ".join(capsys.readouterr().err.split())
    assert json.loads((tmp_path / "s.json").read_text())["lineage"]["classifier"] == "a"
    other = shutil.copytree(run, tmp_path / "other")
    assert sample(generators, tmp_path / "t.csv", *words, "--classifier", str(other)) == 0
    assert said not in capsys.readouterr().err
    assert json.loads((tmp_path / "t.json").read_text())["lineage"]["classifier"] == "other"
    assert sample(of_data, tmp_path / "u.csv", "synth.per_class=1", "synth.agree=false") == 0  # needs none
    assert json.loads((tmp_path / "u.json").read_text())["lineage"]["classifier"] is None
    lost = shutil.copytree(of_data, tmp_path / "lost")
    write_facts(SynthDir(lost), read_facts(SynthDir(lost)).model_copy(update={"run": str(tmp_path / "gone")}))
    assert sample(lost, tmp_path / "v.csv", *words) == 9
    assert "--classifier RUN" in capsys.readouterr().err


def test_what_is_printed(
    generators: Path, run: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sample(generators, tmp_path / "s.csv", "synth.per_class=1", *TRUSTING, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    sizes = {name: len(classes_with_photos(drawn, k)) for name, k in (("0", 0), ("1", 1), ("all", REFIT))}
    assert answer["sets"] == sizes
    assert (answer["kind"], answer["file"]) == ("dcgan", str(tmp_path / "s.csv"))
    first = answer["counts"][0]
    assert {name: first[name] for name in ("set", "wanted", "made", "kept", "copies", "disputed")} == {
        "set": "0",
        **{"wanted": 1, "made": 1, "kept": 1, "copies": 0, "disputed": 0},
    }
    assert json.loads((tmp_path / "s.json").read_text())["counts"] == answer["counts"]
    assert sample(generators, tmp_path / "t.csv", "synth.per_class=1", *TRUSTING) == 0
    out = capsys.readouterr().out
    assert "wear/male/>=60" in out
    assert "disputed" in out
    assert f"data.synth={tmp_path / 't.csv'}" in out


def test_the_classifier_s_filters_count_what_they_leave_out(
    generators: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A network of one epoch says one class of everything, so all samples of others are disputed."""
    words = ("--classifier", str(run), "synth.per_class=1", "synth.copy_quantile=0", "--json")
    code = sample(generators, tmp_path / "s.csv", *words)
    captured = capsys.readouterr()
    if code == 0:
        counts = json.loads(captured.out)["counts"]
        assert any(one["disputed"] for one in counts)
        assert all(one["made"] == one["kept"] + one["disputed"] + one["copies"] for one in counts)
        assert all(one["made"] <= 10 for one in counts)
    else:
        assert code == 4
        assert "no sample is left" in captured.err
        assert "of another class for the classifier" in captured.err


def test_folds_without_a_generator_of_all_rows_share_their_samples(run: Path, drawn: Path, tmp_path: Path) -> None:
    path = tmp_path / "g"
    words = ["--kind", "dcgan", "--run", str(path), *SMALL, "--force", "--folds", "0,1"]
    assert run_app(["synth", "train", str(run), *words]) == 0
    assert sample(path, tmp_path / "s.csv", "synth.per_class=1", *TRUSTING) == 0
    found = read(tmp_path / "s.csv", drawn)
    assert [maker.fold for maker in found.makers[REFIT]] == [0, 1]
    of_folds = {path for k in (0, 1) for path in found.sets[k].paths.tolist()}
    assert set(found.sets[REFIT].paths.tolist()) <= of_folds
    assert len(found.sets[REFIT]) == len(classes_with_photos(drawn, REFIT))


def test_folds_take_turns_in_what_they_share() -> None:
    rows = [[SampleRow(f"{k}{n}", label, (), b"") for label in (0, 1) for n in range(2)] for k in "abc"]
    assert [row.path for row in taken_in_turn(rows, {1: 4, 0: 2})] == ["a0", "b0", "a0", "b0", "c0", "a1"]
    assert [row.path for row in taken_in_turn([rows[0], []], {1: 9})] == ["a0", "a1"]


def test_copies_of_photos_need_no_generator(
    run: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "c.csv"
    assert sample(run, output, "synth.kind=oversample", OLD) == 0
    assert not (tmp_path / "c").exists()
    found, plan = read(output, drawn), experiment(drawn)
    place = {name: row for row, name in enumerate(plan.manifest["id"])}
    for k in (0, 1, REFIT):
        chosen = generator_rows(plan, k)
        joint = CONTEST.encode(plan.labels)[chosen]
        counts = example_counts(joint, {"age": (">=60",)}, CONTEST, "auto")
        rows = found.sets[k]
        labels = CONTEST.encode(rows.labels)
        assert {label: int((labels == label).sum()) for label in counts} == counts
        for one, path, label in zip(rows.ids.tolist(), rows.paths.tolist(), labels.tolist(), strict=True):
            (parent,) = found.parents[one]
            assert plan.manifest["path"].iloc[place[parent]] == path
            assert plan.fold[place[parent]] != k
            assert CONTEST.encode(plan.labels)[place[parent]] == label
    with_copies = experiment(drawn, f"data.synth={output}")
    assert with_copies.photo_paths[: len(plan.manifest)] == plan.photo_paths
    assert not any(Path(path).is_absolute() for path in with_copies.photo_paths)
    assert train(drawn, tmp_path / "b", *WORDS, f"data.synth={output}", "--folds", "0") == 0
    moved = shutil.copytree(drawn, tmp_path / "elsewhere")
    shutil.rmtree(tmp_path / "b" / "fold0")
    (tmp_path / "b" / "summary.json").unlink()
    assert run_app(["resume", str(tmp_path / "b"), "--data", str(moved)]) == 0
    capsys.readouterr()
    assert run_app(["verify", str(output)]) == 0


def test_translated_photos_have_one_parent_each(run: Path, drawn: Path, tmp_path: Path) -> None:
    path = tmp_path / "c"
    words = ["--kind", "cyclegan", "--run", str(path), *SMALL, "synth.blocks=1", "--force"]
    assert run_app(["synth", "train", str(run), *words]) == 0
    assert sample(path, tmp_path / "s.csv", "synth.per_class=1000", *TRUSTING) == 0
    found, plan = read(tmp_path / "s.csv", drawn), experiment(drawn)
    fold = dict(zip(plan.folds["id"], plan.folds["fold"], strict=True))
    middle = {name: label == 1 for name, label in zip(plan.manifest["id"], plan.labels["age"], strict=True)}
    for k in (0, 1):
        parents = [found.parents[one] for one in found.sets[k].ids.tolist()]
        assert len(set(parents)) == len(parents)  # each photo once, as again it gives the same image
        assert all(len(names) == 1 and fold[names[0]] != k and middle[names[0]] for names in parents)
    assert not experiment(drawn, f"data.synth={tmp_path / 's.csv'}").leaky


def _swapped(folder: Path) -> None:
    shutil.rmtree(folder / "fold1")
    shutil.copytree(folder / "fold0", folder / "fold1")


def _unfinished(folder: Path) -> None:
    (folder / "fold1" / "DONE").unlink()


def _other_weights(folder: Path) -> None:
    for name in ("weights.safetensors", "meta.json"):
        shutil.copy(folder / "refit" / "generator" / name, folder / "fold0" / "generator" / name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_swapped, "belongs to"),
        (_unfinished, "generators are not finished"),
        (_other_weights, "belongs to"),
    ],
)
def test_generators_that_are_not_those_of_their_fold_are_refused(
    change: Callable[[Path], None],
    message: str,
    generators: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = shutil.copytree(generators, tmp_path / "g")
    change(folder)
    assert sample(folder, tmp_path / "s.csv", *TRUSTING) in (4, 5, 9)
    assert message in capsys.readouterr().err
    assert not (tmp_path / "s.csv").exists()


def test_generators_of_some_folds_are_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--kind", "dcgan", "--run", str(tmp_path / "g"), *SMALL, "--force", "--folds", "0"]
    assert run_app(["synth", "train", str(run), *words]) == 0
    assert sample(tmp_path / "g", tmp_path / "s.csv", *TRUSTING) == 9
    assert "fold 1" in capsys.readouterr().err


def test_a_classifier_that_saw_the_validation_people_is_refused(
    generators: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    assert train(drawn, other, *WORDS, "folds.seed=5", "--folds", "0") == 0
    capsys.readouterr()
    assert sample(generators, tmp_path / "s.csv", "--classifier", str(other)) == 9
    text = " ".join(capsys.readouterr().err.split())
    assert "networks of the classifier may have seen people that the samples' folds validate" in text


def test_a_classifier_of_other_classes_is_refused(
    generators: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    assert train(drawn, other, *WORDS, "tasks=[{name: age, classes: [young, old], bins: [40]}]", "--folds", "0") == 0
    capsys.readouterr()
    assert sample(generators, tmp_path / "s.csv", "--classifier", str(other)) == 5
    assert "the classifier has other classes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((), 2, "no run is named whose networks compare the samples"),
        (("synth.copy_quantile=0",), 2, "no run is named"),
        ((*TRUSTING, "synth.steps=5"), 3, "this setting is not one of the samples"),
        ((*TRUSTING, "synth.kind=wgan-gp"), 3, "this setting is not one of the samples"),
        ((*TRUSTING, "optim.lr=1"), 3, "this setting is not one of the samples"),
        (("--classifier", "nowhere"), 9, "nowhere"),
        ((*TRUSTING, "--classifier", "nowhere"), 2, "no run compares these samples"),
    ],
)
def test_command_lines_that_cannot_be_meant(
    words: tuple[str, ...],
    code: int,
    message: str,
    of_data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert sample(of_data, tmp_path / "s.csv", *words) == code
    assert message in capsys.readouterr().err


def test_places_that_cannot_be_written(
    generators: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sample(generators, tmp_path / "samples", *TRUSTING) == 2
    assert "needs an ending" in capsys.readouterr().err
    assert sample(generators, generators / "s.csv", *TRUSTING) == 2
    (tmp_path / "t").write_text("")
    assert sample(generators, tmp_path / "t.csv", *TRUSTING) == 2
    assert "is a file" in capsys.readouterr().err
    assert sample(run, tmp_path / "s.csv", "synth.kind=dcgan") == 2
    assert "maskcls synth train" in capsys.readouterr().err
    assert sample(run, tmp_path / "s.csv", "synth.kind=smote") == 2


def test_with_force_the_old_table_stays_beside_the_new_one(generators: Path, tmp_path: Path) -> None:
    output = tmp_path / "s.csv"
    assert sample(generators, output, "synth.per_class=1", *TRUSTING) == 0
    before = output.read_bytes()
    assert sample(generators, output, "synth.per_class=2", *TRUSTING) == 7
    assert sample(generators, output, "synth.per_class=2", *TRUSTING, "--force") == 0
    assert (tmp_path / "s.csv.bak").read_bytes() == before
    assert output.read_bytes() != before
