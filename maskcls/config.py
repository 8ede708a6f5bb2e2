"""Every option, its default and its range; where each value of a resolved configuration came from.

A configuration is defaults, then one YAML file, then `key=value` overrides; nothing else is merged in. Sections are
frozen and refuse unknown keys. Builders read them; components take plain arguments.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from maskcls.errors import ConfigError, UsageError, nearest
from maskcls.labels import CONTEST, LabelSpace, Task

MAX_BYTES = 1 << 20
MAX_DEPTH = 32

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Pixels = Annotated[int, Field(ge=8, le=4096)]
TaskName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
View = Literal["none", "hflip", "zoom", "hflip_zoom", "shifts"]


class Section(BaseModel):
    """Base of every section: frozen, strict, closed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class TaskConfig(Section):
    """One task: its name, its classes in index order, and the boundaries if the label is a whole number."""

    name: TaskName
    classes: Annotated[tuple[str, ...], Field(min_length=2)]
    bins: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("classes repeat")
        if self.name in ("joint", "id", "path", "person", "group", "split", "source", "weight", "fold"):
            raise ValueError(f"the name {self.name!r} is taken; rename the task")
        if self.bins and (list(self.bins) != sorted(set(self.bins)) or len(self.classes) != len(self.bins) + 1):
            raise ValueError("bins must ascend, and be one fewer than the classes")
        return self


class DataConfig(Section):
    """Where labels come from. format: the contest's folders, or a CSV table; fixes: a CSV of label corrections."""

    format: Literal["contest", "table"] = "contest"
    fixes: str | None = None


class FoldsConfig(Section):
    """Person-level folds. k = 1 holds out `holdout` of the people once; stratify: null picks every task whose label
    is the same on all photos of a person."""

    k: Annotated[int, Field(ge=1, le=100)] = 5
    holdout: Annotated[float, Field(gt=0, lt=1)] = 0.2
    seed: Annotated[int, Field(ge=0)] = 0
    stratify: tuple[str, ...] | None = None


class ModelConfig(Section):
    """The network. backbone: any timm name; pretrained: hub weights; weights: a local file for the trunk."""

    heads: Literal["joint", "multi", "separate"] = "multi"
    backbone: Annotated[str, Field(min_length=1)] = "resnet18"
    pretrained: bool = False
    weights: str | None = None
    drop: Annotated[float, Field(ge=0, lt=1)] = 0.0
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.0


class TransformsConfig(Section):
    """What enters the network. crop: centre crop in source pixels (height, width) before resizing to `size`.
    The rest is drawn in training only: shift and scale are shares, rotate degrees, cutout_size a share of each side."""

    crop: tuple[Pixels, Pixels] | None = None
    size: tuple[Pixels, Pixels] = (128, 96)
    hflip: Share = 0.5
    geometry: Share = 0.5
    shift: Annotated[float, Field(ge=0, lt=1)] = 0.05
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.1
    rotate_deg: Annotated[float, Field(ge=0, le=180)] = 10.0
    colour: Share = 0.5
    brightness: Annotated[float, Field(ge=0, lt=1)] = 0.2
    contrast: Annotated[float, Field(ge=0, lt=1)] = 0.2
    cutout: Share = 0.0
    cutout_size: Annotated[float, Field(gt=0, lt=1)] = 0.3
    mean: tuple[Share, Share, Share] = (0.485, 0.456, 0.406)
    std: tuple[Positive, Positive, Positive] = (0.229, 0.224, 0.225)


class OptimConfig(Section):
    """AdamW with linear warm-up and cosine decay to `lr * end_share`; weight decay spares norms and biases."""

    lr: Positive = 3e-4
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.5
    end_share: Share = 0.01
    clip_norm: Positive | None = 5.0


class EmaConfig(Section):
    """Exponential moving average of the weights. decay: its ceiling, null = off; the decay in force warms up with the
    step as 1 - (1 + step) ** -power."""

    decay: Annotated[float, Field(gt=0, lt=1)] | None = 0.998
    power: Annotated[float, Field(gt=0, le=1)] = 0.75


class TrainConfig(Section):
    """The loop. batch_size: images per optimizer step over all processes; accumulate: pieces each process computes
    its share in (it changes memory, not the result); patience: epochs without a better score before stopping."""

    epochs: Count = 6
    batch_size: Count = 64
    accumulate: Count = 1
    patience: Count | None = None


class PredictConfig(Section):
    """Inference, for validation, OOF and test alike. views: the test-time augmentation by name."""

    views: View = "hflip"
    batch_size: Count = 128


class DeviceConfig(Section):
    """The machine. threads: null = torch's choice; workers: loader processes, null = from the cores."""

    type: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    channels_last: bool = True
    threads: Count | None = None
    workers: Annotated[int, Field(ge=0, le=256)] | None = None


