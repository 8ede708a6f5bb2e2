"""The configuration files of one command: found by path or shipped name, and read with the files they are based on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskcls.config.faults import shown
from maskcls.config.yaml12 import read_yaml
from maskcls.errors import ConfigError, nearest

BASE = "base"  # the key in a file that names the file it is based on
SPACES = "spaces"  # the folder of the shipped spaces


@dataclass(frozen=True)
class ConfigFile:
    """A file that was read: where it is, and its settings without `base`."""

    path: Path
    settings: dict[str, Any]


def find(name: Path) -> Path:
    """Return a configuration file: the path itself, or the shipped one of that name, such as `multi`.

    Raises ConfigError with the nearest shipped name.
    """
    if _is_file(name, "--config"):
        return name
    if not name.suffix:
        return _shipped(str(name), "--config")
    known = name.with_suffix("").as_posix()
    if name.suffix in (".yaml", ".yml") and known in shipped_files() and not name.exists():
        fix = f"for the shipped configuration, give --config {known}"
        raise ConfigError("there is no such configuration", where="--config", got=repr(str(name)), fix=fix)
    return name


def read_files(paths: Sequence[Path]) -> list[ConfigFile]:
    """Read files, by path or shipped name, and their bases, in the order in which they apply: a later one wins.

    A base comes before its file; one that was already read is not applied a second time. Raises ConfigError for a file
    that cannot be read, for a base that does not exist, and for files that are based on each other.
    """
    files: list[ConfigFile] = []
    for path in map(find, paths):
        for file in _with_bases(path):
            if file.path == path or all(file.path.resolve() != other.path.resolve() for other in files):
                files.append(file)
    return files


def _with_bases(path: Path) -> list[ConfigFile]:
    """Read a file and the chain of its bases, the last base first."""
    chain: list[ConfigFile] = []
    following: Path | None = path
    while following is not None:
        current = following
        if current.resolve() in [file.path.resolve() for file in chain]:
            names = " -> ".join(str(p) for p in (*(file.path for file in chain), current))
            fix = f"remove `{BASE}` from one of them"
            raise ConfigError("configuration files are based on each other", where=str(path), got=names, fix=fix)
        settings = read_yaml(current)
        following = _base(settings.pop(BASE), current) if BASE in settings else None
        chain.append(ConfigFile(current, settings))
    return chain[::-1]


def _base(value: Any, path: Path) -> Path:
    """Return the file that `base: value` in the file at `path` names."""
    where = f"{path}: {BASE}"
    if not isinstance(value, str) or not value:
        expected = "one path relative to this file, or a shipped name such as multi"
        raise ConfigError("a setting is wrong", where=where, got=shown(value), expected=expected)
    beside = path.parent / os.path.expanduser(value)
    if _is_file(beside, where):
        return beside
    if beside.suffix:
        raise ConfigError("there is no such configuration", where=where, got=shown(value), expected="an existing file")
    return _shipped(value, where)


def _shipped(name: str, where: str) -> Path:
    """Return the shipped file of this name; `where` is the place that names it."""
    shipped = shipped_files()
    if name not in shipped:
        hint = nearest(name, list(shipped))
        expected = "a YAML file, or one of " + ", ".join(sorted(shipped))
        fix = f"did you mean {hint!r}?" if hint else None
        raise ConfigError("there is no such configuration", where=where, got=repr(name), expected=expected, fix=fix)
    return shipped[name]


def shipped_files() -> dict[str, Path]:
    """Return the shipped files by name."""
    folder = _shipped_folder()
    found = [path for path in folder.rglob("*.yaml") if path.parent != folder / SPACES]
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in found}


def shipped_spaces() -> dict[str, Path]:
    """Return the shipped spaces of `maskcls tune` by name; a space is no configuration."""
    return {path.stem: path for path in (_shipped_folder() / SPACES).glob("*.yaml")}


def _shipped_folder() -> Path:
    package = Path(__file__).resolve().parent.parent
    # In an installed package configs/ is inside it, in a checkout beside it.
    return next((f for f in (package / "configs", package.parent / "configs") if f.is_dir()), package)


def _is_file(path: Path, where: str) -> bool:
    """Tell whether there is such a file; ConfigError for a path that the operating system refuses, such as a long one.

    where  the place that names the path.
    """
    try:
        return path.is_file()
    except OSError as error:
        got = error.strerror or str(error)
        raise ConfigError(
            "a path cannot be used", where=where, got=f"{shown(str(path))}: {got}", fix="name another file"
        ) from None
