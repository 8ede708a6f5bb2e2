"""Every option, its default and its range, and what must hold between them.

Sections are frozen and refuse unknown keys. `config` resolves them from files and the command line.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from maskcls.labels import CONTEST, LabelSpace, Task
from maskcls.layoutnames import LayoutName
from maskcls.lossterms import Term, parse_loss
from maskcls.viewnames import parse_views

MAX_JOINT = 10_000  # joint classes; a table of predictions has one column for each
TAKEN_NAMES = (
    *("all", "joint", "id", "path", "person", "age_years", "group", "split", "source", "weight", "fold", "ans"),
    *("macro_f1", "loss"),  # the scores every epoch is logged with
    "training",  # torch keeps this name to itself in every module
)

Share = Annotated[float, Field(ge=0, le=1)]
Kept = Annotated[float, Field(gt=0, le=1)]
Below = Annotated[float, Field(ge=0, lt=1)]
Inside = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Pixels = Annotated[int, Field(ge=8, le=4096)]
TaskName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Auto = Literal["auto"]
Bins = Annotated[tuple[Count, ...], Field(min_length=1)]
Stage = tuple[Count, Kept]


def _read_loss(text: str) -> str:
    parse_loss(text)
    return text


def _read_views(text: str) -> str:
    parse_views(text)
    return text


Loss = Annotated[str, AfterValidator(_read_loss)]
Views = Annotated[str, AfterValidator(_read_views)]


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
    corrections; pseudo: a file of `maskcls pseudo-label` whose rows train too; leaky: take it though its networks saw
    the people that judge, and do without an out-of-fold score; cache: keep decoded photos on disk: auto = where there
    is room, on = or fail, off = decode every epoch."""

    format: LayoutName = "contest"
    fixes: Annotated[str, Field(min_length=1)] | None = None
    pseudo: Annotated[str, Field(min_length=1)] | None = None
    leaky: bool = False
    cache: Literal["auto", "on", "off"] = "auto"


class FoldsConfig(Section):
    """Person-level folds. k = 1 holds out `holdout` of the people once; stratify: null picks every task whose label
    is the same on all photos of a person."""

    k: Annotated[int, Field(ge=1, le=100)] = 5
    holdout: Annotated[float, Field(gt=0, lt=1)] = 0.2
    seed: Seed = 0
    stratify: tuple[str, ...] | None = None


class ModelConfig(Section):
    """The network. backbone: any timm name; pretrained: hub weights; weights: a local file for the trunk; drop: dropout
    in front of the heads, drop_samples: how many times anew in every step."""

    heads: Literal["joint", "multi", "separate"] = "multi"
    backbone: Annotated[str, Field(min_length=1)] = "resnet18"
    pretrained: bool = False
    weights: Annotated[str, Field(min_length=1)] | None = None
    drop: Annotated[float, Field(ge=0, lt=1)] = 0.0
    drop_samples: Annotated[int, Field(ge=1, le=64)] = 1
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.0


