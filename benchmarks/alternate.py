"""Run programs ("contestants") in turn, each in its own process, and print ratios with their spread.

Compared  the contestants of the other scripts in this folder.
Counted   the figures that a contestant prints as JSON lines on stdout; for maskcls, wall time and its logs.
How       R rounds (5). Round 1 runs A, B, C, round 2 C, B, A, and so on, so that a machine which becomes slower favours
          no contestant. Every contestant gets the same number of threads and starts with an empty cache.
          Each line shows how many cores other processes used meanwhile: with more than a few tenths of a core the
          figures are unreliable, most of all for programs that wait for their slowest thread.
Read      A ratio compares two runs of the same round; the result is the median over the rounds, with min..max as its
          spread. If the spread is as large as the difference, there is no result. No timing is asserted.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from maskcls.machine import cores, processor

Record = dict[str, Any]
Round = dict[str, Record]

PACKAGES = ("torch", "torchvision", "timm", "albumentations", "opencv-python-headless", "pillow", "numpy")
MASKCLS = (sys.executable, "-m", "maskcls")
POLL_S = 0.02
TIMEOUT_S = 3600.0


class ContestantError(RuntimeError):
    """A contestant's process failed; the message contains its last lines on stderr."""


@dataclass(frozen=True)
class Contestant:
    """A name, and a function that runs it once in a new process and returns its figures."""

    name: str
    run: Callable[[], Record]


# --- rounds


def order(names: Sequence[str], index: int) -> list[str]:
    """Return the order of round `index`, counted from 0: forward in even rounds, reversed in odd rounds.

    >>> order("ABC", 0), order("ABC", 1)
    (['A', 'B', 'C'], ['C', 'B', 'A'])
    """
    return list(names) if index % 2 == 0 else list(reversed(names))


def alternate(contestants: Sequence[Contestant], rounds: int, say: Callable[[str], None]) -> list[Round]:
    """Run every contestant once per round, and return the rounds as {name: figures}."""
    known = {c.name: c for c in contestants}
    assert len(known) == len(contestants), "two contestants have the same name"
    found: list[Round] = []
    for index in range(rounds):
        found.append({})
        for name in order(list(known), index):
            found[-1][name] = _run(known[name], f"round {index + 1}/{rounds}", say)
    return found


@dataclass(frozen=True)
class Between:
    """One run, and the reference before and after it."""

    before: Record
    middle: Record
    after: Record


def between(reference: Contestant, middle: Contestant, rounds: int, say: Callable[[str], None]) -> list[Between]:
    """Run reference, middle, reference, middle, ..., reference; two rounds share the reference between them."""
    found: list[Between] = []
    before = _run(reference, "before", say)
    for index in range(rounds):
        place = f"round {index + 1}/{rounds}"
        record = _run(middle, place, say)
        after = _run(reference, place, say)
        found.append(Between(before, record, after))
        before = after
    return found


def _run(contestant: Contestant, place: str, say: Callable[[str], None]) -> Record:
    before, started = _clocks(), time.monotonic()
    record = contestant.run()
    wall_s = time.monotonic() - started
    own_s, all_s = (after - first for after, first in zip(_clocks(), before, strict=True))
    busy = {"own_cores": own_s / wall_s, "other_cores": max(0.0, all_s - own_s) / wall_s}
    say(f"{place} {contestant.name}: {wall_s:.1f} s, others used {busy['other_cores']:.1f} cores; {brief(record)}")
    return record | busy


