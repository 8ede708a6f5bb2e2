"""Load images by row. Stateless: an image depends only on (seed, epoch, row id), not on workers or order.

N rows of the manifest, B batch, H height, W width.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from maskcls.data.photos.identity.pack_pixels import PackPixels
from maskcls.data.photos.identity.photo_digests import OTHER_PHOTOS, RESTORE, digest
from maskcls.data.photos.images import decode, read_bytes
from maskcls.data.photos.rgb import Pixels
from maskcls.data.views.augment import augment
from maskcls.data.views.draws import Draws, draw
from maskcls.data.views.keyed_random import HOP, Keys
from maskcls.data.views.transforms import ViewSpec, build_pixel_changes, change_pixels, eval_view
from maskcls.errors import DataError, MaskclsError, ResourceError

TIMEOUT_S = 120  # without a batch from a worker
PREFETCH = 4  # batches per worker
NO_ROW = -1


class Key(NamedTuple):
    """The request for one image.

    row    row of the manifest.
    epoch  the epoch of its augmentation; -1: no augmentation.
    turn   how often the row was already used in this epoch.
    """

    row: int
    epoch: int = -1
    turn: int = 0


class Photos(Dataset[object]):
    """Images of a manifest, by row, as uint8 (H, W, 3), one for each spec.

    root    folder that the paths are relative to.
    paths   (N,) relative paths.
    ids     (N,) row ids; an image's random numbers are seeded by its id, so adding rows changes no other image.
    specs   the requested views; without a cache a file is read once for all of them.
    cached  per spec, one array (N, H, W, 3) uint8 of eval views; None: files are decoded.
    digest_ND  (N, 16) uint8, what each file must be when it is read, see `photo_digests.digest`; None: not known.
    bare    return only eval views; the device augments them with `draws`.
    """

    def __init__(
        self,
        root: Path,
        paths: Sequence[str],
        ids: Sequence[str],
        specs: Sequence[ViewSpec],
        *,
        seed: int,
        cached: Sequence[Pixels | PackPixels] | None = None,
        bare: bool = False,
        digest_ND: Pixels | None = None,
    ) -> None:
        self.root, self.specs, self.seed, self.cached, self.bare = root, tuple(specs), seed, cached, bare
        # Arrays, not lists: forked workers would copy a list's memory when they change its reference counts.
        self.paths: NDArray[np.str_] = np.asarray([] if cached else paths, dtype=np.str_)
        self.digest_ND = digest_ND
        self.keys = np.array([_image_key(name) for name in ids], dtype=np.uint64)
        self.changes = [build_pixel_changes(spec) for spec in self.specs]
        self.reading: Sequence[int] = []  # per loader process, the row it is reading; see `loader`

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, key: Key) -> list[Pixels] | MaskclsError:
        """Return one image (H, W, 3) uint8 per spec; a MaskclsError is returned, not raised."""
        batch = self.__getitems__([key])
        return batch if isinstance(batch, MaskclsError) else [images[0] for images in batch]

    def __getitems__(self, keys: Sequence[Key]) -> list[Pixels] | MaskclsError:
        """Return a batch (B, H, W, 3) uint8 per spec; a MaskclsError is returned, not raised.

        An exception in a worker would reach the main process only as the text of a traceback.
        """
        rows, epochs, turns = np.array(keys, dtype=np.int64).reshape(-1, 3).T
        try:
            batch = self._eval_views(rows)
        except MaskclsError as error:
            return error
        if self.bare or (epochs < 0).all():
            return batch
        return [self._augmented(images, index, rows, epochs, turns) for index, images in enumerate(batch)]

    def draws(self, index: int, rows: NDArray[np.int64], epochs: NDArray[np.int64], turns: NDArray[np.int64]) -> Draws:
        """Return the augmentations of B images by row, epoch and turn (B,), for the spec with this index."""
        return draw(self.specs[index], seed=self.seed, epoch_B=epochs, key_B=self._turned(rows, turns))

    def _turned(self, rows: NDArray[np.int64], turns: NDArray[np.int64]) -> Keys:
        return self.keys[rows] + turns.astype(np.uint64) * HOP

    def _eval_views(self, rows: NDArray[np.int64]) -> list[Pixels]:
        if self.cached:
            return [pixels[rows] for pixels in self.cached]
        read = []
        for row in rows:
            self._note_row(int(row))
            read.append(read_bytes(self.root / str(self.paths[row])))
        self._refuse_others(rows, read)
        views = []
        for row, data in zip(rows, read, strict=True):
            self._note_row(int(row))
            views.append(self._decoded(self.root / str(self.paths[row]), data))
        self._note_row(NO_ROW)
        return [np.stack(images) for images in zip(*views, strict=True)]

    def _note_row(self, row: int) -> None:
        if (worker := get_worker_info()) is not None:
            self.reading[worker.id] = row  # type: ignore[index]

    @property
    def being_read(self) -> list[str]:
        """The photos that loader processes are reading now, by path."""
        return [str(self.paths[row]) for row in self.reading if row != NO_ROW]

    def _refuse_others(self, rows: NDArray[np.int64], read: Sequence[bytes]) -> None:
        """Raise DataError if files are not those that these rows had before."""
        if self.digest_ND is None:
            return
        both = zip(rows, read, strict=True)
        if changed := [str(self.paths[row]) for row, data in both if digest(data) != bytes(self.digest_ND[row])]:
            raise DataError(OTHER_PHOTOS, where=str(self.root), offenders=changed, fix=RESTORE)

    def _decoded(self, path: Path, data: bytes) -> list[Pixels]:
        # A spec's pixels must not depend on other requested specs, so each is decoded at its own scale.
        scales = {size: decode(data, path, at_least=size) for size in {spec.decode_size for spec in self.specs}}
        return [eval_view(scales[spec.decode_size], spec) for spec in self.specs]

    def _augmented(
        self,
        images: Pixels,
        index: int,
        rows: NDArray[np.int64],
        epochs: NDArray[np.int64],
        turns: NDArray[np.int64],
    ) -> Pixels:
        spec, changes = self.specs[index], self.changes[index]
        # In a loader process torch has one thread, so this uses one.
        images = augment(images, self.draws(index, rows, epochs, turns), spec.fill, threads=torch.get_num_threads())
        if changes:
            keys = self._turned(rows, turns)
            for i in np.flatnonzero(epochs >= 0):
                images[i] = change_pixels(images[i], changes, (self.seed, int(epochs[i]), int(keys[i])))
        return images


def loader(
    photos: Photos, plan: Iterable[Sequence[Key]], *, workers: int, pin: bool = False, keep: bool = False
) -> DataLoader[object]:
    """Load the batches in order, each as a list of uint8 (B, H, W, 3) tensors, one per spec.

    workers  number of loader processes; 0: load in this process.
    pin      copy batches to pinned memory, for fast transfer to a GPU.
    keep     keep the loader processes for the next iteration over the same plan.

    An error is returned as a MaskclsError in place of its batch; iterate with `batches`, which raises it.
    """
    # Memory that loader processes share, so that the main process can name the photo at which one died or hangs.
    photos.reading = multiprocessing.RawArray("q", [NO_ROW] * workers)
    parallel = {"prefetch_factor": PREFETCH, "timeout": TIMEOUT_S, "persistent_workers": keep} if workers else {}
    with _without_advice_on_workers():
        return DataLoader(
            photos,
            batch_sampler=plan,  # type: ignore[arg-type]
            num_workers=workers,
            collate_fn=_tensors,
            worker_init_fn=_calm_worker,
            pin_memory=pin,
            # A loader draws a random number at its start; with the global generator, dropout would differ on resume.
            generator=torch.Generator(),
            **parallel,  # type: ignore[arg-type]
        )


@contextmanager
def _without_advice_on_workers() -> Iterator[None]:
    """Silence torch's warning about more loader processes than cores: device.workers is an explicit choice."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
        yield


