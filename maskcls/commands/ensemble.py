"""maskcls ensemble: combine runs and files of predictions into one submission, chosen and scored on out-of-fold rows.

N out-of-fold rows, M members, J joint classes. torch is imported only where a run has not predicted the photos yet.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd

import maskcls
from maskcls import config, files, owned
from maskcls.config.yaml12 import dump_yaml
from maskcls.data.layouts.source import read_unlabelled
from maskcls.data.rows import manifest as tables
from maskcls.errors import DataError, ResultError, UsageError, WeightsError
from maskcls.files import OutputFile
from maskcls.groupnouns import PEOPLE
from maskcls.labels import Floats, LabelSpace
from maskcls.results.comparison.multiple import family_level
from maskcls.results.csv_with_origin import check_free
from maskcls.results.ensembles.external import MEMBER, read_member
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
from maskcls.results.predictions import Predictions
from maskcls.results.rows_by_id import rows_of
from maskcls.results.submissions.write import SUBMISSION
from maskcls.rundir import RunDir, reading
from maskcls.runs.calibration import Calibration, calibrate_rows
from maskcls.runs.checks import check_same_rows
from maskcls.runs.choices.register import Attempt
from maskcls.runs.choices.tried import Tried, add_tried, ensemble_what, rows_of_run
from maskcls.runs.environment import read_environment
from maskcls.runs.group_averaging import GroupAveraging, shared_tasks
from maskcls.runs.identity import files_read
from maskcls.runs.lineage import mappings
from maskcls.runs.networks import predicting_weights
from maskcls.runs.overrides import with_overrides
from maskcls.runs.read_labelled import is_leaky, parts_of, read_out_of_fold
from maskcls.runs.recipe import (
    Asked,
    EnsembleLineage,
    check_recipe_tasks,
    files_of,
    read_recipe,
    read_settings,
    recipe_of,
    recipe_path,
)
from maskcls.runs.records.sealed_people import refuse_groups_of_sealed
from maskcls.runs.submission_file import data_name, write_labels
from maskcls.runs.summary import averages_in_groups
from maskcls.schema import Config
from maskcls.show.answers.ensemble import EnsembleResult
from maskcls.show.answers.group import about_rows, doubt_about
from maskcls.show.terminal.progress import LOADING, Reporter


@dataclass(frozen=True, eq=False)
class EnsembleMember:
    """One member: a run folder, or a file of predictions, with its out-of-fold rows where it has some.

    given  as on the command line: `RUN`, `FILE`, or `FILE,OOF_FILE`.
    oof    of the same rows for all members.
    """

    given: str
    test: Predictions
    oof: Predictions | None

    @property
    def name(self) -> str:
        """Its name in tables."""
        return Path(files_of(self.given)[0]).name


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

    given    run folders, or files of predictions for these photos; `FILE,OOF_FILE` adds a file's out-of-fold rows.
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
    cfg, frame, members = read_members(asked.given, data, overrides, report)
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
    return EnsembleResult(written, kept, given, names, blend, verdict, calibration, tried, noun)


def _as_stored(lineage: Mapping[str, Any]) -> dict[str, Any]:
    """Return a lineage in the order of a file of predictions, whether they were read from one or just made."""
    found: dict[str, Any] = json.loads(json.dumps(lineage, sort_keys=True))
    return found


def check_output(output: Path, read: Sequence[Path | None], members: Sequence[str], *, force: bool) -> None:
    """Raise BusyError when the submission and its recipe exist, before any work; UsageError for what is read."""
    named = [Path(name) for text in members for name in text.split(",")]
    check_free(output, SUBMISSION, recipe_path(output), inputs=files_read(*read, *named), force=force)


def read_members(
    given: Sequence[str], data: Path, overrides: Sequence[str], report: Reporter
) -> tuple[Config, pd.DataFrame, list[EnsembleMember]]:
    """Read every member's predictions for the photos, or make them, and its out-of-fold rows."""
    if regrouped := config.setting(overrides, "predict.groups"):
        fix = "leave it out; give --groups and --oof-groups for the ensemble"
        raise UsageError("the runs' out-of-fold rows keep the groups of their training", where=regrouped[0], fix=fix)
    runs = [RunDir(Path(text)) for text in given if Path(text).is_dir()]
    if not runs:
        fix = "name at least one run folder, which says what the classes and the photos are"
        raise UsageError("none of the members is a run", got=", ".join(given), fix=fix)
    for run in runs:
        read_environment(run)
    cfg = config.of_run(runs[0].config)
    with_overrides(cfg, list(overrides))  # refuses other settings before torch is imported
    check_same_rows(runs)
    frame = read_unlabelled(data, cfg.data.format, cfg.space)
    report.notes(tables.notes(frame))
    ids = frame["id"].to_numpy(np.str_)
    for file in (Path(file) for text in given if not Path(text).is_dir() for file in files_of(text)):
        files.check_file(file, MEMBER)
    members = []
    for place, text in enumerate(given):
        report.images("members", place, len(given))
        if Path(text).is_dir():
            test, oof = _run_predictions(RunDir(Path(text)), data, frame, overrides, report), None
            _note_single_photos(RunDir(Path(text)), test, report)
        else:
            file, *oof_files = map(Path, files_of(text))
            test, oof = read_member(file, cfg.space), _oof_of_file(oof_files[0], cfg.space) if oof_files else None
            _check_alike(text, test, oof)
        if test.space.fingerprint != cfg.space.fingerprint:
            raise WeightsError(
                "a member has other classes",
                where=text,
                expected=", ".join(cfg.space.names),
                fix="leave it out",
            )
        members.append(EnsembleMember(text, test.align(ids, names=(text, str(data))), oof))
    report.images("members", len(given), len(given))
    return cfg, frame, members