def _clocks() -> tuple[float, float]:
    """Return the CPU seconds of the child processes so far, and of the whole machine (0 if not available)."""
    times = os.times()
    try:
        ticks = [int(n) for n in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
    except OSError:
        ticks = [0] * 8
    idle = ticks[3] + ticks[4]
    return times.children_user + times.children_system, (sum(ticks) - idle) / os.sysconf("SC_CLK_TCK")


def brief(record: Mapping[str, Any]) -> str:
    """Return the plain numbers of a record in one line."""
    return ", ".join(f"{k} {v:.4g}" for k, v in record.items() if isinstance(v, int | float))


# --- ratios


@dataclass(frozen=True)
class Spread:
    """Ratios of all rounds, their median, and their range."""

    median: float
    low: float
    high: float
    each: tuple[float, ...]


def spread(values: Iterable[float]) -> Spread:
    """Return median and range of the rounds' ratios.

    >>> s = spread([1.0, 1.5, 0.5])
    >>> s.median, s.low, s.high
    (1.0, 0.5, 1.5)
    """
    each = tuple(values)
    return Spread(statistics.median(each), min(each), max(each), each)


def ratios(rounds: Iterable[Round], above: str, below: str, key: str) -> Spread:
    """Return, per round, figure `key` of contestant `above` divided by that of `below`."""
    return spread(one[above][key] / one[below][key] for one in rounds)


def table(title: str, rows: Mapping[str, Spread]) -> str:
    """Return ratios as lines of text.

    >>> print(table("what", {"a / b": spread([2.0, 1.0, 3.0])}))
    what     median   min .. max    rounds
    a / b     2.00   1.00 .. 3.00     3
    """
    width = max(len(title), *(len(name) for name in rows)) + 3
    lines = [f"{title:{width}} median   min .. max    rounds"]
    for name, s in rows.items():
        lines.append(f"{name:{width}} {s.median:5.2f}   {s.low:.2f} .. {s.high:.2f}   {len(s.each):3d}")
    return "\n".join(lines)


# --- processes


def environment(threads: int, **more: str) -> dict[str, str]:
    """Return the environment variables of every contestant: the same number of threads, and no network access."""
    counts = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    quiet = {"HF_HUB_OFFLINE": "1", "NO_ALBUMENTATIONS_UPDATE": "1", "PYTHONHASHSEED": "0"}
    return {**os.environ, **counts, **quiet, **more}


def in_process(command: Sequence[str], env: Mapping[str, str]) -> Record:
    """Run a command and return the JSON objects on its stdout as one record, with its whole `wall_s`."""
    started = time.monotonic()
    done = subprocess.run(command, env=dict(env), capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    wall_s = time.monotonic() - started
    if done.returncode:
        raise _failed(command, done.returncode, done.stderr)
    return json_lines(done.stdout) | {"wall_s": wall_s}


def json_lines(text: str) -> Record:
    """Return the JSON objects among the lines as one record; other lines are ignored.

    >>> json_lines('hello\\n{"a": 1}\\n{"b": 2}\\n')
    {'a': 1, 'b': 2}
    """
    record: Record = {}
    for line in text.splitlines():
        if line.startswith("{"):
            record |= json.loads(line)
    return record


def _failed(command: Sequence[str], code: int, stderr: str) -> ContestantError:
    shown = " ".join(Path(part).name if i == 0 else part for i, part in enumerate(command))
    return ContestantError(f"{shown} ended with {code}:\n" + "\n".join(stderr.splitlines()[-15:]))


# --- maskcls, through its command line alone


def maskcls_train(data: Path, run: Path, arguments: Sequence[str], env: Mapping[str, str]) -> Record:
    """Run `maskcls train DATA` on fold 0 and return its epochs as figures.

    arguments  a --config, and key=value overrides.

    Returns `epochs`, the lines of log.jsonl; `line_s`, the time when each line was on disk, in seconds since the start
    of the process; `wall_s` of the whole command; and `train_images` and `valid_images` of the fold.
    """
    command = [*MASKCLS, "train", str(data), "--run", str(run), "--folds", "0", *arguments]
    log, lines_s, text = run / "fold0" / "log.jsonl", [], ""
    with tempfile.TemporaryFile("w+") as stderr:
        started = time.monotonic()
        with subprocess.Popen(command, env=dict(env), stdout=subprocess.DEVNULL, stderr=stderr) as process:
            try:
                while process.poll() is None:
                    time.sleep(POLL_S)
                    text = log.read_text() if log.exists() else ""
                    lines_s += [time.monotonic() - started] * (text.count("\n") - len(lines_s))
            except BaseException:
                process.terminate()
                raise
        wall_s = time.monotonic() - started
        if process.returncode:
            stderr.seek(0)
            raise _failed(command, process.returncode, stderr.read())
    epochs = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(epochs) == len(lines_s), (len(epochs), lines_s)
    train_images, valid_images = fold_images(run / "folds.csv", 0)
    speeds = later_epochs(epochs, lines_s)
    counts = {"train_images": train_images, "valid_images": valid_images}
    return {"epochs": epochs, "line_s": lines_s, "wall_s": wall_s} | counts | speeds


def later_epochs(epochs: Sequence[Record], line_s: Sequence[float]) -> Record:
    """Return the means over all epochs except the first, which includes warm-up and filling the cache.

    images_per_second  of training only, as logged: all images / all seconds, so a harmonic mean.
    epoch_s            training and validation, as logged.
    epoch_wall_s       from one line of the log to the next, which includes writing the epoch to disk.
    first_s            from the start of the process to the first line of the log.

    >>> lines = [{"images_per_second": s, "seconds": t} for s, t in ((1, 90), (100, 10), (50, 30))]
    >>> {k: round(v, 2) for k, v in later_epochs(lines, [95, 106, 137]).items()}
    {'images_per_second': 66.67, 'epoch_s': 20, 'epoch_wall_s': 21.0, 'first_s': 95}
    """
    assert len(epochs) >= 2, "two epochs are needed, because the first is not counted"
    return {
        "images_per_second": statistics.harmonic_mean([e["images_per_second"] for e in epochs[1:]]),
        "epoch_s": statistics.mean(e["seconds"] for e in epochs[1:]),
        "epoch_wall_s": (line_s[-1] - line_s[0]) / (len(line_s) - 1),
        "first_s": line_s[0],
    }


def fold_images(folds: Path, k: int) -> tuple[int, int]:
    """Return the number of training and of validation photos of fold k, from a run's folds.csv."""
    with folds.open(newline="", encoding="utf-8") as handle:
        held = [row["fold"] == str(k) for row in csv.DictReader(handle)]
    return len(held) - sum(held), sum(held)


# --- what is kept


def machine(threads: int) -> Record:
    """Return versions, processor and date; without the user's paths, names or environment variables."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": processor() or platform.processor() or platform.machine(),
        "cores": cores(),
        "threads": threads,
        "platform": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in ("maskcls", *PACKAGES)},
        "commit": _commit(),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the checked-out commit, with + appended if tracked files differ from it."""
    folder = Path(__file__).resolve().parent
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return done.stdout.strip() or None


def write_record(path: Path, *, threads: int, settings: Record, raw: Any, found: Mapping[str, Spread]) -> None:
    """Write machine, settings, all raw figures and all ratios as JSON."""
    ratios_by_name = {name: asdict(value) for name, value in found.items()}
    record = {"script": Path(sys.argv[0]).name, "machine": machine(threads), "settings": settings}
    path.write_text(json.dumps(record | {"raw": raw, "ratios": ratios_by_name}, indent=1) + "\n", encoding="utf-8")


def report_backbones(
    a: argparse.Namespace, measure: Callable[[str], tuple[Record, dict[str, Spread]]], title: str
) -> None:
    """Measure each of `a.backbones` and print its table; write all results so far after each."""
    raw: dict[str, Record] = {}
    found: dict[str, Spread] = {}
    for backbone in a.backbones:
        raw[backbone], rows = measure(backbone)
        print(table(f"{backbone}: {title}", rows) + "\n", flush=True)
        found |= {f"{backbone}: {name}": value for name, value in rows.items()}
        if a.json:  # after each backbone, so that an interrupted measurement keeps its results
            write_record(a.json, threads=a.threads, settings=settings_of(a), raw=raw, found=found)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of all scripts."""
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=cores(), help="threads per contestant; default: all cores")
    parser.add_argument("--json", type=Path, default=None, metavar="PATH", help="file to write with all raw figures")


def settings_of(arguments: argparse.Namespace) -> Record:
    """Return the arguments as JSON data, without paths."""
    return {k: v for k, v in vars(arguments).items() if not isinstance(v, Path) and not callable(v)}


def say(text: str) -> None:
    """Print a line of progress on stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
