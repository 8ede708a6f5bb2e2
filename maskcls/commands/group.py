"""maskcls group: group unlabelled photos that look like one person's, so that their predictions can be averaged.

N rows (photos). Only pixels are compared: neither file names nor labels of the photos to group are read. The
comparison is learned from the train photos, whose people are known, and tested on train people it was not learned
from. No network is loaded.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

import maskcls
from maskcls import config, files
from maskcls.csvfile import read_columns
from maskcls.data.layouts.source import guess_layout, image_root, layout_named, read_people, read_unlabelled
from maskcls.data.photos.identity.photo_digests import OTHER_PHOTOS, RESTORE, CollectedDigests
from maskcls.data.rows import manifest as tables
from maskcls.errors import DataError, UsageError, WeightsError
from maskcls.groupnouns import PEOPLE, Noun
from maskcls.labels import CONTEST, Ints
from maskcls.results.csv_with_origin import check_free
from maskcls.results.decisions.calibration import quality
from maskcls.results.labelled_predictions import LabelledPredictions
from maskcls.results.people.averaging import PhotoWeights
from maskcls.results.people.group_file import GROUPS, GroupSources, write_groups
from maskcls.results.people.out_of_fold import average_rows_equally, gain_over, measure_groups
from maskcls.results.photo_contents import contents_entry
from maskcls.results.predictions import Predictions
from maskcls.results.rows_by_id import rows_of
from maskcls.results.scores.consistency import person_averaged
from maskcls.results.scores.metrics import score
from maskcls.rundir import RunDir
from maskcls.runs.environment import read_environment
from maskcls.runs.group_averaging import shared_tasks
from maskcls.runs.identity import files_read
from maskcls.runs.integrity.photos_now import other_contents
from maskcls.runs.read_labelled import parts_of, read_out_of_fold
from maskcls.runs.records.noun import noun_of_run
from maskcls.runs.records.sealed_people import sealed_people
from maskcls.runs.summary import averages_in_groups
from maskcls.show.answers.group import GroupingGain, GroupResult
from maskcls.show.terminal.progress import Reporter
from maskcls.training.person_clustering import describe_photos, fit_person_clustering, group_photos, pair_rates

SPACE = CONTEST.only(["mask"])  # what the contest's table can always answer; no label is used here


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
    """Learn from the train people of `data` which photos are similar, group photos, and write the groups.

    data        the root of a contest data set, or a CSV table with the columns path and group.
    output      the CSV to write, and a .json beside it; None: write nothing.
    unlabelled  another data set whose unlabelled photos to group; None: `data`'s own eval photos.
    train       group the train photos instead, each half of the people by a model learned from the other half.
    run         measure the gain on its out-of-fold rows as well, and fit the weight of a photo by its other answers.
                Its sealed people are left out.

    Raises UsageError, DataError, ResultError for what is no finished run, WeightsError for photos of the run that
    changed, BusyError when the output exists, unless `force`.
    """
    if output is not None:
        inputs = files_read(data, unlabelled, run.path if run is not None else None)
        check_free(output, GROUPS, inputs=inputs, force=force)
    if train and unlabelled is not None:
        raise UsageError("--train and --unlabelled name different photos", fix="give one of them")
    known = _known_people(data, run)
    if run is not None and run.sealed.exists():
        known = known[~known["id"].isin(read_columns(run.sealed)["id"])].reset_index(drop=True)
    to_group = None if train else _to_group(data, unlabelled)
    if to_group is not None:
        report.notes(tables.notes(to_group))
    labelled = read_out_of_fold(run) if run else None
    if labelled is not None and run is not None:
        if averages_in_groups(run):
            fix = "leave out --run, or name a run with predict.groups=none"
            raise UsageError("the run's predictions are averaged over groups already", where=str(run.path), fix=fix)
        _check_rows(labelled, known, data)
        _check_photos(run, known, data)
    noun = _noun(data, run)
    paths, people = known["path"].tolist(), known["person"].tolist()
    read = CollectedDigests(known["id"].tolist())
    taught_ND = describe_photos(image_root(data, guess_layout(data)), paths, "reading train photos", report, read.add)
    with report.busy("learning which photos are similar"):
        taught = fit_person_clustering(taught_ND, people, str(data), noun)
    group_N, rows, rates = taught.group_N, known, pair_rates(taught)
    if to_group is not None:
        source, read = unlabelled or data, CollectedDigests(to_group["id"].tolist())
        asked_ND = describe_photos(
            image_root(source, guess_layout(source)), to_group["path"].tolist(), "reading photos", report, read.add
        )
        with report.busy("grouping"):
            group_N, rows = group_photos(taught.clusterer, asked_ND), to_group
    precision = rates.precision_of(group_N)
    with report.busy("measuring the gain"):
        gain = grouping_gain(labelled, known, taught.group_N, RunDir(run.path), precision) if labelled and run else None
    ids, most = rows["id"].tolist(), taught.clusterer.max_photos
    sources = _sources(known, rows, left_out=sealed_people(run) if run is not None else "")
    found = GroupResult(ids, group_N, most, output, taught.quality, precision, gain, sources, noun)
    if output is not None:
        weights = gain.weights if gain else None
        about = found.to_json() | contents_entry(read.found.contents)
        write_groups(output, found.ids, group_N, weights=weights, about=about, force=force)
    return found


def grouping_gain(
    labelled: LabelledPredictions, known: pd.DataFrame, group_N: Ints, run: RunDir, precision: float
) -> GroupingGain:
    """Average a run's out-of-fold rows within groups learned from other people, and compare.

    known      the table whose rows `group_N` groups; it holds all rows of the run.
    precision  pair precision expected among the photos to average.

    Raises DataError when no task is the same on all photos of each person.
    """
    assert labelled.prob_NJ is not None
    assert labelled.people_N is not None
    space, truth = labelled.space, labelled.truth
    tasks = shared_tasks(tables.from_csv(run.manifest, space), space, where=str(run.manifest))
    rows_N = group_N[rows_of(known["id"], labelled.ids)]
    found = measure_groups(labelled, rows_N, parts_of(labelled), tasks)
    equal_by_way = {way: average_rows_equally(labelled, how, tasks) for way, how in found.rows.items()}
    before = Predictions(np.array(labelled.ids, dtype=np.str_), labelled.prob_NJ, space)
    equal, weighted, true_N = equal_by_way[found.gain.way], found.believed, space.encode(truth)
    losses = tuple(quality(one.prob, true_N).log_loss for one in (before, equal, weighted))
    gain = found.gain
    weights: PhotoWeights | None = found.weights[gain.way]
    if losses[1] <= losses[2]:
        gains = {way: gain_over(labelled, rows) for way, rows in equal_by_way.items()}
        gain, weights = replace(gain, cut=gains["cut"], whole=gains["whole"]), None
    expected = gain.among(precision)
    who_N = np.unique(labelled.people_N, return_inverse=True)[1]
    averaged = person_averaged(before.labels(), who_N, space, space.only(tasks), before.prob)
    return GroupingGain(
        run=run.path.resolve().name,
        tasks=tasks,
        rows=len(rows_N),
        plain=score(before.labels(), truth, space).macro_f1,
        equal=score(equal.labels(), truth, space).macro_f1,
        weighted=score(weighted.labels(), truth, space).macro_f1,
        ceiling=score(averaged, truth, space).macro_f1,
        log_loss=(losses[0], losses[1], losses[2]),
        gain=gain.believed,
        cut=gain.cut,
        whole=gain.whole,
        expected=expected.value,
        low=expected.low,
        weights=weights,
    )


def _noun(data: Path, run: RunDir | None) -> Noun:
    if run is not None:
        return noun_of_run(run)
    return PEOPLE if guess_layout(data) == "contest" else ("group", "groups")


def _known_people(data: Path, run: RunDir | None) -> pd.DataFrame:
    """Read the labelled photos and their people, grouped as in the run; ResultError for what is no run."""
    if run is None:
        return read_people(data, guess_layout(data), "auto")
    read_environment(run)
    group = config.of_run(run.config).data.group
    try:
        return read_people(data, guess_layout(data), group)
    except DataError as error:
        if "data.group" not in str(error):
            raise
        raise error.with_fix(f"name the data set that the run was trained on, with data.group={group}") from None


def _to_group(data: Path, unlabelled: Path | None) -> pd.DataFrame:
    if unlabelled is None and not layout_named(guess_layout(data)).has_unlabelled(data):
        fix = "name them with --unlabelled, or group the train photos with --train"
        raise UsageError("the data set has no photos to predict, which could be grouped", where=str(data), fix=fix)
    return read_unlabelled(unlabelled or data, guess_layout(unlabelled or data), SPACE)


def _check_rows(labelled: LabelledPredictions, known: pd.DataFrame, data: Path) -> None:
    strange = sorted(set(labelled.ids) - set(known["id"]))
    if strange:
        fix = "name the data set that the run was trained on"
        raise DataError("rows of the run are not in the data", where=str(data), offenders=strange, fix=fix)


def _check_photos(run: RunDir, known: pd.DataFrame, data: Path) -> None:
    """Raise WeightsError for photos of the run whose content changed: its out-of-fold rows are about other photos."""
    root, path_of = image_root(data, guess_layout(data)), dict(zip(known["id"], known["path"], strict=True))
    if other := other_contents(run, root, path_of):
        raise WeightsError(OTHER_PHOTOS, where=str(root), offenders=[path_of[name] for name in other], fix=RESTORE)


def _sources(known: pd.DataFrame, rows: pd.DataFrame, *, left_out: str) -> GroupSources:
    def digest(frame: pd.DataFrame) -> str:
        return files.sha256(frame[["id", "path", "person"]].to_csv(index=False, lineterminator="\n").encode())

    version, train, photos = maskcls.__version__, digest(known), digest(rows)
    return GroupSources(maskcls=version, train_sha256=train, photos_sha256=photos, left_out=left_out)
