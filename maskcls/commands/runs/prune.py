"""maskcls runs prune: free the room of what finished runs need no more."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.text import Text

from maskcls import rundir
from maskcls.config.yaml12 import read_yaml
from maskcls.errors import BusyError, MaskclsError, ResourceError, ResultError, UsageError, visible
from maskcls.rundir import RunDir
from maskcls.runs.recipe import is_recipe
from maskcls.runs.records.disk_use import disk_use
from maskcls.runs.records.finding import find_runs
from maskcls.runs.records.notes import Note, add_note
from maskcls.runs.records.order import in_order
from maskcls.runs.records.record import RunRecord, read_record
from maskcls.show.progress import say
from maskcls.show.units import size

SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kKMGT]?)(i?)B")
POWERS = {"": 0, "k": 1, "K": 1, "M": 2, "G": 3, "T": 4}


@dataclass(frozen=True)
class Step:
    """Something of a run that may go: what it is, the files or folders, and how many bytes they hold."""

    found: RunRecord
    what: str
    paths: tuple[Path, ...]
    bytes: int


@dataclass(frozen=True)
class Pruning:
    """What is to be deleted, in order; why each other run stays; the bytes of all runs before."""

    steps: tuple[Step, ...]
    kept: Mapping[RunDir, str]
    bytes: int

    @property
    def freed(self) -> int:
        """Bytes of all steps."""
        return sum(step.bytes for step in self.steps)


def prune(folder: Path, *, keep: int, budget: int | None, whole: bool, yes: bool, now: datetime) -> None:
    """Delete what the best runs of a folder do not need, and say what; without `yes` only say it.

    Raises ResultError for a folder that is not there or a recipe that cannot be read.
    """
    plan = plan_pruning(folder, keep=keep, budget=budget, whole=whole)
    console = Console(highlight=False, markup=False, emoji=False)
    for run, why in plan.kept.items():
        console.print(Text(f"keep    {visible(str(run.path))}: {visible(why)}", overflow="fold"))
    freed = 0
    for step in plan.steps:
        line = f"{visible(str(step.found.run.path))}: {step.what}, {size(step.bytes)}"
        why_not = carry_out(step, now) if yes else ""
        freed += 0 if why_not else step.bytes
        start = f"keep    {line}; {why_not}" if why_not else f"delete  {line}"
        console.print(Text(start, overflow="fold"))
    left = plan.bytes - freed
    say(f"{size(freed)} {'freed' if yes else 'would be freed'}, {size(left)} {'are' if yes else 'would be'} left")
    if budget is not None and left > budget:
        say(f"that is more than the {size(budget)} asked for: the rest belongs to runs that stay")
    if plan.steps and not yes:
        say("nothing was deleted; --yes does it")


def plan_pruning(folder: Path, *, keep: int, budget: int | None = None, whole: bool = False) -> Pruning:
    """Say what of the runs in a folder may go, the most dispensable first.

    First what only a training could continue from, of every finished run, from the worst to the best; then the
    best weights of all but the `keep` best, in the same order. Out-of-fold predictions, scores, settings, logs stay.

    budget  bytes; nothing more is deleted once all runs together take no more. None: everything that may go.
    whole   the second part is the whole folder.

    Unfinished and broken runs stay as they are, and those without a score, with a note that says keep, with a symbolic
    link inside, and those that an ensemble's recipe or another run's starting weights name.
    """
    found = in_order([read_record(run) for run in find_runs([folder], links=False)], "score")
    named = named_elsewhere(found, folder)
    ranked = [one for one in found if one.state == "finished" and one.score is not None]
    kept = {one.run: why for one in found if (why := _untouchable(one, named))}
    loose = [one for one in reversed(ranked) if one.run not in kept]
    best = {one.run: f"number {place} by score, its best weights stay" for place, one in enumerate(ranked[:keep], 1)}
    steps = [_step(one, "what it could be resumed from", _resuming(one)) for one in loose]
    for one in loose:
        if one.run not in best:
            weights = [network.folder(one.run).best.tensors for network in one.networks]
            resumed = sum(step.bytes for step in steps if step.found is one)
            rest = _step(one, "best weights", weights)
            steps.append(Step(one, "the whole folder", (one.run.path,), one.bytes - resumed) if whole else rest)
    total = sum(one.bytes for one in found)
    return Pruning(tuple(_until(budget, total, [s for s in steps if s.paths])), best | kept, total)


def named_elsewhere(found: Sequence[RunRecord], folder: Path) -> dict[RunDir, str]:
    """Return the runs that something else needs, and what that is: a recipe of an ensemble, or another run.

    Recipes are looked for below the folder and in the working folder; every text under `members` may be a path, from
    the recipe's folder or from the working folder. Raises ResultError for a recipe that cannot be read: it might name
    any run.
    """
    uses = [(path, f"{recipe} names it") for recipe in _recipes(folder) for path in _members(recipe)]
    uses += [
        (Path(value), f"{one.run.path} began from its weights")
        for one in found
        for key, value in one.settings.items()
        if key.endswith("model.weights") and isinstance(value, str)
    ]
    needed: dict[RunDir, str] = {}
    for path, why in uses:
        target = Path(os.path.realpath(path))  # unlike resolve, it knows an answer for a loop of links
        for one in found:
            if target.is_relative_to(one.run.path.resolve()):
                needed.setdefault(one.run, why)
    return needed


def carry_out(step: Step, now: datetime) -> str:
    """Delete what a step names, holding the run; returns "", or why it was left."""
    run = step.found.run
    try:
        with rundir.lock(run):
            again = read_record(run)  # a note, or another process, may have come between
            if why := _untouchable(again, {}):
                return why
            for path in step.paths:
                _remove(path)
            if step.what == "best weights":
                add_note(run, Note(date=now.isoformat(timespec="seconds"), text="best weights deleted by runs prune"))
    except BusyError:
        return "another process is working on it"
    except OSError as error:
        raise ResourceError("cannot delete", where=error.filename or str(run.path), got=error.strerror) from None
    return ""


def read_size(words: str) -> int:
    """Read a size such as `20GB` or `1.5 GiB` into bytes; UsageError for anything else.

    >>> read_size("20GB"), read_size("1.5 KiB")
    (20000000000, 1536)
    """
    match = SIZE.fullmatch(words.strip())
    if not match:
        raise UsageError("not a size", where="--budget", got=repr(words), expected="a number and B, MB or GB: 20GB")
    number, prefix, binary = match.groups()
    return int(float(number) * (1024 if binary else 1000) ** POWERS[prefix])


def _untouchable(found: RunRecord, named: Mapping[RunDir, str]) -> str:
    """Return why nothing of a run may be deleted, or ""."""
    if found.state != "finished":
        return found.status
    if found.kept:
        return "a note says keep"
    if found.links:
        return f"it holds a symbolic link, {found.links[0]}"
    if found.score is None:
        return "it has no score"
    return named.get(found.run, "")


def _resuming(found: RunRecord) -> list[Path]:
    folders = [network.folder(found.run) for network in found.networks]
    return [path for folder in folders for path in (folder.last.path, folder.resume)]


def _step(found: RunRecord, what: str, paths: Sequence[Path]) -> Step:
    there = tuple(path for path in paths if path.exists())
    return Step(found, what, there, sum(disk_use(p).bytes if p.is_dir() else p.stat().st_size for p in there))


def _until(budget: int | None, total: int, steps: Sequence[Step]) -> Iterator[Step]:
    for step in steps:
        if budget is not None and total <= budget:
            return
        total -= step.bytes
        yield step


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)  # a link it met on its way would be removed, not followed
    else:
        path.unlink(missing_ok=True)


def _recipes(folder: Path) -> list[Path]:
    """Return the files that may be recipes of ensembles; no link to a folder is followed."""
    below = [Path(parent) / name for parent, _, names in os.walk(folder) for name in names]
    return sorted(path for path in {*below, *Path().iterdir()} if is_recipe(path))


def _members(recipe: Path) -> list[Path]:
    """Return where every text under `members` leads; none for a file without such an entry."""
    try:
        members = read_yaml(recipe).get("members")
    except MaskclsError as error:
        fix = "mend it, or move it away; it may name runs that must not go"
        raise ResultError("a recipe cannot be read", where=str(recipe), got=error.got or error.what, fix=fix) from None
    return [place / words for words in _texts(members) for place in (recipe.parent, Path()) if "\0" not in words]


def _texts(data: object) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, Mapping):
        for value in data.values():
            yield from _texts(value)
    elif isinstance(data, list):
        for value in data:
            yield from _texts(value)
