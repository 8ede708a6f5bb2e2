"""Photos of all requests, gathered into batches for the one thread that computes the model."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from maskcls.labels import Floats
from maskcls.results.photo_model import PhotoModel, Prepared
from maskcls.serve.limits import DECODED_BYTES, ServerLimits

LOG = logging.getLogger("maskcls.serve")
SPEED_SHARE = 0.2  # of the newest batch in the average time per photo
WARM_UP_PX = 64


class ModelFailedError(Exception):
    """The model raised an error, which the log has, for the batch that this photo was in."""


@dataclass(frozen=True, eq=False)
class PredictedRow:
    """What the model says of one photo: joint probabilities (J,), and the index of its joint class."""

    prob_J: Floats
    joint: int


class Batcher:
    """Gathers photos, and gives each its own row of the model's answer.

    `start` and `stop` belong to the running event loop. The model is called by one thread, never by two at a time.
    """

    def __init__(self, model: PhotoModel, limits: ServerLimits, observe: Callable[[int, float], None]) -> None:
        """Take a model, and what is called with the size and the seconds of each batch."""
        self.model, self.limits, self.observe = model, limits, observe
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self.waiting: asyncio.Queue[tuple[Prepared, asyncio.Future[PredictedRow]]] = asyncio.Queue()
        self.has_room = asyncio.Event()
        self.has_room.set()
        self.decoded_bytes = 0
        self.seconds_per_photo = 0.0
        self.warm = False
        self.task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to compute: first a grey photo, so that the first request does not wait for what is made once."""
        self.task = asyncio.get_running_loop().create_task(self._run())

    @property
    def failure(self) -> BaseException | None:
        """The error that ended the work, such as that of the first photo; None while it goes on or was stopped."""
        ended = self.task is not None and self.task.done() and not self.task.cancelled()
        return self.task.exception() if ended and self.task is not None else None

    async def stop(self) -> None:
        """End; photos that still wait are not predicted."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait([self.task])
        self.thread.shutdown()

    async def predict(self, photo: Prepared) -> PredictedRow:
        """Return the row of one decoded photo; ModelFailedError if the model fails."""
        row: asyncio.Future[PredictedRow] = asyncio.get_running_loop().create_future()
        self._hold(photo.nbytes)
        self.waiting.put_nowait((photo, row))
        try:
            return await row
        finally:
            self._hold(-photo.nbytes)

    def _hold(self, size: int) -> None:
        """Count bytes of decoded photos; `has_room` says whether more may be decoded."""
        self.decoded_bytes += size
        if self.decoded_bytes < DECODED_BYTES:
            self.has_room.set()
        else:
            self.has_room.clear()

    async def _run(self) -> None:
        grey = np.full((WARM_UP_PX, WARM_UP_PX, 3), 128, np.uint8)
        await asyncio.get_running_loop().run_in_executor(self.thread, _rows, self.model, [self.model.prepare(grey)])
        self.warm = True
        while True:
            batch = [one for one in await self._gather() if not one[1].done()]  # done: the client is gone
            if not batch:
                continue
            started = time.monotonic()
            photos = [photo for photo, _ in batch]
            work = asyncio.get_running_loop().run_in_executor(self.thread, _rows, self.model, photos)
            await asyncio.wait([work])
            self._deliver(work, [row for _, row in batch])
            self._measure(len(batch), time.monotonic() - started)

    async def _gather(self) -> list[tuple[Prepared, asyncio.Future[PredictedRow]]]:
        """Wait for a photo; return it with those that come within `wait_ms`, at most `batch` of them."""
        batch = [await self.waiting.get()]
        ends = time.monotonic() + self.limits.wait_ms / 1000
        while len(batch) < self.limits.batch:
            if self.waiting.empty():
                try:
                    async with asyncio.timeout(max(0.0, ends - time.monotonic())):
                        batch.append(await self.waiting.get())
                except TimeoutError:
                    break
            else:
                batch.append(self.waiting.get_nowait())
        return batch

    def _deliver(self, work: asyncio.Future[list[PredictedRow]], rows: list[asyncio.Future[PredictedRow]]) -> None:
        """Pass each photo its row, or all of them that the model failed; a client may be gone."""
        error = work.exception()
        if error is not None:  # once per batch: one line per request would fill the log
            LOG.error("the model failed on a batch of %d photos", len(rows), exc_info=error)
        for place, row in enumerate(rows):
            if row.done():
                continue
            if error is not None:
                row.set_exception(ModelFailedError())
            else:
                row.set_result(work.result()[place])

    def _measure(self, photos: int, seconds: float) -> None:
        self.observe(photos, seconds)
        share = SPEED_SHARE if self.seconds_per_photo else 1.0
        self.seconds_per_photo += share * (seconds / photos - self.seconds_per_photo)


def _rows(model: PhotoModel, photos: list[Prepared]) -> list[PredictedRow]:
    prob_NJ = model.predict(photos)
    joint_N = model.decide(prob_NJ)
    return [PredictedRow(prob_J, int(joint)) for prob_J, joint in zip(prob_NJ, joint_N, strict=True)]
