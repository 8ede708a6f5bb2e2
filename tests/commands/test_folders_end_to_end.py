"""Photos in folders named by class, from train to evaluate; and a table without groups, read as a run reads it."""

from __future__ import annotations

import io
from contextlib import redirect_stderr
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import experiment, hashes, tiny, train

from maskcls import config
from maskcls.cli import run_app
from maskcls.csvfile import read_columns
from maskcls.errors import WeightsError
from maskcls.rundir import RunDir
from maskcls.schema.group_noun import group_noun
from maskcls.training.checks import has_settings
from maskcls.training.stored_experiment import check_data_unchanged, open_experiment

SETTINGS = (
    "data.format=folders",
    "tasks=[{name: colour, classes: [red, blue]}]",
    "model.backbone=test_convnext",
    "train.epochs=1",
    "predict.batch_size=4",
)


def draw(root: Path, part: str, count: int) -> None:
    """Draw photos of noise, red or blue."""
    rng = np.random.default_rng(len(part))
    for i in range(count):
        pixels = rng.integers(0, 90, (36, 36, 3), dtype=np.uint8)
        pixels[..., 2 * (i % 2)] += 150
        path = root / part / ("red", "blue")[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("folders")
    for part, count in (("train", 12), ("val", 4), ("test", 6)):
        draw(home / "data", part, count)
    (home / "data" / "notes.txt").write_text("no photo")
    return home


@pytest.fixture(scope="module")
def trained(home: Path) -> tuple[RunDir, str]:
    """Return a run, and what its training printed on stderr."""
    with redirect_stderr(io.StringIO()) as said:
        assert train(home / "data", home / "run", *SETTINGS) == 0
    return RunDir(home / "run"), said.getvalue()


@pytest.fixture(scope="module")
def run(trained: tuple[RunDir, str]) -> RunDir:
    return trained[0]


NOTES = (
    "photos of val/ (4 photos) are labelled rows like those of train: maskcls makes its own folds",
    "left out: 1 file that is no photo (notes.txt)",
    "every photo is its own group; name what belongs together with data.group=REGEX",
)


def test_train_prints_each_note_once(trained: tuple[RunDir, str]) -> None:
    assert [trained[1].splitlines().count(note) for note in NOTES] == [1, 1, 1]


@pytest.mark.slow
def test_data_check_prints_each_note_once(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["data", "check", str(home / "data"), *SETTINGS[:2]]) == 0
    assert [capsys.readouterr().err.splitlines().count(note) for note in NOTES[:1]] == [1]


def test_data_look_prints_each_note_once(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["data", "look", str(home / "data"), *SETTINGS, "-o", str(tmp_path / "a.png"), "--photos", "1"]
    assert run_app([*words, "transforms.size=[32,32]", "--draws", "0"]) == 0
    assert capsys.readouterr().out.count("left out: 1 file") == 1


def test_a_run_says_that_every_photo_is_alone(run: RunDir) -> None:
    cfg, _ = config.load(run.config)
    assert (cfg.data.group, group_noun(cfg)) == ("none", ("photo", "photos"))
    assert read_columns(run.manifest)["person"] == read_columns(run.manifest)["id"]
    assert len(read_columns(run.manifest)["id"]) == 16
    assert has_settings(run, tiny(*SETTINGS))
    assert has_settings(run, tiny(*SETTINGS, "data.group=none"))
    assert not has_settings(run, tiny(*SETTINGS, "data.group=([a-z]+)"))


def test_predict_and_evaluate_on_class_folders(run: RunDir, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = hashes(home / "data")
    written = home / "answers.csv"
    assert run_app(["predict", str(run.path), "--data", str(home / "data"), "-o", str(written)]) == 0
    assert list(read_columns(written)) == ["path", "ans", "colour"]
    ids = read_columns(written)["path"]
    assert ids == sorted(f"test/{name}/{i}.png" for i, name in enumerate(["red", "blue"] * 3))
    assert run_app(["submission", "check", str(written), "--data", str(home / "data"), "--run", str(run.path)]) == 0
    capsys.readouterr()
    assert run_app(["evaluate", str(written), "--answers", str(home / "data" / "test"), "--json"]) == 0
    assert '"macro_f1"' in capsys.readouterr().out
    assert hashes(home / "data") == before


def test_a_moved_photo_is_another_data_set(run: RunDir, home: Path) -> None:
    opened, _ = open_experiment(run)
    check_data_unchanged(opened)
    moved = home / "data" / "train" / "red" / "0.png"
    moved.rename(home / "data" / "train" / "blue" / "0.png")
    try:
        with pytest.raises(WeightsError, match="no longer the one this run began with"):
            check_data_unchanged(opened)
    finally:
        (home / "data" / "train" / "blue" / "0.png").rename(moved)


@pytest.mark.parametrize(("group", "people"), [("auto", 16), (r"([0-9])\.png", 10)])
def test_groups_are_not_divided_between_folds(home: Path, group: str, people: int) -> None:
    """12 and 4 photos are named 0 to 11 and 0 to 3; 10 and 11 end in the digits 0 and 1."""
    found = experiment(home / "data", *SETTINGS, f"data.group='{group}'")
    assert found.manifest["person"].nunique() == people
    assert found.folds.groupby("person")["fold"].nunique().max() == 1


def test_a_table_without_groups_is_read_with_a_note(home: Path) -> None:
    rows = [f"train/{('red', 'blue')[i % 2]}/{i}.png,{('red', 'blue')[i % 2]}" for i in range(12)]
    (home / "data" / "t.csv").write_text("\n".join(["file,Colour", *rows]) + "\n")
    try:
        found = experiment(home / "data" / "t.csv", "data.format=table", *SETTINGS[1:])
    finally:
        (home / "data" / "t.csv").unlink()
    assert found.cfg.data.group == "none"
    assert found.notes == (
        "columns of t.csv: 'file' as path, 'Colour' as colour",
        "no column group: every row is its own group; name one with data.group=COLUMN",
    )
