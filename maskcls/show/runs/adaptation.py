"""What `maskcls tta RUN --adapt` prints: ways to adapt by their gain over plain predictions, each with a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from maskcls.results.comparison.adaptation import AdaptationTrial
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import plain_table, say, show, span

USED_AS = {
    "coral": "predict.adapt=coral",
    "adabn": "predict.adapt=adabn",
    "expected": "maskcls calibrate RUN --rule expected",
    "em": "maskcls calibrate RUN --rule shift",
}


def print_adaptation(
    found: AdaptationTrial, *, versions: Mapping[str, list[str]] | None = None, json: bool = False
) -> None:
    """Print a table of all methods, and how to use those that help.

    versions  packages of other versions than at the training: {package: [then, now]}.
    """
    if json:
        tried = [asdict(one) | {"verdict": one.verdict} for one in found.tried]
        print_json(asdict(found) | {"tried": tried, "other_versions": dict(versions or {})})
        return
    level = f"{100 * found.tried[0].gain.level:.4g} % interval" if found.tried else "interval"
    table = plain_table("adapt", "macro-F1", "gain over none", level, "verdict")
    table.add_row("none", f"{found.none:.4f}", "", "", "")
    for one in found.tried:
        gain = span(one.gain.low, one.gain.high, sign=True)
        table.add_row(one.name, f"{one.macro_f1:.4f}", f"{one.gain.value:+.4f}", gain, one.verdict)
    show(table)
    for name, why in found.skipped.items():
        say(f"{name} was not tried: {why}")
    helping = [one.name for one in found.tried if one.verdict == "helps"]
    planted = f"with the planted shift {found.shift}" if found.shift != "none" else "on the run's own photos"
    say(f"\n{planted}, {', '.join(helping) if helping else 'no adaptation'} helps")
    for name in helping:
        say(f"for photos with such a shift: {USED_AS[name]}")
