"""Trackers that cannot stop a training: one that fails, or does not answer, is switched off with one warning."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from multiprocessing.pool import ThreadPool
from typing import TypeVar

from maskcls.errors import MaskclsError, visible
from maskcls.show.terminal.progress import Reporter

T = TypeVar("T")

ANSWER_S = 90.0  # longest wait for a tracker


class Guard:
    """Calls trackers, each in a thread of its own, in one command and process; use it as a context manager.

    A thread that is still waiting for a tracker does not keep the process from ending.
    """

    def __init__(self, names: Iterable[str], report: Reporter) -> None:
        self.report = report
        self.threads = {name: ThreadPool(1) for name in names}

    def __enter__(self) -> Guard:
        return self

    def __exit__(self, *error: object) -> None:
        for name in list(self.threads):
            self.threads.pop(name).terminate()

    @property
    def working(self) -> list[str]:
        """The trackers that have not failed."""
        return list(self.threads)

    def call(self, name: str, work: Callable[[], T]) -> T | None:
        """Return what `work` returns; None if the tracker is off or fails now, whatever it raises."""
        if name not in self.threads:
            return None
        failed: list[BaseException] = []
        answer = self.threads[name].apply_async(work, error_callback=failed.append)
        answer.wait(ANSWER_S)
        if not answer.ready():
            failed.append(TimeoutError(f"no answer in {ANSWER_S:.0f} s"))
        if not failed:
            return answer.get()
        self.threads.pop(name).terminate()
        self.report.once(f"warning: no more tracking with {name}, training continues: {_reason(failed[0])}")
        return None


def _reason(error: BaseException) -> str:
    """Write an error in one line."""
    text = error.brief if isinstance(error, MaskclsError) else f"{type(error).__name__}: {error}"
    return visible(" ".join(text.split()).removesuffix(":"))
