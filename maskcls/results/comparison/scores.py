"""Two sets of predictions of the same rows, scored against the known labels; and the whole comparison as a value.

N rows, joined by id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from maskcls.files import none_for_nan
from maskcls.groupnouns import PEOPLE, Noun
from maskcls.labels import UNKNOWN
from maskcls.results.comparison.changes import Changed
from maskcls.results.comparison.difference import Difference, difference_of, mcnemar, paired_influence
from maskcls.results.comparison.rows import JOINT, CommonRows
from maskcls.results.comparison.sign_test import SignTest, sign_test
from maskcls.results.scores.intervals import PredictionInterval, difference_prediction
from maskcls.results.scores.metrics import Scores, score


@dataclass(frozen=True)
class Corrected:
    """The joint difference among all comparisons of runs on these rows.

    p      Holm's corrected p-value.
    count  comparisons on these rows, this one included; kept: the register of choices could be written.
    """

    p: float
    count: int
    kept: bool


@dataclass(frozen=True)
class ScoreComparison:
    """The scores of a and b on the rows with known labels.

    a, b         the scores.
    differences  b - a of the joint classes and of each task, with an interval; those without a known row are left out.
    prediction   where the joint b - a of as many new people may lie; None where no row has a label of every task.
    p_rows       McNemar's p over rows, a lower bound when a person has several.
    people       the sign test over people; None when no table has people.
    """

    a: Scores
    b: Scores
    differences: Mapping[str, Difference]
    prediction: PredictionInterval | None
    p_rows: float
    people: SignTest | None


@dataclass(frozen=True)
class Comparison:
    """Everything that `runs compare` prints.

    agreement  share of equal labels and kappa, of the joint classes and of each task.
    moves      how often a's joint label became another one of b's, the most frequent first.
    corrected  of two runs scored on the same rows.
    settings   what differs between two runs: key, a's value, b's.
    noun       what the groups of the rows are called.
    """

    names: tuple[str, str]
    rows: CommonRows
    changed: Changed
    agreement: Mapping[str, tuple[float, float]]
    moves: Sequence[tuple[str, str, int]]
    verdict: ScoreComparison | None = None
    corrected: Corrected | None = None
    settings: Sequence[tuple[str, str, str]] = field(default_factory=tuple)
    noun: Noun = PEOPLE


def score_both(rows: CommonRows) -> ScoreComparison:
    """Score both on the rows with known labels; without people every row counts as a person of its own."""
    assert rows.truth is not None
    space, people = rows.space, rows.people or rows.ids
    of_a, of_b = space.decode(rows.a), space.decode(rows.b)
    parts = {JOINT: (rows.joint, rows.a, rows.b, space.size)}
    parts |= {t.name: (rows.truth[t.name], of_a[t.name], of_b[t.name], len(t.classes)) for t in space.tasks}
    moved = {
        name: paired_influence(truth_N, a_N, b_N, people, classes)
        for name, (truth_N, a_N, b_N, classes) in parts.items()
        if (truth_N != UNKNOWN).any()
    }
    differences = {name: difference_of(one) for name, one in moved.items()}
    prediction = difference_prediction(moved[JOINT], moved[JOINT].people) if JOINT in moved else None
    known_N = rows.joint != UNKNOWN
    right_a, right_b = ((label_N == rows.joint)[known_N] for label_N in (rows.a, rows.b))
    scores = score(rows.a, rows.truth, space), score(rows.b, rows.truth, space)
    p_rows = mcnemar(right_a, right_b)
    signs = None if rows.people is None else sign_test(right_a, right_b, np.asarray(rows.people)[known_N])
    return ScoreComparison(*scores, differences, prediction, p_rows, signs)


def to_json(found: Comparison) -> dict[str, Any]:
    """Return all that is shown, as plain data; a NaN becomes None."""
    rows, verdict = found.rows, found.verdict
    data: dict[str, Any] = {
        "a": found.names[0],
        "b": found.names[1],
        "rows": len(rows.ids),
        "people": len(set(rows.people)) if rows.people is not None else None,
        "left_out": dict(zip("ab", rows.left_out, strict=True)),
        "agreement": {n: {"share": share, "kappa": none_for_nan(k)} for n, (share, k) in found.agreement.items()},
        "changed": {name: len(kind) for name, kind in found.changed.kinds.items()},
        "moves": [{"a": a, "b": b, "rows": count} for a, b, count in found.moves],
        "settings": [{"key": key, "a": a, "b": b} for key, a, b in found.settings],
        "scores": None,
    }
    if verdict:
        data["scores"] = {"a": verdict.a.to_json(), "b": verdict.b.to_json()}
        data["differences"] = {name: asdict(one) for name, one in verdict.differences.items()}
        data["prediction_interval"] = verdict.prediction and asdict(verdict.prediction)
        data["corrected"] = found.corrected and asdict(found.corrected)
        data["p_rows"], data["people_sign_test"] = verdict.p_rows, asdict(verdict.people) if verdict.people else None
    return data
