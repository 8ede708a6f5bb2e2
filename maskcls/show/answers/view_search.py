"""What `maskcls tta` prints: test-time views by their gain over one unchanged view, and which to use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from maskcls.results.comparison.views import ViewSearch
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import NO_GAIN, plain_table, plural, say, show, span


def print_view_search(
    found: ViewSearch, *, versions: Mapping[str, list[str]] | None = None, json: bool = False
) -> None:
    """Print a table of all views tried, and the choice.

    versions  packages of other versions than at the training: {package: [then, now]}.
    """
    if json:
        print_json(asdict(found) | {"pays": found.pays, "other_versions": dict(versions or {})})
        return
    table = plain_table("views", "passes", "macro-F1", "gain over none", "95 % interval")
    for one in [*found.tried, found.chosen]:
        gain = one.gain
        name = f"{one.name} (chosen)" if one is found.chosen else one.name
        numbers = [f"{one.macro_f1:.4f}", f"{gain.value:+.4f}", span(gain.low, gain.high, sign=True)]
        table.add_row(name, str(one.cost), *numbers)
    show(table)
    honest, cost = found.honest, found.chosen.cost
    say(f"\nchosen: {found.chosen.name}, {plural(cost, 'pass')} per photo")
    say(f"gain when each fold's views are chosen on the other folds: {honest.value:+.4f}")
    say(f"95 % interval {span(honest.low, honest.high, sign=True)}")
    say(f"use predict.views={found.chosen.name}" if found.pays else f"{NO_GAIN}; keep predict.views=none")
