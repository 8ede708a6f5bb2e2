"""The one place that prints JSON: what `--json` of every verb writes to stdout."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from json import dumps
from typing import Any

from maskcls.files import none_for_nan

VERSION = 1  # of every verb's --json; raised when a key is renamed or removed, or its meaning changes

# Packages of other versions than at the training, {package: [then, now]}, or so by run folder: the key
# `other_versions` of every verb that computes with the networks of runs.
Versions = Mapping[str, object]
NONE: Versions = {}


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object on one line, its first key `version`; NaN is null.

    Text is escaped only where stdout lacks a character. A list is an entry with a name, never the whole output, so that
    keys can be added.
    """
    print(_text({"version": VERSION, **_plain(value)}))


def print_document(value: Mapping[str, Any]) -> None:
    """Print an indented JSON document whose form is defined elsewhere, such as a JSON schema."""
    print(_text(value, indent=2))


def _text(value: Mapping[str, Any], indent: int | None = None) -> str:
    text = dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return dumps(value, allow_nan=False, indent=indent)
    return text


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return none_for_nan(value)
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value
