"""Time of the fast verbs as whole processes, from start to end.

    python benchmarks/cli.py [--repeats 9] [--json FILE]

Each command runs `--repeats` times after one run that is not counted. The commands run in turn, so that other load on
the machine affects all of them. The table gives median and range in seconds. Below the verbs are two references: Python
without work, and Python that only imports torch: the shortest time of a verb that imports torch. `evaluate` scores
2,800 rows; `data check` decodes the photos of a drawn data set of 18 + 6 people, 168 photos.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROWS = 2800
PEOPLE, EVAL_PEOPLE = 18, 6


def maskcls(*words: str) -> list[str]:
    """Return the command line of a verb."""
    return [sys.executable, "-m", "maskcls", *words]


def write_inputs(folder: Path) -> None:
    """Write a submission, its answers and a drawn data set into a folder."""
    draw = random.Random(0)
    for name in ("submission", "answers"):
        rows = "".join(f"{i:07d}.jpg,{draw.randrange(18)}\n" for i in range(ROWS))
        (folder / f"{name}.csv").write_text("ImageID,ans\n" + rows)
    counts = ["--people", str(PEOPLE), "--eval-people", str(EVAL_PEOPLE)]
    subprocess.run(maskcls("data", "make", "faces", *counts), cwd=folder, check=True, capture_output=True)


COMMANDS = {
    "maskcls --help": maskcls("--help"),
    "maskcls --version": maskcls("--version"),
    "maskcls evaluate": maskcls("evaluate", "submission.csv", "--answers", "answers.csv"),
    "maskcls data check": maskcls("data", "check", "faces"),
    "python -c pass": [sys.executable, "-c", "pass"],
    "python -c 'import torch'": [sys.executable, "-c", "import torch"],
}


def seconds_of(command: list[str], folder: Path) -> float:
    """Run a command in a folder and return its seconds; raises CalledProcessError when it fails."""
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - start


def measure(repeats: int) -> dict[str, list[float]]:
    """Return the seconds of every command and repeat."""
    with tempfile.TemporaryDirectory(prefix="maskcls-cli-") as folder:
        write_inputs(Path(folder))
        rounds = [{name: seconds_of(c, Path(folder)) for name, c in COMMANDS.items()} for _ in range(repeats + 1)]
    return {name: [times[name] for times in rounds[1:]] for name in COMMANDS}


def main() -> None:
    """Print a table of medians and ranges, and write all times as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    seconds = measure(arguments.repeats)
    print("| command | median | range |\n|---|---|---|")
    for name, times in seconds.items():
        print(f"| `{name}` | {statistics.median(times):.3f} s | {min(times):.3f}..{max(times):.3f} s |")
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": ROWS, "seconds": seconds}, indent=1) + "\n")


if __name__ == "__main__":
    main()
