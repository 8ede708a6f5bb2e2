"""How many runs, rules, ensembles and comparisons were tried on the rows of a run, this one included."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from maskcls import config, files
from maskcls.errors import ResultError
from maskcls.rundir import RepeatsDir, RunDir
from maskcls.runs.choices.register import Attempt, Register, add_attempts, is_kept, read_register, rows_key
from maskcls.runs.environment import read_environment
from maskcls.runs.records.scored_rows import rows_scored
from maskcls.runs.repeats.repeat_runs import is_repeat, is_repeated, repeat_runs
from maskcls.runs.summary import read_summary

if TYPE_CHECKING:
    from maskcls.labels import Floats


@dataclass(frozen=True)
class Tried:
    """How often something was tried.

    count  of its kind, this one included; runs: how many runs were scored on the same rows.
    kept   whether the register could be written.
    """

    count: int
    runs: int
    kept: bool


def rows_of_run(run: RunDir) -> str:
    """Return the key of the rows a run is scored on; ResultError when its files cannot be read."""
    return rows_key(rows_scored(run, read_environment(run), config.of_run(run.config)))


def add_run(run: RunDir) -> str:
    """Register a finished run that has a score; returns why it cannot be, "" if it is.

    A training is not lost because of the register. A repeat of a cross-validation is no choice of its own; see
    `add_repeats`.
    """
    if is_repeat(run):
        return ""
    summary = read_summary(run)
    try:
        if summary is not None and not summary.leaky:
            add_attempts(run, [_this_run(run, rows_of_run(run))])
    except ResultError as error:
        return f"the run is not counted among those tried on these rows: {error.what} ({error.where})"
    return ""


def add_repeats(folder: RepeatsDir) -> None:
    """Register a finished repeated cross-validation, as one run of these rows."""
    together = RunDir(folder.path)
    add_attempts(together, [_this_run(together, rows_of_run(folder.repeat(0)))])


def rules_before(run: RunDir, rule: str) -> int:
    """Return how many rules were tried on the run's out-of-fold rows, with this one."""
    digest, found = run_digest(run), read_register(run).of("rule", rows_of_run(run))
    return len({one.what for one in found if one.what.startswith(digest)} | {f"{digest}/{rule}"})


def add_rule(run: RunDir, rule: str) -> Tried:
    """Register a rule that was tried on the run's out-of-fold rows."""
    rows, digest = rows_of_run(run), run_digest(run)
    new = [_this_run(run, rows), Attempt(rows=rows, kind="rule", what=f"{digest}/{rule}", name=f"{rule} {_name(run)}")]
    after = add_attempts(run, new)
    count = sum(one.what.startswith(digest) for one in after.of("rule", rows))
    return _tried(run, after, rows, count)


def ensemble_what(prob_MNJ: Sequence[Floats], method: str, weights: str) -> str:
    """Return what identifies an ensemble: its members' out-of-fold rows, in any order, its method and weights given."""
    members = sorted(files.sha256(prob_NJ.tobytes()) for prob_NJ in prob_MNJ)
    return files.sha256(" ".join([*members, method, weights]).encode())


def add_tried(run: RunDir, choices: Sequence[Attempt]) -> tuple[Tried, Register]:
    """Register choices of one kind on the rows of a run; returns how often that kind was tried, and the register."""
    rows = rows_of_run(run)
    after = add_attempts(run, [_this_run(run, rows), *choices])
    return _tried(run, after, rows, len(after.of(choices[0].kind, rows))), after


def add_unsealed(run: RunDir, sealed: str, weights: Sequence[str]) -> tuple[int, bool]:
    """Register that networks were scored on the sealed people; returns how many runs were, and whether that is kept.

    weights  sha256 of each network, sorted.
    """
    rows, what = rows_key(sealed), files.sha256(" ".join(weights).encode())[:16]
    after = add_attempts(run, [Attempt(rows=rows, kind="unsealed", what=what, name=_name(run))])
    return len(after.of("unsealed", rows)), is_kept(run, after)


def comparison_of(a: RunDir, b: RunDir, p: float) -> Attempt:
    """Return the entry of a comparison of two runs of the same rows."""
    what = "/".join(sorted((run_digest(a), run_digest(b))))
    return Attempt(rows=rows_of_run(a), kind="comparison", what=what, name=f"{_name(a)} {_name(b)}", p=p)


def _tried(run: RunDir, after: Register, rows: str, count: int) -> Tried:
    return Tried(count, len(after.of("run", rows)), is_kept(run, after))


def _this_run(run: RunDir, rows: str) -> Attempt:
    counted = _counted(run)
    known = {one.what for one in read_register(run).of("run", rows)}
    return Attempt(rows=rows, kind="run", what=tried_digest(run, known), name=_name(counted))


def run_digest(run: RunDir) -> str:
    """Return what identifies a run by content: its out-of-fold rows."""
    return files.file_sha256(run.oof)[:16]


def tried_digest(run: RunDir, known: Collection[str]) -> str:
    """Return what identifies a run among those tried on its rows: the repeats of a cross-validation are one run.

    known  the digests in the register. A cross-validation whose first repeat was registered before all were finished
           keeps that entry; else its mean stands for it.
    """
    counted = _counted(run)
    same = [counted, *repeat_runs(RepeatsDir(counted.path))] if is_repeated(counted) else [run]
    digests = [run_digest(one) for one in same if one.oof.exists()]
    return next((digest for digest in digests if digest in known), digests[0])


def _counted(run: RunDir) -> RunDir:
    """Return the run that counts as tried: the folder of repeats for one of them."""
    return RunDir(run.path.resolve().parent) if is_repeat(run) else run


def _name(run: RunDir) -> str:
    return run.path.resolve().name
