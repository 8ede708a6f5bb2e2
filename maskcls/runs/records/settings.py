"""A run's settings by dotted key, what most runs share, and what is different."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from maskcls import config
from maskcls.config.yaml12 import parse_yaml
from maskcls.schema import Config

PLAIN_WORD = re.compile(r"[A-Za-z_/][A-Za-z0-9_/.+()=-]*")


def settings_of(cfg: Config) -> dict[str, Any]:
    """Return every setting by its dotted key, as plain data."""
    return config.flatten(cfg.model_dump(mode="json"))


def shared_settings(every: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the most common value of each key; of equally common values the default, or else the first.

    >>> shared_settings([{"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 2}])
    {'a': 2, 'b': 1}
    """
    default, shared = settings_of(Config()), {}
    for key in dict.fromkeys(key for one in every for key in one):
        counts = Counter(json.dumps(one[key]) if key in one else None for one in every)
        usual = json.dumps(default[key]) if key in default else None
        best = max(counts, key=lambda word: (counts[word], word == usual))
        if best is not None:
            shared[key] = json.loads(best)
    return shared


def setting_differences(settings: Mapping[str, Any], base: Mapping[str, Any]) -> list[str]:
    """Return `key=value` for every setting that differs from the base's; it can be given to train so.

    >>> setting_differences({"seed": 1, "loss.all": "ce", "lr": None}, {"seed": 0, "loss.age": "ce", "lr": 0.1})
    ['seed=1', 'loss.all=ce', 'lr=null', 'loss.age is unset']
    """
    changed = [assignment(key, value) for key, value in settings.items() if key not in base or base[key] != value]
    return changed + [f"{key} is unset" for key in base if key not in settings]


def assignment(key: str, value: Any) -> str:
    """Write a setting as the override that gives it.

    >>> assignment("optim.lr", 1e-05), assignment("mix.kind", "none"), assignment("seed", "null")
    ('optim.lr=1e-05', 'mix.kind=none', 'seed="null"')
    """
    plain = isinstance(value, str) and PLAIN_WORD.fullmatch(value) and parse_yaml(value, where=key) == value
    return f"{key}={value if plain else json.dumps(value, ensure_ascii=False)}"
