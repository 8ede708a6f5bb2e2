"""What each method is worth: one training a method and seed, all other settings those of the base.

Compared  Every row of a YAML file with the base: a shipped configuration, folds, and overrides that fix a small budget.
          A row adds overrides of its own. A row that comes to the base's own settings is the base.
Counted   Macro-F1 of the out-of-fold rows of all folds, pooled, the mean over the seeds; its difference to the base on
          the same rows and seeds, with a 95 % interval from 1,000 resamples of people, a person's photos and all seeds
          together; the tasks' macro-F1; `seconds` of log.jsonl over the base's, folds trained side by side shared out.
How       `run` starts `maskcls train`, or `maskcls resume` where a training was interrupted, one after the other: all
          rows with the first seed, then with the next. Finished runs are skipped, failures are kept in the folder and
          the next row goes on, Ctrl-C stops; the same command continues. `table` only reads what `run` left.
Run       python benchmarks/methods.py run DATA --rows benchmarks/methods.yaml --out runs/methods --seeds 0 1
          python benchmarks/methods.py run DATA --only ema drop/0.5 --set model.weights=FILE train.epochs=1 --folds 0
          python benchmarks/methods.py table --out runs/methods --write benchmarks/methods.md --json methods.json
Read      "helps": the whole interval lies above 0; "hurts": below 0; "within noise": neither was found. The interval
          covers the choice of people, not that of seeds, and of many rows about one in twenty looks different by
          chance alone. What helps within a small budget may not help within a large one.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from alternate import MASKCLS, say
from numpy.typing import NDArray
from pydantic import ValidationError

from maskcls import config, files
from maskcls.config.faults import Source, config_error, read_faults
from maskcls.config.yaml12 import read_yaml
from maskcls.data.rows import manifest as tables
from maskcls.errors import ConfigError, Exit, MaskclsError, ResultError, UsageError, nearest
from maskcls.labels import Ints, LabelSpace
from maskcls.results.comparison.bootstrap import Difference, paired_bootstrap
from maskcls.results.predictions import Predictions
from maskcls.results.scores.metrics import Scores, score
from maskcls.results.scores.person_bootstrap import BOOTSTRAP_DRAWS
from maskcls.rundir import RunDir
from maskcls.schema import Config, Section

BASE = "base"
PLAN = "methods.json"
FAMILY = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
FILES = ("model.weights", "data.fixes", "data.pseudo")  # the ends of settings whose value is a file of the user's
GRACE_S = 60.0
HELPS, HURTS, NOISE = "helps", "hurts", "within noise"

Starter = Callable[[Sequence[str], Path], int]


# --- what is to be compared


class _Base(Section):
    config: str
    folds: list[int]
    overrides: list[str]


class _Rows(Section):
    base: _Base
    families: dict[str, dict[str, list[str]]]


@dataclass(frozen=True)
class Row:
    """One line of a table: its own overrides, and the stem of its run folders, the base's when it is the base."""

    family: str
    name: str
    overrides: tuple[str, ...]
    folder: str

    @property
    def title(self) -> str:
        """`family/name`, or `base`."""
        return f"{self.family}/{self.name}" if self.family else self.name

    @property
    def is_base(self) -> bool:
        """Whether its settings are the base's."""
        return self.folder == BASE

    def run(self, out: Path, seed: int) -> RunDir:
        """Return the run of one seed."""
        return RunDir(out / f"{self.folder}.s{seed}")


@dataclass(frozen=True)
class Plan:
    """The base and all rows, in the file's order; it lies in the output folder, for the table."""

    config: str
    overrides: tuple[str, ...]
    folds: tuple[int, ...]
    rows: tuple[Row, ...]
    command: str = ""

    @property
    def base(self) -> Row:
        """The base as a row without overrides."""
        return Row("", BASE, (), BASE)

    def words(self, row: Row, seed: int) -> list[str]:
        """Return the overrides of one run; of a key given twice the last one counts."""
        return [*self.overrides, *row.overrides, f"seed={seed}"]

    def settings(self, row: Row, seed: int) -> Config:
        """Resolve the configuration of one run; raises ConfigError or UsageError."""
        return config.load(config.find(Path(self.config)), self.words(row, seed))[0]

    @staticmethod
    def load(path: Path) -> Plan:
        """Read what `run` left in the output folder."""
        data = files.read_json(path)
        rows = tuple(Row(**(row | {"overrides": tuple(row["overrides"])})) for row in data["rows"])
        overrides, folds = tuple(data["overrides"]), tuple(data["folds"])
        return Plan(data["config"], overrides, folds, rows, data["command"])


