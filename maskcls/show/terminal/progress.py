"""Progress on stderr: bars in a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import time
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:  # the engine brings torch, and commands that train nothing report too
    from maskcls.engine.fit import EpochResult
    from maskcls.engine.step import Tick

PLAIN_EVERY_S = 15.0


class Reporter:
    """What a person sees while a command works. Use it as a context manager; `quiet` processes print nothing."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.console = Console(stderr=True, quiet=quiet, highlight=False)
        self.bars: Progress | None = None
        if self.console.is_terminal and not quiet:
            self.bars = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                TextColumn("{task.percentage:>3.0f}%"),
                TextColumn("{task.fields[speed]}"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[score]}"),
                console=self.console,
            )
        self.total: TaskID | None = None
        self.parts: dict[str, TaskID] = {}
        self.epochs: dict[str, int] = {}
        self.printed: dict[str, float] = {}

    def __enter__(self) -> Reporter:
        if self.bars:
            self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bars:
            self.bars.stop()

    def note(self, text: str) -> None:
        """Print one line; a terminal breaks it between words, a file keeps it whole."""
        self.console.print(escape(text), soft_wrap=not self.console.is_terminal)

    def begin(self, what: str, epochs_in_all: int) -> None:
        """Open the bar over everything this command trains; it counts epochs."""
        if self.bars:
            self.total = self.bars.add_task(what, total=epochs_in_all, speed="", score="")

    def fold(self, title: str, epochs: int, done: int) -> None:
        """Open the bar of one network on one fold; several may be open at a time."""
        self.epochs[title], self.printed[title] = epochs, time.monotonic()
        if self.bars:
            self.parts[title] = self.bars.add_task(title, total=1, speed="", score="")
        if done:
            self.note(f"{title}: continuing after epoch {done}")

    def fold_done(self, title: str) -> None:
        """Close the bar of a fold."""
        if self.bars:
            self.bars.remove_task(self.parts.pop(title))

    def skip(self, epochs: int) -> None:
        """Count epochs that need not be trained: finished before, or stopped early."""
        if self.bars and self.total is not None:
            self.bars.advance(self.total, epochs)

    def tick(self, title: str, tick: Tick) -> None:
        """Show progress inside an epoch."""
        place = f"{title} epoch {tick.epoch + 1}/{self.epochs[title]}"
        speed = f"{tick.images_per_second:.0f} img/s"
        if self.bars:
            share = tick.images / tick.of_images
            loss = f"loss {tick.loss:.3f}"
            self.bars.update(self.parts[title], description=place, completed=share, speed=speed, score=loss)
        elif time.monotonic() - self.printed[title] > PLAIN_EVERY_S:
            self.printed[title] = time.monotonic()
            self.note(f"{place}: {tick.images}/{tick.of_images} images, {speed}, loss {tick.loss:.4f}")

    def epoch(self, title: str, result: EpochResult) -> None:
        """Print the line of a finished epoch."""
        self.printed[title] = time.monotonic()
        place = f"{title} epoch {result.epoch + 1}/{self.epochs[title]}"
        speed = f"{result.images_per_second:.0f} img/s"
        tasks = " ".join(f"{k} {_score(v, 3)}" for k, v in result.val.items() if k not in ("macro_f1", "loss"))
        self.note(
            f"{place}: loss {result.train['loss']:.3f} macro-F1 {_score(result.val['macro_f1'], 4)} ({tasks}) "
            f"{speed} {result.seconds:.0f} s{' *' if result.is_best else ''}"
        )
        self.skip(1)
        if self.bars and self.total is not None:
            loss = f"loss {result.train['loss']:.3f}"
            self.bars.update(self.parts[title], description=place, completed=1, speed=speed, score=loss)
            self.bars.update(self.total, score=f"macro-F1 {_score(result.val['macro_f1'], 4)}")

    def images(self, what: str, done: int, of: int) -> None:
        """Show progress over images: reading, checking, predicting."""
        if not self.bars:
            return
        if what not in self.parts:
            self.parts[what] = self.bars.add_task(what, total=of, speed="", score="")
        self.bars.update(self.parts[what], completed=done, total=of)
        if done >= of:
            self.bars.remove_task(self.parts.pop(what))


def _score(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def main_process() -> bool:
    """Tell whether this is the process that speaks and writes, by the launcher's environment."""
    import os

    return os.environ.get("RANK", "0") == "0"
