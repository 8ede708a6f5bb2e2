"""Plain data checked against the schema, and the networks a configuration describes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from maskcls.config.faults import ConfigSource, Fault, at, config_error, read_faults
from maskcls.config.keys import drop, flatten, preset_keys, put
from maskcls.errors import ConfigError
from maskcls.schema import Config, TaskConfig

SHARED = ("model.heads", "model.train", "train.seeds", "train.refit", "train.continue_epochs", "train.continue_rows")
MEMBER_SECTIONS = (
    "model",
    "heads",
    "transforms",
    "loss",
    "age",
    "sampler",
    "mix",
    "optim",
    "schedule",
    "average",
    "train",
)


def validate(data: Mapping[str, Any], *, where: str = "config", elsewhere: Mapping[str, str] | None = None) -> Config:
    """Check plain data against the schema; raise one ConfigError that lists every fault with its nearest name.

    where      the place to name in messages. elsewhere: dotted keys that were set in another place, and that place.
    """
    source = ConfigSource(where, elsewhere or {})
    cfg = _read(_json(data, where))
    if not isinstance(cfg, Config):
        raise config_error(cfg, source)
    _members(cfg, source)
    return cfg


def without_automatic_baseline(cfg: Config) -> Config:
    """Return the configuration of one of many trainings that are compared: a baseline only where a person wants it."""
    if cfg.train.baseline != "auto":
        return cfg
    return cfg.model_copy(update={"train": cfg.train.model_copy(update={"baseline": False})})


def members(cfg: Config) -> dict[str, Config]:
    """Return the networks of one run: {"": cfg} for joint and multi heads, one single-task Config per task otherwise.

    Raises ConfigError when an override under `separate` is not valid.
    """
    return _members(cfg, ConfigSource())


def _members(cfg: Config, source: ConfigSource) -> dict[str, Config]:
    if cfg.model.heads != "separate":
        return {"": cfg}
    found: dict[str, Config] = {}
    faults: list[Fault] = []
    for task in cfg.tasks:
        member = _member(cfg, task, source)
        if isinstance(member, Config):
            found[task.name] = member
        else:
            faults += [fault.below(f"separate.{task.name}") for fault in member]
    if faults:
        raise config_error(faults, source)
    return found


def _member(cfg: Config, task: TaskConfig, source: ConfigSource) -> Config | list[Fault]:
    data = cfg.model_dump(mode="json")
    data |= {"tasks": [task.model_dump(mode="json")], "separate": {}}
    data["model"]["heads"] = "multi"
    data["folds"]["stratify"] = None  # folds are drawn once, for the whole run
    data["loss"] = {head: loss for head, loss in data["loss"].items() if head in ("all", task.name)}
    if not task.bins:
        data["age"] = {}
    place = f"{source.where}: separate.{task.name}."
    overrides = at(place, flatten, cfg.separate.get(task.name, {}))
    shared = [key for key in overrides if key.split(".")[0] not in MEMBER_SECTIONS or key in SHARED]
    if shared:
        own = f"a setting of {', '.join(MEMBER_SECTIONS)} (but not {', '.join(SHARED)}), as tasks share all others"
        return [Fault(key, own) for key in shared]
    for key in preset_keys(overrides.items()):  # the preset of one task replaces what all tasks share
        drop(data, key)
    for key, value in overrides.items():
        at(place, put, data, key, value)
    return _read(_json(data, source.where))


def _json(data: Mapping[str, Any], where: str) -> bytes:
    try:
        return json.dumps(data, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise ConfigError(
            "the configuration is not plain data",
            where=where,
            got=str(error),
            fix="use text, numbers, lists and sections only",
        ) from None


def _read(data: bytes) -> Config | list[Fault]:
    try:
        # Strict JSON mode: a YAML list may become a tuple, but text never becomes a number.
        return Config.model_validate_json(data)
    except ValidationError as error:
        return read_faults(error, Config)
