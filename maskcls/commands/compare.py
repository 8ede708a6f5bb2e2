"""maskcls runs compare: two runs, two files of predictions or two submissions, row by row.

Rows are joined by id. Where the truth is known, it says by how much b is better and how sure that is; where it is not,
how far the two agree.
"""

from __future__ import annotations

import csv
import io
import json as text
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from maskcls import config, rundir
from maskcls.commands.judged import PEOPLE, load_honest, read_judged
from maskcls.commands.progress import say
from maskcls.commands.run_records import Found, assignment, read_run
from maskcls.commands.runs_list import checked_run
from maskcls.errors import BusyError, DataError, UsageError, WeightsError, visible
from maskcls.labels import CONTEST, UNKNOWN, Ints, LabelSpace
from maskcls.results.answers import read_answers, read_columns
from maskcls.results.compare import Difference, mcnemar, paired_bootstrap
from maskcls.results.diversity import kappa
from maskcls.results.metrics import Scores, score
from maskcls.results.predictions import Predictions
from maskcls.results.signtest import SignTest, sign_test
from maskcls.results.submission import sidecar_space
from maskcls.rundir import RunDir

DRAWS = 1000
SHOWN_IDS = 3
SHOWN_CHANGES = 12
JOINT = "joint"

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Known:
    """What a table says about rows: ids, class indices (N,) by task with -1 = unknown, and who is on each, if told."""

    where: str
    ids: Sequence[str]
    labels: Mapping[str, Ints]
    people: Sequence[str] | None = None


@dataclass(frozen=True)
class Side:
    """One of the two: its rows and their joint labels (N,), and for a run what it was trained on and how."""

    name: str
    ids: Sequence[str]
    labels: Ints
    space: LabelSpace
    known: Known | None = None
    run: Found | None = None


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


def compare(
    a: Path, b: Path, *, answers: Path | None = None, changed: Path | None = None, json: bool = False
) -> Comparison:
    """Compare two runs, predictions or submissions, print what was found and return it.

    answers  a file of true answers; a run brings its own truth.
    changed  a CSV to write, of every row on which the two differ: id, truth, a, b.

    Raises UsageError for the same path twice, BusyError when `changed` exists, WeightsError for other label spaces,
    DataError for another truth of the same id or no row in common, ResultError for a run that cannot be read.
    """
    if changed is not None and changed.exists():
        raise BusyError("the output exists", where=str(changed), fix="choose another --changed")
    if a.resolve() == b.resolve():
        raise UsageError("a and b are the same", where=str(a), fix="name two")
    found = comparison(*read_sides(a, b), answers)
    if changed is not None:
        rundir.commit(changed, changed_csv(found.rows, found.changed))
    if json:
        say(text.dumps(to_json(found), ensure_ascii=False, allow_nan=False))
    else:
        Console(highlight=False, markup=False, emoji=False).print(render(found))
        if changed is not None:
            say(f"\n{changed}  {found.changed.count} rows")
    return found


def read_sides(a: Path, b: Path) -> tuple[Side, Side]:
    """Read both; a submission that has no sidecar is read in the other's label space, or else the contest's."""
    spaces = [_own_space(path) for path in (a, b)]
    known = [space for space in spaces if space]
    first, second = (
        _read_side(path, space or (known or [CONTEST])[0]) for path, space in zip((a, b), spaces, strict=True)
    )
    _check_spaces(first, second)
    return first, second


def comparison(a: Side, b: Side, answers: Path | None = None) -> Comparison:
    """Compare two sides on the rows both have."""
    known = [side.known for side in (a, b) if side.known]
    rows = joined(a, b, [*known, *([_read_answers(answers, a.space)] if answers else [])])
    changed = changes(rows)
    parts = {JOINT: (rows.a, rows.b, rows.space.size)}
    a_parts, b_parts = rows.space.decode(rows.a), rows.space.decode(rows.b)
    parts |= {task.name: (a_parts[task.name], b_parts[task.name], len(task.classes)) for task in rows.space.tasks}
    agreement = {
        name: (float((of_a == of_b).mean()), float(kappa([of_a, of_b], classes)[0, 1]))
        for name, (of_a, of_b, classes) in parts.items()
    }
    verdict = judge(rows) if rows.truth is not None else None
    settings = tuple(_settings(a.run, b.run)) if a.run and b.run else ()
    return Comparison((a.name, b.name), rows, changed, agreement, moves(rows), verdict, settings)


