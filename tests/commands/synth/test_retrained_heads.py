"""Heads fitted again with interpolated examples: a run as any other, without the fold's people, killed anywhere."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from interrupted import ending
from write_boundaries import Disk, killed, watched

from maskcls import config, files
from maskcls.cli import run_app
from maskcls.commands.resume import resume
from maskcls.commands.synth.smote import RetrainedHeads, retrain_heads
from maskcls.data.drawn.faces import make_faces
from maskcls.engine.checkpoint import load_predictor, read_meta
from maskcls.errors import BusyError, DataError, ResultError, UsageError, WeightsError
from maskcls.labels import CONTEST
from maskcls.nn.fitting.fitted_head import head_probabilities
from maskcls.nn.fitting.logistic import STRENGTH, fit_heads
from maskcls.results.comparison.difference import paired_difference
from maskcls.results.predictions import Predictions
from maskcls.results.scores.metrics import confusion, macro_f1
from maskcls.rundir import RunDir, WeightsDir
from maskcls.runs.environment import read_environment, write_environment
from maskcls.runs.generators.synth_checks import settings_of_run
from maskcls.runs.integrity.run_checks import run_checks
from maskcls.schema import Config
from maskcls.show.terminal.progress import Reporter
from maskcls.synth.embedded.frozen_features import fold_features
from maskcls.synth.embedded.retrained_fold import fit_rows, refuse_other_heads
from maskcls.synth.embedded.smote import interpolate
from maskcls.training.stored_experiment import open_experiment

QUIET = Reporter(quiet=True)
WORDS = ("train.epochs=1", "transforms.hflip=0", "transforms.geometry=0", "transforms.colour=0")
SYNTH = {"kind": "smote", "classes": {"age": ["30-59"]}, "per_class": 3, "neighbours": 2, "least_groups": 1}


def _cfg(run: RunDir, **changes: object) -> Config:
    """Return a run's configuration with the settings of interpolation."""
    words = [f"synth.{key}={json.dumps(value)}" for key, value in {**SYNTH, **changes}.items()]
    return settings_of_run(run, words)[0]


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Draw enough people for two of them in a rare joint class of each half."""
    root = tmp_path_factory.mktemp("two-of-a-kind") / "faces"
    make_faces(root, people=24, seed=0, eval_people=3, size=(48, 36))
    return root


@pytest.fixture(scope="module")
def trained(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    run = RunDir(tmp_path_factory.mktemp("heads") / "run")
    assert tiny.train(faces, run.path, *WORDS, "train.refit=true") == 0
    return run


@pytest.fixture(scope="module")
def made(trained: RunDir) -> tuple[RunDir, RetrainedHeads]:
    run = RunDir(trained.path.parent / "smote")
    return run, retrain_heads(trained, run, _cfg(trained), force=False, report=QUIET)


@pytest.fixture(scope="module")
def whole(made: tuple[RunDir, RetrainedHeads]) -> dict[str, Any]:
    """What the run ends with that was not interrupted."""
    return _ending(made[0].path)


def test_it_is_a_run_whose_files_all_are_right(
    trained: RunDir, made: tuple[RunDir, RetrainedHeads], faces: Path, tmp_path: Path
) -> None:
    found, first, run = made[1], _copy(trained, tmp_path / "runs" / "run"), _copy(made[0], tmp_path / "runs" / "smote")
    checks = {check.name: check for check in run_checks(run)}
    assert {name for name, check in checks.items() if check.verdict in ("FAILED", "warning")} == set()
    assert {"heads.json", "fold0/plain_heads.npz", "fold1/balanced_heads.npz", "refit/DONE"} <= set(checks)
    assert len(checks) >= 35
    cfg = config.of_run(run.config)
    assert (cfg.synth.kind, cfg.synth.per_class) == ("smote", 3)
    pooled = found.summary.pooled
    assert pooled is not None
    assert pooled.rows == 168
    for words in (
        ["evaluate", str(run.path)],
        ["predict", str(run.path), "--data", str(faces), "-o", str(tmp_path / "a.csv"), "predict.networks=all"],
        ["runs", "list", str(run.path.parent)],
        ["runs", "compare", str(first.path), str(run.path)],
        ["ensemble", str(first.path), str(run.path), "-o", str(tmp_path / "b.csv"), "--data", str(faces)],
        ["report", str(run.path), "-o", str(tmp_path / "page.html")],
        ["resume", str(run.path)],
    ):
        assert run_app(words) == 0, words


def test_the_heads_and_their_scores_equal_a_fit_by_hand(trained: RunDir, made: tuple[RunDir, RetrainedHeads]) -> None:
    """Fold 1: three examples of each joint class with age 30-59, between two people of other folds, weight 1."""
    run, _ = made
    experiment, _ = open_experiment(trained)
    fold = fold_features(experiment, 1, run=trained, report=QUIET)
    label_N = CONTEST.encode(fold.train.labels)
    counts = {label: 3 for label in range(18) if label % 3 == 1 and (label_N == label).any()}
    assert counts
    some = interpolate(fold.train.feature_nD, label_N, fold.train.person_n, counts=counts, neighbours=2, seed=0, fold=1)
    assert len(some.label_M)
    labels = {
        name: np.concatenate([fold.train.labels[name], one]) for name, one in CONTEST.decode(some.label_M).items()
    }
    every = np.concatenate([fold.train.feature_nD, some.feature_MD])
    mixed = fit_heads(every, labels, np.ones(len(every)), CONTEST, strength=STRENGTH, balanced=False)
    before, after = load_predictor(trained.fold(1).best).network, load_predictor(run.fold(1).best).network
    for name, head in mixed.items():
        np.testing.assert_array_equal(after.heads[name].weight.detach().numpy(), head.weight_CD)
        np.testing.assert_array_equal(after.heads[name].bias.detach().numpy(), head.bias_C)
    for key, tensor in before.trunk.state_dict().items():
        assert torch.equal(tensor, after.trunk.state_dict()[key]), key
    alone = [
        fit_heads(
            fold.train.feature_nD, fold.train.labels, fold.train.weight_n, CONTEST, strength=STRENGTH, balanced=equal
        )
        for equal in (False, True)
    ]
    files_of = run.fold(1)
    for path, heads in zip((files_of.oof, files_of.plain_heads, files_of.balanced_heads), (mixed, *alone), strict=True):
        found = Predictions.load(path)
        assert found.ids.tolist() == fold.valid.ids.tolist()
        np.testing.assert_allclose(found.prob, head_probabilities(heads, fold.valid.feature_nD, CONTEST), atol=1e-4)
    assert np.abs(Predictions.load(files_of.plain_heads).prob - Predictions.load(files_of.oof).prob).max() > 1e-3


def test_nothing_is_asked_of_the_people_a_fold_validates(trained: RunDir, made: tuple[RunDir, RetrainedHeads]) -> None:
    """The heads of a fold stay the same when all labels of its validation people are others."""
    run, _ = made
    experiment, _ = open_experiment(trained)
    valid = experiment.fold == 0
    other = {name: np.where(valid, 0, label_N) for name, label_N in experiment.labels.items()}
    fold = fold_features(experiment, 0, run=trained, report=QUIET)
    cfg = _cfg(trained)
    assert not set(fold.train.person_n) & set(experiment.people[valid])
    changed = {name: label_N[fold.train.row_n] for name, label_N in other.items()}
    fits = fit_rows(type(fold.train)(**{**vars(fold.train), "labels": changed}), cfg, 0)
    saved = load_predictor(run.fold(0).best).network
    for name, head in fits.mixed.items():
        np.testing.assert_array_equal(saved.heads[name].weight.detach().numpy(), head.weight_CD)


def test_the_comparison_is_that_of_the_files(trained: RunDir, made: tuple[RunDir, RetrainedHeads]) -> None:
    run, found = made
    experiment, _ = open_experiment(run)
    oof = Predictions.load(run.oof)
    place = {one: i for i, one in enumerate(experiment.manifest["id"])}
    rows = np.array([place[one] for one in oof.ids])
    truth_N, people_N = CONTEST.encode(experiment.labels)[rows], experiment.people[rows]
    names = {"plain": "plain_heads", "balanced": "balanced_heads", "trained": "oof"}
    assert [one.name for one in found.comparison.others] == list(names)
    assert found.comparison.mixed.macro_f1 == macro_f1(confusion(truth_N, oof.labels(), 18))
    for one in found.comparison.others:
        folder = trained if one.name == "trained" else run
        parts = Predictions.concat([Predictions.load(getattr(folder.fold(k), names[one.name])) for k in (0, 1)])
        label_N = parts.align(oof.ids).labels()
        assert one.macro_f1 == macro_f1(confusion(truth_N, label_N, 18))
        assert one.gain == paired_difference(truth_N, label_N, oof.labels(), people_N, 18)
    assert found.comparison.people == 24
    assert found.summary.pooled is not None
    assert found.summary.pooled.macro_f1 == pytest.approx(found.comparison.mixed.macro_f1)


@pytest.mark.parametrize(
    "change", [{"per_class": 9}, {"neighbours": 1}, {"weight": 50.0}, {"classes": {"mask": ["wear"]}}]
)
def test_every_setting_changes_the_heads(
    trained: RunDir, made: tuple[RunDir, RetrainedHeads], tmp_path: Path, change: dict[str, object]
) -> None:
    run = RunDir(tmp_path / "run")
    retrain_heads(trained, run, _cfg(trained, **change), force=False, report=QUIET)
    assert read_meta(run.fold(0).best).sha256 != read_meta(made[0].fold(0).best).sha256
    plain = [Predictions.load(one.fold(0).plain_heads).prob for one in (run, made[0])]
    np.testing.assert_array_equal(*plain)


def _ending(run: Path) -> dict[str, Any]:
    names = ("config.yaml", "env.json", "heads.json", "fold0/plain_heads.npz", "fold1/balanced_heads.npz")
    return ending(run) | {name: files.file_sha256(run / name) for name in names}


def _killed_and_finished(trained: RunDir, run: RunDir, n: int) -> dict[str, Any]:
    """Die at the n-th change of the folder, and give the command that finishes it."""
    run.path.mkdir()
    assert killed(lambda: retrain_heads(trained, run, _cfg(trained), force=False, report=QUIET), run.path, n)
    if run.env.exists():
        resume(run, folds=None, report=QUIET)
    else:
        retrain_heads(trained, run, _cfg(trained), force=False, report=QUIET)
    return _ending(run.path)


@pytest.fixture(scope="module")
def changes_of_it(trained: RunDir, tmp_path_factory: pytest.TempPathFactory) -> int:
    """The number of changes of the folder that the command makes."""
    run = RunDir(tmp_path_factory.mktemp("counted") / "run")
    run.path.mkdir()
    with watched(Disk(run.path, lambda count: None)) as disk:
        retrain_heads(trained, run, _cfg(trained), force=False, report=QUIET)
    assert disk.count > 100
    return disk.count


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_killed_anywhere_and_resumed_it_ends_with_the_same_bits(
    trained: RunDir, whole: dict[str, Any], changes_of_it: int, tmp_path: Path, share: float
) -> None:
    assert _killed_and_finished(trained, RunDir(tmp_path / "run"), round(share * changes_of_it)) == whole


@pytest.mark.slow
def test_a_hundred_random_kills_end_with_the_same_bits(
    trained: RunDir, whole: dict[str, Any], changes_of_it: int, tmp_path: Path
) -> None:
    for n in np.random.default_rng(0).integers(1, changes_of_it, size=100).tolist():
        assert _killed_and_finished(trained, RunDir(tmp_path / "run"), n) == whole, n
        shutil.rmtree(tmp_path / "run")


def _refused(error: type[Exception], match: str, source: RunDir, run: RunDir, **changes: object) -> None:
    with pytest.raises(error, match=match):
        retrain_heads(source, run, _cfg(source, **changes), force=False, report=QUIET)
    assert not run.env.exists() or match.startswith("the folder holds")


def test_too_few_people_are_refused_unless_forced(trained: RunDir, tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    _refused(DataError, "too few people", trained, run, least_groups=6)
    found = retrain_heads(trained, run, _cfg(trained, least_groups=6), force=True, report=QUIET)
    assert found.summary.pooled is not None


def test_an_existing_run_and_a_run_of_heads_are_refused(
    trained: RunDir, made: tuple[RunDir, RetrainedHeads], tmp_path: Path
) -> None:
    _refused(BusyError, "the folder holds a finished run", trained, made[0])
    _refused(UsageError, "were fitted again already", made[0], RunDir(tmp_path / "run"))


def _copy(run: RunDir, target: Path) -> RunDir:
    shutil.copytree(run.path, target)
    return RunDir(target)


def test_an_unfinished_run_is_refused(trained: RunDir, tmp_path: Path) -> None:
    copy = _copy(trained, tmp_path / "copy")
    copy.fold(1).done.unlink()
    _refused(ResultError, "the run is not finished", copy, RunDir(tmp_path / "run"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("age.head=ordinal",), "ordinal, 2 outputs"),
        (("age.given=gender",), "softmax for each class of gender, 6 outputs"),
        (("loss.all=bce",), "sigmoid, 3 outputs"),
        (("age.head=fine", "age.fine_bins=[20,30,60]"), "softmax, 4 outputs"),
        (("model.heads=separate",), "model.heads=separate"),
    ],
)
def test_other_heads_are_refused_with_the_reason(drawn: Path, words: Sequence[str], said: str) -> None:
    for member in tiny.experiment(drawn, *words).members:
        if member.task in ("", "age"):
            with pytest.raises(UsageError, match="cannot be fitted again") as error:
                refuse_other_heads(member)
            assert said in str(error.value)


@pytest.mark.parametrize("words", [(), ("model.heads=joint",), ("age.spread=3",)])
def test_plain_heads_are_not_refused(drawn: Path, words: Sequence[str]) -> None:
    for member in tiny.experiment(drawn, *words).members:
        refuse_other_heads(member)


def test_a_run_whose_trunks_are_gone_or_others_is_not_resumed(trained: RunDir, tmp_path: Path) -> None:
    source, run = _copy(trained, tmp_path / "source"), RunDir(tmp_path / "run")
    assert killed(lambda: retrain_heads(source, run, _cfg(source), force=False, report=QUIET), run.path, 200)
    assert run.env.exists()
    moved = source.fold(0).best.tensors.rename(tmp_path / "away")
    with pytest.raises(WeightsError, match="is not there"):
        resume(run, folds=None, report=QUIET)
    shutil.copy(source.fold(1).best.tensors, source.fold(0).best.tensors)
    with pytest.raises(WeightsError, match="another one than at the start"):
        resume(run, folds=None, report=QUIET)
    moved.replace(source.fold(0).best.tensors)
    resume(run, folds=None, report=QUIET)
    with pytest.raises(UsageError, match="has the folds of the run"):
        resume(RunDir(_one_fold_less(run, tmp_path)), folds="1", report=QUIET)


def _one_fold_less(run: RunDir, tmp_path: Path) -> Path:
    """Copy a run of heads that was made with fold 0 alone, by its environment."""
    copy = _copy(run, tmp_path / "one")
    copy.summary.unlink()
    environment = read_environment(copy)
    write_environment(copy, environment.with_folds([0]))
    return copy.path


@pytest.mark.slow
def test_joint_heads_seeds_and_a_continued_network_are_fitted_too(drawn: Path, tmp_path: Path) -> None:
    source, run = RunDir(tmp_path / "source"), RunDir(tmp_path / "run")
    words = (*WORDS, "model.heads=joint", "train.seeds=2", "train.continue_epochs=1")
    assert tiny.train(drawn, source.path, *words) == 0
    retrain_heads(source, run, _cfg(source), force=False, report=QUIET)
    assert {check.name for check in run_checks(run) if check.verdict in ("FAILED", "warning")} == set()
    networks = [folder.path.relative_to(run.path).as_posix() for folder in run.all_networks()]
    assert len(networks) == 8
    for network in networks:
        old, new = (load_predictor(WeightsDir(one.path / network / "best", one.path)).network for one in (source, run))
        assert not torch.equal(old.heads["joint"].weight, new.heads["joint"].weight), network
        assert new.heads["joint"].weight.abs().sum() > 0
    a, b = (
        Predictions.load(run.path / name / "plain_heads.npz").prob
        for name in ("members/seed0/fold0", "members/seed1/fold0")
    )
    assert np.abs(a - b).max() > 1e-4


def test_the_verb_prints_scores_and_says_plainly_whether_it_helped(
    trained: RunDir,
    made: tuple[RunDir, RetrainedHeads],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    words = [f"synth.{key}={json.dumps(value)}" for key, value in SYNTH.items() if key != "kind"]
    command = ["synth", "train", str(trained.path), "--kind", "smote", *words]
    assert run_app([*command, "--run", str(tmp_path / "a")]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert read_meta(RunDir(tmp_path / "a").fold(0).best).sha256 == read_meta(made[0].fold(0).best).sha256
    compared = made[1].comparison
    assert f"heads with interpolated examples {compared.mixed.macro_f1:.4f}" in text
    for one in compared.others:
        assert one.gain is not None
        assert f"{one.gain.value:+.4f}" in text
    assert "intervals over 24 people" in text
    assert "No help is shown: the interval of the gain over heads without" in text
    assert f"maskcls predict {tmp_path / 'a'}" in text
    killed = RunDir(tmp_path / "b")  # as a process leaves it that was killed before env.json
    killed.path.mkdir()
    for file in ("lock_file", "config"):
        shutil.copyfile(getattr(RunDir(tmp_path / "a"), file), getattr(killed, file))
    assert run_app([*command, "--run", str(killed.path), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["comparison"]["helped"] is False
    assert answer["comparison"]["mixed"]["macro_f1"] == compared.mixed.macro_f1
    assert answer["summary"]["pooled"]["macro_f1"] == pytest.approx(compared.mixed.macro_f1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--kind", "smote", "--folds", "0"], "--folds"),
        (["--kind", "smote", "--minutes", "3"], "--minutes"),
        (["--kind", "smote", "seed=5"], "the seed is that of the run's networks"),
        (["--kind", "oversample"], "copies of photos need no generator"),
    ],
)
def test_the_verb_refuses_what_has_no_meaning_for_a_kind(
    trained: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    code = run_app(["synth", "train", str(trained.path), "--run", str(tmp_path / "a"), *words])
    assert code == (3 if "seed=5" in words else 2)
    assert said in capsys.readouterr().err


def test_smote_of_a_data_set_is_refused(faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["synth", "train", str(faces), "--kind", "smote", "--run", str(tmp_path / "a"), *tiny.RECIPE]) == 2
    assert "made with the networks of a run" in capsys.readouterr().err
