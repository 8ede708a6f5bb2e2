"""What a shell completes after TAB of configurations and settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from maskcls.config.files import shipped_files
from maskcls.schema.options import option_sections

KnownSettings = Mapping[str, tuple[object, tuple[str, ...]]]  # by key: the default, and the fixed words that it takes


def shipped_names(incomplete: str) -> list[str]:
    """Return the shipped configurations that begin so; where there is none, the shell completes file names."""
    return _beginning(sorted(shipped_files()), incomplete)


def complete_setting(known: KnownSettings, before: Sequence[str], incomplete: str) -> list[str]:
    """Return what completes the beginning of a setting.

    before  the settings before it. bash ends words at `=`: there a key and `=` are words of their own, and the `=`
            itself is no beginning.

    A single key is returned with and without its default, so that the shell adds no space after `=`.

    >>> known = {"optim.lr": (0.001, ()), "optim.name": ("sgd", ("adamw", "sgd"))}
    >>> complete_setting(known, [], "opt"), complete_setting(known, [], "optim.l")
    (['optim.lr=', 'optim.name='], ['optim.lr=', 'optim.lr=0.001'])
    >>> complete_setting(known, [], "optim.name=a"), complete_setting(known, ["optim.name", "="], "a")
    (['optim.name=adamw'], ['adamw'])
    """
    key = before[-2] if len(before) > 1 and before[-1] == "=" else before[-1] if before else ""
    if key in known:
        return _beginning(known[key][1], incomplete)
    key, equals, value = incomplete.partition("=")
    if equals:
        return [f"{key}={word}" for word in _beginning(known[key][1], value)] if key in known else []
    found = _beginning(known, incomplete)
    alone = [f"{name}={_shown(known[name][0])}" for name in found] if len(found) == 1 else []
    return [f"{name}=" for name in found] + alone


def known_settings() -> KnownSettings:
    """Return every setting that can be given as `key=value`."""
    options = [option for section in option_sections() for option in section.options]
    return {option.key: (option.default, option.choices) for option in options if "[" not in option.key}


def _beginning(words: Iterable[str], incomplete: str) -> list[str]:
    return [word for word in words if word.startswith(incomplete)]


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else "null" if value is None else str(value)
