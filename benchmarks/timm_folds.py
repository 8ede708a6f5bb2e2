"""Train a network of timm's public parts, put together like its train.py, on folds of a run, and predict their rows.

    python benchmarks/timm_folds.py DATA RUN --weights FILE --folds 0 1 --epochs 2 --lr 1e-3 [--seed 0] [--frozen]

RUN is a finished run of maskcls on DATA: its folds, rows and labels are used. One network per fold, with one head of
all joint classes. As in train.py by default: RandomResizedCrop, flip and colour jitter 0.4, photos read with PIL in
every epoch, cosine schedule, no weight decay of biases and norms. Changed, because so few epochs are trained: AdamW,
batches of 64, half an epoch of warm-up, the schedule updated in every step, labels that are not smoothed. Changed,
because it is faster: channels last, denormals flushed, a fused optimizer, no further processes for photos. The last
epoch predicts: softmax over the joint classes, averaged over the photo and its mirror image.

--frozen trains the classifier alone: the rest keeps its weights and statistics, and no gradient is computed for it.

Prints one JSON line: `ids`, and `predicted`, the joint class of each.

B batch, C channels, H height, W width, J joint classes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from peer import Faces
from safetensors.torch import load_file
from timm.data import create_loader, resolve_data_config
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.utils import random_seed
from torch import Tensor, nn

from maskcls import config
from maskcls.data.rows import folds as folding
from maskcls.data.rows import manifest as tables
from maskcls.labels import Ints
from maskcls.rundir import RunDir

BATCH = 64
WARMUP_EPOCHS = 0.5
WEIGHT_DECAY = 0.05


@dataclass(frozen=True)
class Rows:
    """The rows of a run: ids, photos, joint classes (N,) of J, and the validation fold of each (N,)."""

    ids: list[str]
    photos: list[Path]
    joint_N: Ints
    fold_N: Ints
    classes: int

    def faces(self, places: Sequence[int]) -> Faces:
        """Return the photos of some rows with their joint class."""
        return Faces([(self.photos[place], (int(self.joint_N[place]),)) for place in places])


@dataclass(frozen=True)
class Recipe:
    """How a network is trained. lr: the highest rate; frozen: the classifier alone is trained."""

    backbone: str
    weights: Path
    size: tuple[int, int]
    epochs: int
    lr: float
    seed: int
    frozen: bool


def rows_of_run(data: Path, run: RunDir) -> Rows:
    """Read the training rows of a run; their labels are all known."""
    space = config.of_run(run.config).space
    frame, folds = tables.from_csv(run.manifest, space), folding.from_csv(run.folds)
    fold_of = dict(zip(folds["id"].tolist(), folds["fold"].tolist(), strict=True))
    ids = [one for one in frame["id"].tolist() if one in fold_of]
    frame = frame.set_index("id", drop=False).loc[ids]
    photos = [data / path for path in frame["path"].tolist()]
    fold_N = np.array([fold_of[one] for one in ids], np.int64)
    return Rows(ids, photos, space.encode(tables.labels(frame, space)), fold_N, space.size)


def network_of(recipe: Recipe, classes: int) -> nn.Module:
    """Build the network with the given weights; its classifier is new."""
    network: nn.Module = timm.create_model(recipe.backbone, num_classes=classes)
    found = network.load_state_dict(load_file(recipe.weights), strict=False)
    left = [name for name in found.missing_keys if not name.startswith(f"{network.pretrained_cfg['classifier']}.")]
    if left or found.unexpected_keys:
        raise SystemExit(f"{recipe.weights}: without {left}, and with unknown {found.unexpected_keys}")
    if recipe.frozen:
        network.requires_grad_(False)
        network.get_classifier().requires_grad_(True)
    return network.to(memory_format=torch.channels_last)


def logits_of(network: nn.Module, images_BCHW: Tensor, *, frozen: bool) -> Tensor:
    """Return the logits (B, J); frozen: with a gradient for the classifier alone."""
    images_BCHW = images_BCHW.contiguous(memory_format=torch.channels_last)
    with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen):
        features_BC = network.forward_head(network.forward_features(images_BCHW), pre_logits=True)
    logits_BJ: Tensor = network.get_classifier()(features_BC)
    return logits_BJ


def train(network: nn.Module, faces: Faces, recipe: Recipe) -> None:
    """Train the network in place."""
    loader = loader_of(network, faces, recipe, training=True)
    kind = {"opt": "adamw", "weight_decay": WEIGHT_DECAY, "fused": True}
    optimizer = create_optimizer_v2(network, lr=recipe.lr, **kind)
    schedule, epochs = create_scheduler_v2(
        optimizer,
        sched="cosine",
        num_epochs=recipe.epochs,
        warmup_epochs=WARMUP_EPOCHS,
        step_on_epochs=False,
        updates_per_epoch=len(loader),
    )
    updates = 0
    for _ in range(epochs):
        network.train(not recipe.frozen)
        for images_BCHW, target_B1 in loader:
            loss = nn.functional.cross_entropy(logits_of(network, images_BCHW, frozen=recipe.frozen), target_B1[:, 0])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            updates += 1
            schedule.step_update(num_updates=updates)


def predict(network: nn.Module, faces: Faces, recipe: Recipe) -> Ints:
    """Return the joint class (N,) of each photo, from the mean probability of it and of its mirror image."""
    network.eval()
    found = []
    with torch.inference_mode():
        for images_BCHW, _ in loader_of(network, faces, recipe, training=False):
            views = (images_BCHW, images_BCHW.flip(3))
            prob_BJ = sum(logits_of(network, view, frozen=True).softmax(1) for view in views)
            found.append(prob_BJ.argmax(1).numpy())
    return np.concatenate(found)


def loader_of(network: nn.Module, faces: Faces, recipe: Recipe, *, training: bool) -> Any:
    """Build timm's loader with the defaults of train.py, with the mean, deviation and crop of the network's weights."""
    of_network = resolve_data_config({}, model=network)
    interpolation = "random" if training else of_network["interpolation"]
    return create_loader(
        faces,
        input_size=(3, *recipe.size),
        batch_size=min(BATCH, len(faces)),  # a loader for training leaves out the rest of a batch
        is_training=training,
        interpolation=interpolation,
        mean=of_network["mean"],
        std=of_network["std"],
        crop_pct=of_network["crop_pct"],
        color_jitter=0.4,
        num_workers=0,
        persistent_workers=False,
        device=torch.device("cpu"),
    )


def folds_predicted(rows: Rows, folds: Sequence[int], recipe: Recipe) -> tuple[list[str], list[int]]:
    """Train one network per fold; returns the ids of the folds' rows, and their predicted joint class."""
    ids: list[str] = []
    predicted: list[int] = []
    for fold in folds:
        random_seed(recipe.seed)
        network = network_of(recipe, rows.classes)
        train(network, rows.faces(np.flatnonzero(rows.fold_N != fold).tolist()), recipe)
        held_out = np.flatnonzero(rows.fold_N == fold).tolist()
        ids += [rows.ids[place] for place in held_out]
        predicted += predict(network, rows.faces(held_out), recipe).tolist()
    return ids, predicted


def main(argv: Sequence[str] | None = None) -> int:
    """Train, and print one JSON line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--backbone", default="mobilenetv4_conv_small")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--size", type=int, nargs=2, default=(128, 96), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--folds", type=int, nargs="+", required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--lr", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--frozen", action="store_true")
    a = parser.parse_args(argv)
    torch.set_flush_denormal(True)
    torch.set_num_threads(1)
    recipe = Recipe(a.backbone, a.weights, tuple(a.size), a.epochs, a.lr, a.seed, a.frozen)
    ids, predicted = folds_predicted(rows_of_run(a.data, RunDir(a.run)), a.folds, recipe)
    print(json.dumps({"ids": ids, "predicted": predicted}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
