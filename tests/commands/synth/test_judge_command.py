"""maskcls synth judge: trainings of all arms, the verdict with its exit code, what it writes, and continuing."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_samples import write_made_samples
from tiny import experiment, outcome, recipe, tiny

from maskcls import config
from maskcls.cli import run_app
from maskcls.commands.synth import judge as command
from maskcls.results.comparison.difference import Difference
from maskcls.results.comparison.over_seeds import difference_over_seeds
from maskcls.results.synth.verdict import Verdict, arms_verdict
from maskcls.rundir import RunDir
from maskcls.runs.choices.register import read_register
from maskcls.runs.read_labelled import read_out_of_fold

WORDS = ("model.backbone=test_convnext", "train.epochs=1", "train.batch_size=32", "transforms.preset=none")
ARMS = ("nothing", "oversample", "mix", "synth-s")


def start(data: Path, run: Path, *words: str) -> int:
    """Run `maskcls synth judge` with the tiny recipe."""
    return run_app(["synth", "judge", str(data), "--run", str(run), *recipe(*WORDS, *words)])


@pytest.fixture(scope="module")
def samples(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "s.csv"
    write_made_samples(path, experiment(drawn, *WORDS), per_set=3)
    return path


@pytest.fixture(scope="module")
def trained(drawn: Path, samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All arms trained once, with their verdict."""
    run = tmp_path_factory.mktemp("arms") / "arms"
    page = run.parent / "v.html"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "arms_verdict", not_shown)
        assert start(drawn, run, str(samples), "--page", str(page), "--use", str(run.parent / "use.yaml")) == 9
    return run


