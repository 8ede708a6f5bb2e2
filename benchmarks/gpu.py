"""On a GPU: `maskcls train` against the bare compiled loop and timm's loop, and parallel folds; 10 minutes.

Compared  bare         the training step only, bf16, channels_last, compiled, fused AdamW, on images that are already on
                       the device.
          maskcls      `maskcls train`, the same network, batch and format, compiled; photos from the cache, augmented
                       on the device, with its average of the weights and clipping.
          timm         timm's loader and a loop of its public parts (see peer.py), the same network and format,
                       compiled, an average of the weights.
          folds        three folds of the small network with train.fold_jobs=3, against fold_jobs=1.
Counted   Images/s of training from the second epoch on; for the folds the wall time of the command, including start-up
          and compiling. Also the share of time in which the GPU was busy, and its largest memory use, both sampled with
          nvidia-smi.
Run       python benchmarks/gpu.py [--photos DIR] [--rounds 2] [--json gpu.json]
Read      Ratios: maskcls / bare is the share of the bare loop's speed that a complete training reaches; at most 1.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import torch
from alternate import (
    MASKCLS,
    Contestant,
    Record,
    add_arguments,
    alternate,
    cores,
    environment,
    in_process,
    maskcls_train,
    ratios,
    say,
    settings_of,
    table,
    write_record,
)
from bare import HEADS, Net, loss_of
from peer import EMA_DECAY, Faces, training_files
from photos import Order, ensure_photos

BACKBONES = ("resnet50", "mobilenetv4_conv_small")
SMALL = "mobilenetv4_conv_small"
SAMPLE_S = 0.2
STEPS, WARM_UP = 60, 15


def network_of(a: argparse.Namespace) -> tuple[Net, torch.nn.Module]:
    """Return the network on the device, and the module to call: the network, or its compiled form."""
    torch.manual_seed(0)
    network = Net(a.backbone, HEADS["multi"], (a.size, a.size)).to(a.device, memory_format=torch.channels_last)
    return network.train(), torch.compile(network) if a.compile else network  # type: ignore[return-value]


def step_of(a: argparse.Namespace, model: torch.nn.Module, optimizer: torch.optim.Optimizer, images, labels) -> None:  # type: ignore[no-untyped-def]
    """Make one training step."""
    with torch.autocast(a.device, torch.bfloat16):
        logits = model(images)
    loss = loss_of(logits, labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def wait(device: str) -> None:
    """Wait until the device has finished all queued work."""
    if device == "cuda":
        torch.cuda.synchronize()


def bare(a: argparse.Namespace) -> Record:
    """Train on images that are already on the device."""
    network, model = network_of(a)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)
    images = torch.randn(a.batch, 3, a.size, a.size, device=a.device).to(memory_format=torch.channels_last)
    labels = {name: torch.randint(count, (a.batch,), device=a.device) for name, count in HEADS["multi"].items()}
    for _ in range(WARM_UP):
        step_of(a, model, optimizer, images, labels)
    wait(a.device)
    started = time.perf_counter()
    for _ in range(STEPS):
        step_of(a, model, optimizer, images, labels)
    wait(a.device)
    return {"images_per_second": a.batch * STEPS / (time.perf_counter() - started)}


def timm_loop(a: argparse.Namespace) -> Record:
    """Train with timm's loader and parts."""
    from timm.data import create_loader
    from timm.optim import create_optimizer_v2
    from timm.utils import ModelEmaV3

    network, model = network_of(a)
    optimizer = create_optimizer_v2(network, opt="adamw", lr=3e-4, weight_decay=0.05, fused=True)
    average = ModelEmaV3(network, decay=EMA_DECAY)
    loader = create_loader(
        Faces(training_files(a.photos)),
        input_size=(3, a.size, a.size),
        batch_size=a.batch,
        is_training=True,
        interpolation="random",
        color_jitter=0.4,
        num_workers=cores(),
        pin_memory=a.device == "cuda",
        use_multi_epochs_loader=True,
        device=torch.device(a.device),
    )
    speeds = []
    for _ in range(a.epochs):
        started, seen = time.perf_counter(), 0
        for images, target in loader:
            labels = dict(zip(HEADS["multi"], target.to(a.device).unbind(1), strict=True))
            step_of(a, model, optimizer, images.to(a.device, memory_format=torch.channels_last), labels)
            average.update(network)
            seen += len(images)
        wait(a.device)
        speeds.append(seen / (time.perf_counter() - started))
    return {"images_per_second": statistics.harmonic_mean(speeds[1:])}


def settings(a: argparse.Namespace, backbone: str) -> list[str]:
    """Return the overrides of `maskcls train` that give it the same settings as the other contestants."""
    return [
        *("--config", "multi", f"model.backbone={backbone}", f"transforms.size=[{a.size},{a.size}]"),
        *(f"train.batch_size={a.batch}", f"train.epochs={a.epochs}", f"device.type={a.device}"),
        *("device.precision=bf16", "device.memory_format=channels_last", f"device.compile={a.compiled}"),
    ]


