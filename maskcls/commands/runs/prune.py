"""maskcls runs prune: delete resume states and weights of finished runs to free disk space."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from maskcls import files
from maskcls.config.yaml12 import read_yaml
from maskcls.errors import BusyError, MaskclsError, ResourceError, ResultError, UsageError, shell_word
from maskcls.rundir import RunDir
from maskcls.runs.locks import run_lock
from maskcls.runs.recipe import is_recipe
from maskcls.runs.records.disk_use import disk_use
from maskcls.runs.records.finding import find_runs
from maskcls.runs.records.notes import BEST_DELETED, Note, add_note
from maskcls.runs.records.noun import noun_of_run
from maskcls.runs.records.order import in_order
from maskcls.runs.records.record import RunRecord, read_record
from maskcls.runs.records.sealed_people import still_sealed
from maskcls.show.runs.pruning import Deletion, PruneResult

SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kKMGT]?)(i?)B")
POWERS = {"": 0, "k": 1, "K": 1, "M": 2, "G": 3, "T": 4}


@dataclass(frozen=True)
class RunPart:
    """Files of a run that may be deleted: what they are, their paths, and their size."""

    found: RunRecord
    what: str
    paths: tuple[Path, ...]
    bytes: int


@dataclass(frozen=True)
class Pruning:
    """What is to be deleted, in order; why each other run is kept; the bytes of all runs before."""

    parts: tuple[RunPart, ...]
    kept: Mapping[RunDir, str]
    bytes: int

    @property
    def freed(self) -> int:
        """Bytes of all parts."""
        return sum(part.bytes for part in self.parts)


def prune(folder: Path, *, keep: int, budget: int | None, whole: bool, yes: bool, now: datetime) -> PruneResult:
    """Delete what the best runs of a folder do not need; without `yes` only say what that is.

    Raises ResultError for a folder that is not there or a recipe that cannot be read.
    """
    if yes:
        _sweep(folder)
    plan = plan_pruning(folder, keep=keep, budget=budget, whole=whole)
    parts = []
    for part in plan.parts:
        kept_because = carry_out(part, now) if yes else ""
        parts.append(Deletion(str(part.found.run.path), part.what, part.bytes, kept_because))
    kept = {str(run.path): why for run, why in plan.kept.items()}
    return PruneResult(tuple(parts), kept, plan.bytes, budget, deleted=yes)


def plan_pruning(folder: Path, *, keep: int, budget: int | None = None, whole: bool = False) -> Pruning:
    """List what of the runs in a folder may be deleted, the least needed first.

    First the resume state of every finished run, from the worst to the best; then the best weights of all but the
    `keep` best, in the same order. Out-of-fold predictions, scores, settings, logs stay. A resume state includes the
    weights of several epochs that a run of fewer than all folds keeps to choose from.

    budget  bytes; nothing more is deleted once all runs together take no more. None: everything that may go.
    whole   the second part is the whole folder.

    Unfinished and broken runs stay as they are, and those without a score, with a note that says keep, with a symbolic
    link inside, with sealed people that are not scored yet, and those that an ensemble's recipe or another run's
    starting weights name.
    """
    found = in_order([read_record(run) for run in find_runs([folder], links=False)], "score")
    named = named_elsewhere(found, folder)
    ranked = [one for one in found if one.state == "finished" and one.score is not None]
    kept = {one.run: why for one in found if (why := _untouchable(one, named))}
    loose = [one for one in reversed(ranked) if one.run not in kept]
    best = {one.run: f"number {place} by score, keeps its best weights" for place, one in enumerate(ranked[:keep], 1)}
    parts = [_part(one, "resume state", _resuming(one)) for one in loose]
    for one in loose:
        if one.run not in best:
            weights = [network.folder(one.run).best.tensors for network in one.networks]
            resumed = sum(part.bytes for part in parts if part.found is one)
            rest = _part(one, "best weights", weights)
            parts.append(RunPart(one, "the whole folder", (one.run.path,), one.bytes - resumed) if whole else rest)
    total = sum(one.bytes for one in found)
    return Pruning(tuple(_until(budget, total, [s for s in parts if s.paths])), best | kept, total)


def named_elsewhere(found: Sequence[RunRecord], folder: Path) -> dict[RunDir, str]:
    """Return the runs that something else needs, and what that is: a recipe of an ensemble, or another run.

    Recipes are looked for below the folder and in the working folder; every text under `members` may be a path, from
    the recipe's folder or from the working folder. Raises ResultError for a recipe that cannot be read: it might name
    any run.
    """
    uses = [(path, f"{recipe} names it") for recipe in _recipes(folder) for path in _members(recipe)]
    uses += [
        (Path(value), f"{one.run.path} was started from its weights")
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


def strip(run: RunDir, *, weights: bool, now: datetime) -> None:
    """Delete the resume state of a finished run, and with `weights` its best weights: of a trial of a search.

    Its sealed people, if any, are scored with the best trial alone. What cannot be deleted now is left.
    """
    found = read_record(run)
    parts = [_part(found, "resume state", _resuming(found))]
    if weights:
        best = [network.folder(run).best.tensors for network in found.networks]
        parts.append(_part(found, "best weights", best))
    for part in parts:
        if part.paths:
            carry_out(part, now, sealed_too=True)


def carry_out(part: RunPart, now: datetime, *, sealed_too: bool = False) -> str:
    """Delete what a part names, holding the run; returns "", or why it was left.

    sealed_too  also of a run whose sealed people are not scored.
    """
    run = part.found.run
    try:
        with run_lock.lock(run), run_lock.alone(run):
            again = read_record(run)  # a note, or another process, may have come between
            if why := _untouchable(again, {}, sealed_too=sealed_too):
                return why
            if part.what == "best weights":  # first: a killed command that is given again finds nothing left to note
                add_note(run, Note(date=now.isoformat(timespec="seconds"), text=BEST_DELETED))
            for path in part.paths:
                _remove(path)
    except BusyError:
        return "another process is working on it"
    except OSError as error:
        raise ResourceError(
            "cannot delete",
            where=error.filename or str(run.path),
            got=error.strerror,
            fix="make the folder writable, or delete the file yourself",
        ) from None
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


def _untouchable(found: RunRecord, named: Mapping[RunDir, str], *, sealed_too: bool = False) -> str:
    """Return why nothing of a run may be deleted, or ""."""
    if found.state != "finished":
        return found.status
    if found.kept:
        return "a note says keep"
    if found.links:
        return f"it holds a symbolic link, {found.links[0]}"
    if found.score is None:
        return "it has no score"
    if still_sealed(found.run) and not sealed_too:
        return f"its sealed {noun_of_run(found.run)[1]} are not scored yet: maskcls unseal {shell_word(found.run.path)}"
    return named.get(found.run, "")


def _resuming(found: RunRecord) -> list[Path]:
    folders = [network.folder(found.run) for network in found.networks]
    return [path for folder in folders for path in (folder.last.path, folder.resume, folder.candidates)]


def _part(found: RunRecord, what: str, paths: Sequence[Path]) -> RunPart:
    there = tuple(path for path in paths if path.exists())
    return RunPart(found, what, there, sum(disk_use(p).bytes if p.is_dir() else p.stat().st_size for p in there))


def _until(budget: int | None, total: int, parts: Sequence[RunPart]) -> Iterator[RunPart]:
    for part in parts:
        if budget is not None and total <= budget:
            return
        total -= part.bytes
        yield part


def _remove(path: Path) -> None:
    """Delete a file or a folder; a folder vanishes at once, as half a run would be no run that prune finds again."""
    if path.is_dir():
        with files.temporary_folder(path.parent) as aside:
            os.rename(path, aside / path.name)
            shutil.rmtree(aside)  # a link it met on its way would be removed, not followed
    else:
        path.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Remove what a killed prune had moved aside: also in runs of which nothing is left to delete."""
    files.sweep(folder)
    for run in find_runs([folder], links=False):
        run_lock.sweep_run(run)


def _recipes(folder: Path) -> list[Path]:
    """Return the files that may be recipes of ensembles; no link to a folder is followed."""
    below = [Path(parent) / name for parent, _, names in os.walk(folder) for name in names]
    return sorted(path for path in {*below, *Path().iterdir()} if is_recipe(path))


def _members(recipe: Path) -> list[Path]:
    """Return where every text under `members` leads; none for a file without such an entry."""
    try:
        members = read_yaml(recipe).get("members")
    except MaskclsError as error:
        fix = "repair it, or move it away; it may name runs that must be kept"
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
