"""Spellings of earlier versions: they keep working, and one line on stderr names the new one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from maskcls.errors import UsageError
from maskcls.viewnames import current_name

if TYPE_CHECKING:
    from maskcls.schema import Config

T = TypeVar("T")

VIEWS = "predict.views"


def print_spelling(text: str) -> None:
    """Print a note about a spelling; only the first of several processes does."""
    if os.environ.get("RANK", "0") == "0":
        typer.echo(f"note: {text}", err=True)


def renamed(old: str, new: str) -> None:
    """Print that an older spelling was used, and the new one."""
    print_spelling(f"{old} is an older spelling of {new}")


def current(overrides: Sequence[str] | None) -> list[str]:
    """Return overrides in the new spelling; UsageError for two that set one key."""
    given = list(overrides or [])
    if len(given) > 1:
        from maskcls.config import refuse_set_twice

        refuse_set_twice(given)
    found = list(map(_current, given))
    for old, new in zip(given, found, strict=True):
        if new != old:
            renamed(old, new)
    return found


def current_config(cfg: Config, origins: Mapping[str, str]) -> Config:
    """Return a configuration with the views in the new spelling; print a note that names the file with the older one.

    origins  dotted key -> where its value comes from.
    """
    name, new = cfg.predict.views, current_name(cfg.predict.views)
    if new == name:
        return cfg
    renamed(f"{VIEWS}={name} in {origins[VIEWS]}", f"{VIEWS}={new}")
    return cfg.model_copy(update={"predict": cfg.predict.model_copy(update={"views": new})})


def current_views(tta: str | None, views: str | None) -> list[str]:
    """Return the views of `--views` or of `--tta`, its older spelling, each in the new spelling; none if not given.

    Raises UsageError for an empty list, and for two different ones.
    """
    given = [text for text in (tta, views) if text is not None]
    if not given:
        return []
    lists = [[current_name(name) for name in text.split(",")] for text in given]
    if lists[0] != lists[-1]:
        raise _two_values(f"--tta {tta}", f"--views {views}")
    if not all(lists[0]):
        fix = "name views, such as none,hflip, or leave --views out for those of the run"
        raise UsageError("a view has no name", where="--views" if tta is None else "--tta", got=repr(given[0]), fix=fix)
    if tta is not None or ",".join(lists[0]) != views:
        renamed(f"{'--views' if tta is None else '--tta'} {given[0]}", f"--views {','.join(lists[0])}")
    return lists[0]


def with_older(overrides: Sequence[str] | None, older: Sequence[tuple[str, str]]) -> list[str]:
    """Return the overrides in the new spelling, and those that older options stand for.

    older  pairs of an option as it was given, such as `--tta hflip`, and the override that it stands for.

    Raises UsageError where two of them set the same key to different values.
    """
    found = current(overrides)
    for option, text in [(option, _current(text)) for option, text in older]:
        values = [_shared_values(text, other) for other in found]
        for other, pairs in zip(found, values, strict=True):
            if any(mine != theirs for mine, theirs in pairs):
                raise _two_values(option, other)
        renamed(option, text)
        if not any(values):
            found.append(text)
    return found


def set_options(settings: Sequence[str] | None) -> list[tuple[str, str]]:
    """Return what `--set KEY=VALUE` stands for, for `with_older`."""
    return [(f"--set {text}", text) for text in settings or []]


def moved(old: tuple[str, T | None], new: str, value: T | None) -> T | None:
    """Return the value of an option given under its old or new name; print a note if the old name was used.

    Raises UsageError when both names are given, with different values.
    """
    name, given = old
    if given is None:
        return value
    if value is not None and value != given:
        raise _two_values(f"{name} {given}", f"{new} {value}")
    renamed(f"{name} {given}", f"{new} {given}")
    return given


def note_dry_run(dry_run: bool, yes: bool) -> None:
    """Print that prune verbs delete nothing without `--yes`, if `--dry-run` was given; UsageError if both were."""
    if dry_run and yes:
        raise UsageError("--dry-run and --yes contradict each other", fix="give one of them")
    if dry_run:
        print_spelling("--dry-run is an older spelling and no longer needed: nothing is deleted without --yes")


def output_of_extra(words: Sequence[str], output: Path | None) -> Path | None:
    """Return the output folder: `-o`, or the second argument (older spelling); UsageError if given more than once."""
    if not words:
        return output
    if output is not None or len(words) > 1:
        raise UsageError("too many arguments", got=" ".join(words), fix="name the output with -o alone")
    print_spelling(f"an output folder without -o is an older spelling; write -o {words[0]}")
    return Path(words[0])


def _current(override: str) -> str:
    key, _, value = override.partition("=")
    return f"{key}={current_name(value)}" if key == VIEWS else override


def _two_values(old: str, new: str) -> UsageError:
    return UsageError(
        "two spellings of one setting have different values", got=f"{old} and {new}", fix=f"leave out {old.split()[0]}"
    )


def _shared_values(one: str, other: str) -> list[tuple[Any, Any]]:
    """Return both values of each key that two overrides set, alone or within a section."""
    ours, theirs = _leaves(one), _leaves(other)
    return [(ours[key], theirs[key]) for key in ours.keys() & theirs.keys()]


def _leaves(override: str) -> dict[str, Any]:
    from maskcls import config

    return config.flatten(dict([config.parse_override(override)]))