_OFF: dict[str, Any] = {
    **dict.fromkeys(("hflip", "geometry", "colour", "saturation", "hue", "zoom", "cutout", "erasing"), 0.0),
    **dict.fromkeys(("grid_dropout", "gray", "clahe", "sharpen", "blur"), 0.0),
    "randaugment": 0,
}
_GEOMETRY, _COLOUR = ("geometry", "shift", "scale", "rotate_deg"), ("colour", "brightness", "contrast")
# What transforms.preset stands for; `faces` is what worked in the contest, where the colour of a mask is a signal.
PRESETS: dict[str, dict[str, Any]] = {
    "none": _OFF,
    "light": _OFF
    | {"hflip": 0.5}
    | dict(zip(_GEOMETRY, (0.5, 0.05, 0.1, 10.0), strict=True))
    | dict(zip(_COLOUR, (0.5, 0.2, 0.2), strict=True)),
    "medium": _OFF
    | {"hflip": 0.5, "saturation": 0.15, "zoom": 0.3, "zoom_share": 0.85}
    | dict(zip(_GEOMETRY, (0.7, 0.08, 0.15, 15.0), strict=True))
    | dict(zip(_COLOUR, (0.7, 0.25, 0.25), strict=True))
    | {"erasing": 0.25, "erasing_boxes": 1, "erasing_area": [0.02, 0.15]},
    "strong": _OFF
    | {"hflip": 0.5, "saturation": 0.25, "hue": 0.02, "zoom": 0.5, "zoom_share": 0.75}
    | dict(zip(_GEOMETRY, (0.8, 0.1, 0.2, 20.0), strict=True))
    | dict(zip(_COLOUR, (0.8, 0.2, 0.25), strict=True))
    | {"erasing": 0.5, "erasing_boxes": 3, "erasing_area": [0.05, 0.3]}
    | {"randaugment": 1, "randaugment_magnitude": 4.0},
    "faces": _OFF
    | {"hflip": 0.5}
    | dict(zip(_GEOMETRY, (0.5, 0.05, 0.1, 8.0), strict=True))
    | dict(zip(_COLOUR, (0.5, 0.1, 0.1), strict=True))
    | {"cutout": 0.5, "cutout_size": 0.4, "erasing": 0.25, "erasing_boxes": 1, "erasing_area": [0.02, 0.1]},
}


class TransformsConfig(Section):
    """What enters the network. crop: the shares of height and width that are kept before resizing to `size`;
    crop_centre: where their middle lies, as shares of the photo.
    The rest is drawn in training only: shift and scale are shares, rotate degrees, hue a share of the colour circle;
    zoom crops to zoom_share or more of each side; cutout_size is a share of each side; erasing hides erasing_area
    (least and most) of the image in up to erasing_boxes boxes; grid_unit is the distance of the squares as a share of
    the shorter side, grid_ratio their side as a share of that; gray, clahe, sharpen, blur are probabilities;
    randaugment is a number of operations.
    preset: a name for all of that, none, light, medium, strong or faces; settings given beside it win over it. It is
    written out when it is read: a resolved configuration holds the numbers."""

    preset: Literal["none", "light", "medium", "strong", "faces"] | None = Field(default=None, exclude=True)
    crop: tuple[Kept, Kept] = (1.0, 1.0)
    crop_centre: tuple[Share, Share] = (0.5, 0.5)
    size: tuple[Pixels, Pixels] = (128, 96)
    hflip: Share = 0.5
    geometry: Share = 0.5
    shift: Annotated[float, Field(ge=0, lt=1)] = 0.05
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.1
    rotate_deg: Annotated[float, Field(ge=0, le=180)] = 10.0
    zoom: Share = 0.0
    zoom_share: Kept = 0.8
    colour: Share = 0.5
    brightness: Annotated[float, Field(ge=0, lt=1)] = 0.2
    contrast: Annotated[float, Field(ge=0, lt=1)] = 0.2
    saturation: Annotated[float, Field(ge=0, lt=1)] = 0.0
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    randaugment: Annotated[int, Field(ge=0, le=3)] = 0
    randaugment_magnitude: Annotated[float, Field(ge=0, le=10)] = 5.0
    cutout: Share = 0.0
    cutout_size: Annotated[float, Field(gt=0, lt=1)] = 0.3
    erasing: Share = 0.0
    erasing_boxes: Annotated[int, Field(ge=1, le=8)] = 1
    erasing_area: tuple[Kept, Kept] = (0.02, 0.2)
    erasing_fill: Literal["mean", "noise"] = "mean"
    grid_dropout: Share = 0.0
    grid_unit: Kept = 0.25
    grid_ratio: Annotated[float, Field(gt=0, lt=1)] = 0.5
    gray: Share = 0.0
    clahe: Share = 0.0
    sharpen: Share = 0.0
    blur: Share = 0.0
    mean: tuple[Share, Share, Share] = (0.485, 0.456, 0.406)
    std: tuple[Positive, Positive, Positive] = (0.229, 0.224, 0.225)

    @model_validator(mode="before")
    @classmethod
    def _write_out_preset(cls, data: Any) -> Any:
        """Replace a preset by its numbers where none are given; raises when it would change nothing."""
        if not isinstance(data, dict):
            return data
        name, filled = data.get("preset"), data
        if isinstance(name, str) and name in PRESETS:
            if PRESETS[name].keys() <= data.keys():
                raise ValueError(f"fewer settings beside preset={name}, as it sets only what is not given")
            filled = PRESETS[name] | data | {"preset": None}
        # Strict validation takes a list for a tuple from JSON alone, and what a function returns is not JSON.
        return {key: tuple(value) if isinstance(value, list) else value for key, value in filled.items()}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.erasing_area[0] > self.erasing_area[1]:
            raise ValueError("transforms.erasing_area with the least share first")
        return self


