"""The first epoch of `maskcls train` from an empty cache, by CPU seconds, against the bare loop on one thread.

Compared  CPU seconds of the bare loop (bare.py, in the faster of fp32 and bf16) for an epoch's training steps and
          validation passes, over those of `maskcls train`. On a machine that others use, seconds by the clock say
          nothing, and CPU seconds still do. Both trees of code, if there are two, run at the same time in each round.
Counted   start + epoch 1  from the start of the process until the first line of log.jsonl: imports, reading and
                           checking photos, filling the cache, choosing how to compute, epoch 1, saving.
          epoch 1          the same, less what a process takes that only imports torch and timm.
How       One thread. Passes are timed by CPU seconds in maskcls too, which therefore chooses as on an idle machine.
Run       python benchmarks/first_epoch.py [--backbones resnet18] [--rounds 3] [--photos DIR] [--other TREE]
Read      Shares of the bare speed, as in step.py; the median over the rounds, and its range.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from alternate import Record, environment, in_process, say, spread, table
from photos import Order, ensure_photos

HERE = Path(__file__).resolve().parent
BATCH, SIZE, EPOCHS = 64, (128, 96), 3
BARE = ("channels_last-fp32", "channels_last-bf16")
CPU_CLOCK = "import runpy, sys, time; time.perf_counter = time.process_time; sys.argv = sys.argv[1:]; "
IMPORTS = "import os, torch, timm; print('{\"cpu_s\": %f}' % sum(os.times()[:2]))"
POLL_S = 0.05


def share(bare: Record, cpu_s: float, *, train_images: int, valid_images: int) -> float:
    """Return the share of the bare speed: the bare loop's CPU seconds for an epoch over those that were needed.

    >>> share({"train_images_per_s": 100.0, "infer_images_per_s": 500.0}, 10.0, train_images=400, valid_images=500)
    0.5
    """
    return (train_images / bare["train_images_per_s"] + valid_images / bare["infer_images_per_s"]) / cpu_s


def bare_loop(backbone: str, setting: str, steps: int) -> Record:
    """Run the bare loop on one thread; its figures are by CPU seconds."""
    script = [sys.executable, "-c", f"{CPU_CLOCK}runpy.run_path(sys.argv[0], run_name='__main__')"]
    words = ["--backbone", backbone, "--batch", str(BATCH), "--size", *map(str, SIZE), "--threads", "1"]
    words += ["--steps", str(steps), "--setting", setting, "--infer-setting", setting]
    return in_process([*script, str(HERE / "bare.py"), *words], environment(1))


def fastest(found: Sequence[Record]) -> Record:
    """Return the highest speeds of several bare loops.

    >>> found = fastest([{"train_images_per_s": a, "infer_images_per_s": b} for a, b in ((1, 5), (2, 4))])
    >>> found["train_images_per_s"], found["infer_images_per_s"]
    (2, 5)
    """
    return {key: max(one[key] for one in found) for key in ("train_images_per_s", "infer_images_per_s")}


def first_epochs(data: Path, backbone: str, trees: Mapping[str, Path]) -> dict[str, float]:
    """Train with every tree at the same time, each from an empty cache; returns CPU seconds until the first epoch."""
    with tempfile.TemporaryDirectory() as scratch:
        started = {name: _start(data, backbone, tree, Path(scratch) / name) for name, tree in trees.items()}
        found: dict[str, float] = {}
        try:
            while len(found) < len(trees):
                time.sleep(POLL_S)
                for name in trees.keys() - found.keys():
                    log = Path(scratch) / name / "run" / "fold0" / "log.jsonl"
                    if log.exists():
                        found[name] = _cpu_seconds(started[name].pid)
                        started[name].kill()
                    elif started[name].poll() is not None:
                        raise RuntimeError(f"{name}: maskcls ended with {started[name].returncode}")
        finally:
            for process in started.values():
                process.kill()
                process.wait()
    return found


def _start(data: Path, backbone: str, tree: Path, folder: Path) -> subprocess.Popen[bytes]:
    folder.mkdir()
    words = ["train", str(data.resolve()), "--run", str(folder / "run"), "--folds", "0", "--config", "multi"]
    words += [f"model.backbone={backbone}", f"train.batch_size={BATCH}", f"transforms.size={list(SIZE)}"]
    words += [f"train.epochs={EPOCHS}", "predict.views=none", "device.threads=1"]
    code = f"{CPU_CLOCK}sys.argv.insert(0, 'maskcls'); from maskcls.cli import main; main()"
    env = environment(1, MASKCLS_CACHE=str(folder / "cache"), PYTHONPATH=str(tree))
    command = [sys.executable, "-c", code, *words]
    return subprocess.Popen(command, env=env, cwd=tree, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def arguments_of(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--photos", type=Path, default=None, metavar="DIR", help="made there if absent; see photos.py")
    parser.add_argument("--count", type=int, default=2100, help="photos to make; a fifth of them validates")
    parser.add_argument("--backbones", nargs="+", default=["mobilenetv4_conv_small", "resnet18"])
    parser.add_argument("--other", type=Path, default=None, metavar="TREE", help="another checkout to compare with")
    parser.add_argument("--steps", type=int, default=6, help="of each kind in a bare run")
    return parser.parse_args(argv)


def trees_of(a: argparse.Namespace) -> dict[str, Path]:
    """Return the checkouts to compare, by name."""
    return {"this": HERE.parent} | ({"other": a.other.resolve()} if a.other else {})


def main() -> None:
    """Print a table per backbone."""
    a = arguments_of()
    trees = trees_of(a)
    with tempfile.TemporaryDirectory() as scratch:
        data = ensure_photos(a.photos or Path(scratch) / "photos", Order(a.count, 0))
        images = {"train_images": a.count * 4 // 5, "valid_images": a.count // 5}
        for backbone in a.backbones:
            imports = [in_process([sys.executable, "-c", IMPORTS], environment(1))["cpu_s"] for _ in range(3)]
            rows: dict[str, list[float]] = {}
            for index in range(a.rounds):
                bare = fastest([bare_loop(backbone, setting, a.steps) for setting in BARE])
                for name, cpu_s in first_epochs(data, backbone, trees).items():
                    say(f"round {index + 1}/{a.rounds} {name}: {cpu_s:.1f} CPU s until the first epoch; bare {bare}")
                    counted = {"start + epoch 1": cpu_s, "epoch 1": cpu_s - statistics.median(imports)}
                    for what, seconds in counted.items():
                        rows.setdefault(f"{name}: {what}", []).append(share(bare, seconds, **images))
            print(table(f"{backbone}: share of the bare speed", {k: spread(v) for k, v in sorted(rows.items())}) + "\n")


if __name__ == "__main__":
    main()
