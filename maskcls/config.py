"""Every option, its default and its range; where each value of a resolved configuration came from.

A configuration is defaults, then one YAML file, then `key=value` overrides; nothing else is merged in. Sections are
frozen and refuse unknown keys. Builders read them; components take plain arguments.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, ParamSpec, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from maskcls.errors import ConfigError, UsageError, nearest
from maskcls.faults import COMMAND_LINE, Fault, Source, config_error, read_faults, shown
from maskcls.labels import CONTEST, LabelSpace, Task
from maskcls.yaml12 import MAX_DEPTH, dump_yaml, parse_yaml, read_yaml

P = ParamSpec("P")
T = TypeVar("T")

MAX_JOINT = 10_000  # joint classes; a table of predictions has one column for each
TAKEN_NAMES = (
    *("joint", "id", "path", "person", "age_years", "group", "split", "source", "weight", "fold", "ans"),
    *("macro_f1", "loss"),  # the scores every epoch is logged with
    "training",  # torch keeps this name to itself in every module
)

Share = Annotated[float, Field(ge=0, le=1)]
Kept = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Pixels = Annotated[int, Field(ge=8, le=4096)]
TaskName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Auto = Literal["auto"]
View = Literal["none", "hflip", "zoom", "hflip_zoom", "shifts"]


class Section(BaseModel):
    """Base of every section: frozen, strict, closed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class TaskConfig(Section):
    """One task: its name, its classes in index order, and the boundaries if the label is a whole number."""

    name: TaskName
    classes: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=2)]
    bins: tuple[Count, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("classes that all differ")
        if self.name in TAKEN_NAMES:
            raise ValueError(f"another name than {self.name!r}, which is taken")
        if self.bins and (list(self.bins) != sorted(set(self.bins)) or len(self.classes) != len(self.bins) + 1):
            raise ValueError("bins that ascend, one fewer than the classes")
        return self


class DataConfig(Section):
    """Where labels and photos come from. format: the contest's folders, or a CSV table; fixes: a CSV of label
    corrections; cache: keep decoded photos on disk: auto = where there is room, on = or fail, off = decode every epoch.
    """

    format: Literal["contest", "table"] = "contest"
    fixes: Annotated[str, Field(min_length=1)] | None = None
    cache: Literal["auto", "on", "off"] = "auto"


class FoldsConfig(Section):
    """Person-level folds. k = 1 holds out `holdout` of the people once; stratify: null picks every task whose label
    is the same on all photos of a person."""

    k: Annotated[int, Field(ge=1, le=100)] = 5
    holdout: Annotated[float, Field(gt=0, lt=1)] = 0.2
    seed: Seed = 0
    stratify: tuple[str, ...] | None = None


class ModelConfig(Section):
    """The network. backbone: any timm name; pretrained: hub weights; weights: a local file for the trunk."""

    heads: Literal["joint", "multi", "separate"] = "multi"
    backbone: Annotated[str, Field(min_length=1)] = "resnet18"
    pretrained: bool = False
    weights: Annotated[str, Field(min_length=1)] | None = None
    drop: Annotated[float, Field(ge=0, lt=1)] = 0.0
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.0


class TransformsConfig(Section):
    """What enters the network. crop: centre crop before resizing to `size`, as the shares of height and
    width that are kept.
    The rest is drawn in training only: shift and scale are shares, rotate degrees, cutout_size a share of each side;
    gray, clahe, sharpen, blur are probabilities."""

    crop: tuple[Kept, Kept] = (1.0, 1.0)
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
    gray: Share = 0.0
    clahe: Share = 0.0
    sharpen: Share = 0.0
    blur: Share = 0.0
    mean: tuple[Share, Share, Share] = (0.485, 0.456, 0.406)
    std: tuple[Positive, Positive, Positive] = (0.229, 0.224, 0.225)


class OptimConfig(Section):
    """AdamW with linear warm-up and cosine decay to `lr * end_share`; weight decay spares norms and biases.
    head_lr_scale: the heads' learning rate over the trunk's, for fresh heads on a trunk that was trained before."""

    lr: Positive = 3e-4
    head_lr_scale: Positive = 1.0
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
    its share in (it changes memory, not the result), auto = as few as fit into memory; patience: epochs without a
    better score before stopping; fold_jobs: folds trained side by side, auto = where that is faster."""

    epochs: Count = 6
    batch_size: Count = 64
    accumulate: Auto | Count = "auto"
    patience: Count | None = None
    fold_jobs: Auto | Annotated[int, Field(ge=1, le=64)] = "auto"


class PredictConfig(Section):
    """Inference, for validation, OOF and test alike. views: the test-time augmentation by name; batch_size: images
    of one forward pass, all views of a photo counted."""

    views: View = "hflip"
    batch_size: Count = 128


class DeviceConfig(Section):
    """The machine. auto for precision, memory_format, threads: measured on the network itself, and remembered.
    compile: torch.compile, auto = where a long training on a GPU pays for it; augment: where the train view is drawn,
    auto = on the device if it is a GPU; workers: loader processes, null = from the cores."""

    type: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    memory_format: Literal["auto", "channels_last", "contiguous"] = "auto"
    compile: Literal["auto", "on", "off"] = "auto"
    threads: Auto | Annotated[int, Field(ge=1, le=1024)] = "auto"
    augment: Literal["auto", "host", "device"] = "auto"
    workers: Annotated[int, Field(ge=0, le=256)] | None = None


class Config(Section):
    """One experiment, whole. separate: for heads=separate, dotted overrides by task, such as
    `{age: {model.backbone: resnet34, optim.lr: 1e-4}}`."""

    seed: Seed = 0
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
        if contradictions := list(self._contradictions()):
            raise ValueError("; ".join(contradictions))
        return self

    def _contradictions(self) -> Iterator[str]:
        """Yield what should hold between sections and does not, in words that follow "expected"."""
        names = [task.name for task in self.tasks]
        if len(set(names)) != len(names):
            yield "tasks that all have different names"
        if self.space.size > MAX_JOINT:
            yield f"tasks with at most {MAX_JOINT} joint classes, not {self.space.size}"
        if self.model.pretrained and self.model.weights is not None:
            yield "only one of model.pretrained and model.weights"
        if self.optim.warmup_epochs > self.train.epochs:
            yield f"optim.warmup_epochs ({self.optim.warmup_epochs}) within train.epochs ({self.train.epochs})"
        if self.train.accumulate != "auto" and self.train.accumulate > self.train.batch_size:
            yield f"train.accumulate ({self.train.accumulate}) within train.batch_size ({self.train.batch_size})"
        changes = self.transforms.gray, self.transforms.clahe, self.transforms.sharpen, self.transforms.blur
        if self.device.augment == "device" and any(changes):
            yield "device.augment=host or auto, as transforms.gray, clahe, sharpen and blur run on the host alone"
        if set(self.folds.stratify or ()) - set(names):
            yield f"folds.stratify with names of tasks only ({', '.join(names)})"
        if set(self.separate) - set(names):
            yield f"separate with names of tasks only ({', '.join(names)})"
        if self.separate and self.model.heads != "separate":
            yield "model.heads=separate, because separate is set"

    @property
    def space(self) -> LabelSpace:
        """The label space of the tasks."""
        return LabelSpace(tuple(Task(t.name, t.classes, t.bins) for t in self.tasks))


MEMBER_SECTIONS = ("model", "transforms", "optim", "ema", "train")


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
    place = f"{source.where}: separate.{task.name}."
    overrides = _in_place(place, flatten, cfg.separate.get(task.name, {}))
    shared = [key for key in overrides if key.split(".")[0] not in MEMBER_SECTIONS or key == "model.heads"]
    if shared:
        own = f"a setting of {', '.join(MEMBER_SECTIONS)} (but not model.heads), as tasks share all others"
        return [Fault(key, own) for key in shared]
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
    leaf: "default", the file's name, or "command line". Raises ConfigError or UsageError.
    """
    data: dict[str, Any] = {}
    origins: dict[str, str] = {}
    sources = [(path.name, str(path), read_yaml(path))] if path else []
    for key, value in map(parse_override, overrides):
        sources.append((COMMAND_LINE, COMMAND_LINE, {key: value}))
    for origin, where, tree in sources:
        for leaf, value in _in_place(f"{where}: ", flatten, tree).items():
            _in_place(f"{where}: ", put, data, leaf, value)
            origins[leaf] = origin
    overridden = [leaf for leaf, origin in origins.items() if origin == COMMAND_LINE]
    cfg = validate(data, where=str(path) if path else COMMAND_LINE, overridden=overridden)
    return cfg, {key: origins.get(key, "default") for key in flatten(cfg.model_dump(mode="json"))}


def find(name: Path) -> Path:
    """Return a configuration file: the path itself, or the shipped one of that name, such as `multi`.

    Raises ConfigError with the nearest shipped name.
    """
    if name.exists() or name.suffix:
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
    if not isinstance(data.get(leaf), dict):
        data[leaf] = value
    elif value != {}:
        raise ConfigError("this key is a section", where=key, got=shown(value), expected=f"{key}.name=value")


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