def read_plan(path: Path, *, overrides: Sequence[str] = (), folds: Sequence[int] = (), command: str = "") -> Plan:
    """Read the rows of a YAML file and resolve every one, before anything is trained.

    overrides  further ones for the base, and so for every row; a row's own come after them.
    folds      instead of the file's.

    Raises ConfigError that lists every row at fault.
    """
    try:
        data = _Rows.model_validate(read_yaml(path))
    except ValidationError as error:
        raise config_error(read_faults(error, _Rows), Source(str(path))) from None
    names = [(family, name) for family, rows in data.families.items() for name in rows]
    bad = [f"{f}/{n}" for f, n in names if f == BASE or not (FAMILY.fullmatch(f) and NAME.fullmatch(n))]
    if bad or not names:
        fix = "letters, digits, _ and -, in a row's name also . and +; not base"
        raise ConfigError("rows without a name for a folder", where=str(path), expected=fix, offenders=bad)
    base = Plan(
        data.base.config, (*data.base.overrides, *overrides), tuple(sorted(folds or data.base.folds)), (), command
    )
    rows, faults = [], []
    same = config.to_yaml(base.settings(base.base, 0))
    for family, name in names:
        row = Row(family, name, tuple(data.families[family][name]), f"{family}.{name}")
        try:
            is_base = config.to_yaml(base.settings(row, 0)) == same
        except MaskclsError as error:
            faults.append(f"{row.title}: " + one_line(error))
            continue
        rows.append(Row(family, name, row.overrides, BASE) if is_base else row)
    if faults:
        raise ConfigError("rows cannot be trained", where=str(path), offenders=faults)
    return Plan(base.config, base.overrides, base.folds, tuple(rows), command)


def choose(plan: Plan, only: Sequence[str]) -> list[Row]:
    """Return the base and the wanted rows, all by default, by `family` or `family/name`; UsageError for another."""
    known = {word: None for row in plan.rows for word in (row.family, row.title)}
    for word in only:
        if word not in known:
            hint = nearest(word, list(known))
            raise UsageError(
                "no such row", where="--only", got=repr(word), fix=f"did you mean {hint!r}?" if hint else None
            )
    rows = [row for row in plan.rows if not only or row.family in only or row.title in only]
    return [plan.base, *(row for row in rows if not row.is_base)]


def one_line(error: MaskclsError) -> str:
    """Return a message without its line breaks.

    >>> one_line(UsageError("not so", fix="do this"))
    'not so; fix: do this'
    """
    return "; ".join(line.strip() for line in error.lines()).removeprefix(f"error[{error.code}] ")


# --- training


def command_of(plan: Plan, row: Row, data: Path, out: Path, seed: int) -> list[str]:
    """Return the command that trains a run, or continues it where it has begun."""
    run = row.run(out, seed)
    if run.env.exists():
        return [*MASKCLS, "resume", str(run.path)]
    folds = ",".join(map(str, plan.folds))
    command = [*MASKCLS, "train", str(data), "--config", plan.config, "--run", str(run.path), "--folds", folds]
    return [*command, *plan.words(row, seed)]


def start_process(command: Sequence[str], output: Path) -> int:
    """Run a command with all it says in a file and return its exit code; what interrupts us stops it first."""
    env = {**os.environ, "NO_ALBUMENTATIONS_UPDATE": "1"}
    with output.open("w") as handle:
        process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=handle, stderr=subprocess.STDOUT)
        try:
            return process.wait()
        except BaseException:
            process.terminate()  # Ctrl-C has reached it as well; other signals have not
            try:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(GRACE_S)
            finally:
                process.kill()
                process.wait()
            raise


