"""What `maskcls calibrate` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maskcls.errors import visible
from maskcls.results.decisions.calibration import Quality
from maskcls.runs.calibration import Calibration
from maskcls.show.answers.tried import NOT_COUNTED, wider
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import NO_GAIN, number_of, percent, plain_table, show, span

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

UNUSED = "the temperatures are not used either: predict --decide uses them only together with a rule"
LEGEND = (
    "log loss and ECE: before and after, on {many} the temperature was not fitted on; ECE: expected calibration error, "
    "the mean difference between confidence and accuracy"
)


def print_calibration(calibration: Calibration, *, json: bool = False) -> None:
    """Print the temperatures, and the gain of the decision rule."""
    if json:
        print_json(calibration.to_json())
    else:
        show(render_calibration(calibration))


def render_calibration(calibration: Calibration) -> RenderableType:
    """Return the headline, a table of the tasks before and after, and the gain of the rule."""
    from rich.console import Group

    noun = calibration.noun
    groups = "folds" if calibration.folds else f"groups of {noun[1]}"
    headline = (
        f"{calibration.rows:,} out-of-fold images   {number_of(calibration.people, noun)}   "
        f"{calibration.groups} {groups}"
    )
    return Group(headline, "", _quality_table(calibration), LEGEND.format(many=noun[1]), "", *_verdict(calibration))


def _quality_table(calibration: Calibration) -> Table:
    table = plain_table("task", "temperature", "log loss", "after", "ECE", "after", "images")
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
    many = calibration.noun[1]
    lines = (
        [f"the temperature did not help {', '.join(worse)}: log loss is higher on {many} it was not fitted on"]
        if worse
        else []
    )
    if found is None:
        return [*lines, "no rule: too few images have a label of every task", UNUSED]
    gain = found.gain
    interval = f"{percent(gain.level)} interval {span(gain.low, gain.high, sign=True)}"
    several = calibration.rules > 1
    verdict = (
        ["used by predict --decide, with these temperatures"] if found.proven else [f"{NO_GAIN}; not used", UNUSED]
    )
    return [
        *lines,
        f"rule {calibration.tried}   macro-F1 {found.plain:.4f} without, {found.ruled:.4f} with it, cross-fitted",
        f"gain {gain.value:+.4f}   {interval}",
        *([wider(calibration.rules, "rule", gain.level)] if several else []),
        *verdict,
        *([] if calibration.counted else [NOT_COUNTED]),
    ]
