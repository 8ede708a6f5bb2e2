"""How long a person waits for the light verbs: whole processes, from the shell's view.

    python benchmarks/cli.py [--repeats 9] [--json FILE]

Each command runs `--repeats` times after one run that is not counted, one after the other in turn, so that a busy
minute of the machine falls on all of them alike. The table gives the median and the range of the seconds from start to
end. Below the verbs stand two references: a Python that does nothing, and one that only imports torch, which is what a
verb would cost at least if it brought torch along. `evaluate` scores 2,800 rows; `data check` decodes the photos of a
drawn set of 18 + 6 people, 168 photos.
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
    """Write a submission, its answers and a drawn set into a folder."""
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
    """Run a command in a folder to its end; CalledProcessError when it fails."""
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
    """Print a table of medians and ranges, and keep every time as JSON."""
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
