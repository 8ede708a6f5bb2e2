"""maskcls ensemble: runs and other people's predictions in, one submission out, chosen and judged on out-of-fold rows.

N out-of-fold rows, M members, J joint classes. torch is imported only where a run has not predicted the photos yet.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from json import dumps
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

import maskcls
from maskcls import config, rundir
from maskcls.commands.answering import data_name, write_labels
from maskcls.commands.calibrate import Calibration, judge_rows
from maskcls.commands.judged import read_run
from maskcls.commands.progress import Reporter
from maskcls.data import manifest as tables
from maskcls.data.source import read_unlabelled
from maskcls.errors import BusyError, DataError, ResultError, UsageError, WeightsError, visible
from maskcls.labels import Floats, Ints, LabelSpace
from maskcls.results.compare import Difference, paired_bootstrap
from maskcls.results.crossfit import cross_fit_members
from maskcls.results.diversity import correlation, kappa, member_value
from maskcls.results.ensemble import Weights, combine, combine_tasks, combine_weighted, to_shares
from maskcls.results.evaluation import Judged
from maskcls.results.metrics import Interval, Scores, person_bootstrap, score
from maskcls.results.outside import read_member
from maskcls.results.predictions import Predictions
from maskcls.results.stacking import apply_stack, fit_stack, nested_stack
from maskcls.results.submission import Written, sidecar_path
from maskcls.results.weighting import nested as nested_weights
from maskcls.results.weighting import search_weights
from maskcls.rundir import RunDir
from maskcls.schema import Config
from maskcls.yaml12 import dump_yaml, read_yaml

Fixed = Literal["mean", "geometric", "vote", "rank"]
Searched = Literal["greedy", "bagged", "convex", "convex-tasks"]
METHODS = (*get_args(Fixed), *get_args(Searched), "tasks", "stack", "weights")
DRAWS = 1000
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
class Blend:
    """How the members become one. weights: for the searched methods and for `weights`; `sources`: {task: member} for
    `tasks`."""

    method: str
    weights: Weights | None = None
    sources: Mapping[str, int] | None = None


@dataclass(frozen=True, eq=False)
class Verdict:
    """What out-of-fold rows say. None of it for members without such rows.

    alone     each member's scores.
    values    by how much the macro-F1 of the ensemble would fall without each member, NaN where that is not defined.
    kappas    (M, M) agreement of the labels beyond chance, correlations (M, M) of the true classes' probabilities.
    nested    scores of the ensemble with everything chosen on the other folds' people, `interval`: of its macro-F1.
    gain      nested, less the best single member.
    best      which member that is.
    """

    alone: list[Scores]
    values: list[float]
    kappas: list[list[float]]
    correlations: list[list[float]]
    nested: Scores
    interval: Interval
    gain: Difference
    best: int


@dataclass(frozen=True, eq=False)
class Found:
    """What `ensemble` made."""

    written: Written
    recipe: Path
    members: list[str]
    blend: Blend
    verdict: Verdict | None
    calibration: Calibration | None

    def weight_of(self, place: int) -> str:
        """Return what a member counts, in words."""
        weights, sources = self.blend.weights, self.blend.sources
        if sources is not None:
            return " ".join(task for task, member in sources.items() if member == place) or "-"
        if isinstance(weights, Mapping):
            return " ".join(f"{weights_M[place]:.2f}" for weights_M in weights.values())
        return "" if weights is None else f"{weights[place]:.2f}"

    def to_json(self) -> dict[str, Any]:
        """Return plain data; a NaN becomes None."""
        verdict, ruled = self.verdict, self.calibration and self.calibration.nested
        data: dict[str, Any] = {
            "file": str(self.written.path),
            "sha256": self.written.sha256,
            "rows": self.written.rows,
        }
        data |= {"recipe": str(self.recipe), "method": self.blend.method, "members": self.members}
        data["weights"] = [self.weight_of(place) for place in range(len(self.members))]
        if verdict is not None:
            data["alone"] = [found.macro_f1 for found in verdict.alone]
            data["values"] = [_plain(value) for value in verdict.values]
            data["kappa"] = [[_plain(value) for value in row] for row in verdict.kappas]
            data["correlation"] = [[_plain(value) for value in row] for row in verdict.correlations]
            data["nested"] = {"macro_f1": verdict.nested.macro_f1, "interval": asdict(verdict.interval)}
            data["gain"] = asdict(verdict.gain) | {"over": self.members[verdict.best]}
        if ruled:
            data["decision"] = asdict(ruled.gain) | {"worth_it": ruled.worth_it}
        return data


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else value


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
    report: Reporter,
) -> Found:
    """Combine members and write the submission, and beside it the recipe that repeats it on other photos.

    given    run folders, or files of predictions for these photos; `FILE,OOF_FILE` adds a file's out-of-fold rows.
    method   one of METHODS. Whatever it has to choose is chosen on out-of-fold rows.
    weights  one a member, with commas between them.
    recipe   of an earlier ensemble: its members, method and weights, in the place of those above.
    decide   answer by the decision rule that the out-of-fold rows of the ensemble make worth while, if any.

    Raises UsageError for settings that make no sense together, DataError, WeightsError or ResultError for members that
    do not fit together, BusyError when the output exists.
    """
    asked = read_recipe(recipe, given) if recipe else read_settings(given, method, weights, decide=decide)
    check_output(output, force=force)
    cfg, frame, members = read_members(asked.given, data, overrides, report)
    judged = read_truth(members)
    blend = asked.blend or choose(members, judged, asked.method)
    verdict = judge(members, judged, blend) if judged is not None else None
    calibration = decide_on(members, judged, blend) if asked.decide or decide else None
    how = recipe_of(asked, blend, calibration, verdict)
    found = apply(blend, members, judged)
    labels = found.labels() if calibration is None else calibration.decision.labels(found)
    lineage = {"maskcls": maskcls.__version__, "ensemble": how, "members": [member.test.lineage for member in members]}
    lineage |= {"data": data.resolve().name, "data_sha256": tables.sha256(frame)}
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


# ---- choosing and judging --------------------------------------------------------------------------------------------


def choose(members: Sequence[Member], judged: Judged | None, method: str) -> Blend:
    """Choose what the method leaves open, on all out-of-fold rows; raises UsageError where they are missing."""
    if method in get_args(Fixed):
        return Blend(method)
    prob, judged = _oof(members, judged, method)
    if method == "tasks":
        return Blend(method, sources=best_sources(prob, judged.truth, judged.space))
    if method == "stack":
        return Blend(method)
    return Blend(method, search_weights(_search(method), prob, judged.truth, judged.space, seed=judged.seed))


def _search(method: str) -> Searched:
    return next(known for known in get_args(Searched) if known == method)


def best_sources(prob_MNJ: Sequence[Floats], truth: Mapping[str, Ints], space: LabelSpace) -> dict[str, int]:
    """Return for each task the member with the best macro-F1 in it, the first of equals."""
    scores = [score(prob_NJ, truth, space) for prob_NJ in prob_MNJ]
    return {name: int(np.argmax([found.tasks[name].macro_f1 for found in scores])) for name in space.names}


def _oof(members: Sequence[Member], judged: Judged | None, method: str) -> tuple[list[Floats], Judged]:
    lacking = [member.given for member in members if member.oof is None]
    if judged is None or lacking:
        raise UsageError(
            f"--method {method} chooses on out-of-fold rows, and members have none",
            fix="give FILE,OOF_FILE for them, or use --method mean, vote or weights",
            offenders=lacking,
        )
    return [member.oof.prob for member in members if member.oof is not None], judged


def judge(members: Sequence[Member], judged: Judged, blend: Blend) -> Verdict:
    """Score every member and the ensemble on the out-of-fold rows, what was chosen being chosen on the other folds."""
    prob, _ = _oof(members, judged, blend.method)
    space, truth = judged.space, judged.truth
    joint_N, people_N = space.encode(truth), judged.people_N
    assert people_N is not None
    labels = [prob_NJ.argmax(axis=1).astype(np.int64) for prob_NJ in prob]
    alone = [score(prob_NJ, truth, space) for prob_NJ in prob]
    best = int(np.argmax([found.macro_f1 for found in alone]))
    nested = honest(prob, judged, blend)
    nested_N = nested.argmax(axis=1).astype(np.int64)
    return Verdict(
        alone,
        member_value(prob, joint_N, _mean_weights(blend, len(prob), space)).tolist(),
        kappa(labels, space.size).tolist(),
        correlation(prob, joint_N).tolist(),
        score(nested, truth, space),
        person_bootstrap(joint_N, nested_N, people_N, space.size, draws=DRAWS, seed=judged.seed),
        paired_bootstrap(joint_N, labels[best], nested_N, people_N, space.size, draws=DRAWS, seed=judged.seed),
        best,
    )


def honest(prob_MNJ: Sequence[Floats], judged: Judged, blend: Blend) -> Floats:
    """Return what the method gives for every row (N, J) when it chooses on the other folds' people.

    A method with nothing to choose gives what it gives. Raises ResultError for runs of one fold.
    """
    space, truth, fold_N = judged.space, judged.truth, judged.fold_N
    assert fold_N is not None
    if blend.method in (*get_args(Fixed), "weights"):
        return _combined(blend, [_as_predictions(prob_NJ, space) for prob_NJ in prob_MNJ]).prob
    if len(np.unique(fold_N)) < 2:
        raise ResultError(
            f"--method {blend.method} needs two folds or more, to choose on one and be judged on another",
            fix="use --method mean, or train further folds with maskcls resume RUN --folds",
        )
    if blend.method == "stack":
        return nested_stack(prob_MNJ, truth, fold_N, space)
    if blend.method == "tasks":

        def mix(sources: Mapping[str, int], part: list[Floats]) -> Floats:
            return space.compose({name: space.marginals(part[m])[name] for name, m in sources.items()})

        return cross_fit_members(prob_MNJ, truth, fold_N, lambda part, known: best_sources(part, known, space), mix)
    return nested_weights(_search(blend.method), prob_MNJ, truth, fold_N, space, seed=judged.seed)


def _as_predictions(prob_NJ: Floats, space: LabelSpace) -> Predictions:
    return Predictions(np.arange(len(prob_NJ)).astype(np.str_), prob_NJ, space)


def _mean_weights(blend: Blend, members: int, space: LabelSpace) -> Any:
    """Return (M,) weights that stand for the blend where a member's value is asked."""
    if isinstance(blend.weights, Mapping):
        return np.mean([blend.weights[name] for name in space.names], axis=0)
    return np.full(members, 1 / members) if blend.weights is None else blend.weights


