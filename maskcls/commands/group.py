"""`maskcls group`: find out which unlabelled photos are of one person, so that they can answer together.

N rows (photos). Only pixels group: neither names of files nor labels of the photos to group are looked at. How to
compare is learned from the train photos, whose people are known; how good that is, is told by train people it was not
learned from. No network is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from json import dumps
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import maskcls
from maskcls import config, files
from maskcls.data.layouts.source import guess_layout, image_root, layout_named, read_people, read_unlabelled
from maskcls.data.rows import manifest as tables
from maskcls.errors import DataError, UsageError
from maskcls.labels import CONTEST, Ints
from maskcls.results.comparison.bootstrap import Difference, paired_bootstrap
from maskcls.results.csv_with_origin import check_free
from maskcls.results.decisions.calibration import quality
from maskcls.results.people.averaging import (
    PhotoWeights,
    average_groups,
    cross_fit_averages,
    fit_photo_weights,
    split_groups,
)
from maskcls.results.people.clustering import PairQuality
from maskcls.results.people.group_file import GROUPS, write_groups
from maskcls.results.predictions import Predictions
from maskcls.results.rows_by_id import rows_of
from maskcls.results.scores.consistency import person_averaged
from maskcls.results.scores.evaluation import Judged
from maskcls.results.scores.metrics import score
from maskcls.results.scores.person_bootstrap import BOOTSTRAP_DRAWS
from maskcls.rundir import RunDir
from maskcls.runs.group_averaging import shared_tasks
from maskcls.runs.judged import parts_of, read_out_of_fold
from maskcls.show.progress import Reporter, say
from maskcls.training.person_clustering import describe_photos, fit_person_clustering, group_photos

SPACE = CONTEST.only(["mask"])  # what the contest's table can always answer; no label is used here


@dataclass(frozen=True)
class Worth:
    """What grouping does to a run's out-of-fold rows, with groups and weights from other people.

    tasks      what the photos of a group answer together.
    plain      macro-F1 as the rows are; `equal`: after smoothing, all photos counting the same; `weighted`: by their
               class in the other tasks; `ceiling`: plain means over the true people.
    log_loss   of the joint classes as the rows are, after equal and after weighted smoothing.
    gain       of the better of the two ways by log loss, over plain.
    weights    fitted on all of the run's rows; None where equal say has the lower log loss.
    """

    run: str
    tasks: tuple[str, ...]
    rows: int
    plain: float
    equal: float
    weighted: float
    ceiling: float
    log_loss: tuple[float, float, float]
    gain: Difference
    weights: PhotoWeights | None

    @property
    def worth_it(self) -> bool:
        """Whether the whole interval of the gain lies above 0."""
        return self.gain.low > 0

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {**asdict(self), "worth_it": self.worth_it}


@dataclass(frozen=True, eq=False)
class Found:
    """What `group` found. ids, group_N: of the photos that were to be grouped; `most`: photos of a train person.

    quality  of train people grouped by what others taught.
    worth    where a run was given.
    about    where all of it comes from, plain data.
    """

    ids: Sequence[str]
    group_N: Ints
    most: int
    quality: PairQuality
    worth: Worth | None
    about: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        photos = {"photos": len(self.ids), "groups": len(np.unique(self.group_N)), "most": self.most}
        return {**photos, "held_out": self.quality.to_json(), "worth": self.worth and self.worth.to_json()} | self.about


def group(
    data: Path,
    *,
    output: Path | None,
    photos: Path | None = None,
    train: bool = False,
    run: RunDir | None = None,
    force: bool = False,
    json: bool = False,
    report: Reporter,
) -> Found:
    """Learn from the train people of `data`, group photos, write and print the result.

    data    the root of a contest data set, or a CSV table with the columns path and group.
    output  the CSV to write, and a .json beside it; None: print only.
    photos  another data set whose unlabelled photos to group; None: `data`'s own eval photos.
    train   group the train photos in their place, each half of the people by what the other half taught.
    run     judge by its out-of-fold rows as well, and fit how much a photo says by its other answers.

    Raises UsageError, DataError, ResultError for what is no finished run, BusyError when the output exists, unless
    `force`.
    """
    if output is not None:
        check_free(output, GROUPS, force=force)
    if train and photos is not None:
        raise UsageError("--train and --photos name different photos", fix="give one of them")
    known = read_people(data, guess_layout(data))
    to_group = None if train else _to_group(data, photos)
    judged = read_out_of_fold(run) if run else None
    if judged is not None and run is not None:
        if config.load(run.config)[0].predict.groups != "none":
            fix = "leave out --run, or name a run with predict.groups=none"
            raise UsageError("photos of the run answer together already", where=str(run.path), fix=fix)
        _check_rows(judged, known, data)
    paths, people = known["path"].tolist(), known["person"].tolist()
    taught_ND = describe_photos(image_root(data, guess_layout(data)), paths, "reading train photos", report)
    taught = fit_person_clustering(taught_ND, people, str(data))
    worth = judge(judged, known, taught.group_N, RunDir(run.path)) if judged and run else None
    group_N, rows = taught.group_N, known
    if to_group is not None:
        source = photos or data
        asked_ND = describe_photos(
            image_root(source, guess_layout(source)), to_group["path"].tolist(), "reading photos", report
        )
        group_N, rows = group_photos(taught.clusterer, asked_ND), to_group
    found = Found(rows["id"].tolist(), group_N, taught.clusterer.max_photos, taught.quality, worth, _about(known, rows))
    if output is not None:
        weights = worth.weights if worth else None
        write_groups(output, found.ids, group_N, weights=weights, about=found.to_json(), force=force)
    print_found(found, output, json=json)
    return found


def judge(judged: Judged, known: pd.DataFrame, group_N: Ints, run: RunDir) -> Worth:
    """Smooth a run's out-of-fold rows by groups that other people taught, and compare.

    known    the table whose rows `group_N` groups; it holds all rows of the run.

    Raises DataError when no task is the same on all photos of each person.
    """
    assert judged.prob_NJ is not None
    assert judged.people_N is not None
    assert judged.fold_N is not None
    space, truth = judged.space, judged.truth
    tasks = shared_tasks(tables.from_csv(run.manifest, space), space, where=str(run.manifest))
    own_N = split_groups(group_N[rows_of(known["id"], judged.ids)], judged.fold_N)
    before = Predictions(np.array(judged.ids, dtype=np.str_), judged.prob_NJ, space)
    equal = average_groups(before, own_N, tasks)
    true_N = space.encode(truth)
    weighted = cross_fit_averages(before, truth, own_N, parts_of(judged), tasks)
    losses = tuple(quality(one.prob, true_N).log_loss for one in (before, equal, weighted))
    better = weighted if losses[2] < losses[1] else equal
    who_N = np.unique(judged.people_N, return_inverse=True)[1]
    averaged = person_averaged(before.labels(), who_N, space, space.only(tasks), before.prob)
    labels = (before.labels(), better.labels())
    return Worth(
        run=run.path.resolve().name,
        tasks=tasks,
        rows=len(own_N),
        plain=score(before.labels(), truth, space).macro_f1,
        equal=score(equal.labels(), truth, space).macro_f1,
        weighted=score(weighted.labels(), truth, space).macro_f1,
        ceiling=score(averaged, truth, space).macro_f1,
        log_loss=(losses[0], losses[1], losses[2]),
        gain=paired_bootstrap(true_N, *labels, who_N, space.size, draws=BOOTSTRAP_DRAWS, seed=judged.seed),
        weights=fit_photo_weights(before.prob, truth, own_N, space, tasks) if better is weighted else None,
    )


def print_found(found: Found, output: Path | None, *, json: bool = False) -> None:
    """Print to stdout: lines for a person, or with `json` one JSON object."""
    if json:
        say(dumps(found.to_json(), allow_nan=False))
        return
    groups, held = len(np.unique(found.group_N)), found.quality
    size = f"of {len(found.ids) / groups:.2f}, {found.most} at most"
    say(f"{f'{output}  ' if output else ''}{len(found.ids):,} photos in {groups:,} groups {size}")
    say(f"on {held.people:,} train people, each half grouped by what the other half taught, by look alone:")
    say(f"  pair precision {held.precision:.4f}   pair recall {held.recall:.4f}   {held.mean_size:.2f} photos a group")
    if found.worth:
        _say_worth(found.worth)


def _say_worth(worth: Worth) -> None:
    gain = worth.gain
    loss = " -> ".join(f"{value:.4f}" for value in worth.log_loss)
    say(f"out-of-fold rows of {worth.run}, {worth.rows:,} images, {' and '.join(worth.tasks)} smoothed within groups:")
    equal = f"{worth.equal:.4f} all photos counting the same"
    say(f"  macro-F1 {worth.plain:.4f} without, {equal}, {worth.weighted:.4f} weighted")
    say(f"  log loss {loss}   {worth.ceiling:.4f} plain means over the true people")
    if worth.weights:
        say("  weights " + ", ".join(f"{name} {value:.2f}" for name, value in worth.weights.items()))
    say(f"  gain {gain.value:+.4f}   {gain.level:.0%} interval [{gain.low:+.4f}, {gain.high:+.4f}] over people")
    say("worth it" if worth.worth_it else "not worth it: the interval holds 0")


def _to_group(data: Path, photos: Path | None) -> pd.DataFrame:
    if photos is None and not layout_named(guess_layout(data)).in_parts:
        fix = "name their table with --photos, or group the train photos with --train"
        raise UsageError("a table has no eval photos", where=str(data), fix=fix)
    return read_unlabelled(photos or data, guess_layout(photos or data), SPACE)


def _check_rows(judged: Judged, known: pd.DataFrame, data: Path) -> None:
    strange = sorted(set(judged.ids) - set(known["id"]))
    if strange:
        fix = "name the data set that the run was trained on"
        raise DataError("rows of the run are not in the data", where=str(data), offenders=strange, fix=fix)


def _about(known: pd.DataFrame, rows: pd.DataFrame) -> dict[str, Any]:
    def digest(frame: pd.DataFrame) -> str:
        return files.sha256(frame[["id", "path", "person"]].to_csv(index=False, lineterminator="\n").encode())

    return {"maskcls": maskcls.__version__, "train_sha256": digest(known), "photos_sha256": digest(rows)}
