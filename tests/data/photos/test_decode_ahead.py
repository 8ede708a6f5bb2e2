"""Photos decoded ahead: in order, with errors in their place, in chunks that depend on the photos alone."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskcls.data.photos import decode_ahead
from maskcls.data.photos.decode_ahead import Decoded, chunks, decode_each, decoded_chunks, one_ahead
from maskcls.errors import DataError


def test_photos_come_in_order_and_a_bad_one_as_its_error(tmp_path: Path) -> None:
    names = [str(tmp_path / f"{value}.png") for value in range(9)]
    for value, name in enumerate(names):
        Image.new("RGB", (16 + value, 20), (value, 0, 0)).save(name)
    Path(names[4]).write_bytes(b"junk")
    with ThreadPoolExecutor(3) as pool:
        found = list(decode_each(names, at_least=(16, 16), prepare=np.asarray, pool=pool, ahead=2))
    assert [type(one) for one in found] == [DataError if value == 4 else np.ndarray for value in range(9)]
    shapes = [one.shape for one in found if isinstance(one, np.ndarray)]
    assert shapes == [(20, 16 + value, 3) for value in range(9) if value != 4]


def test_few_photos_are_read_in_advance(tmp_path: Path) -> None:
    asked: list[int] = []

    def names() -> Iterator[str]:
        for number in range(50):
            asked.append(number)
            yield str(tmp_path / f"{number}.png")  # not there: an error in its place

    with ThreadPoolExecutor(2) as pool:
        source = decode_each(names(), at_least=(16, 16), prepare=np.asarray, pool=pool, ahead=4)
        next(source)
        assert asked == [0, 1, 2, 3, 4]


def test_files_and_arrays_come_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_ahead, "CHUNK_PHOTOS", 2)
    Image.new("RGB", (16, 20), (7, 0, 0)).save(tmp_path / "a.png")
    array = np.zeros((2, 3, 3), dtype=np.uint8)
    first, second = decoded_chunks(
        [array, tmp_path / "a.png", str(tmp_path / "b")], at_least=(16, 16), prepare=np.asarray, threads=2
    )
    assert first[0] is array
    assert isinstance(first[1], np.ndarray)
    assert first[1][0, 0].tolist() == [7, 0, 0]
    assert [type(one) for one in second] == [DataError]


def photo(pixels: int) -> Decoded:
    return np.zeros((1, pixels, 3), dtype=np.uint8)


def test_a_chunk_ends_at_its_photos_or_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_ahead, "CHUNK_PHOTOS", 3)
    monkeypatch.setattr(decode_ahead, "CHUNK_BYTES", 30)
    bad = DataError("bad")
    source = [photo(1), photo(1), photo(1), bad, photo(10), photo(1), bad, bad, bad]
    found = list(chunks(source))
    assert [len(chunk) for chunk in found] == [3, 2, 3, 1]
    assert [one for chunk in found for one in chunk] == source
    assert list(chunks([])) == []


def test_one_ahead_keeps_order_and_raises_in_its_place() -> None:
    def source() -> Iterator[int]:
        yield 1
        yield 2
        raise DataError("third")

    found = one_ahead(source())
    assert (next(found), next(found)) == (1, 2)
    with pytest.raises(DataError, match="third"):
        next(found)
    assert list(one_ahead(iter([]))) == []
