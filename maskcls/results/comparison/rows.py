"""Two answers to the same photos, row by row: what changed, and where the truth is known, which of the two is better.

N rows, joined by id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.errors import DataError
from maskcls.files import none_for_nan
from maskcls.labels import UNKNOWN, Ints, LabelSpace
from maskcls.results.comparison.bootstrap import Difference, mcnemar, paired_bootstrap
from maskcls.results.comparison.sign_test import SignTest, sign_test
from maskcls.results.csv_with_origin import to_csv
from maskcls.results.ensembles.diversity import kappa
from maskcls.results.rows_by_id import find_rows
from maskcls.results.scores.metrics import Scores, score
from maskcls.results.scores.person_bootstrap import BOOTSTRAP_DRAWS
from maskcls.rundir import RunDir

JOINT = "joint"


@dataclass(frozen=True)
class Known:
    """What a table says about rows: ids, class indices (N,) by task with -1 = unknown, and who is on each, if told."""

    where: str
    ids: Sequence[str]
    labels: Mapping[str, Ints]
    people: Sequence[str] | None = None


@dataclass(frozen=True)
class Side:
    """One of the two: its rows and their joint labels (N,), and for a run what it was trained on, and where it is."""

    name: str
    ids: Sequence[str]
    labels: Ints
    space: LabelSpace
    known: Known | None = None
    run: RunDir | None = None


@dataclass(frozen=True)
class Rows:
    """The rows both sides have, in a's order.

    a, b      joint labels (N,).
    truth     class indices (N,) by task, -1 = unknown; None when no table tells any.
    people    who is on each row, (N,) text; None when no table tells.
    left_out  rows that only a has, and only b.
    """

    ids: Sequence[str]
    a: Ints
    b: Ints
    space: LabelSpace
    truth: Mapping[str, Ints] | None = None
    people: Sequence[str] | None = None
    left_out: tuple[int, int] = (0, 0)

    @property
    def joint(self) -> Ints:
        """The true joint labels (N,), -1 where a task is unknown."""
        return self.space.encode(self.truth) if self.truth else np.full(len(self.ids), UNKNOWN, dtype=np.int64)


@dataclass(frozen=True)
class Changed:
    """The rows on which a and b differ, by number: what b puts right, spoils, leaves wrong, nobody can judge."""

    fixed: Sequence[int]
    broken: Sequence[int]
    still_wrong: Sequence[int]
    unknown: Sequence[int]

    @property
    def count(self) -> int:
        """All of them."""
        return sum(map(len, self.kinds.values()))

    @property
    def kinds(self) -> dict[str, Sequence[int]]:
        """The four by name."""
        return {"fixed": self.fixed, "broken": self.broken, "still wrong": self.still_wrong, "unknown": self.unknown}


@dataclass(frozen=True)
class Verdict:
    """How b does against a where the truth is known.

    a, b         the scores.
    differences  b - a of the joint classes and of each task, with an interval; those without a known row are left out.
    p_rows       McNemar's p over rows, a lower bound when a person has several.
    people       the sign test over people; None when no table tells who is on a row.
    """

    a: Scores
    b: Scores
    differences: Mapping[str, Difference]
    p_rows: float
    people: SignTest | None


@dataclass(frozen=True)
class Comparison:
    """Everything the command shows.

    agreement  share of equal labels and kappa, of the joint classes and of each task.
    moves      how often a's joint label became another one of b's, the most frequent first.
    settings   what differs between two runs: key, a's value, b's.
    """

    names: tuple[str, str]
    rows: Rows
    changed: Changed
    agreement: Mapping[str, tuple[float, float]]
    moves: Sequence[tuple[str, str, int]]
    verdict: Verdict | None = None
    settings: Sequence[tuple[str, str, str]] = field(default_factory=tuple)


def joined(a: Side, b: Side, known: Sequence[Known]) -> Rows:
    """Take the rows both sides have, and what the tables say about them.

    Raises DataError when no row is common, when two tables give one id different labels or people, or none is known.
    """
    row_N = find_rows(b.ids, a.ids, name=b.name)
    rows_a = np.flatnonzero(row_N >= 0)
    rows_b = row_N[rows_a]
    if not len(rows_a):
        raise DataError(
            "the two have no row in common",
            where=f"{a.name} and {b.name}",
            got=f"{a.ids[0]!r} … and {b.ids[0]!r} …" if len(a.ids) and len(b.ids) else "no rows",
            expected="ids of the same images",
        )
    ids = [str(a.ids[i]) for i in rows_a.tolist()]
    truth, people = _gathered(ids, known, a.space) if known else (None, None)
    if truth is not None and all((of_task == UNKNOWN).all() for of_task in truth.values()):
        raise DataError("no answer of a common row is known", where=" and ".join(one.where for one in known))
    left_out = len(a.ids) - len(ids), len(b.ids) - len(ids)
    return Rows(ids, a.labels[rows_a], b.labels[rows_b], a.space, truth, people, left_out)


def changes(rows: Rows) -> Changed:
    """Sort the rows on which a and b differ by what became of them."""
    truth_N, differs_N = rows.joint, rows.a != rows.b
    known_N = truth_N != UNKNOWN
    kinds = (
        known_N & (rows.b == truth_N),
        known_N & (rows.a == truth_N),
        known_N & (rows.a != truth_N) & (rows.b != truth_N),
        ~known_N,
    )
    return Changed(*(np.flatnonzero(differs_N & kind_N).tolist() for kind_N in kinds))


def moves(rows: Rows) -> list[tuple[str, str, int]]:
    """Count what became of a's joint labels where b's are others: from, to, rows; the most frequent first."""
    differs_N, names = rows.a != rows.b, rows.space.joint_names
    counts = Counter(zip(rows.a[differs_N].tolist(), rows.b[differs_N].tolist(), strict=True))
    return [(names[i], names[j], count) for (i, j), count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))]


def agreement(rows: Rows) -> dict[str, tuple[float, float]]:
    """Return the share of equal labels and kappa, of the joint classes and of each task."""
    parts = {JOINT: (rows.a, rows.b, rows.space.size)}
    of_a, of_b = rows.space.decode(rows.a), rows.space.decode(rows.b)
    parts |= {task.name: (of_a[task.name], of_b[task.name], len(task.classes)) for task in rows.space.tasks}
    return {
        name: (float((a_N == b_N).mean()), float(kappa([a_N, b_N], classes)[0, 1]))
        for name, (a_N, b_N, classes) in parts.items()
    }


def judge(rows: Rows) -> Verdict:
    """Hold both against the truth; without people every row counts as a person of its own."""
    assert rows.truth is not None
    space, people = rows.space, rows.people or rows.ids
    of_a, of_b = space.decode(rows.a), space.decode(rows.b)
    parts = {JOINT: (rows.joint, rows.a, rows.b, space.size)}
    parts |= {t.name: (rows.truth[t.name], of_a[t.name], of_b[t.name], len(t.classes)) for t in space.tasks}
    differences = {
        name: paired_bootstrap(truth_N, a_N, b_N, people, classes, draws=BOOTSTRAP_DRAWS, seed=0)
        for name, (truth_N, a_N, b_N, classes) in parts.items()
        if (truth_N != UNKNOWN).any()
    }
    known_N = rows.joint != UNKNOWN
    right_a, right_b = ((label_N == rows.joint)[known_N] for label_N in (rows.a, rows.b))
    scores = score(rows.a, rows.truth, space), score(rows.b, rows.truth, space)
    p_rows = mcnemar(right_a, right_b)
    signs = None if rows.people is None else sign_test(right_a, right_b, np.asarray(rows.people)[known_N])
    return Verdict(*scores, differences, p_rows, signs)


def changed_csv(rows: Rows, changed: Changed) -> bytes:
    """Return a CSV of every row on which the two differ: id, truth, a, b, in a's order; `?` marks an unknown task."""
    names = rows.space.joint_names
    numbers = sorted(row for kind in changed.kinds.values() for row in kind)
    return to_csv(
        {
            "id": [rows.ids[row] for row in numbers],
            "truth": [_true_name(rows, row) for row in numbers],
            "a": [names[rows.a[row]] for row in numbers],
            "b": [names[rows.b[row]] for row in numbers],
        }
    )


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
        data["p_rows"], data["people_sign_test"] = verdict.p_rows, asdict(verdict.people) if verdict.people else None
    return data


