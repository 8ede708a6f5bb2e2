"""maskcls synth page: samples of trained generators compared with photos, and the page about them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny

from maskcls.cli import run_app
from maskcls.commands.synth.page import MOST_SHEETS, shown_sheets
from maskcls.data.drawn.faces import make_faces
from maskcls.errors import Exit
from maskcls.results.synth.sample_table import SampleMaker
from maskcls.results.synth.write_samples import write_samples
from maskcls.rundir import REFIT, RunDir
from maskcls.show.synth.sample_report import SHRUNK
from maskcls.synth.loop.synth_rows import synth_rows
from maskcls.synth.quality.sample_size import sample_size
from maskcls.synth.rows.made_set import MadeSet
from maskcls.synth.rows.sample_rows import SampleRows, add_images, as_added_sets
from maskcls.training.added.added_source import folds_sha256
from maskcls.training.experiment import view_spec
from maskcls.training.stored_experiment import open_experiment

WORDS = ("train.epochs=1", "transforms.hflip=0", "transforms.geometry=0", "transforms.colour=0")
SMALL = ("synth.steps=3", "synth.sheet_steps=1", "synth.width=4", "synth.latent=4", "synth.size=[16,16]")
CLASSES = ("synth.classes={age: ['30-59']}", "synth.per_class=2", "synth.agree=false", "synth.copy_quantile=0")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with faces, the run `a`, its generators `g`, and their samples `s.csv`."""
    root = tmp_path_factory.mktemp("page")
    make_faces(root / "faces", people=24, seed=0, eval_people=3, size=(48, 36))
    assert tiny.train(root / "faces", root / "a", *WORDS) == 0
    words = ["--kind", "dcgan", "--run", str(root / "g"), "--force", *SMALL, *CLASSES]
    assert run_app(["synth", "train", str(root / "a"), *words]) == 0
    assert run_app(["synth", "sample", str(root / "g"), "-o", str(root / "s.csv"), *CLASSES[1:]]) == 0
    return root


def page(home: Path, *words: str) -> int:
    """Run the verb about the samples in `home`."""
    return run_app(["synth", "page", str(home / "s.csv"), "--run", str(home / "a"), *words])


