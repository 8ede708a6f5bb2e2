"""Where a training is logged besides its run folder."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator

from maskcls.schema.section import Section, Text

TrackerName = Literal["tensorboard", "wandb", "mlflow", "csv"]


def _split(value: object) -> object:
    """Read names joined by commas, as they are written on the command line; a list may be given too."""
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(","))
    return tuple(value) if isinstance(value, list) else value  # the strict type takes no list


def _once_each(names: tuple[TrackerName, ...]) -> tuple[TrackerName, ...]:
    if len(set(names)) < len(names):
        raise ValueError("every tracker once")
    return names


Trackers = Annotated[tuple[TrackerName, ...], BeforeValidator(_split), AfterValidator(_once_each)]


class TrackingConfig(Section):
    """How trackers (track) name a training, and where MLflow stores it."""

    project: Text = "maskcls"
    """Project of wandb, experiment of MLflow."""
    name: Text | None = None
    """Name of the run in wandb and MLflow. Null: the name of the run folder."""
    mlflow: Text | None = None
    """Store of MLflow, such as `sqlite:////home/me/mlflow.db` or `http://localhost:5000`. Null: a database in the run
    folder."""