class LossConfig(Section):
    """What the heads lower, each the mean over a step's images, as a sum of terms such as `0.5*focal(gamma=2)+0.5*f1`.
    all: every head; a task's name, or joint: that head. Terms: ce, smooth(epsilon), focal(gamma), f1, bce, la(tau);
    ce, smooth and focal take weights=none, inverse or effective(beta)."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Loss] = Field(init=False)

    all: Loss = "ce"

    def terms(self, head: str) -> tuple[Term, ...]:
        """Return the terms of a head's loss."""
        return parse_loss(self.own.get(head, self.all))

    @property
    def own(self) -> dict[str, str]:
        """The losses that are set for one head."""
        return dict(self.__pydantic_extra__ or {})


class BalanceConfig(Section):
    """What the tasks' losses count against each other. weights: by task, 1 where none is given; learned: a variance a
    task, learned with the network."""

    weights: dict[TaskName, Positive] = {}
    learned: bool = False


class AgeConfig(Section):
    """How the task with bins is learned; it is always scored on its own classes. head: bands = a softmax over the
    classes, fine = over `fine_bins`, summed, ordinal = a threshold a boundary, normal = mean and variance of the years;
    train_bins: other boundaries in training; drop: ages whose rows do not train; spread: years by which a label is
    blurred; given: a task on whose class the answer depends."""

    head: Literal["bands", "fine", "ordinal", "normal"] = "bands"
    train_bins: Bins | None = None
    fine_bins: Bins | None = None
    drop: tuple[Annotated[int, Field(ge=0, le=32767)], ...] = ()
    spread: Positive | None = None
    given: TaskName | None = None


class SamplerConfig(Section):
    """Which rows an epoch draws. draw: shuffle = each once, weighted = with replacement, by the rarity of their group,
    oversample = each, rare ones more often; by: the group, joint, person or a task; power: 1 = all groups alike, 0.5 =
    the square root; one_per_person: of a person's photos with the same labels one at a time; epoch_fraction: share of
    the rows that make an epoch."""

    draw: Literal["shuffle", "weighted", "oversample"] = "shuffle"
    by: Annotated[str, Field(min_length=1)] = "joint"
    power: Share = 1.0
    one_per_person: bool = False
    epoch_fraction: Kept = 1.0


class MixConfig(Section):
    """Two images made one, with their labels. kind: cutmix = a box, halves = the left or right part, mixup = a blend;
    prob: share of the images; alpha: of the Beta distribution of shares; ratio: where halves are cut; partner: any, the
    same or another joint class; partner_classes: by task, the classes partners are taken from."""

    kind: Literal["none", "cutmix", "halves", "mixup"] = "none"
    prob: Share = 0.5
    alpha: Positive = 1.0
    ratio: tuple[Inside, Inside] = (0.46, 0.54)
    partner: Literal["any", "same", "other"] = "any"
    partner_classes: dict[TaskName, tuple[str, ...]] = {}


