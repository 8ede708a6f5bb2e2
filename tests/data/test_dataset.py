"""From rows to batches: the same bytes with any number of workers, and faults that keep their words."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.synchronize import Event
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from photos import LIVELY, PLAIN, noise, open_photos, write_photos
from torch import Tensor
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from maskcls.data import dataset
from maskcls.data.dataset import Key, Photos, batches, loader
from maskcls.data.photos.images import decode, read_bytes
from maskcls.data.views.augment import augment
from maskcls.data.views.draws import draw
from maskcls.data.views.transforms import build_pixel_changes, change_pixels, eval_view
from maskcls.errors import DataError, MaskclsError, ResourceError

COUNT = 10
PLAN = [[Key(3, 0), Key(1, 0)], [Key(0, 1), Key(3, 1), Key(9, 2)], [Key(5)], [Key(5, -1), Key(5, 7)]]


@pytest.fixture
def names(tmp_path: Path) -> list[str]:
    return write_photos(tmp_path, COUNT)


def load(photos: Photos, plan: list[list[Key]], workers: int) -> list[list[Tensor]]:
    return list(batches(loader(photos, plan, workers=workers)))


def view_of(photos: Photos, row: int, epoch: int) -> np.ndarray:
    views = photos[Key(row, epoch)]
    assert not isinstance(views, MaskclsError), views
    return views[0]


def test_more_workers_than_cores_cause_no_warning(
    tmp_path: Path, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A warning is an error in these tests."""
    monkeypatch.setattr(torch._utils, "cpu_count", lambda: 1)
    with pytest.warns(UserWarning, match="This DataLoader will create 2 worker processes"):
        torch.utils.data.DataLoader([0], num_workers=2)  # torch asks the function replaced here
    assert len(load(open_photos(tmp_path, names, PLAIN), PLAN, 2)) == len(PLAN)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_the_same_keys_give_the_same_bytes_in_order(tmp_path: Path, names: list[str], workers: int) -> None:
    photos = open_photos(tmp_path, names, LIVELY, replace(LIVELY, size=(16, 16)))
    got = load(photos, PLAN, workers)
    assert [[tuple(t.shape) for t in batch] for batch in got] == [
        [(n, 24, 18, 3), (n, 16, 16, 3)] for n in (2, 3, 1, 2)
    ]
    assert {t.dtype for batch in got for t in batch} == {torch.uint8}
    seen = 0
    for batch, keys in zip(got, PLAN, strict=True):
        for place, key in enumerate(keys):
            want = photos[key]
            assert not isinstance(want, MaskclsError)
            for tensor, image in zip(batch, want, strict=True):
                np.testing.assert_array_equal(tensor[place].numpy(), image)
                seen += 1
    assert seen == 16


def test_a_view_is_the_augmentation_of_the_eval_view_keyed_on_seed_epoch_and_id(
    tmp_path: Path, names: list[str]
) -> None:
    spec = replace(LIVELY, gray=0.5, sharpen=1.0)
    photos = open_photos(tmp_path, names, spec, seed=5)
    changes, key = build_pixel_changes(spec), photos.keys[2:3]
    assert changes
    draws = draw(spec, seed=5, epoch_B=np.array([3]), key_B=key)
    (want,) = augment(eval_view(noise(2), spec)[None], draws, spec.fill)
    np.testing.assert_array_equal(view_of(photos, 2, 3), change_pixels(want, changes, (5, 3, int(key[0]))))


def test_epoch_minus_one_is_the_eval_view(tmp_path: Path, names: list[str]) -> None:
    spec = replace(LIVELY, crop=(0.5, 0.4), size=(16, 16), hflip=1.0)
    photos = open_photos(tmp_path, names, spec)
    assert Key(4).epoch == -1
    np.testing.assert_array_equal(view_of(photos, 4, -1), eval_view(noise(4), spec))
    assert not np.array_equal(view_of(photos, 4, 0), eval_view(noise(4), spec))


def test_epoch_seed_and_id_each_change_the_view(tmp_path: Path, names: list[str]) -> None:
    spec = replace(LIVELY, geometry=1.0)
    photos = open_photos(tmp_path, names, spec)
    assert len({view_of(photos, 0, epoch).tobytes() for epoch in range(20)}) == 20
    seeds = [open_photos(tmp_path, names, spec, seed=s) for s in range(20)]
    assert len({view_of(p, 0, 0).tobytes() for p in seeds}) == 20
    ids = Photos(tmp_path, ["0.png"] * 20, [f"id{i}" for i in range(20)], (spec,), seed=0)
    assert len({view_of(ids, row, 0).tobytes() for row in range(20)}) == 20


