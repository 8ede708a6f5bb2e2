"""Predictions with the labels of the same rows, joined by id, from a run, a submission or a .npz."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maskcls.csvfile import read_columns
from maskcls.data.layouts.table_columns import SPLIT, TEST
from maskcls.errors import DataError, ResultError, UsageError, shell_word
from maskcls.labels import CONTEST, UNKNOWN, Ints, LabelSpace
from maskcls.results.labelled_predictions import LabelledPredictions
from maskcls.results.predictions import Predictions
from maskcls.results.rows_by_id import check_same_ids, rows_of
from maskcls.results.submissions.answers import read_answers
from maskcls.results.submissions.write import sidecar_lineage, sidecar_space
from maskcls.rundir import RunDir
from maskcls.runs.identity import changed_files
from maskcls.spelling import appearance, lookalikes

PEOPLE = ("person", "group")  # columns of the answers that name the person on a photo; the first one found is used
GROUPS = 5  # groups of people, for a run with one fold
LEAKY = "the run is leaky: its networks were trained on its validation rows, so it has no score"
SCORED_FIX = "name a run that was trained without data.leaky=true"


def read_labelled_predictions(what: Path, answers: Path | None) -> LabelledPredictions:
    """Read a run folder's out-of-fold rows, or a submission or predictions (.npz) with the answers to them.

    Raises UsageError when answers are missing or not needed, DataError or ResultError for wrong files.
    """
    if not what.exists():
        raise DataError("no such file or folder", where=str(what), fix="check the path")
    if what.is_dir():
        if answers is not None:
            fix = "leave out --answers, or name a submission"
            raise UsageError("a run has the labels of its rows", where="--answers", got=str(answers), fix=fix)
        return read_out_of_fold(RunDir(what))
    if answers is None:
        fix = "give --answers, a CSV of ids and true labels or a folder of class folders; only a run folder needs none"
        raise UsageError("labels needed", where=str(what), expected="--answers", fix=fix)
    return read_predictions(what, answers) if what.suffix == ".npz" else read_submission(what, answers)


def read_submission(submission: Path, answers: Path, space: LabelSpace | None = None) -> LabelledPredictions:
    """Join a submission and the true answers by id.

    space  the labels' meaning; None: that of the submission's sidecar, or the contest's without one.

    Raises DataError when a file is wrong, the ids differ, or no answer is known.
    """
    space = space or sidecar_space(submission) or CONTEST
    pred_ids, pred = read_answers(submission, space)
    true_ids, truth = _read_truth(answers, space, pred_ids)
    check_same_ids(pred_ids, true_ids, names=(str(submission), str(answers)))
    joint_N = space.encode(pred)
    check_complete(submission, pred_ids, joint_N == UNKNOWN)
    order_N = rows_of(pred_ids, true_ids)
    return LabelledPredictions(
        true_ids,
        joint_N[order_N],
        truth,
        space,
        people_N=_read_people(answers, true_ids, space),
        adapted=adaptations_in(sidecar_lineage(submission)),
    )


def read_predictions(path: Path, answers: Path) -> LabelledPredictions:
    """Join predictions and the true answers by id; raises DataError as `read_submission` does, or ResultError."""
    predictions = load_scorable(path)
    ids, truth = _read_truth(answers, predictions.space, predictions.ids.tolist())
    predictions = predictions.align(ids, names=(str(path), str(answers)))
    return LabelledPredictions(
        ids,
        predictions.labels(),
        truth,
        predictions.space,
        predictions.prob,
        _read_people(answers, ids, predictions.space),
        adapted=adaptations_in(predictions.lineage),
    )


def load_scorable(path: Path) -> Predictions:
    """Load predictions that may be scored; ResultError for out-of-fold rows of a leaky run, also as part of others."""
    return _scorable(Predictions.load(path), path)


def _scorable(predictions: Predictions, path: Path) -> Predictions:
    if _says_leaky(predictions.lineage):
        raise ResultError(LEAKY, where=str(path), fix=SCORED_FIX)
    return predictions


def read_out_of_fold(run: RunDir) -> LabelledPredictions:
    """Read a run's out-of-fold predictions with the labels, people and folds of their rows.

    Raises ResultError when the run is leaky or not finished, or its files were changed or do not fit together.
    """
    from maskcls import config
    from maskcls.data.rows import folds as folding
    from maskcls.data.rows import manifest as tables
    from maskcls.runs.environment import read_environment
    from maskcls.runs.integrity.oof_file import read_run_oof
    from maskcls.schema.group_noun import group_noun

    env = read_environment(run)
    if is_leaky(run):
        raise ResultError(LEAKY, where=str(run.path), fix=SCORED_FIX)
    if not run.oof.exists():
        raise ResultError("the run is not finished", where=str(run.path), fix=f"maskcls resume {shell_word(run.path)}")
    if changed := changed_files(run, env.hashes):
        raise ResultError("files of the run were changed", where=str(run.path), offenders=changed, fix="restore them")
    oof, cfg = _scorable(read_run_oof(run), run.oof), config.of_run(run.config)
    if oof.space.fingerprint != cfg.space.fingerprint:
        raise ResultError(
            "the predictions have other classes than the run",
            where=str(run.oof),
            fix="restore the file from a copy of the run",
        )
    frame, folds = tables.from_csv(run.manifest, cfg.space), folding.from_csv(run.folds)
    ids = frame["id"].tolist()
    if strange := sorted(set(oof.ids.tolist()) - set(ids)):
        raise ResultError(
            "predicted rows are not in the manifest",
            where=str(run.oof),
            offenders=strange,
            fix="restore the file from a copy of the run",
        )
    rows_N = rows_of(ids, oof.ids.tolist())
    truth = {name: labels[rows_N] for name, labels in tables.labels(frame, cfg.space).items()}
    people_N = frame["person"].to_numpy(np.str_)[rows_N]
    fold_N = folds["fold"].to_numpy(np.int64)[rows_of(folds["id"].tolist(), oof.ids.tolist())]
    return LabelledPredictions(
        oof.ids.tolist(),
        oof.labels(),
        truth,
        cfg.space,
        oof.prob,
        people_N,
        fold_N,
        seed=cfg.seed,
        noun=group_noun(cfg),
    )


def parts_of(labelled: LabelledPredictions) -> Ints:
    """Return the part of each row for a cross-validation: a run's folds, or groups of people if it has one fold."""
    from maskcls.data.rows import folds as folding

    assert labelled.fold_N is not None
    assert labelled.people_N is not None
    if len(np.unique(labelled.fold_N)) > 1:
        return labelled.fold_N
    people = labelled.people_N.tolist()
    groups = min(GROUPS, len(set(people)))
    return folding.make_folds(people, np.zeros(len(people), np.int64), k=groups).astype(np.int64)