def joined(a: Side, b: Side, known: Sequence[Known]) -> Rows:
    """Take the rows both sides have, and what the tables say about them.

    Raises DataError when no row is common, when two tables give one id different labels or people, or none is known.
    """
    row_of = {name: row for row, name in enumerate(b.ids)}
    places = [(i, row_of[name]) for i, name in enumerate(a.ids) if name in row_of]
    if not places:
        raise DataError(
            "the two have no row in common",
            where=f"{a.name} and {b.name}",
            got=f"{a.ids[0]!r} … and {b.ids[0]!r} …" if len(a.ids) and len(b.ids) else "no rows",
            expected="ids of the same images",
        )
    rows_a, rows_b = (np.array(column, dtype=np.int64) for column in zip(*places, strict=True))
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


def judge(rows: Rows) -> Verdict:
    """Hold both against the truth; without people every row counts as a person of its own."""
    assert rows.truth is not None
    space, people = rows.space, rows.people or rows.ids
    of_a, of_b = space.decode(rows.a), space.decode(rows.b)
    parts = {JOINT: (rows.joint, rows.a, rows.b, space.size)}
    parts |= {t.name: (rows.truth[t.name], of_a[t.name], of_b[t.name], len(t.classes)) for t in space.tasks}
    differences = {
        name: paired_bootstrap(truth_N, a_N, b_N, people, classes, draws=DRAWS, seed=0)
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
    """Write every row on which the two differ: id, truth, a, b, in a's order; `?` stands for an unknown task."""
    names, buffer = rows.space.joint_names, io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["id", "truth", "a", "b"])
    for row in sorted(row for kind in changed.kinds.values() for row in kind):
        writer.writerow([rows.ids[row], _true_name(rows, row), names[rows.a[row]], names[rows.b[row]]])
    return buffer.getvalue().encode()


