"""Whether `train --budget` keeps its time, and leaves a usable run when it is killed.

    python benchmarks/budget.py OUT [--only NAME ...] [--kills 7] [--budget 60s] [--whole 5m] [--plain]
        [--faces DIR --weights FILE]

Data sets: `small`, 60 drawn people with the configuration tiny_cpu; `larger`, 300 drawn people, the same; and `faces`,
a data set in the contest's layout that is given by --faces, with the configuration multi and --weights. For each:

kills   --kills trainings with --budget, each killed (SIGKILL) at a moment drawn uniformly from the whole time limit.
        Directly afterwards `predict` and `submission check` are given. A training that was killed before its first
        stage was finished has nothing to predict with, and must say so.
whole   one training with the limit --whole, to its end: its seconds, the stages and the score, and then predict.
plain   the same configuration without --budget, told to stop (SIGTERM) when the limit --whole is over: whether it has a
        usable run then, and which score.

Every try is one row of OUT/tries.csv. `late_s` is the time after the limit; the limit is kept if it is at most 10.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from maskcls.data.drawn.faces import make_faces
from maskcls.durations import parse_duration
from maskcls.rundir import StagesDir
from maskcls.runs.stages.answering import finished_stages

LATE_S = 10.0  # the limit is kept if the training ends so many seconds after it at the latest


@dataclass(frozen=True)
class DataSet:
    """A data set, and what is given to train beside it."""

    name: str
    path: Path
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Try:
    """One training. killed_s: when it was killed; None: it ended itself. usable: predict wrote a correct submission."""

    data: str
    kind: str
    limit_s: float
    killed_s: float | None
    seconds: float
    late_s: float
    code: int
    stages: int
    usable: bool
    score: float | None
    what: str


def maskcls(*arguments: str | Path) -> list[str]:
    """Return the command line of a verb."""
    return [sys.executable, "-m", "maskcls", *map(str, arguments)]


def trained(command: Sequence[str], log: Path, at_s: float | None, number: int) -> tuple[float, int]:
    """Run a training, and send it a signal after `at_s` seconds; returns its seconds and exit code."""
    began_s = time.monotonic()
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
        try:
            process.wait(at_s)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
            process.wait()
    return time.monotonic() - began_s, process.returncode


def predicted(run: Path, data: Path, log: Path) -> bool:
    """Tell whether `predict` writes a submission that `submission check` accepts."""
    output = run.with_name(f"{run.name}.csv")
    with log.open("a") as out:
        for command in (
            maskcls("predict", run, "--data", data, "-o", output, "--force"),
            maskcls("submission", "check", output, "--data", data),
        ):
            if subprocess.run(command, stdout=out, stderr=out, check=False).returncode:
                return False
    return True


def tried(data: DataSet, out: Path, kind: str, limit: str, killed_s: float | None) -> Try:
    """Make one try and look at what it left."""
    run, limit_s = out / f"{data.name}-{kind}", parse_duration(limit)
    shutil.rmtree(run, ignore_errors=True)
    log = out / f"{run.name}.log"
    command = maskcls("train", data.path, *data.arguments, "--run", run)
    if kind == "plain":
        seconds, code = trained(command, log, limit_s, signal.SIGTERM)
        summary = run / "summary.json"
        score = json.loads(summary.read_text())["pooled"]["macro_f1"] if summary.exists() else None
        usable = predicted(run, data.path, log)
        return Try(data.name, kind, limit_s, None, seconds, seconds - limit_s, code, 1, usable, score, last_line(log))
    seconds, code = trained([*command, "--budget", limit], log, killed_s, signal.SIGKILL)
    found = finished_stages(StagesDir(run)) if run.exists() else []
    scores = [one.score for one in found if one.score is not None]
    usable = predicted(run, data.path, log)
    best = max(scores, default=None)
    late_s = max(0.0, seconds - limit_s)
    return Try(data.name, kind, limit_s, killed_s, seconds, late_s, code, len(found), usable, best, last_line(log))


def last_line(log: Path) -> str:
    """Return the last line of a log, which says why there is no submission."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip()[:120] if lines else ""


def main() -> None:
    """Make all tries, and print and write them one by one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", nargs="+", default=["small", "larger", "faces"])
    parser.add_argument("--kills", type=int, default=7)
    parser.add_argument("--budget", default="60s")
    parser.add_argument("--whole", default="5m")
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--faces", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    sets = []
    for name, people in (("small", 60), ("larger", 300)):
        if name in given.only:
            if not (given.out / name).exists():
                make_faces(given.out / name, people=people, eval_people=20, seed=0)
            sets.append(DataSet(name, given.out / name, ("--config", "tiny_cpu")))
    if "faces" in given.only and given.faces:
        weights = [f"model.weights={given.weights}"] if given.weights else []
        sets.append(DataSet("faces", given.faces, ("--config", "multi", *weights)))
    table, rng = given.out / "tries.csv", random.Random(given.seed)
    for data in sets:
        limit_s = parse_duration(given.budget)
        plans: list[tuple[str, str, float | None]] = [
            (f"kill{n}", given.budget, rng.uniform(0, limit_s)) for n in range(given.kills)
        ]
        if given.whole != "0":
            plans += [("whole", given.whole, None), *([("plain", given.whole, None)] if given.plain else [])]
        for kind, limit, killed_s in plans:
            row = asdict(tried(data, given.out, kind, limit, killed_s))
            new = not table.exists()
            with table.open("a", newline="") as file:
                writer = csv.DictWriter(file, list(row))
                if new:
                    writer.writeheader()
                writer.writerow(row)
            print(
                {key: round(value, 3) if isinstance(value, float) else value for key, value in row.items()}, flush=True
            )


if __name__ == "__main__":
    main()