def printed(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def not_shown(*args: Any, **options: Any) -> Verdict:
    """Return the verdict without a recommendation: what tiny networks happen to give depends on the processor."""
    found = arms_verdict(*args, **options)
    return replace(found, tables=tuple(replace(table, outcome="not shown") for table in found.tables))


def accepted(*args: Any, **options: Any) -> Verdict:
    """Return the verdict with every interval above 0."""
    found = arms_verdict(*args, **options)
    tables = tuple(
        replace(
            table,
            outcome="use",
            gaps=tuple(replace(gap, difference=Difference(0.2, 0.1, 0.3, 0.99, 0.95)) for gap in table.gaps),
        )
        for table in found.tables
    )
    return replace(found, tables=tables)


def test_every_arm_is_a_run_per_seed_and_the_verdict_is_theirs(trained: Path, samples: Path) -> None:
    runs = {f"{arm}-seed{seed}" for arm in ARMS for seed in (0, 1)}
    assert {path.name for path in trained.iterdir() if path.is_dir()} == runs
    found = json.loads((trained / "verdict.json").read_text())
    assert [one["name"] for one in found["arms"]] == list(ARMS)
    assert len({one["steps"] for one in found["arms"]}) == 1
    assert (found["recommended"], found["screening"], found["tables_tried"]) == (None, False, 1)
    rows = {arm: [read_out_of_fold(RunDir(trained / f"{arm}-seed{seed}")) for seed in (0, 1)] for arm in ARMS}
    first = rows["nothing"][0]
    assert first.people_N is not None
    truth_N = first.space.encode(first.truth)
    for gap in found["tables"][0]["gains"]:
        assert all(one.ids == first.ids for one in rows[gap["over"]])
        expected = difference_over_seeds(
            truth_N,
            [one.pred_N for one in rows[gap["over"]]],
            [one.pred_N for one in rows["synth-s"]],
            first.people_N,
            first.space.size,
        )
        assert (gap["value"], gap["low"], gap["high"]) == pytest.approx((expected.value, expected.low, expected.high))
    own = config.of_run(RunDir(trained / "synth-s-seed1").config)
    assert (own.seed, own.data.synth) == (1, str(samples))
    assert 0 < own.sampler.epoch_fraction < 1
    mixed = config.of_run(RunDir(trained / "mix-seed0").config)
    assert mixed.mix.partner_classes == {task: tuple(names) for task, names in found["rare"].items()}


def test_a_no_writes_no_configuration_but_a_page(trained: Path) -> None:
    assert not (trained.parent / "use.yaml").exists()
    page = (trained.parent / "v.html").read_text()
    for text in ("Do the samples help?", "synth-s", "recommended: no samples", "steps of a seed"):
        assert text in page
    assert page.count("data:image/jpeg") == 9  # three samples of two folds and of all rows


def test_trainings_tables_and_comparisons_are_registered(trained: Path) -> None:
    found = read_register(RunDir(trained / "nothing-seed0")).attempts
    assert [one.kind for one in found].count("run") == 8
    assert [one.kind for one in found].count("samples") == 1
    compared = [one for one in found if one.kind == "comparison"]
    assert [one.name for one in compared] == [f"{arm}-seed0 synth-s-seed0" for arm in ARMS[:3]]
    assert all(one.p is not None for one in compared)


def test_given_again_it_trains_nothing_and_a_use_writes_the_configuration(
    trained: Path,
    drawn: Path,
    samples: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = shutil.copytree(trained, tmp_path / "arms")
    before = {path.name: outcome(path) for path in run.iterdir() if path.is_dir()}
    monkeypatch.setattr(command, "arms_verdict", accepted)
    use = tmp_path / "use.yaml"
    assert start(drawn, run, str(samples), "--use", str(use), "--json") == 0
    found = printed(capsys)
    assert (found["recommended"], found["written"]) == ("synth-s", str(use))
    assert {path.name: outcome(path) for path in run.iterdir() if path.is_dir()} == before
    cfg, _ = config.load([use], [])
    assert cfg == tiny(*WORDS, f"data.synth={samples}")  # the recipe itself: no epoch is cut short
    assert start(drawn, run, str(samples), "--use", str(use)) == 7  # it exists
    assert start(drawn, run, str(samples), "--use", str(use), "--force") == 0
    assert f"recommended: synth-s, data.synth={samples}" in capsys.readouterr().out.replace("\n", " ")


def test_other_settings_and_other_samples_of_the_same_name_are_refused(
    trained: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], samples: Path
) -> None:
    assert start(drawn, trained, str(samples), "optim.lr=1e-5") == 7
    assert "trainings with other settings" in capsys.readouterr().err
    other = tmp_path / "s.csv"
    write_made_samples(other, experiment(drawn, *WORDS), per_set=2)
    assert start(drawn, trained, str(other)) == 7
    assert "trainings with other samples" in capsys.readouterr().err


@pytest.mark.slow
def test_an_interrupted_training_is_continued(
    trained: Path, drawn: Path, samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, done = command.read_out_of_fold, []

    def interrupted(run: RunDir) -> Any:
        done.append(run.path.name)
        if len(done) == 3:
            raise KeyboardInterrupt
        return real(run)

    monkeypatch.setattr(command, "arms_verdict", not_shown)
    monkeypatch.setattr(command, "read_out_of_fold", interrupted)
    assert start(drawn, tmp_path / "arms", str(samples)) == 130
    monkeypatch.setattr(command, "read_out_of_fold", real)
    (tmp_path / "arms" / "mix-seed0" / "summary.json").unlink()  # as if killed before it was finished
    assert start(drawn, tmp_path / "arms", str(samples)) == 9
    for path in sorted(path for path in trained.iterdir() if path.is_dir()):
        assert outcome(tmp_path / "arms" / path.name) == outcome(path), path.name


def test_heads_are_a_screening_that_trains_nothing(
    drawn: Path,
    samples: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command, "arms_verdict", not_shown)
    run = tmp_path / "arms"
    words = (str(samples), "smote", "--fit", "heads", "synth.per_class=4")
    assert start(drawn, run, *words, "--json") == 9
    found = printed(capsys)
    assert [one["name"] for one in found["arms"]] == [*ARMS, "smote"]
    assert (found["screening"], found["tables_tried"], found["level"]) == (True, 2, pytest.approx(0.975))
    assert not [path for path in run.iterdir() if path.is_dir()]
    first = (run / "verdict.json").read_bytes()
    assert start(drawn, run, *words) == 9
    assert "screening: heads on frozen features" in capsys.readouterr().out
    again = json.loads((run / "verdict.json").read_bytes())
    for one in (again, before := json.loads(first)):
        for arm in one["arms"]:
            arm.pop("minutes")
    assert again == before
    kinds = [one.kind for one in read_register(RunDir(run / "heads")).attempts]
    assert (kinds.count("samples"), kinds.count("comparison")) == (2, 6)
    # A third table on the same rows widens the intervals of all that follow.
    third = tmp_path / "t.csv"
    write_made_samples(third, experiment(drawn, *WORDS), per_set=2)
    assert start(drawn, run, str(third), "--fit", "heads", "--json") == 9
    assert printed(capsys)["tables_tried"] == 3


def test_rare_classes_are_those_of_the_configuration_or_the_rarest(drawn: Path) -> None:
    given = experiment(drawn, "synth.classes={mask: ['normal']}")
    assert command.rare_classes(given) == {"mask": ("normal",)}
    assert command.rare_joint(given.cfg.space, {"age": (">=60",)}).tolist() == [
        labels % 3 == 2 for labels in np.arange(18)
    ]
    rarest = command.rare_classes(experiment(drawn))
    assert len(rarest) == 1


@pytest.mark.parametrize("words", [("--fit", "guess"), (), ("--seeds", "1")])
def test_a_wrong_command_line_is_refused(words: tuple[str, ...], drawn: Path, samples: Path, tmp_path: Path) -> None:
    table = [] if not words else [str(samples)]
    assert start(drawn, tmp_path / "arms", *table, *words) == 2
    assert not (tmp_path / "arms").exists()
