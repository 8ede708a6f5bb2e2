"""maskcls ensemble: combine runs and files of predictions into one submission, chosen and scored on out-of-fold rows.

N out-of-fold rows, M members, J joint classes. torch is imported only where a run has not predicted the photos yet.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd

import maskcls
from maskcls import config, files
from maskcls.config.yaml12 import dump_yaml
from maskcls.data.rows import manifest as tables
from maskcls.errors import UsageError
from maskcls.files import OutputFile
from maskcls.groupnouns import PEOPLE
from maskcls.labels import Floats
from maskcls.results.comparison.multiple import family_level
from maskcls.results.csv_with_origin import check_free
from maskcls.results.ensembles.methods import (
    FittedEnsemble,
    Fixed,
    apply_ensemble,
    fit_ensemble,
    nested_ensemble,
    score_ensemble,
)
from maskcls.results.labelled_predictions import LabelledPredictions
from maskcls.results.people.group_file import read_groups
from maskcls.results.submissions.write import SUBMISSION
from maskcls.rundir import RunDir
from maskcls.runs.calibration import Calibration, calibrate_rows
from maskcls.runs.choices.register import Attempt
from maskcls.runs.choices.tried import Tried, add_tried, ensemble_what, rows_of_run
from maskcls.runs.group_averaging import GroupAveraging, shared_tasks
from maskcls.runs.identity import files_read
from maskcls.runs.integrity.table_photos import refuse_other_groups
from maskcls.runs.read_labelled import parts_of
from maskcls.runs.recipe import (
    Asked,
    EnsembleLineage,
    check_recipe_tasks,
    files_of,
    is_repeatable,
    member_run,
    read_recipe,
    read_settings,
    recipe_of,
    recipe_path,
)
from maskcls.runs.records.sealed_people import refuse_groups_of_sealed
from maskcls.runs.submission_file import write_labels
from maskcls.show.answers.ensemble import EnsembleResult
from maskcls.show.answers.group import about_rows, doubt_about
from maskcls.show.terminal.progress import Reporter
from maskcls.training.predicting.ensemble_members import EnsembleMember, read_members, read_truth


def ensemble(
    given: Sequence[str],
    data: Path,
    output: Path,
    *,
    method: str | None = None,
    weights: str | None = None,
    recipe: Path | None = None,
    decide: bool = False,
    force: bool = False,
    overrides: Sequence[str] = (),
    groups: Path | None = None,
    oof_groups: Path | None = None,
    report: Reporter,
) -> EnsembleResult:
    """Combine members and write the submission, and beside it the recipe that repeats it on other photos.

    given    run folders, or files of predictions for these photos; `FILE,OOF_FILE` adds a file's out-of-fold rows, and
             `RUN,DATA` gives a run its own copy of the photos, such as a cropped one.
    method   one of METHODS, the mean by default. All its choices are made on out-of-fold rows.
    weights  one per member, separated by commas.
    recipe   of an earlier ensemble: its members, method and weights, instead of those above.
    decide   answer by a decision rule, if it has a proven gain on the out-of-fold rows of the ensemble.
    groups   which photos are of one person, see `group`: their predictions are averaged. oof_groups: the same of the
             train photos, so that the effect is scored, and the weight of each photo fitted, on out-of-fold rows.

    Raises UsageError for settings that make no sense together, DataError, WeightsError or ResultError for members that
    do not fit together, BusyError when the output exists.
    """
    if recipe:
        asked = read_recipe(recipe, given, method, weights)
    else:
        asked = read_settings(given, method or "mean", weights, decide=decide)
    check_output(output, [data, recipe, groups, oof_groups], asked.given, force=force)
    cfg, photos, members = read_members(asked.given, data, overrides, report, decide=asked.decide or decide)
    frame = photos.first.frame
    if recipe and asked.blend:
        check_recipe_tasks(recipe, asked.blend, cfg.space)
    labelled = read_truth(members)
    blend = asked.blend or (FittedEnsemble(asked.method) if asked.method in get_args(Fixed) else None)
    if blend is None or asked.decide or decide:
        check_labelled(members, labelled, asked.method)
    prob = [member.oof.prob for member in members if member.oof is not None]
    if blend is None:
        assert labelled is not None
        with report.busy(f"fitting {asked.method}"):
            blend = fit_ensemble(asked.method, prob, labelled)
    together = read_together(groups, oof_groups, frame, labelled, asked.given)
    if groups and together.photos and together.photos.contents:
        refuse_other_groups(groups, together.photos, (copy.digests() for copy in photos))
    if groups and together.photos and not together.oof and (doubt := doubt_about(groups, together.photos)):
        report.note(doubt)
    verdict = calibration = tried = None
    if labelled is not None:
        with report.busy("scoring on the other folds"):
            tried = count_ensemble(members, prob, asked)
            nested = nested_ensemble(blend, prob, labelled)
        if (checked := together.check_oof(nested, labelled)) is not None:
            nested, together = checked.rows.prob, together.with_weights(checked)
            report.note(about_rows(checked))
        people = people_to_predict(frame, together)
        level = family_level(tried.count)
        with report.busy("comparing with the members"):
            verdict = score_ensemble(blend, prob, labelled, nested, parts_of(labelled), new_people=people, level=level)
            calibration = decide_on(nested, labelled) if asked.decide or decide else None
    how = recipe_of(asked, blend, calibration, verdict)
    found = apply_ensemble(blend, [member.test for member in members], names=[member.given for member in members])
    found = together.average_photos(found)
    labels = found.labels() if calibration is None else calibration.decision.labels(found)
    lineage = EnsembleLineage(
        maskcls=maskcls.__version__,
        ensemble=how,
        members=tuple(_as_stored(member.test.lineage) for member in members),
        data=data.resolve().name,
        data_sha256=tables.sha256(frame),
        groups=together.lineage,
    )
    kept = recipe_path(output.resolve())
    own = [OutputFile(kept, dump_yaml(files.with_digest(how.to_json())).encode())]
    written = write_labels(output, cfg, frame, labels, lineage.to_json(), beside=own, force=force)
    noun = labelled.noun if labelled is not None else PEOPLE
    given, names = [member.given for member in members], [member.name for member in members]
    return EnsembleResult(
        written, kept, given, names, blend, verdict, calibration, tried, noun, repeatable=is_repeatable(given)
    )


def _as_stored(lineage: Mapping[str, Any]) -> dict[str, Any]:
    """Return a lineage in the order of a file of predictions, whether they were read from one or just made."""
    found: dict[str, Any] = json.loads(json.dumps(lineage, sort_keys=True))
    return found


def check_output(output: Path, read: Sequence[Path | None], members: Sequence[str], *, force: bool) -> None:
    """Raise BusyError when the submission and its recipe exist, before any work; UsageError for what is read."""
    named = [Path(name) for text in members for name in files_of(text)]
    check_free(output, SUBMISSION, recipe_path(output), inputs=files_read(*read, *named), force=force)


def read_together(
    groups: Path | None,
    oof_groups: Path | None,
    frame: pd.DataFrame,
    labelled: LabelledPredictions | None,
    given: Sequence[str],
) -> GroupAveraging:
    """Read which photos are averaged.

    Raises UsageError for groups of out-of-fold rows that could change nothing, DataError for groups that were learned
    from people who are still sealed in a run.
    """
    if groups is None:
        if oof_groups is not None:
            raise UsageError("--oof-groups without --groups changes no answer", fix="give both, or neither")
        return GroupAveraging()
    runs = [run for run in map(member_run, given) if run is not None]
    run = runs[0]
    space = config.of_run(run.config).space
    tasks = shared_tasks(tables.from_csv(run.manifest, space), space, where=str(run.manifest))
    photos = read_groups(groups, frame["id"].tolist())
    refuse_groups_of_sealed(runs, groups, photos)
    if oof_groups is None or labelled is None:
        if oof_groups is not None:
            raise UsageError("--oof-groups without out-of-fold rows of all members", fix="give FILE,OOF_FILE for them")
        return GroupAveraging(photos, None, tasks, photos.weights)
    oof = read_groups(oof_groups, labelled.ids, part=True)
    refuse_groups_of_sealed(runs, oof_groups, oof, train=True)
    from maskcls.runs.integrity.photos_now import run_photos  # Pillow

    # Runs trained on copies, such as crops, have the same rows and other files: the groups are of one of the copies.
    refuse_other_groups(oof_groups, oof, filter(None, map(run_photos, runs)))
    return GroupAveraging(photos, oof, tasks)


def count_ensemble(members: Sequence[EnsembleMember], prob_MNJ: Sequence[Floats], asked: Asked) -> Tried:
    """Register this ensemble as tried on the out-of-fold rows, and return how many were."""
    run = _first_run([member.given for member in members])
    weights = asked.blend.weights if asked.blend and asked.method == "weights" else None
    what = ensemble_what(prob_MNJ, asked.method, "" if weights is None else repr(np.asarray(weights).tolist()))
    name = f"{asked.method} {' '.join(member.name for member in members)}"
    return add_tried(run, [Attempt(rows=rows_of_run(run), kind="ensemble", what=what, name=name)])[0]


def _first_run(given: Sequence[str]) -> RunDir:
    return next(run for run in map(member_run, given) if run is not None)


def people_to_predict(frame: pd.DataFrame, together: GroupAveraging) -> int | None:
    """Return how many people the photos to predict show, by their table or by their groups; None if neither knows."""
    if (frame["person"] != "").all():
        return int(frame["person"].nunique())
    return None if together.photos is None else len(np.unique(together.photos.group_N))


def check_labelled(members: Sequence[EnsembleMember], labelled: LabelledPredictions | None, method: str) -> None:
    """Raise UsageError that names the members without out-of-fold rows, where something has to be chosen on them."""
    lacking = [member.given for member in members if member.oof is None]
    if labelled is None or lacking:
        raise UsageError(
            f"--method {method}, or --decide, needs out-of-fold rows of all members",
            fix="give FILE,OOF_FILE for them, or use --method mean, vote or weights alone",
            offenders=lacking,
        )


def decide_on(nested: Floats, labelled: LabelledPredictions) -> Calibration:
    """Fit a decision on the ensemble's out-of-fold rows (N, J); see `calibrate`.

    The rule applied to fold k is fitted on other folds' rows whose weights, and nothing else, were chosen with fold k.
    """
    labels = nested.argmax(axis=1).astype(np.int64)
    rows = LabelledPredictions(
        labelled.ids, labels, labelled.truth, labelled.space, nested, labelled.people_N, labelled.fold_N, labelled.seed
    )
    return calibrate_rows(rows, tried="expected")
