"""From the bytes of a request to its answer: photos are admitted, decoded in threads, and predicted in batches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from maskcls.data.photos.images import decode
from maskcls.data.photos.pixel_budget import DECODING
from maskcls.errors import DataError
from maskcls.machine import cores
from maskcls.results.photo_model import PhotoModel, Prepared
from maskcls.serve.answers import PhotoFault, PredictAnswer, model_hash, predict_answer
from maskcls.serve.batching import Batcher, PredictedRow
from maskcls.serve.body import BodyMemory, read_body
from maskcls.serve.limits import ServerLimits
from maskcls.serve.metrics import ServerMetrics
from maskcls.serve.refusals import server_busy
from maskcls.serve.uploads import Upload, read_uploads

Result = TypeVar("Result")


class PhotoService:
    """Answers requests with photos. Belongs to one event loop; `start` and `stop` within it."""

    def __init__(self, model: PhotoModel, limits: ServerLimits, metrics: ServerMetrics, *, decide: bool) -> None:
        self.model, self.limits, self.metrics = model, limits, metrics
        self.hash = model_hash(model, decide=decide)
        self.batcher = Batcher(model, limits, metrics.batch)
        self.threads = max(1, cores())
        self.pool = ThreadPoolExecutor(self.threads, thread_name_prefix="decode")
        self.decoding = asyncio.Semaphore(self.threads)
        self.bodies = BodyMemory(limits)
        self.accepted = 0
        self.stopping = False
        metrics.watch(lambda: self.accepted, lambda: self.bodies.held)

    @property
    def ready(self) -> bool:
        """Whether requests are answered without delay: the model is warm, and the server does not stop."""
        return self.batcher.warm and not self.stopping

    @property
    def failure(self) -> BaseException | None:
        """Why nothing can be predicted any more; None as long as it can."""
        return self.batcher.failure

    def start(self) -> None:
        """Begin to work."""
        self.batcher.start()

    def begin_stop(self) -> None:
        """Say at /ready that the server stops; requests are still answered."""
        self.stopping = True

    async def stop(self) -> None:
        """End, after all requests are answered."""
        await self.batcher.stop()
        self.pool.shutdown()

    async def answer(self, request: Request) -> PredictAnswer:
        """Read a request, and return its answer, with an error for each photo that cannot be read.

        Raises RefusedRequestError as `read_body` and `read_uploads` do, and 503 if the queue is full; ClientDisconnect
        if the client is gone, whose photos leave the queue then.
        """
        with self.bodies.of_request() as take:
            body = await read_body(request, self.limits, take)
            self.metrics.body_bytes.inc(len(body))
            kind, most = request.headers.get("content-type", ""), self.limits.max_photos
            uploads = await asyncio.get_running_loop().run_in_executor(self.pool, read_uploads, kind, body, most)
            with self._admitted(len(uploads)):
                found = await unless_gone(request, asyncio.gather(*map(self._predict, uploads)))
        return predict_answer([one.name for one in uploads], found, self.model.space, self.hash)

    @contextmanager
    def _admitted(self, photos: int) -> Iterator[None]:
        """Count photos as accepted until they are predicted; RefusedRequestError (503) when the queue is full."""
        if self.accepted + photos > self.limits.queue:
            raise server_busy("the queue of photos is full", self.accepted * self.batcher.seconds_per_photo)
        self.accepted += photos
        try:
            yield
        finally:
            self.accepted -= photos

    async def _predict(self, upload: Upload) -> PredictedRow | PhotoFault:
        async with self.decoding:
            await self.batcher.has_room.wait()
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(self.pool, self._decode, upload.data)
        if isinstance(found, PhotoFault):
            self.metrics.photos.labels("unreadable").inc()
            return found
        row = await self.batcher.predict(found)
        self.metrics.photos.labels("predicted").inc()
        return row

    def _decode(self, data: bytes) -> Prepared | PhotoFault:
        started = time.monotonic()
        if not data:
            return PhotoFault("empty file (0 bytes)")
        try:
            with DECODING.kept():
                most = self.limits.max_pixels
                ready: Prepared = self.model.prepare(
                    decode(data, Path(), at_least=self.model.decode_size, max_pixels=most)
                )
                return ready
        except DataError as error:
            return PhotoFault(error.brief)
        finally:
            self.metrics.decode_seconds.observe(time.monotonic() - started)


async def unless_gone(request: Request, work: asyncio.Future[Result]) -> Result:
    """Return the result of the work; when the client closes the connection, cancel it and raise ClientDisconnect."""
    gone = asyncio.ensure_future(_closed(request))
    watched: set[asyncio.Future[Any]] = {work, gone}
    try:
        await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            work.cancel()
            raise ClientDisconnect
        return work.result()
    finally:
        gone.cancel()


async def _closed(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
