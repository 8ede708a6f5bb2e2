"""Settings given on the command line as `dotted.key=value`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from maskcls.config.faults import COMMAND_LINE, at, shown
from maskcls.config.keys import flatten
from maskcls.config.short_names import whole_key
from maskcls.config.yaml12 import parse_yaml
from maskcls.errors import UsageError


def parse_override(text: str) -> tuple[str, Any]:
    """Split `dotted.key=value` and read the value as YAML; a name without its section is completed by `whole_key`.

    >>> parse_override("optim.lr=1e-3"), parse_override("lr=1e-3")
    (('optim.lr', 0.001), ('optim.lr', 0.001))
    """
    key, equals, value = text.partition("=")
    if not equals or not all(key.split(".")):
        raise UsageError("not an override", got=shown(text), expected="dotted.key=value, such as optim.lr=1e-4")
    parsed = parse_yaml(value, where=f"{COMMAND_LINE}: {key}")
    return whole_key(key, parsed), parsed


def refuse_set_twice(overrides: Sequence[str]) -> None:
    """Raise UsageError that names two overrides which set the same key, alone or within a section.

    The last one would win in silence, and what a script adds at the end of a line may be meant for another setting.
    """
    setters: dict[str, str] = {}
    for text in overrides:
        for key in at(f"{COMMAND_LINE}: ", flatten, dict([parse_override(text)])):
            if key in setters:
                got = f"{setters[key]} and {text}"
                raise UsageError("a setting is given twice", where=key, got=got, fix="leave one of them out")
            setters[key] = text


def setting(overrides: Sequence[str], *keys: str) -> list[str]:
    """Return those of the overrides that set one of these dotted keys, alone or within a section.

    >>> setting(["predict.views=none", "predict={groups: look}", "seed=1"], "predict.views", "predict.groups")
    ['predict.views=none', 'predict={groups: look}']
    """
    return [text for text in overrides if set(flatten(dict([parse_override(text)]))) & set(keys)]


def written(value: object) -> str:
    """Write a value as it may be given on the command line.

    >>> written(None), written((0.9, 0.9)), written("none")
    ('null', '[0.9, 0.9]', '"none"')
    """
    return json.dumps(value, ensure_ascii=False)