class Config(Section):
    """One experiment, whole. separate: for heads=separate, dotted overrides by task, such as
    `{age: {model.backbone: resnet34, optim.lr: 1e-4}}`."""

    seed: Annotated[int, Field(ge=0)] = 0
    tasks: Annotated[tuple[TaskConfig, ...], Field(min_length=1)] = tuple(
        TaskConfig(name=t.name, classes=t.classes, bins=t.bins) for t in CONTEST.tasks
    )
    data: DataConfig = DataConfig()
    folds: FoldsConfig = FoldsConfig()
    model: ModelConfig = ModelConfig()
    transforms: TransformsConfig = TransformsConfig()
    optim: OptimConfig = OptimConfig()
    ema: EmaConfig = EmaConfig()
    train: TrainConfig = TrainConfig()
    predict: PredictConfig = PredictConfig()
    device: DeviceConfig = DeviceConfig()
    separate: dict[str, dict[str, Any]] = {}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [task.name for task in self.tasks]
        if len(set(names)) != len(names):
            raise ValueError("tasks: two tasks have the same name")
        if self.model.pretrained and self.model.weights:
            raise ValueError("model.pretrained and model.weights exclude each other; choose one")
        if self.optim.warmup_epochs > self.train.epochs:
            raise ValueError("optim.warmup_epochs is longer than train.epochs")
        if self.train.accumulate > self.train.batch_size:
            raise ValueError("train.accumulate is larger than train.batch_size")
        if self.folds.stratify is not None and set(self.folds.stratify) - set(names):
            raise ValueError(f"folds.stratify names an unknown task; the tasks are {', '.join(names)}")
        if self.separate and self.model.heads != "separate":
            raise ValueError("separate is set, but model.heads is not 'separate'")
        if set(self.separate) - set(names):
            raise ValueError(f"separate names an unknown task; the tasks are {', '.join(names)}")
        return self

    @property
    def space(self) -> LabelSpace:
        """The label space of the tasks."""
        return LabelSpace(tuple(Task(t.name, t.classes, t.bins) for t in self.tasks))


MEMBER_SECTIONS = ("model", "transforms", "optim", "ema", "train")


def members(cfg: Config) -> dict[str, Config]:
    """Return the networks one run is made of: {"": cfg} for joint and multi, one single-task Config a task otherwise.

    Raises ConfigError when an override under `separate` is not valid.
    """
    if cfg.model.heads != "separate":
        return {"": cfg}
    return {task.name: _member(cfg, task) for task in cfg.tasks}


def _member(cfg: Config, task: TaskConfig) -> Config:
    data = cfg.model_dump(mode="json")
    data |= {"tasks": [task.model_dump(mode="json")], "separate": {}}
    data["model"]["heads"] = "multi"
    data["folds"]["stratify"] = None
    for key, value in flatten(cfg.separate.get(task.name, {})).items():
        if key.split(".")[0] not in MEMBER_SECTIONS or key == "model.heads":
            raise ConfigError(
                "this setting cannot differ between tasks",
                where=f"separate.{task.name}.{key}",
                expected="a dotted key of " + ", ".join(MEMBER_SECTIONS),
                fix="set it for the whole run, outside `separate`",
            )
        put(data, key, value)
    return validate(data, where=f"separate.{task.name}")


def validate(data: Mapping[str, Any], *, where: str = "config") -> Config:
    """Check plain data against the schema; raise one ConfigError that lists every fault with its nearest name."""
    try:
        # Strict JSON mode: a YAML list may become a tuple, but text never becomes a number.
        cfg = Config.model_validate_json(json.dumps(data))
    except ValidationError as error:
        raise _config_error(error, where) from None
    except (TypeError, ValueError) as error:
        raise ConfigError("the configuration is not plain data", where=where, got=str(error)) from None
    members(cfg)
    return cfg


def load(path: Path | None, overrides: Sequence[str] = ()) -> tuple[Config, dict[str, str]]:
    """Resolve defaults, then a YAML file, then `key=value` overrides.

    Returns the configuration and the origin of every leaf: "default", the file's name, or "command line".
    Raises ConfigError or UsageError.
    """
    origins: dict[str, str] = {}
    data: dict[str, Any] = {}
    if path is not None:
        data = read_yaml(path)
        origins = dict.fromkeys(flatten(data), path.name)
    for override in overrides:
        key, value = parse_override(override)
        for leaf, part in flatten({key: value}).items():
            put(data, leaf, part)
            origins[leaf] = "command line"
    cfg = validate(data, where=str(path) if path else "command line")
    return cfg, {key: origins.get(key, "default") for key in flatten(cfg.model_dump(mode="json"))}