def _run_predictions(
    run: RunDir, data: Path, frame: pd.DataFrame, overrides: Sequence[str], report: Reporter
) -> Predictions:
    """Return what the run predicted for exactly these photos with the networks it has now, or let it predict them.

    Photos are compared by the names in their table: other photos with the same names are not noticed.
    """
    cfg, env = config.of_run(run.config), read_environment(run)
    path = run.test(data_name(data), cfg.predict.views, cfg.predict.networks, cfg.predict.groups)
    if path.exists() and not overrides:
        known = Predictions.load(path)
        weights = sorted(network["sha256"] for network in known.lineage.get("weights", []))
        found = known.lineage.get("data_sha256"), known.lineage.get("run_hashes"), weights
        current = found == (tables.sha256(frame), env.hashes, predicting_weights(run, cfg, env.folds))
        if current and (averages_in_groups(run) or not known.lineage.get("groups")):
            # Without the file's place in its run, as predictions that were just made: the sidecar has the same bytes.
            return replace(known, lineage={name: part for name, part in known.lineage.items() if name != owned.OWNER})
    with report.busy(LOADING):
        from maskcls.training.prediction import predict_rows  # torch

    with reading(run):
        predicted = predict_rows(run, data, overrides=list(overrides), report=report)
    if predicted is None:
        raise UsageError("an ensemble runs in one process", fix="start it without accelerate launch")
    return predicted.predictions


def _note_single_photos(run: RunDir, test: Predictions, report: Reporter) -> None:
    """Print a note where a run's out-of-fold rows are averaged within groups and its predictions are not."""
    if averages_in_groups(run) and not test.lineage.get("groups"):
        report.note(f"{run.path}: out-of-fold rows are averaged in groups, these photos are not; no gain is expected")


def _check_alike(given: str, test: Predictions, oof: Predictions | None) -> None:
    """Raise ResultError where predictions are averaged over groups in one of a run's files and not in the other."""
    ours = [one.lineage["lineage"] for one in (test, oof) if one is not None and one.lineage["kind"] == "maskcls"]
    if len({bool(lineage.get("groups")) for lineage in ours}) > 1:
        raise ResultError(
            "predictions are averaged over groups in one of the files and not in the other",
            where=given,
            fix="name the run folder as the member",
        )


def _oof_of_file(path: Path, space: LabelSpace) -> Predictions:
    """Read out-of-fold rows; raises ResultError when their lineage, at any depth, says that they are none."""
    oof = read_member(path, space)
    submission = oof.lineage["kind"] != "maskcls" and "ensemble" in (oof.lineage.get("lineage") or {})
    if submission or any("networks" in part or part.get("leaky") is True for part in mappings(oof.lineage)):
        raise ResultError(
            "these are no out-of-fold rows: the networks may have been trained on them",
            where=str(path),
            fix="name the run folder as the member, or the oof.npz of a run",
        )
    return oof


def read_truth(members: list[EnsembleMember]) -> LabelledPredictions | None:
    """Bring the members' out-of-fold rows into one order, and return the first run's with their truth.

    None where a member has none, as a leaky run. Raises DataError when members have other rows, or runs another truth.
    """
    folders = {place: RunDir(Path(m.given)) for place, m in enumerate(members) if Path(m.given).is_dir()}
    runs = {place: read_out_of_fold(run) for place, run in folders.items() if not is_leaky(run)}
    if not runs:
        return None
    first, name = next(iter(runs.values())), members[next(iter(runs))].given
    ids = np.asarray(first.ids, dtype=np.str_)
    for place, member in enumerate(members):
        oof = member.oof
        if place in runs:
            labelled = runs[place]
            assert labelled.prob_NJ is not None
            oof = Predictions(np.asarray(labelled.ids, dtype=np.str_), labelled.prob_NJ, labelled.space)
        if oof is not None:
            members[place] = EnsembleMember(member.given, member.test, oof.align(ids, names=(member.given, name)))
        if place in runs:
            _check_truth(first, runs[place], name, member.given)
    return first if all(member.oof is not None for member in members) else None


def _check_truth(first: LabelledPredictions, other: LabelledPredictions, first_name: str, name: str) -> None:
    """Raise DataError when two runs were trained on other labels of the same rows."""
    order = rows_of(other.ids, first.ids)
    for task, label_N in first.truth.items():
        rows = np.flatnonzero(label_N != other.truth[task][order])
        if len(rows):
            raise DataError(
                f"two runs were made with different labels of {task}",
                where=f"{first_name} and {name}",
                offenders=[repr(first.ids[row]) for row in rows.tolist()],
                fix="train both with the same data.fixes",
            )


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
    runs = [RunDir(Path(text)) for text in given if Path(text).is_dir()]
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
    return GroupAveraging(photos, oof, tasks)


def count_ensemble(members: Sequence[EnsembleMember], prob_MNJ: Sequence[Floats], asked: Asked) -> Tried:
    """Register this ensemble as tried on the out-of-fold rows, and return how many were."""
    run = _first_run([member.given for member in members])
    weights = asked.blend.weights if asked.blend and asked.method == "weights" else None
    what = ensemble_what(prob_MNJ, asked.method, "" if weights is None else repr(np.asarray(weights).tolist()))
    name = f"{asked.method} {' '.join(member.name for member in members)}"
    return add_tried(run, [Attempt(rows=rows_of_run(run), kind="ensemble", what=what, name=name)])[0]


def _first_run(given: Sequence[str]) -> RunDir:
    return RunDir(next(Path(text) for text in given if Path(text).is_dir()))


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
