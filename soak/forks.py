"""Cases in forked processes: torch and the package are imported once, and a case costs some hundredths of a second.

A case runs in a process group of its own. It may be killed at any moment, and it may use up memory.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
EXTRA_BYTES = 3 << 30  # of address space, beyond what the parent has: a bomb fails in the child, not in the machine
POLL_S = 0.002


@dataclass(frozen=True)
class Ended:
    """code: exit code, or minus the number of the signal; late: it was stopped at its limit; text: what it printed.

    peak_mib: most memory it had resident, with what the fork began with.
    """

    code: int
    seconds: float
    cpu_seconds: float
    peak_mib: float
    text: str
    late: bool = False
    stopped: bool = False


def rest() -> None:
    """Take all objects that exist out of garbage collections, which would copy every page of a forked child."""
    gc.collect()
    gc.freeze()


def fork(function: Callable[[], int], output: Path) -> int:
    """Start a function in a child and return its process id; its result is the exit code, its output goes to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    # A signal that comes before the child has its own handler waits, and is not lost to the parent's handler.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    if pid := os.fork():
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return pid
    code = 70
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # whatever the parent does with it
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        _redirect(output)
        soft = _address_space() + EXTRA_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (soft, soft))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        code = int(function())
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def finish(
    pid: int,
    output: Path,
    *,
    limit_s: float,
    kill_after_s: float | None = None,
    stop_after_s: float | None = None,
    started: float | None = None,
) -> Ended:
    """Wait for a child.

    kill_after_s  when to kill its process group, if it still runs; a kill is then no fault.
    stop_after_s  when to send SIGTERM once.
    limit_s       when to give it up as late.
    """
    began = time.monotonic() if started is None else started
    stopped = False
    while True:
        done, status, usage = os.wait4(pid, os.WNOHANG)
        seconds = time.monotonic() - began
        late = False
        if not done and kill_after_s is not None and seconds >= kill_after_s:
            _kill(pid)
            done, status, usage = os.wait4(pid, 0)
        elif not done and seconds >= limit_s:
            late = True
            _kill(pid)
            done, status, usage = os.wait4(pid, 0)
        elif not done and stop_after_s is not None and not stopped and seconds >= stop_after_s:
            stopped = True
            os.kill(pid, signal.SIGTERM)
        if done:
            _kill(pid)  # what it left behind in its group
            text = output.read_text("utf-8", "replace") if output.exists() else ""
            cpu = usage.ru_utime + usage.ru_stime
            return Ended(os.waitstatus_to_exitcode(status), seconds, cpu, usage.ru_maxrss / 1024, text, late, stopped)
        time.sleep(POLL_S)


def run(function: Callable[[], int], **limits: Any) -> Ended:
    """Run a function in a child to its end; see `finish`."""
    with tempfile.TemporaryDirectory(prefix="soak-out-") as folder:
        output = Path(folder) / "output"
        return finish(fork(function, output), output, **limits)


def spread(work: Callable[[int, list[T]], Iterator[Any]], cases: Iterable[T], jobs: int) -> Iterator[Any]:
    """Yield what `work(worker, cases)` yields, plain JSON data, from so many processes that share the cases.

    Raises RuntimeError when a worker ends before its last case.
    """
    items = list(cases)
    jobs = max(1, min(jobs, len(items)))
    pipes: dict[Connection, int] = {}
    for worker in range(jobs):
        receiver, sender = Pipe(duplex=False)
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                for result in work(worker, items[worker::jobs]):
                    sender.send_bytes(json.dumps(result).encode())
                sender.send_bytes(b"null")
                code = 0
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
            finally:
                os._exit(code)
        sender.close()
        pipes[receiver] = pid
    try:
        yield from _received(pipes)
    finally:
        for pid in pipes.values():
            os.kill(pid, signal.SIGTERM)


def _received(pipes: dict[Connection, int]) -> Iterator[Any]:
    while pipes:
        for receiver in wait(list(pipes)):
            assert isinstance(receiver, Connection)
            try:
                result = json.loads(receiver.recv_bytes())
            except EOFError:
                raise RuntimeError("a worker of the soak ended before its last case; see its traceback above") from None
            if result is None:
                os.waitpid(pipes.pop(receiver), 0)
            else:
                yield result


def _kill(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    except PermissionError:  # macOS, for a group of zombies
        pass


def _redirect(output: Path) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, target in ((nothing, 0), (handle, 1), (handle, 2)):
        os.dup2(source, target)


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()
