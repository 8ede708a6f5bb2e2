"""npy and npz files that say they are larger than they are, or hold more than they say."""

import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from maskcls.files import arrays
from maskcls.files.arrays import read_array, read_arrays

LIMIT = 8 << 20  # bytes that reading may take; the bombs below would take from 0.6 to 700 GB


def npz(*, compressed: bool = False, **arrays: object) -> bytes:
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def npy(array: object) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(array))
    return buffer.getvalue()


def archive(entries: dict[str, bytes], *, deflated: bool = False) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED) as made:
        for name, data in entries.items():
            made.writestr(name, data)
    return buffer.getvalue()


def header(shape: tuple[int, ...], descr: str = "<f8") -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"shape": shape, "fortran_order": False, "descr": descr})
    return buffer.getvalue()


def deflated_zeros(count: int) -> bytes:
    """Return an npz of float64 zeros without ever holding them."""
    buffer, block = io.BytesIO(), bytes(1 << 20)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made, made.open("prob.npy", "w", force_zip64=True) as e:
        e.write(header((count,)))
        for _ in range(count * 8 // len(block)):
            e.write(block)
    return buffer.getvalue()


def test_arrays_come_back_as_they_were_written() -> None:
    given = {
        "ids": np.array(["a", "한"]),
        "prob": np.arange(6.0, dtype=np.float32).reshape(2, 3),
        "empty": np.zeros((0, 3)),
        "one": np.array(4),
        "turned": np.asfortranarray(np.arange(6).reshape(2, 3)),
    }
    for data, stored in ((npz(**given), True), (npz(compressed=True, **given), False)):
        found = read_arrays(data, stored=stored)
        assert found.keys() == given.keys()
        for name, array in given.items():
            assert found[name].dtype == array.dtype
            np.testing.assert_array_equal(found[name], array)


def test_bytes_around_and_within_an_archive_are_found() -> None:
    """A reader of archives searches from the end of the file, and takes the entries where their list says."""
    data = npz(ids=np.array(["a"]), prob=np.eye(2))
    second = data.index(b"PK\x03\x04", 4)
    start = data.index(b"PK\x01\x02")
    for changed in (
        data + b"\0",
        data + b"more" * 1000,
        data + data[-22:],
        b"\0" + data,
        data + data,
        data[:second] + b"\0" + data[second:],
        data[:start] + b"\0" + data[start:],
        data[:-22] + b"\0" + data[-22:],
    ):
        with pytest.raises((ValueError, zipfile.BadZipFile)):
            read_arrays(changed)
    assert read_arrays(data + b"\0", stored=False).keys() == {"ids", "prob"}  # of another program
    commented = io.BytesIO(data)
    with zipfile.ZipFile(commented, "a") as made:
        made.comment = b"mine"
    with pytest.raises(ValueError, match="behind the end"):
        read_arrays(commented.getvalue())


def test_an_archive_with_the_records_of_large_ones_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    data = npz(ids=np.array(["a"]), prob=np.eye(9))
    assert b"PK\x06\x07" in data[-42:]
    assert read_arrays(data).keys() == {"ids", "prob"}
    for changed in (data + b"\0", data[:-98] + b"\0" + data[-98:], b"\0" + data):
        with pytest.raises((ValueError, zipfile.BadZipFile)):
            read_arrays(changed)


BOMBS = {
    "a header alone": (npy(1.0)[:0] + header((10**11,)), "needs 800,000,000,000 bytes, and has 0"),
    "a header of text": (header((3,), "<U100000000"), "needs 1,200,000,000 bytes, and has 0"),
    "a shape below zero": (header((-1, 4)) + bytes(32), "shape|size"),
    "data left over": (npy([1.0]) + b"x", "1 bytes after the end"),
    "Python objects": (header((1,), "|O") + bytes(8), "object"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_an_array_must_have_the_length_that_its_header_says(name: str) -> None:
    data, message = BOMBS[name]
    tracemalloc.start()
    for read in (lambda: read_array(data), lambda: read_arrays(archive({"prob.npy": data}))):
        with pytest.raises(ValueError, match=message):
            read()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < LIMIT


def test_a_compressed_entry_is_refused_where_none_is_written() -> None:
    with pytest.raises(ValueError, match="compressed"):
        read_arrays(npz(compressed=True, prob=np.zeros(10)))


def test_a_small_file_of_large_entries_is_refused_before_it_is_uncompressed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(arrays, "MOST_BYTES", 1 << 26)
    data = deflated_zeros((1 << 23) + (1 << 17))
    assert len(data) < 1 << 17
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"entries of [0-9,]+ bytes, at most 67,108,864"):
        read_arrays(data, stored=False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < LIMIT


def test_an_entry_that_holds_more_than_the_archive_says_is_read_no_further() -> None:
    data = bytearray(archive({"prob.npy": header((1 << 22,)) + bytes(8 << 22)}, deflated=True))
    said = (len(header((1 << 22,))) + (8 << 22)).to_bytes(4, "little")
    assert data.count(said) == 2
    tracemalloc.start()
    with pytest.raises((ValueError, zipfile.BadZipFile)):
        read_arrays(bytes(data.replace(said, (1000).to_bytes(4, "little"))), stored=False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_two_entries_of_one_name_are_refused(recwarn: pytest.WarningsRecorder, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for value in (1.0, 2.0):
            made.writestr(zipfile.ZipInfo("prob.npy"), npy(value))
    recwarn.clear()  # zipfile warns about such an archive when it is made
    with pytest.raises(ValueError, match="twice"):
        read_arrays(buffer.getvalue())


def test_a_header_that_numpy_cannot_read_is_a_value_error() -> None:
    data = npy([1.0]).replace(b"}", b"(", 1)  # numpy tries such a header once more, with another parser
    with pytest.raises(ValueError, match="header of an array cannot be read"):
        read_array(data)


@pytest.mark.parametrize("code", [0x110000, 0xFFFFFFFF, 0xD800, 0xDFFF])
@pytest.mark.parametrize("order", ["<", ">"])
def test_text_of_numbers_that_are_no_characters_is_refused(code: int, order: str) -> None:
    codes = np.array([97, 0x10FFFF, 0xD7FF, 0xE000], dtype=f"{order}u4")
    right = npy(codes.view(f"{order}U2"))
    assert read_array(right).tolist() == ["a\U0010ffff", "\ud7ff\ue000"]
    codes[3] = code
    with pytest.raises(ValueError, match="no characters"):
        read_array(npy(codes.view(f"{order}U2")))


def test_one_text_and_no_text_are_read() -> None:
    assert read_array(npy("é")).item() == "é"
    assert read_array(npy(np.zeros((0, 2), "<U3"))).shape == (0, 2)
