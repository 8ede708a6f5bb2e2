"""The bare training step and the bare forward pass, on images that are already in memory.

Measured  images/s of forward, backward and a fused AdamW step, and of the forward pass alone in eval mode. Network:
          a timm trunk with one linear head of 18 classes, or three of 3, 2 and 3, and cross-entropy. Denormals are
          flushed. Not counted: loading, augmentation, an average of the weights, gradient clipping, scores, saving.
          Not done: compilation, fusing of normalisation layers. So this is the speed of plain PyTorch on this
          processor; a complete training can at best come close to it.
Settings  LAYOUT-DTYPE with channels_last or contiguous, fp32 or bf16 (autocast). `best` runs all four in turn for a few
          steps and then measures the fastest, separately for training and for the forward pass.
Run       python benchmarks/bare.py --backbone mobilenetv4_conv_small --setting best
Read      One JSON line. `train_images_per_s` is images / seconds over all measured steps; `typical_train_images_per_s`
          is that of the median step, and is higher if the machine did other work in between.

B batch, C channels, H height, W width.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, product
from typing import Any

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

HEADS = {"joint": {"joint": 18}, "multi": {"mask": 3, "gender": 2, "age": 3}}
LAYOUTS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}
DTYPES = ("fp32", "bf16")
BATCHES = 4
PROBE_TURNS = 3

Batch = tuple[Tensor, dict[str, Tensor]]


@dataclass(frozen=True)
class Setting:
    """A memory layout and a number type."""

    layout: str
    dtype: str

    def __str__(self) -> str:
        return f"{self.layout}-{self.dtype}"

    def autocast(self) -> torch.autocast:
        """Return the autocast context for forward passes."""
        return torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.dtype == "bf16")

    def place(self, thing: Any) -> Any:
        """Return a network or images in this layout."""
        return thing.to(memory_format=LAYOUTS[self.layout])


SETTINGS = tuple(Setting(layout, dtype) for layout, dtype in product(LAYOUTS, DTYPES))


def parse_setting(text: str) -> Setting:
    """Parse a setting.

    >>> parse_setting("channels_last-bf16")
    Setting(layout='channels_last', dtype='bf16')
    """
    found = {str(setting): setting for setting in SETTINGS}
    if text not in found:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(found)}")
    return found[text]


class Net(nn.Module):
    """A trunk with linear heads: images (B, 3, H, W) to logits {head: (B, classes)}."""

    def __init__(self, backbone: str, classes: Mapping[str, int], size: tuple[int, int]) -> None:
        super().__init__()
        options: dict[str, Any] = (
            {"img_size": size} if getattr(timm.get_pretrained_cfg(backbone), "fixed_input_size", False) else {}
        )
        self.trunk = timm.create_model(backbone, num_classes=0, **options)
        with torch.no_grad():
            features = self.trunk.eval()(torch.zeros(1, 3, *size)).shape[1]
        self.trunk.train()
        self.heads = nn.ModuleDict({name: nn.Linear(features, count) for name, count in classes.items()})

    def forward(self, images_BCHW: Tensor) -> dict[str, Tensor]:
        """Return the logits of every head."""
        features = self.trunk(images_BCHW)
        return {name: head(features) for name, head in self.heads.items()}


@dataclass(frozen=True)
class Task:
    """The work to measure: a network on batches of images of (height, width) pixels."""

    backbone: str
    heads: str
    size: tuple[int, int]
    batch: int

    def network(self, setting: Setting) -> Net:
        """Build the network with fixed random weights."""
        torch.manual_seed(0)
        network: Net = setting.place(Net(self.backbone, HEADS[self.heads], self.size))
        return network

    def batches(self, setting: Setting) -> list[Batch]:
        """Return batches of images and labels, to be used in turn."""
        generator = torch.Generator().manual_seed(0)
        found = []
        for _ in range(BATCHES):
            images = setting.place(torch.randn(self.batch, 3, *self.size, generator=generator))
            heads = HEADS[self.heads].items()
            found.append((images, {n: torch.randint(c, (self.batch,), generator=generator) for n, c in heads}))
        return found


def loss_of(logits: Mapping[str, Tensor], labels: Mapping[str, Tensor]) -> Tensor:
    """Return the sum of the heads' cross-entropies."""
    return torch.stack([F.cross_entropy(logits[name].float(), labels[name]) for name in labels]).sum()


