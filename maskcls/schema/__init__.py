"""Every option of the configuration, with its description, default and range, and the rules between options.

One file per section of the configuration; small sections share one. `config` resolves it from files and the command
line.
"""

from maskcls.schema.data import DataConfig, FoldsConfig, SamplerConfig
from maskcls.schema.device import DeviceConfig
from maskcls.schema.loss import BalanceConfig, LossConfig
from maskcls.schema.model import HeadsConfig, ModelConfig
from maskcls.schema.optim import AverageConfig, OptimConfig, ScheduleConfig
from maskcls.schema.predict import PredictConfig
from maskcls.schema.root import Config
from maskcls.schema.section import Section
from maskcls.schema.synth import SynthConfig, SynthKind
from maskcls.schema.tasks import AgeConfig, TaskConfig
from maskcls.schema.track import TrackerName, TrackingConfig
from maskcls.schema.train import TrainConfig
from maskcls.schema.transforms import PRESETS, MixConfig, TransformsConfig

__all__ = [
    "PRESETS",
    "AgeConfig",
    "AverageConfig",
    "BalanceConfig",
    "Config",
    "DataConfig",
    "DeviceConfig",
    "FoldsConfig",
    "HeadsConfig",
    "LossConfig",
    "MixConfig",
    "ModelConfig",
    "OptimConfig",
    "PredictConfig",
    "SamplerConfig",
    "ScheduleConfig",
    "Section",
    "SynthConfig",
    "SynthKind",
    "TaskConfig",
    "TrackerName",
    "TrackingConfig",
    "TrainConfig",
    "TransformsConfig",
]
