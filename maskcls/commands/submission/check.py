"""maskcls submission check: format, ids, labels, class shares and provenance of a submission."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from maskcls import files
from maskcls.csvfile import read_columns
from maskcls.data.layouts.source import guess_layout, layout_named
from maskcls.data.rows import manifest as tables
from maskcls.errors import DataError, MaskclsError, ResultError
from maskcls.groupnouns import PEOPLE
from maskcls.labels import CONTEST, UNKNOWN, Ints, LabelSpace
from maskcls.results.scores.person_bootstrap import BOOTSTRAP_DRAWS
from maskcls.results.submissions import checks
from maskcls.results.submissions.answers import ANSWER
from maskcls.results.submissions.checks import Check, check_of
from maskcls.results.submissions.shares import compare_shares, person_classes
from maskcls.rundir import RunDir
from maskcls.runs.origin import SubmissionOrigin, origin_checks, read_submission_origin
from maskcls.runs.records.noun import noun_of_run
from maskcls.show.answers.submission_checks import SubmissionChecks

# The contest's 2,700 people to train on: men then women, by age band; each has five photos with a mask, one with a mask
# worn wrongly and one without.
CONTEST_PEOPLE, CONTEST_PHOTOS = (549, 410, 83, 732, 817, 109), (5, 1, 1)


def check_submission(path: Path, data: Path | None = None, run: RunDir | None = None) -> SubmissionChecks:
    """Run every check; one that lacks a file to compare with is skipped.

    data  the data set it answers: a contest's root, a folder of photos, or a CSV table.
    run   the run it was predicted with.

    Raises DataError when the data set cannot be read, ResultError when the run cannot.
    """
    sidecar, origin = read_submission_origin(path)
    space = _space(origin, run)
    asked = None if data is None else layout_named(guess_layout(data)).unlabelled_ids(data)
    rows = _row_checks(path, space, _header(origin, space, data), asked)
    if isinstance(rows, Check):
        return SubmissionChecks(path, (rows, sidecar, *origin_checks(origin, run, data)))
    found, labels_N = rows
    sealed = origin is not None and origin.names_sealed_people
    found += [_meaning_check(space, data), _share_check(labels_N, space, data, run, sealed=sealed)]
    return SubmissionChecks(path, (*found, sidecar, *origin_checks(origin, run, data)))


def refuse_faulty(found: SubmissionChecks, *, strict: bool) -> None:
    """Raise ResultError, which lists the faults, when a check failed; `strict`: or gave a warning."""
    bad = [*found.failed, *(found.warned if strict else [])]
    if not bad:
        return
    raise ResultError(
        f"the submission fails {len(bad)} of {len(found.checks)} checks",
        where=str(found.path),
        fix="write it again with maskcls predict, from the run and the data it is meant for",
        offenders=[f"{check.name}: {fault}" for check in bad for fault in check.faults],
    )


def _space(origin: SubmissionOrigin | None, run: RunDir | None) -> LabelSpace:
    """Return the labels' meaning: the sidecar's, else the run's, else the contest's."""
    if origin is not None:
        return origin.space
    return CONTEST if run is None else LabelSpace.from_json(files.read_json(run.labels))


def _header(origin: SubmissionOrigin | None, space: LabelSpace, data: Path | None) -> list[str]:
    """Return the expected columns: those that the data set prescribes, else those it was written with, else those of
    the data set's layout, or the contest's.
    """
    layout = layout_named("contest" if data is None else guess_layout(data))
    if origin is not None and (data is None or layout.prescribed(data) is None):
        return list(origin.columns)
    return [layout.id_column, ANSWER, *(space.names if layout.task_columns else ())]


def _row_checks(
    path: Path, space: LabelSpace, header: Sequence[str], asked: Sequence[str] | None
) -> Check | tuple[list[Check], Ints]:
    """Check the table alone; returns the checks and its labels (N,), -1 for none, or why it cannot be read."""
    try:
        columns = read_columns(path)
    except DataError as error:
        return Check("table", "FAILED", error.what, error.offenders or (error.got or error.what,))
    ids = next(iter(columns.values()))
    found = [Check("table", "ok", f"{len(ids):,} rows"), checks.check_header(columns, header)]
    compared = [checks.check_distinct(ids)] if asked is None else [checks.check_ids(ids, asked)]
    if asked is not None:
        compared.append(checks.check_order(ids, asked))
    labels, labels_N = checks.check_labels(ids, columns.get(ANSWER, [""] * len(ids)), space)
    return [*found, *compared, labels, checks.check_task_columns(ids, columns, labels_N, space)], labels_N


def _share_check(
    labels_N: Ints, space: LabelSpace, data: Path | None, run: RunDir | None, *, sealed: bool = False
) -> Check:
    """Compare how often each class is answered with the people of the run, of the data set, or of the contest.

    sealed  a run that predicted has sealed people: without `run`, nobody in the data set is counted, as they may be
            among them.
    """
    known_N, many = labels_N[labels_N != UNKNOWN], _many(data, run)
    try:
        source, people_PJ = _known_people(space, data, run, sealed=sealed)
    except MaskclsError as error:
        return Check("classes", "skipped", f"the {many} to compare with cannot be read: {error.what}")
    if not len(known_N) or not len(people_PJ):
        why = f"the run that predicted has sealed {many}" if sealed else f"no {many} with known classes to compare with"
        return Check("classes", "skipped", f"{why}: give --run")
    rows_J, names = np.bincount(known_N, minlength=space.size), space.joint_names
    found = compare_shares(rows_J, people_PJ, draws=BOOTSTRAP_DRAWS, seed=0)
    about = f"class shares differ from {source} by {found.distance:.3f}; random variation gives up to {found.usual:.3f}"
    unusual = [
        f"{one.label} {names[one.label]}: {one.rows:,} rows, expected {one.expected:,.0f}" for one in found.unusual
    ]
    far = found.distance > found.usual and not unusual
    return check_of(
        "classes", about, ["more than random variation, though in no single class"] if far else unusual, bad="warning"
    )


def _many(data: Path | None, run: RunDir | None) -> str:
    """Return what the groups that are compared with are called: those of the run, of the data set, or the contest's."""
    if run is not None:
        return noun_of_run(run)[1]
    return PEOPLE[1] if data is None or guess_layout(data) == "contest" else "groups"


