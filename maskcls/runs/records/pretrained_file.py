"""The file beside a pretrained trunk: which people's photos it has seen, without labels, and how it was made."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from maskcls import files, typedjson
from maskcls.backbone import Backbone, OptionValue
from maskcls.errors import ResultError
from maskcls.rundir import PretrainedTrunk
from maskcls.typedjson import JsonFile

KIND = "pretraining"


class PretrainedFile(JsonFile):
    """What is known about a pretrained trunk.

    file, sha256     of the trunk.
    options          of the backbone, see model.options; files of earlier versions have none.
    people           whose photos were seen without their labels, of the labelled ones; eval_photos: to predict.
    labelled_people  whom the weights it started from were trained on with labels.
    without_fold     the fold whose validation people were left out; None: nobody was.
    start            sha256 of the weights it started from, or `random`, or `hub`.
    photos_sha256    of ids and paths.
    loss, spread     mean of every epoch; see maskcls/nn/simsiam.py.
    collapsed        the embeddings became one direction.
    """

    kind: str
    file: str
    sha256: str
    maskcls: str
    backbone: str
    options: dict[str, OptionValue] = Field(default={})
    size: tuple[int, int]
    people: tuple[str, ...]
    eval_photos: int
    labelled_people: tuple[str, ...]
    without_fold: int | None
    start: str
    photos_sha256: str
    photos: int
    epochs: int
    batch: int
    lr: float
    seed: int
    loss: tuple[float, ...]
    spread: tuple[float, ...]
    collapsed: bool

    @property
    def trunk(self) -> Backbone:
        """What the trunk is to be built from."""
        return Backbone(self.backbone, self.options)


def read_pretrained(weights: Path) -> PretrainedFile | None:
    """Return what is known about a file of weights as a pretrained trunk; None where it is none of these bytes.

    Raises ResultError for a file beside it that is damaged.
    """
    about = PretrainedTrunk(weights).about
    if not about.exists():
        return None
    try:
        data = files.read_json(about)
    except ResultError:
        return None  # another program's
    if not isinstance(data, dict) or data.get("kind") != KIND:
        return None
    found = typedjson.parse(files.without_digest(data, about, required=True), PretrainedFile, about)
    return found if found.sha256 == files.file_sha256(weights) else None
