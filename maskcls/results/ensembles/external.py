"""Read a member of an ensemble from a file of another program: a table of probabilities, an npz, or a submission.

N rows, C classes of one task, J joint classes. Columns are matched by name, rows by id, and nothing is rescaled: a row
that does not sum to 1 is an error, because it may hold logits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from maskcls import files
from maskcls.csvfile import read_columns
from maskcls.errors import DataError, ResultError, WeightsError
from maskcls.files.arrays import read_arrays
from maskcls.labels import UNKNOWN, Floats, LabelSpace
from maskcls.results.predicted.rows import class_columns, columns_beside
from maskcls.results.predictions import DAMAGE, ENTRIES, Predictions, Texts
from maskcls.results.scores.metrics import Doubles
from maskcls.results.submissions.answers import ANSWER, read_answers
from maskcls.results.submissions.write import sidecar_space
from maskcls.spelling import lookalikes, plain_number

SHOWN_NAMES = 4
MEMBER = files.FileKind("a member", DataError, 1 << 30, "name a run, a CSV or an npz")


def read_member(path: Path, space: LabelSpace) -> Predictions:
    """Read predictions from a file; its form follows from the suffix and the names of the columns.

    `.npz`         one written by maskcls, or arrays `ids` (N,) text and `prob` (N, J), and if the columns are in
                   another order than the joint classes, `classes` (J,) text with their names. Others are not read.
    anything else  a CSV whose first column is the id, and then, in any order, either
                     J columns named as the joint classes, or 0 .. J-1, or p0 .. pJ-1;
                     or a column `task/class` for every class of every task; they are multiplied as if independent;
                        the other columns of `predict --probabilities` may be there, and are not read;
                     or labels as `answers.read_answers` takes them: every row is then sure of its label.

    The rows keep the file's order; `Predictions.align` and the ensembles join by id. Lineage: `kind` ("maskcls",
    "npz", "probabilities", "task probabilities" or "labels"), `file` (its name), `sha256`, and `lineage`, the one
    that a file of maskcls or the sidecar of a submission holds.

    Raises DataError for a file that is none of these, repeated ids, and rows that are no probabilities; ResultError for
    a damaged file of maskcls; WeightsError when a file has another label space.
    """
    origin = {"file": path.name, "sha256": files.file_sha256(path, MEMBER)}
    read = _read_npz if path.suffix.lower() == ".npz" else _read_csv
    return read(path, space, origin)


# ---- CSV -------------------------------------------------------------------------------------------------------------


def _read_csv(path: Path, space: LabelSpace, origin: Mapping[str, Any]) -> Predictions:
    ids, *_ = (columns := read_columns(path)).values()
    names = list(columns)[1:]
    origin = {**origin, **_sidecar_lineage(path, space)}
    if (order := _joint_order(names, space)) is not None:
        prob_NJ = _numbers(path, ids, columns, names)[:, order]
        return _predictions(path, ids, prob_NJ, space, {"kind": "probabilities", **origin})
    if set(class_columns(space)) <= set(names) <= {*class_columns(space), *columns_beside(space)}:
        lineage = {"kind": "task probabilities", **origin}
        return _predictions(path, ids, _from_tasks(path, ids, columns, space), space, lineage)
    if _looks_like_labels(names, space):
        return _from_labels(path, space, {"kind": "labels", **origin})
    raise _unknown_columns(path, names, space)


def _joint_order(names: Sequence[str], space: LabelSpace) -> list[int] | None:
    """Return which column holds joint class 0, 1, ...; None when the names are not those of the joint classes."""
    for known in _forms(space)[:-1]:
        if len(names) == space.size and set(names) == set(known):
            return [names.index(name) for name in known]
    return None


def _forms(space: LabelSpace) -> list[list[str]]:
    """Return the columns of every form that holds probabilities: joint classes by name and by number, then tasks."""
    numbers = range(space.size)
    return [list(space.joint_names), [str(j) for j in numbers], [f"p{j}" for j in numbers], class_columns(space)]


def _from_tasks(path: Path, ids: Sequence[str], columns: Mapping[str, Sequence[str]], space: LabelSpace) -> Floats:
    prob = {}
    for task in space.tasks:
        alone = LabelSpace((task,))
        prob_NC = _numbers(path, ids, columns, class_columns(alone))
        prob[task.name] = _predictions(path, ids, prob_NC, alone, {}, of=f", task {task.name}").prob
    return space.compose(prob)


def _from_labels(path: Path, space: LabelSpace, lineage: Mapping[str, Any]) -> Predictions:
    ids, labels = read_answers(path, space)
    joint_N = space.encode(labels)
    if (joint_N == UNKNOWN).any():
        raise DataError(
            "a member leaves labels empty",
            where=str(path),
            expected="a label of every task on every row",
            offenders=[repr(ids[row]) for row in np.flatnonzero(joint_N == UNKNOWN).tolist()],
            fix="fill in these labels, or leave the member out",
        )
    return _predictions(path, ids, np.eye(space.size, dtype=np.float32)[joint_N], space, lineage)


def _looks_like_labels(names: Sequence[str], space: LabelSpace) -> bool:
    """Say whether the columns state labels and no probability beside them that would be passed over."""
    stated = ANSWER in names or set(space.names) <= set(names)
    return stated and not any(set(names) & set(form) for form in _forms(space))


def _numbers(path: Path, ids: Sequence[str], columns: Mapping[str, Sequence[str]], names: Sequence[str]) -> Doubles:
    """Return the named columns as (N, len(names)) float64; DataError that names the cells which are no number."""
    value_NJ = np.empty((len(ids), len(names)))
    wrong: list[str] = []
    for column, name in enumerate(names):
        try:
            value_NJ[:, column] = [plain_number(text) for text in columns[name]]
        except ValueError:
            wrong += [f"{ids[row]!r}, column {name}: {text!r}" for row, text in _not_numbers(columns[name])]
    if wrong:
        raise DataError("a probability is no number", where=str(path), expected="a number in 0..1", offenders=wrong)
    return value_NJ


def _not_numbers(column: Sequence[str]) -> list[tuple[int, str]]:
    wrong = []
    for row, text in enumerate(column):
        try:
            plain_number(text)
        except ValueError:
            wrong.append((row, text))
    return wrong


def _unknown_columns(path: Path, names: Sequence[str], space: LabelSpace) -> DataError:
    """Say which of the forms the columns are nearest to, and what is missing or too many for it."""
    forms = _forms(space)
    nearest = max(forms, key=lambda form: len(set(form) & set(names)))
    missing, extra = ([n for n in a if n not in b] for a, b in ((nearest, names), (names, nearest)))
    if len(missing) == len(nearest):
        got = f"after the id: {_shown(names)}"
    else:
        parts = (f"missing: {_shown(missing)}" if missing else "", f"not expected: {_shown(extra)}" if extra else "")
        got = "; ".join(part for part in parts if part)
    expected = [f"{_shown(form)} ({len(form)} columns)" for form in (nearest, *(f for f in forms if f is not nearest))]
    return DataError(
        "the columns do not fit any form of a member",
        where=str(path),
        got=got,
        expected=f"the id, then {'; or '.join(expected)}; or labels: {ANSWER}, or all of {', '.join(space.names)}",
        fix="name the columns exactly so, in any order, and no others",
    )


def _shown(names: Sequence[str]) -> str:
    names = list(names)
    if len(names) > SHOWN_NAMES:
        names = [*names[: SHOWN_NAMES - 1], "…", names[-1]]
    return ", ".join(names) or "no column"


def _sidecar_lineage(path: Path, space: LabelSpace) -> dict[str, Any]:
    """Return the lineage beside a submission of maskcls, by that name; nothing for other files."""
    found = sidecar_space(path)
    if found is None:
        return {}
    _check_space(path, found, space)
    return {"lineage": files.read_json(files.sidecar_path(path), files.SIDECAR_FILE).get("lineage")}


# ---- npz -------------------------------------------------------------------------------------------------------------


def _read_npz(path: Path, space: LabelSpace, origin: Mapping[str, Any]) -> Predictions:
    try:
        arrays = read_arrays(files.read_file(path, MEMBER), stored=False)
    except DAMAGE as error:
        raise DataError(
            "this npz cannot be read",
            where=str(path),
            got=f"{type(error).__name__}: {error}",
            expected="arrays of text and numbers, without Python objects",
            fix="write it again with numpy.savez and ids as text",
        ) from None
    if arrays.keys() == ENTRIES:
        ours = Predictions.load(path)
        _check_space(path, ours.space, space)
        return Predictions(ours.ids, ours.prob, space, {"kind": "maskcls", **origin, "lineage": ours.lineage})
    missing = [name for name in ("ids", "prob") if name not in arrays]
    if missing:
        raise DataError(
            "the npz lacks an array",
            where=str(path),
            got=", ".join(sorted(arrays)) or "no array",
            expected=f"ids (N,) text and prob (N, {space.size}), and classes ({space.size},) if in another order",
            fix=f"add {' and '.join(missing)}",
        )
    prob_NJ, ids_N = arrays["prob"], arrays["ids"]
    if ids_N.dtype.kind != "U" or ids_N.ndim != 1:
        raise DataError(
            "the ids of the npz are not a list of text",
            where=str(path),
            got=f"{ids_N.dtype} of shape {ids_N.shape}",
            fix="write them as text: numbers and text are different ids",
        )
    if "classes" in arrays:
        prob_NJ = prob_NJ[:, _npz_order(path, arrays["classes"].tolist(), prob_NJ.shape, space)]
    return _predictions(path, ids_N, prob_NJ, space, {"kind": "npz", **origin})


def _npz_order(path: Path, classes: Any, shape: tuple[int, ...], space: LabelSpace) -> list[int]:
    names = [str(name) for name in classes] if isinstance(classes, list) else []
    order = _joint_order(names, space) if shape[1:] == (space.size,) else None
    if order is None:
        raise DataError(
            "the array classes does not name the columns",
            where=str(path),
            got=f"{_shown(names)} for probabilities of shape {shape}",
            expected=f"{_shown(space.joint_names)} ({space.size} names), in the order of the columns",
        )
    return order


# ---- both ------------------------------------------------------------------------------------------------------------


def _predictions(
    path: Path,
    ids: Sequence[str] | Texts,
    prob_NJ: Doubles | Floats,
    space: LabelSpace,
    lineage: Mapping[str, Any],
    *,
    of: str = "",
) -> Predictions:
    """Return checked predictions; an error in them is a DataError that names the file."""
    if faults := lookalikes(map(str, ids)):
        raise DataError(
            "ids of a member look the same", where=f"{path}{of}", offenders=faults, fix="give every id one spelling"
        )
    try:
        return Predictions(ids, prob_NJ, space, lineage)  # type: ignore[arg-type]  # it checks both itself
    except ResultError as error:
        raise DataError(
            error.what,
            where=f"{path}{of}",
            got=error.got,
            expected=error.expected,
            fix="write probabilities (after softmax) with six digits or more, one row an id",
            offenders=error.offenders,
        ) from None


def _check_space(path: Path, found: LabelSpace, space: LabelSpace) -> None:
    if found.fingerprint != space.fingerprint:
        got, expected = found.first_difference(space)
        raise WeightsError(
            "a member has another label space",
            where=str(path),
            got=got,
            expected=expected,
            fix="use a member made with the same tasks, class order and bins",
        )
