"""maskcls ensemble: runs and other people's predictions in, one submission out, chosen and judged on out-of-fold rows.

N out-of-fold rows, M members, J joint classes. torch is imported only where a run has not predicted the photos yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
from maskcls.commands.judged import parts_of, places, read_run
from maskcls.commands.progress import Reporter
from maskcls.commands.run_records import networks
from maskcls.data import manifest as tables
from maskcls.data.folds import constant_tasks
from maskcls.data.source import read_unlabelled
from maskcls.errors import BusyError, DataError, ResultError, UsageError, WeightsError
from maskcls.labels import Floats, LabelSpace
from maskcls.results.blending import CHOOSING, METHODS, Blend, Fixed, Searched, Verdict, choose, combined, honest, judge
from maskcls.results.ensemble import to_shares
from maskcls.results.evaluation import Judged
from maskcls.results.grouping import Groups, cross_smoothed, fit_weights, read_groups, smooth
from maskcls.results.outside import read_member
from maskcls.results.predictions import Predictions
from maskcls.rundir import REFIT, RunDir
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
        return Path(files_of(self.given)[0]).name


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
    method: str | None = None,
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
    method   one of METHODS, the mean by default. Whatever it has to choose is chosen on out-of-fold rows.
    weights  one a member, with commas between them.
    recipe   of an earlier ensemble: its members, method and weights, in the place of those above.
    decide   answer by the decision rule that the out-of-fold rows of the ensemble make worth while, if any.
    groups   which photos are of one person, see `group`: they answer together. oof_groups: the same of the train
             photos, so that this is judged, and how much each photo says is fitted, on out-of-fold rows.

    Raises UsageError for settings that make no sense together, DataError, WeightsError or ResultError for members that
    do not fit together, BusyError when the output exists.
    """
    if recipe:
        asked = read_recipe(recipe, given, method, weights)
    else:
        asked = read_settings(given, method or "mean", weights, decide=decide)
    check_output(output, force=force)
    cfg, frame, members = read_members(asked.given, data, overrides, report)
    if recipe and asked.blend:
        check_tasks(recipe, asked.blend, cfg.space)
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
    if len({Path(files_of(text)[0]).resolve() for text in given}) != len(given):
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
    rundir.sidecar_path(output)  # refuses a name that has none
    taken = [str(path) for path in (output, recipe_path(output)) if path.exists()]
    if taken and not force:
        fix = "choose another -o, or replace it with --force"
        raise BusyError("the output exists", where=" and ".join(taken), fix=fix)


def recipe_path(output: Path) -> Path:
    """Return where the recipe of a submission stands."""
    return output.with_suffix(".recipe.yaml")


def files_of(member: str) -> list[str]:
    """Return the paths a member names: a run folder, which may have a comma in its name, or FILE, or FILE and OOF_FILE.

    >>> files_of("theirs.csv,theirs_oof.csv")
    ['theirs.csv', 'theirs_oof.csv']
    """
    return [member] if Path(member).is_dir() else member.split(",", 1)


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
            file, *oof_files = map(Path, files_of(text))
            test, oof = read_member(file, cfg.space), _oof_of_file(oof_files[0], cfg.space) if oof_files else None
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
    """Return what the run predicted for exactly these photos with the networks it has now, or let it predict them.

    Photos are told apart by the names in their table: others that took the same names are not noticed.
    """
    cfg, env = config.load(run.config)[0], rundir.read_json(run.env)
    path = run.test(data_name(data), cfg.predict.views, cfg.predict.networks)
    if path.exists() and not overrides:
        known = Predictions.load(path)
        weights = sorted(network["sha256"] for network in known.lineage.get("weights", []))
        found = known.lineage.get("data_sha256"), known.lineage.get("run_hashes"), weights
        if found == (tables.sha256(frame), env["hashes"], _speaking(run, cfg, env["folds"])):
            return known
    from maskcls.commands.predict import predict_rows  # torch

    predicted = predict_rows(run, data, overrides=list(overrides), report=report)
    if predicted is None:
        raise UsageError("an ensemble runs in one process", fix="start it without accelerate launch")
    return predicted.predictions


def _speaking(run: RunDir, cfg: Config, folds: Sequence[int]) -> list[str]:
    """Return the hashes of the weights that predict, in order; "" for a network that is not finished."""
    wanted = ("folds", "refit") if cfg.predict.networks == "all" else (cfg.predict.networks,)
    done = []
    for network in networks(run, cfg, folds):
        kind = "folds" if network.judged else "refit" if network.fold == REFIT else "continued"
        if kind in wanted:
            done.append(network.folder.done.read_text().strip() if network.folder.done.exists() else "")
    return sorted(done)


def _oof_of_file(path: Path, space: LabelSpace) -> Predictions:
    """Read out-of-fold rows; raises ResultError when their lineage, at any depth, says that they are none."""
    oof = read_member(path, space)
    submission = oof.lineage["kind"] != "maskcls" and "ensemble" in (oof.lineage.get("lineage") or {})
    if submission or any("networks" in part or part.get("leaky") is True for part in _mappings(oof.lineage)):
        raise ResultError(
            "these are no out-of-fold rows: networks made them that may have learnt from the rows",
            where=str(path),
            fix="name the run folder as the member, or the oof.npz of a run",
        )
    return oof