def parse_override(text: str) -> tuple[str, Any]:
    """Split `dotted.key=value` and read the value as YAML.

    >>> parse_override("optim.lr=1e-3")
    ('optim.lr', 0.001)
    """
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError("not an override", got=repr(text), expected="dotted.key=value, such as optim.lr=1e-4")
    return key, parse_yaml(value, where=key)


def put(data: dict[str, Any], key: str, value: Any) -> None:
    """Set the dotted key in nested dicts, making the way there; ConfigError when it passes through a leaf."""
    *parents, leaf = key.split(".")
    for name in parents:
        data = data.setdefault(name, {})
        if not isinstance(data, dict):
            raise ConfigError("this key has no parts", where=key, got=f"{name} holds a value, not a section")
    data[leaf] = value


def flatten(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested dicts as one dict of dotted keys; lists, and dicts without entries, are values.

    >>> flatten({"optim": {"lr": 0.1}, "seed": 3})
    {'optim.lr': 0.1, 'seed': 3}
    """
    flat: dict[str, Any] = {}
    for name, value in data.items():
        key = f"{prefix}{name}"
        flat |= flatten(value, key + ".") if isinstance(value, Mapping) and value else {key: value}
    return flat


def to_yaml(cfg: Config) -> str:
    """Write the resolved configuration; `load` reads it back to an equal one."""
    return yaml.safe_dump(cfg.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read one YAML mapping from a file of at most 1 MiB; raises ConfigError."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError("cannot read the configuration", where=str(path), got=error.strerror or str(error)) from None
    if len(raw) > MAX_BYTES:
        raise ConfigError("the configuration is too large", where=str(path), got=f"{len(raw)} bytes")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError("the configuration is not UTF-8 text", where=str(path)) from None
    data = parse_yaml(text, where=str(path))
    if not isinstance(data, dict):
        raise ConfigError("the configuration is not a mapping", where=str(path), got=type(data).__name__)
    return data


def parse_yaml(text: str, *, where: str) -> Any:
    """Read one YAML document under the rules of YAML 1.2: `1e-3` is a number, `no` and `12:30` are text.

    Repeated keys, aliases, tags and nesting deeper than 32 are refused with a ConfigError.
    """
    try:
        loader = _Loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where}, line {mark.line + 1}" if mark else where
        got = getattr(error, "problem", None) or "nested too deeply"
        raise ConfigError("this is not valid YAML", where=place, got=str(got)) from None


class _Loader(yaml.SafeLoader):
    """SafeLoader with YAML 1.2 scalars, and no aliases or repeated keys."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases are not allowed", event.start_mark)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise yaml.composer.ComposerError(None, None, "nested too deeply", event.start_mark)
        node = super().compose_node(parent, index)  # type: ignore[no-untyped-call]
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: dict[Any, int] = {}
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be text", key_node.start_mark)
            if key_node.value in seen:
                problem = f"the key {key_node.value!r} stands twice, first on line {seen[key_node.value]}"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen[key_node.value] = key_node.start_mark.line + 1
        return super().construct_mapping(node, deep)


for _tag, _pattern, _first in (
    ("null", r"^(?:~|null|)$", ["~", "n", ""]),
    ("bool", r"^(?:true|false)$", list("tf")),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", list("-+0123456789")),
    (
        "float",
        r"^(?:[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan)$",
        list("-+.0123456789"),
    ),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


def _config_error(error: ValidationError, where: str) -> ConfigError:
    faults = [_fault(dict(e)) for e in error.errors()]
    if len(faults) == 1:
        key, got, expected = faults[0]
        what = "a setting is wrong" if key else "settings contradict each other"
        return ConfigError(what, where=f"{where}: {key}" if key else where, got=got, expected=expected)
    lines = [f"{key}: {expected}" + (f", got {got}" if got else "") for key, got, expected in faults]
    return ConfigError(f"{len(faults)} settings are wrong", where=where, offenders=lines)


def _fault(error: dict[str, Any]) -> tuple[str, str | None, str]:
    """Turn one pydantic error into key, got, expected."""
    loc = [part for part in error["loc"] if not str(part).startswith("function-")]
    key = ".".join(str(part) for part in loc)
    if error["type"] == "extra_forbidden":
        known = _fields(loc[:-1])
        hint = nearest(str(loc[-1]), known)
        return key, "an unknown key", f"did you mean {hint!r}?" if hint else "one of " + ", ".join(known)
    if error["type"] == "value_error":
        return key, None, str(error["ctx"]["error"])
    return key, repr(error["input"]), error["msg"][0].lower() + error["msg"][1:]


def _fields(loc: Sequence[str | int]) -> list[str]:
    model: Any = Config
    for part in loc:
        if isinstance(part, str) and part in model.model_fields:
            model = model.model_fields[part].annotation
        elif isinstance(part, int):
            model = TaskConfig
    return sorted(model.model_fields)
