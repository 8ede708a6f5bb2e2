"""Train folds in one process and as jobs of every engine that is here, kill jobs, and compare the bytes of all files.

    benchmarks/slurm_here.sh start DIR; export SLURM_CONF=DIR/slurm.conf      (to include SLURM)
    pip install --target RAY ray; export PYTHONPATH=RAY                       (to include Ray)
    python benchmarks/farm.py OUT

Draws faces and trains five folds of a tiny network on them: in one process, then with `--on` for each engine. Of each
engine the job of fold 1 is killed by SIGKILL after its first epoch, and on SLURM that of fold 3 by `scancel`. Then all
photos are predicted, in one process and in shards. Files that contain times (logs, times.json, resume states, locks)
are not compared; `--all` also names those that differ. Exit code 1 if a compared file differs, or if not every killed
job was submitted again. With all engines it took 25 minutes on two cores that other programs used.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

from maskcls import files
from maskcls.jobs.queue import read_queue
from maskcls.rundir import RunDir

FOLDS, PEOPLE, EVAL_PEOPLE, SEED = 5, 40, 90, 3  # 630 photos to predict: three parts
RECIPE = (
    *("--config", "tiny_cpu", f"folds.k={FOLDS}", "train.epochs=4", "train.report=false"),
    *("device.type=cpu", "device.threads=1", "device.precision=fp32", "device.memory_format=channels_last"),
    *("device.workers=0", "train.fold_jobs=1"),
)
TIMED = ("times.json", ".lock", "log.jsonl")  # and what is in resume/
POLL_S = 0.05
LIMIT_S = 1200.0


def main() -> None:
    """Train, kill, compare, and print one line per engine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="a new folder")
    parser.add_argument("--on", action="append", help="an engine; default: local:2, and slurm and ray where they are")
    parser.add_argument("--all", action="store_true", help="name also the differing files that contain times")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True)
    out = asked.out.resolve()
    start(
        out, "data", "make", "faces", "--people", str(PEOPLE), "--seed", str(SEED), "--eval-people", str(EVAL_PEOPLE)
    ).wait()
    seconds = finished(start(out, "train", "faces", "--run", "serial", *RECIPE))
    finished(start(out, "predict", "serial", "faces/eval/images", "-o", "serial.csv"))
    expected = contents(out / "serial")
    print(f"one process: {seconds:.0f} s, {len(expected)} files", flush=True)
    failed = False
    for on in asked.on or engines():
        failed |= not compared_engine(out, on, expected, every=asked.all)
    sys.exit(failed)


def engines() -> list[str]:
    """Return the engines that can be tried here."""
    found = ["local:2"]
    if (
        shutil.which("sinfo")
        and subprocess.run(["sinfo"], capture_output=True, timeout=10, check=False).returncode == 0
    ):
        found.append("slurm:cpus=1,mem=1GB,time=30m,shards=3")
    if find_spec("ray"):
        found.append("ray:cpus=0.5,shards=3")
    return found


def compared_engine(out: Path, on: str, expected: dict[str, str], *, every: bool) -> bool:
    """Train, kill and predict with one engine; print the result, and return whether all is as expected."""
    name = on.partition(":")[0]
    train_on = ",".join(part for part in on.split(",") if not part.startswith("shards="))
    began_s = time.monotonic()
    training = start(out, "train", "faces", "--run", name, *RECIPE, "--on", train_on, log=out / f"{name}.txt")
    killed = ["fold1"]
    kill_job(training, RunDir(out / name), "fold1")
    if name == "slurm":
        killed.append("fold3")
        cancel_job(training, RunDir(out / name), "fold3")
    finished(training)
    seconds = time.monotonic() - began_s
    again = (out / f"{name}.txt").read_text().count("submitted again")
    differing = differences(expected, contents(out / name))
    wrong = [place for place in differing if not is_timed(place)]
    finished(start(out, "predict", "serial", "faces/eval/images", "-o", f"{name}.csv", "--on", on))
    tables = (out / "serial.csv").read_bytes() == (out / f"{name}.csv").read_bytes()
    counted = sum(not is_timed(place) for place in expected)
    print(
        f"--on {on}: {seconds:.0f} s; killed: {', '.join(killed)}; submitted again: {again}; of {counted} compared "
        f"files {len(wrong)} differ; predictions: {'the same bytes' if tables else 'OTHER BYTES'}",
        flush=True,
    )
    for place in differing if every else wrong:
        print(f"  differs: {place}", flush=True)
    return not wrong and tables and again == len(killed)


def start(out: Path, *words: str, log: Path | None = None) -> subprocess.Popen[bytes]:
    """Start one maskcls command in the folder `out`, with the code of the current folder and a cache of its own."""
    code = os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])
    own = {"PYTHONPATH": code, "MASKCLS_CACHE": str(out / "cache"), "OMP_NUM_THREADS": "1"}
    said = (log or out / "log.txt").open("ab")
    with said:
        return subprocess.Popen(
            [sys.executable, "-m", "maskcls", *words], cwd=out, env=os.environ | own, stdout=said, stderr=said
        )


def finished(command: subprocess.Popen[bytes]) -> float:
    """Wait for a command, and return its seconds; CalledProcessError when it fails."""
    began_s = time.monotonic()
    if code := command.wait(LIMIT_S):
        raise subprocess.CalledProcessError(code, command.args)
    return time.monotonic() - began_s


def kill_job(command: subprocess.Popen[bytes], run: RunDir, name: str) -> None:
    """Send SIGKILL to the process of a fold's job when its first epoch is over."""
    wait_for_epoch(command, run, name)
    number = int(run.jobs.job(name).lock_file.read_text().split()[1])  # "process N on …"
    os.kill(number, signal.SIGKILL)


def cancel_job(command: subprocess.Popen[bytes], run: RunDir, name: str) -> None:
    """Let SLURM cancel the job of a fold when its first epoch is over."""
    wait_for_epoch(command, run, name)
    queue = read_queue(run.jobs)
    job = queue and queue.job(name)
    assert queue is not None
    assert job is not None
    subprocess.run(["scancel", "--me", f"--name={queue.engine_name(job)}"], check=True, timeout=60)


def wait_for_epoch(command: subprocess.Popen[bytes], run: RunDir, name: str) -> None:
    """Wait until a fold has a line in its log; RuntimeError when the command ends before."""
    until = time.monotonic() + LIMIT_S
    log = run.path / name / "log.jsonl"
    while not log.exists() or not log.read_bytes().count(b"\n"):
        if command.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"{name} of {run.path} has no epoch; exit code {command.poll()}")
        time.sleep(POLL_S)


def contents(run: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a run."""
    paths = [path for path in sorted(run.rglob("*")) if path.is_file()]
    return {path.relative_to(run).as_posix(): files.file_sha256(path) for path in paths}


def is_timed(place: str) -> bool:
    """Tell whether a file of a run contains times."""
    return "/resume/" in place or Path(place).name in TIMED


def differences(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """Return the files that are missing in one of two runs, or differ.

    >>> differences({"a": "1", "b": "2"}, {"a": "1", "b": "3", "c": "4"})
    ['b', 'c']
    """
    return [place for place in sorted(one.keys() | other.keys()) if one.get(place) != other.get(place)]


if __name__ == "__main__":
    main()
