"""What `maskcls runs prune` and `data cache prune` return and print: what is deleted, what is kept and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from maskcls.errors import visible
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import say, show
from maskcls.show.terminal.units import size


@dataclass(frozen=True)
class Deletion:
    """Something that is deleted. kept_because: why it was left in the end, or ""."""

    name: str
    what: str
    bytes: int
    kept_because: str = ""


@dataclass(frozen=True)
class PruneResult:
    """What prune deleted, or would delete.

    kept     {name: reason} of what was not considered.
    bytes    of everything before.
    budget   the bytes that may be left, or None.
    deleted  False: nothing was deleted, this is what would be.
    """

    parts: tuple[Deletion, ...]
    kept: Mapping[str, str]
    bytes: int
    budget: int | None
    deleted: bool

    @property
    def freed(self) -> int:
        """Bytes that are free, or would be."""
        return sum(part.bytes for part in self.parts if not part.kept_because)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        sums = {"freed": self.freed, "left": self.bytes - self.freed, "budget": self.budget}
        return {
            "deleted": self.deleted,
            **sums,
            "parts": [asdict(part) for part in self.parts],
            "kept": dict(self.kept),
        }


def print_pruning(found: PruneResult, *, json: bool = False) -> None:
    """Print one line per run or pack, and the space that is free then."""
    if json:
        print_json(found.to_json())
        return
    from rich.text import Text

    for name, why in found.kept.items():
        show(Text(f"keep    {visible(name)}: {visible(why)}", overflow="fold"))
    for part in found.parts:
        line = f"{visible(part.name)}: {visible(part.what)}, {size(part.bytes)}"
        start = f"keep    {line}; {part.kept_because}" if part.kept_because else f"delete  {line}"
        show(Text(start, overflow="fold"))
    left, past = found.bytes - found.freed, found.deleted
    freed = f"{size(found.freed)} {'freed' if past else 'would be freed'}"
    say(f"{freed}, {size(left)} {'are' if past else 'would be'} left")
    if found.budget is not None and left > found.budget:
        say(f"that is more than --budget {size(found.budget)}: the rest belongs to runs that are kept")
    if found.parts and not past:
        say("nothing was deleted: add --yes to delete")
