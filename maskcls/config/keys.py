"""Dotted keys such as `optim.lr` in nested dicts: set, removed, and listed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from maskcls.config.faults import shown
from maskcls.config.yaml12 import MAX_DEPTH
from maskcls.errors import ConfigError
from maskcls.schema import PRESETS

PRESET = "transforms.preset"
# Sections with any names, which {} empties.
MAPS = (
    *("separate", "model.options", "balance.weights", "mix.partner_classes"),
    *("synth.classes", "synth.from_classes"),
)


def put(data: dict[str, Any], key: str, value: Any) -> None:
    """Set the dotted key in nested dicts, making the sections it names; an empty dict changes no section.

    Raises ConfigError when the key passes through a value or would replace a section.
    """
    *parents, leaf = key.split(".")
    if len(parents) >= MAX_DEPTH:
        raise ConfigError("this key has too many parts", where=key, expected=f"at most {MAX_DEPTH}")
    for depth, name in enumerate(parents, start=1):
        data = data.setdefault(name, {})
        if not isinstance(data, dict):
            raise ConfigError(
                "this key has no parts",
                where=key,
                got=f"{name} holds a value, not a section",
                fix=f"write {'.'.join(parents[:depth])}=VALUE",
            )
    if not isinstance(data.get(leaf), dict) or (value == {} and key in MAPS):
        data[leaf] = value
    elif value != {}:
        raise ConfigError("this key is a section", where=key, got=shown(value), expected=f"{key}.name=value")


def drop(data: dict[str, Any], key: str) -> None:
    """Remove the dotted key from nested dicts where it is there."""
    *parents, leaf = key.split(".")
    for name in parents:
        data = data[name] if isinstance(data.get(name), dict) else {}
    data.pop(leaf, None)


def preset_keys(leaves: Iterable[tuple[str, Any]]) -> list[str]:
    """Return the dotted keys of all settings that the presets among these leaves set.

    >>> preset_keys([("seed", 1), ("separate.age.transforms.preset", "light")])[0]
    'separate.age.transforms.hflip'
    """
    presets = [(key.removesuffix("preset"), PRESETS.get(str(value), ())) for key, value in leaves if _is_preset(key)]
    return [f"{section}{name}" for section, names in presets for name in names]


def _is_preset(key: str) -> bool:
    return key == PRESET or (key.startswith("separate.") and key.endswith(f".{PRESET}"))


def flatten(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested dicts as one dict of dotted keys; lists, and dicts without entries, are values.

    Raises ConfigError when two entries have the same dotted key.

    >>> flatten({"optim": {"lr": 0.1}, "seed": 3})
    {'optim.lr': 0.1, 'seed': 3}
    """
    flat: dict[str, Any] = {}
    for name, value in data.items():
        key = f"{prefix}{name}"
        part = flatten(value, key + ".") if isinstance(value, Mapping) and value else {key: value}
        if repeated := flat.keys() & part.keys():
            raise ConfigError("a key is given twice", where=min(repeated), fix="write it once, dotted or nested")
        flat |= part
    return flat
