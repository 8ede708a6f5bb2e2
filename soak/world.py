"""The small inputs of all parts: drawn faces, two finished runs, and one file of every kind a command writes."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from maskcls.cli import run_app
from soak import forks
from tests.tiny import recipe

SURE = ("--min-confidence", "0.01", "--agree", "0.5")  # networks of two epochs are sure of nothing
LIMIT_S = 300


def network(*settings: str) -> list[str]:
    """Return the settings of a small network, with these in place of its own."""
    return recipe("model.backbone=test_convnext", *settings)


def call(folder: Path, words: list[str]) -> Callable[[], int]:
    """Return a function that runs one command line in a folder, with the cache of photos inside it."""

    def called() -> int:
        os.chdir(folder)
        os.environ["MASKCLS_CACHE"] = str(folder / "cache")
        return run_app(words)

    return called


def must(folder: Path, *words: str) -> None:
    """Run a command line in a child; RuntimeError unless it ends with 0."""
    ended = forks.run(call(folder, list(words)), limit_s=LIMIT_S)
    if ended.code:
        raise RuntimeError(f"the soak cannot begin: maskcls {' '.join(words)} ended with {ended.code}\n{ended.text}")


def make_faces(folder: Path) -> None:
    """Draw the photos, more of them to predict, and a table of the train photos."""
    must(folder, "data", "make", "faces", "--people", "8", "--eval-people", "2")
    must(folder, "data", "make", "more", "--people", "1", "--eval-people", "6", "--seed", "5")
    write_table(folder)


def write_table(folder: Path) -> None:
    """Write table.csv with path, group and the three tasks of the drawn photos."""
    with (folder / "faces" / "train" / "train.csv").open(newline="") as handle:
        profiles = list(csv.DictReader(handle))
    rows = []
    for one in profiles:
        for photo in sorted((folder / "faces" / "train" / "images" / one["path"]).iterdir()):
            mask = {"m": "wear", "i": "incorrect", "n": "normal"}[photo.name[0]]
            path = photo.relative_to(folder).as_posix()
            rows.append((path, one["id"], mask, one["gender"], one["age"]))
    text = "".join(",".join(map(str, row)) + "\n" for row in [("path", "group", "mask", "gender", "age"), *rows])
    (folder / "table.csv").write_text(text)


def make_world(folder: Path) -> Path:
    """Write all inputs below a folder and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    make_faces(folder)
    for name, seed in (("a", 0), ("b", 1)):
        must(folder, "train", "faces", "--run", f"runs/{name}", *network(f"seed={seed}"))
    must(folder, "predict", "runs/a", "--data", "faces", "-o", "submission.csv")
    must(folder, "predict", "runs/a", "faces/eval/images", "-o", "photos.csv", "--probabilities", "photos_p.csv")
    must(folder, "ensemble", "runs/a", "runs/b", "--data", "faces", "-o", "ensemble.csv")
    must(folder, "group", "faces", "-o", "groups.csv")
    must(folder, "pseudo-label", "runs/a", "--data", "faces", "-o", "pseudo.csv", *SURE)
    must(folder, "calibrate", "runs/a")
    profiles = (folder / "faces" / "train" / "train.csv").read_text().splitlines()
    path, gender = profiles[1].split(",")[-1], profiles[1].split(",")[1]
    other = {"male": "female", "female": "male"}[gender]
    fixes = f"path,field,value\n{path},gender,{other}\n{path},age,33\n{path},swap,mask1 normal\n"
    (folder / "fixes.csv").write_text(fixes)
    _write_by_hand(folder)
    return folder


def _write_by_hand(folder: Path) -> None:
    """Write tables without sidecars: with one, every change is refused before a cell is read."""
    shutil.copy(folder / "groups.csv", folder / "groups_by_hand.csv")
    header, *rows = (folder / "pseudo.csv").read_text().splitlines(keepends=True)
    place = header.split(",").index("set")
    chosen = [row for row in rows if row.split(",")[place] == "all"]
    (folder / "pseudo_by_hand.csv").write_text("".join([header, *chosen]))


def copied(world: Path, target: Path) -> Path:
    """Return a copy whose files are hard links: the program replaces files, it does not change them. Locks are copied.

    A copy of the same name is removed first.
    """
    shutil.rmtree(target, ignore_errors=True)

    def link(source: str, place: str) -> None:
        (shutil.copyfile if source.endswith(".lock") else os.link)(source, place)

    shutil.copytree(world, target, copy_function=link)
    return target
