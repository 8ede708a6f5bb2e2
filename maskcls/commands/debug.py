"""maskcls debug: check a training before it is started, or explain the error of a finished run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from maskcls.diagnosis.opened import open_probes
from maskcls.diagnosis.with_training.finished import explain_run
from maskcls.diagnosis.with_training.full import full_checks
from maskcls.diagnosis.without_training.quick import quick_checks
from maskcls.errors import UsageError, nearest
from maskcls.results.diagnosis.finding import CHECKS, CheckName
from maskcls.results.diagnosis.scored import Diagnosis
from maskcls.rundir import RunDir
from maskcls.schema import Config
from maskcls.show.terminal.progress import Reporter


def debug(data: Path, cfg: Config, *, checks: Sequence[CheckName], minutes: float, report: Reporter) -> list[Diagnosis]:
    """Check every network of a training; the checks that train are left out for a network that failed before.

    Where heads are fitted, the checks of steps are left out: they would be about a training that is not made. Raises
    what `train` would raise before its first step, and UsageError where no check is left.
    """
    found, checks = [], _without_steps(checks, report) if cfg.model.train == "heads" else checks
    for probe in open_probes(data, cfg, report):
        first = tuple(quick_checks(probe, checks, report))
        failed = [one for one in first if one.verdict == "fail"]
        training = [name for name in checks if CHECKS[name].trains]
        if failed and training:
            report.note(f"nothing is trained: {failed[0].check} failed; mend this first")
        if failed or not training:
            found.append(Diagnosis(probe.member.task, first, noun=probe.noun))
            continue
        rest = full_checks(probe, training, minutes, report)
        found.append(replace(rest, findings=first + rest.findings))
    return found


def _without_steps(checks: Sequence[CheckName], report: Reporter) -> list[CheckName]:
    """Return the checks that say something about heads that are fitted, and name the others; UsageError for none."""
    kept = [name for name in checks if not CHECKS[name].needs_steps]
    after = "train it, and give its run: maskcls debug RUN"
    if not kept:
        raise UsageError(
            "heads that are fitted (model.train=heads) make no steps that these checks could examine",
            where="--check",
            got=", ".join(checks),
            expected=", ".join(name for name, one in CHECKS.items() if not one.needs_steps),
            fix=f"for the error and rare classes, {after}",
        )
    if left := [name for name in checks if name not in kept]:
        report.note(f"heads are fitted, without steps; not checked: {', '.join(left)}")
        if any(CHECKS[name].trains for name in left):
            report.note(f"for its error and rare classes, {after}")
    return kept


def wanted_checks(names: Sequence[str] | None, *, quick: bool, minutes: float | None = None) -> list[CheckName]:
    """Return the checks of `--check`, or all of them, or without those that train networks.

    minutes  the given limit of the checks that train.

    Raises UsageError for other checks, and for a limit where none trains.
    """
    found = _named_checks(names, quick=quick)
    if minutes is not None and not any(CHECKS[name].trains for name in found):
        fix = "leave out --minutes" + (" or --quick" if quick else ", or make another check")
        raise UsageError("none of these checks trains a network for minutes", where="--minutes", fix=fix)
    return found


def _named_checks(names: Sequence[str] | None, *, quick: bool) -> list[CheckName]:
    known = list(CHECKS)
    if names and quick:
        raise UsageError("--quick chooses the checks", where="--check", fix="leave one of both out")
    if not names:
        return [name for name in known if not (quick and CHECKS[name].trains)]
    unknown = [name for name in names if name not in known]
    if unknown:
        hint = nearest(unknown[0], known)
        raise UsageError(
            "no such check",
            where="--check",
            got=repr(unknown[0]),
            expected=", ".join(known),
            fix=f"did you mean {hint!r}?" if hint else None,
        )
    return [name for name in known if name in names]


def debug_run(run: RunDir, report: Reporter, data: Path | None = None) -> Diagnosis:
    """Explain the error of a finished run; raises as `explain_run`."""
    return explain_run(run, report, data)
