"""maskcls data labels: suspected label faults from out-of-fold rows; and whether correcting them helps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from maskcls import files
from maskcls.data.layouts.fixes import COLUMNS, fix_rows, with_earlier
from maskcls.data.layouts.source import read_labelled
from maskcls.data.rows import manifest as tables
from maskcls.errors import BusyError, ResultError, UsageError
from maskcls.files import OutputFile
from maskcls.labels import Ints
from maskcls.machine import refuse_several
from maskcls.results.comparison.difference import Difference
from maskcls.results.comparison.over_seeds import difference_over_seeds
from maskcls.results.csv_with_origin import csv_bytes
from maskcls.results.labelled_predictions import LabelledPredictions
from maskcls.results.labels.suspects import find_suspects
from maskcls.results.rows_by_id import rows_of
from maskcls.rundir import RunDir
from maskcls.runs.checks import refuse_repeated
from maskcls.runs.identity import files_read
from maskcls.runs.integrity.photos_now import other_contents, other_sizes, unreadable_photos
from maskcls.runs.labels.cases import cases_of
from maskcls.runs.labels.rows import LabelRows, read_label_rows
from maskcls.runs.read_labelled import read_out_of_fold
from maskcls.runs.records.noun import noun_of_run
from maskcls.schema import Config
from maskcls.show.labels.doctor import LabelDoctor
from maskcls.show.labels.gain import LabelGain
from maskcls.show.labels.page import PHOTO_PX, label_page, shown_photos
from maskcls.training.checks import has_settings

Train = Callable[[Config, RunDir], object]
GIVEN, FIXED = "as-is", "fixed"


def rank_labels(
    runs: Sequence[RunDir],
    *,
    top: int,
    least: float,
    fixes: Path | None,
    page: Path | None,
    embed: bool,
    force: bool,
) -> LabelDoctor:
    """Rank the labels of finished runs by suspicion, and write the proposed corrections and the page if asked to.

    top    cases to return; all whose suspicion is at least `least` are returned in any case.
    embed  put the photos into the page.

    Raises BusyError when an output exists, unless `force`, UsageError for photos without a page, a run that is given
    twice, and an output that is a file of a run or the other output, else what `read_label_rows` raises.
    """
    if embed and page is None:
        raise UsageError("--with-photos needs a page", expected="--page FILE", fix="add --page labels.html")
    if page is not None:
        files.check_page_name(page)
    outputs = [path for path in (fixes, page) if path is not None]
    refuse_repeated(runs)
    files.refuse_finished(*outputs, inputs=files_read(*(run.path for run in runs)), force=force)
    rows = read_label_rows(runs)
    people, who_N = np.unique(rows.person_N, return_inverse=True)
    suspects = find_suspects(rows.parts, rows.given, rows.values, who_N, rows.space)
    count = max(top, sum(one.suspicion >= least for one in suspects))
    cases = cases_of(suspects[:count], rows, people.tolist())
    counts, shown = (len(people), len(rows.ids), len(runs)), shown_photos(cases, rows)
    find = other_contents if embed else other_sizes  # contents only where photos are read anyway
    changed = tuple(dict.fromkeys(name for run in runs for name in find(run, rows.root, shown)))
    lost = unreadable_photos(rows.root, shown, px=PHOTO_PX) if embed else {}
    found = LabelDoctor(cases, len(suspects), least, *counts, fixes, page, noun_of_run(runs[0]), changed, lost)
    written = [] if fixes is None else [OutputFile(fixes, proposed_csv(found, rows))]
    if page is not None:
        html = label_page(cases, rows, page, embed=embed, changed=changed, unreadable=lost)
        written.append(OutputFile(page, html.encode()))
    if written:
        files.commit_outputs(written, force=force)
    return found


def proposed_csv(found: LabelDoctor, rows: LabelRows) -> bytes:
    """Return the proposed corrections as a CSV for data.fixes; it begins with those the runs were trained with."""
    made = with_earlier([row for case in found.proposed for row in case.fix], rows.earlier)
    return csv_bytes({name: [row[k] for row in made] for k, name in enumerate(COLUMNS)})


def prove(
    data: Path,
    cfg: Config,
    fixes: Path,
    folder: Path,
    *,
    seeds: int,
    train: Train,
    resume: Callable[[RunDir], object],
) -> LabelGain:
    """Train with the labels as they are and with corrections, and compare the scores of untouched people.

    Both trainings of a seed have the same folds, which are stratified only by tasks without a correction. Scored are
    out-of-fold rows of the people of whom no label was corrected, so that both are scored on the same, unchanged
    labels, by networks that did not train on these people.

    data    the data set of both.
    cfg     of the trainings; its data.fixes are the corrections to compare with.
    fixes   the corrections. They are copied into the folder.
    folder  of all trainings.
    train, resume  the verbs it is made of: a training from the start, and the rest of one.

    Given again, the command continues where it was interrupted. Raises BusyError for a folder with other settings or
    corrections, UsageError for several processes, ResultError when no label differs, DataError for corrections that
    cannot be applied, else what the verbs raise.
    """
    refuse_several("--prove")
    stratify = _untouched_tasks(data, cfg, fixes)
    copy = folder / "fixes.csv"
    _copy_fixes(fixes, copy)
    arms = {GIVEN: cfg.data.fixes, FIXED: str(copy)}
    found: dict[str, list[LabelledPredictions]] = {name: [] for name in arms}
    for seed in range(cfg.seed, cfg.seed + seeds):
        for name, corrections in arms.items():
            folds = cfg.folds.model_copy(update={"stratify": stratify})
            source = cfg.data.model_copy(update={"fixes": corrections})
            own = cfg.model_copy(update={"seed": seed, "data": source, "folds": folds})
            _train(own, RunDir(folder / f"{name}-seed{seed}"), train, resume)
            found[name].append(read_out_of_fold(RunDir(folder / f"{name}-seed{seed}")))
    return label_gain(found[GIVEN], found[FIXED])


def label_gain(given: Sequence[LabelledPredictions], fixed: Sequence[LabelledPredictions]) -> LabelGain:
    """Compare predictions per seed on the people whose labels are the same in both; raises ResultError if all are."""
    first = given[0]
    fixed = [_aligned(one, first.ids) for one in fixed]
    given = [_aligned(one, first.ids) for one in given]
    assert first.people_N is not None
    changed_N = np.any([fixed[0].truth[name] != first.truth[name] for name in first.space.names], axis=0)
    touched = np.unique(first.people_N[changed_N])
    if not len(touched):
        fix = "give corrections of labels of this data set"
        raise ResultError(f"the corrections change no label of a scored {first.noun[0]}", where="--fixes", fix=fix)
    rest_N = ~np.isin(first.people_N, touched)
    people_N = first.people_N[rest_N]

    def compare(truth_N: Ints, a: Sequence[Ints], b: Sequence[Ints], classes: int) -> Difference:
        pairs = ([one[rest_N] for one in a], [one[rest_N] for one in b])
        return difference_over_seeds(truth_N[rest_N], *pairs, people_N, classes)

    joint_N, space = first.space.encode(first.truth), first.space
    joint = [one.pred_N for one in given], [one.pred_N for one in fixed]
    tasks = {
        task.name: compare(
            first.truth[task.name],
            [space.decode(one)[task.name] for one in joint[0]],
            [space.decode(one)[task.name] for one in joint[1]],
            len(task.classes),
        )
        for task in space.tasks
    }
    return LabelGain(
        joint=compare(joint_N, *joint, space.size),
        seeds=tuple(compare(joint_N, [a], [b], space.size).value for a, b in zip(*joint, strict=True)),
        tasks=tasks,
        corrected=len(touched),
        people=len(np.unique(people_N)),
        noun=first.noun,
    )


def _untouched_tasks(data: Path, cfg: Config, fixes: Path) -> tuple[str, ...]:
    """Return the tasks to stratify by of which no label is corrected; ResultError when no label is."""
    before, after = (
        tables.labels(read_labelled(data, cfg.data.format, cfg.space, path, cfg.data.group), cfg.space)
        for path in (Path(cfg.data.fixes) if cfg.data.fixes else None, fixes)
    )
    same = [name for name in cfg.space.names if (before[name] == after[name]).all()]
    if len(same) == len(cfg.space.names):
        fix = "give corrections of labels of this data set"
        raise ResultError("the corrections change no label", where=str(fixes), fix=fix)
    return tuple(name for name in same if cfg.folds.stratify is None or name in cfg.folds.stratify)


def _aligned(one: LabelledPredictions, ids: Sequence[str]) -> LabelledPredictions:
    """Return the predictions in the order of ids; raises DataError when other rows were scored."""
    order_N = rows_of(one.ids, ids)
    truth = {name: label_N[order_N] for name, label_N in one.truth.items()}
    return replace(one, ids=list(ids), pred_N=one.pred_N[order_N], truth=truth)


def _copy_fixes(fixes: Path, copy: Path) -> None:
    """Copy the corrections once; BusyError when the folder holds others."""
    rows = fix_rows(fixes)
    if not copy.exists():
        files.commit(copy, csv_bytes({name: [row[k] for row in rows] for k, name in enumerate(COLUMNS)}))
    elif sorted(fix_rows(copy)) != sorted(rows):
        raise BusyError("the folder was made with other corrections", where=str(copy), fix="choose another --run")


def _train(cfg: Config, run: RunDir, train: Train, resume: Callable[[RunDir], object]) -> None:
    """Train a run, or finish it; BusyError when the folder holds another one."""
    if not run.env.exists():
        train(cfg, run)
    elif not has_settings(run, cfg):
        fix = "choose another --run, or give the settings it began with"
        raise BusyError("the folder holds trainings with other settings", where=str(run.path), fix=fix)
    else:
        resume(run)