def _mappings(lineage: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every mapping in plain data."""
    if isinstance(lineage, Mapping):
        yield lineage
        lineage = list(lineage.values())
    if isinstance(lineage, list):
        for part in lineage:
            yield from _mappings(part)


def read_truth(members: list[Member]) -> Judged | None:
    """Bring the members' out-of-fold rows into one order, and return the first run's with their truth.

    None where a member has none, as a leaky run. Raises DataError when members have other rows, or runs another truth.
    """
    folders = {place: RunDir(Path(m.given)) for place, m in enumerate(members) if Path(m.given).is_dir()}
    runs = {place: read_run(run) for place, run in folders.items() if not _is_leaky(run)}
    if not runs:
        return None
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


def _is_leaky(run: RunDir) -> bool:
    return run.summary.exists() and bool(rundir.read_json(run.summary).get("leaky"))


def _check_truth(first: Judged, other: Judged, first_name: str, name: str) -> None:
    """Raise DataError when two runs were trained on other labels of the same rows."""
    order = places(other.ids, first.ids)
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
    space = config.load(run.config)[0].space
    tasks = constant_tasks(tables.from_csv(run.manifest, space), space)
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
    """Fit a decision on the ensemble's out-of-fold rows (N, J); see `calibrate`.

    The rule that judges fold k is fitted on other folds' rows whose weights, and nothing else, were chosen with fold k.
    """
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
        name = "nested_macro_f1" if blend.method in CHOOSING else "macro_f1"
        recipe[name] = {"value": verdict.nested.macro_f1, "interval": interval}
    return recipe


def _absolute(text: str) -> str:
    return ",".join(str(Path(part).resolve()) for part in files_of(text))


def read_recipe(path: Path, given: Sequence[str], method: str | None, weights: str | None) -> Asked:
    """Return what an earlier ensemble did: its runs, its method, and the weights or members it chose.

    A stack is fitted again, on the same out-of-fold rows. Raises DataError for what is no recipe, or one with members
    that are files, since these are about the photos of then; UsageError for settings beside it that it holds itself.
    """
    if said := [*given, *(text for text in (method, weights) if text is not None)]:
        what, fix = "a recipe names its members, its method and its weights", "leave them out"
        raise UsageError(what, where="--recipe", got=", ".join(said), fix=fix)
    data = read_yaml(path)
    try:
        if (data["kind"], data["version"]) != (KIND, VERSION) or data["method"] not in METHODS:
            raise ValueError(f"{data['kind']!r}, version {data['version']!r}, method {data['method']!r}")
        members = [(kind, text) for member in data["members"] for kind, text in member.items()]
        if not members or not all(kind in ("run", "file") and isinstance(text, str) for kind, text in members):
            raise ValueError(f"members {data['members']!r}")
        if not isinstance(data["decide"], bool):
            raise ValueError(f"decide {data['decide']!r}")
        blend = _chosen(data["method"], data["weights"], data["sources"], len(members))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError("this is no recipe of maskcls ensemble", where=str(path), got=repr(error)) from None
    except UsageError as error:
        raise DataError(error.what, where=str(path), got=error.got, expected=error.expected) from None
    if files := [text for kind, text in members if kind == "file"]:
        fix = "name the members anew, with files for these photos"
        raise DataError("members of the recipe are files for other photos", where=str(path), offenders=files, fix=fix)
    return Asked([text for _, text in members], data["method"], data["decide"], blend)


def _chosen(method: str, weights: Any, sources: Any, members: int) -> Blend | None:
    """Return what a recipe chose, None where nothing is kept; ValueError or UsageError where that is none for it."""
    if (weights is not None, sources is not None) != (method in (*get_args(Searched), "weights"), method == "tasks"):
        raise ValueError(f"method {method}, weights {weights!r}, sources {sources!r}")
    if sources is not None:
        if not all(type(member) is int and 0 <= member < members for member in sources.values()):
            raise ValueError(f"sources {sources!r} of {members} members")
        return Blend(method, sources=dict(sources))
    if isinstance(weights, Mapping) != (method == "convex-tasks"):
        raise ValueError(f"method {method}, weights {weights!r}")
    if isinstance(weights, Mapping):
        return Blend(method, {task: to_shares(part, members) for task, part in weights.items()})
    return None if weights is None else Blend(method, to_shares(weights, members))


def check_tasks(recipe: Path, blend: Blend, space: LabelSpace) -> None:
    """Raise DataError when a recipe chose for other tasks than those of the runs."""
    for chosen in (blend.weights, blend.sources):
        if isinstance(chosen, Mapping) and set(chosen) != set(space.names):
            raise DataError(
                "the recipe is about other tasks",
                where=str(recipe),
                got=", ".join(map(str, chosen)),
                expected=", ".join(space.names),
            )
