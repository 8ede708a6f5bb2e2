"""maskcls ensemble: runs and other people's predictions in, one submission out, chosen and judged on out-of-fold rows.

N out-of-fold rows, M members, J joint classes. torch is imported only where a run has not predicted the photos yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd

import maskcls
from maskcls import config, rundir
from maskcls.commands.answering import data_name, write_labels
from maskcls.commands.calibrate import Calibration, judge_rows
from maskcls.commands.ensemble_tables import Found
from maskcls.commands.group import parts_of
from maskcls.commands.judged import read_run
from maskcls.commands.progress import Reporter
from maskcls.data import manifest as tables
from maskcls.data.folds import constant_tasks
from maskcls.data.source import read_unlabelled
from maskcls.errors import BusyError, DataError, ResultError, UsageError, WeightsError
from maskcls.labels import Floats, LabelSpace
from maskcls.results.blending import METHODS, Blend, Fixed, Verdict, choose, combined, honest, judge
from maskcls.results.ensemble import Weights, to_shares
from maskcls.results.evaluation import Judged
from maskcls.results.grouping import Groups, cross_smoothed, fit_weights, read_groups, smooth
from maskcls.results.outside import read_member
from maskcls.results.predictions import Predictions
from maskcls.results.submission import sidecar_path
from maskcls.rundir import RunDir
from maskcls.schema import Config
from maskcls.yaml12 import dump_yaml, read_yaml

KIND, VERSION = "maskcls ensemble", 1


@dataclass(frozen=True, eq=False)
class Member:
    """One member: a run folder, or a file of somebody else's predictions, with its out-of-fold rows where it has some.

    given  as on the command line: `RUN`, `FILE`, or `FILE,OOF_FILE`.
    oof    of the same rows for all members.
    """

    given: str
    test: Predictions
    oof: Predictions | None

    @property
    def name(self) -> str:
        """What a person calls it."""
        return Path(self.given.partition(",")[0]).name


@dataclass(frozen=True, eq=False)
class Together:
    """Which photos answer together, and in which tasks; nothing is changed where there are no groups.

    photos  groups of the photos to predict, `rows` of the out-of-fold rows.
    """

    photos: Groups | None = None
    rows: Groups | None = None
    tasks: tuple[str, ...] = ()
    weights: Mapping[str, float] | None = None

    def of_rows(self, prob_NJ: Floats, judged: Judged) -> tuple[Floats, Together]:
        """Return out-of-fold rows (N, J) smoothed with weights from other folds, and weights fitted on all of them."""
        if self.rows is None:
            return prob_NJ, self
        before = Predictions(np.asarray(judged.ids, dtype=np.str_), prob_NJ, judged.space)
        group_N, truth = self.rows.number_N, judged.truth
        weights = fit_weights(prob_NJ, truth, group_N, judged.space, self.tasks)
        after = cross_smoothed(before, truth, group_N, parts_of(judged), self.tasks)
        return after.prob, replace(self, weights=weights)

    def of_photos(self, predictions: Predictions) -> Predictions:
        """Return the photos' predictions, smoothed."""
        if self.photos is None:
            return predictions
        return smooth(predictions, self.photos.number_N, self.tasks, weights=self.weights)

    @property
    def about(self) -> dict[str, Any] | None:
        """What the lineage tells."""
        if self.photos is None:
            return None
        weights = None if self.weights is None else dict(self.weights)
        return {"sha256": self.photos.sha256, "tasks": list(self.tasks), "weights": weights}


@dataclass(frozen=True, eq=False)
class Asked:
    """What is wanted. blend: chosen before, by weights or a recipe; None: still to be chosen by `method`."""

    given: list[str]
    method: str
    decide: bool
    blend: Blend | None = None


