"""Progress on stderr: bars in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from maskcls.show.terminal.epoch_lines import LEGEND, Column, epoch_cells, epoch_columns, header_line, table_line

if TYPE_CHECKING:  # the engine brings torch, and commands that train nothing report too
    from maskcls.engine.fit import EpochResult
    from maskcls.engine.step import Tick

PLAIN_EVERY_S = 15.0
WIDE = 100  # columns of a terminal, from which the bars are longer
CTRL_C = 2  # columns of the ^C that a terminal writes behind the cursor
LOADING = "loading libraries"


class _Bars(Progress):
    """Bars with room behind them for the ^C of an interrupt, which would break a full line: a part would stay."""

    def get_renderable(self) -> RenderableType:
        """Return the bars as they are drawn."""
        return _Narrower(super().get_renderable())


class _Percent(ProgressColumn):
    """Whole percent; nothing where it is not known how long something takes."""

    def render(self, task: Task) -> Text:
        return Text("" if task.total is None else f"{task.percentage:>3.0f}%")


class _Narrower:
    def __init__(self, inner: RenderableType) -> None:
        self.inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from console.render(self.inner, options.update(max_width=max(1, options.max_width - CTRL_C - 1)))


class Reporter:
    """What a person sees while a command works. Use it as a context manager; `quiet` processes print nothing."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.console = Console(stderr=True, quiet=quiet, highlight=False)
        self.bars: Progress | None = None
        if self.console.is_terminal and not quiet:
            self.bars = _Bars(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24 if self.console.width >= WIDE else 12),
                _Percent(),
                TextColumn("{task.fields[speed]}"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[score]}"),
                console=self.console,
                transient=True,
            )
        self.total: TaskID | None = None
        self.parts: dict[str, TaskID] = {}
        self.epochs: dict[str, int] = {}
        self.printed: dict[str, float] = {}
        self.columns: list[Column] = []
        self.said: set[str] = set()

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

    def once(self, text: str) -> None:
        """Print one line, unless it was printed so before."""
        if text not in self.said:
            self.said.add(text)
            self.note(text)

    def begin(self, what: str, epochs_in_all: int) -> None:
        """Open the bar over everything this command trains; it counts epochs."""
        if self.bars:
            self.total = self.bars.add_task(what, total=epochs_in_all, speed="", score="")

    def end(self) -> None:
        """Close the bar over everything."""
        if self.bars and self.total is not None:
            self.bars.remove_task(self.total)
            self.total = None

    @contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """Show in a terminal what is being done while the block runs, where no share of it can be told."""
        if self.bars:
            self.parts[what] = self.bars.add_task(what, total=None, speed="", score="")
        try:
            yield
        finally:
            self._close(what)

    def starting(self, title: str) -> None:
        """Report that a process for one network on one fold starts; it loads the libraries first, for some seconds."""
        if self.bars:
            self.parts[title] = self.bars.add_task(f"{title} starting a process", total=None, speed="", score="")
        else:
            self.note(f"{title}: starting a process")

    def fold(self, title: str, epochs: int, done: int) -> None:
        """Open the bar of one network on one fold; several may be open at a time."""
        self.epochs[title], self.printed[title] = epochs, time.monotonic()
        self._close(title)
        if self.bars:
            self.parts[title] = self.bars.add_task(title, total=1, speed="", score="")
        if done:
            self.note(f"{title}: continuing after epoch {done}")

    def _close(self, what: str) -> None:
        if self.bars and what in self.parts:
            self.bars.remove_task(self.parts.pop(what))

    def fold_done(self, title: str) -> None:
        """Close the bar of a fold."""
        self._close(title)

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
        """Print the line of a finished epoch; before the first, and where the columns change, their names."""
        self.printed[title] = time.monotonic()
        cells = epoch_cells(title, self.epochs[title], result)
        columns = epoch_columns(cells, self.console.width if self.console.is_terminal else None)
        if not self.columns:
            self.note(LEGEND)
        if columns != self.columns:
            self.columns = columns
            self.note(header_line(columns))
        self.note(table_line(cells, columns))
        self.skip(1)
        if self.bars and self.total is not None:
            place = f"{title} epoch {result.epoch + 1}/{self.epochs[title]}"
            speed, loss = f"{result.images_per_second:.0f} img/s", f"loss {result.train['loss']:.3f}"
            self.bars.update(self.parts[title], description=place, completed=1, speed=speed, score=loss)
            self.bars.update(self.total, score=f"macro-F1 {cells['macro-F1'].split()[0]}")

    def images(self, what: str, done: int, of: int) -> None:
        """Show progress over images: reading, checking, predicting."""
        if not self.bars:
            return
        if what not in self.parts:
            self.parts[what] = self.bars.add_task(what, total=of, speed="", score="")
        self.bars.update(self.parts[what], completed=done, total=of)
        if done >= of:
            self.bars.remove_task(self.parts.pop(what))


def main_process() -> bool:
    """Tell whether this is the process that speaks and writes, by the launcher's environment."""
    import os

    return os.environ.get("RANK", "0") == "0"