def train_all(
    plan: Plan,
    data: Path,
    out: Path,
    *,
    rows: Sequence[Row],
    seeds: Sequence[int],
    start: Starter = start_process,
    clock: Callable[[], float] = time.monotonic,
) -> Exit:
    """Train every row with every seed that is not finished, and say how long the rest will take.

    Returns OK, or RESULT when a row failed. A failure of the base ends it, since nothing could be compared.
    Raises ResultError when a folder holds a run of other settings, UsageError when the base's weights are missing.
    """
    refuse_others(plan, out)
    refuse_missing_weights(plan)
    files.commit_json(out / PLAN, asdict(plan))
    every = [(row, seed) for seed in seeds for row in rows]
    left = [(row, seed) for row, seed in every if not row.run(out, seed).summary.exists()]
    say(f"{len(every)} runs, {len(every) - len(left)} of them finished before")
    walls_s: list[float] = []
    failed = 0
    for index, (row, seed) in enumerate(left):
        place = f"[{len(every) - len(left) + index + 1}/{len(every)}] {row.title} seed {seed}"
        say(f"{place}: {'continuing' if row.run(out, seed).env.exists() else 'training'}")
        started = clock()
        fault = train_one(command_of(plan, row, data, out, seed), row.run(out, seed), start)
        walls_s.append(clock() - started)
        failed += fault is not None
        say(f"{place}: {fault or score_of(row.run(out, seed))}, {walls_s[-1]:.0f} s{forecast(walls_s, len(left))}")
        if fault is not None and row.is_base:
            say("the base failed, and nothing can be compared without it")
            break
    return Exit.RESULT if failed else Exit.OK


def train_one(command: Sequence[str], run: RunDir, start: Starter) -> str | None:
    """Run one training; returns None, or why it failed, which is kept beside the run's folder."""
    output, record = beside(run, "txt"), beside(run, "failed.json")
    output.parent.mkdir(parents=True, exist_ok=True)
    code = start(command, output)
    if code == 0 and run.summary.exists():
        record.unlink(missing_ok=True)
        return None
    message = f"failed with exit code {code}: {last_words(output.read_text(errors='replace'))}"
    files.commit_json(record, {"code": code, "message": message})
    return message


def beside(run: RunDir, ending: str) -> Path:
    """Return a file of ours next to a run's folder."""
    return run.path.with_name(f"{run.path.name}.{ending}")


def last_words(text: str) -> str:
    """Return the error a process ended with in one line, or else the last it said.

    >>> last_words("epoch 1\\nerror[diverged] it diverged\\n  where: step 3\\n")
    'error[diverged] it diverged; where: step 3'
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    begin = next((i for i in reversed(range(len(lines))) if lines[i].startswith("error[")), max(0, len(lines) - 3))
    return "; ".join(lines[begin:]) or "it said nothing"


def forecast(walls_s: Sequence[float], runs: int) -> str:
    """Return how long the rest takes if it goes on as so far.

    >>> forecast([50.0, 70.0], 5)
    '; 3 left, about 3 min'
    """
    left = runs - len(walls_s)
    return f"; {left} left, about {left * statistics.mean(walls_s) / 60:.0f} min" if left else ""


def score_of(run: RunDir) -> str:
    """Return a finished run's score in words."""
    pooled = files.read_json(run.summary)["pooled"]
    return f"macro-F1 {number(pooled['macro_f1'])}" if pooled else "leaky, and so without a score"


def refuse_others(plan: Plan, out: Path) -> None:
    """Raise ResultError that lists every run folder whose settings are not those its row stands for now."""
    found = []
    for row in (plan.base, *plan.rows):
        for seed in seeds_of(out, row):
            if not (run := row.run(out, seed)).env.exists():
                continue
            then, now = plain(config.load(run.config)[0]), plain(plan.settings(row, seed))
            then["folds trained"], now["folds trained"] = files.read_json(run.env)["folds"], list(plan.folds)
            found += [f"{run.path.name}: {text}" for text in differences(then, now)]
    if found:
        fix = "move these folders away, or choose another --out"
        raise ResultError(
            "run folders hold other settings than their rows", offenders=list(dict.fromkeys(found)), fix=fix
        )


