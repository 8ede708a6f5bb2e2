"""`maskcls train` against timm's loader and a training loop of timm's public parts, built like its train.py.

Compared  maskcls       `maskcls train --config multi` with its defaults: augmentation, average of the weights, gradient
                        clipping.
          timm default  the defaults of timm's train.py: contiguous fp32, PIL photos, RandomResizedCrop, flip and colour
                        jitter 0.4, its loader with the prefetcher, 4 workers (or the number of cores, if fewer), no
                        gradient clipping, denormals not flushed.
          timm best     the same with the layout and number type with the fastest bare training step on this machine
                        (bare.py), denormals flushed, a fused optimizer, and a loader that also works between epochs.
          All use the same network (trunk and three heads), batch, size, photos and AdamW; all keep an average of the
          weights, which in train.py is an option. None compiles the network.
Counted   Images/s of training with its loader, from the second epoch on: for maskcls `images_per_second` of log.jsonl.
          Validation is not counted, because timm's loop here has none. maskcls's loader may work ahead during
          validation, as timm's does between epochs in `best`; with more photos this matters less.
Run       python benchmarks/peer.py [--photos DIR] [--backbones resnet18] [--rounds 5] [--json peer.json]
Read      Ratios of images/s: 2.00 means that maskcls trains twice as many images in the same time.

B batch, C channels, H height, W width, T tasks.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from alternate import (
    Contestant,
    Record,
    Spread,
    add_arguments,
    alternate,
    cores,
    environment,
    in_process,
    ratios,
    report_backbones,
    say,
)
from bare import Setting, Task, loss_of, parse_setting
from photos import Order, ensure_photos, train_files
from PIL import Image
from step import bare_command, ours
from timm.data import create_loader
from timm.optim import create_optimizer_v2
from timm.utils import AverageMeter, ModelEmaV3
from torch import Tensor
from torch.utils.data import Dataset

FOLDS = 5  # of the `multi` recipe: one fifth of the people is not trained on
LOG_EVERY_STEPS = 50
EMA_DECAY = 0.9998
HEADS = ("mask", "gender", "age")


class Faces(Dataset[Any]):
    """Photos, read with PIL, and their labels; timm's loader sets the transform."""

    def __init__(self, files: Sequence[tuple[Path, tuple[int, ...]]]) -> None:
        self.files = list(files)
        self.transform: Callable[[Image.Image], Any] | None = None

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Any, Tensor]:
        path, labels = self.files[index]
        with Image.open(path) as photo:
            image = photo.convert("RGB")
        assert self.transform is not None
        return self.transform(image), torch.tensor(labels)


@dataclass(frozen=True)
class Recipe:
    """The settings of timm's loop. tuned: True for `timm best`, see the top of this file."""

    setting: Setting
    workers: int
    tuned: bool


