"""The machine and the versions a run was trained with, and how its networks were computed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maskcls.engine.compute.plan import Plan
from maskcls.runs.environment import Environment
from maskcls.runs.reported.reported_run import ReportedRun
from maskcls.show.pages.table import Table
from maskcls.show.report.section import PageSettings


def environment_section(reported: ReportedRun, settings: PageSettings) -> Mapping[str, Any]:
    """Return tables of machine and versions, and of the execution plan of each task."""
    env = reported.environment
    return {"machine": _machine_table(env), "plans": _plan_table(env.plans) if env.plans else None}


def _machine_table(env: Environment) -> Table:
    facts = {"maskcls": env.maskcls, "Python": env.python, "platform": env.platform, "device": env.device}
    rows = {**facts, "processes": str(env.processes), **env.packages, **_gathered(env)}
    return Table(["what", "version or name"], [list(row) for row in rows.items()], "Machine and versions")


def _gathered(env: Environment) -> dict[str, str]:
    """Return from which runs the folds were gathered, and how their computation differs; none for other runs."""
    if env.gathered is None:
        return {}
    runs = [f"folds {', '.join(map(str, one.folds))} of {Path(one.run).name}" for one in env.gathered.runs]
    accepted = list(env.gathered.accepted) or ["the same code, packages, device and plan for all folds"]
    return {"gathered from": "; ".join(runs), "gathered folds": "; ".join(accepted)}


def _plan_table(plans: Mapping[str, Plan]) -> Table:
    rows = [
        [
            task or "all tasks",
            str(plan.train),
            str(plan.infer),
            str(plan.threads),
            str(plan.accumulate),
            str(plan.fold_jobs),
        ]
        for task, plan in plans.items()
    ]
    head = ["networks of", "training", "prediction", "threads", "pieces of a step", "folds side by side"]
    return Table(head, rows, "How the networks were computed")
