"""The verdict on samples: differences by hand and by scikit-learn, the rules, planted effects, and false alarms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from maskcls.labels import Ints
from maskcls.results.comparison.difference import Difference
from maskcls.results.comparison.over_seeds import SeedSpread, difference_over_seeds, spread_over_seeds
from maskcls.results.scores.person_counts import count_people
from maskcls.results.synth.verdict import ArmRows, arms_verdict, outcome_of

CLASSES, PEOPLE, PHOTOS = 4, 60, 3
RARE = np.array([False, False, True, True])
OTHERS = ("nothing", "oversample", "mix")


def drawn(seed: int, *, gain: float = 0.0, arms: tuple[str, ...] = (*OTHERS, "synth")) -> tuple[Ints, ArmRows, Ints]:
    """Draw people who are easy or hard for every arm; arms named synth are right more often by `gain` logits."""
    rng = np.random.default_rng(seed)
    truth_N = np.repeat(rng.choice(CLASSES, PEOPLE, p=[0.4, 0.3, 0.2, 0.1]), PHOTOS)
    ease_N = np.repeat(rng.normal(size=PEOPLE), PHOTOS)

    def predicted(more: float) -> Ints:
        right_N = rng.random(len(truth_N)) < 1 / (1 + np.exp(-(0.8 + ease_N + more)))
        return np.where(right_N, truth_N, (truth_N + rng.integers(1, CLASSES, len(truth_N))) % CLASSES)

    rows = {name: [predicted(gain if name.startswith("synth") else 0.0) for _ in range(2)] for name in arms}
    return truth_N, rows, np.repeat(np.arange(PEOPLE), PHOTOS)


def f1(truth_N: Ints, label_N: Ints) -> np.ndarray:
    """Return the F1 of every class, by scikit-learn."""
    return np.asarray(f1_score(truth_N, label_N, labels=range(CLASSES), average=None))


def test_every_number_is_scikit_learns() -> None:
    truth_N, rows, people_N = drawn(0, gain=0.5)
    found = arms_verdict(truth_N, rows, ["synth"], people_N, RARE)
    (table,) = found.tables
    assert [one.name for one in found.arms] == list(rows)
    for one in found.arms:
        expected = [f1(truth_N, label_N).mean() for label_N in rows[one.name]]
        assert one.seeds == pytest.approx(expected)
        assert (one.mean, one.deviation) == pytest.approx((np.mean(expected), np.std(expected, ddof=1)))
    assert [gap.other for gap in table.gaps] == list(OTHERS)
    for gap in table.gaps:
        change_SC = np.stack([f1(truth_N, rows["synth"][s]) - f1(truth_N, rows[gap.other][s]) for s in range(2)])
        assert gap.seeds == pytest.approx(change_SC.mean(axis=1))
        assert gap.difference.value == pytest.approx(change_SC.mean())
        assert gap.rare is not None and gap.others is not None
        assert gap.rare.value == pytest.approx(change_SC[:, RARE].mean())
        assert gap.others.value == pytest.approx(change_SC[:, ~RARE].mean())
        assert [one.difference.value for one in gap.classes] == pytest.approx(change_SC.mean(axis=0))
        assert [one.rows for one in gap.classes] == np.bincount(truth_N).tolist()
        assert [one.people for one in gap.classes] == (np.bincount(truth_N) // PHOTOS).tolist()
        assert gap.difference == difference_over_seeds(truth_N, rows[gap.other], rows["synth"], people_N, CLASSES)


def difference(low: float, high: float) -> Difference:
    return Difference((low + high) / 2, low, high, 0.5, 0.95)


@pytest.mark.parametrize(
    ("ends", "outcome"),
    [
        ([(0.01, 0.03), (0.001, 0.05)], "use"),
        ([(0.01, 0.03), (0.0, 0.05)], "not shown"),  # an end at 0 is not above it
        ([(0.01, 0.03), (-0.01, 0.05)], "not shown"),
        ([(0.01, 0.03), (-0.03, 0.0)], "no"),
        ([(-0.05, -0.01), (-0.01, 0.05)], "no"),
        ([(0.0, 0.0)], "no"),  # the same answers
    ],
)
def test_samples_are_used_only_above_zero_against_every_arm(ends: list[tuple[float, float]], outcome: str) -> None:
    assert outcome_of([difference(*pair) for pair in ends]) == outcome


def test_the_hardest_arm_decides() -> None:
    truth_N, rows, people_N = drawn(1, gain=3.0)
    assert arms_verdict(truth_N, rows, ["synth"], people_N, RARE).tables[0].outcome == "use"
    rows = {**rows, "mix": rows["synth"]}
    (table,) = arms_verdict(truth_N, rows, ["synth"], people_N, RARE).tables
    assert (table.outcome, table.least.other, table.least.difference.value) == ("no", "mix", 0.0)
    (harmful,) = arms_verdict(truth_N, {**rows, "synth": rows["nothing"]}, ["synth"], people_N, RARE).tables
    assert harmful.outcome == "no"
    assert harmful.least.other == "mix"


def test_several_tables_widen_every_interval_and_the_best_one_is_recommended() -> None:
    arms = (*OTHERS, "synth-a", "synth-b")
    truth_N, rows, people_N = drawn(2, gain=3.0, arms=arms)
    tables = ["synth-a", "synth-b"]
    alone = {
        name: arms_verdict(truth_N, {one: rows[one] for one in (*OTHERS, name)}, [name], people_N, RARE)
        for name in tables
    }
    both = arms_verdict(truth_N, rows, tables, people_N, RARE)
    assert (both.level, both.tried) == (pytest.approx(0.975), 2)
    for table in both.tables:
        assert [gap.other for gap in table.gaps] == list(OTHERS)  # tables are not compared with each other
        for wide, narrow in zip(table.gaps, alone[table.arm].tables[0].gaps, strict=True):
            assert wide.difference.low < narrow.difference.low
            assert wide.findable > narrow.findable
    assert both.best is max(both.tables, key=lambda one: one.least.difference.low)
    earlier = arms_verdict(truth_N, rows, tables, people_N, RARE, tried=10)
    assert earlier.level == pytest.approx(0.995)


def test_the_order_of_rows_and_arms_does_not_matter() -> None:
    truth_N, rows, people_N = drawn(3, gain=1.0)
    order = np.random.default_rng(0).permutation(len(truth_N))
    turned = {name: [one[order] for one in rows[name]] for name in reversed(rows)}
    (one,) = arms_verdict(truth_N, rows, ["synth"], people_N, RARE).tables
    (other,) = arms_verdict(truth_N[order], turned, ["synth"], people_N[order], RARE).tables
    assert {gap.other: gap.difference.low for gap in other.gaps} == pytest.approx(
        {gap.other: gap.difference.low for gap in one.gaps}
    )


def test_rows_without_a_label_and_classes_without_a_row_do_not_count() -> None:
    truth_N, rows, people_N = drawn(4)
    hidden_N = np.where(truth_N == 3, -1, truth_N)
    (table,) = arms_verdict(hidden_N, rows, ["synth"], people_N, RARE).tables
    assert [one.joint for one in table.gaps[0].classes] == [0, 1, 2]
    (table,) = arms_verdict(hidden_N, rows, ["synth"], people_N, np.arange(CLASSES) == 3).tables
    assert table.gaps[0].rare is None


def test_what_cannot_be_compared_is_refused() -> None:
    truth_N, rows, people_N = drawn(5)
    with pytest.raises(ValueError, match="nothing to compare"):
        arms_verdict(truth_N, rows, [], people_N, RARE)
    with pytest.raises(ValueError, match="nothing to compare"):
        arms_verdict(truth_N, {"synth": rows["synth"]}, ["synth"], people_N, RARE)
    with pytest.raises(ValueError, match="unequal seeds"):
        arms_verdict(truth_N, {**rows, "mix": rows["mix"][:1]}, ["synth"], people_N, RARE)


def test_the_findable_gain_is_found_four_times_in_five() -> None:
    spread = SeedSpread(0.0, (0.0, 0.0), variance=0.0004, freedom=12.0)
    assert spread.findable() == pytest.approx(0.02 * (stats.t.ppf(0.975, 12) + stats.t.ppf(0.8, 12)), abs=1e-6)
    drawn_D = spread.findable() + 0.02 * np.random.default_rng(0).standard_t(12, 20_000)
    assert (drawn_D - stats.t.ppf(0.975, 12) * 0.02 > 0).mean() == pytest.approx(0.8, abs=0.01)
    assert SeedSpread(0.0, (0.0,), np.inf, 1.0).findable() == 1.0


def shown(truth_N: Ints, rows: ArmRows, people_N: Ints, table: str, *, level: float) -> bool:
    """Return whether the gain over the first arm alone is above 0, which is easier than that over all."""
    counts = {
        name: [count_people(truth_N, one, people_N, CLASSES) for one in rows[name]] for name in ("nothing", table)
    }
    spread = spread_over_seeds(list(zip(counts["nothing"], counts[table], strict=True)))
    return spread.difference(level).above_zero > 1 - (1 - level) / 2


def test_samples_without_an_effect_are_rarely_used() -> None:
    # Even against one arm alone the error is at most its nominal 2.5 %; against all arms it is lower.
    found = [shown(*drawn(seed, arms=("nothing", "synth")), "synth", level=0.95) for seed in range(1500)]
    assert np.mean(found) <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / 1500)


def test_of_several_tables_without_an_effect_one_is_rarely_used() -> None:
    names = ("synth-a", "synth-b", "synth-c", "synth-d")
    any_shown = 0
    for seed in range(400):
        truth_N, rows, people_N = drawn(10_000 + seed, arms=("nothing", *names))
        any_shown += any(shown(truth_N, rows, people_N, name, level=1 - 0.05 / 4) for name in names)
    assert any_shown / 400 <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / 400)


@pytest.mark.parametrize(("gain", "outcome"), [(3.0, "use"), (-2.0, "no")])
def test_planted_effects_are_found(gain: float, outcome: str) -> None:
    found = []
    for seed in range(20):
        truth_N, rows, people_N = drawn(seed, gain=gain)
        found.append(arms_verdict(truth_N, rows, ["synth"], people_N, RARE).tables[0].outcome)
    assert found.count(outcome) >= 18
    assert not set(found) & ({"use", "no"} - {outcome})
