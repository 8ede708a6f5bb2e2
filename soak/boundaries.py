"""Every write boundary: a command dies before each change of the disk in turn, is given again, and ends the same."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from soak import forks
from soak.commands import Command, commands, complete, outcome
from soak.crash_points import with_crash
from soak.plan import Plan
from soak.tally import Tally
from soak.world import LIMIT_S, copied

Work = tuple[Command, int]


def run(plan: Plan, world: Path, work: Path) -> list[Tally]:
    """Kill at the write boundaries; in a part of the soak at evenly spaced ones."""
    tallies, cases = {}, []
    for command in commands():
        if not plan.wants(command.name):
            continue
        points = _points(command, world, work)
        tallies[command.name] = Tally(f"boundaries: {command.name} ({len(points):,})", plan.seed)
        kinds = ", ".join(f"{count} {name}" for name, count in Counter(points).most_common())
        print(f"  {command.name}: {len(points):,} boundaries ({kinds})", flush=True)
        cases += [(command, point) for point in plan.every(len(points))]
    for name, point, failure in forks.spread(
        lambda worker, mine: _cases(world, work / f"b{worker}", mine), cases, plan.jobs
    ):
        told = (
            failure and f"{name}, killed before change {point}: {failure}\n    {plan.repeat('boundaries', name, point)}"
        )
        tallies[name].add("wrong" if failure else "same", told)
    return list(tallies.values())


def _points(command: Command, world: Path, work: Path) -> list[str]:
    """Return the changes of the disk of an uninterrupted command."""
    folder, names = fresh(command, world, work / "points"), work / "points.txt"
    crashing = with_crash(command.start(folder), folder, -1, names)
    ended = forks.run(crashing, limit_s=LIMIT_S)
    if ended.code:
        raise RuntimeError(f"{command.name} ended with {ended.code}: {ended.text}")
    shutil.rmtree(folder)
    return names.read_text().splitlines()


def _cases(world: Path, folder: Path, mine: list[Work]) -> Iterator[Any]:
    """Every case is in a folder of the same name, as outputs name the files they were made from."""
    wanted: dict[str, dict[str, str]] = {}
    for command, point in mine:
        if command.name not in wanted:
            wanted[command.name] = uninterrupted(command, fresh(command, world, folder))
        fresh(command, world, folder)
        ended = forks.run(with_crash(command.start(folder), folder, point), limit_s=LIMIT_S)
        if ended.code == 0:
            yield command.name, point, "it was not killed: it has fewer changes than an earlier time"
            continue
        yield command.name, point, complete(command, folder, wanted[command.name])
    shutil.rmtree(folder, ignore_errors=True)


def fresh(command: Command, world: Path, folder: Path) -> Path:
    """Return a copy of the world without what the command is to make."""
    copied(world, folder)
    for name in command.without:
        shutil.rmtree(folder / name)
    return folder


def uninterrupted(command: Command, folder: Path) -> dict[str, str]:
    """Return what the command leaves behind when nothing happens; RuntimeError when it fails."""
    ended = forks.run(command.start(folder), limit_s=LIMIT_S)
    if ended.code:
        raise RuntimeError(f"{command.name} ended with {ended.code}: {ended.text}")
    return outcome(folder)
