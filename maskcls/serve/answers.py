"""The answer to a request with photos, as JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from maskcls.labels import LabelSpace
from maskcls.results.photo_model import PhotoModel
from maskcls.serve.batching import PredictedRow

DIGITS = 6  # of a probability


class TaskAnswer(BaseModel):
    """One task of a photo. name: the class of the joint class, `class` in JSON; probabilities: by class, sum 1."""

    model_config = ConfigDict(serialize_by_alias=True)

    name: str = Field(serialization_alias="class")
    probabilities: dict[str, float]


class JointAnswer(BaseModel):
    """The joint class of a photo: its name (`class` in JSON), index, and probability."""

    model_config = ConfigDict(serialize_by_alias=True)

    name: str = Field(serialization_alias="class")
    index: int
    probability: float


class PhotoAnswer(BaseModel):
    """One photo, in the order of the request: `error`, or `joint` and `tasks`."""

    name: str
    error: str | None = None
    joint: JointAnswer | None = None
    tasks: dict[str, TaskAnswer] | None = None


class PredictAnswer(BaseModel):
    """The answer to a request. model: hash of what predicted, see `model_hash`."""

    version: int = 1
    model: str
    photos: list[PhotoAnswer]


@dataclass(frozen=True)
class PhotoFault:
    """A photo that cannot be read, and why."""

    error: str


def predict_answer(
    names: Sequence[str], found: Sequence[PredictedRow | PhotoFault], space: LabelSpace, model: str
) -> PredictAnswer:
    """Return the answer to a request; `names` and `found` have one entry per photo."""
    photos = [_photo(name, one, space) for name, one in zip(names, found, strict=True)]
    return PredictAnswer(model=model, photos=photos)


def _photo(name: str, found: PredictedRow | PhotoFault, space: LabelSpace) -> PhotoAnswer:
    if isinstance(found, PhotoFault):
        return PhotoAnswer(name=name, error=found.error)
    joint = JointAnswer(
        name=space.joint_names[found.joint], index=found.joint, probability=_rounded(found.prob_J[found.joint])
    )
    chosen = space.decode(np.array([found.joint]))
    tasks = {}
    for task_name, prob_NC in space.marginals(found.prob_J[None]).items():
        classes = space.task(task_name).classes
        probabilities = dict(zip(classes, map(_rounded, prob_NC[0]), strict=True))
        tasks[task_name] = TaskAnswer(name=classes[int(chosen[task_name][0])], probabilities=probabilities)
    return PhotoAnswer(name=name, joint=joint, tasks=tasks)


def _rounded(value: np.float32) -> float:
    return round(float(value), DIGITS)


def model_hash(model: PhotoModel, *, decide: bool) -> str:
    """Return 16 hexadecimal digits that change with the weights, views, networks and classes, and with the rule.

    How this machine computes the model, `execution` of its origin, does not count.
    """
    origin = {name: value for name, value in model.origin.items() if name != "execution"}
    about = {"origin": origin, "space": model.space.to_json(), "decide": decide}
    return hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()[:16]