def batches(source: DataLoader[object]) -> Iterator[list[Tensor]]:
    """Yield the loader's batches; raise what a worker found as MaskclsError, its death or silence as ResourceError."""
    with _without_advice_on_workers():
        items = iter(source)
    _deaths.take_over()
    while True:
        try:
            with _deaths.reported():
                item = next(items)
        except StopIteration:
            return
        except RuntimeError as error:
            # An error inside a worker arrives as "Caught RuntimeError in DataLoader worker ...": the worker is alive.
            if not str(error).startswith("DataLoader"):
                raise
            assert isinstance(source.dataset, Photos)
            raise ResourceError(
                "a loader process died or did not respond",
                got=str(error).splitlines()[0],
                offenders=[f"reading {path}" for path in source.dataset.being_read],
                fix="free memory or shared memory, or load in the main process with device.workers=0",
            ) from None
        if isinstance(item, MaskclsError):
            del items  # the traceback keeps this frame alive, and would keep the workers alive too
            raise item
        assert isinstance(item, list)
        yield item


class _Deaths:
    """Delays torch's error for a dead worker until the main thread waits for a batch.

    torch raises it in its handler of SIGCHLD, so at any point of the main thread: usually in the middle of a training
    step, where nothing handles it.
    """

    def __init__(self) -> None:
        self.alarm: Callable[[int, FrameType | None], object] | None = None
        self.waiting = self.missed = False

    def take_over(self) -> None:
        """Install `hear` before torch's handler, which its first loader with workers installs in the main thread."""
        handler = signal.getsignal(signal.SIGCHLD)
        if callable(handler) and handler != self.hear and threading.current_thread() is threading.main_thread():
            self.alarm = handler
            signal.signal(signal.SIGCHLD, self.hear)

    def hear(self, number: int, frame: FrameType | None) -> None:
        """Handle the signal: call torch's handler now if a batch is waited for, else later."""
        self.missed = not self.waiting
        if self.waiting and self.alarm:
            self.alarm(number, frame)

    @contextmanager
    def reported(self) -> Iterator[None]:
        """Within this context, torch's RuntimeError for a dead worker is raised, also one delayed earlier."""
        self.waiting = True
        try:
            if self.missed:
                self.hear(signal.SIGCHLD, None)
            yield
        finally:
            self.waiting = False


_deaths = _Deaths()


def _tensors(batch: list[Pixels] | MaskclsError) -> list[Tensor] | MaskclsError:
    if isinstance(batch, MaskclsError):
        return batch
    tensors = [torch.from_numpy(images) for images in batch]
    if get_worker_info() is None:
        return tensors
    try:
        # Done here, because in torch's own thread a failure would print a traceback and then hang.
        return [tensor.share_memory_() for tensor in tensors]  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        return ResourceError(
            "no shared memory is left for the loader processes",
            got=str(error).splitlines()[0],
            fix="give the machine more (docker: --shm-size), or load in the main process with device.workers=0",
        )


def _calm_worker(_: int) -> None:
    # A forked worker that starts OpenCV's threads can deadlock, and would compete with the training threads for cores.
    cv2.setNumThreads(0)
    # Ctrl-C and a job scheduler's SIGTERM reach the whole process group; only the main process handles them. A killed
    # worker would be reported as a machine error, so a worker exits with 0. It must exit, because a main process that
    # ends for another reason also sends SIGTERM and waits.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))


def _image_key(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
