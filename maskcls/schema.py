"""Every option, its default and its range, and what must hold between them.

Sections are frozen and refuse unknown keys. `config` resolves them from files and the command line.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from maskcls.labels import CONTEST, LabelSpace, Task

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