def _gathered(
    ids: Sequence[str], known: Sequence[Known], space: LabelSpace
) -> tuple[dict[str, Ints], Sequence[str] | None]:
    """Return what the tables say of these rows; DataError where two contradict each other."""
    labels = {name: np.full(len(ids), UNKNOWN, dtype=np.int64) for name in space.names}
    people = np.full(len(ids), "", dtype=object)
    faults: list[str] = []
    for one in known:
        row_N = find_rows(one.ids, ids, name=one.where)
        for task in space.tasks:
            classes = np.array(["unknown", *task.classes], dtype=object)
            theirs_N = np.where(row_N < 0, UNKNOWN, one.labels[task.name][row_N])
            faults += _contradictions(
                ids, f"{task.name} is", classes[labels[task.name] + 1], classes[theirs_N + 1], "unknown"
            )
            labels[task.name] = np.where(theirs_N == UNKNOWN, labels[task.name], theirs_N)
        if one.people is not None:
            theirs = np.where(row_N < 0, "", np.array(one.people, dtype=object)[row_N])
            faults += _contradictions(ids, "shows", people, theirs, "")
            people = np.where(theirs == "", people, theirs)
    if faults:
        raise DataError(
            "two tables say different things about the same rows",
            where=" and ".join(one.where for one in known),
            fix="compare what was judged by the same truth",
            offenders=faults,
        )
    if not (people != "").any():
        return labels, None
    return labels, [who or f"\0{name}" for name, who in zip(ids, people.tolist(), strict=True)]  # one of their own


def _contradictions(
    ids: Sequence[str], what: str, before: NDArray[Any], now: NDArray[Any], silent: str
) -> Iterator[str]:
    for row in np.flatnonzero((before != silent) & (now != silent) & (before != now)).tolist():
        yield f"{ids[row]!r} {what} {before[row]} and {now[row]}"


def _true_name(rows: Rows, row: int) -> str:
    if rows.truth is None:
        return ""
    found = [(task, int(rows.truth[task.name][row])) for task in rows.space.tasks]
    return "/".join("?" if label == UNKNOWN else task.classes[label] for task, label in found)
