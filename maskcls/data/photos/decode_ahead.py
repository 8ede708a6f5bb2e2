"""Decode photos on several threads, ahead of what uses them, in bounded memory. Pillow releases Python's lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from maskcls.data.photos.images import decode, read_bytes
from maskcls.data.photos.rgb import Pixels
from maskcls.errors import DataError

T = TypeVar("T")

Decoded = Pixels | DataError


def decode_each(
    names: Iterable[str], *, at_least: tuple[int, int], pool: ThreadPoolExecutor, ahead: int
) -> Iterator[Decoded]:
    """Yield every photo in order, or the error why it cannot be read; at most `ahead` are decoded in advance.

    at_least  (height, width) in pixels, see `images.decode`.
    """
    waiting: deque[Future[Decoded]] = deque()
    for name in names:
        waiting.append(pool.submit(_decoded, name, at_least))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def chunks(decoded: Iterable[Decoded], *, photos: int, pixel_bytes: int) -> Iterator[list[Decoded]]:
    """Yield photos in lists of at most `photos`, that end earlier when their pixels reach `pixel_bytes`.

    The lists depend on the photos alone, not on the machine.
    """
    chunk: list[Decoded] = []
    filled = 0
    for one in decoded:
        chunk.append(one)
        filled += 0 if isinstance(one, DataError) else one.nbytes
        if len(chunk) == photos or filled >= pixel_bytes:
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


def _decoded(name: str, at_least: tuple[int, int]) -> Decoded:
    path = Path(name)
    try:
        return decode(read_bytes(path), path, at_least=at_least)
    except DataError as error:
        return error
