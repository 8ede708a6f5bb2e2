"""Which networks a run has, where they are, and which of them predict."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from maskcls import config
from maskcls.errors import ResultError
from maskcls.rundir import REFIT, RunDir
from maskcls.runs.networks import PREDICTING, Choice, Kind, predicting, run_networks, weights_hash
from maskcls.schema import PredictConfig

ALL = ["model.heads=separate", "train.seeds=2", "seed=5", "train.refit=true", "train.continue_epochs=1", "folds.k=3"]


def test_their_order_and_folders() -> None:
    cfg, run = config.load(None, ALL)[0], RunDir(Path("run"))
    found = run_networks(cfg, [0, 2])
    assert len(found) == 6 * 2 + 6 * 2 + 6
    assert [one.kind for one in found] == ["scored"] * 12 + ["continued"] * 12 + ["refit"] * 6
    assert [(one.seed, one.task, one.fold) for one in found[:3]] == [(5, "mask", 0), (5, "mask", 2), (5, "gender", 0)]
    assert str(found[0].folder(run).path) == "run/members/mask-seed5/fold0"
    assert str(found[12].folder(run).path) == "run/members/mask-seed5/fold0/continued"
    assert str(found[-1].folder(run).path) == "run/members/age-seed6/refit"
    assert len({one.folder(run).path for one in found}) == len(found)
    assert {one.fold for one in found if one.kind == "refit"} == {REFIT}


def test_one_network_per_fold_has_no_name() -> None:
    found = run_networks(config.load(None, ["seed=4"])[0], [1])
    assert [(one.task, one.seed, one.fold, one.kind, one.name) for one in found] == [("", 4, 1, "scored", "")]
    assert str(found[0].folder(RunDir(Path("run"))).path) == "run/fold1"


@pytest.mark.parametrize(
    ("choice", "kinds"),
    [("folds", {"scored"}), ("continued", {"continued"}), ("refit", {"refit"}), ("all", {"scored", "refit"})],
)
def test_which_of_them_predict(choice: Choice, kinds: set[Kind]) -> None:
    found = run_networks(config.load(None, ALL)[0], [0, 1, 2])
    assert predicting(found, choice) == [one for one in found if one.kind in kinds]
    assert {one.kind for one in predicting(found, choice)} == kinds


def test_a_damaged_file_of_the_hash_is_named(tmp_path: Path) -> None:
    folder = RunDir(tmp_path).fold(0)
    assert weights_hash(folder) == ""
    folder.path.mkdir(parents=True)
    folder.done.write_bytes(b"ab12" * 16 + b"\n")  # of an earlier version
    assert weights_hash(folder) == "ab12" * 16
    folder.done.write_bytes(b"\x80")
    with pytest.raises(ResultError, match="DONE"):
        weights_hash(folder)


def test_every_value_of_the_setting_and_every_kind_is_there() -> None:
    assert (
        set(get_args(Choice)) == PREDICTING.keys() == set(get_args(PredictConfig.model_fields["networks"].annotation))
    )
    assert {kind for kinds in PREDICTING.values() for kind in kinds} == set(get_args(Kind))
