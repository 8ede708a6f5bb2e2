"""Progress on stderr: bars in a terminal; elsewhere plain lines, the first after two seconds, then one every quarter
of a minute."""

from __future__ import annotations

import functools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Concatenate, ParamSpec

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from maskcls.durations import duration
from maskcls.errors import visible
from maskcls.groupnouns import PEOPLE, Noun
from maskcls.machine import process_number
from maskcls.show.terminal.epoch_lines import Column, epoch_cells, epoch_columns, epoch_legend, header_line, table_line
from maskcls.show.terminal.pace import Pace, TrainingPace, left_in_words

if TYPE_CHECKING:  # the engine brings torch, and commands that train nothing report too
    from maskcls.engine.fit import EpochResult
    from maskcls.engine.step import Tick

PLAIN_FIRST_S, PLAIN_EVERY_S = 2.0, 15.0  # without a terminal: when the first line comes, and how often the others
WIDE = 100  # columns of a terminal, from which the bars are longer
Shown = ParamSpec("Shown")

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


class _TimeLeft(ProgressColumn):
    """The time that is left, counted down between two reports; where that is not known, the time since the start."""

    def render(self, task: Task) -> Text:
        ends: float | None = task.fields.get("ends")
        if task.total is None:
            return Text(duration(task.elapsed or 0.0))
        return Text("" if ends is None else left_in_words(max(0.0, ends - time.monotonic())))


class _Narrower:
    def __init__(self, inner: RenderableType) -> None:
        self.inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from console.render(self.inner, options.update(max_width=max(1, options.max_width - CTRL_C - 1)))


def _stops_nothing(show: Callable[Concatenate[Reporter, Shown], None]) -> Callable[Concatenate[Reporter, Shown], None]:
    """Let an error while progress is shown end the display with one warning, not the work; MASKCLS_DEBUG raises it."""

    @functools.wraps(show)
    def shown(self: Reporter, /, *args: Shown.args, **kwargs: Shown.kwargs) -> None:
        if self.failed:
            return
        try:
            show(self, *args, **kwargs)
        except OSError:  # a closed pipe
            raise
        except Exception as error:
            if os.environ.get("MASKCLS_DEBUG"):
                raise
            self.failed = True
            why = visible(f"{type(error).__name__}: {error}")
            print(f"warning: no more progress is shown, the work continues: {why}", file=sys.stderr)

    return shown


