"""What the photos of a table were, in the sidecars of groups and of pseudo labels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from maskcls.errors import DataError
from maskcls.labels import LabelSpace, Task
from maskcls.results.added.added_set import AddedSet
from maskcls.results.people.group_file import read_groups, write_groups
from maskcls.results.photo_contents import PHOTOS, contents_entry
from maskcls.results.pseudo.read_labels import read_pseudo
from maskcls.results.pseudo.write_labels import write_pseudo
from maskcls.rundir import REFIT
from tests.edited import edit_json

SPACE = LabelSpace((Task("hat", ("no", "yes")),))
A, B = bytes(range(16)), bytes([255] * 16)


def of_groups(path: Path) -> Mapping[str, bytes]:
    return read_groups(path, ["b", "a"]).contents


def of_labels(path: Path) -> Mapping[str, bytes]:
    return read_pseudo(path, SPACE, folds_sha256="f", k=1).contents


def written_groups(path: Path) -> Path:
    about = contents_entry({"b": B, "a": A})
    write_groups(path, ["b", "a"], np.array([0, 1]), weights=None, about=about, force=False)
    return path


def written_labels(path: Path) -> Path:
    """Two photos in two sets, and one that was labelled and is in none."""
    ids = np.array(["b", "a"])
    rows = AddedSet(ids, ids, {"hat": np.array([0, 1])}, None, np.ones(2))
    some = AddedSet(ids[:1], ids[:1], {"hat": np.array([0])}, None, np.ones(1))
    contents = {"a": A, "b": B, "left out": bytes(16)}
    write_pseudo(path, {0: some, REFIT: rows}, SPACE, folds_sha256="f", k=1, lineage={}, contents=contents)
    return path


@pytest.mark.parametrize(("write", "read"), [(written_groups, of_groups), (written_labels, of_labels)])
def test_exactly_the_photos_of_the_table_come_back(tmp_path: Path, write: object, read: object) -> None:
    assert callable(write)
    assert callable(read)
    path = write(tmp_path / "t.csv")
    assert json.loads((tmp_path / "t.json").read_text())[PHOTOS] == (A + B).hex()
    assert read(path) == {"a": A, "b": B}
    for wrong in (A.hex(), "no digest", 7):
        edit_json(tmp_path / "t.json", {PHOTOS: wrong})
        with pytest.raises(DataError, match="digests of photos in the sidecar"):
            read(path)
    edit_json(tmp_path / "t.json", {PHOTOS: None})  # as an earlier version, which has no such entry
    assert read(path) == {}
