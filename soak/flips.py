"""One flipped bit in any file that the program wrote: `maskcls verify` or its reader names it, or it has no effect.

No effect is proved: commands that read all of it print and write the same bytes as before.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from maskcls.cli import run_app
from maskcls.errors import Exit
from soak import forks
from soak.commands import last_error
from soak.plan import Plan
from soak.tally import Tally
from soak.world import copied

BATCH = 100  # flips in one child
HEAD = 64  # bytes at both ends of a file that are hit by a third of the flips: headers and counts
RUN = "runs/a"
TABLES = ("submission", "photos", "photos_p", "ensemble", "groups", "pseudo")


@dataclass(frozen=True)
class Target:
    """full: flips in the whole soak; files: what is flipped; verified: what `verify` is given for a file."""

    name: str
    full: int
    files: tuple[str, ...]
    verified: tuple[str, ...]


def run(plan: Plan, world: Path, work: Path) -> list[Tally]:
    """Flip bits in a run, in tables with their sidecars, and in the cache."""
    targets = {one.name: one for one in _targets(world) if plan.wants(one.name)}
    tallies = {name: Tally(f"flips: {name} ({len(one.files)} files)", plan.seed) for name, one in targets.items()}
    batches = [
        (one, cases[start : start + BATCH])
        for one in targets.values()
        for cases in [plan.cases(one.full)]
        for start in range(0, len(cases), BATCH)
    ]
    found = forks.spread(lambda worker, mine: _batches(plan, world, work / f"f{worker}", mine), batches, plan.jobs)
    for name, case, outcome, failure in found:
        tallies[name].add(outcome, failure and f"{failure}\n    {plan.repeat('flips', name, case)}")
    return list(tallies.values())


def _targets(world: Path) -> Iterator[Target]:
    """Yield what is flipped; every table with its sidecar is verified by the table's name."""

    def below(folder: str) -> tuple[str, ...]:
        return tuple(sorted(p.relative_to(world).as_posix() for p in (world / folder).rglob("*") if p.is_file()))

    run_files = below(RUN)
    yield Target("run", 6_000, run_files, (RUN,) * len(run_files))
    tables = [path for name in TABLES for path in sorted(world.glob(f"{name}.*"))]
    yield Target(
        "tables",
        2_500,
        tuple(path.name for path in tables),
        tuple(path.name.split(".")[0] + ".csv" for path in tables),
    )
    cache = below("cache")
    yield Target("cache", 1_500, cache, ("cache",) * len(cache))


def _batches(plan: Plan, world: Path, folder: Path, mine: list[tuple[Target, list[int]]]) -> Iterator[Any]:
    copied(world, folder)
    forks.rest()
    results, output = folder / "soak.results", folder / "soak.output"
    for target, cases in mine:
        results.unlink(missing_ok=True)
        ended = forks.finish(
            forks.fork(partial(_flip_all, plan, target, folder, cases, results), output), output, limit_s=3600
        )
        if ended.code:
            raise RuntimeError(f"flips of {target.name}: {ended.code}: {ended.text[-2000:]}")
        for line in results.read_text().splitlines():
            case, outcome, failure = line.split("\t", 2)
            yield target.name, int(case), outcome, failure
    shutil.rmtree(folder)


def _flip_all(plan: Plan, target: Target, folder: Path, cases: list[int], results: Path) -> int:
    os.chdir(folder)
    os.environ["MASKCLS_CACHE"] = str(folder / "cache")
    for what in dict.fromkeys(target.verified):
        code, text = _called("verify", what)
        if code:
            raise RuntimeError(f"verify refuses {what} before any flip: {text}")
    before: dict[str, str] = {}
    with results.open("a") as handle:
        for case in cases:
            place = plan.draws("flips", target.name, case)
            number = place.randrange(len(target.files))
            name, what = target.files[number], target.verified[number]
            path = folder / name
            right = path.read_bytes()
            if not right:
                outcome, failure = "empty file", ""
            else:
                at = _position(place, len(right))
                bit = place.randrange(8)
                if name not in before:
                    before[name] = _reading(target, name)
                _write(path, right[:at] + bytes([right[at] ^ 1 << bit]) + right[at + 1 :])
                outcome, failure = _judged(target, name, what, before[name])
                failure = failure and f"{name}, bit {bit} of byte {at} of {len(right)}: {failure}"
                _write(path, right)
            handle.write(f"{case}\t{outcome}\t{' '.join(failure.split())}\n")
    return 0


def _position(draws: Any, size: int) -> int:
    if size > 2 * HEAD and draws.random() < 1 / 3:
        return int(draws.choice((draws.randrange(HEAD), size - 1 - draws.randrange(HEAD))))
    return int(draws.randrange(size))


def _judged(target: Target, name: str, what: str, before: str) -> tuple[str, str]:
    """Return how a flip was answered, and what is wrong with that."""
    code, text = _called("verify", what)
    if code == Exit.INTERNAL:
        return "a bug", last_error(text)
    if code:
        named = Path(name).name in text or Path(name).parent.name in text
        return ("named", "") if named else ("not named", f"verify says {last_error(text)}, which does not name it")
    found = _reading(target, name)
    if found != before and "error[" in found and Path(name).name in found:
        return "named by its reader", ""
    if found == before:
        return f"without effect ({Path(name).name if 'speeds' not in name else 'speeds'})", ""
    return "silent", "verify passes, and results change"


def _reading(target: Target, name: str) -> str:
    """Return what commands print and write that read all of a target, or of one of its files."""
    out = Path("soak-read.csv")
    write = ["-o", str(out), "--force"]
    lines = {
        "run": [["evaluate", RUN, "--json", "--full"], ["predict", RUN, "--data", "faces", *write], ["resume", RUN]],
        "tables": [["evaluate", "submission.csv", "--answers", "faces/eval/answers.csv", "--json"]],
        "cache": [["predict", RUN, "--data", "faces", *write]],
    }[target.name]
    if name.endswith(".recipe.yaml"):
        lines = [["ensemble", "--recipe", name, "--data", "faces", *write]]
    texts = [f"{code} {text}" for code, text in (_called(*words) for words in lines)]
    written = [path.read_text() for path in sorted(Path().glob("soak-read.*"))]
    for path in Path().glob("soak-read.*"):
        path.unlink()
    return "\n".join([*texts, *written])


def _called(*words: str) -> tuple[int, str]:
    """Run a command line in this process; returns its exit code and what it printed."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = run_app(list(words))
    return int(code), out.getvalue()


def _write(path: Path, data: bytes) -> None:
    """Write a new file: the one that stood there is a hard link."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)