def train_step(task: Task, setting: Setting) -> Callable[[], None]:
    """Return a function that makes the next training step."""
    network, batches = task.network(setting), cycle(task.batches(setting))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        images, labels = next(batches)
        with setting.autocast():
            logits = network(images)
        loss = loss_of(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def infer_step(task: Task, setting: Setting) -> Callable[[], None]:
    """Return a function that makes the next forward pass."""
    network, batches = task.network(setting).eval(), cycle(task.batches(setting))

    @torch.inference_mode()
    def step() -> None:
        with setting.autocast():
            network(next(batches)[0])

    return step


KINDS = {"train": train_step, "infer": infer_step}


def seconds_of(step: Callable[[], None], count: int) -> list[float]:
    """Return the seconds of each of `count` steps."""
    seconds = []
    for _ in range(count):
        started = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - started)
    return seconds


def probe(task: Task, kind: str) -> dict[str, float]:
    """Return images/s of every setting, the fastest first.

    The settings run in turn, and the shortest step of each counts, because other work can only make a step longer.
    """
    steps = {str(setting): KINDS[kind](task, setting) for setting in SETTINGS}
    for step in steps.values():
        step()
    shortest = dict.fromkeys(steps, float("inf"))
    for _ in range(PROBE_TURNS):
        for name, step in steps.items():
            shortest[name] = min(shortest[name], *seconds_of(step, 2))
    return {name: task.batch / seconds for name, seconds in sorted(shortest.items(), key=lambda item: item[1])}


def figures(kind: str, batch: int, seconds: Sequence[float]) -> dict[str, float]:
    """Return images/s over all steps, and of the median step.

    >>> figures("train", 10, [1.0, 1.0, 3.0])
    {'train_images_per_s': 6.0, 'typical_train_images_per_s': 10.0}
    """
    speed, typical = batch * len(seconds) / sum(seconds), batch / statistics.median(seconds)
    return {f"{kind}_images_per_s": speed, f"typical_{kind}_images_per_s": typical}


def measure(task: Task, kind: str, setting: Setting | None, *, warmup: int, steps: int) -> dict[str, Any]:
    """Measure one kind with a setting (None: the fastest one); returns the figures and the chosen setting."""
    record: dict[str, Any] = {}
    if setting is None:
        record[f"{kind}_probe"] = probe(task, kind)
        setting = parse_setting(next(iter(record[f"{kind}_probe"])))
    step = KINDS[kind](task, setting)
    seconds = seconds_of(step, warmup + steps)[warmup:]
    return record | figures(kind, task.batch, seconds) | {f"{kind}_setting": str(setting), f"{kind}_step_s": seconds}


def optional_setting(text: str) -> Setting | None:
    """Parse a setting; None for `best`."""
    return None if text == "best" else parse_setting(text)


def add_task_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the work to measure."""
    parser.add_argument("--size", type=int, nargs=2, default=(128, 96), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--heads", choices=tuple(HEADS), default="multi")


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="mobilenetv4_conv_small")
    add_task_arguments(parser)
    parser.add_argument("--setting", type=optional_setting, default=None, help="of training; default: best")
    parser.add_argument("--infer-setting", type=optional_setting, default=None, help="of the forward pass")
    parser.add_argument("--kinds", nargs="+", choices=tuple(KINDS), default=tuple(KINDS))
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=None, help="default: torch's choice")
    a = parser.parse_args()
    # Before any thread is started: a thread inherits the flag when it is created.
    torch.set_flush_denormal(True)
    if a.threads:
        torch.set_num_threads(a.threads)
    task = Task(a.backbone, a.heads, tuple(a.size), a.batch)
    record: dict[str, Any] = {"backbone": a.backbone, "threads": torch.get_num_threads()}
    for kind in a.kinds:
        setting = a.setting if kind == "train" else a.infer_setting
        record |= measure(task, kind, setting, warmup=a.warmup, steps=a.steps)
    print(json.dumps(record))


if __name__ == "__main__":
    main()