def decide_on(members: Sequence[Member], judged: Judged | None, blend: Blend) -> Calibration:
    """Fit a decision on the ensemble's out-of-fold rows; see `calibrate`."""
    prob, judged = _oof(members, judged, blend.method)
    nested = honest(prob, judged, blend)
    labels = nested.argmax(axis=1).astype(np.int64)
    rows = Judged(judged.ids, labels, judged.truth, judged.space, nested, judged.people_N, judged.fold_N, judged.seed)
    return judge_rows(rows, tried="expected")


# ---- the answer ------------------------------------------------------------------------------------------------------


def apply(blend: Blend, members: Sequence[Member], judged: Judged | None) -> Predictions:
    """Combine the members' predictions of the photos."""
    tests = [member.test for member in members]
    if blend.method != "stack":
        return _combined(blend, tests, names=[member.given for member in members])
    prob, known = _oof(members, judged, "stack")
    stack = fit_stack(prob, known.truth, known.space)
    lineage = {"ensemble": {"method": "stack"}, "members": [test.lineage for test in tests]}
    return Predictions(tests[0].ids, apply_stack(stack, [test.prob for test in tests]), known.space, lineage)


def _combined(blend: Blend, members: Sequence[Predictions], *, names: Sequence[str] = ()) -> Predictions:
    if blend.weights is not None:
        return combine_weighted(members, blend.weights, names=names)
    if blend.sources is not None:
        return combine_tasks({task: members[member] for task, member in blend.sources.items()})
    return combine(members, next(known for known in get_args(Fixed) if known == blend.method), names=names)


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


