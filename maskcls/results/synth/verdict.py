"""Whether made examples help: a training with them against every other way to treat the rare classes.

Each arm is one way to train, scored on the same out-of-fold rows of the same people with several seeds. A table of
samples is used only where the interval of its gain in macro-F1 lies above 0 against every other arm. To be called
useful by chance it must beat each arm by chance (intersection-union test: Berger 1982, Technometrics 24), so several
arms need no correction. Several tables do: their intervals cover together (Bonferroni).

N rows, J joint classes, S seeds, P people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import UNKNOWN, Bools, Ints
from maskcls.results.comparison.difference import Difference
from maskcls.results.comparison.multiple import family_level
from maskcls.results.comparison.over_seeds import SeedSpread, spread_over_seeds
from maskcls.results.scores.intervals import LEVEL
from maskcls.results.scores.metrics import confusion, macro_f1
from maskcls.results.scores.person_counts import PersonCounts, count_people

Outcome = Literal["use", "no", "not shown"]
ArmRows = Mapping[str, Sequence[Ints]]


@dataclass(frozen=True)
class ClassChange:
    """How the F1 of one joint class differs, and how many rows and people of the class there are."""

    joint: int
    rows: int
    people: int
    difference: Difference


@dataclass(frozen=True)
class Gap:
    """A training with samples minus another arm.

    seeds      the difference of each seed; findable: the smallest true gain that would be shown in 80 % of repetitions.
    rare       the mean F1 of the rare joint classes that occur; others: of all other classes. None: there are none.
    classes    of every joint class that occurs.
    """

    other: str
    difference: Difference
    seeds: tuple[float, ...]
    findable: float
    rare: Difference | None
    others: Difference | None
    classes: tuple[ClassChange, ...]

    @property
    def groups(self) -> dict[str, Difference | None]:
        """The differences of the two groups of classes, by name."""
        return {"rare": self.rare, "others": self.others}


@dataclass(frozen=True)
class ArmScore:
    """The macro-F1 of one arm with each seed."""

    name: str
    seeds: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean over the seeds."""
        return float(np.mean(self.seeds))

    @property
    def deviation(self) -> float:
        """The standard deviation over the seeds; 0 for one seed."""
        return float(np.std(self.seeds, ddof=1)) if len(self.seeds) > 1 else 0.0


@dataclass(frozen=True)
class TableVerdict:
    """The verdict on one table of samples.

    use        every interval lies above 0.
    no         an interval lies at or below 0: with this table the score is not better than that arm's.
    not shown  neither: the gain, if there is one, is too small for these people and seeds.
    """

    arm: str
    outcome: Outcome
    gaps: tuple[Gap, ...]

    @property
    def least(self) -> Gap:
        """The comparison with the lowest end of its interval, which decides."""
        return min(self.gaps, key=lambda gap: gap.difference.low)

    @property
    def findable(self) -> float:
        """The smallest true gain over the hardest other arm that would be shown in 80 % of repetitions."""
        return max(gap.findable for gap in self.gaps)


@dataclass(frozen=True)
class Verdict:
    """All arms, and the verdict on each table.

    level   of every interval.
    tried   tables that were tried on these rows, earlier ones too; the intervals hold for all of them.
    """

    arms: tuple[ArmScore, ...]
    tables: tuple[TableVerdict, ...]
    level: float
    tried: int

    @property
    def best(self) -> TableVerdict | None:
        """The table to use: of those to use the one whose worst interval begins highest; None: there is none."""
        use = [one for one in self.tables if one.outcome == "use"]
        return max(use, key=lambda one: one.least.difference.low, default=None)