def ensemble(
    given: Sequence[str],
    data: Path,
    output: Path,
    *,
    method: str = "mean",
    weights: str | None = None,
    recipe: Path | None = None,
    decide: bool = False,
    force: bool = False,
    overrides: Sequence[str] = (),
    groups: Path | None = None,
    oof_groups: Path | None = None,
    report: Reporter,
) -> Found:
    """Combine members and write the submission, and beside it the recipe that repeats it on other photos.

    given    run folders, or files of predictions for these photos; `FILE,OOF_FILE` adds a file's out-of-fold rows.
    method   one of METHODS. Whatever it has to choose is chosen on out-of-fold rows.
    weights  one a member, with commas between them.
    recipe   of an earlier ensemble: its members, method and weights, in the place of those above.
    decide   answer by the decision rule that the out-of-fold rows of the ensemble make worth while, if any.
    groups   which photos are of one person, see `group`: they answer together. oof_groups: the same of the train
             photos, so that this is judged, and how much each photo says is fitted, on out-of-fold rows.

    Raises UsageError for settings that make no sense together, DataError, WeightsError or ResultError for members that
    do not fit together, BusyError when the output exists.
    """
    asked = read_recipe(recipe, given) if recipe else read_settings(given, method, weights, decide=decide)
    check_output(output, force=force)
    cfg, frame, members = read_members(asked.given, data, overrides, report)
    judged = read_truth(members)
    blend = asked.blend or (Blend(asked.method) if asked.method in get_args(Fixed) else None)
    if blend is None or asked.decide or decide:
        check_judged(members, judged, asked.method)
    prob = [member.oof.prob for member in members if member.oof is not None]
    if blend is None:
        assert judged is not None
        blend = choose(asked.method, prob, judged)
    together = read_together(groups, oof_groups, frame, judged, asked.given)
    verdict = calibration = None
    if judged is not None:
        nested, together = together.of_rows(honest(blend, prob, judged), judged)
        verdict = judge(blend, prob, judged, nested)
        calibration = decide_on(nested, judged) if asked.decide or decide else None
    how = recipe_of(asked, blend, calibration, verdict)
    found = combined(blend, [member.test for member in members], names=[member.given for member in members])
    found = together.of_photos(found)
    labels = found.labels() if calibration is None else calibration.decision.labels(found)
    lineage: dict[str, Any] = {
        "maskcls": maskcls.__version__,
        "ensemble": how,
        "members": [member.test.lineage for member in members],
    }
    lineage |= {"data": data.resolve().name, "data_sha256": tables.sha256(frame), "groups": together.about}
    written = write_labels(output, cfg, frame, labels, lineage, force=force)
    rundir.commit(recipe_path(output), dump_yaml(how).encode())
    return Found(written, recipe_path(output), [member.name for member in members], blend, verdict, calibration)


def read_settings(given: Sequence[str], method: str, weights: str | None, *, decide: bool) -> Asked:
    """Return what is wanted; raises UsageError for settings that make no sense together."""
    if not given:
        raise UsageError("no member is named", expected="run folders, or files of predictions")
    if method not in METHODS:
        raise UsageError("no such method", where="--method", got=repr(method), expected=", ".join(METHODS))
    if len(set(given)) != len(given):
        raise UsageError("a member stands twice", got=", ".join(given), fix="name each once; --weights counts one more")
    if (method == "weights") != (weights is not None):
        raise UsageError("--weights and --method weights belong together", fix="give both, or neither")
    if weights is None:
        return Asked(list(given), method, decide)
    try:
        numbers = [float(part) for part in weights.split(",")]
    except ValueError:
        raise UsageError("these are no weights", where="--weights", got=repr(weights), expected="0.6,0.3,0.1") from None
    return Asked(list(given), method, decide, Blend(method, to_shares(numbers, len(given), where="--weights")))


def check_output(output: Path, *, force: bool) -> None:
    """Raise BusyError when the submission or its recipe exists, before any work."""
    sidecar_path(output)
    taken = [str(path) for path in (output, recipe_path(output)) if path.exists()]
    if taken and not force:
        fix = "choose another -o, or replace it with --force"
        raise BusyError("the output exists", where=" and ".join(taken), fix=fix)


def recipe_path(output: Path) -> Path:
    """Return where the recipe of a submission stands."""
    return output.with_suffix(".recipe.yaml")


# ---- members ---------------------------------------------------------------------------------------------------------


