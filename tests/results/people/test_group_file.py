"""The file of groups: what is written comes back, and every wrong table is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from maskcls.errors import BusyError, DataError, UsageError
from maskcls.results.people.group_file import read_groups, write_groups
from tests.edited import edit_json


def test_groups_come_back_in_the_order_asked_for(tmp_path: Path) -> None:
    path, ids = tmp_path / "g.csv", ["00123", "1e5", 'a,"b"', "NA"]
    digest = write_groups(
        path, ids, np.array([0, 1, 0, 2]), weights={"wear": 1.0, "normal": 8.5}, about={"n": 4}, force=False
    )
    found = read_groups(path, ["NA", 'a,"b"', "00123", "1e5"])
    assert found.group_N.tolist() == [2, 0, 0, 1]
    assert found.weights == {"wear": 1.0, "normal": 8.5}
    assert found.sha256 == digest
    assert json.loads((tmp_path / "g.json").read_text())["n"] == 4
    with pytest.raises(BusyError):
        write_groups(path, ids, np.array([0, 0, 0, 0]), weights=None, about={}, force=False)
    write_groups(path, ids, np.array([0, 0, 0, 0]), weights=None, about={}, force=True)
    assert read_groups(path, ids).weights is None
    with pytest.raises(UsageError, match="cannot end"):
        write_groups(tmp_path / "g.json", ids, np.zeros(4, np.int64), weights=None, about={}, force=True)


@pytest.mark.parametrize(
    ("worth", "proven"),
    [
        (None, None),
        ({"worth_it": True, "whole": {}}, True),
        ({"worth_it": False, "whole": {}}, False),
        ({"worth_it": True}, None),  # of an earlier version: with groups cut at the folds alone
    ],
)
def test_the_sidecar_says_whether_the_gain_is_proven(tmp_path: Path, worth: object, proven: bool | None) -> None:
    path = tmp_path / "g.csv"
    write_groups(path, ["a", "b"], np.array([0, 0]), weights=None, about={"worth": worth}, force=False)
    found = read_groups(path, ["a", "b"])
    assert (found.proven, found.parts) == (proven, 2)


def test_a_table_made_by_hand_has_no_weights(tmp_path: Path) -> None:
    (tmp_path / "g.csv").write_text("group,id\nann,a\nbob,b\nann,c\n")
    found = read_groups(tmp_path / "g.csv", ["a", "b", "c"])
    assert (found.group_N.tolist(), found.weights) == ([0, 1, 0], None)
    assert (found.proven, found.parts) == (None, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,group\na,1\n", "the ids of two tables differ"),
        ("id,group\na,1\nb,1\nc,2\n", "the ids of two tables differ"),
        ("id,group\na,1\nb,\n", "rows in a file of groups are wrong"),
        ("id,group\na,1\nb,1\na,2\n", "rows in a file of groups are wrong"),
        ("id,person\na,1\nb,1\n", "a file of groups has other columns"),
        ("id,group,more\na,1,\nb,1,\n", "a file of groups has other columns"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "g.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_groups(tmp_path / "g.csv", ["a", "b"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sha256": "0" * 64}, "does not match its sidecar"),
        ({"version": 9}, "sidecar of the groups cannot be read"),
        ({"weights": [1]}, "sidecar of the groups cannot be read"),
    ],
)
def test_a_sidecar_that_does_not_fit_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = tmp_path / "g.csv"
    write_groups(path, ["a", "b"], np.array([0, 0]), weights=None, about={}, force=False)
    edit_json(tmp_path / "g.json", change)
    with pytest.raises(DataError, match=message):
        read_groups(path, ["a", "b"])