def refuse_missing_weights(plan: Plan) -> None:
    """Raise UsageError when the base begins from a file that is not there."""
    weights = plan.settings(plan.base, 0).model.weights
    if weights and not Path(weights).is_file():
        fix = "give the file with --set model.weights=PATH, or model.weights=null"
        raise UsageError("the weights of the base are not there", where="model.weights", got=repr(weights), fix=fix)


def seeds_of(out: Path, row: Row) -> list[int]:
    """Return the seeds a row has folders or failures of, ascending."""
    ends = (
        path.name.removeprefix(f"{row.folder}.s").removesuffix(".failed.json") for path in out.glob(f"{row.folder}.s*")
    )
    return sorted({int(end) for end in ends if end.isdecimal()})


def plain(cfg: Config) -> dict[str, Any]:
    """Return every setting by its dotted key, files named absolutely, as a run keeps them."""
    flat = config.flatten(cfg.model_dump(mode="json"))

    def is_file(value: Any) -> bool:
        return isinstance(value, str) and Path(value).is_file()

    return {key: str(Path(value).resolve()) if is_file(value) else value for key, value in flat.items()}


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return every entry that differs, in words.

    >>> differences({"a": 1, "b": 2}, {"a": 1, "b": 3})
    ['b is 2, not 3']
    """
    return [f"{key} is {then.get(key)}, not {now.get(key)}" for key in {**now, **then} if then.get(key) != now.get(key)]


# --- reading runs


@dataclass(frozen=True)
class Done:
    """A finished run, as its folder tells of it.

    identity   what it was trained and judged on; equal for runs that can be compared.
    settings   every setting by its dotted key.
    seconds    of all epochs of all networks; folds trained side by side share theirs.
    """

    run: RunDir
    identity: dict[str, Any]
    settings: dict[str, Any]
    space: LabelSpace
    pooled: Predictions
    seconds: float
    versions: dict[str, str]
    folds: tuple[int, ...]


@dataclass(frozen=True)
class Judged:
    """The rows all runs are judged by, in one order."""

    ids: NDArray[np.str_]
    people: NDArray[Any]
    truth: dict[str, Ints]
    space: LabelSpace
    photos_in_all: int
    people_in_all: int

    def labels(self, done: Done) -> Ints:
        """Return a run's joint labels (N,) in the order of these rows."""
        return done.pooled.align(self.ids).labels()

    def score(self, done: Done) -> Scores:
        """Score a run."""
        return score(self.labels(done), self.truth, self.space)


def read_done(run: RunDir) -> Done:
    """Read a finished run; raises MaskclsError when a file is missing or damaged."""
    env, (cfg, _) = files.read_json(run.env), config.load(run.config)
    parts = {"folds": run.folds, "rows or labels": run.manifest, "label space": run.labels}
    identity: dict[str, Any] = {name: files.file_sha256(path)[:12] for name, path in parts.items()}
    identity |= {"folds trained": env["folds"]}
    identity["starting weights"] = sorted({digest[:12] for digest in env["weights"].values()})
    versions = {"maskcls": env["maskcls"], **{name: env["packages"][name] for name in ("torch", "timm")}}
    versions |= {"device": str(env["device"])}
    pooled, seconds = Predictions.load(run.oof), seconds_of(run, cfg, env)
    return Done(run, identity, plain(cfg), cfg.space, pooled, seconds, versions, tuple(env["folds"]))


def seconds_of(run: RunDir, cfg: Config, env: Mapping[str, Any]) -> float:
    """Return the training and validation seconds of a run, from its logs."""
    total = 0.0
    for member in config.members(cfg):
        jobs = min(env["plans"].get(member, {}).get("fold_jobs", 1), len(env["folds"]))
        for fold in env["folds"]:
            log = run.fold(fold, member).log
            try:
                total += sum(json.loads(line)["seconds"] for line in log.read_text().splitlines()) / jobs
            except (OSError, ValueError, KeyError) as error:
                raise ResultError("a log cannot be read", where=str(log), got=str(error)) from None
    return total


