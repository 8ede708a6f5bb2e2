"""What a person sees of a calibration."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING

from maskcls.errors import visible
from maskcls.results.decisions.calibration import Quality
from maskcls.runs.calibration import Calibration

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table


def print_calibration(calibration: Calibration, json: bool = False) -> None:
    """Print to stdout: tables for a person, or with `json` one JSON object, NaN as null."""
    if json:
        print(dumps(calibration.to_json(), allow_nan=False))
        return
    from rich.console import Console

    Console(highlight=False, markup=False, emoji=False).print(render(calibration))


def render(calibration: Calibration) -> RenderableType:
    """Return the headline, a table of the tasks before and after, and what the rule is worth."""
    from rich.console import Group

    groups = "folds" if calibration.folds else "groups of people"
    headline = (
        f"{calibration.rows:,} out-of-fold images   {calibration.people:,} people   {calibration.groups} {groups}"
    )
    return Group(headline, "", _quality_table(calibration), "", *_verdict(calibration))


def _quality_table(calibration: Calibration) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="")
    table.add_column("task", overflow="fold", min_width=12)
    for name in ("temperature", "log loss", "after", "ECE", "after", "images"):
        table.add_column(name, justify="right", no_wrap=True)
    before, after = calibration.before, calibration.after
    for name, temperature in calibration.decision.temperatures.items():
        table.add_row(visible(name), f"{temperature:.3f}", *_cells(before.tasks[name], after.tasks[name]))
    table.add_row("joint", "", *_cells(before.joint, after.joint), style="bold")
    return table


def _cells(before: Quality, after: Quality) -> list[str]:
    if not before.rows:
        return ["-", "-", "-", "-", "0"]
    numbers = (before.log_loss, after.log_loss, before.ece, after.ece)
    return [*(f"{number:.4f}" for number in numbers), f"{before.rows:,}"]


def _verdict(calibration: Calibration) -> list[str]:
    before, after, found = calibration.before.tasks, calibration.after.tasks, calibration.nested
    worse = [visible(name) for name in before if after[name].log_loss > before[name].log_loss]
    lines = [f"a temperature from other people makes the log loss higher: {', '.join(worse)}"] if worse else []
    if found is None:
        return [*lines, "no rule: too few images have a label of every task"]
    gain = found.gain
    interval = f"{gain.level:.0%} interval [{gain.low:+.4f}, {gain.high:+.4f}] over people"
    verdict = "worth it" if found.worth_it else "not worth it: the most probable class stays the answer"
    return [
        *lines,
        f"rule {calibration.tried}   macro-F1 {found.plain:.4f} without, {found.ruled:.4f} with it, fitted on others",
        f"gain {gain.value:+.4f}   {interval}",
        verdict,
    ]