def to_json(found: Comparison) -> dict[str, Any]:
    """Return all that is shown, as plain data; a NaN becomes None."""
    rows, verdict = found.rows, found.verdict
    data: dict[str, Any] = {
        "a": found.names[0],
        "b": found.names[1],
        "rows": len(rows.ids),
        "people": len(set(rows.people)) if rows.people is not None else None,
        "left_out": dict(zip("ab", rows.left_out, strict=True)),
        "agreement": {n: {"share": share, "kappa": _plain(k)} for n, (share, k) in found.agreement.items()},
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


# --- reading


def _own_space(path: Path) -> LabelSpace | None:
    if path.is_dir():
        return config.load(checked_run(path).config)[0].space
    return Predictions.load(path).space if path.suffix == ".npz" else sidecar_space(path)


def _read_side(path: Path, space: LabelSpace) -> Side:
    if path.is_dir():
        return _read_run_side(path)
    if path.suffix == ".npz":
        found = load_honest(path)
        return Side(str(path), found.ids.tolist(), found.labels(), found.space)
    ids, parts = read_answers(path, space)
    label_N = space.encode(parts)
    if (label_N == UNKNOWN).any():
        raise DataError(
            "the submission leaves labels empty",
            where=str(path),
            expected="a label of every task on every row",
            offenders=[repr(ids[row]) for row in np.flatnonzero(label_N == UNKNOWN).tolist()],
        )
    return Side(str(path), ids, label_N, space)


def _read_run_side(path: Path) -> Side:
    judged = read_judged(path, None)
    people = None if judged.people_N is None else judged.people_N.tolist()
    known = Known(str(path), judged.ids, judged.truth, people)
    return Side(str(path), judged.ids, judged.pred_N, judged.space, known, read_run(RunDir(path)))


def _read_answers(path: Path, space: LabelSpace) -> Known:
    """Read true answers; a column named as in PEOPLE tells who is on each row."""
    ids, labels = read_answers(path, space)
    columns, named = read_columns(path), [name for name in PEOPLE if name not in space.names]
    return Known(str(path), ids, labels, next((columns[name] for name in named if name in columns), None))


def _check_spaces(a: Side, b: Side) -> None:
    if a.space.fingerprint == b.space.fingerprint:
        return
    mine, theirs = a.space.to_json(), b.space.to_json()
    first = next((pair for pair in zip(mine, theirs, strict=False) if pair[0] != pair[1]), (mine, theirs))
    raise WeightsError(
        "the two have different label spaces",
        where=f"{a.name} and {b.name}",
        got=f"first difference: {first[0]} and {first[1]}",
        expected="the same tasks, class order and bins",
        fix="compare what was trained with the same tasks",
    )


def _gathered(
    ids: Sequence[str], known: Sequence[Known], space: LabelSpace
) -> tuple[dict[str, Ints], Sequence[str] | None]:
    """Return what the tables say of these rows; DataError where two contradict each other."""
    labels = {name: np.full(len(ids), UNKNOWN, dtype=np.int64) for name in space.names}
    people = np.full(len(ids), "", dtype=object)
    faults: list[str] = []
    for one in known:
        row_of = {name: row for row, name in enumerate(one.ids)}
        row_N = np.array([row_of.get(name, -1) for name in ids], dtype=np.int64)
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


def _settings(a: Found, b: Found) -> Iterator[tuple[str, str, str]]:
    """Yield what differs between two runs: settings, folds trained, and the tables they were trained by."""
    for key in dict.fromkeys((*a.settings, *b.settings)):
        values = _value(a.settings, key), _value(b.settings, key)
        if values[0] != values[1]:
            yield key, *values
    if a.folds != b.folds:
        yield "folds trained", ", ".join(map(str, a.folds)), ", ".join(map(str, b.folds))
    for one, other in ((a.run.manifest, b.run.manifest), (a.run.folds, b.run.folds)):
        if rundir.file_sha256(one) != rundir.file_sha256(other):
            yield one.name, "another", "another"


def _value(settings: Mapping[str, Any], key: str) -> str:
    return assignment(key, settings[key]).removeprefix(f"{key}=") if key in settings else "unset"


def _true_name(rows: Rows, row: int) -> str:
    if rows.truth is None:
        return ""
    found = [(task, int(rows.truth[task.name][row])) for task in rows.space.tasks]
    return "/".join("?" if label == UNKNOWN else task.classes[label] for task, label in found)


# --- what a person sees


def render(found: Comparison) -> RenderableType:
    """Return the heading, the verdict or the agreement, the rows that changed, and the settings that differ."""
    parts: list[RenderableType] = list(_heading(found))
    if found.verdict:
        parts += ["", *_verdict(found, found.verdict), "", _task_table(found, found.verdict)]
    else:
        parts += ["", "no truth is known: this is how far the two agree", "", _agreement_table(found)]
    parts += ["", *_changed(found)]
    if not found.verdict and found.moves:
        parts += ["", _moves_table(found)]
    if found.settings:
        parts += ["", _settings_table(found)]
    return Group(*parts)


def _heading(found: Comparison) -> Iterator[RenderableType]:
    for letter, name in zip("ab", found.names, strict=True):
        yield Text(f"{letter}  {visible(name)}", overflow="fold")
    rows, (only_a, only_b) = found.rows, found.rows.left_out
    of = f" of {len(set(rows.people)):,} people" if rows.people is not None else ""
    yield Text(f"{len(rows.ids):,} rows{of}", overflow="fold")
    if only_a or only_b:
        yield Text(f"left out, as the other has them not: {only_a:,} rows of a, {only_b:,} rows of b", "yellow")
    unjudged = int((rows.joint == UNKNOWN).sum())
    if found.verdict and unjudged:
        yield Text(f"of {unjudged:,} rows not every label is known; they count in the tasks that are", "yellow")


def _verdict(found: Comparison, verdict: Verdict) -> Iterator[RenderableType]:
    joint = verdict.differences.get(JOINT)
    if joint is None:
        yield Text("no row has a label for every task, so there is no joint score")
        return
    by_person = found.rows.people is not None
    over = "over people" if by_person else "over rows: too narrow, as no table tells who is on them"
    better = "b is better" if joint.low > 0 else "a is better" if joint.high < 0 else "within noise"
    yield Text(f"macro-F1  a {verdict.a.macro_f1:.4f}  b {verdict.b.macro_f1:.4f}  b - a {joint.value:+.4f}: {better}")
    yield Text(f"95 % interval {joint.low:+.4f} .. {joint.high:+.4f} {over}, {joint.draws:,} draws")
    by_row = f"p {_p(verdict.p_rows)} by row (McNemar)"
    if verdict.people is None:
        yield Text(f"{by_row}, a lower bound where rows show the same person")
        return
    signs = verdict.people
    yield Text(f"p {_p(signs.p)} by person (sign test: b has more right of {signs.for_b:,}, a of {signs.for_a:,})")
    yield Text(f"{by_row}, a lower bound: photos of a person are right and wrong together")


def _task_table(found: Comparison, verdict: Verdict) -> Table:
    table = _table("task", "a", "b", "b - a", "95 % interval", "agreement", "kappa")
    of_a, of_b = ({JOINT: scores.joint, **scores.tasks} for scores in (verdict.a, verdict.b))
    for name, (share, agreed) in found.agreement.items():
        one = verdict.differences.get(name)
        shown = [f"{one.value:+.4f}", f"{one.low:+.4f} .. {one.high:+.4f}"] if one else ["-", "-"]
        scores = [_number(of_a[name].macro_f1), _number(of_b[name].macro_f1)]
        table.add_row(visible(name), *scores, *shown, _number(share), _number(agreed))
    return table


def _agreement_table(found: Comparison) -> Table:
    table = _table("task", "agreement", "kappa")
    for name, (share, agreed) in found.agreement.items():
        table.add_row(visible(name), _number(share), _number(agreed))
    return table


def _changed(found: Comparison) -> Iterator[RenderableType]:
    rows, changed = found.rows, found.changed
    yield Text(f"{changed.count:,} of {len(rows.ids):,} rows changed, a share of {changed.count / len(rows.ids):.4f}")
    for name, kind in changed.kinds.items():
        if found.verdict is None or not (kind or name != "unknown"):
            continue
        first = ", ".join(visible(rows.ids[row]) for row in kind[:SHOWN_IDS]) + (", …" if len(kind) > SHOWN_IDS else "")
        yield Text(f"  {name:12}{len(kind):>6,}  {first}".rstrip(), overflow="fold")


def _moves_table(found: Comparison) -> Table:
    table = _table("a", "rows")
    table.add_column("b", overflow="fold")
    for a, b, count in found.moves[:SHOWN_CHANGES]:
        table.add_row(visible(a), f"{count:,}", visible(b))
    if rest := found.moves[SHOWN_CHANGES:]:
        table.add_row(f"{len(rest):,} more", f"{sum(count for _, _, count in rest):,}", "")
    return table


def _settings_table(found: Comparison) -> Table:
    table = _table("setting")
    for letter in "ab":
        table.add_column(letter, overflow="fold")
    for row in found.settings:
        table.add_row(*map(visible, row))
    return table


def _table(first: str, *numbers: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="")
    table.add_column(first, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"


def _p(value: float) -> str:
    return f"{value:.4f}" if value >= 0.0001 else "< 0.0001"


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else value
