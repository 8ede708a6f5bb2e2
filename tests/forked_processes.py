"""Several gloo processes of one command, forked from one that has imported everything, so that they begin at once.

The parent holds the key-value store, as torchrun does, so no port must be guessed. What a process does is a `Job`: a
module-level function that gets its number.
"""

from __future__ import annotations

import atexit
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
from processes import PATIENCE_S
from torch._C._distributed_c10d import TCPStore

Job = Callable[[], int]
PRELOADED = ["forked_processes", "maskcls.commands.train", "maskcls.commands.resume", "maskcls.verbs.training"]


@dataclass(frozen=True)
class Ended:
    """A process that has ended: its exit code (negative: the signal), and what it printed."""

    code: int
    out: str
    err: str


def in_processes(count: int, job: Job, folder: Path) -> list[Ended]:
    """Do a job in so many processes, and wait for them; their output is kept below the folder."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    folder.mkdir(parents=True, exist_ok=True)
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    processes = [
        context.Process(target=_child, args=(job, _environment(number, count, store.port), folder))
        for number in range(count)
    ]
    for process in processes:
        process.start()
    try:
        return [_ended(process, folder, number) for number, process in enumerate(processes)]
    finally:
        for process in processes:
            process.kill()


def _environment(number: int, count: int, port: int) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("MASKCLS_CACHE", "OMP_NUM_THREADS", "NO_ALBUMENTATIONS_UPDATE")}
    if count == 1:  # as without a launcher
        return kept | {"RANK": "0"}
    names = {"RANK": number, "LOCAL_RANK": number, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    launcher = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_USE_AGENT_STORE": True}
    return kept | {name: str(value) for name, value in (names | launcher).items()}


def _child(job: Job, environment: dict[str, str], folder: Path) -> None:
    os.environ.update(environment)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(folder / f"{name}{environment['RANK']}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="utf8", closefd=False) for number in (1, 2))
    code = job()
    sys.stdout.flush()
    sys.stderr.flush()
    atexit._run_exitfuncs()  # as at the end of a program, which a child of multiprocessing skips
    os._exit(code)


def _ended(process: BaseProcess, folder: Path, number: int) -> Ended:
    process.join(PATIENCE_S)
    assert process.exitcode is not None
    out, err = ((folder / f"{name}{number}").read_text() for name in ("out", "err"))
    return Ended(process.exitcode, out, err)


def command(words: Sequence[str], *, rows: Path | None = None, at: tuple[int, int, str] | None = None) -> Job:
    """Return the job of a command line.

    rows  a file; each process writes its training rows to it, one JSON line per step, its number appended to the name.
    at    (step, process, event): what happens to a process right before this step, such as SIGKILL or DataError.
    """
    return partial(_run, list(words), rows, at)


def _run(words: list[str], rows: Path | None, at: tuple[int, int, str] | None) -> int:
    from maskcls.cli import run_app
    from maskcls.engine import fit

    train_step, me = fit.train_step, int(os.environ["RANK"])
    words = [word.replace("RANK", str(me)) for word in words]  # in a word that differs between processes

    def watched(session: Any, photos: Any, heads: Any, cfg: Any, step: Any, mine: Any, stream: Any) -> Any:
        if at is not None and (session.step, me) == at[:2]:
            _happen(at[2])
        if rows is not None:
            used = np.concatenate([step.rows[piece.places[piece.real]] for piece in mine])
            with open(f"{rows}{me}", "a", encoding="utf8") as file:
                file.write(json.dumps([session.step, used.tolist()]) + "\n")
        return train_step(session, photos, heads, cfg, step, mine, stream)

    fit.train_step = watched  # type: ignore[assignment]
    return int(run_app(words))


def _happen(event: str) -> None:
    from maskcls.errors import DataError

    if event == "DataError":
        raise DataError("a photo is gone", where="x.jpg", fix="bring it back")
    os.kill(os.getpid(), getattr(signal, event))
    if event == "SIGSTOP":
        time.sleep(PATIENCE_S)


def rows_by_step(rows: Path) -> dict[int, list[list[int]]]:
    """Return the rows that the processes used, by step: a list per process that took part."""
    found: dict[int, list[list[int]]] = {}
    for step, used in _lines(rows):
        found.setdefault(step, []).append(used)
    return dict(sorted(found.items()))


def _lines(rows: Path) -> Iterator[tuple[int, list[int]]]:
    for file in sorted(rows.parent.glob(f"{rows.name}*")):
        yield from (json.loads(line) for line in file.read_text().splitlines())
