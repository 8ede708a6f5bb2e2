"""Check whether a change of the code changes results: train six recipes, and compare the bytes of their files.

    git stash; python benchmarks/bits.py OUT/before; git stash pop
    python benchmarks/bits.py OUT/after --like OUT/before

Each call draws faces, trains the recipes on them for two epochs with one thread in fp32, predicts, and writes
hashes.txt. With `--like` it lists every file whose bytes differ, and then exits with 1. Weights, out-of-fold rows,
predictions, tables and submissions are compared; resume states, logs and env.json contain times and paths, and are not.
The tested code is that of the current folder. Compare only on one machine, because rounding differs between processors.
It takes 2 minutes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from maskcls.files import file_sha256

PLAIN = (
    *("device.precision=fp32", "device.threads=1", "train.fold_jobs=1", "device.memory_format=channels_last"),
    *("schedule.warmup_epochs=0.5", "folds.k=3", "train.epochs=2"),
)
SMALL = ("model.backbone=mobilenetv4_conv_small_035", "transforms.size=[64,48]")
RECIPES: dict[str, tuple[str, ...]] = {
    "tiny": ("--config", "tiny_cpu"),
    "multi": ("--config", "multi", *SMALL),
    "joint": ("--config", "joint", *SMALL),
    "separate": ("--config", "separate", *SMALL),
    "seeds": ("--config", "tiny_cpu", "train.seeds=2"),
    "groups": ("--config", "faces_best", *SMALL),
}
COMPARED = (".safetensors", ".npz", ".csv")
PEOPLE, SEED = 30, 3


def main() -> None:
    """Train, write hashes, and compare with an earlier call if `--like` is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="a new folder")
    parser.add_argument("--like", type=Path, metavar="OUT", help="the folder of an earlier call")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True)
    train(asked.out)
    found = hashes(asked.out)
    (asked.out / "hashes.txt").write_text("".join(f"{digest}  {name}\n" for name, digest in found.items()))
    print(f"{asked.out / 'hashes.txt'}  {len(found)} files of {len(RECIPES)} recipes")
    if asked.like:
        differ = changes(read_hashes(asked.like / "hashes.txt"), found)
        print("\n".join([*differ, f"{len(differ)} of {len(found)} files differ"]))
        sys.exit(bool(differ))


def train(out: Path) -> None:
    """Draw the faces; train and predict with every recipe. Raises CalledProcessError when a command fails."""
    run(out, "data", "make", "faces", "--people", str(PEOPLE), "--seed", str(SEED))
    for name, words in RECIPES.items():
        run(out, "train", "faces", "--run", f"runs/{name}", *words, *PLAIN)
        run(out, "predict", f"runs/{name}", "--data", "faces", "-o", f"{name}.csv")


def run(out: Path, *words: str) -> None:
    """Run one maskcls command in the folder `out`, with the code of the current folder and a separate cache."""
    code = os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])
    own = {"PYTHONPATH": code, "MASKCLS_CACHE": str(out.resolve() / "cache"), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "maskcls", *words], cwd=out, env=os.environ | own, check=True)


def hashes(out: Path) -> dict[str, str]:
    """Return the SHA-256 of each compared file by its path relative to the folder."""
    paths = (path for path in sorted(out.rglob("*")) if path.suffix in COMPARED and path.is_file())
    names = {path.relative_to(out).as_posix(): path for path in paths}
    kept = {name: path for name, path in names.items() if not name.startswith("cache/") and "/resume/" not in name}
    return {name: file_sha256(path) for name, path in kept.items()}


def read_hashes(path: Path) -> dict[str, str]:
    """Return the hashes that an earlier call wrote."""
    return {name: digest for digest, name in (line.split("  ", 1) for line in path.read_text().splitlines())}


def changes(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Return one line for every file that is gone, new or different.

    >>> changes({"a": "1", "b": "2"}, {"a": "1", "b": "3", "c": "4"})
    ['different: b', 'new: c']
    """
    gone = [f"gone: {name}" for name in before if name not in after]
    other = [f"different: {name}" for name in before if name in after and before[name] != after[name]]
    return gone + other + [f"new: {name}" for name in after if name not in before]


if __name__ == "__main__":
    main()
