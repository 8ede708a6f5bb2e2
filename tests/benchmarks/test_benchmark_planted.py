"""benchmarks/planted.py: which photos are taken out of a fold, and what its arms train on."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from project import BENCHMARKS_DIR

from maskcls import config
from maskcls.data.drawn.faces import make_faces
from maskcls.rundir import RunDir
from maskcls.synth.embedded.frozen_features import open_extractor
from maskcls.synth.loop.synth_rows import of_classes
from maskcls.training.experiment import read_experiment

RARE = {"age": (">=60",)}
WORDS = [
    *("model.backbone=test_resnet", "transforms.size=[32,24]", "folds.k=2", "mix.prob=0.5", "synth.weight=3"),
    *("device.type=cpu", "device.threads=1", "data.cache=off", "synth.classes={age: ['>=60']}"),
]


@pytest.fixture(scope="module")
def planted() -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(BENCHMARKS_DIR / "planted.py")))


def test_a_share_of_the_rare_people_is_taken_out_with_all_their_photos(planted: SimpleNamespace) -> None:
    people_N = np.repeat(np.arange(40), 3)
    rare_N = people_N < 20
    drawn = [planted.held_out(people_N, rare_N, 0.9, (seed, 0)) for seed in (0, 0, 1)]
    assert (drawn[0] == drawn[1]).all()
    assert (drawn[0] != drawn[2]).any()
    for out_N in drawn:
        assert out_N.sum() == 18 * 3
        assert not out_N[~rare_N].any()
        assert len(np.unique(people_N[out_N])) == 18


def test_an_arm_trains_on_those_who_are_left_and_on_its_samples(planted: SimpleNamespace, tmp_path: Path) -> None:
    make_faces(tmp_path / "faces", people=60, seed=0, eval_people=1)
    cfg, _ = config.load(None, WORDS)
    experiment = planted.with_folds(read_experiment(cfg, tmp_path / "faces", RunDir(tmp_path / "none")), 3)
    assert set(experiment.fold.tolist()) == {0, 1}
    rare_N, valid_N = of_classes(experiment.labels, RARE, cfg.space), experiment.fold == 0
    out_N = planted.held_out(experiment.people, rare_N & ~valid_N, 0.5, (0, 0))
    assert out_N.any()
    assert not out_N[valid_N].any()
    left = planted.without(experiment, out_N)
    assert not set(left.manifest["person"]) & set(experiment.manifest["person"][out_N])
    assert left.folds["id"].tolist() == left.manifest["id"].tolist()
    assert (left.fold == experiment.fold[~out_N]).all()
    feature_ND = np.random.default_rng(0).normal(size=(len(out_N), 4)).astype(np.float32)
    rows, arms = planted.fold_arms(
        experiment, feature_ND, out_N, open_extractor(experiment, experiment.kinds[0], 0, run=None), (0, 0)
    )
    assert (rows.fold_N == left.fold).all()
    assert (rows.feature_ND == feature_ND[~out_N]).all()
    assert list(arms) == ["nothing", "oversample", "mix", "good", "collapsed"]
    good, collapsed = (arms[name](0, left.fold != 0) for name in ("good", "collapsed"))
    assert (good.feature_MD == feature_ND[out_N]).all()
    assert (good.weight_M == 3).all()
    assert (good.labels["age"] == 2).all()
    assert (good.labels["mask"] == experiment.labels["mask"][out_N]).all()
    assert len(collapsed.feature_MD) == out_N.sum()
    assert len(np.unique(collapsed.labels["mask"])) == 1
