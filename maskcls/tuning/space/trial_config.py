"""The configuration of a trial: the base configuration with other values of some settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from maskcls.config.keys import drop, flatten, preset_keys, put
from maskcls.config.validation import validate
from maskcls.schema import Config


def with_values(base: Config, values: Mapping[str, Any], *, where: str) -> Config:
    """Return the base with these values, given as plain data by dotted key; ConfigError names `where` and the fault.

    A preset among the values replaces what it sets, unless a value sets it too.
    """
    data = base.model_dump(mode="json")
    for key in preset_keys(values.items()):
        drop(data, key)
    for key, value in values.items():
        if isinstance(value, dict):
            drop(data, key)  # a section with free names is replaced, not merged
        put(data, key, value)
    return validate(data, where=where)


def all_settings(cfg: Config) -> dict[str, Any]:
    """Return every setting as plain data by dotted key; a section with free names also as a whole."""
    data = cfg.model_dump(mode="json")
    whole = {
        f"{section}.{name}": value
        for section, part in data.items()
        if isinstance(part, dict)
        for name, value in part.items()
    }
    return data | whole | flatten(data)
