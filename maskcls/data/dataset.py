"""Row -> image. Stateless: what comes out depends on (seed, epoch, image) alone, not on workers or order.

B batch, H height, W width.
"""

from __future__ import annotations

import hashlib
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

from maskcls.data.photos.images import Pixels, decode, read_bytes
from maskcls.data.views.augment import augment
from maskcls.data.views.draws import Draws, draw
from maskcls.data.views.keyed_random import HOP, Keys
from maskcls.data.views.transforms import ViewSpec, build_pixel_changes, change_pixels, eval_view
from maskcls.errors import MaskclsError, ResourceError

TIMEOUT_S = 120
PREFETCH = 4


class Key(NamedTuple):
    """What a worker is asked for: a row, the epoch its augmentation belongs to (-1: no augmentation), and how often the
    row has come up in that epoch before.
    """

    row: int
    epoch: int = -1
    turn: int = 0


class Photos(Dataset[object]):
    """Images of a manifest, by row, as uint8 (H, W, 3), one for each spec.

    root    folder the paths are relative to.
    paths   (N,) relative paths.
    ids     (N,) row ids; the randomness of an image is keyed on its id, so adding rows changes no other image.
    specs   the views wanted; without a cache the image is read once for all of them.
    cached  one array (N, H, W, 3) of eval views for each spec, or None: files are decoded.
    bare    give eval views alone; the device augments them, by `draws`.
    """

    def __init__(
        self,
        root: Path,
        paths: Sequence[str],
        ids: Sequence[str],
        specs: Sequence[ViewSpec],
        *,
        seed: int,
        cached: Sequence[Pixels] | None = None,
        bare: bool = False,
    ) -> None:
        self.root, self.specs, self.seed, self.cached, self.bare = root, tuple(specs), seed, cached, bare
        # Arrays rather than lists: forked workers would copy a list's memory by touching its reference counts.
        self.paths: NDArray[np.str_] = np.asarray([] if cached else paths, dtype=np.str_)
        self.keys = np.array([_image_key(name) for name in ids], dtype=np.uint64)
        self.changes = [build_pixel_changes(spec) for spec in self.specs]

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, key: Key) -> list[Pixels] | MaskclsError:
        """Return one image per spec; a fault the user can act on is returned, not raised."""
        batch = self.__getitems__([key])
        return batch if isinstance(batch, MaskclsError) else [images[0] for images in batch]

    def __getitems__(self, keys: Sequence[Key]) -> list[Pixels] | MaskclsError:
        """Return a batch (B, H, W, 3) per spec; a fault the user can act on is returned, not raised.

        A worker's exception would reach the main process as the text of a traceback.
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
        """Return what the images of these rows undergo in these turns of these epochs, by the spec of this index."""
        return draw(self.specs[index], seed=self.seed, epoch_B=epochs, key_B=self._turned(rows, turns))

    def _turned(self, rows: NDArray[np.int64], turns: NDArray[np.int64]) -> Keys:
        return self.keys[rows] + turns.astype(np.uint64) * HOP

    def _eval_views(self, rows: NDArray[np.int64]) -> list[Pixels]:
        if self.cached:
            return [pixels[rows] for pixels in self.cached]
        views = [self._decoded(self.root / str(self.paths[row])) for row in rows]
        return [np.stack(images) for images in zip(*views, strict=True)]

    def _decoded(self, path: Path) -> list[Pixels]:
        data = read_bytes(path)
        # A spec's pixels must not depend on which others are wanted, so each decodes at the scale it would alone.
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
        # In a loader process torch, and so this, has one thread.
        images = augment(images, self.draws(index, rows, epochs, turns), spec.fill, threads=torch.get_num_threads())
        if changes:
            keys = self._turned(rows, turns)
            for i in np.flatnonzero(epochs >= 0):
                images[i] = change_pixels(images[i], changes, (self.seed, int(epochs[i]), int(keys[i])))
        return images


def loader(
    photos: Photos, plan: Iterable[Sequence[Key]], *, workers: int, pin: bool = False, keep: bool = False
) -> DataLoader[object]:
    """Load the batches in their order, each as a list of uint8 (B, H, W, 3) tensors, one per spec.

    keep: hold the loader processes for the next reading of the same plan.
    A fault arrives as a MaskclsError in place of its batch; read the loader through `batches`.
    """
    parallel = {"prefetch_factor": PREFETCH, "timeout": TIMEOUT_S, "persistent_workers": keep} if workers else {}
    with _without_advice_on_workers():
        return DataLoader(
            photos,
            batch_sampler=plan,  # type: ignore[arg-type]
            num_workers=workers,
            collate_fn=_tensors,
            worker_init_fn=_calm_worker,
            pin_memory=pin,
            # A loader draws a number when it starts: from the global generator, dropout would differ after a resume.
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
            # A fault inside a worker is passed on as "Caught RuntimeError in DataLoader worker ...": that is no death.
            if not str(error).startswith("DataLoader"):
                raise
            raise ResourceError(
                "a loader process died or fell silent",
                got=str(error).splitlines()[0],
                fix="free memory or shared memory, or load in the main process with device.workers=0",
            ) from None
        if isinstance(item, MaskclsError):
            del items  # the traceback holds this frame, and would hold the workers with it
            raise item
        assert isinstance(item, list)
        yield item


class _Deaths:
    """Keeps the news of a dead worker until a batch is waited for.

    torch raises it from the handler of SIGCHLD, and so wherever the main thread happens to be: as a rule in the middle
    of a training step, where nobody expects it.
    """

    def __init__(self) -> None:
        self.alarm: Callable[[int, FrameType | None], object] | None = None
        self.waiting = self.missed = False

    def take_over(self) -> None:
        """Put ourselves before torch's handler, which its first loader with workers installs in the main thread."""
        handler = signal.getsignal(signal.SIGCHLD)
        if callable(handler) and handler != self.hear and threading.current_thread() is threading.main_thread():
            self.alarm = handler
            signal.signal(signal.SIGCHLD, self.hear)

    def hear(self, number: int, frame: FrameType | None) -> None:
        """Take the signal: pass it on to torch at once, or later."""
        self.missed = not self.waiting
        if self.waiting and self.alarm:
            self.alarm(number, frame)

    @contextmanager
    def reported(self) -> Iterator[None]:
        """Raise what was kept, and what happens inside, as torch's RuntimeError."""
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
        # Here rather than on the way out, in a thread of torch's, where a failure is a traceback and then silence.
        return [tensor.share_memory_() for tensor in tensors]  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        return ResourceError(
            "no shared memory is left for the loader processes",
            got=str(error).splitlines()[0],
            fix="give the machine more (docker: --shm-size), or load in the main process with device.workers=0",
        )


def _calm_worker(_: int) -> None:
    # A forked worker that starts OpenCV's threads can deadlock, and would fight the training threads for cores.
    cv2.setNumThreads(0)
    # Ctrl-C, and the SIGTERM of a job scheduler, reach the whole process group, and the main process decides. A worker
    # that was killed would look like a fault of the machine; one that leaves with 0 does not. It must not stay either:
    # a main process that exits for another reason sends SIGTERM too, and waits.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))


def _image_key(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
