"""Spellings of earlier versions: they keep working, and one line on stderr names the new one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import typer

from maskcls.errors import UsageError

T = TypeVar("T")

OLDER = {"plain": "none"}  # views
OLDER_VALUES = {f"predict.views={old}": f"predict.views={new}" for old, new in OLDER.items()}


def renamed(old: str, new: str) -> None:
    """Print that an older spelling was used, and the new one; only the first of several processes does."""
    if os.environ.get("RANK", "0") == "0":
        typer.echo(f"note: {old} is an older spelling of {new}", err=True)


def current(overrides: Sequence[str] | None) -> list[str]:
    """Return overrides in the new spelling."""
    found = []
    for text in overrides or []:
        new = OLDER_VALUES.get(text, text)
        if new != text:
            renamed(text, new)
        found.append(new)
    return found


def current_views(tta: str | None, views: str | None) -> list[str]:
    """Return the views of `--views` or of `--tta`, its older spelling; each view in the new spelling."""
    given = views if tta is None else tta
    new = [OLDER.get(name, name) for name in given.split(",")] if given else []
    if tta is not None or (given and new != given.split(",")):
        renamed(f"{'--views' if tta is None else '--tta'} {given}", f"--views {','.join(new)}")
    return new


def views_override(tta: str | None) -> list[str]:
    """Return the override that `--tta` means; none without it."""
    if tta is None:
        return []
    override = f"predict.views={OLDER.get(tta, tta)}"
    renamed(f"--tta {tta}", override)
    return [override]


def without_set(settings: Sequence[str] | None) -> list[str]:
    """Return the overrides that were given as `--set KEY=VALUE`."""
    for text in settings or []:
        renamed(f"--set {text}", text)
    return list(settings or [])


def moved(old: tuple[str, T | None], new: str, value: T | None) -> T | None:
    """Return the value of an option given under its old or new name; print a note if the old name was used."""
    name, given = old
    if given is None:
        return value
    renamed(f"{name} {given}", f"{new} {given}")
    return given if value is None else value


def note_dry_run(dry_run: bool, yes: bool) -> None:
    """Print that prune verbs delete nothing without `--yes`, if `--dry-run` was given; UsageError if both were."""
    if dry_run and yes:
        raise UsageError("--dry-run and --yes contradict each other", fix="give one of them")
    if dry_run:
        renamed("--dry-run", "no option at all: nothing is deleted without --yes")


def output_of_extra(words: Sequence[str], output: Path | None) -> Path | None:
    """Return the output folder: `-o`, or the second argument (older spelling); UsageError if given more than once."""
    if not words:
        return output
    if output is not None or len(words) > 1:
        raise UsageError("too many arguments", got=" ".join(words), fix="name the output with -o alone")
    renamed(words[0], f"-o {words[0]}")
    return Path(words[0])
