"""Make the archives in this folder: small runs and results of an earlier version of maskcls.

    python tests/formats/make.py CHECKOUT NAME [--runs-only] [KEY=VALUE …]

CHECKOUT is a checkout of the earlier version; nothing else of maskcls is used. The photos are generated: drawn faces to
train on, and patterns (`photos`) to predict, which the tests make again. The networks are trained for an epoch; then
their weights are replaced by a regular pattern, because random numbers cannot be compressed. Pictures are left out.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import load_file, save_file

HERE = Path(__file__).resolve().parent
WORK = Path("/tmp/maskcls-formats")
SETTINGS = ("model.backbone=test_efficientnet", "transforms.size=[32,32]", "folds.k=2", "train.epochs=1")
PEOPLE = "18"
SETTINGS += ("train.batch_size=16", "predict.views=none", "device.type=cpu")
LEFT_OUT = ("*.png", "report", "tracking", "resume", "last", ".lock", ".notes.lock", ".choices.lock", "*.tmp")


def photos(folder: Path, count: int = 4) -> None:
    """Write generated photos of 64 x 48 pixels in the layout of the contest: waves of three colours."""
    images = folder / "eval" / "images"
    images.mkdir(parents=True)
    y, x = np.mgrid[:64, :48] / 48
    for number in range(count):
        waves = [np.sin(6 * x * (number + 1) + 4 * y * (channel + 1) + number) for channel in range(3)]
        Image.fromarray((127 + 120 * np.stack(waves, axis=-1)).astype(np.uint8)).save(images / f"{number}.png")
    names = [f"{number}.png" for number in range(count)]
    (folder / "eval" / "info.csv").write_text("ImageID,ans\n" + "".join(f"{name},0\n" for name in names))


def replace_weights(run: Path) -> None:
    """Replace the numbers in every file of weights by a pattern, and the hashes in meta.json and DONE."""
    for tensors in sorted(run.rglob("weights.safetensors")):
        values = load_file(tensors)
        save_file({name: _pattern(name, value) for name, value in values.items()}, tensors)
        before = (meta := tensors.with_name("meta.json")).read_text()
        old, new = json.loads(before)["sha256"], hashlib.sha256(tensors.read_bytes()).hexdigest()
        for file in (meta, tensors.parents[1] / "DONE"):
            if file.exists():
                file.write_text(file.read_text().replace(old, new))


def _pattern(name: str, value: np.ndarray) -> np.ndarray:
    if value.dtype.kind != "f":
        return value
    if value.ndim < 2:
        return np.full_like(value, 0 if name.endswith(("bias", "running_mean")) else 1)
    return (((np.arange(value.size) * 7 % 31) - 15) / 60).reshape(value.shape).astype(value.dtype)


def main(checkout: Path, name: str, runs_only: bool, settings: list[str]) -> None:
    """Train, predict and pack with the version in `checkout`."""
    environment = os.environ | {"PYTHONPATH": str(checkout), "MASKCLS_CACHE": str(WORK / "cache")}

    def maskcls(*words: str) -> None:
        subprocess.run([sys.executable, "-m", "maskcls", *words], cwd=WORK, env=environment, check=True)

    shutil.rmtree(WORK, ignore_errors=True)
    photos(WORK / "photos")
    maskcls("data", "make", "faces", "--people", PEOPLE, "--seed", "0")
    maskcls("train", "faces", "--run", "runs/a", *SETTINGS, *settings)
    replace_weights(WORK / "runs" / "a")
    maskcls("predict", "runs/a", "--data", "photos", "-o", "answers.csv", "device.precision=fp32")
    if not runs_only:
        maskcls("calibrate", "runs/a")
        maskcls("ensemble", "runs/a", "--data", "photos", "-o", "together.csv")
        maskcls("pseudo-label", "runs/a", "--data", "photos", "-o", "pseudo.csv", "--min-confidence", "0", "--soft")
        maskcls("group", "faces", "-o", "groups.csv")
    for folder in ("faces", "photos", "cache"):
        shutil.rmtree(WORK / folder, ignore_errors=True)
    for pattern in LEFT_OUT:
        for path in list(WORK.rglob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    with tarfile.open(HERE / f"{name}.tar.xz", "w:xz") as archive:
        for path in sorted(path for path in WORK.rglob("*") if path.is_file()):
            archive.add(path, path.relative_to(WORK), filter=_anonymous)
    shutil.rmtree(WORK)


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry


if __name__ == "__main__":
    words = [word for word in sys.argv[3:] if word != "--runs-only"]
    main(Path(sys.argv[1]), sys.argv[2], "--runs-only" in sys.argv, words)