def test_every_set_has_its_figures(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert page(home, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["network"], found["page"]) == ("dcgan", "a", None)
    assert list(found["sets"]) == ["0", "1", "all"]
    for one in found["sets"].values():
        assert one["samples"] == 2 * 6
        assert np.isfinite(one["samples_and_photos"]["kernel_distance"]["value"])
    everyone = found["sets"]["all"]["people"]
    assert found["sets"]["0"]["people"] + found["sets"]["1"]["people"] == everyone  # two halves of the people


def test_the_page_has_sheets_and_strips_where_the_generators_are_named(home: Path, tmp_path: Path) -> None:
    whole, alone, named = (tmp_path / f"{name}.html" for name in ("whole", "alone", "named"))
    assert page(home, "--generators", str(home / "g"), "-o", str(whole), "--with-photos") == 0
    assert page(home, "-o", str(alone), "--with-photos") == 0
    assert page(home, "--generators", str(home / "g"), "-o", str(named)) == 0
    html = whole.read_text(encoding="utf-8")
    assert html.count("samples between random inputs") == 3
    assert all(html.count(f"after {steps} steps</figcaption>") == 3 for steps in (1, 2, 3))
    assert "figcaption>after" not in alone.read_text(encoding="utf-8")
    assert "data:image/jpeg" in alone.read_text(encoding="utf-8")
    assert "data:image" not in named.read_text(encoding="utf-8")
    assert page(home, "-o", str(alone)) == Exit.BUSY
    assert page(home, "-o", str(alone), "--force") == 0


def test_small_samples_are_compared_with_photos_as_small(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The samples are the photos themselves, shrunk: no figure may tell them apart from the photos."""
    experiment, _ = open_experiment(RunDir(home / "a"))
    rows = SampleRows()
    for k in (0, 1, REFIT):
        found = synth_rows(replace(experiment, cfg=tiny.tiny("synth.size=[16,16]", *WORDS)), k)
        parents = tuple((one,) for one in found.ids)
        made = MadeSet(found.images_NHWC, tuple(found.label_N.tolist()), parents, ())
        add_images(rows, k, made, view_spec(experiment.cfg), tmp_path / "s.csv")
    sets, parents, contents = as_added_sets(rows, experiment.cfg.space, 1.0)
    write_samples(
        tmp_path / "s.csv",
        sets,
        parents,
        experiment.cfg.space,
        kind="cyclegan",
        folds_sha256=folds_sha256(experiment.manifest, experiment.folds),
        k=2,
        makers={k: (SampleMaker(k, "0" * 64),) for k in sets},
        counts=[],
        lineage={},
        contents=contents,
        images=rows.images,
    )
    words = ["synth", "page", str(tmp_path / "s.csv"), "--run", str(home / "a")]
    assert run_app([*words, "--json"]) == 0
    for one in json.loads(capsys.readouterr().out)["sets"].values():
        assert one["photo_size"] == [16, 16]
        assert one["samples_and_photos"]["kernel_distance"]["low"] <= 0
        assert one["samples_and_photos"]["coverage"] == {"precision": 1, "recall": 1}
        assert one["median_closeness"] == pytest.approx(0, abs=1e-4)
    assert run_app(words) == 0
    assert SHRUNK in " ".join(capsys.readouterr().out.split())


def test_large_samples_are_compared_with_photos_as_they_are(home: Path) -> None:
    spec = view_spec(tiny.tiny())
    photos = sorted((home / "faces" / "train" / "images").rglob("*.jpg"))[:3]
    assert sample_size(photos, spec) is None
    assert sample_size(photos, replace(spec, size=(64, 32))) == (48, 36)
    assert sample_size(photos, replace(spec, crop=(0.5, 1.0))) == (24, 36)
    assert sample_size([], spec) is None


def test_a_run_with_other_folds_is_refused(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tiny.train(home / "faces", tmp_path / "b", *WORDS, "folds.seed=5") == 0
    capsys.readouterr()
    assert run_app(["synth", "page", str(home / "s.csv"), "--run", str(tmp_path / "b")]) == Exit.DATA
    assert "made with other folds" in capsys.readouterr().err


def test_the_page_is_not_written_into_an_input(home: Path) -> None:
    assert page(home, "--generators", str(home / "g"), "-o", str(home / "g" / "x.html")) == Exit.USAGE
    assert not (home / "g" / "x.html").exists()


@pytest.fixture
def moved(home: Path) -> Iterator[Path]:
    """Return where the faces are now; the run and the generators remember another place."""
    yield (home / "faces").rename(home / "moved")
    (home / "moved").rename(home / "faces")


def test_data_that_have_moved_are_named_and_checked(
    home: Path, moved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, other = tmp_path / "s.csv", tmp_path / "other"
    shutil.copytree(moved, other)
    shutil.copytree(home / "g", tmp_path / "g")
    (tmp_path / "g" / "fold0" / "DONE").unlink()
    photo = sorted((other / "train" / "images").rglob("*.jpg"))[0]
    photo.write_bytes(photo.read_bytes() + b" ")
    train = ["synth", "train", str(home / "a"), "--force"]
    lines = (
        [*train, "--kind", "dcgan", "--run", str(tmp_path / "h"), *SMALL, *CLASSES],
        [*train, "--kind", "smote", "--run", str(tmp_path / "b"), *CLASSES[:2]],
        ["synth", "resume", str(tmp_path / "g")],
        ["synth", "sample", str(home / "g"), "-o", str(table), *CLASSES[1:]],
        ["synth", "page", str(home / "s.csv"), "--run", str(home / "a")],
    )
    for words in lines:
        assert run_app(words) == Exit.DATA, words
        assert "say where it is now: --data PATH" in " ".join(capsys.readouterr().err.split()), words
        assert run_app([*words, "--data", str(other)]) in (Exit.DATA, Exit.WEIGHTS), words
        assert photo.name in capsys.readouterr().err, words
        assert run_app([*words, "--data", str(moved)]) == 0, words
    assert table.read_bytes() == (home / "s.csv").read_bytes()
    for made in ("h", "b"):
        assert json.loads((tmp_path / made / "env.json").read_text())["data"] == str(moved)
    assert run_app(["synth", "train", str(moved), "--kind", "dcgan", "--data", str(moved)]) == Exit.USAGE


def test_shown_sheets_are_the_first_the_last_and_some_between() -> None:
    paths = [Path(f"{step}.png") for step in range(100)]
    found = shown_sheets(paths)
    assert len(found) == MOST_SHEETS
    assert (found[0], found[-1]) == (paths[0], paths[-1])
    assert shown_sheets(paths[:5]) == paths[:5]
