"""Pseudo labels come from networks that never saw the people: other folds and known people are named."""

from __future__ import annotations

import pytest

from maskcls.errors import DataError
from maskcls.results.pseudo.leaks import check_same_folds, check_strangers

FOLDS = "f" * 64


def test_runs_of_different_folds_are_named() -> None:
    assert check_same_folds({"runs/a": FOLDS, "runs/b": FOLDS}) == FOLDS
    with pytest.raises(DataError, match="different folds") as caught:
        check_same_folds({"runs/a": FOLDS, "runs/b": "e" * 64})
    assert caught.value.offenders == ("runs/a: " + "f" * 16, "runs/b: " + "e" * 16)


def test_known_photos_and_people_are_named() -> None:
    check_strangers(["a", "b"], ["", "zoe"], known_ids=["c"], known_people=["ann", ""])
    with pytest.raises(DataError, match="people the networks were trained") as caught:
        check_strangers(["a", "b", "c", "d"], ["", "ann", "", "zoe"], known_ids=["c"], known_people=["ann", ""])
    assert caught.value.offenders == ("'b' of 'ann'", "'c' of ''")
