"""One line per job of a training: what it does, its epoch, its score; read from files, so jobs may be anywhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from rich.progress import TaskID

from maskcls.show.terminal.progress import PLAIN_EVERY_S, Reporter


@dataclass(frozen=True)
class JobLine:
    """What is known about a job.

    state   in words: waiting, at work, done, failed. epochs: those finished; of: None for a job that trains nothing.
    score   macro-F1 of the last epoch; None without one.
    """

    title: str
    state: str
    epochs: int = 0
    of: int | None = None
    score: float | None = None

    @property
    def text(self) -> str:
        """The line, without the title.

        >>> JobLine("fold 0", "at work", 2, 3, 0.51234).text, JobLine("fold 1", "waiting (PENDING, Resources)").text
        ('at work, epoch 2 of 3, macro-F1 0.5123', 'waiting (PENDING, Resources)')
        """
        parts = [self.state]
        if self.of is not None and self.epochs:
            parts.append(f"epoch {self.epochs} of {self.of}")
        if self.score is not None:
            parts.append(f"macro-F1 {self.score:.4f}")
        return ", ".join(parts)


class JobLines:
    """Shows jobs: a bar for each in a terminal; elsewhere a line when its state changes, or after a while of epochs.

    clock  seconds that only rise.
    """

    def __init__(self, report: Reporter, clock: Callable[[], float] = time.monotonic) -> None:
        self.report, self.clock = report, clock
        self.shown: dict[str, tuple[JobLine, float]] = {}
        self.bars: dict[str, TaskID] = {}

    def show(self, line: JobLine) -> None:
        """Bring what is shown of a job up to date."""
        before, at = self.shown.get(line.title, (None, -PLAIN_EVERY_S))
        if line == before:
            return
        if self.report.bars:
            self._draw(line)
            self.shown[line.title] = line, self.clock()
        elif before is None or before.state != line.state or self.clock() - at >= PLAIN_EVERY_S:
            self.report.note(f"{line.title}: {line.text}")
            self.shown[line.title] = line, self.clock()

    def close(self) -> None:
        """Remove the bars."""
        for bar in self.bars.values():
            if self.report.bars:
                self.report.bars.remove_task(bar)
        self.bars.clear()

    def _draw(self, line: JobLine) -> None:
        bars, score = self.report.bars, "" if line.score is None else f"macro-F1 {line.score:.4f}"
        if bars is None:
            return
        if line.title not in self.bars:
            self.bars[line.title] = bars.add_task(line.title, total=line.of, speed="", score="")
        epochs = f" epoch {line.epochs}/{line.of}" if line.of is not None else ""
        bars.update(
            self.bars[line.title],
            description=f"{line.title}{epochs} {line.state}",
            completed=line.epochs,
            score=score,
        )
