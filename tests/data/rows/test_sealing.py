"""Who is sealed: whole people, stratified, by a seed of their own, whatever the folds and the order of rows are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from maskcls.data.rows import manifest as tables
from maskcls.data.rows.folds import make_folds
from maskcls.data.rows.sealing import split_sealed
from maskcls.errors import DataError
from maskcls.labels import CONTEST


def frame(people: int) -> pd.DataFrame:
    """Three photos a person; every second one is a woman, every fifth is 60 or more."""
    who = np.repeat(np.arange(people), 3)
    labels = {"mask": np.tile(np.arange(3), people), "gender": who % 2}
    values = {"age": np.where(who % 5 == 0, 65, 30)}
    ids = [f"i{n:04d}" for n in range(len(who))]
    return tables.build(ids, ids, CONTEST, person=[f"p{n}" for n in who], labels=labels, values=values)


def test_every_stratum_gives_its_share_and_rows_keep_their_order() -> None:
    whole = frame(200)
    rest, sealed = split_sealed(whole, CONTEST, share=0.1, seed=0)
    assert not set(rest["person"]) & set(sealed["person"])
    assert sorted([*rest["id"], *sealed["id"]]) == whole["id"].tolist()
    assert list(rest["id"]) == sorted(rest["id"])
    assert list(sealed["id"]) == sorted(sealed["id"])
    assert (sealed["person"].nunique(), len(sealed)) == (20, 60)
    first = sealed.drop_duplicates("person")
    assert abs((first["gender"] == 1).sum() - 10) <= 1
    assert abs((first["age"] == 2).sum() - 4) <= 1


def test_the_seed_and_the_names_decide_alone() -> None:
    whole = frame(60)

    def sealed(table: pd.DataFrame, seed: int = 0) -> set[str]:
        return set(split_sealed(table, CONTEST, share=0.2, seed=seed)[1]["person"])

    assert sealed(whole) == sealed(whole.sample(frac=1, random_state=0))
    assert sealed(whole) != sealed(whole, seed=1)
    assert len(sealed(whole)) == 12
    held_out = make_folds(whole["person"].tolist(), np.zeros(len(whole), np.int64), k=1, holdout=0.2, seed=0)
    assert sealed(whole) != set(whole["person"][held_out == 0])


def test_stratify_names_the_tasks() -> None:
    by_age = split_sealed(frame(50), CONTEST, share=0.2, seed=3, stratify=["age"])[1].drop_duplicates("person")
    assert (by_age["age"] == 2).sum() == 2  # 10 of 50 people are 60 or more
    by_none = [
        (split_sealed(frame(50), CONTEST, share=0.2, seed=seed, stratify=[])[1]["age"] == 2).sum() for seed in range(8)
    ]
    assert len(set(by_none)) > 1


def test_one_person_cannot_be_sealed() -> None:
    with pytest.raises(DataError, match="too few people"):
        split_sealed(frame(1), CONTEST, share=0.5, seed=0)
    assert split_sealed(frame(2), CONTEST, share=0.01, seed=0)[1]["person"].nunique() == 1
