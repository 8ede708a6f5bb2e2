"""The arms' settings, what is refused before the first training, and equal numbers of optimizer steps."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_samples import write_made_samples
from tiny import experiment, tiny

from maskcls.engine.step_plan import StepPlan
from maskcls.errors import DataError, UsageError
from maskcls.synth.arms.arm_settings import Arm, build_arms, check_arms, with_fraction
from maskcls.synth.arms.equal_steps import EpochSize, at_fraction, equal_fraction, read_sizes

RARE = {"age": (">=60",)}


def test_each_arm_changes_its_settings_alone() -> None:
    cfg = tiny("train.refit=true", "train.continue_epochs=1", "train.patience=1", "sampler.power=0.5")
    nothing, oversample, mix, synth = build_arms(cfg, ["made/gan.csv"], RARE)
    assert [one.name for one in (nothing, oversample, mix, synth)] == ["nothing", "oversample", "mix", "synth-gan"]
    assert [one.is_table for one in (nothing, oversample, mix, synth)] == [False, False, False, True]
    train = nothing.cfg.train
    assert (train.refit, train.continue_epochs, train.patience, train.report) == (False, 0, None, False)
    assert nothing.cfg.model_copy(update={"train": cfg.train}) == cfg
    assert oversample.cfg.sampler.model_dump() == {**cfg.sampler.model_dump(), "draw": "oversample"}
    assert (mix.cfg.mix.kind, mix.cfg.mix.partner_classes) == ("cutmix", RARE)
    assert synth.cfg.data.synth == "made/gan.csv"
    assert synth.samples == Path("made/gan.csv")
    # What is said of an arm on the command line gives its settings.
    for one in (oversample, mix, synth):
        said = tiny("sampler.power=0.5", *one.changed)
        assert (said.sampler, said.mix, said.data) == (one.cfg.sampler, one.cfg.mix, one.cfg.data)
    shorter = with_fraction(oversample, 0.25)
    assert shorter.cfg.sampler.epoch_fraction == 0.25
    assert shorter.changed[-1] == "sampler.epoch_fraction=0.25"
    assert with_fraction(nothing, 1.0) is nothing


@pytest.mark.parametrize(
    ("samples", "words", "fit", "message"),
    [
        ([], (), "training", "no table of samples is named"),
        (["a/x.csv", "b/x.csv"], (), "training", "the same name"),
        (["smote"], (), "training", "no photos to train on"),
        (["smote"], ("data.pseudo=p.csv",), "heads", "not fitted to pseudo labels"),
        (["x.csv"], ("data.synth=y.csv",), "training", "cannot have this setting"),
        (["x.csv"], ("data.leaky=true",), "training", "cannot have this setting"),
        (["x.csv"], ("sampler.draw=oversample",), "training", "of another arm already"),
        (["x.csv"], ("mix.kind=cutmix", "mix.partner_classes={age: ['>=60']}"), "training", "of another arm already"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    samples: list[str], words: tuple[str, ...], fit: str, message: str, drawn: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        check_arms(drawn, tiny(*words), samples, fit)  # type: ignore[arg-type]


def test_several_processes_and_missing_tables_are_refused(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="no such file"):
        check_arms(drawn, tiny(), ["absent.csv"], "training")
    check_arms(drawn, tiny(), ["smote"], "heads")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="one process"):
        check_arms(drawn, tiny(), ["smote"], "heads")


def test_all_arms_of_a_data_set_have_equal_steps(drawn: Path, tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    write_made_samples(path, experiment(drawn), per_set=17)
    cfg = tiny("train.epochs=3", "train.batch_size=8")
    arms = build_arms(cfg, [str(path)], RARE)
    sizes = {arm.name: read_sizes(drawn, arm.cfg) for arm in arms}
    steps = set()
    for arm in arms:
        own = with_fraction(arm, equal_fraction(sizes["nothing"], sizes[arm.name]))
        assert (own.cfg.sampler.epoch_fraction < 1) == (arm.name in ("oversample", "synth-s"))
        planned = [one.steps for one in at_fraction(sizes[arm.name], own.cfg.sampler.epoch_fraction)]
        plan = experiment(drawn, "train.epochs=3", "train.batch_size=8", *own.changed)
        counted = [
            sum(len(StepPlan(plan.rows(plan.kinds[0], k), own.cfg).steps(epoch)) for epoch in range(3))
            for k in range(2)
        ]
        assert counted == planned
        steps.add(tuple(planned))
    assert len(steps) == 1


def test_a_recipe_with_short_epochs_keeps_its_steps() -> None:
    base = [EpochSize(50, 100, 10, 2), EpochSize(55, 110, 10, 2)]
    arm = [EpochSize(62, 125, 10, 2), EpochSize(70, 140, 10, 2)]
    fraction = equal_fraction(base, arm)
    assert [one.steps for one in at_fraction(arm, fraction)] == [one.steps for one in base]


@given(
    rows=st.lists(st.integers(40, 4000), min_size=1, max_size=6),
    more=st.floats(0, 3),
    batch=st.integers(1, 64),
    spread=st.floats(0, 0.004),
)
def test_steps_are_equal_wherever_one_fraction_can_make_them(
    rows: list[int], more: float, batch: int, spread: float
) -> None:
    wanted = [EpochSize(count, count, batch, 1) for count in rows]
    arm = [
        EpochSize(whole, whole, batch, 1)
        for place, count in enumerate(rows)
        for whole in [max(count, round(count * (1 + more + spread * (place % 2))))]
    ]
    fraction = equal_fraction(wanted, arm)
    assert 0 < fraction <= 1
    found = [one.steps for one in at_fraction(arm, fraction)]
    same = [one.steps for one in wanted]
    possible = [
        tried for tried in (j / 2000 for j in range(1, 2001)) if [one.steps for one in at_fraction(arm, tried)] == same
    ]
    assert found == same or not possible


def test_tables_are_named_by_their_file() -> None:
    assert [Arm(one, tiny()).is_table for one in ("smote", "synth-a", "mix")] == [True, True, False]