def read_judged(done: Done) -> Judged:
    """Read the rows a run was judged by; raises ResultError when none has a label for every task."""
    frame = tables.from_csv(done.run.manifest, done.space)
    here = frame.set_index("id", drop=False).loc[done.pooled.ids.tolist()]
    truth = tables.labels(here, done.space)
    if (done.space.encode(truth) < 0).all():
        raise ResultError("no row has a label for every task, so there is no joint score", where=str(done.run.manifest))
    people = here["person"].to_numpy()
    return Judged(done.pooled.ids, people, truth, done.space, len(frame), frame["person"].nunique())


def why_not(base: Done, other: Done, row: Row) -> list[str]:
    """Return what keeps a run from being compared with the base: anything but the row's own overrides."""
    given = dict(config.parse_override(text) for text in row.overrides)
    own = [*given, *config.preset_keys(given.items())]

    def fixed(done: Done) -> dict[str, Any]:
        mine = {key for key in done.settings if any(f"{key}.".startswith(f"{o}.") for o in own)}
        kept = {key: value for key, value in done.settings.items() if key not in mine and key != "separate"}
        return done.identity | kept

    then, now = fixed(other), fixed(base)
    if any("weights" in text or "pretrained" in text for text in row.overrides):
        for side in (then, now):
            side.pop("starting weights")
    return differences(then, now)


# --- the table


@dataclass(frozen=True)
class Line:
    """One line of the table. Scores by seed, None without one; the rest over the seeds that can be compared.

    tasks    by how much the macro-F1 of each task exceeds the base's.
    time     training seconds over the base's.
    verdict  helps, hurts, within noise, is the base, failed, not comparable, unfinished or not run.
    notes    by seed, why a run is missing, and in which versions or device it differs from the base's.
    """

    row: Row
    scores: dict[int, float | None]
    verdict: str
    difference: Difference | None = None
    tasks: dict[str, float] | None = None
    time: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def score(self) -> float | None:
        """The mean over the seeds."""
        known = [value for value in self.scores.values() if value is not None]
        return statistics.mean(known) if known else None


@dataclass(frozen=True)
class Table:
    """Everything the report shows."""

    plan: Plan
    base: dict[int, Done]
    judged: Judged
    lines: list[Line]

    @cached_property
    def scores(self) -> dict[int, Scores]:
        """The base's scores by seed."""
        return {seed: self.judged.score(done) for seed, done in self.base.items()}


def read_table(out: Path) -> Table:
    """Read all runs in a folder and compare them with the base.

    Raises ResultError when the base has no finished run, or its runs differ in more than the seed.
    """
    plan = Plan.load(out / PLAN)
    runs = {seed: plan.base.run(out, seed) for seed in seeds_of(out, plan.base)}
    base = {seed: read_done(run) for seed, run in runs.items() if run.summary.exists()}
    if not base:
        raise ResultError("the base has no finished run", where=str(out), fix="run the script's `run` first")
    first = next(iter(base.values()))
    if apart := [f"{done.run.path.name}: {t}" for done in base.values() for t in why_not(first, done, SEED)]:
        fix = "train the base again, into a folder of its own"
        raise ResultError(
            "the runs of the base differ in more than their seed", where=str(out), offenders=apart, fix=fix
        )
    judged = read_judged(first)
    table = Table(plan, base, judged, [])
    table.lines.extend(line_of(table, row, out) for row in plan.rows)
    return table


SEED = Row("", "seed", ("seed=0",), "seed")  # what the runs of the base may differ in