def arms_verdict(
    truth_N: Ints,
    arms: ArmRows,
    tables: Sequence[str],
    people_N: Sequence[str] | NDArray[Any],
    rare_J: Bools,
    *,
    tried: int = 1,
    level: float = LEVEL,
) -> Verdict:
    """Compare every table of samples with every other arm, and say which may be used.

    truth_N  joint labels 0..J-1, -1 for a row that does not count.
    arms     {name: S arrays (N,) of predicted joint labels}; seed s of one arm is paired with seed s of the others.
    tables   names of the arms with samples; all other arms are what they must beat.
    people_N (N,) the person on each row; text or whole numbers.
    rare_J   (J,) bool, which joint classes the samples are of.
    tried    tables that were tried on these rows, these included; fewer than here count as these.
    level    of the intervals of all tables together, in (0, 1).

    Raises ValueError for no table, no other arm, or arms with another number of seeds, and as `count_people`.

    >>> truth = np.tile([0, 1], 40)
    >>> wrong = np.zeros(80, np.int64)
    >>> found = arms_verdict(truth, {"nothing": [wrong], "synth": [truth]}, ["synth"], np.arange(80) // 2,
    ...                    np.array([False, True]))
    >>> found.tables[0].outcome
    'use'
    """
    others = [name for name in arms if name not in tables]
    if not tables or not others or not set(tables) <= set(arms):
        raise ValueError(f"nothing to compare: tables {list(tables)}, arms {list(arms)}")
    if len({len(rows) for rows in arms.values()}) != 1:
        raise ValueError(f"arms with unequal seeds: { {name: len(rows) for name, rows in arms.items()} }")
    size = len(rare_J)
    counts = {name: [count_people(truth_N, one, people_N, size) for one in rows] for name, rows in arms.items()}
    scores = tuple(
        ArmScore(name, tuple(macro_f1(confusion(truth_N, one, size)) for one in rows)) for name, rows in arms.items()
    )
    known_N = truth_N != UNKNOWN
    rows_J = np.bincount(truth_N[known_N], minlength=size)
    tried = max(tried, len(tables))
    each = family_level(tried, level)

    def gap(table: str, other: str) -> Gap:
        pairs = list(zip(counts[other], counts[table], strict=True))
        spread = spread_over_seeds(pairs)
        return Gap(
            other,
            spread.difference(each),
            spread.singles,
            spread.findable(each),
            _of_classes(pairs, np.flatnonzero(rare_J & (rows_J > 0)), each),
            _of_classes(pairs, np.flatnonzero(~rare_J & (rows_J > 0)), each),
            _class_changes(pairs, np.flatnonzero(rows_J > 0), each),
        )

    return Verdict(scores, tuple(_verdict(one, [gap(one, other) for other in others]) for one in tables), each, tried)


def outcome_of(differences: Sequence[Difference]) -> Outcome:
    """Return the verdict on the gains over every other arm, see `TableVerdict`.

    >>> outcome_of([Difference(0.02, 0.01, 0.03, 0.99, 0.95), Difference(0.01, -0.01, 0.03, 0.8, 0.95)])
    'not shown'
    """
    if all(one.low > 0 for one in differences):
        return "use"
    return "no" if any(one.high <= 0 for one in differences) else "not shown"


def _verdict(table: str, gaps: Sequence[Gap]) -> TableVerdict:
    return TableVerdict(table, outcome_of([gap.difference for gap in gaps]), tuple(gaps))


def _class_changes(
    pairs: Sequence[tuple[PersonCounts, PersonCounts]], there: Ints, level: float
) -> tuple[ClassChange, ...]:
    truths_PJ, found = pairs[0][0].truths_PC, []
    for joint in there.tolist():
        difference = _of_classes(pairs, np.array([joint]), level)
        assert difference is not None
        rows, people = int(truths_PJ[:, joint].sum()), int((truths_PJ[:, joint] > 0).sum())
        found.append(ClassChange(joint, rows, people, difference))
    return tuple(found)


def _of_classes(pairs: Sequence[tuple[PersonCounts, PersonCounts]], chosen: Ints, level: float) -> Difference | None:
    """Return the difference in the mean F1 of some classes that occur in the truth; None without one."""
    if not len(chosen):
        return None
    spread: SeedSpread = spread_over_seeds([(_columns(a, chosen), _columns(b, chosen)) for a, b in pairs])
    return spread.difference(level)


def _columns(counts: PersonCounts, chosen: Ints) -> PersonCounts:
    return PersonCounts(counts.hits_PC[:, chosen], counts.truths_PC[:, chosen], counts.marks_PC[:, chosen])
