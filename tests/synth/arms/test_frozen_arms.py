"""What arms add to frozen features: mixed photos with the training's partners, samples of the fold's own set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_samples import write_made_samples
from tiny import experiment, tiny

from maskcls.rundir import RunDir
from maskcls.show.terminal.progress import Reporter
from maskcls.synth.arms.arm_settings import build_arms
from maskcls.synth.arms.frozen_arms import mixing_arm, read_features, screen_arms
from maskcls.synth.embedded.frozen_features import file_features, open_extractor
from maskcls.training.experiment import read_experiment

WORDS = ("model.backbone=test_convnext", "mix.prob=0.5", "transforms.preset=medium")
RARE = {"age": ("<30",)}
QUIET = Reporter(quiet=True)


def test_mixed_photos_have_partners_of_the_rare_classes_and_count_with_both_labels(drawn: Path) -> None:
    plan = experiment(drawn, *WORDS)
    arm = next(one for one in build_arms(plan.cfg, [], RARE) if one.name == "mix")
    extractor = open_extractor(plan, plan.kinds[0], 0, run=None)
    adding = mixing_arm(plan, arm.cfg, extractor, QUIET)
    train_N = plan.fold != 0
    added = adding(0, train_N)
    assert added is not None
    assert added.own_N is not None
    assert (added.own_N == 0.5).all()
    mixed = len(added.weight_M) // 2
    assert 0.25 * train_N.sum() < mixed < 0.75 * train_N.sum()
    assert added.weight_M[:mixed] + added.weight_M[mixed:] == pytest.approx(np.ones(mixed))
    assert (added.feature_MD[:mixed] == added.feature_MD[mixed:]).all()
    young = plan.cfg.space.task("age").classes.index("<30")
    assert (added.labels["age"][mixed:] == young).all()
    assert (added.labels["age"][:mixed] != young).any()
    # A photo that keeps all its pixels has the feature of the photo itself; others have not.
    rows = read_features(plan, extractor, QUIET)
    same = [bool(np.isclose(rows.feature_ND[train_N], one, atol=1e-5).all(axis=1).any()) for one in added.feature_MD]
    assert not all(same)
    again = mixing_arm(plan, arm.cfg, extractor, QUIET)(0, train_N)
    assert again is not None
    assert (again.feature_MD == added.feature_MD).all()


def test_each_fold_gets_the_samples_of_its_own_set(drawn: Path, tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    sets = write_made_samples(path, experiment(drawn, *WORDS), per_set=4, weight=0.5)
    cfg = tiny(*WORDS)
    arms = build_arms(cfg, [str(path)], RARE)
    from maskcls.synth.arms.frozen_arms import _sampling

    plan = read_experiment(cfg, drawn, RunDir(Path("never-written")))
    extractor = open_extractor(plan, plan.kinds[0], 0, run=None)
    adding = _sampling(arms[-1].cfg, drawn, extractor, QUIET)
    whole = [adding(k, plan.fold != k) for k in range(2)]
    for k, added in enumerate(whole):
        assert added is not None
        assert added.own_N is None
        assert added.weight_M == pytest.approx(np.full(4, 0.5))
        assert {name: sorted(one) for name, one in added.labels.items()} == {
            name: sorted(one) for name, one in sets[k].labels.items()
        }
    assert whole[0] is not None
    assert whole[1] is not None
    assert (whole[0].feature_MD != whole[1].feature_MD).any()
    paths = [tmp_path / one for one in sets[0].paths.tolist()]
    direct = file_features(extractor, paths, QUIET, cropped=True)
    near = [np.abs(direct - one).max(axis=1).min() for one in whole[0].feature_MD]
    assert len(near) == 4
    assert max(near) < 1e-4


def test_all_arms_are_screened_on_the_same_rows(drawn: Path) -> None:
    cfg = tiny(*WORDS, "synth.per_class=3")
    arms = build_arms(cfg, ["smote"], RARE)
    found = screen_arms(drawn, arms, RARE, seeds=[0, 1], report=QUIET)
    assert list(found.labels) == ["nothing", "oversample", "mix", "smote"]
    assert found.seconds.keys() == found.labels.keys()
    rows = len(found.experiment.manifest)
    for several in found.labels.values():
        assert [len(one) for one in several] == [rows, rows]
    nothing = found.labels["nothing"]
    assert any((found.labels[name][0] != nothing[0]).any() for name in ("oversample", "mix", "smote"))
