"""Which fold each labelled row is in: those of a run, or those that a training with this configuration would make."""

from __future__ import annotations

import numpy as np
import pandas as pd

from maskcls.data.rows import folds as folding
from maskcls.data.rows.sealing import split_sealed
from maskcls.errors import DataError
from maskcls.groupnouns import PEOPLE, Noun
from maskcls.labels import Ints
from maskcls.schema import Config
from maskcls.schema.group_noun import group_noun

NOWHERE = -3  # a row that the folds do not have
SEALED = -2  # a row of sealed people


def configured_folds(frame: pd.DataFrame, cfg: Config) -> tuple[Ints, str]:
    """Return the fold (N,) int64 of each labelled row, SEALED for sealed people; and why there are none, "" if so.

    Without folds, every row has the fold NOWHERE.
    """
    how, rest = cfg.folds, frame
    try:
        if how.sealed:
            rest = split_sealed(frame, cfg.space, share=how.sealed, seed=how.sealed_seed, stratify=how.stratify)[0]
        table = folding.build(
            rest,
            cfg.space,
            k=how.k,
            holdout=how.holdout,
            seed=how.seed,
            stratify=how.stratify,
            renew=how.renew,
            noun=group_noun(cfg),
        )
    except DataError as error:
        details = "; ".join(part for part in (error.got, *error.offenders) if part)
        return np.full(len(frame), NOWHERE), error.what + (f" ({details})" if details else "")
    return joined_folds(frame, table, missing=SEALED), ""


def joined_folds(frame: pd.DataFrame, table: pd.DataFrame, *, missing: int = NOWHERE) -> Ints:
    """Return the fold (N,) int64 of each row of a manifest by a fold table, joined by id; `missing` for others."""
    fold = dict(zip(table["id"].tolist(), table["fold"].tolist(), strict=True))
    return np.array([fold.get(name, missing) for name in frame["id"].tolist()], dtype=np.int64)


def fold_name(fold: int, noun: Noun = PEOPLE) -> str:
    """Name a fold for people."""
    names = {NOWHERE: "no fold", SEALED: f"the sealed {noun[1]}"}
    names[int(folding.NEVER)] = "the rows that are only for training"
    return names.get(fold, f"fold {fold}")
