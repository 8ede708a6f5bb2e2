"""The files that say what a run is: which they are, and what became of them."""

from __future__ import annotations

from pathlib import Path

from maskcls.rundir import RunDir
from maskcls.runs.identity import (
    changed_files,
    identity_files,
    identity_hashes,
    missing_files,
    optional_files,
    required_files,
)

REQUIRED = ["config.yaml", "labels.json", "manifest.csv", "folds.csv"]
OPTIONAL = [
    *("photos.csv", "pseudo.json", "pseudo.csv", "samples.json", "samples.csv", "looks.npz", "sealed.csv"),
    "heads.json",
]


def written(folder: Path, *names: str) -> RunDir:
    for name in names:
        (folder / name).write_text(name)
    return RunDir(folder)


def test_the_optional_files_count_where_they_exist(tmp_path: Path) -> None:
    run = written(tmp_path, *REQUIRED)
    assert [path.name for path in required_files(run)] == REQUIRED
    assert [path.name for path in optional_files(run)] == OPTIONAL
    assert identity_files(run) == required_files(run)
    written(tmp_path, "photos.csv", "sealed.csv", "looks.npz", "pseudo.csv", "pseudo.json", "summary.json")
    written(tmp_path, "samples.json", "samples.csv", "heads.json")
    assert [path.name for path in identity_files(run)] == REQUIRED + OPTIONAL
    assert list(identity_hashes(run)) == REQUIRED + OPTIONAL


def test_what_is_missing_changed_or_added_is_named(tmp_path: Path) -> None:
    run = written(tmp_path, *REQUIRED, "pseudo.csv")
    hashes = identity_hashes(run)
    assert (missing_files(run, hashes), changed_files(run, hashes)) == ([], [])
    run.manifest.write_text("other")
    assert (missing_files(run, hashes), changed_files(run, hashes)) == ([], ["manifest.csv"])
    run.folds.unlink()
    assert missing_files(run, hashes) == ["folds.csv"]
    assert changed_files(run, hashes) == ["manifest.csv", "folds.csv"]
    run.person_clustering.write_text("added")
    assert changed_files(run, hashes) == ["manifest.csv", "folds.csv", "looks.npz"]
    run.pseudo.unlink()
    assert changed_files(run, hashes) == ["manifest.csv", "folds.csv", "pseudo.csv", "looks.npz"]