def line_of(table: Table, row: Row, out: Path) -> Line:
    """Compare one row with the base, over the seeds that both have finished."""
    if row.is_base:
        own = {seed: found.macro_f1 for seed, found in table.scores.items()}
        return Line(row, dict(own), "is the base", time=1.0)
    done: dict[int, Done] = {}
    faults: dict[int, tuple[str, str]] = {}
    for seed in sorted({*table.base, *seeds_of(out, row)}):
        found = look_at(table, row, row.run(out, seed), seed)
        if isinstance(found, Done):
            done[seed] = found
        else:
            faults[seed] = found
    notes = tuple(f"seed {seed}: {text}" for seed, (_, text) in faults.items())
    if not done:
        worst = {kind for kind, _ in faults.values()}
        verdict = next(kind for kind in ("failed", "not comparable", "unfinished", "not run") if kind in worst)
        return Line(row, dict.fromkeys(faults), verdict, notes=notes)
    scores = {seed: table.judged.score(one) for seed, one in done.items()}
    difference = compare(table, done)
    tasks = {
        name: statistics.mean(scores[s].tasks[name].macro_f1 - table.scores[s].tasks[name].macro_f1 for s in done)
        for name in table.judged.space.names
    }
    seconds = sum(one.seconds for one in done.values()) / sum(table.base[seed].seconds for seed in done)
    for seed, one in done.items():
        notes += tuple(f"seed {seed}: {text}" for text in differences(one.versions, table.base[seed].versions))
    by_seed = {seed: scores[seed].macro_f1 if seed in scores else None for seed in sorted({*done, *faults})}
    return Line(row, by_seed, verdict_of(difference), difference, tasks, seconds, notes)


def look_at(table: Table, row: Row, run: RunDir, seed: int) -> Done | tuple[str, str]:
    """Return a run that can be compared with the base of its seed, or a verdict and why not."""
    if not run.summary.exists():
        if (record := beside(run, "failed.json")).exists():
            return "failed", str(files.read_json(record)["message"])
        return ("unfinished", "was interrupted") if run.env.exists() else ("not run", "was not run")
    if seed not in table.base:
        return "not comparable", "the base has no finished run of this seed"
    try:
        done = read_done(run)
        apart = why_not(table.base[seed], done, row)
    except MaskclsError as error:
        return "not comparable", one_line(error)
    if apart:
        return "not comparable", "not trained and judged as the base: " + "; ".join(apart)
    return done


def compare(table: Table, done: Mapping[int, Done]) -> Difference:
    """Return how far a row lies above the base, over the seeds given."""
    judged = table.judged
    truth_N = judged.space.encode(judged.truth)
    ours = [judged.labels(one) for one in done.values()]
    base = [judged.labels(table.base[seed]) for seed in done]
    return paired_bootstrap(truth_N, base, ours, judged.people, judged.space.size, draws=BOOTSTRAP_DRAWS, seed=0)


def verdict_of(difference: Difference) -> str:
    """Say what an interval says.

    >>> verdict_of(Difference(0.1, 0.0, 0.2, 0.9, 1000, 0.95))
    'within noise'
    """
    return HELPS if difference.low > 0 else HURTS if difference.high < 0 else NOISE


# --- writing it down


def report(table: Table, *, today: str, command: str) -> str:
    """Return the whole report as Markdown."""
    parts = [heading(table, today, command), base_part(table)]
    for family in dict.fromkeys(line.row.family for line in table.lines):
        lines = [line for line in table.lines if line.row.family == family]
        parts.append(f"## {family}\n\n{family_table(lines, table.judged.space.names)}")
    if notes := [f"- `{line.row.title}`, {note}" for line in table.lines for note in line.notes]:
        parts.append("## Notes\n\n" + "\n".join(notes))
    parts.append("## What the rows set\n\n" + "\n".join(f"- `{r.title}`: {code(r.overrides)}" for r in table.plan.rows))
    return "\n\n".join(parts) + "\n"


