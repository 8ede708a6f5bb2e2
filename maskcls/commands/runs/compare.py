"""maskcls runs compare: two runs, two files of predictions or two submissions, row by row.

Rows are joined by id. Where labels are known: by how much b is better, with an interval; where not: how far the two
agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from maskcls import config, files
from maskcls.errors import UsageError, WeightsError
from maskcls.files import OutputFile
from maskcls.groupnouns import PEOPLE
from maskcls.labels import CONTEST, UNKNOWN, LabelSpace
from maskcls.results.comparison.changes import changed_csv, changes, moves, task_agreement
from maskcls.results.comparison.many import ManyComparison
from maskcls.results.comparison.multiple import holm
from maskcls.results.comparison.rows import JOINT, KnownLabels, Side, joined
from maskcls.results.comparison.scores import Comparison, Corrected, ScoreComparison, score_both
from maskcls.results.predictions import Predictions
from maskcls.results.submissions.answers import read_answers
from maskcls.results.submissions.write import sidecar_space
from maskcls.rundir import RunDir
from maskcls.runs.choices.compared_runs import compare_labelled
from maskcls.runs.choices.tried import add_tried, comparison_of, rows_of_run
from maskcls.runs.identity import files_read
from maskcls.runs.read_labelled import (
    check_complete,
    load_scorable,
    people_of_answers,
    read_labelled_predictions,
    read_true_labels,
)
from maskcls.runs.records.finding import checked_run
from maskcls.runs.records.noun import noun_of_run
from maskcls.runs.records.record import RunRecord, read_record
from maskcls.runs.records.settings import assignment


def compare(
    a: Path, b: Path, *, answers: Path | None = None, output: Path | None = None, force: bool = False
) -> Comparison:
    """Compare two runs, predictions or submissions.

    answers  a file of true labels; a run has its own.
    output   a CSV to write, of every row on which the two differ: id, truth, a, b.

    Raises UsageError for the same path twice, BusyError when `output` exists, unless `force`, WeightsError for other
    label spaces, DataError for another truth of the same id or no row in common, ResultError for a run that cannot be
    read.
    """
    if output is not None:
        files.refuse_finished(output, inputs=files_read(a, b, answers), force=force)
    if a.resolve() == b.resolve():
        raise UsageError("a and b are the same", where=str(a), fix="name two")
    found = comparison(*read_sides(a, b), answers)
    if output is not None:
        files.commit_outputs([OutputFile(output, changed_csv(found.rows, found.changed))], force=force)
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
    rows = joined(a, b, [*known, *([_read_answers(answers, a)] if answers else [])])
    verdict = score_both(rows) if rows.truth is not None else None
    settings = tuple(_settings(read_record(a.run), read_record(b.run))) if a.run and b.run else ()
    run = a.run or b.run
    noun = noun_of_run(run) if run else PEOPLE
    corrected = _corrected(a.run, b.run, verdict) if a.run and b.run and verdict else None
    counts = changes(rows), task_agreement(rows), moves(rows)
    return Comparison((a.name, b.name), rows, *counts, verdict, corrected, settings, noun)


def _corrected(a: RunDir, b: RunDir, verdict: ScoreComparison) -> Corrected | None:
    """Register the comparison, and correct its p for all that were made on these rows; None for different rows."""
    if JOINT not in verdict.differences or rows_of_run(a) != rows_of_run(b):
        return None
    this = comparison_of(a, b, verdict.differences[JOINT].p)
    tried, register = add_tried(a, [this])
    every = register.of("comparison", this.rows)
    p_k = holm([one.p if one.what != this.what else this.p or 0.0 for one in every if one.p is not None])
    (place,) = (i for i, one in enumerate(every) if one.what == this.what)
    return Corrected(p_k[place], tried.count, tried.kept)


def compare_runs(paths: Sequence[Path]) -> ManyComparison:
    """Compare three or more runs of the same rows with the first one.

    Raises UsageError for what is no run or named twice, DataError for runs of other rows or labels.
    """
    if len({path.resolve() for path in paths}) < len(paths):
        raise UsageError("a run is named twice", got=", ".join(map(str, paths)), fix="name each once")
    if others := [str(path) for path in paths if not path.is_dir()]:
        raise UsageError("more than two are compared only if all are runs", got=", ".join(others), fix="name two")
    runs = [checked_run(path) for path in paths]
    return compare_labelled(runs, [read_labelled_predictions(path, None) for path in paths])


def _own_space(path: Path) -> LabelSpace | None:
    if path.is_dir():
        return config.of_run(checked_run(path).config).space
    return Predictions.load(path).space if path.suffix == ".npz" else sidecar_space(path)


def _read_side(path: Path, space: LabelSpace) -> Side:
    if path.is_dir():
        return _read_run_side(path)
    if path.suffix == ".npz":
        found = load_scorable(path)
        return Side(str(path), found.ids.tolist(), found.labels(), found.space)
    ids, parts = read_answers(path, space)
    label_N = space.encode(parts)
    check_complete(path, ids, label_N == UNKNOWN)
    return Side(str(path), ids, label_N, space)


def _read_run_side(path: Path) -> Side:
    labelled = read_labelled_predictions(path, None)
    people = None if labelled.people_N is None else labelled.people_N.tolist()
    known = KnownLabels(str(path), labelled.ids, labelled.truth, people)
    return Side(str(path), labelled.ids, labelled.pred_N, labelled.space, known, RunDir(path))


def _read_answers(path: Path, side: Side) -> KnownLabels:
    """Read true answers; a column named as in PEOPLE tells who is on each row."""
    ids, labels = read_true_labels(path, side.space, side.ids)
    return KnownLabels(str(path), ids, labels, people_of_answers(path, side.space, ids))


def _check_spaces(a: Side, b: Side) -> None:
    if a.space.fingerprint == b.space.fingerprint:
        return
    mine, theirs = a.space.first_difference(b.space)
    raise WeightsError(
        "the two have different label spaces",
        where=f"{a.name} and {b.name}",
        got=f"first difference: {mine} and {theirs}",
        expected="the same tasks, class order and bins",
        fix="compare what was trained with the same tasks",
    )


def _settings(a: RunRecord, b: RunRecord) -> Iterator[tuple[str, str, str]]:
    """Yield what differs between two runs: settings, folds trained, and the tables they were trained by."""
    for key in dict.fromkeys((*a.settings, *b.settings)):
        values = _value(a.settings, key), _value(b.settings, key)
        if values[0] != values[1]:
            yield key, *values
    if a.folds != b.folds:
        yield "folds trained", ", ".join(map(str, a.folds)), ", ".join(map(str, b.folds))
    for one, other in ((a.run.manifest, b.run.manifest), (a.run.folds, b.run.folds)):
        if files.file_sha256(one) != files.file_sha256(other):
            yield one.name, "another", "another"


def _value(settings: Mapping[str, Any], key: str) -> str:
    return assignment(key, settings[key]).removeprefix(f"{key}=") if key in settings else "unset"
