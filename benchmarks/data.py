"""Speed of data loaders: one process, one thread, from JPEG files of 384 x 512 pixels to augmented uint8 batches.

Compared  timm         PIL decoding, then timm's default training transform (random crop, flip, colour jitter 0.4).
          torchvision  PIL decoding, then torchvision's v2 transforms on uint8 tensors.
          cv2          OpenCV decoding, then albumentations.
          ours cold    maskcls with an empty cache: decoding and filling the cache are counted.
          ours cached  maskcls in a later epoch.
          torchvision, cv2 and ours apply the augmentation of the `multi` recipe: a centre crop, a resize to 128 x 96,
          and with its probabilities a flip, an affine map, a change of brightness and contrast, and cutout. timm uses
          its own default augmentation.
Counted   Images/s over one pass of all photos, in batches of 64, without normalisation. Every file has been read
          once before, so the disk does not count. torch, OpenCV and BLAS use one thread.
Run       python benchmarks/data.py [--photos DIR] [--count 1000] [--rounds 5] [--json data.json]
Read      Ratios of images/s over timm's; below them images/s, the median over the rounds.

B batch, C channels, H height, W width.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from alternate import (
    Contestant,
    Record,
    add_arguments,
    alternate,
    environment,
    in_process,
    ratios,
    say,
    settings_of,
    table,
    write_record,
)
from numpy.typing import NDArray
from photos import Order, ensure_photos, train_files
from PIL import Image

Pixels = NDArray[np.uint8]
Size = tuple[int, int]

BATCH = 64
# The `multi` recipe.
CROP, SHIFT, SCALE, ROTATE_DEG, LIGHT, CUTOUT = 0.9, 0.05, 0.1, 10.0, 0.2, 0.3
P_FLIP, P_GEOMETRY, P_COLOUR, P_CUTOUT = 0.5, 0.7, 0.5, 0.25


# --- loaders: each yields batches (B, H, W, 3) uint8 of the files in order


def timm_batches(files: Sequence[Path], size: Size, cache: Path) -> Iterator[Pixels]:
    """Load as timm does by default; uint8, as for its prefetcher."""
    from timm.data import create_transform

    transform = create_transform(
        (3, *size), is_training=True, interpolation="random", color_jitter=0.4, use_prefetcher=True
    )
    # timm's arrays are (3, H, W).
    return _stacked(files, lambda path: np.asarray(transform(_pil(path))).transpose(1, 2, 0))


def torchvision_batches(files: Sequence[Path], size: Size, cache: Path) -> Iterator[Pixels]:
    """Load with PIL and torchvision's v2 transforms."""
    from torchvision.transforms import v2

    steps = [
        v2.PILToTensor(),
        v2.Resize(size, antialias=True),
        v2.RandomHorizontalFlip(P_FLIP),
        v2.RandomApply(
            [v2.RandomAffine(ROTATE_DEG, (SHIFT, SHIFT), (1 - SCALE, 1 + SCALE), interpolation=_bilinear())],
            P_GEOMETRY,
        ),
        v2.RandomApply([v2.ColorJitter(brightness=LIGHT, contrast=LIGHT)], P_COLOUR),
        v2.RandomErasing(P_CUTOUT, scale=(CUTOUT**2, CUTOUT**2), ratio=(1, 1), value=(124, 116, 104)),
    ]
    transform = v2.Compose(steps)
    return _stacked(files, lambda path: transform(_centre(_pil(path))).permute(1, 2, 0).numpy())


def cv2_batches(files: Sequence[Path], size: Size, cache: Path) -> Iterator[Pixels]:
    """Load with OpenCV and albumentations."""
    import albumentations as A
    import cv2

    cv2.setNumThreads(0)
    transform = A.Compose(
        [
            A.HorizontalFlip(p=P_FLIP),
            A.Affine(
                translate_percent=(-SHIFT, SHIFT),
                scale=(1 - SCALE, 1 + SCALE),
                rotate=(-ROTATE_DEG, ROTATE_DEG),
                border_mode=cv2.BORDER_REFLECT_101,
                p=P_GEOMETRY,
            ),
            A.RandomBrightnessContrast(LIGHT, LIGHT, p=P_COLOUR),
            A.CoarseDropout((1, 1), (CUTOUT, CUTOUT), (CUTOUT, CUTOUT), fill=(124, 116, 104), p=P_CUTOUT),
        ]
    )

    def view(path: Path) -> Pixels:
        image = cv2.imread(str(path))
        assert image is not None, path
        height, width = image.shape[:2]
        top, left = round(height * (1 - CROP) / 2), round(width * (1 - CROP) / 2)
        image = cv2.resize(image[top : height - top, left : width - left], size[::-1], interpolation=cv2.INTER_AREA)
        found: Pixels = transform(image=cv2.cvtColor(image, cv2.COLOR_BGR2RGB))["image"]
        return found

    return _stacked(files, view)