class Reporter:
    """What a person sees while a command works. Use it as a context manager.

    quiet  processes that print nothing.
    noun   what the groups of the data set are called, one and several.
    """

    def __init__(self, *, quiet: bool = False, noun: Noun = PEOPLE) -> None:
        self.noun = noun
        self.console = Console(stderr=True, quiet=quiet, highlight=False)
        self.bars: Progress | None = None
        if self.console.is_terminal and not quiet:
            self.bars = _Bars(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24 if self.console.width >= WIDE else 10),
                _Percent(),
                TextColumn("{task.fields[speed]}"),
                _TimeLeft(),
                TextColumn("{task.fields[score]}"),
                console=self.console,
                transient=True,
            )
        self.total: TaskID | None = None
        self.training: TrainingPace | None = None
        self.training_name = ""
        self.paces: dict[str, Pace] = {}
        self.parts: dict[str, TaskID] = {}
        self.epochs: dict[str, int] = {}
        self.printed: dict[str, float] = {}
        self.columns: list[Column] = []
        self.said: set[str] = set()
        self.failed = False  # in showing progress

    def __enter__(self) -> Reporter:
        if self.bars:
            self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bars:
            self.bars.stop()

    def end_bars(self) -> None:
        """Remove the bars, before work that only the user ends; lines can still be printed."""
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

    def notes(self, texts: Iterable[str]) -> None:
        """Print each text as `note` does."""
        for text in texts:
            self.note(text)

    def begin(self, what: str, epochs_in_all: int, expected_s: float | None = None) -> None:
        """Open the bar over everything this command trains; it counts epochs.

        expected_s  forecast of the time for all of them, from the measured speed.
        """
        self.training, self.training_name = TrainingPace(epochs_in_all, time.monotonic(), expected_s), what
        self.printed[what] = time.monotonic()
        if expected_s is not None:
            self.note(f"{what}: {epochs_in_all:,} epochs, about {duration(expected_s)}")
        if self.bars:
            self.total = self.bars.add_task(what, total=epochs_in_all, speed="", score="")

    def end(self) -> None:
        """Close the bar over everything."""
        self.training = None
        if self.bars and self.total is not None:
            self.bars.remove_task(self.total)
            self.total = None

    @contextmanager
    def busy(self, what: str, waited_s: float = 0.0) -> Iterator[None]:
        """Show what is being done while the block runs, and for how long, where no share of it can be told.

        waited_s  how long it has been going on already.
        """
        if self.bars:
            self.parts[what] = self.bars.add_task(what, total=None, speed="", score="")
        ended = threading.Event()
        told = threading.Thread(target=self._say_what, args=(what, ended, waited_s), daemon=True)
        if not self.bars:
            told.start()
        try:
            yield
        finally:
            ended.set()
            if not self.bars:
                told.join()
            self._close(what)

    def _say_what(self, what: str, ended: threading.Event, waited_s: float) -> None:
        started = time.monotonic() - waited_s
        wait_s = max(0.0, PLAIN_FIRST_S - waited_s)
        while not ended.wait(wait_s):
            self.note(f"{what}: {duration(time.monotonic() - started)} so far")
            wait_s = PLAIN_EVERY_S

    def starting(self, title: str) -> None:
        """Report that a process for one network on one fold starts; it loads the libraries first, for some seconds."""
        if self.bars:
            self.parts[title] = self.bars.add_task(f"{title} starting a process", total=None, speed="", score="")
        else:
            self.note(f"{title}: starting a process")

    def fold(self, title: str, epochs: int, done: int, steps_done: int = 0, of_steps: int = 0) -> None:
        """Open the bar of one network on one fold; several may be open at a time.

        steps_done  of the epoch that is continued, which has `of_steps`.
        """
        self.epochs[title], self.printed[title] = epochs, time.monotonic()
        self._close(title)
        if self.bars:
            self.parts[title] = self.bars.add_task(title, total=1, speed="", score="")
        if steps_done:
            self.note(f"{title}: continuing in epoch {done + 1} of {epochs} after step {steps_done} of {of_steps}")
            if self.training:
                self.training.begun(title, steps_done / of_steps)
        elif done:
            self.note(f"{title}: continuing after epoch {done}")

    def _close(self, what: str) -> None:
        if self.bars and what in self.parts:
            self.bars.remove_task(self.parts.pop(what))

    def fold_done(self, title: str) -> None:
        """Close the bar of a fold."""
        self._close(title)

    def skip(self, epochs: int) -> None:
        """Count epochs that need not be trained: finished before, or stopped early."""
        if self.training:
            self.training.skip(epochs)
            self._show_total()

    def _show_total(self) -> None:
        """Bring the bar over everything up to date."""
        if self.bars and self.total is not None and self.training:
            now = time.monotonic()
            left = self.training.left_s(now)
            ends = None if left is None else now + left
            self.bars.update(self.total, completed=self.training.share * self.training.of, ends=ends)

    def _total_in_words(self) -> str:
        """Say how far everything is, without a terminal; "" outside a training."""
        if not self.training:
            return ""
        left = left_in_words(self.training.left_s(time.monotonic()))
        return ", ".join([f"{self.training_name} {self.training.share:.0%}", *([left] if left else [])])

    @_stops_nothing
    def tick(self, title: str, tick: Tick) -> None:
        """Show progress inside an epoch."""
        place = f"{title} epoch {tick.epoch + 1}/{self.epochs[title]}"
        speed = f"{tick.images_per_second:.0f} img/s"
        share = tick.images / tick.of_images
        if self.training:
            self.training.tick(title, share)
            self._show_total()
        if self.bars:
            loss = f"loss {tick.loss:.3f}"
            self.bars.update(self.parts[title], description=place, completed=share, speed=speed, score=loss)
        elif time.monotonic() - self.printed[title] > PLAIN_EVERY_S:
            self.printed[title] = time.monotonic()
            said = [f"{tick.images}/{tick.of_images} images, {speed}, loss {tick.loss:.4f}", self._total_in_words()]
            self.note(f"{place}: {'; '.join(filter(None, said))}")

    @_stops_nothing
    def epoch(self, title: str, result: EpochResult) -> None:
        """Print the line of a finished epoch; before the first, and where the columns change, their names."""
        self.printed[title] = time.monotonic()
        cells = epoch_cells(title, self.epochs[title], result)
        columns = epoch_columns(cells, self.console.width if self.console.is_terminal else None)
        if not self.columns:
            self.note(epoch_legend(self.noun))
        if columns != self.columns:
            self.columns = columns
            self.note(header_line(columns))
        self.note(table_line(cells, columns))
        if self.training:
            self.training.epoch(title)
            self._show_total()
            waited = time.monotonic() - self.printed[self.training_name] > PLAIN_EVERY_S
            if not self.bars and waited and self.training.share < 1:
                self.printed[self.training_name] = time.monotonic()
                self.note(self._total_in_words())
        if self.bars and self.total is not None:
            place = f"{title} epoch {result.epoch + 1}/{self.epochs[title]}"
            speed, loss = f"{result.images_per_second:.0f} img/s", f"loss {result.train['loss']:.3f}"
            self.bars.update(self.parts[title], description=place, completed=1, speed=speed, score=loss)
            self.bars.update(self.total, score=f"macro-F1 {cells['macro-F1'].split()[0]}")

    @_stops_nothing
    def images(self, what: str, done: int, of: int) -> None:
        """Show progress over images: reading, checking, predicting."""
        now = time.monotonic()
        if what not in self.paces:  # the first call may come with some images done: the speed is that from then on
            self.paces[what], self.printed[what] = Pace(of, now, skipped=done), now + PLAIN_FIRST_S - PLAIN_EVERY_S
        pace = self.paces[what]
        pace.done = done - pace.skipped
        left = pace.left_s(now)
        if self.bars:
            if what not in self.parts:
                self.parts[what] = self.bars.add_task(what, total=of, speed="", score="")
            ends = None if left is None else now + left
            self.bars.update(self.parts[what], completed=done, total=of, ends=ends)
        elif done < of and now - self.printed[what] > PLAIN_EVERY_S:
            self.printed[what] = now
            self.note(", ".join(filter(None, [f"{what}: {done:,} of {of:,}", left_in_words(left)])))
        if done >= of:
            del self.paces[what]
            self._close(what)


def main_process() -> bool:
    """Tell whether this is the process that speaks and writes, by the launcher's environment."""
    return process_number() == 0