def heading(table: Table, today: str, command: str) -> str:
    """Return what was compared, on what, when and by which commands."""
    judged, first, plan = table.judged, next(iter(table.base.values())), table.plan
    k, trained = first.settings["folds.k"], listed(first.folds)
    weights = listed(first.identity["starting weights"])
    versions = {name: listed(dict.fromkeys(d.versions[name] for d in table.base.values())) for name in first.versions}
    return "\n".join(
        [
            "# Methods against one base",
            "",
            "One training a row and seed; all but the row's own settings are the base's. Made by",
            "",
            f"    {plan.command}",
            f"    {command}",
            "",
            f"- Data: {judged.photos_in_all:,} photos of {judged.people_in_all:,} people. Judged out of fold: "
            f"{len(judged.ids):,} photos of {len(set(judged.people.tolist())):,} people, "
            f"fold{'s' * (len(first.folds) > 1)} {trained} of {k}. Table {first.identity['rows or labels']}, "
            f"folds {first.identity['folds']}.",
            f"- Budget: `{without_file(plan.config)}` with {code(plan.overrides)}"
            + (f"; FILE is {weights} (sha256, its first 12 digits)." if weights else "."),
            f"- Seeds: {listed(table.base)}. Date: {today}. Versions: "
            + ", ".join(f"{name} {value}" for name, value in versions.items())
            + ".",
            "- Difference: macro-F1 less the base's on the same rows and seeds, with a 95 % interval from "
            f"{BOOTSTRAP_DRAWS:,}",
            "  resamples of people. The tasks' columns are differences too. Time: training seconds over the base's.",
            f'- "{HELPS}": the interval lies above 0; "{HURTS}": below; "{NOISE}": neither. The interval covers the',
            "  choice of people, not that of seeds, and of many rows about one in twenty stands out by chance alone.",
        ]
    )


def base_part(table: Table) -> str:
    """Return the base's own scores and seconds."""
    names, seeds = table.judged.space.names, list(table.base)
    scores = [table.scores[seed] for seed in seeds]
    row = [number(statistics.mean(s.macro_f1 for s in scores)), listed(number(s.macro_f1) for s in scores)]
    row += [number(statistics.mean(s.tasks[name].macro_f1 for s in scores)) for name in names]
    row.append(f"{statistics.mean(done.seconds for done in table.base.values()):.0f}")
    return "## The base\n\n" + markdown(["macro-F1", f"seed {listed(seeds)}", *names, "seconds a seed"], [row])


def family_table(lines: Sequence[Line], names: Sequence[str]) -> str:
    """Return the rows of one family as a table."""
    head = ["name", "macro-F1", "by seed", "difference", "95 % interval", *names, "time", "verdict"]
    return markdown(head, [[line.row.name, *cells(line, names), line.verdict] for line in lines])


def cells(line: Line, names: Sequence[str]) -> list[str]:
    """Return the figures of one row; a dash for what is not known."""
    d = line.difference
    shown = [number(line.score), listed(number(value) for value in line.scores.values())]
    shown += [f"{d.value:+.4f}", f"{d.low:+.4f} .. {d.high:+.4f}"] if d else ["-", "-"]
    shown += [f"{line.tasks[name]:+.4f}" if line.tasks else "-" for name in names]
    return [*shown, "-" if line.time is None else f"{line.time:.2f}"]


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose columns line up in plain text as well.

    >>> print(markdown(["name", "F1"], [["a", "0.5000"]]))
    | name | F1     |
    |------|--------|
    | a    | 0.5000 |
    """
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = ["| " + " | ".join(f"{c:{w}}" for c, w in zip(row, widths, strict=True)) + " |" for row in (head, *rows)]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def number(value: float | None) -> str:
    """Return a score with four digits, or a dash."""
    return "-" if value is None or value != value else f"{value:.4f}"


def listed(values: Any) -> str:
    """Return values with commas between them."""
    return ", ".join(map(str, values))


def code(overrides: Sequence[str]) -> str:
    """Return overrides as Markdown, without the files' paths."""
    return ", ".join(f"`{text}`" for text in dict.fromkeys(map(without_file, overrides))) or "nothing"


def without_file(text: str) -> str:
    """Leave the user's own paths out of a word of a command.

    >>> without_file("model.weights=here/trunk.safetensors"), without_file("optim.lr=1e-4"), without_file("/tmp/runs")
    ('model.weights=FILE', 'optim.lr=1e-4', 'runs')
    """
    key, equals, value = text.partition("=")
    if equals and value != "null" and (key.endswith(FILES) or Path(value).is_file()):
        return f"{key}=FILE"
    return Path(text).name if text.startswith("/") else text


