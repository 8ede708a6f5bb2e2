"""Class folders of a public data set: scikit-learn's digits, against a plain training with timm.

Data      1,797 handwritten digits (UCI Optical Recognition of Handwritten Digits, shipped with scikit-learn), enlarged
          from 8 x 8 to 32 x 32 pixels, as PNG files in DIR/train/<digit>/ and DIR/test/<digit>/. The last 360 rows are
          the test part: they were written by other people than most of the rows before them.
Compared  maskcls  the commands in benchmarks/README.md, section "Class folders".
          timm     a network of the same backbone with timm's loader, optimizer, schedule and cross-entropy; no
                   pretrained weights; the last epoch counts. --augment default: as its train.py (random crop, flip,
                   colour); none: no change of the photos, as a user who knows digits would choose.
Run       python benchmarks/digits.py make DIR
          python benchmarks/digits.py timm DIR --backbone resnet18 --epochs 20 --seeds 0 1 2
Read      The share of the test digits that are right, per seed, and the seconds of training.

N images.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
import timm
import torch
from sklearn.datasets import load_digits
from timm.data import ImageDataset, create_loader
from timm.optim import create_optimizer_v2
from timm.scheduler import CosineLRScheduler

SIDE = 32  # pixels
TEST_ROWS = 360


def make(root: Path) -> None:
    """Write the digits as PNG files in folders of classes."""
    digits = load_digits()
    train_rows = len(digits.target) - TEST_ROWS
    for row, (image_HW, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        folder = root / ("train" if row < train_rows else "test") / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        grey = np.round(image_HW * (255 / 16)).astype(np.uint8)
        large = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        if not cv2.imwrite(str(folder / f"{row:04}.png"), large):
            raise OSError(f"cannot write into {folder}")


def train_timm(
    root: Path, backbone: str, epochs: int, batch: int, lr: float, seed: int, *, augment: bool
) -> tuple[float, float]:
    """Train with timm's parts; returns the accuracy on the test part, and the seconds of training."""
    torch.manual_seed(seed)
    network = timm.create_model(backbone, num_classes=10)
    options = {"input_size": (3, SIDE, SIDE), "batch_size": batch, "device": torch.device("cpu"), "num_workers": 0}
    changes = {"interpolation": "random", "color_jitter": 0.4} if augment else {"no_aug": True}
    loader = create_loader(ImageDataset(str(root / "train")), is_training=True, **changes, **options)
    optimizer = create_optimizer_v2(network, opt="adamw", lr=lr, weight_decay=0.05)
    schedule = CosineLRScheduler(optimizer, t_initial=epochs, warmup_t=1, warmup_lr_init=lr / 100)
    started = time.perf_counter()
    for epoch in range(epochs):
        network.train()
        for images_BCHW, target_B in loader:
            loss = torch.nn.functional.cross_entropy(network(images_BCHW), target_B)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step(epoch + 1)
    seconds = time.perf_counter() - started
    network.eval()
    right = total = 0
    with torch.inference_mode():
        test = create_loader(ImageDataset(str(root / "test")), is_training=False, crop_pct=1.0, **options)
        for images_BCHW, target_B in test:
            right += int((network(images_BCHW).argmax(1) == target_B).sum())
            total += len(target_B)
    return right / total, seconds


def main() -> None:
    """Make the data, or train with timm."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["make", "timm"])
    parser.add_argument("root", type=Path)
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--augment", choices=["default", "none"], default="default")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    a = parser.parse_args()
    if a.what == "make":
        make(a.root)
        return
    for seed in a.seeds:
        accuracy, seconds = train_timm(
            a.root, a.backbone, a.epochs, a.batch, a.lr, seed, augment=a.augment == "default"
        )
        print(
            f"timm {a.backbone} seed {seed}: accuracy {accuracy:.4f} after {a.epochs} epochs, {seconds:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
