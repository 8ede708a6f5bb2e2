"""The model's thread: batches of the photos of all requests, and each photo's own row."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fake_photo_model import FakePhotoModel, grey

from maskcls.serve import batching
from maskcls.serve.batching import Batcher, ModelFailedError
from maskcls.serve.limits import ServerLimits

BATCH = 4


@asynccontextmanager
async def started(model: FakePhotoModel, wait_ms: float = 0.0) -> AsyncIterator[Batcher]:
    """Yield a batcher whose model is warm."""
    batcher = Batcher(model, ServerLimits(batch=BATCH, wait_ms=wait_ms), lambda photos, seconds: None)
    batcher.start()
    while not batcher.warm:
        await asyncio.sleep(0.001)
    model.batches.clear()
    try:
        yield batcher
    finally:
        await batcher.stop()


async def held_up(model: FakePhotoModel, batcher: Batcher) -> asyncio.Task[object]:
    """Let the model work on one photo, class 17, until `go`."""
    model.busy.clear()
    model.go.clear()
    task = asyncio.create_task(batcher.predict(grey(17)))
    await asyncio.to_thread(model.busy.wait)
    return task


def test_each_photo_gets_its_own_row_and_full_batches_are_computed() -> None:
    async def work() -> list[int]:
        async with started(model) as batcher:
            first = await held_up(model, batcher)
            tasks = [asyncio.create_task(batcher.predict(grey(joint))) for joint in (*range(10), 0)]
            await asyncio.sleep(0)  # all are in the queue
            model.go.set()
            rows = await asyncio.gather(*tasks)
            await first
            assert all(row.prob_J.argmax() == row.joint for row in rows)
            return [row.joint for row in rows]

    model = FakePhotoModel()
    assert asyncio.run(work()) == [*range(10), 0]
    assert model.batches == [1, 4, 4, 3]


def test_a_photo_waits_for_others_no_longer_than_a_full_batch() -> None:
    async def work() -> None:
        async with started(model, wait_ms=60_000) as batcher:
            early = [asyncio.create_task(batcher.predict(grey(joint))) for joint in range(3)]
            await asyncio.sleep(0.02)
            assert model.batches == []
            assert (await batcher.predict(grey(3))).joint == 3
            assert [row.joint for row in await asyncio.gather(*early)] == [0, 1, 2]

    model = FakePhotoModel()
    asyncio.run(work())
    assert model.batches == [4]


def test_without_waiting_a_single_photo_is_computed_alone() -> None:
    async def work() -> None:
        async with started(model) as batcher:
            for joint in range(3):
                assert (await batcher.predict(grey(joint))).joint == joint

    model = FakePhotoModel()
    asyncio.run(work())
    assert model.batches == [1, 1, 1]


def test_an_error_of_the_model_is_that_of_its_batch_alone(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        async with started(model) as batcher:
            model.error = RuntimeError("a fault to be seen")
            for _ in range(2):
                with pytest.raises(ModelFailedError):
                    await batcher.predict(grey(0))
            model.error = None
            assert (await batcher.predict(grey(5))).joint == 5

    model = FakePhotoModel()
    asyncio.run(work())
    assert [line.message for line in caplog.records] == ["the model failed on a batch of 1 photos"] * 2
    assert "RuntimeError: a fault to be seen" in caplog.text


def test_an_error_of_the_first_photo_is_kept() -> None:
    async def work() -> BaseException | None:
        model.error = RuntimeError("a fault to be seen")
        batcher = Batcher(model, ServerLimits(), lambda photos, seconds: None)
        assert batcher.failure is None
        batcher.start()
        assert batcher.failure is None
        while batcher.failure is None:
            await asyncio.sleep(0.001)
        await batcher.stop()
        return batcher.failure

    model = FakePhotoModel()
    assert asyncio.run(work()) is model.error


def test_a_stop_is_no_failure() -> None:
    async def work() -> None:
        async with started(FakePhotoModel()) as batcher:
            assert batcher.failure is None
        assert batcher.failure is None

    asyncio.run(work())


def test_a_client_that_is_gone_disturbs_nobody() -> None:
    async def work() -> None:
        async with started(model) as batcher:
            first = await held_up(model, batcher)
            first.cancel()
            waiting = asyncio.create_task(batcher.predict(grey(1)))
            await asyncio.sleep(0)
            waiting.cancel()
            second = asyncio.create_task(batcher.predict(grey(2)))
            await asyncio.sleep(0)
            model.go.set()
            assert (await second).joint == 2
            assert batcher.decoded_bytes == 0

    model = FakePhotoModel()
    asyncio.run(work())
    assert model.batches == [1, 1]  # the photo that nobody waits for is not computed


def test_decoding_waits_while_many_bytes_wait_for_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "DECODED_BYTES", 2 * grey(0).nbytes)

    async def work() -> None:
        async with started(model) as batcher:
            first = await held_up(model, batcher)
            assert batcher.has_room.is_set()
            second = asyncio.create_task(batcher.predict(grey(1)))
            await asyncio.sleep(0)
            assert not batcher.has_room.is_set()
            model.go.set()
            await asyncio.gather(first, second)
            assert batcher.has_room.is_set()

    model = FakePhotoModel()
    asyncio.run(work())


def test_the_seconds_per_photo_are_averaged() -> None:
    batcher = Batcher(FakePhotoModel(), ServerLimits(), lambda photos, seconds: None)
    batcher._measure(2, 4.0)
    assert batcher.seconds_per_photo == 2.0
    batcher._measure(1, 7.0)
    assert batcher.seconds_per_photo == pytest.approx(0.8 * 2 + 0.2 * 7)
    batcher.thread.shutdown()