def read_members(
    given: Sequence[str], data: Path, overrides: Sequence[str], report: Reporter
) -> tuple[Config, pd.DataFrame, list[Member]]:
    """Read every member's predictions for the photos, or make them, and its out-of-fold rows."""
    runs = [RunDir(Path(text)) for text in given if Path(text).is_dir()]
    if not runs:
        fix = "name at least one run folder, which says what the classes and the photos are"
        raise UsageError("none of the members is a run", got=", ".join(given), fix=fix)
    for run in runs:
        if not run.env.exists():
            raise ResultError("this is not a run", where=str(run.path), expected="a folder that maskcls train made")
    cfg = config.load(runs[0].config)[0]
    frame = read_unlabelled(data, cfg.data.format, cfg.space)
    ids = frame["id"].to_numpy(np.str_)
    members = []
    for text in given:
        if Path(text).is_dir():
            test, oof = _run_says(RunDir(Path(text)), data, frame, overrides, report), None
        else:
            file, _, oof_file = text.partition(",")
            test, oof = (
                read_member(Path(file), cfg.space),
                _oof_of_file(Path(oof_file), cfg.space) if oof_file else None,
            )
        if test.space.fingerprint != cfg.space.fingerprint:
            raise WeightsError(
                "a member speaks about other classes",
                where=text,
                expected=", ".join(cfg.space.names),
                fix="leave it out",
            )
        members.append(Member(text, test.align(ids, names=(text, str(data))), oof))
    return cfg, frame, members


def _run_says(run: RunDir, data: Path, frame: pd.DataFrame, overrides: Sequence[str], report: Reporter) -> Predictions:
    """Return what the run predicted for exactly these photos, or let it predict them now."""
    cfg, env = config.load(run.config)[0], rundir.read_json(run.env)
    path = run.test(data_name(data), cfg.predict.views, cfg.predict.networks)
    if path.exists() and not overrides:
        known = Predictions.load(path)
        found = known.lineage.get("data_sha256"), known.lineage.get("run_hashes")
        if found == (tables.sha256(frame), env["hashes"]):
            return known
    from maskcls.commands.predict import predict_rows  # torch

    predicted = predict_rows(run, data, overrides=list(overrides), report=report)
    if predicted is None:
        raise UsageError("an ensemble runs in one process", fix="start it without accelerate launch")
    return predicted.predictions


def _oof_of_file(path: Path, space: LabelSpace) -> Predictions:
    oof = read_member(path, space)
    if "networks" in {**oof.lineage, **dict(oof.lineage.get("lineage") or {})}:
        raise ResultError(
            "these are no out-of-fold rows: maskcls predict made them, by networks that may have learnt from the rows",
            where=str(path),
            fix="name the run folder as the member, or the oof.npz of a run",
        )
    return oof


def read_truth(members: list[Member]) -> Judged | None:
    """Bring the members' out-of-fold rows into one order, and return the first run's with their truth.

    None where a member has none. Raises DataError when members have other rows, or runs another truth.
    """
    runs = {place: read_run(RunDir(Path(m.given))) for place, m in enumerate(members) if Path(m.given).is_dir()}
    first, name = next(iter(runs.values())), members[next(iter(runs))].given
    ids = np.asarray(first.ids, dtype=np.str_)
    for place, member in enumerate(members):
        oof = member.oof
        if place in runs:
            judged = runs[place]
            assert judged.prob_NJ is not None
            oof = Predictions(np.asarray(judged.ids, dtype=np.str_), judged.prob_NJ, judged.space)
        if oof is not None:
            members[place] = Member(member.given, member.test, oof.align(ids, names=(member.given, name)))
        if place in runs:
            _check_truth(first, runs[place], name, member.given)
    return first if all(member.oof is not None for member in members) else None


def _check_truth(first: Judged, other: Judged, first_name: str, name: str) -> None:
    """Raise DataError when two runs were trained on other labels of the same rows."""
    place = {id: row for row, id in enumerate(other.ids)}
    order = np.array([place[id] for id in first.ids], dtype=np.int64)
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
    groups: Path | None, oof_groups: Path | None, frame: pd.DataFrame, judged: Judged | None, given: Sequence[str]
) -> Together:
    """Read who answers together; raises UsageError for groups of the out-of-fold rows that could change nothing."""
    if groups is None:
        if oof_groups is not None:
            raise UsageError("--oof-groups without --groups changes no answer", fix="give both, or neither")
        return Together()
    run = RunDir(next(Path(text) for text in given if Path(text).is_dir()))
    manifest = tables.from_csv(run.manifest, config.load(run.config)[0].space)
    tasks = constant_tasks(manifest, config.load(run.config)[0].space)
    photos = read_groups(groups, frame["id"].tolist())
    if oof_groups is None or judged is None:
        if oof_groups is not None:
            raise UsageError("--oof-groups without out-of-fold rows of all members", fix="give FILE,OOF_FILE for them")
        return Together(photos, None, tasks, photos.weights)
    return Together(photos, read_groups(oof_groups, judged.ids, part=True), tasks)