def our_batches(files: Sequence[Path], size: Size, cache: Path) -> Iterator[Pixels]:
    """Load as in a maskcls training, from the cache, which is filled first if it is empty."""
    from maskcls import config
    from maskcls.data.dataset import Key, Photos, batches, loader
    from maskcls.data.photos.cache import build_pack
    from maskcls.training.experiment import view_spec

    os.environ["MASKCLS_CACHE"] = str(cache)
    cfg, _ = config.load(config.find(Path("multi")), [f"transforms.size={list(size)}"])
    root, names = files[0].parent.parent, [f"{path.parent.name}/{path.name}" for path in files]
    spec = view_spec(cfg)
    photos = Photos(root, names, names, [spec], seed=0, cached=[build_pack(root, names, spec, threads=1)])
    rows = range(len(files))
    plan = [[Key(row, 0) for row in rows[start : start + BATCH]] for start in range(0, len(files), BATCH)]
    for (images,) in batches(loader(photos, plan, workers=0)):
        yield images.numpy()


LOADERS: dict[str, Callable[[Sequence[Path], Size, Path], Iterator[Pixels]]] = {
    "timm": timm_batches,
    "torchvision": torchvision_batches,
    "cv2": cv2_batches,
    "ours": our_batches,
}
CONTESTANTS = ("timm", "torchvision", "cv2", "ours cold", "ours cached")


def _stacked(files: Sequence[Path], view: Callable[[Path], Any]) -> Iterator[Pixels]:
    for start in range(0, len(files), BATCH):
        yield np.stack([view(path) for path in files[start : start + BATCH]])


def _pil(path: Path) -> Image.Image:
    with Image.open(path) as photo:
        return photo.convert("RGB")


def _centre(photo: Image.Image) -> Image.Image:
    left, top = round(photo.width * (1 - CROP) / 2), round(photo.height * (1 - CROP) / 2)
    return photo.crop((left, top, photo.width - left, photo.height - top))


def _bilinear() -> Any:
    from torchvision.transforms import InterpolationMode

    return InterpolationMode.BILINEAR


# --- one contestant


def measure(name: str, files: Sequence[Path], size: Size) -> Record:
    """Make one counted pass, after an uncounted pass for `cached`; returns images/s.

    A warm-up of one batch comes first, so that imports and first calls are not counted.
    """
    loader, _, state = name.partition(" ")
    for path in files:
        path.read_bytes()
    with tempfile.TemporaryDirectory() as scratch:
        _count(LOADERS[loader](files[:BATCH], size, Path(scratch) / "warm-up"), size)
        if state == "cached":
            _count(LOADERS[loader](files, size, Path(scratch) / "cache"), size)
        started = time.perf_counter()
        images = _count(LOADERS[loader](files, size, Path(scratch) / "cache"), size)
        seconds = time.perf_counter() - started
    assert images == len(files), f"{name} returned {images} images for {len(files)} files"
    return {"images_per_second": images / seconds}


def _count(batches: Iterator[Pixels], size: Size) -> int:
    images = 0
    for batch_BHWC in batches:
        assert batch_BHWC.dtype == np.uint8, batch_BHWC.dtype
        assert batch_BHWC.shape[1:] == (*size, 3), batch_BHWC.shape
        images += len(batch_BHWC)
    return images


def contestant_main(name: str, root: Path, size: Size) -> None:
    """Run one contestant: print one JSON line."""
    import torch

    torch.set_num_threads(1)
    random.seed(0)  # timm and torchvision draw from the shared generators
    torch.manual_seed(0)
    print(json.dumps(measure(name, [path for path, _ in train_files(root)], size)))


# --- all


def run(name: str, data: Path, size: Size) -> Record:
    """Run one contestant in a new process with one thread."""
    script = str(Path(__file__).resolve())
    return in_process([sys.executable, script, "contestant", name, str(data), *map(str, size)], environment(1))


def main() -> None:
    """Print ratios over timm's loader, and images/s."""
    if sys.argv[1:2] == ["contestant"]:
        contestant_main(sys.argv[2], Path(sys.argv[3]), (int(sys.argv[4]), int(sys.argv[5])))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--photos", type=Path, default=None, metavar="DIR", help="created if missing; see photos.py")
    parser.add_argument("--count", type=int, default=700)
    parser.add_argument("--size", type=int, nargs=2, default=(128, 96), metavar=("HEIGHT", "WIDTH"))
    parser.set_defaults(threads=1)
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        data = ensure_photos(a.photos or Path(scratch) / "photos", Order(a.count, 0))
        size = (a.size[0], a.size[1])
        each = [Contestant(name, lambda name=name: run(name, data, size)) for name in CONTESTANTS]  # type: ignore[misc]
        rounds = alternate(each, a.rounds, say)
    found = {
        f"{name} / timm": ratios(rounds, name, "timm", "images_per_second") for name in CONTESTANTS if name != "timm"
    }
    print(table("loading, images/s", found))
    for name in CONTESTANTS:
        print(f"{name:12} {statistics.median(one[name]['images_per_second'] for one in rounds):7.0f} images/s")
    if a.json:
        write_record(a.json, threads=1, settings=settings_of(a), raw=rounds, found=found)


if __name__ == "__main__":
    main()
