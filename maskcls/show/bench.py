"""What the verbs of `maskcls bench` return and print: costs of reading, speeds of computing, losses over rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.spark import sparkline
from maskcls.show.terminal.text import say, show

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class ReadingCosts:
    """Microseconds per photo of each part of the way from a file to a training image; medians of `repeats` passes."""

    data: Path
    photos: int
    repeats: int
    microseconds: Mapping[str, float]


@dataclass(frozen=True)
class CandidateSpeed:
    """A way to compute the network that was timed.

    images_per_second  the median over the rounds; seconds: of each round.
    about              number format, memory format and threads, as plain data.
    """

    name: str
    threads: int
    images_per_second: float
    seconds: tuple[float, ...]
    about: Mapping[str, Any]


@dataclass(frozen=True)
class StepSpeeds:
    """The candidates that were timed, the plan that was chosen, as data and as a sentence, and the largest step.

    busy  whether other programs used the processor meanwhile.
    """

    plan: Mapping[str, Any]
    sentence: str
    train: tuple[CandidateSpeed, ...]
    infer: tuple[CandidateSpeed, ...]
    largest_batch: int
    busy: bool

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        found: dict[str, Any] = {"plan": self.plan, "largest_batch": self.largest_batch, "busy": self.busy}
        for name, ways in (("train", self.train), ("infer", self.infer)):
            found[name] = [
                {**way.about, "images_per_second": way.images_per_second, "seconds": list(way.seconds)} for way in ways
            ]
        return found


@dataclass(frozen=True)
class Ramp:
    """The losses of one network at rising learning rates, and the rate at which the loss fell fastest."""

    lr: float
    losses: Sequence[float]
    rates: Sequence[float]


@dataclass(frozen=True)
class LrRange:
    """A ramp of each network, from the rate `low` to `high`."""

    low: float
    high: float
    networks: Mapping[str, Ramp]


def print_reading_costs(found: ReadingCosts, *, json: bool = False) -> None:
    """Print a table of the parts."""
    if json:
        print_json({"photos": found.photos, "microseconds": found.microseconds})
        return
    table = _table("part", "us per photo", "photos/s")
    for name, cost in found.microseconds.items():
        table.add_row(name, f"{cost:.1f}", f"{1e6 / cost:,.0f}" if cost > 0 else "-")
    show(table)
    say(f"\nmedian of {found.repeats} passes over {found.photos} photos of {found.data}, one thread, all steps on")


def print_step_speeds(found: StepSpeeds, *, json: bool = False) -> None:
    """Print a table of the ways, the plan, and the largest step."""
    if json:
        print_json(found.to_json())
        return
    table = _table("network computed in", "threads", "training, img/s", "prediction, img/s")
    train, infer = (
        {(way.name, way.threads): way.images_per_second for way in ways} for ways in (found.train, found.infer)
    )
    for key in sorted({**train, **infer}, key=lambda key: -train.get(key, 0.0)):
        speeds = [f"{speed[key]:.0f}" if key in speed else "-" for speed in (train, infer)]
        table.add_row(key[0], str(key[1]), *speeds)
    show(table)
    say(found.sentence)
    say(f"largest step that fits into memory: {found.largest_batch:,} images")


def print_lr_range(found: LrRange, *, json: bool = False) -> None:
    """Print the losses of each network as a line, and the rate at which they fell fastest."""
    if json:
        print_json({"networks": {name: asdict(ramp) for name, ramp in found.networks.items()}})
        return
    table = _table("network", f"loss, from {found.low:g} to {found.high:g}", "falls fastest at", justify="left")
    for name, ramp in found.networks.items():
        table.add_row(name, sparkline(ramp.losses), f"optim.lr={ramp.lr:.1e}")
    show(table)


def _table(first: str, *others: str, justify: Literal["left", "right"] = "right") -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, justify=justify, no_wrap=True)
    return table
