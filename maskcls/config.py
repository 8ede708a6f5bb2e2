"""A resolved configuration, and where each of its values came from.

Defaults, then one YAML file, then `key=value` overrides; nothing else is merged in. Builders read a configuration;
components take plain arguments.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from pydantic import ValidationError

from maskcls.errors import ConfigError, UsageError, nearest
from maskcls.faults import COMMAND_LINE, Fault, Source, config_error, read_faults, shown
from maskcls.schema import PRESETS, Config, TaskConfig
from maskcls.yaml12 import MAX_DEPTH, dump_yaml, parse_yaml, read_yaml

P = ParamSpec("P")
T = TypeVar("T")

PRESET = "transforms.preset"
MAPS = ("separate", "balance.weights", "mix.partner_classes")  # sections with any names, which {} empties
SHARED = ("model.heads", "train.seeds", "train.refit", "train.continue_epochs", "train.continue_rows")
MEMBER_SECTIONS = ("model", "transforms", "loss", "age", "sampler", "mix", "optim", "schedule", "average", "train")


def members(cfg: Config) -> dict[str, Config]:
    """Return the networks one run is made of: {"": cfg} for joint and multi, one single-task Config a task otherwise.

    Raises ConfigError when an override under `separate` is not valid.
    """
    return _members(cfg, Source())


def _members(cfg: Config, source: Source) -> dict[str, Config]:
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


def _member(cfg: Config, task: TaskConfig, source: Source) -> Config | list[Fault]:
    data = cfg.model_dump(mode="json")
    data |= {"tasks": [task.model_dump(mode="json")], "separate": {}}
    data["model"]["heads"] = "multi"
    data["folds"]["stratify"] = None  # folds are drawn once, for the whole run
    data["loss"] = {head: loss for head, loss in data["loss"].items() if head in ("all", task.name)}
    if not task.bins:
        data["age"] = {}
    place = f"{source.where}: separate.{task.name}."
    overrides = _in_place(place, flatten, cfg.separate.get(task.name, {}))
    shared = [key for key in overrides if key.split(".")[0] not in MEMBER_SECTIONS or key in SHARED]
    if shared:
        own = f"a setting of {', '.join(MEMBER_SECTIONS)} (but not {', '.join(SHARED)}), as tasks share all others"
        return [Fault(key, own) for key in shared]
    for key in preset_keys(overrides.items()):  # one of its own stands above what all share
        drop(data, key)
    for key, value in overrides.items():
        _in_place(place, put, data, key, value)
    return _read(_json(data, source.where))


def validate(data: Mapping[str, Any], *, where: str = "config", overridden: Collection[str] = ()) -> Config:
    """Check plain data against the schema; raise one ConfigError that lists every fault with its nearest name.

    where       the place to name in messages; overridden: the dotted keys to blame on the command line instead.
    """
    source = Source(where, overridden)
    cfg = _read(_json(data, where))
    if not isinstance(cfg, Config):
        raise config_error(cfg, source)
    _members(cfg, source)
    return cfg


def _json(data: Mapping[str, Any], where: str) -> bytes:
    try:
        return json.dumps(data, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise ConfigError("the configuration is not plain data", where=where, got=str(error)) from None


def _read(data: bytes) -> Config | list[Fault]:
    try:
        # Strict JSON mode: a YAML list may become a tuple, but text never becomes a number.
        return Config.model_validate_json(data)
    except ValidationError as error:
        return read_faults(error, Config)


def load(path: Path | None, overrides: Sequence[str] = ()) -> tuple[Config, dict[str, str]]:
    """Resolve defaults, then a YAML file, then `key=value` overrides; a section is merged key by key.

    A dotted key means the same in the file as on the command line. Returns the configuration and the origin of every
    leaf: "default", "preset" and its name, the file's name, or "command line". Raises ConfigError or UsageError.
    """
    data: dict[str, Any] = {}
    origins: dict[str, str] = {}
    sources = [(path.name, str(path), [read_yaml(path)])] if path else []
    sources.append((COMMAND_LINE, COMMAND_LINE, [{key: value} for key, value in map(parse_override, overrides)]))
    for origin, where, trees in sources:
        leaves = [leaf for tree in trees for leaf in _in_place(f"{where}: ", flatten, tree).items()]
        for key in preset_keys(leaves):  # it stands above what an earlier source gave
            drop(data, key)
            origins.pop(key, None)
        for leaf, value in leaves:
            _in_place(f"{where}: ", put, data, leaf, value)
            origins[leaf] = origin
    overridden = [leaf for leaf, origin in origins.items() if origin == COMMAND_LINE]
    cfg = validate(data, where=str(path) if path else COMMAND_LINE, overridden=overridden)
    preset = data.get("transforms", {}).get("preset")
    origins = {f"transforms.{key}": f"preset {preset}" for key in PRESETS.get(preset, ())} | origins
    return cfg, {key: origins.get(key, "default") for key in flatten(cfg.model_dump(mode="json"))}


def find(name: Path) -> Path:
    """Return a configuration file: the path itself, or the shipped one of that name, such as `multi`.

    Raises ConfigError with the nearest shipped name.
    """
    if name.is_file() or name.suffix:
        return name
    package = Path(__file__).resolve().parent
    # In an installed package configs/ stands inside it, in a checkout beside it.
    folder = next((f for f in (package / "configs", package.parent / "configs") if f.is_dir()), package)
    shipped = {path.relative_to(folder).with_suffix("").as_posix(): path for path in folder.rglob("*.yaml")}
    if str(name) not in shipped:
        hint = nearest(str(name), list(shipped))
        known = f"did you mean {hint!r}?" if hint else "a YAML file, or one of " + ", ".join(sorted(shipped))
        raise ConfigError("there is no such configuration", where="--config", got=repr(str(name)), expected=known)
    return shipped[str(name)]


def parse_override(text: str) -> tuple[str, Any]:
    """Split `dotted.key=value` and read the value as YAML.

    >>> parse_override("optim.lr=1e-3")
    ('optim.lr', 0.001)
    """
    key, equals, value = text.partition("=")
    if not equals or not all(key.split(".")):
        raise UsageError("not an override", got=shown(text), expected="dotted.key=value, such as optim.lr=1e-4")
    return key, parse_yaml(value, where=f"{COMMAND_LINE}: {key}")


def setting(overrides: Sequence[str], *keys: str) -> list[str]:
    """Return those of the overrides that set one of these dotted keys, alone or within a section.

    >>> setting(["predict.views=none", "predict={groups: look}", "seed=1"], "predict.views", "predict.groups")
    ['predict.views=none', 'predict={groups: look}']
    """
    return [text for text in overrides if set(flatten(dict([parse_override(text)]))) & set(keys)]


def put(data: dict[str, Any], key: str, value: Any) -> None:
    """Set the dotted key in nested dicts, making the way there; an empty dict changes no section.

    Raises ConfigError when the key passes through a value or would replace a section.
    """
    *parents, leaf = key.split(".")
    if len(parents) >= MAX_DEPTH:
        raise ConfigError("this key has too many parts", where=key, expected=f"at most {MAX_DEPTH}")
    for name in parents:
        data = data.setdefault(name, {})
        if not isinstance(data, dict):
            raise ConfigError("this key has no parts", where=key, got=f"{name} holds a value, not a section")
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
    """Return the dotted keys that a preset of the transforms among these settings stands for."""
    return [f"transforms.{name}" for key, value in leaves if key == PRESET for name in PRESETS.get(str(value), ())]


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
            raise ConfigError("a key stands twice", where=min(repeated), fix="write it once, dotted or nested")
        flat |= part
    return flat


def to_yaml(cfg: Config) -> str:
    """Write the resolved configuration; `load` reads it back to an equal one."""
    return dump_yaml(cfg.model_dump(mode="json"))


def _in_place(place: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function on keys; its error names the place where the keys stand."""
    try:
        return function(*args, **kwargs)
    except ConfigError as error:
        error.where = f"{place}{error.where}"
        raise
