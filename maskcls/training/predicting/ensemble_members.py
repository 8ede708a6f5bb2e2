"""Members of an ensemble, runs or files: their predictions for the same photos, and their out-of-fold rows.

torch is imported only where a run has not predicted the photos yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from maskcls import config, files, owned
from maskcls.data.rows import manifest as tables
from maskcls.errors import DataError, MaskclsError, ResultError, UsageError, WeightsError, shell_word
from maskcls.labels import LabelSpace
from maskcls.machine import refuse_several
from maskcls.results.ensembles.external import MEMBER, read_member
from maskcls.results.labelled_predictions import LabelledPredictions
from maskcls.results.predictions import Predictions
from maskcls.results.rows_by_id import rows_of
from maskcls.rundir import RunDir
from maskcls.runs.checks import check_same_rows
from maskcls.runs.environment import read_environment
from maskcls.runs.lineage import mappings
from maskcls.runs.locks.run_lock import reading
from maskcls.runs.networks import predicting_weights
from maskcls.runs.overrides import RULE_WITHOUT_ADAPTATION, refuse_adapting, with_overrides
from maskcls.runs.read_labelled import is_leaky, read_out_of_fold
from maskcls.runs.recipe import files_of, member_data, member_run
from maskcls.runs.submission_file import data_name
from maskcls.runs.summary import averages_in_groups
from maskcls.schema import Config
from maskcls.show.terminal.progress import LOADING, Reporter
from maskcls.training.predicting.other_cropping import note_member_cropping
from maskcls.training.predicting.photo_copies import PhotoCopies, PhotoCopy


@dataclass(frozen=True, eq=False)
class EnsembleMember:
    """One member: a run folder, or a file of predictions, with its out-of-fold rows where it has some.

    given  as on the command line: `RUN` or `RUN,DATA`, `FILE` or `FILE,OOF_FILE`.
    oof    of the same rows for all members.
    """

    given: str
    test: Predictions
    oof: Predictions | None

    @property
    def name(self) -> str:
        """Its name in tables."""
        return Path(files_of(self.given)[0]).name


def read_members(
    given: Sequence[str], data: Path, overrides: Sequence[str], report: Reporter, *, decide: bool = False
) -> tuple[Config, PhotoCopies, list[EnsembleMember]]:
    """Read every member's predictions for the photos, or make them, and its out-of-fold rows; and the photos.

    A member `RUN,DATA` predicts DATA, a copy of the same photos, such as one that is cropped as its training photos.
    An error or a note about one member says which.

    decide  whether a decision rule is fitted on these rows; the photos are then predicted as the rows were.
    """
    if regrouped := config.setting(overrides, "predict.groups"):
        fix = "leave it out; give --groups and --oof-groups for the ensemble"
        raise UsageError("the runs' out-of-fold rows keep the groups of their training", where=regrouped[0], fix=fix)
    runs = {text: run for text in given if (run := member_run(text)) is not None}
    if not runs:
        fix = "name at least one run folder, which says what the classes and the photos are"
        raise UsageError("none of the members is a run", got=", ".join(given), fix=fix)
    for text, run in runs.items():
        with _about(text):
            _check_run(run)
    first, *_ = runs.values()
    cfg = config.of_run(first.config)
    changed = with_overrides(cfg, list(overrides))  # refuses other settings before torch is imported
    if decide:
        refuse_adapting(changed, RULE_WITHOUT_ADAPTATION, "leave out one of them")
    for text, run in runs.items():
        _check_classes(text, config.of_run(run.config).space, cfg.space)
    check_same_rows(list(runs.values()))
    photos = PhotoCopies(data, first, overrides, report)
    ids = photos.first.frame["id"].to_numpy(np.str_)
    for text, run in runs.items():
        with _about(text):
            note_member_cropping(run, photos.of(member_data(text) or data, run).root, report)
    for text in given:
        with _about(text):
            for file in () if text in runs else files_of(text):
                files.check_file(Path(file), MEMBER)
    members = []
    for place, text in enumerate(given):
        report.images("members", place, len(given))
        with _about(text):
            if (named := runs.get(text)) is not None:
                test = _run_predictions(named, photos.of(member_data(text) or data, named), overrides, report)
                oof = None
                _note_single_photos(named, test, report)
            else:
                test, oof = _files_predictions(text, cfg.space)
            test = test.align(ids, names=(text, str(data)))
        members.append(EnsembleMember(text, test, oof))
    report.images("members", len(given), len(given))
    return cfg, photos, members


def _check_run(run: RunDir) -> None:
    """Raise ResultError for a folder that is no run; it may be the photos of the member before it."""
    try:
        read_environment(run)
    except ResultError as error:
        if error.fix != "check the path":
            raise
        raise error.with_fix("check the path; a member's own copy of the photos follows a comma: RUN,DATA") from None


@contextmanager
def _about(member: str) -> Iterator[None]:
    """Name the member in an error that is about it and does not say so."""
    try:
        yield
    except MaskclsError as error:
        if files_of(member)[0] in str(error):
            raise
        name = f"member {shell_word(member)}"
        raise error.with_where(f"{name}: {error.where}" if error.where else name) from None


def _check_classes(member: str, found: LabelSpace, space: LabelSpace) -> None:
    """Raise WeightsError for a run with other classes than the first one."""
    if found.fingerprint != space.fingerprint:
        got, expected = found.first_difference(space)
        fix = "use a member made with the same tasks, class order and bins"
        raise WeightsError("a member has other classes", where=member, got=got, expected=expected, fix=fix)


def _run_predictions(run: RunDir, copy: PhotoCopy, overrides: Sequence[str], report: Reporter) -> Predictions:
    """Return what the run predicted for exactly these photos with the networks it has now, or let it predict them.

    What an earlier version predicted is compared by names alone; what was predicted without a cache is predicted again.
    """
    cfg, env = config.of_run(run.config), read_environment(run)
    data = copy.data
    path = run.test(data_name(data), cfg.predict.views, cfg.predict.networks, cfg.predict.groups, cfg.predict.adapt)
    if path.exists() and not overrides:
        known = Predictions.load(path)
        weights = sorted(network["sha256"] for network in known.lineage.get("weights", []))
        found = known.lineage.get("data_sha256"), known.lineage.get("run_hashes"), weights
        current = found == (tables.sha256(copy.frame), env.hashes, predicting_weights(run, cfg, env.folds))
        by_name = "photos_sha256" not in known.lineage
        current = current and (by_name or known.lineage["photos_sha256"] == copy.digests().sha256)
        if current and (averages_in_groups(run) or not known.lineage.get("groups")):
            # Without the file's place in its run, as predictions that were just made: the sidecar has the same bytes.
            return replace(known, lineage={name: part for name, part in known.lineage.items() if name != owned.OWNER})
    with report.busy(LOADING):
        from maskcls.training.prediction import predict_rows  # torch

    refuse_several("an ensemble")
    with reading(run):
        predicted = predict_rows(run, data, overrides=list(overrides), frame=copy.frame, report=report)
    assert predicted is not None
    copy.keep(predicted.photos)
    return predicted.predictions


def _note_single_photos(run: RunDir, test: Predictions, report: Reporter) -> None:
    """Print a note where a run's out-of-fold rows are averaged within groups and its predictions are not."""
    if averages_in_groups(run) and not test.lineage.get("groups"):
        report.note(f"{run.path}: out-of-fold rows are averaged in groups, these photos are not; no gain is expected")


def _files_predictions(given: str, space: LabelSpace) -> tuple[Predictions, Predictions | None]:
    """Read `FILE` or `FILE,OOF_FILE`: the predictions for the photos, and the out-of-fold rows."""
    file, *oof_files = map(Path, files_of(given))
    test, oof = read_member(file, space), _oof_of_file(oof_files[0], space) if oof_files else None
    _check_alike(given, test, oof)
    return test, oof


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
    folders = {place: run for place, m in enumerate(members) if (run := member_run(m.given)) is not None}
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