def check_judged(members: Sequence[Member], judged: Judged | None, method: str) -> None:
    """Raise UsageError that names the members without out-of-fold rows, where something has to be chosen on them."""
    lacking = [member.given for member in members if member.oof is None]
    if judged is None or lacking:
        raise UsageError(
            f"--method {method}, or --decide, chooses on out-of-fold rows, and members have none",
            fix="give FILE,OOF_FILE for them, or use --method mean, vote or weights alone",
            offenders=lacking,
        )


def decide_on(nested: Floats, judged: Judged) -> Calibration:
    """Fit a decision on the ensemble's out-of-fold rows (N, J); see `calibrate`."""
    labels = nested.argmax(axis=1).astype(np.int64)
    rows = Judged(judged.ids, labels, judged.truth, judged.space, nested, judged.people_N, judged.fold_N, judged.seed)
    return judge_rows(rows, tried="expected")


# ---- the recipe ------------------------------------------------------------------------------------------------------


def recipe_of(asked: Asked, blend: Blend, calibration: Calibration | None, verdict: Verdict | None) -> dict[str, Any]:
    """Return the recipe as plain data: members, method, what was chosen, and what it is worth."""
    weights: Any = None
    if isinstance(blend.weights, Mapping):
        weights = {task: weights_M.tolist() for task, weights_M in blend.weights.items()}
    elif blend.weights is not None:
        weights = blend.weights.tolist()
    recipe: dict[str, Any] = {"kind": KIND, "version": VERSION, "method": blend.method}
    recipe["members"] = [{"run" if Path(text).is_dir() else "file": _absolute(text)} for text in asked.given]
    recipe |= {"weights": weights, "sources": None if blend.sources is None else dict(blend.sources)}
    recipe["decide"] = calibration is not None
    if verdict is not None:
        interval = [verdict.interval.low, verdict.interval.high]
        recipe["nested_macro_f1"] = {"value": verdict.nested.macro_f1, "interval": interval}
    return recipe


def _absolute(text: str) -> str:
    return ",".join(str(Path(part).resolve()) for part in text.split(","))


def read_recipe(path: Path, given: Sequence[str]) -> Asked:
    """Return what an earlier ensemble did: its runs, its method, and the weights or members it chose.

    A stack is fitted again, on the same out-of-fold rows. Raises DataError for what is no recipe, or one with members
    that are files, since these are about the photos of then; UsageError for further members.
    """
    if given:
        raise UsageError("a recipe names its members", where="--recipe", got=", ".join(given), fix="leave them out")
    data = read_yaml(path)
    try:
        if (data["kind"], data["version"]) != (KIND, VERSION) or data["method"] not in METHODS:
            raise ValueError(f"{data['kind']!r}, version {data['version']!r}, method {data['method']!r}")
        files = [member["file"] for member in data["members"] if "file" in member]
        runs = [str(member["run"]) for member in data["members"] if "run" in member]
        weights, sources = data["weights"], data["sources"]
        blend = Blend(data["method"], _weights_of(weights), sources and {str(t): int(m) for t, m in sources.items()})
        chosen = weights is not None or sources is not None
        decide = bool(data["decide"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError("this is no recipe of maskcls ensemble", where=str(path), got=repr(error)) from None
    if files:
        fix = "name the members anew, with files for these photos"
        raise DataError("members of the recipe are files for other photos", where=str(path), offenders=files, fix=fix)
    return Asked(runs, blend.method, decide, blend if chosen else None)


def _weights_of(given: Any) -> Weights | None:
    if isinstance(given, Mapping):
        return {str(task): np.asarray(weights, dtype=np.float64) for task, weights in given.items()}
    return None if given is None else np.asarray(given, dtype=np.float64)
