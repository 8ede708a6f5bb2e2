"""How much each person moves a macro-F1, or the difference of two: what every interval is computed from.

F1 of a class is 2 H / M, H hits and M truths plus predictions. To first order a person with h hits and m marks moves it
by (2 h - F1 m) / M. These effects sum to 0 over people, and their squares to the variance (the infinitesimal jackknife:
Efron 1982, The Jackknife, the Bootstrap and Other Resampling Plans, chapter 6).

A class of few people may by chance be all right or all wrong, and its effects then say that nothing is uncertain. As
Agresti and Coull 1998 (The American Statistician 52) do for a share, `EXTRA` more people per class who are right and as
many who are wrong are added, for the variance alone.

C classes that occur, P people, S seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from maskcls.results.scores.metrics import Doubles
from maskcls.results.scores.person_counts import PersonCounts

EXTRA = 2  # people per class who are right, and who are wrong
EXTRA_DIFFERING = 3  # people per class who are right in a alone, and in b alone, if all people differ
MOST = 0.25  # variance of an F1, which lies within 0..1, at most


@dataclass(frozen=True, eq=False)
class Influence:
    """A score, or a difference of two scores, and how much people move it.

    value     on these people.
    effect_P  (P,) what each person adds, to first order; sums to 0.
    bias      how much too high `value` is expected to be, because F1 is a ratio of two random counts.
    few       variance that the people added per class account for.
    middle    the score with those people added; nearer to 1/2 than `value`. 0 for a difference.
    """

    value: float
    effect_P: Doubles
    bias: float
    few: float
    middle: float = 0.0

    @property
    def people(self) -> int:
        """How many people there are."""
        return len(self.effect_P)

    @property
    def variance(self) -> float:
        """Variance of `value` over sets of as many people, without `few`; infinite for a single person."""
        people = self.people
        return float((self.effect_P**2).sum() * people / (people - 1)) if people > 1 else np.inf

    @property
    def freedom(self) -> float:
        """Degrees of freedom of `variance`, 1..P-1: few where a few people have most of the effect.

        Twice the squared variance over the variance of the variance, which the fourth powers of the effects give.
        """
        square = float((self.effect_P**2).sum())
        spread = float((self.effect_P**4).sum()) - square**2 / self.people
        most = float(self.people - 1)
        return min(max(1.0, 2 * square**2 / spread), most) if spread > 0 else most


def score_influence(counts: PersonCounts) -> Influence:
    """Return the macro-F1 over the classes that occur, and how much people move it."""
    f1_C, effect_PC, there_C = _effects(counts)
    classes, marks_C = len(f1_C), counts.marks_PC.sum(axis=0)[there_C]
    people_C, rows_C = _people_and_rows(counts.truths_PC[:, there_C])
    middle_C = (f1_C * people_C + EXTRA) / (people_C + 2 * EXTRA)
    right_C, wrong_C = 2 * rows_C * (1 - middle_C), rows_C * middle_C  # effects of a person added, times marks
    few_C = np.minimum(EXTRA * (right_C**2 + wrong_C**2) / marks_C**2, MOST)
    bias = -float((effect_PC * counts.marks_PC[:, there_C] / marks_C).sum()) / classes
    effect_P: Doubles = effect_PC.sum(axis=1) / classes
    return Influence(float(f1_C.mean()), effect_P, bias, float(few_C.sum()) / classes**2, float(middle_C.mean()))


def difference_influence(pairs: Sequence[tuple[PersonCounts, PersonCounts]]) -> Influence:
    """Return the macro-F1 of b minus that of a, the mean over S pairs (a, b) of the same rows, and how people move it.

    The people added per class are right in one of the two alone, as large a share of them as of the people there are.
    """
    value, few, effect_P = 0.0, 0.0, np.zeros(len(pairs[0][0].hits_PC))
    for a, b in pairs:
        (f1_a, effect_a, _), (f1_b, effect_b, _) = _effects(a), _effects(b)
        value += float(f1_b.mean() - f1_a.mean())
        effect_P += effect_b.sum(axis=1) / len(f1_b) - effect_a.sum(axis=1) / len(f1_a)
        few += _few_between(a, b)
    count = len(pairs)
    return Influence(value / count, effect_P / count, 0.0, few / count)


def _few_between(a: PersonCounts, b: PersonCounts) -> float:
    """Return the variance of people added per class who are right in a alone and in b alone."""
    differing = float((a.hits_PC != b.hits_PC).any(axis=1).mean())
    marks_C = (a.marks_PC + b.marks_PC).sum(axis=0) / 2
    true_C = a.truths_PC.any(axis=0)
    _, rows_C = _people_and_rows(a.truths_PC[:, true_C])
    few_C = np.minimum(2 * EXTRA_DIFFERING * differing * (rows_C / marks_C[true_C]) ** 2, 2 * MOST)
    return float(few_C.sum()) / int((marks_C > 0).sum()) ** 2


def _effects(counts: PersonCounts) -> tuple[Doubles, Doubles, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """Return F1 (C,) of the classes that occur, the effect of each person on it (P, C), and which classes these are."""
    marks_C = counts.marks_PC.sum(axis=0)
    there_C = marks_C > 0
    hits_PC, marks_PC, marks_C = counts.hits_PC[:, there_C], counts.marks_PC[:, there_C], marks_C[there_C]
    f1_C = 2 * hits_PC.sum(axis=0) / marks_C
    return f1_C, (2 * hits_PC - f1_C * marks_PC) / marks_C, there_C


def _people_and_rows(truths_PC: Doubles) -> tuple[Doubles, Doubles]:
    """Return the number of people of each class, and the mean rows of one of them; 1 row where there is nobody."""
    people_C = (truths_PC > 0).sum(axis=0).astype(np.float64)
    rows_C = np.divide(truths_PC.sum(axis=0), people_C, out=np.ones(len(people_C)), where=people_C > 0)
    return people_C, rows_C
