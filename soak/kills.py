"""Random kills: kill -9 at a random moment, sometimes again during what completes it; the end must be the same."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from soak import forks
from soak.boundaries import fresh, uninterrupted
from soak.commands import Command, commands, complete
from soak.plan import Plan
from soak.tally import Tally
from soak.world import LIMIT_S

KINDS = ("dcgan", "wgan-gp", "cyclegan", "smote")
FULL = {"train": 160, **{f"synth {kind}": 80 for kind in KINDS}}  # cases in the whole soak; about 1.7 kills each
OTHERS = 64  # cases of each other command
AGAIN = 0.55  # share of the cases that are killed once more while they are completed, and again of those
MARGIN = 1.02  # a kill may come at any time of the uninterrupted command, and a little after it


def run(plan: Plan, world: Path, work: Path) -> list[Tally]:
    """Kill the commands."""
    wanted = [one for one in commands() if plan.wants(one.name)]
    tallies = {one.name: Tally(f"kills: {one.name}", plan.seed) for one in wanted}
    cases = [(one, case) for one in wanted for case in plan.cases(FULL.get(one.name, OTHERS))]
    for name, case, kills, failure in forks.spread(
        lambda worker, mine: _cases(plan, world, work / f"k{worker}", mine), cases, plan.jobs
    ):
        told = failure and f"{name}: {failure}\n    {plan.repeat('kills', name, case)}"
        tallies[name].add("wrong" if failure else "same", told)
        tallies[name].outcomes["kills"] += kills
        tallies[name].outcomes["killed twice"] += kills > 1
    return list(tallies.values())


def _cases(plan: Plan, world: Path, folder: Path, mine: list[tuple[Command, int]]) -> Iterator[Any]:
    known: dict[str, dict[str, str]] = {}
    seconds: dict[str, float] = {}
    for command, case in mine:
        name = command.name
        if name not in known:
            known[name] = uninterrupted(command, fresh(command, world, folder))
            seconds[name] = _duration(command, fresh(command, world, folder))
        draws = plan.draws("kills", name, case)
        kills, text = 0, ""
        while not kills:  # a case that ended before its kill is tried again with another moment
            fresh(command, world, folder)
            kills, took = _killed(command.start(folder), draws.uniform(0, MARGIN * seconds[name]))
            seconds[name] = seconds[name] if kills else 0.7 * seconds[name] + 0.3 * took
        while draws.random() < AGAIN:
            more, _ = _killed(command.repeat(folder), draws.uniform(0, seconds[name]))
            kills += more
        text = complete(command, folder, known[name])
        yield name, case, kills, text
    shutil.rmtree(folder, ignore_errors=True)


def _duration(command: Command, folder: Path) -> float:
    return forks.run(command.start(folder), limit_s=LIMIT_S).seconds


def _killed(function: Any, after_s: float) -> tuple[int, float]:
    """Kill a function after some seconds; returns 1, or 0 if it had ended before, and how long it ran."""
    with tempfile.TemporaryDirectory(prefix="soak-out-") as place:
        output = Path(place) / "output"
        ended = forks.finish(forks.fork(function, output), output, limit_s=LIMIT_S, kill_after_s=after_s)
    return int(ended.code == -9), ended.seconds
