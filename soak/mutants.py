"""Mutated files: every reader refuses them with an error of its own, or reads them; quickly, and in little memory."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import time
import traceback
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from maskcls.errors import Exit, MaskclsError
from maskcls.machine import machine_error
from soak import forks
from soak.plan import FAILED, Plan
from soak.readers import Reader, readers
from soak.tally import Tally
from soak.world import copied

FULL = 20_000  # mutants of each reader in the whole soak
BATCH = 250  # in one child: a mutant that damages the process harms no other batch
HANG_S = 5
PEAK_MIB = 1024


class HangError(BaseException):
    """A reader took too long. No Exception, so that no reader can take it for damage."""


def run(plan: Plan, world: Path, work: Path) -> list[Tally]:
    """Read mutants with every reader."""
    known = {reader.name: reader for reader in readers(world, world) if plan.wants(reader.name)}
    tallies = {name: Tally(f"mutants: {name}", plan.seed) for name in known}
    batches = [
        (name, cases[start : start + BATCH])
        for name in known
        for cases in [plan.cases(FULL)]
        for start in range(0, len(cases), BATCH)
    ]
    found = forks.spread(lambda worker, mine: _batches(plan, world, work / f"m{worker}", mine), batches, plan.jobs)
    for name, case, outcome, failure in found:
        tallies[name].add(outcome, failure and f"{failure}\n    {plan.repeat('mutants', name, case)}")
    return list(tallies.values())


def _batches(plan: Plan, world: Path, folder: Path, mine: list[tuple[str, list[int]]]) -> Iterator[Any]:
    copied(world, folder)
    known = {reader.name: reader for reader in readers(world, folder)}
    for name in dict.fromkeys(name for name, _ in mine):
        _check_seeds(known[name], folder)
    forks.rest()
    for name, cases in mine:
        yield from _batch(plan, known[name], folder, cases)
    shutil.rmtree(folder)


def _check_seeds(reader: Reader, folder: Path) -> None:
    """Raise what the reader raises for a right file: then it would refuse every mutant, and prove nothing."""

    def read() -> int:
        os.chdir(folder)
        for name, right in reader.seeds:
            _replace(folder / name, right)
            reader.read(folder / name)
        return 0

    assert reader.seeds, reader.name
    ended = forks.run(read, limit_s=60)
    if ended.code:
        raise RuntimeError(f"{reader.name} refuses a right file: {ended.text}")


def _batch(plan: Plan, reader: Reader, folder: Path, cases: list[int]) -> Iterator[Any]:
    """Read the cases in a child; one that ends it, such as a crash of a library, is a failure, and the rest goes on."""
    while cases:
        output = folder / "soak.output"
        notes = folder / "soak.results"
        for path in (output, notes):
            path.unlink(missing_ok=True)
        ended = forks.finish(
            forks.fork(partial(_read_all, plan, reader, folder, cases, notes), output), output, limit_s=600
        )
        lines = notes.read_text().splitlines() if notes.exists() else []
        for line in lines:
            case, outcome, failure = line.split("\t", 2)
            yield reader.name, int(case), outcome, failure
        cases = cases[len(lines) :]
        if ended.code:
            if not cases:
                raise RuntimeError(ended.text)
            last = (ended.text.strip().splitlines() or ["no word"])[-1]
            yield (
                reader.name,
                cases[0],
                "ended the process",
                f"{reader.name}: the process ended with {ended.code}: {last}",
            )
            cases = cases[1:]


def _read_all(plan: Plan, reader: Reader, folder: Path, cases: list[int], notes: Path) -> int:
    os.chdir(folder)
    signal.signal(signal.SIGALRM, _hang)
    contents = [content for _, content in reader.seeds]
    with notes.open("a") as handle:
        for case in cases:
            rng = plan.draws(reader.name, case)
            name, right = reader.seeds[rng.randrange(len(reader.seeds))]
            path = folder / name
            mutant = reader.mutate(rng, right, contents)
            _replace(path, mutant)
            outcome, failure = _read(reader, path)
            if failure:
                FAILED.mkdir(parents=True, exist_ok=True)
                failure = f"{reader.name}: {failure}; {len(mutant)} bytes of {name}"
            _replace(path, right)
            handle.write(f"{case}\t{outcome}\t{' '.join(failure.split())}\n")
            handle.flush()
    return 0


def _read(reader: Reader, path: Path) -> tuple[str, str]:
    """Return how the reading ended, and what was wrong with that."""
    before = _peak_mib()
    signal.setitimer(signal.ITIMER_REAL, 20 * HANG_S)
    began = time.process_time()
    try:
        reader.read(path)
        outcome, failure = "read", ""
    except HangError:
        outcome, failure = "hung", f"no end after {20 * HANG_S} s"
    except MaskclsError as error:
        outcome = "refused"
        failure = "exit code 1" if error.exit_code == Exit.INTERNAL else ""
        str(error).encode("utf-8", "strict" if _printable(error) else "backslashreplace")
        if _has_memory_error(error):
            failure = "it ran out of memory before it refused"
    except Exception as error:
        known = machine_error(error)
        outcome = "raised" if known is None else "refused"
        place = traceback.extract_tb(error.__traceback__)[-1]
        failure = (
            f"{type(error).__name__}: {str(error)[:200]} at {place.filename}:{place.lineno}" if known is None else ""
        )
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    if not failure and (seconds := time.process_time() - began) > HANG_S:
        outcome, failure = "slow", f"{seconds:.1f} s of processor time"
    if not failure and (after := _peak_mib()) > max(before, PEAK_MIB):
        outcome, failure = "large", f"{after:.0f} MiB of memory"
    return outcome, failure


def _printable(error: MaskclsError) -> bool:
    return not any(0xD800 <= ord(c) <= 0xDFFF for c in str(error))


def _has_memory_error(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        error = error.__context__
    return False


def _hang(*_: object) -> None:
    raise HangError


def _replace(path: Path, data: bytes) -> None:
    """Write a new file: the one that stood there may be a hard link."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
