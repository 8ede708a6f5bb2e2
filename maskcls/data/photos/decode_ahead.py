"""Decode photos on several threads, ahead of what uses them, in bounded memory. Pillow releases Python's lock."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from maskcls.data.photos.images import decode, read_bytes
from maskcls.data.photos.pixel_budget import DECODING, WaitingBytes
from maskcls.data.photos.rgb import Pixels
from maskcls.data.views.reduced import ReducedPhoto
from maskcls.errors import DataError

CHUNK_PHOTOS = 256  # predicted in one call: several batches, which a CPU computes in parallel
CHUNK_BYTES = 128 << 20  # of decoded pixels; three chunks are in memory: predicted, ready, being decoded

T = TypeVar("T")

Source = str | os.PathLike[str] | Pixels
Prepared = Pixels | ReducedPhoto
Decoded = Prepared | DataError
Prepare = Callable[[Pixels], Prepared]


def decoded_chunks(
    photos: Iterable[Source], *, at_least: tuple[int, int], prepare: Prepare, threads: int
) -> Iterator[list[Decoded]]:
    """Yield photos in order as `chunks` of `decode_each`, while `threads` threads read ahead."""
    with ThreadPoolExecutor(threads) as pool:
        each = decode_each(photos, at_least=at_least, prepare=prepare, pool=pool, ahead=2 * threads)
        yield from one_ahead(chunks(each))


def decode_each(
    photos: Iterable[Source], *, at_least: tuple[int, int], prepare: Prepare, pool: ThreadPoolExecutor, ahead: int
) -> Iterator[Decoded]:
    """Yield every photo in order, or the error why it cannot be read; at most `ahead` are decoded in advance.

    photos    names of files; arrays uint8 (H, W, 3) are yielded as they are.
    at_least  (height, width) in pixels, see `images.decode`.
    prepare   of a file, what is yielded: `PhotoModel.prepare`.

    At most CHUNK_BYTES wait; a larger photo waits alone.
    """
    waiting, memory = deque[tuple[int, Future[Decoded]]](), WaitingBytes(CHUNK_BYTES)

    def next_one() -> Decoded:
        place, future = waiting.popleft()
        memory.wanted(place)
        try:
            return future.result()
        finally:
            memory.used(place)

    try:
        for place, photo in enumerate(photos):
            waiting.append((place, pool.submit(_decoded, photo, at_least, prepare, place, memory)))
            if len(waiting) > ahead:
                yield next_one()
        while waiting:
            yield next_one()
    finally:
        memory.end()


def chunks(decoded: Iterable[Decoded]) -> Iterator[list[Decoded]]:
    """Yield photos in lists of at most CHUNK_PHOTOS, that end earlier when their pixels reach CHUNK_BYTES.

    The lists depend on the photos alone, not on the machine. Pixels are those of the decoded photo.
    """
    chunk: list[Decoded] = []
    filled = 0
    for one in decoded:
        chunk.append(one)
        filled += _decoded_bytes(one)
        if len(chunk) == CHUNK_PHOTOS or filled >= CHUNK_BYTES:
            yield chunk
            chunk, filled = [], 0
    if chunk:
        yield chunk


def one_ahead(source: Iterator[T]) -> Iterator[T]:
    """Yield what `source` yields, while a thread already computes the next item."""
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, source, _END)
        while (item := following.result()) is not _END:
            following = pool.submit(next, source, _END)
            yield item  # type: ignore[misc]


_END = object()


def _decoded_bytes(one: Decoded) -> int:
    if isinstance(one, DataError):
        return 0
    return one.decoded_bytes if isinstance(one, ReducedPhoto) else one.nbytes


def _decoded(photo: Source, at_least: tuple[int, int], prepare: Prepare, place: int, memory: WaitingBytes) -> Decoded:
    if isinstance(photo, np.ndarray):
        return photo
    path = Path(photo)
    try:
        with DECODING.kept():
            ready = prepare(decode(read_bytes(path), path, at_least=at_least, admit=partial(memory.admit, place)))
        memory.reduced(place, ready.nbytes)
        return ready
    except DataError as error:
        return error
