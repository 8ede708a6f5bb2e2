"""A model of photos without a network: the joint class is a tenth of the photo's first value."""

from __future__ import annotations

import io
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from maskcls.labels import CONTEST, Floats, Ints, LabelSpace
from maskcls.results.photo_model import Photo

SURE = 0.83  # probability of that class; the others share the rest: 0.01 each


class FakePhotoModel:
    """Predicts at once, or when `go` is set; raises `error` if there is one. batches: their sizes so far."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.go = threading.Event()
        self.go.set()
        self.busy = threading.Event()
        self.error: Exception | None = None

    @property
    def space(self) -> LabelSpace:
        return CONTEST

    @property
    def decode_size(self) -> tuple[int, int]:
        return 16, 16

    @property
    def origin(self) -> Mapping[str, Any]:
        return {"run": "fake", "weights": [{"sha256": "0" * 64}]}

    def prepare(self, photo: Photo) -> Photo:
        return photo

    def predict(self, photos: Sequence[Photo]) -> Floats:
        self.batches.append(len(photos))
        self.busy.set()
        assert self.go.wait(20), "nobody let the model go on"
        if self.error is not None:
            raise self.error
        prob_NJ = np.full((len(photos), CONTEST.size), 0.01, np.float32)
        for row, photo in enumerate(photos):
            prob_NJ[row, class_of(photo)] = SURE
        return prob_NJ

    def decide(self, prob_NJ: Floats) -> Ints:
        return prob_NJ.argmax(axis=1).astype(np.int64)


def class_of(photo: Photo) -> int:
    """Return the joint class that the model sees."""
    return min(int(photo[0, 0, 0]) // 10, CONTEST.size - 1)


def grey(joint: int, *, side: int = 32) -> Photo:
    """Return a decoded photo of which the model says this joint class."""
    return np.full((side, side, 3), 10 * joint + 5, np.uint8)


def png(joint: int, *, side: int = 32) -> bytes:
    """Return the same photo as the bytes of a PNG."""
    out = io.BytesIO()
    Image.fromarray(grey(joint, side=side)).save(out, "PNG")
    return out.getvalue()