def shown_command(argv: Sequence[str], data: Path | None = None) -> str:
    """Return the command line anybody could give, DATA and FILE in the place of paths.

    >>> shown_command(["run", "/photos", "--only", "age", "loss/ce", "--set", "model.weights=/w.pt"], Path("/photos"))
    'python benchmarks/methods.py run DATA --set model.weights=FILE'
    """
    argv = list(argv)
    if "--only" in argv:  # it chooses what to do next, and changes no figure
        at = argv.index("--only")
        end = next((i for i in range(at + 1, len(argv)) if argv[i].startswith("--")), len(argv))
        argv = argv[:at] + argv[end:]
    words = ["DATA" if data is not None and word == str(data) else without_file(word) for word in argv]
    return "python benchmarks/methods.py " + shlex.join(words)


def as_json(table: Table, *, today: str, command: str) -> dict[str, Any]:
    """Return everything the report shows as plain data."""
    first = next(iter(table.base.values()))
    base = {
        seed: {"macro_f1": found.macro_f1, "tasks": {n: t.macro_f1 for n, t in found.tasks.items()}}
        | {"seconds": table.base[seed].seconds, "versions": table.base[seed].versions}
        for seed, found in table.scores.items()
    }
    header = {"date": today, "commands": [table.plan.command, command], "identity": first.identity}
    header |= {
        "config": without_file(table.plan.config),
        "overrides": [without_file(text) for text in table.plan.overrides],
    }
    rows = [asdict(line) | {"macro_f1": line.score} for line in table.lines]
    return {"header": header, "base": base, "rows": rows}


# --- the command line


def arguments_of(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="train what is not trained yet")
    run.add_argument("data", type=Path, metavar="DATA")
    run.add_argument("--rows", type=Path, default=Path(__file__).with_suffix(".yaml"), metavar="FILE")
    run.add_argument("--out", type=Path, default=Path("runs/methods"), metavar="DIR")
    run.add_argument("--only", nargs="+", default=[], metavar="FAMILY[/NAME]", help="these rows, and the base")
    run.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    run.add_argument("--folds", type=fold_numbers, default=(), metavar="0,1", help="default: the file's")
    run.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="settings of the base")
    table = verbs.add_parser("table", help="compare what is finished with the base")
    table.add_argument("--out", type=Path, default=Path("runs/methods"), metavar="DIR")
    table.add_argument("--write", type=Path, default=None, metavar="FILE", help="the Markdown, as printed")
    table.add_argument("--json", type=Path, default=None, metavar="FILE", help="every figure")
    return parser.parse_args(argv)


def fold_numbers(text: str) -> tuple[int, ...]:
    """Read `0,1`; ascending, each once.

    >>> fold_numbers("2,0,2")
    (0, 2)
    """
    return tuple(sorted({int(part) for part in text.split(",")}))


def run(a: argparse.Namespace, command: str, start: Starter = start_process) -> Exit:
    """Train; returns the exit code."""
    plan = read_plan(a.rows, overrides=a.set, folds=a.folds, command=command)
    try:
        return train_all(plan, a.data, a.out, rows=choose(plan, a.only), seeds=a.seeds, start=start)
    except KeyboardInterrupt:
        say("interrupted; finished epochs are kept. The same command continues")
        return Exit.INTERRUPTED


def show(a: argparse.Namespace, command: str) -> Exit:
    """Print the table and write it where it is wanted; returns the exit code."""
    today, table = date.today().isoformat(), read_table(a.out)
    text = report(table, today=today, command=command)
    print(text, end="")
    if a.write:
        files.commit(a.write, text.encode())
    if a.json:
        files.commit_json(a.json, as_json(table, today=today, command=command))
    return Exit.OK


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; every error the user can act on leaves as a message."""
    words = list(sys.argv[1:] if argv is None else argv)
    a = arguments_of(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(int(Exit.TERMINATED)))
    try:
        if a.verb == "run":
            return int(run(a, shown_command(words, a.data)))
        return int(show(a, shown_command(words)))
    except MaskclsError as error:
        say(str(error))
        return int(error.exit_code)


if __name__ == "__main__":
    sys.exit(main())