class OptimConfig(Section):
    """The optimizer. name: adamw, or any of timm's that a plain step can drive; weight decay spares norms and biases;
    betas, momentum: null = its own; head_lr_scale: the heads' learning rate over the trunk's, for fresh heads on a
    trunk that was trained before; layer_decay: the rate of a layer of the trunk over that of the one above it;
    freeze_layers: of the trunk, from its input on, never trained; freeze_epochs: in which only the heads are."""

    name: Annotated[str, Field(min_length=1)] = "adamw"
    lr: Positive = 3e-4
    head_lr_scale: Positive = 1.0
    layer_decay: Kept = 1.0
    freeze_layers: Annotated[int, Field(ge=0, le=10_000)] = 0
    freeze_epochs: Annotated[int, Field(ge=0, le=999_999)] = 0
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    betas: Annotated[tuple[Below, ...], Field(min_length=1, max_length=3)] | None = None
    momentum: Below | None = None
    clip_norm: Positive | None = 5.0


class ScheduleConfig(Section):
    """The learning rate over the steps; every kind warms up first. cosine, linear: down to optim.lr * end_share;
    onecycle: up from start_share in the warm-up, and down; step: times gamma every `every_epochs`; wsd: down over the
    last decay_share; cosine_restarts: cycles; plateau: times gamma after `patience` epochs without a better score."""

    kind: Literal["cosine", "linear", "step", "constant", "onecycle", "wsd", "cosine_restarts", "plateau"] = "cosine"
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.5
    end_share: Share = 0.01
    start_share: Share = 0.04
    every_epochs: Positive = 2.0
    gamma: Inside = 0.3
    cycles: Annotated[int, Field(ge=1, le=1000)] = 2
    decay_share: Kept = 0.3
    patience: Annotated[int, Field(ge=0, le=1_000_000)] = 2


class AverageConfig(Section):
    """The average of the weights that is judged and saved. ema: moving, its decay warms up with the step as
    1 - step ** -power, at most `decay`; swa: equal over all steps after the share `start` of the training. soup: in the
    end the judged networks of so many of the best epochs are averaged, and kept where that scores higher."""

    kind: Literal["ema", "swa", "none"] = "ema"
    decay: Inside = 0.998
    power: Kept = 0.75
    start: Annotated[float, Field(ge=0, lt=1)] = 0.5
    soup: Annotated[int, Field(ge=1, le=100)] = 1


class TrainConfig(Section):
    """The loop. batch_size: images per optimizer step over all processes; accumulate: pieces each process computes
    its share in, auto = as few as fit into memory (they change memory and the last bits; with BatchNorm also what is
    learnt, as each piece is normalised by its own statistics); patience: epochs without a better score before stopping;
    stages: of smaller images at first, each as [epochs, share of both sides]; seeds: networks of each kind, from `seed`
    on; their probabilities are averaged; refit: one more network on all rows, for the median of the folds' best epochs;
    continue_epochs: on from each fold's best weights, after they were judged, with the fold's own rows too, or with
    them alone (continue_rows), at continue_lr_share of optim.lr; fold_jobs: folds trained side by side, auto = where
    that is faster."""

    epochs: Count = 6
    batch_size: Count = 64
    accumulate: Auto | Count = "auto"
    patience: Count | None = None
    stages: tuple[Stage, ...] = ()
    seeds: Annotated[int, Field(ge=1, le=100)] = 1
    refit: bool = False
    continue_epochs: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    continue_rows: Literal["all", "valid"] = "all"
    continue_lr_share: Kept = 0.1
    fold_jobs: Auto | Annotated[int, Field(ge=1, le=64)] = "auto"


