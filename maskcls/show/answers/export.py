"""What `maskcls export` wrote, and how it is printed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from maskcls.results.comparison.parity import LIMIT, Parity
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import near, plural, say
from maskcls.show.terminal.units import size


@dataclass(frozen=True)
class ExportedFile:
    """An exported model.

    networks  their number; views: the name of the test-time views.
    rule      the kind of its decision rule; None: the most probable class.
    parity    the comparison with the run; None: it was not compared.
    """

    path: Path
    size_bytes: int
    sha256: str
    networks: int
    views: str
    rule: str | None
    parity: Parity | None


def print_export(found: ExportedFile, *, json: bool = False) -> None:
    """Print the file, what is in it, and how it compares with the run."""
    if json:
        print_json(
            {
                "file": str(found.path),
                "size_bytes": found.size_bytes,
                "sha256": found.sha256,
                "networks": found.networks,
                "views": found.views,
                "rule": found.rule,
                "parity": found.parity.to_json() if found.parity else None,
            }
        )
        return
    chosen = f"decision rule: {found.rule}" if found.rule else "most probable class"
    inside = f"{plural(found.networks, 'network')}, views: {found.views}, {chosen}"
    say(f"{near(found.path)}  {size(found.size_bytes)}, {inside}")
    for line in parity_lines(found.parity):
        say(line)


def parity_lines(parity: Parity | None) -> list[str]:
    """Return the comparison with the run, as a small table."""
    if parity is None:
        return ["not compared with the run (--check 0)"]
    pixels = f"{parity.pixels:.2g} of all values, by up to {parity.max_pixel}" if parity.max_pixel else "0"
    return [
        f"compared with the run on {plural(parity.photos, 'photo')}:",
        f"  largest difference of a probability  {parity.max_dp:.1e} (at most {LIMIT:.0e})",
        f"  photos with another class            {parity.decisions}",
        f"  input values of a network that differ  {pixels}",
    ]
