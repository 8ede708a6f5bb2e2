"""What `maskcls export` wrote, and how it is printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

from maskcls.results.comparison.int8_cost import Int8Measured
from maskcls.results.comparison.parity import LIMIT, Parity
from maskcls.show.answers.int8 import int8_lines, speed_line
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import near, plural, say
from maskcls.show.terminal.units import size


@dataclass(frozen=True)
class ExportedFile:
    """An exported model.

    networks  their number; views: the name of the test-time views.
    rule      the kind of its decision rule; None: the most probable class.
    parity    the comparison with the run; None: it was not compared.
    card      the model card beside it.
    int8      what 8 bits cost; None: float32.
    """

    path: Path
    size_bytes: int
    sha256: str
    networks: int
    views: str
    rule: str | None
    parity: Parity | None
    card: Path
    int8: Int8Measured | None = None


@dataclass(frozen=True)
class ExportedFolder:
    """A folder of checkpoints: the bytes of all files, the names of the networks, and the model card."""

    path: Path
    size_bytes: int
    networks: tuple[str, ...]
    card: Path


@dataclass(frozen=True)
class ExportedCard:
    """A model card alone."""

    card: Path


Exported = ExportedFile | ExportedFolder | ExportedCard


def print_export(found: Exported, *, versions: Mapping[str, list[str]] | None = None, json: bool = False) -> None:
    """Print what was written, and how it compares with the run.

    versions  packages of other versions than at the training: {package: [then, now]}.
    """
    if json:
        print_json(_plain(found) | {"other_versions": dict(versions or {})})
        return
    match found:
        case ExportedFile():
            _print_file(found)
        case ExportedFolder():
            inside = f"{plural(len(found.networks), 'network')}: {', '.join(found.networks)}"
            say(f"{near(found.path)}  {size(found.size_bytes)}, {inside}")
        case ExportedCard():
            pass
        case _:
            assert_never(found)
    say(f"model card: {near(found.card)}")


def _plain(found: Exported) -> dict[str, Any]:
    card = {"card": str(found.card)}
    match found:
        case ExportedFile():
            return {
                "file": str(found.path),
                "size_bytes": found.size_bytes,
                "sha256": found.sha256,
                "networks": found.networks,
                "views": found.views,
                "rule": found.rule,
                "parity": found.parity.to_json() if found.parity else None,
                "int8": found.int8.to_json() if found.int8 else None,
                **card,
            }
        case ExportedFolder():
            names = list(found.networks)
            return {"folder": str(found.path), "size_bytes": found.size_bytes, "networks": names, **card}
        case ExportedCard():
            return card
        case _:
            assert_never(found)


def _print_file(found: ExportedFile) -> None:
    chosen = f"decision rule: {found.rule}" if found.rule else "most probable class"
    inside = f"{plural(found.networks, 'network')}, views: {found.views}, {chosen}"
    say(f"{near(found.path)}  {size(found.size_bytes)}, {inside}")
    if found.int8 is None:
        lines = parity_lines(found.parity)
    else:
        lines = [*int8_lines(found.int8.cost), f"  {speed_line(found.int8.speed)}"]
        lines.append(f"  size                 {size(found.size_bytes)}, in float {size(found.int8.float_bytes)}")
    for line in lines:
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
