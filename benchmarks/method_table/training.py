"""Train every unfinished row and seed, one after the other, as processes of `maskcls train`."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from alternate import MASKCLS, say

from maskcls import config, files
from maskcls.engine.normalisation import with_normalisation
from maskcls.errors import Exit, ResultError, UsageError
from maskcls.rundir import RunDir
from maskcls.schema import Config
from method_table.rows import Plan, Row
from method_table.text import number

PLAN = "methods.json"
GRACE_S = 60.0
Starter = Callable[[Sequence[str], Path], int]


def command_of(plan: Plan, row: Row, data: Path, out: Path, seed: int) -> list[str]:
    """Return the command that trains a run, or resumes it if it was started before."""
    run = row.run(out, seed)
    if run.env.exists():
        return [*MASKCLS, "resume", str(run.path)]
    folds = ",".join(map(str, plan.folds))
    command = [*MASKCLS, "train", str(data), "--config", plan.config, "--run", str(run.path), "--folds", folds]
    return [*command, *plan.words(row, seed)]


def start_process(command: Sequence[str], output: Path) -> int:
    """Run a command with its output in a file, and return its exit code; an interrupt stops the command first."""
    env = {**os.environ, "NO_ALBUMENTATIONS_UPDATE": "1"}
    with output.open("w") as handle:
        process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=handle, stderr=subprocess.STDOUT)
        try:
            return process.wait()
        except BaseException:
            process.terminate()  # Ctrl-C has reached it as well; other signals have not
            try:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(GRACE_S)
            finally:
                process.kill()
                process.wait()
            raise


def train_all(
    plan: Plan,
    data: Path,
    out: Path,
    *,
    rows: Sequence[Row],
    seeds: Sequence[int],
    start: Starter = start_process,
    clock: Callable[[], float] = time.monotonic,
) -> Exit:
    """Train every unfinished row and seed, and print the expected time of the rest.

    Returns OK, or RESULT when a row failed. If the base fails, it stops, because nothing could be compared.
    Raises ResultError when a folder contains a run with other settings, UsageError when the base's weights are missing.
    """
    refuse_others(plan, out)
    refuse_missing_weights(plan)
    files.commit_json(out / PLAN, asdict(plan))
    every = [(row, seed) for seed in seeds for row in rows]
    left = [(row, seed) for row, seed in every if not row.run(out, seed).summary.exists()]
    say(f"{len(every)} runs, {len(every) - len(left)} of them finished before")
    walls_s: list[float] = []
    failed = 0
    for index, (row, seed) in enumerate(left):
        place = f"[{len(every) - len(left) + index + 1}/{len(every)}] {row.title} seed {seed}"
        say(f"{place}: {'continuing' if row.run(out, seed).env.exists() else 'training'}")
        started = clock()
        fault = train_one(command_of(plan, row, data, out, seed), row.run(out, seed), start)
        walls_s.append(clock() - started)
        failed += fault is not None
        say(f"{place}: {fault or score_of(row.run(out, seed))}, {walls_s[-1]:.0f} s{forecast(walls_s, len(left))}")
        if fault is not None and row.is_base:
            say("the base failed; without it nothing can be compared")
            break
    return Exit.RESULT if failed else Exit.OK


def train_one(command: Sequence[str], run: RunDir, start: Starter) -> str | None:
    """Run one training; returns None, or the error, which is also saved next to the run folder."""
    output, record = beside(run, "txt"), beside(run, "failed.json")
    output.parent.mkdir(parents=True, exist_ok=True)
    code = start(command, output)
    if code == 0 and run.summary.exists():
        record.unlink(missing_ok=True)
        return None
    message = f"failed with exit code {code}: {last_words(output.read_text(errors='replace'))}"
    files.commit_json(record, {"code": code, "message": message})
    return message


def beside(run: RunDir, ending: str) -> Path:
    """Return the path of a file with this ending next to a run folder."""
    return run.path.with_name(f"{run.path.name}.{ending}")


def last_words(text: str) -> str:
    """Return a process's error message on one line; without an error, its last line of output.

    >>> last_words("epoch 1\\nerror[diverged] it diverged\\n  where: step 3\\n")
    'error[diverged] it diverged; where: step 3'
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    begin = next((i for i in reversed(range(len(lines))) if lines[i].startswith("error[")), max(0, len(lines) - 3))
    return "; ".join(lines[begin:]) or "no output"


def forecast(walls_s: Sequence[float], runs: int) -> str:
    """Return the expected time of the remaining runs, from the mean so far.

    >>> forecast([50.0, 70.0], 5)
    '; 3 left, about 3 min'
    """
    left = runs - len(walls_s)
    return f"; {left} left, about {left * statistics.mean(walls_s) / 60:.0f} min" if left else ""


def score_of(run: RunDir) -> str:
    """Return a finished run's score as text."""
    pooled = files.read_json(run.summary)["pooled"]
    return f"macro-F1 {number(pooled['macro_f1'])}" if pooled else "no score, because of data.leaky"


def refuse_others(plan: Plan, out: Path) -> None:
    """Raise ResultError that lists every run folder whose settings differ from its row's present settings."""
    found = []
    for row in (plan.base, *plan.rows):
        for seed in seeds_of(out, row):
            if not (run := row.run(out, seed)).env.exists():
                continue
            present = with_normalisation(plan.settings(row, seed))  # as a run stores it
            then, now = plain(config.load(run.config)[0]), plain(present)
            then["folds trained"], now["folds trained"] = files.read_json(run.env)["folds"], list(plan.folds)
            found += [f"{run.path.name}: {text}" for text in differences(then, now)]
    if found:
        fix = "move these folders away, or choose another --out"
        raise ResultError(
            "run folders have other settings than their rows", offenders=list(dict.fromkeys(found)), fix=fix
        )


def refuse_missing_weights(plan: Plan) -> None:
    """Raise UsageError when the base's weights file does not exist."""
    weights = plan.settings(plan.base, 0).model.weights
    if weights and not Path(weights).is_file():
        fix = "give the file with --set model.weights=PATH, or model.weights=null"
        raise UsageError("the weights of the base do not exist", where="model.weights", got=repr(weights), fix=fix)


def seeds_of(out: Path, row: Row) -> list[int]:
    """Return the seeds for which a row has run folders or failures, ascending."""
    ends = (
        path.name.removeprefix(f"{row.folder}.s").removesuffix(".failed.json") for path in out.glob(f"{row.folder}.s*")
    )
    return sorted({int(end) for end in ends if end.isdecimal()})


def plain(cfg: Config) -> dict[str, Any]:
    """Return every setting by its dotted key, with absolute file paths, as a run stores them."""
    flat = config.flatten(cfg.model_dump(mode="json"))

    def is_file(value: Any) -> bool:
        return isinstance(value, str) and Path(value).is_file()

    return {key: str(Path(value).resolve()) if is_file(value) else value for key, value in flat.items()}


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return one sentence per entry that differs.

    >>> differences({"a": 1, "b": 2}, {"a": 1, "b": 3})
    ['b is 2, not 3']
    """
    return [f"{key} is {then.get(key)}, not {now.get(key)}" for key in {**now, **then} if then.get(key) != now.get(key)]