class PredictConfig(Section):
    """Inference, for validation, OOF and test alike. views: the test-time augmentation by name, or single views such as
    plain+flip+up; batch_size: images of one forward pass, all views of a photo counted; networks: who predicts new
    photos, the folds', those that went on from them, the refit one, or the folds' and the refit one; groups: look =
    photos that look like one person's answer together in what never varies within a person, out of fold as well."""

    views: Views = "hflip"
    networks: Literal["folds", "continued", "refit", "all"] = "folds"
    groups: Literal["none", "look"] = "none"
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
    loss: LossConfig = LossConfig()
    balance: BalanceConfig = BalanceConfig()
    age: AgeConfig = AgeConfig()
    sampler: SamplerConfig = SamplerConfig()
    mix: MixConfig = MixConfig()
    optim: OptimConfig = OptimConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    average: AverageConfig = AverageConfig()
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
        if self.data.leaky and self.data.pseudo is None:
            yield "data.pseudo with data.leaky=true"
        if sum(epochs for epochs, _ in self.train.stages) > self.train.epochs:
            yield f"train.stages of at most train.epochs ({self.train.epochs}) epochs together"
        own = (self.train.continue_rows, self.train.continue_lr_share)
        usual = tuple(TrainConfig.model_fields[name].default for name in ("continue_rows", "continue_lr_share"))
        if own != usual and not self.train.continue_epochs:
            yield "train.continue_epochs above 0 with train.continue_rows or train.continue_lr_share"
        if self.predict.networks == "continued" and not self.train.continue_epochs:
            yield "train.continue_epochs above 0 with predict.networks=continued"
        if self.predict.networks in ("refit", "all") and not self.train.refit:
            yield f"train.refit=true with predict.networks={self.predict.networks}"
        if self.train.refit and self.schedule.kind == "plateau":
            yield "another schedule.kind than plateau with train.refit, as nobody judges a network of all rows"
        if self.schedule.warmup_epochs > self.train.epochs:
            yield f"schedule.warmup_epochs ({self.schedule.warmup_epochs}) within train.epochs ({self.train.epochs})"
        if self.optim.freeze_epochs >= self.train.epochs:
            yield f"optim.freeze_epochs ({self.optim.freeze_epochs}) below train.epochs ({self.train.epochs})"
        if self.train.accumulate != "auto" and self.train.accumulate > self.train.batch_size:
            yield f"train.accumulate ({self.train.accumulate}) within train.batch_size ({self.train.batch_size})"
        view = self.transforms
        if self.device.augment == "device" and any((view.gray, view.clahe, view.sharpen, view.blur, view.randaugment)):
            alone = "gray, clahe, sharpen, blur and randaugment"
            yield f"device.augment=host or auto, as transforms.{alone} run on the host alone"
        if set(self.folds.stratify or ()) - set(names):
            yield f"folds.stratify with names of tasks only ({', '.join(names)})"
        if set(self.separate) - set(names):
            yield f"separate with names of tasks only ({', '.join(names)})"
        if self.separate and self.model.heads != "separate":
            yield "model.heads=separate, because separate is set"
        yield from self._loss_contradictions()
        yield from self._row_contradictions()
        if self.age != AgeConfig():
            yield from self._age_contradictions()

    @property
    def head_names(self) -> tuple[str, ...]:
        """Names of the heads: the tasks', or that of the joint one."""
        return ("joint",) if self.model.heads == "joint" else tuple(task.name for task in self.tasks)

    @property
    def binned(self) -> TaskConfig | None:
        """The one task with bins, which the section `age` is about; None when there is none, or several."""
        found = [task for task in self.tasks if task.bins]
        return found[0] if len(found) == 1 else None

    @property
    def scored_by_step(self) -> bool:
        """Whether a loss is a score of a whole step, which no sum over its images gives."""
        return any(not term.is_sum_over_rows for head in self.head_names for term in self.loss.terms(head))

    def _loss_contradictions(self) -> Iterator[str]:
        heads = self.head_names
        if strange := sorted(set(self.loss.own) - set(heads)):
            yield f"loss with all, or names of heads ({', '.join(heads)}), not {', '.join(strange)}"
        if self.scored_by_step and self.train.accumulate not in ("auto", 1):
            yield "train.accumulate=1 with the f1 loss, as the score of a step is not the mean of its pieces'"
        if strange := sorted(set(self.balance.weights) - set(heads)):
            yield f"balance.weights with names of heads only ({', '.join(heads)}), not {', '.join(strange)}"
        if self.balance != BalanceConfig() and (len(heads) == 1 or self.model.heads == "separate"):
            yield "balance only with several heads on one trunk (model.heads=multi)"
        if self.balance.learned and self.balance.weights:
            yield "either balance.weights or balance.learned"
        if self.model.drop_samples > 1 and self.model.drop == 0:
            yield "model.drop above 0 with model.drop_samples"

    def _row_contradictions(self) -> Iterator[str]:
        names = [task.name for task in self.tasks]
        if self.sampler.by not in ("joint", "person", *names):
            yield f"sampler.by = joint, person or a task ({', '.join(names)}), not {self.sampler.by}"
        elif self.sampler.by in names and self.model.heads == "separate":
            yield "sampler.by = joint (which is a network's own task) or person with model.heads=separate"
        if self.mix.ratio[0] > self.mix.ratio[1]:
            yield "mix.ratio from the smaller to the larger"
        if self.mix.kind != "none" and self.mix.partner != "same" and self.scored_by_step:
            yield "mix.kind=none or mix.partner=same with the f1 loss: the F1 of half a label means nothing"
        if self.mix.partner_classes and self.model.heads == "separate":
            yield "mix.partner_classes below separate.TASK.mix with model.heads=separate"
        if self.mix.kind == "none" and self.mix.partner_classes:
            yield "mix.kind=cutmix, halves or mixup, because mix.partner_classes is set"
        for name, classes in self.mix.partner_classes.items():
            known = self.space.task(name).classes if name in names else ()
            if not known:
                yield f"mix.partner_classes with names of tasks ({', '.join(names)}), not {name}"
            elif not classes or set(classes) - set(known):
                yield f"mix.partner_classes.{name} with classes of it ({', '.join(known)})"
        adjusted = any(term.kind == "la" for head in self.head_names for term in self.loss.terms(head))
        if adjusted and self.sampler.draw != "shuffle":
            yield "sampler.draw=shuffle with the la loss, as both make up for rare classes"

    def _age_contradictions(self) -> Iterator[str]:
        task, age = self.binned, self.age
        if task is None:
            yield "exactly one task with bins, because age is set"
            return
        plain = age.head == "bands" and age.given is None
        if not plain and self.model.heads == "joint":
            yield "model.heads=multi or separate with age.head or age.given"
        if (age.head == "fine") > (age.fine_bins is not None):
            yield "age.fine_bins with age.head=fine"
        if age.fine_bins is not None:
            if age.head not in ("fine", "ordinal"):
                yield "age.head=fine or ordinal with age.fine_bins"
            if list(age.fine_bins) != sorted(set(age.fine_bins)) or not set(age.fine_bins) > set(task.bins):
                yield f"age.fine_bins that ascend and hold {', '.join(map(str, task.bins))} and more"
        if age.train_bins is not None:
            if age.fine_bins is not None or age.head == "normal":
                yield "age.train_bins only with age.head=bands, or ordinal without age.fine_bins"
            if list(age.train_bins) != sorted(set(age.train_bins)) or len(age.train_bins) != len(task.bins):
                yield f"age.train_bins that ascend, {len(task.bins)} of them"
        speaking = [head for head in self.head_names if head in ("joint", task.name)]
        scored = any(term.kind == "f1" for head in speaking for term in self.loss.terms(head))
        if scored and age.spread is not None:
            yield "no age.spread with the f1 loss: the F1 of half a label means nothing"
        if scored and age.train_bins is not None and self.mix.kind != "none":
            yield "no age.train_bins with the f1 loss and mixing: partners of the same age band would get half labels"
        if age.spread is not None and age.head == "normal":
            yield "age.spread without age.head=normal, which learns its own"
        if age.head in ("ordinal", "normal") and task.name in self.loss.own:
            yield f"no loss.{task.name} with age.head={age.head}, which has a loss of its own"
        if age.given is not None and (age.given == task.name or age.given not in self.head_names):
            yield f"age.given with the name of another task than {task.name}"
        if age.given is not None and self.model.heads == "separate":
            yield "model.heads=multi with age.given"

    @property
    def space(self) -> LabelSpace:
        """The label space of the tasks."""
        return LabelSpace(tuple(Task(t.name, t.classes, t.bins) for t in self.tasks))
