"""predict --on: the same tables and the same JSON as in one process, and how photos are divided among jobs."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from job_engines import has_slurm, run_inline
from PIL import Image
from tiny import train

from maskcls.cli import run_app
from maskcls.data.photos.decode_ahead import CHUNK_PHOTOS
from maskcls.results.predicted.plan import PART_PHOTOS, PredictionPlan, shard_count

TABLES = ("-o", "a.csv", "--probabilities", "p.csv")
MADE = ["a.csv", "a.json", "p.csv", "p.json"]


@pytest.fixture(scope="module")
def run(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; tests write nothing into it."""
    run = tmp_path_factory.mktemp("predicting") / "run"
    assert train(drawn, run, "train.epochs=1") == 0
    return run


def predicted(run: Path, photos: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> dict[str, bytes]:
    """Predict in a folder, and return the bytes of all its files."""
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert run_app(["predict", str(run), str(photos), *TABLES, *words]) == 0
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Make 600 small photos of noise: three parts."""
    rng, folder = np.random.default_rng(0), tmp_path / "photos"
    folder.mkdir()
    for number, pixels in enumerate(rng.integers(0, 256, (600, 32, 32, 3), dtype=np.uint8)):
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")
    return folder


def test_the_json_is_that_of_one_process(
    drawn: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """21 photos are one part, so one job of four that are asked for."""
    photos, opened = drawn / "eval" / "images", run_inline(monkeypatch)
    alone = predicted(run, photos, tmp_path / "one", monkeypatch, "--json")
    said = json.loads(capsys.readouterr().out)
    jobs = predicted(run, photos, tmp_path / "jobs", monkeypatch, "--on", "local:4", "--json")
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out) == said
    assert said["tables"][0]["rows"] == 21
    assert [engine.submitted for engine in opened] == [["shard1 1"]]
    assert [len(engine.closed) for engine in opened] == [1]
    assert list(alone) == MADE
    assert jobs == alone


def test_photos_are_divided_into_whole_parts_that_no_call_crosses() -> None:
    """As many shards as are asked for, of which none is without a photo; they differ by at most one part."""
    assert PART_PHOTOS % CHUNK_PHOTOS == 0
    common = {"model": {}, "lineage": {}, "tasks": [], "settings": (), "decide": False, "names_sha256": ""}
    counted = 0
    for photos in (1, 255, 256, 257, 600, 1025, 5000):
        for wanted in (1, 2, 3, 4, 7):
            of = shard_count(photos, wanted)
            plans = [
                PredictionPlan(photos=photos, part_photos=PART_PHOTOS, shard=(i, of), **common)  # type: ignore[arg-type]
                for i in range(1, of + 1)
            ]
            parts = [len(plan.own_parts) for plan in plans]
            assert sum(plan.own_photos for plan in plans) == photos
            assert of == min(wanted, sum(parts))
            assert 1 <= min(parts) <= max(parts) <= min(parts) + 1
            counted += 1
    assert counted == 35


@pytest.mark.slow
@pytest.mark.parametrize(
    ("on", "jobs"),
    [
        pytest.param("local:2", 2, marks=pytest.mark.skipif(find_spec("submitit") is None, reason="needs submitit")),
        pytest.param(
            "slurm:cpus=1,mem=1GB,time=9m,shards=9", 3, marks=pytest.mark.skipif(not has_slurm(), reason="no")
        ),
        pytest.param("ray:cpus=0.5,shards=3", 3, marks=pytest.mark.skipif(find_spec("ray") is None, reason="no ray")),
    ],
)
def test_parts_on_several_engines_have_the_bytes_of_one_process(
    on: str,
    jobs: int,
    run: Path,
    many: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    alone = predicted(run, many, tmp_path / "one", monkeypatch)
    capsys.readouterr()
    assert predicted(run, many, tmp_path / "jobs", monkeypatch, "--on", on) == alone
    assert f"shard {jobs} of {jobs}: done" in " ".join(capsys.readouterr().err.split())
    assert list(alone) == MADE
    assert alone["a.csv"].count(b"\n") == 601
