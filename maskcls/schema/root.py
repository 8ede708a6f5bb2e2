"""The whole configuration of one experiment: all its sections."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from maskcls.labels import CONTEST, LabelSpace, Task
from maskcls.schema.contradictions import contradictions
from maskcls.schema.data import DataConfig, FoldsConfig, SamplerConfig
from maskcls.schema.device import DeviceConfig
from maskcls.schema.loss import BalanceConfig, LossConfig
from maskcls.schema.model import HeadsConfig, ModelConfig
from maskcls.schema.optim import AverageConfig, OptimConfig, ScheduleConfig
from maskcls.schema.predict import PredictConfig
from maskcls.schema.section import Section, Seed
from maskcls.schema.synth import SynthConfig
from maskcls.schema.tasks import AgeConfig, TaskConfig
from maskcls.schema.track import Trackers, TrackingConfig
from maskcls.schema.train import TrainConfig
from maskcls.schema.transforms import MixConfig, TransformsConfig


class Config(Section):
    """The whole configuration of one experiment. The description of a section is that of its class."""

    seed: Seed = 0
    """Seed of everything random in a training, except the folds (folds.seed)."""
    tasks: Annotated[tuple[TaskConfig, ...], Field(min_length=1)] = tuple(
        TaskConfig(name=t.name, classes=t.classes, bins=t.bins) for t in CONTEST.tasks
    )
    """The tasks: a list of entries with name, classes and bins."""
    track: Trackers = ()
    """Trackers that also get what a training logs: tensorboard, wandb, mlflow or csv, several joined by commas. They
    work without a network, in the folder tracking of the run; wandb and MLflow use one if you ask for it (WANDB_MODE,
    tracking.mlflow). If a tracker fails, there is a warning, and training continues without it."""
    data: DataConfig = DataConfig()
    folds: FoldsConfig = FoldsConfig()
    model: ModelConfig = ModelConfig()
    heads: HeadsConfig = HeadsConfig()
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
    synth: SynthConfig = SynthConfig()
    device: DeviceConfig = DeviceConfig()
    tracking: TrackingConfig = TrackingConfig()
    separate: dict[str, dict[str, Any]] = Field(default={})
    """Settings for the network of one task, with model.heads=separate, for example `{age: {model.backbone: resnet34,
    optim.lr: 1e-4}}`."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if found := list(contradictions(self)):
            raise ValueError(found)
        return self

    @property
    def head_names(self) -> tuple[str, ...]:
        """Names of the heads: the tasks' names, or `joint`."""
        return ("joint",) if self.model.heads == "joint" else tuple(task.name for task in self.tasks)

    @property
    def binned(self) -> TaskConfig | None:
        """The one task with bins, which the section `age` is about; None if no task or several tasks have bins."""
        found = [task for task in self.tasks if task.bins]
        return found[0] if len(found) == 1 else None

    @property
    def scored_by_step(self) -> bool:
        """Whether a loss is a score of a whole step, which is not a sum over its images."""
        return any(not term.is_sum_over_rows for head in self.head_names for term in self.loss.terms(head))

    @property
    def space(self) -> LabelSpace:
        """The label space of the tasks."""
        return LabelSpace(tuple(Task(t.name, t.classes, t.bins) for t in self.tasks))
