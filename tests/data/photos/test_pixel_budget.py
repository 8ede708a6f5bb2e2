"""Large photos are decoded one after another, whatever waits for them."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from maskcls.data.photos import decode_ahead, pixel_budget, rgb
from maskcls.data.photos.decode_ahead import chunks, decode_each
from maskcls.data.photos.images import decode, image_faults
from maskcls.data.photos.pixel_budget import DECODING, PixelBudget, WaitingBytes
from maskcls.data.photos.rgb import Pixels
from maskcls.data.views.reduced import ReducedPhoto

NAME = Path("photo")


def most_at_once(budget: PixelBudget, sizes: list[int]) -> int:
    """Return the most pixels that threads held at one time, each holding its size until another thread had a chance."""
    lock, held, most = threading.Lock(), 0, 0

    def work(size: int) -> None:
        nonlocal held, most
        with budget.taken(size):
            with lock:
                held += size
                most = max(most, held)
            threading.Event().wait(0.002)
            with lock:
                held -= size

    with ThreadPoolExecutor(len(sizes)) as pool:
        list(pool.map(work, sizes))
    return most


def test_no_more_pixels_are_held_than_allowed() -> None:
    budget = PixelBudget(10)
    assert most_at_once(budget, [6, 6, 4, 3, 9, 1]) <= 10
    assert most_at_once(budget, [25, 2, 30]) <= 30  # one that is larger than the budget is alone
    assert budget.free == 10


def test_pixels_are_kept_until_the_work_is_done() -> None:
    budget = PixelBudget(10)
    with budget.kept():
        with budget.taken(4):
            pass
        assert budget.free == 6
        with budget.taken(7):  # a second photo of the same work: the larger one counts
            pass
        assert budget.free == 3
        with budget.taken(2):
            pass
        assert budget.free == 3
    with budget.taken(10):
        assert budget.free == 0
    assert budget.free == 10


def test_an_error_gives_the_pixels_back(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(Image.new("RGB", (40, 40)))[:-30])
    assert image_faults(tmp_path, ["a.png"] * 3, lambda row, data: decode(data, NAME), threads=2)
    assert DECODING.free == DECODING.most


def test_waiting_bytes_are_bounded_but_the_next_one_passes() -> None:
    memory = WaitingBytes(10)
    memory.admit(0, 30)  # the first is used next
    late = threading.Thread(target=memory.admit, args=(1, 5))
    late.start()
    assert memory.bytes == 30
    memory.used(0)
    late.join(5)
    assert not late.is_alive()
    assert memory.bytes == 5


def test_photos_that_nobody_takes_end_with_their_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that wait for room do not wait for ever when the photos are no longer read."""
    monkeypatch.setattr(decode_ahead, "CHUNK_BYTES", 1)
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    with ThreadPoolExecutor(3) as pool:
        photos = decode_each([tmp_path / "a.png"] * 9, at_least=(8, 8), prepare=np.asarray, pool=pool, ahead=4)
        assert isinstance(next(photos), np.ndarray)
        photos.close()  # type: ignore[attr-defined]


def test_no_photo_is_decoded_without_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for the orientation of a PNG, Pillow decodes it; that must not be before the share is taken."""
    taken: list[bool] = []
    load = ImageFile.ImageFile.load

    def noted(image: ImageFile.ImageFile) -> object:
        taken.append(DECODING.free < DECODING.most)
        return load(image)

    monkeypatch.setattr(ImageFile.ImageFile, "load", noted)
    for data in (photo("RGB"), photo("CMYK"), photo("P")):
        decode(data, NAME, at_least=(8, 8))
    assert len(taken) >= 3
    assert all(taken)


def test_a_prepared_photo_counts_as_what_is_left_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Views wait beyond the bytes that decoded photos may take; a chunk still ends at those of decoded photos."""
    monkeypatch.setattr(decode_ahead, "CHUNK_BYTES", 3 * 40 * 40 + 300)  # one decoded photo and five views
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    shares: list[int] = []

    def prepare(pixels: Pixels) -> ReducedPhoto:
        shares.append(DECODING.most - DECODING.free)
        return ReducedPhoto((pixels[:4, :4].copy(),), pixels.nbytes)

    with ThreadPoolExecutor(1) as pool:
        each = decode_each([tmp_path / "a.png"] * 5, at_least=(8, 8), prepare=prepare, pool=pool, ahead=4)
        with closing(each):  # type: ignore[type-var]
            first = next(each)
            pool.submit(int).result(20)  # behind the others: they do not wait for the first to be used
            assert len(shares) == 5
            found = list(chunks([first, *each]))
    assert set(shares) == {1600}  # prepared while the photo's share is held
    assert [len(chunk) for chunk in found] == [2, 2, 1]
    assert DECODING.free == DECODING.most


def test_freed_memory_is_given_back_after_large_photos_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    returned: list[int] = []
    monkeypatch.setattr(pixel_budget, "return_freed_memory", lambda: returned.append(budget.free))
    monkeypatch.setattr(pixel_budget, "LARGE_PIXELS", 6)
    budget = PixelBudget(10)
    for pixels in (5, 6, 30):
        with budget.taken(pixels):
            pass
    assert returned == [4, 0]  # before another thread may take the share


@pytest.mark.parametrize(
    "mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "YCbCr", "I;16", "colour", "grey", "table"]
)
def test_bands_give_the_pixels_of_the_whole(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = decode(photo(mode), NAME)
    monkeypatch.setattr(rgb, "BAND_PIXELS", 100)  # bands of 2 rows
    np.testing.assert_array_equal(decode(photo(mode), NAME), whole)
    assert whole.shape == (37, 45, 3)
    assert len(np.unique(whole)) > 1


def photo(mode: str) -> bytes:
    """Return a photo of noise; colour, grey, table: with a transparent colour, or transparency per palette colour."""
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (37, 45, 3), dtype=np.uint8))
    match mode:
        case "I;16":
            return png(Image.fromarray(rng.integers(0, 65536, (37, 45), dtype=np.uint16)))
        case "CMYK" | "YCbCr":
            file = io.BytesIO()
            noise.convert(mode).save(file, "TIFF")
            return file.getvalue()
        case "colour":
            return png(noise, transparency=noise.getpixel((3, 3)))
        case "grey":
            return png(noise.convert("L"), transparency=77)
        case "table":
            return png(noise.convert("P"), transparency=bytes(range(256)))
        case "RGBA" | "LA":
            with_alpha = noise.convert("RGBA")
            with_alpha.putalpha(Image.fromarray(rng.integers(0, 256, (37, 45), dtype=np.uint8)))
            return png(with_alpha.convert(mode))
        case _:
            return png(noise.convert(mode))


def png(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()