def ours(a: argparse.Namespace, cache: Path, backbone: str) -> Record:
    """Run `maskcls train` on one fold."""
    with tempfile.TemporaryDirectory() as scratch:
        env = environment(cores(), MASKCLS_CACHE=str(cache))
        return maskcls_train(a.photos, Path(scratch) / "run", settings(a, backbone), env)


def folds(a: argparse.Namespace, cache: Path, jobs: int) -> Record:
    """Train three folds of the small network; returns folds per minute."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [*MASKCLS, "train", str(a.photos), "--run", f"{scratch}/run", "--folds", "0,1,2"]
        started = time.monotonic()
        subprocess.run(
            [*command, *settings(a, a.small), f"train.fold_jobs={jobs}"],
            env=environment(cores(), MASKCLS_CACHE=str(cache)),
            check=True,
            capture_output=True,
        )
        return {"folds_per_minute": 180 / (time.monotonic() - started)}


@contextlib.contextmanager
def watched(record: Record) -> Iterator[None]:
    """Add the GPU's busy share and largest memory during the block to the record, if nvidia-smi is installed."""
    query = ["nvidia-smi", "--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits"]
    try:
        with subprocess.Popen([*query, f"-lms={int(SAMPLE_S * 1000)}"], stdout=subprocess.PIPE, text=True) as smi:
            try:
                yield
            finally:
                smi.terminate()
                rows = [[float(part) for part in line.split(",")] for line in smi.communicate()[0].splitlines()]
                busy = [row[0] for row in rows if row[1] > 1000]  # only while the process has data on the device
                record["busy_percent"] = statistics.median(busy) if busy else 0.0
                record["memory_mib"] = max((row[1] for row in rows), default=0.0)
    except FileNotFoundError:
        yield


def seen(run: partial[Record]) -> Record:
    """Run a contestant and sample the GPU."""
    record: Record = {}
    with watched(record):
        figures = run()
    return figures | record


def alone(kind: str, a: argparse.Namespace, backbone: str) -> Record:
    """Run the bare or the timm loop in a new process."""
    command = [sys.executable, str(Path(__file__).resolve()), "--alone", kind, "--backbone", backbone]
    command += ["--photos", str(a.photos), "--size", str(a.size), "--batch", str(a.batch), "--epochs", str(a.epochs)]
    return in_process([*command, "--device", a.device, "--compiled", a.compiled], environment(cores()))


def arguments_of(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--photos", type=Path, default=None, metavar="DIR", help="created if missing; see photos.py")
    parser.add_argument("--count", type=int, default=7000)
    parser.add_argument("--backbones", nargs="+", default=BACKBONES)
    parser.add_argument("--small", default=SMALL)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--compiled", choices=("on", "off"), default="on")
    parser.add_argument("--alone", choices=("bare", "timm"), default=None, help=argparse.SUPPRESS)
    parser.add_argument("--backbone", default=None, help=argparse.SUPPRESS)
    parser.set_defaults(rounds=2)
    a = parser.parse_args(argv)
    a.compile = a.compiled == "on"
    return a


def main() -> None:
    """Print the ratios of all backbones and of the folds."""
    a = arguments_of()
    if a.alone:
        print(json.dumps({"bare": bare, "timm": timm_loop}[a.alone](a)))
        return
    raw, found = {}, {}
    with tempfile.TemporaryDirectory() as scratch:
        a.photos = ensure_photos(a.photos or Path(scratch) / "photos", Order(a.count, 0))
        cache = Path(scratch) / "cache"
        for backbone in a.backbones:
            runs = {
                "bare": partial(alone, "bare", a, backbone),
                "maskcls": partial(ours, a, cache, backbone),
                "timm": partial(alone, "timm", a, backbone),
            }
            raw[backbone] = alternate([Contestant(n, partial(seen, r)) for n, r in runs.items()], a.rounds, say)
            for below in ("bare", "timm"):
                name = f"{backbone} maskcls / {below}"
                found[name] = ratios(raw[backbone], "maskcls", below, "images_per_second")
        runs = {f"{jobs} at a time": partial(folds, a, cache, jobs) for jobs in (1, 3)}
        raw["folds"] = alternate([Contestant(n, partial(seen, r)) for n, r in runs.items()], a.rounds, say)
        found["folds, 3 at a time / 1"] = ratios(raw["folds"], "3 at a time", "1 at a time", "folds_per_minute")
    print(table("on the GPU", found))
    for name, rounds in raw.items():
        for contestant in rounds[0]:
            parts = {
                key: statistics.median(one[contestant][key] for one in rounds)
                for key in ("images_per_second", "folds_per_minute", "busy_percent", "memory_mib")
                if key in rounds[0][contestant]
            }
            print(f"{name:24} {contestant:12}", *(f"{key} {value:.0f}" for key, value in parts.items()))
    if a.json:
        write_record(a.json, threads=cores(), settings=settings_of(a), raw=raw, found=found)


if __name__ == "__main__":
    main()
