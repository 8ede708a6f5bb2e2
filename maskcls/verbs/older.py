"""Spellings of earlier versions: they keep working, and one line on stderr names the new one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

import typer

from maskcls.errors import UsageError

T = TypeVar("T")

OLDER_VALUES = {"predict.views=none": "predict.views=plain"}


def renamed(old: str, new: str) -> None:
    """Print that an older spelling was used, and the new one; only the first of several processes does."""
    if os.environ.get("RANK", "0") == "0":
        typer.echo(f"note: {old} is an older spelling; the new one is {new}", err=True)


def current(overrides: Sequence[str] | None) -> list[str]:
    """Return overrides in the new spelling."""
    found = []
    for text in overrides or []:
        new = OLDER_VALUES.get(text, text)
        if new != text:
            renamed(text, new)
        found.append(new)
    return found


def current_views(text: str | None) -> list[str]:
    """Return views separated by commas, in the new spelling."""
    return [
        setting.partition("=")[2]
        for setting in current([f"predict.views={v}" for v in text.split(",")] if text else [])
    ]


def without_set(settings: Sequence[str] | None) -> list[str]:
    """Return the overrides that were given as `--set KEY=VALUE`."""
    for text in settings or []:
        renamed(f"--set {text}", text)
    return list(settings or [])


def moved(old: tuple[str, T | None], new: str, value: T | None) -> T | None:
    """Return the value of an option, given under its old name or its new one; an old one is noted."""
    name, given = old
    if given is None:
        return value
    renamed(f"{name} {given}", f"{new} {given}")
    return given if value is None else value


def note_dry_run(dry_run: bool, yes: bool) -> None:
    """Note that prune verbs delete nothing without `--yes`; raises UsageError for both."""
    if dry_run and yes:
        raise UsageError("--dry-run and --yes contradict each other", fix="give one of them")
    if dry_run:
        renamed("--dry-run", "no option at all: nothing is deleted without --yes")