# ---- what a person sees ----------------------------------------------------------------------------------------------


def print_found(found: Found, *, json: bool = False) -> None:
    """Print to stdout the members, how they differ, and what the ensemble is worth; with `json` one JSON object."""
    if json:
        print(dumps(found.to_json(), allow_nan=False))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False, emoji=False)
    verdict = found.verdict
    if verdict is None:
        console.print("no member can be judged: some have no out-of-fold rows")
    else:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="")
        table.add_column("member", overflow="fold")
        names = list(verdict.alone[0].tasks)
        for name in ("macro-F1", *names, "weight", "worth", "kappa", "correlation"):
            table.add_column(visible(name), justify="right", no_wrap=True)
        for place, (name, alone) in enumerate(zip(found.members, verdict.alone, strict=True)):
            scores = [alone.macro_f1, *(alone.tasks[task].macro_f1 for task in names)]
            apart = [_others(verdict.kappas[place], place), _others(verdict.correlations[place], place)]
            numbers = [*map(_number, scores), found.weight_of(place), _number(verdict.values[place], sign=True)]
            table.add_row(visible(name), *numbers, *map(_number, apart))
        console.print(table)
        gain, interval = verdict.gain, verdict.interval
        score_text = f"{verdict.nested.macro_f1:.4f} [{interval.low:.4f}, {interval.high:.4f}] over people"
        gain_text = f"{gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}] over {found.members[verdict.best]} alone"
        chosen = "" if found.blend.method in get_args(Fixed) else ", chosen on the other folds"
        console.print(f"{found.blend.method}: macro-F1 {score_text}{chosen}; {gain_text}", soft_wrap=True)
    if found.calibration is not None and found.calibration.nested is not None:
        ruled = found.calibration.nested
        gain = ruled.gain
        verdict_text = "used" if ruled.worth_it else "not worth it, not used"
        console.print(f"decision rule: {gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}], {verdict_text}")
    console.print(f"{found.written.path}  {found.written.rows:,} rows; {found.recipe.name} repeats it", soft_wrap=True)


def _others(row: Sequence[float], place: int) -> float:
    """Return the mean over the other members, NaN where there is none."""
    others = [value for other, value in enumerate(row) if other != place]
    return float(np.mean(others)) if others else math.nan


def _number(value: float, *, sign: bool = False) -> str:
    return "-" if math.isnan(value) else f"{value:+.4f}" if sign else f"{value:.4f}"
