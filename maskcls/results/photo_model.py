"""`PhotoModel`: what predicts photos that are in memory, whichever library computes it.

N photos, J joint classes, H height, W width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from maskcls.errors import DataError
from maskcls.labels import Floats, Ints, LabelSpace

Photo = NDArray[np.uint8]


class Prepared(Protocol):
    """What a model needs of a photo: the photo, or something smaller that only this model understands."""

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""


class PhotoModel(Protocol):
    """All networks and views of a run, from decoded photos to joint probabilities.

    `maskcls.training.predicting.run_model` computes it with torch, `maskcls.export.onnx_model` with onnxruntime.
    One thread at a time may call `predict`.
    """

    @property
    def space(self) -> LabelSpace:
        """Tasks and classes; the columns of `predict` are its joint classes."""

    @property
    def decode_size(self) -> tuple[int, int]:
        """Smallest (height, width) in pixels for decoding a photo: `at_least` of `images.decode`."""

    @property
    def origin(self) -> Mapping[str, Any]:
        """Plain JSON data: which run, which weights (`sha256`), which views."""

    def prepare(self, photo: Photo) -> Any:
        """Return what `predict` needs of a decoded photo, a `Prepared`; called by any thread."""

    def predict(self, photos: Sequence[Any]) -> Floats:
        """Return joint probabilities (N, J) float32; rows sum to 1. No averaging within groups.

        photos  what `prepare` returned, or uint8 (H, W, 3) RGB, upright, of any sizes; N >= 1.

        Raises DataError for an array of another shape or dtype.
        """

    def decide(self, prob_NJ: Floats) -> Ints:
        """Return the joint class (N,) int64 of each row: by the decision rule if there is one, else the most probable.

        Raises UsageError for a rule that is fitted on all photos together.
        """


def check_photo(photo: Photo, name: str) -> None:
    """Raise DataError unless this is a photo as `PhotoModel.predict` takes it."""
    if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or 0 in photo.shape:
        got = f"{photo.dtype} of shape {photo.shape}"
        raise DataError("not a photo", where=name, got=got, expected="uint8 of shape (height, width, 3), RGB")
