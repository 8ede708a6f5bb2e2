"""Which files identify a run. Their hashes are in env.json; a run whose identity changed is not continued."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from maskcls import files
from maskcls.rundir import RunDir


def required_files(run: RunDir) -> tuple[Path, ...]:
    """Return the files of the identity that every run has."""
    return run.config, run.labels, run.manifest, run.folds


def optional_files(run: RunDir) -> tuple[Path, ...]:
    """Return the files of the identity that some runs have.

    Pseudo labels, samples, photo-similarity model, sealed people, origin of retrained heads; digests of the photos:
    runs of earlier versions have none.
    """
    added = run.pseudo_origin, run.pseudo, run.samples_origin, run.samples
    return run.photos, *added, run.person_clustering, run.sealed, run.heads_origin


def identity_files(run: RunDir) -> tuple[Path, ...]:
    """Return the files of the run's identity, in the order they are written; optional ones only if they exist."""
    return *required_files(run), *(path for path in optional_files(run) if path.exists())


def result_files(run: RunDir) -> tuple[Path, ...]:
    """Return the files by which a finished run is known: its identity, env.json, out-of-fold rows and summary."""
    return *identity_files(run), run.env, run.oof, run.summary


def input_files(path: Path) -> list[Path]:
    """Return what a command reads that is given a path: of a run its own files, else the path itself.

    A run's own files are those of its networks and results. Pages and exported files in its folder are not, nor what
    another command was told to write there.
    """
    run = RunDir(path)
    if not run.env.is_file():
        return [path]
    return [*result_files(run), run.decision, run.notes, run.times, run.unsealed, *run.own_folders()]


def files_read(*given: Path | None) -> list[Path]:
    """Return `input_files` of several paths; None: not given."""
    return [file for path in given if path is not None for file in input_files(path)]


def named_path(word: str) -> Path:
    """Return the path that a word for `predict` names: of `@list`, that of the list."""
    return Path(word.removeprefix("@"))


def identity_hashes(run: RunDir) -> dict[str, str]:
    """Return the sha256 of every file of the identity, by name."""
    return {path.name: files.file_sha256(path) for path in identity_files(run)}


def missing_files(run: RunDir, hashes: Mapping[str, str]) -> list[str]:
    """Return the names in these hashes of which the run has no file."""
    return [name for name in hashes if not (run.path / name).is_file()]


def changed_files(run: RunDir, hashes: Mapping[str, str]) -> list[str]:
    """Return the names of identity files that are missing, were changed, or were added since these hashes."""
    now = {path.name: path for path in identity_files(run)}
    paths = {name: run.path / name for name in hashes} | now
    return [name for name, path in paths.items() if not path.is_file() or hashes.get(name) != files.file_sha256(path)]