def training_files(root: Path) -> list[tuple[Path, tuple[int, int, int]]]:
    """Return as many photos as one fold of maskcls trains on: those of four fifths of the people."""
    files, per_person = list(train_files(root)), 7
    return [file for i, file in enumerate(files) if i // per_person % FOLDS]


def timm_loader(root: Path, task: Task, recipe: Recipe) -> Any:
    """Build timm's training loader with the defaults of its train.py."""
    return create_loader(
        Faces(training_files(root)),
        input_size=(3, *task.size),
        batch_size=task.batch,
        is_training=True,
        interpolation="random",
        color_jitter=0.4,
        num_workers=recipe.workers,
        use_multi_epochs_loader=recipe.tuned,
        device=torch.device("cpu"),
    )


def timm_epochs(root: Path, task: Task, recipe: Recipe, epochs: int) -> list[Record]:
    """Train with timm's parts; returns images and seconds of each epoch."""
    network = task.network(recipe.setting)
    options: dict[str, Any] = {"fused": True} if recipe.tuned else {}
    optimizer = create_optimizer_v2(network, opt="adamw", lr=3e-4, weight_decay=0.05, **options)
    average = ModelEmaV3(network, decay=EMA_DECAY)
    loader = timm_loader(root, task, recipe)
    found, updates = [], 0
    for _ in range(epochs):
        network.train()
        images_seen, losses = 0, AverageMeter()
        started = time.perf_counter()
        for step, (images_BCHW, target_BT) in enumerate(loader):
            loss = _update(network, optimizer, images_BCHW, target_BT, recipe.setting)
            updates += 1
            average.update(network, step=updates)
            if step % LOG_EVERY_STEPS == 0:
                losses.update(loss.item(), len(images_BCHW))
            images_seen += len(images_BCHW)
        found.append({"images": images_seen, "seconds": time.perf_counter() - started, "loss": losses.avg})
    return found


def _update(
    network: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    images_BCHW: Tensor,
    target_BT: Tensor,
    setting: Setting,
) -> Tensor:
    images_BCHW = setting.place(images_BCHW)
    with setting.autocast():
        logits = network(images_BCHW)
    loss = loss_of(logits, dict(zip(HEADS, target_BT.unbind(1), strict=True)))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


def later_speed(epochs: Sequence[Record]) -> float:
    """Return images/s over all epochs except the first.

    >>> later_speed([{"images": 9, "seconds": 9.0}, {"images": 30, "seconds": 1.0}, {"images": 30, "seconds": 2.0}])
    20.0
    """
    return float(sum(e["images"] for e in epochs[1:]) / sum(e["seconds"] for e in epochs[1:]))


def contestant_main(argv: Sequence[str]) -> None:
    """Run the timm contestant: print one JSON line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("photos", type=Path)
    parser.add_argument("--backbone")
    parser.add_argument("--size", type=int, nargs=2)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--setting", type=parse_setting)
    parser.add_argument("--tuned", action="store_true")
    a = parser.parse_args(argv)
    if a.tuned:
        torch.set_flush_denormal(True)
    task = Task(a.backbone, "multi", tuple(a.size), a.batch)
    epochs = timm_epochs(a.photos, task, Recipe(a.setting, a.workers, a.tuned), a.epochs)
    print(json.dumps({"epochs": epochs, "images_per_second": later_speed(epochs), "threads": torch.get_num_threads()}))


def timm_run(data: Path, backbone: str, a: argparse.Namespace, setting: str, *tuned: str) -> Record:
    """Run the timm contestant in a new process."""
    command = [sys.executable, str(Path(__file__).resolve()), "contestant", str(data), "--backbone", backbone]
    command += ["--size", *map(str, a.size), "--batch", str(a.batch), "--epochs", str(a.epochs)]
    command += ["--workers", str(a.workers), "--setting", setting, *tuned]
    return in_process(command, environment(a.threads))


def measure(data: Path, backbone: str, a: argparse.Namespace) -> tuple[Record, dict[str, Spread]]:
    """Measure one backbone; returns all raw figures, and the ratios over the rounds."""
    command = bare_command(backbone, a, {"train": "best", "infer": "best"}, 1)
    choice = in_process([*command, "--kinds", "train"], environment(a.threads))
    say(f"{backbone}: timm best uses {choice['train_setting']}")
    contestants = [
        Contestant("maskcls", partial(ours, data, backbone, a)),
        Contestant("timm default", partial(timm_run, data, backbone, a, "contiguous-fp32")),
        Contestant("timm best", partial(timm_run, data, backbone, a, choice["train_setting"], "--tuned")),
    ]
    rounds = alternate(contestants, a.rounds, say)
    found = {
        f"maskcls / {name}": ratios(rounds, "maskcls", name, "images_per_second")
        for name in ("timm default", "timm best")
    }
    return {"choice": choice, "rounds": rounds}, found


def arguments_of(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--photos", type=Path, default=None, metavar="DIR", help="created if missing; see photos.py")
    parser.add_argument("--count", type=int, default=2100, help="photos to make; four fifths are trained on")
    parser.add_argument("--backbones", nargs="+", default=["mobilenetv4_conv_small", "resnet18"])
    parser.add_argument("--size", type=int, nargs=2, default=(128, 96), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=3, help="2 or more; the first is not counted")
    parser.add_argument("--workers", type=int, default=min(4, cores()), help="of timm's loader")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="further overrides for maskcls")
    parser.set_defaults(views="none")
    return parser.parse_args(argv)


def main() -> None:
    """Print one table per backbone."""
    if sys.argv[1:2] == ["contestant"]:
        contestant_main(sys.argv[2:])
        return
    a = arguments_of()
    with tempfile.TemporaryDirectory() as scratch:
        data = ensure_photos(a.photos or Path(scratch) / "photos", Order(a.count, 0))
        report_backbones(a, lambda backbone: measure(data, backbone, a), "training images/s")


if __name__ == "__main__":
    main()
