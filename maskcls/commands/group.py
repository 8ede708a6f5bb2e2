"""maskcls group: group unlabelled photos that look like one person's, so that their predictions can be averaged.

N rows (photos). Only pixels are compared: neither file names nor labels of the photos to group are read. The
comparison is learned from the train photos, whose people are known, and tested on train people it was not learned
from. No network is loaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import maskcls
from maskcls import config, files
from maskcls.csvfile import read_csv
from maskcls.data.layouts.source import image_root, read_labelled, read_unlabelled
from maskcls.data.rows import manifest as tables
from maskcls.errors import DataError, UsageError
from maskcls.labels import CONTEST, Ints
from maskcls.results.comparison.bootstrap import paired_bootstrap
from maskcls.results.decisions.calibration import quality
from maskcls.results.people.groups import check_free, cross_smoothed, fit_weights, smooth, within, write_groups
from maskcls.results.predictions import Predictions
from maskcls.results.scores.consistency import person_averaged
from maskcls.results.scores.evaluation import Judged
from maskcls.results.scores.metrics import score
from maskcls.rundir import RunDir
from maskcls.runs.group_averaging import shared_tasks
from maskcls.runs.judged import parts_of, read_run
from maskcls.show.group import GroupingGain, GroupResult
from maskcls.show.progress import Reporter
from maskcls.training.grouping import compared, described, learned_from

SPACE = CONTEST.only(["mask"])  # what the contest's table can always answer; no label is used here
DRAWS = 1000


def group(
    data: Path,
    *,
    output: Path | None,
    unlabelled: Path | None = None,
    train: bool = False,
    run: RunDir | None = None,
    force: bool = False,
    report: Reporter,
) -> GroupResult:
    """Learn from the train people of `data` which photos look alike, group photos, and write the groups.

    data        the root of a contest data set, or a CSV table with the columns path and group.
    output      the CSV to write, and a .json beside it; None: write nothing.
    unlabelled  another data set whose unlabelled photos to group; None: `data`'s own eval photos.
    train       group the train photos instead, each half of the people by a model learned from the other half.
    run         measure the gain on its out-of-fold rows as well, and fit the weight of a photo by its other answers.

    Raises UsageError, DataError, ResultError for what is no finished run, BusyError when the output exists, unless
    `force`.
    """
    if output is not None:
        check_free(output, force=force)
    if train and unlabelled is not None:
        raise UsageError("--train and --unlabelled name different photos", fix="give one of them")
    known = _known(data)
    to_group = None if train else _to_group(data, unlabelled)
    judged = read_run(run) if run else None
    if judged is not None and run is not None:
        if config.load(run.config)[0].predict.groups != "none":
            fix = "leave out --run, or name a run with predict.groups=none"
            raise UsageError("the run's predictions are averaged over groups already", where=str(run.path), fix=fix)
        _check_rows(judged, known, data)
    paths, people = known["path"].tolist(), known["person"].tolist()
    taught_ND = described(image_root(data, _format(data)), paths, "reading train photos", report)
    taught = learned_from(taught_ND, people, str(data))
    worth = grouping_gain(judged, known, taught.group_N, RunDir(run.path)) if judged and run else None
    group_N, rows = taught.group_N, known
    if to_group is not None:
        source = unlabelled or data
        asked_ND = described(image_root(source, _format(source)), to_group["path"].tolist(), "reading photos", report)
        group_N, rows = compared(taught.grouper, asked_ND), to_group
    ids, most = rows["id"].tolist(), taught.grouper.most
    found = GroupResult(ids, group_N, most, output, taught.quality, worth, _about(known, rows))
    if output is not None:
        weights = worth.weights if worth else None
        write_groups(output, found.ids, group_N, weights=weights, about=found.to_json(), force=force)
    return found


def grouping_gain(judged: Judged, known: pd.DataFrame, group_N: Ints, run: RunDir) -> GroupingGain:
    """Average a run's out-of-fold rows within groups learned from other people, and compare.

    known    the table whose rows `group_N` groups; it holds all rows of the run.

    Raises DataError when no task is the same on all photos of each person.
    """
    assert judged.prob_NJ is not None
    assert judged.people_N is not None
    assert judged.fold_N is not None
    space, truth = judged.space, judged.truth
    tasks = shared_tasks(tables.from_csv(run.manifest, space), space, where=str(run.manifest))
    place = pd.Series(group_N, index=known["id"])
    own_N = within(place.loc[list(judged.ids)].to_numpy(dtype=np.int64), judged.fold_N)
    before = Predictions(np.array(judged.ids, dtype=np.str_), judged.prob_NJ, space)
    equal = smooth(before, own_N, tasks)
    true_N = space.encode(truth)
    weighted = cross_smoothed(before, truth, own_N, parts_of(judged), tasks)
    losses = tuple(quality(one.prob, true_N).log_loss for one in (before, equal, weighted))
    better = weighted if losses[2] < losses[1] else equal
    who_N = np.unique(judged.people_N, return_inverse=True)[1]
    averaged = person_averaged(before.labels(), who_N, space, space.only(tasks), before.prob)
    labels = (before.labels(), better.labels())
    return GroupingGain(
        run=run.path.resolve().name,
        tasks=tasks,
        rows=len(own_N),
        plain=score(before.labels(), truth, space).macro_f1,
        equal=score(equal.labels(), truth, space).macro_f1,
        weighted=score(weighted.labels(), truth, space).macro_f1,
        ceiling=score(averaged, truth, space).macro_f1,
        log_loss=(losses[0], losses[1], losses[2]),
        gain=paired_bootstrap(true_N, *labels, who_N, space.size, draws=DRAWS, seed=judged.seed),
        weights=fit_weights(before.prob, truth, own_N, space, tasks) if better is weighted else None,
    )


def _format(data: Path) -> str:
    return "table" if data.is_file() else "contest"


def _known(data: Path) -> pd.DataFrame:
    """Return the train photos with their people; only the columns that name these are looked at."""
    if _format(data) == "contest":
        if data.is_dir() and not (data / "train").exists():
            fix = "name the data set that holds train/, and the photos to group with --unlabelled"
            raise DataError("there are no train people to learn from", where=str(data), fix=fix)
        return read_labelled(data, "contest", SPACE)
    frame = read_unlabelled(data, "table", SPACE)
    person = read_csv(data, required=["path", "group"])["group"]
    empty = [f"line {line}" for line in person.index[person == ""]]
    if empty:
        raise DataError(
            "rows without a person", where=f"{data}, column group", offenders=empty, fix="name the person of every row"
        )
    return frame.assign(person=person.tolist())


def _to_group(data: Path, unlabelled: Path | None) -> pd.DataFrame:
    if unlabelled is None and _format(data) == "table":
        fix = "name their table with --unlabelled, or group the train photos with --train"
        raise UsageError("a table has no eval photos", where=str(data), fix=fix)
    return read_unlabelled(unlabelled or data, _format(unlabelled or data), SPACE)


def _check_rows(judged: Judged, known: pd.DataFrame, data: Path) -> None:
    strange = sorted(set(judged.ids) - set(known["id"]))
    if strange:
        fix = "name the data set that the run was trained on"
        raise DataError("rows of the run are not in the data", where=str(data), offenders=strange, fix=fix)


def _about(known: pd.DataFrame, rows: pd.DataFrame) -> dict[str, Any]:
    def digest(frame: pd.DataFrame) -> str:
        return files.sha256(frame[["id", "path", "person"]].to_csv(index=False, lineterminator="\n").encode())

    return {"maskcls": maskcls.__version__, "train_sha256": digest(known), "photos_sha256": digest(rows)}