def test_more_rows_and_another_order_change_no_image(tmp_path: Path, names: list[str]) -> None:
    few = open_photos(tmp_path, names[:3], LIVELY)
    many = open_photos(tmp_path, [*reversed(names)], LIVELY)
    for row, name in enumerate(names[:3]):
        for epoch in range(4):
            there = [*reversed(names)].index(name)
            np.testing.assert_array_equal(view_of(few, row, epoch), view_of(many, there, epoch))


def test_an_image_is_read_once_for_all_specs(tmp_path: Path, names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def counted(path: Path) -> bytes:
        calls.append(path.name)
        return read_bytes(path)

    monkeypatch.setattr(dataset, "read_bytes", counted)
    photos = open_photos(tmp_path, names, PLAIN, LIVELY, replace(PLAIN, size=(16, 16)))
    assert [len(batch) for batch in load(photos, PLAN, 0)] == [3] * 4
    assert calls == [f"{key.row}.png" for keys in PLAN for key in keys]


def test_one_file_of_a_batch_is_in_memory_at_a_time(
    tmp_path: Path, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr(dataset, "read_bytes", lambda path: (done.append("read"), read_bytes(path))[1])
    monkeypatch.setattr(dataset, "decode", lambda *given, **how: (done.append("decoded"), decode(*given, **how))[1])
    open_photos(tmp_path, names).__getitems__([Key(0), Key(1), Key(2)])
    assert done == ["read", "decoded"] * 3


def test_as_many_photos_as_paths(tmp_path: Path, names: list[str]) -> None:
    assert len(open_photos(tmp_path, names)) == COUNT
    assert list(batches(loader(open_photos(tmp_path, []), [], workers=0))) == []


@pytest.mark.parametrize("workers", [0, 2])
def test_loading_draws_nothing_from_the_global_generator(tmp_path: Path, names: list[str], workers: int) -> None:
    """A resumed training starts its loader in another epoch; dropout must not notice."""
    torch.manual_seed(0)
    before = torch.get_rng_state()
    load(open_photos(tmp_path, names, LIVELY), PLAN, workers)
    assert torch.equal(torch.get_rng_state(), before)


# --- faults


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_image_arrives_as_the_error_that_names_it(tmp_path: Path, names: list[str], workers: int) -> None:
    (tmp_path / "7.png").write_bytes(b"<html>")
    stream = batches(loader(open_photos(tmp_path, names), [[Key(0)], [Key(1), Key(7)]], workers=workers))
    assert next(stream)[0].shape == (1, 24, 18, 3)
    with pytest.raises(DataError, match="HTML") as caught:
        next(stream)
    assert type(caught.value) is DataError
    assert caught.value.where == str(tmp_path / "7.png")
    assert caught.value.fix == "get the original photo"
    assert "Traceback" not in str(caught.value)


def deadly(now: Event) -> Callable[[Path], bytes]:
    """Return a read_bytes that kills its process at 9.png, once it is time, as the kernel does when memory runs out."""

    def read(path: Path) -> bytes:
        if path.name == "9.png":
            now.wait()
            os.kill(os.getpid(), signal.SIGKILL)
        return read_bytes(path)

    return read


def test_a_killed_worker_is_a_fault_of_the_machine(
    tmp_path: Path, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = multiprocessing.Event()
    now.set()
    monkeypatch.setattr(dataset, "read_bytes", deadly(now))
    with pytest.raises(ResourceError, match="died or did not respond") as caught:
        load(open_photos(tmp_path, names), [[Key(9)]], 1)
    assert "device.workers=0" in str(caught.value.fix)
    assert caught.value.offenders == (f"reading {names[9]}",)


def test_a_worker_that_hangs_is_ended_and_its_photo_is_named(
    tmp_path: Path, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def hanging(path: Path) -> bytes:
        if path.name == Path(names[9]).name:
            time.sleep(600)
        return read_bytes(path)

    monkeypatch.setattr(dataset, "read_bytes", hanging)
    monkeypatch.setattr(dataset, "TIMEOUT_S", 1)
    # How long torch waits for a worker to end by itself; the loader ends when its frames are collected.
    monkeypatch.setattr(torch.utils.data._utils, "MP_STATUS_CHECK_INTERVAL", 0.2)
    before, started = set(multiprocessing.active_children()), time.monotonic()
    with pytest.raises(ResourceError, match="died or did not respond") as caught:
        load(open_photos(tmp_path, names), [[Key(0), Key(1)], [Key(2), Key(9), Key(3)]], 2)
    assert "timed out after 1 seconds" in str(caught.value.got)
    assert caught.value.offenders == (f"reading {names[9]}",)
    assert caught.value.exit_code == 6
    del caught
    gc.collect()
    assert set(multiprocessing.active_children()) <= before
    assert time.monotonic() - started < 300


def test_a_worker_uses_no_threads_of_opencv(tmp_path: Path, names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that the main process started do not exist in a forked worker, which would wait for them forever."""

    def telling(path: Path) -> bytes:
        assert cv2.getNumThreads() == 1
        cv2.GaussianBlur(np.zeros((512, 512, 3), np.uint8), (31, 31), 0)  # work that OpenCV divides among threads
        return read_bytes(path)

    before = cv2.getNumThreads()
    cv2.setNumThreads(4)
    cv2.GaussianBlur(np.zeros((512, 512, 3), np.uint8), (31, 31), 0)  # starts the threads
    monkeypatch.setattr(dataset, "read_bytes", telling)
    monkeypatch.setattr(dataset, "TIMEOUT_S", 20)
    try:
        assert len(load(open_photos(tmp_path, names), [[Key(k)] for k in range(6)], 2)) == 6
    finally:
        cv2.setNumThreads(before)


def test_a_worker_that_dies_between_two_batches_is_reported_with_the_next(
    tmp_path: Path, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch would raise its death in the middle of whatever the main process computes at that moment."""
    before, now = set(multiprocessing.active_children()), multiprocessing.Event()
    monkeypatch.setattr(dataset, "read_bytes", deadly(now))
    wait = _MultiProcessingDataLoaderIter._try_get_data
    monkeypatch.setattr(  # torch looks for dead workers when it has waited for so many seconds
        _MultiProcessingDataLoaderIter,
        "_try_get_data",
        lambda self, timeout_s=5.0: wait(self, 0.5 if now.is_set() else timeout_s),
    )
    stream = batches(loader(open_photos(tmp_path, names), [[Key(0)], [Key(9)]], workers=1))
    next(stream)
    (worker,) = set(multiprocessing.active_children()) - before
    now.set()
    worker.join()  # during a training step
    with pytest.raises(ResourceError, match="died or did not respond"):
        next(stream)


def test_a_worker_told_to_end_goes_quietly(tmp_path: Path, names: list[str]) -> None:
    """Python ends its workers with SIGTERM and then waits for them; the scheduler's SIGTERM reaches them as well."""
    before = set(multiprocessing.active_children())
    stream = batches(loader(open_photos(tmp_path, names), [[Key(0)]] * 50, workers=1))
    next(stream)
    (worker,) = set(multiprocessing.active_children()) - before
    worker.terminate()
    worker.join(20)
    assert worker.exitcode == 0


def buggy(path: Path) -> bytes:
    raise RuntimeError("a bug of ours")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bug_in_a_worker_is_not_blamed_on_the_machine(
    tmp_path: Path, names: list[str], monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr(dataset, "read_bytes", buggy)
    with pytest.raises(RuntimeError, match="a bug of ours") as caught:
        load(open_photos(tmp_path, names), [[Key(0)]], workers)
    traceback.clear_frames(caught.value.__traceback__)  # they hold the loader; freed with a cycle, it waits 5 seconds


def test_a_worker_ignores_the_interrupt_its_parent_handles(
    tmp_path: Path, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(path: Path) -> bytes:
        os.kill(os.getpid(), signal.SIGINT)
        return read_bytes(path)

    monkeypatch.setattr(dataset, "read_bytes", interrupted)
    assert len(load(open_photos(tmp_path, names), [[Key(0)], [Key(1)]], 1)) == 2


def test_shared_memory_that_ran_out_is_a_fault_of_the_machine(
    tmp_path: Path, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Tensor) -> Tensor:
        raise RuntimeError("unable to write to file </torch_1>: No space left on device (28)")

    monkeypatch.setattr(Tensor, "share_memory_", full)
    with pytest.raises(ResourceError, match="shared memory") as caught:
        load(open_photos(tmp_path, names), [[Key(0)]], 1)
    assert "device.workers=0" in str(caught.value.fix)
    assert "No space left" in str(caught.value.got)
    assert len(load(open_photos(tmp_path, names), [[Key(0)]], 0)) == 1