def is_leaky(run: RunDir) -> bool:
    """Tell whether a finished run may have trained on people of its validation folds."""
    from maskcls.runs.summary import read_summary

    summary = read_summary(run)
    return summary is not None and summary.leaky


def _says_leaky(data: object) -> bool:
    """Tell whether a summary, or a lineage at any depth, says `leaky`."""
    if isinstance(data, Mapping):
        return data.get("leaky") is True or any(map(_says_leaky, data.values()))
    return isinstance(data, list) and any(map(_says_leaky, data))


def adaptations_in(data: object) -> tuple[str, ...]:
    """Return how networks were adapted to the photos, by a lineage at any depth, sorted.

    >>> adaptations_in({"members": [{"adapt": {"method": "coral"}}, {"adapt": None}]})
    ('coral',)
    """
    if isinstance(data, list | tuple):
        return tuple(sorted({name for one in data for name in adaptations_in(one)}))
    if not isinstance(data, Mapping):
        return ()
    adapt = data.get("adapt")
    own = [str(adapt["method"])] if isinstance(adapt, Mapping) and "method" in adapt else []
    return tuple(sorted({*own, *adaptations_in(list(data.values()))}))


def read_true_labels(answers: Path, space: LabelSpace, asked: Sequence[str]) -> tuple[list[str], dict[str, Ints]]:
    """Read ids and true labels (N,) by task from a CSV, or from a folder of class folders.

    asked  predicted ids. A table with a column `split` is the whole data set: where exactly its rows of test are asked
           for, the others are left out.

    Raises DataError as `read_answers` and `read_folder_answers`.
    """
    if not answers.is_dir():
        ids, labels = read_answers(answers, space)
        rows = _rows_of_test(answers, space)
        if {ids[row] for row in rows} != set(asked):
            return ids, labels
        return [ids[row] for row in rows], {name: label_N[rows] for name, label_N in labels.items()}
    from maskcls.data.layouts.folder_answers import read_folder_answers

    return read_folder_answers(answers, space, asked)


def _rows_of_test(answers: Path, space: LabelSpace) -> list[int]:
    """Return the rows whose cell of a column `split` is test; [] without such a column."""
    columns = read_columns(answers)
    split = next((name for name in columns if name.casefold() == SPLIT and name not in space.names), None)
    return [] if split is None else [row for row, cell in enumerate(columns[split]) if cell.casefold() == TEST]


def _read_truth(answers: Path, space: LabelSpace, asked: Sequence[str]) -> tuple[list[str], dict[str, Ints]]:
    ids, truth = read_true_labels(answers, space, asked)
    if all((truth[name] == UNKNOWN).all() for name in space.names):
        raise DataError("the answers hold no label", where=str(answers), fix="fill in the true labels")
    return ids, truth


def people_of_answers(answers: Path, space: LabelSpace, ids: Sequence[str] | None = None) -> list[str] | None:
    """Return the person of each row, "" where a cell is empty; None without such a column, and for class folders.

    ids  of the wanted rows, in this order; None: all rows of the answers.

    Raises DataError when a person has two spellings.
    """
    if answers.is_dir():
        return None
    id_name, *others = columns = read_columns(answers, known=[name for name in PEOPLE if name not in space.names])
    name = next((name for name in PEOPLE if name in others and name not in space.names), None)
    if name is None:
        return None
    if faults := lookalikes(columns[name], columns[id_name]):
        fix = "give every person one spelling"
        raise DataError("people look the same", where=f"{answers}, column {name}", offenders=faults, fix=fix)
    return columns[name] if ids is None else [columns[name][row] for row in rows_of(columns[id_name], ids).tolist()]


def _read_people(answers: Path, ids: Sequence[str], space: LabelSpace) -> NDArray[np.str_] | None:
    """Return the person of each row of the answers; None without such a column, DataError when cells are empty."""
    people = people_of_answers(answers, space, ids)
    if people is None or not any(people):
        return None
    if empty := [repr(id) for id, person in zip(ids, people, strict=True) if not appearance(person)]:
        fix = "fill in every row, or remove the column"
        raise DataError("rows without a person", where=f"{answers}, {' or '.join(PEOPLE)}", offenders=empty, fix=fix)
    return np.array(people)


def check_complete(path: Path, ids: Sequence[str], unknown_N: NDArray[np.bool_]) -> None:
    """Raise DataError, naming them, when rows of a submission have no label of some task."""
    if unknown_N.any():
        raise DataError(
            "the submission leaves labels empty",
            where=str(path),
            expected="a label of every task on every row",
            offenders=[repr(ids[row]) for row in np.flatnonzero(unknown_N).tolist()],
            fix="write it again with maskcls predict",
        )