def _known_people(space: LabelSpace, data: Path | None, run: RunDir | None, *, sealed: bool) -> tuple[str, Ints]:
    """Return whose class shares are expected, and those people's rows by class, (P, J); nobody when none are known."""
    if run is not None:
        return "the run", _rows_by_person(tables.from_csv(run.manifest, space), space)
    if data is not None and (layout := layout_named(guess_layout(data))).has_labelled(data):
        if sealed:
            return "the training set", np.zeros((0, space.size), dtype=np.int64)
        return "the training set", _rows_by_person(layout.read_labelled(data, space, None, "auto"), space)
    kinds = np.eye(len(CONTEST_PEOPLE), dtype=np.int64).repeat(CONTEST_PEOPLE, axis=0)
    people_PJ = np.concatenate([photos * kinds for photos in CONTEST_PHOTOS], axis=1)
    return "the contest", people_PJ if space == CONTEST else np.zeros((0, space.size), dtype=np.int64)


def _rows_by_person(frame: pd.DataFrame, space: LabelSpace) -> Ints:
    return person_classes(space.encode(tables.labels(frame, space)), frame["person"].to_numpy(), space.size)


def _meaning_check(space: LabelSpace, data: Path | None) -> Check:
    """Warn when the numbers mean other classes than the contest's, such as bands of other ages."""
    names = space.joint_names
    prescribed = CONTEST if data is None else layout_named(guess_layout(data)).prescribed(data)
    other = prescribed is not None and space != prescribed
    faults = ["the contest has other classes for these numbers"] if other else []
    return check_of("meaning", f"0 {names[0]} to {space.size - 1} {names[-1]}", faults, bad="warning")
