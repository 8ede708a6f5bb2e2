"""What `maskcls data cache list` returns and prints: packs of decoded photos."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskcls.data.photos.cache_folder import FeatureFile, Leftover, PackInfo
from maskcls.errors import visible
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import plural, say, show_whole
from maskcls.show.terminal.units import size

if TYPE_CHECKING:
    from rich.table import Table

FEATURES = "features of photos, of a backbone that is not trained"
BROKEN = "broken, or left by a build that was killed"


@dataclass(frozen=True)
class CacheList:
    """What the cache folder holds: packs, files that no run can use, and files of features."""

    folder: Path
    packs: tuple[PackInfo, ...]
    leftovers: tuple[Leftover, ...]
    features: tuple[FeatureFile, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        packs = [asdict(pack) | {"folder": str(pack.folder), "broken": False} for pack in self.packs]
        broken = [{"folder": str(one.path), "bytes": one.bytes, "broken": True} for one in self.leftovers]
        features = [asdict(one) | {"path": str(one.path)} for one in self.features]
        return {"folder": str(self.folder), "packs": [*packs, *broken], "features": features}


def print_packs(found: CacheList, *, json: bool = False) -> None:
    """Print the packs, the one used last first, and what prune deletes in any case."""
    if json:
        print_json(found.to_json())
        return
    if found.packs:
        show_whole(_table(found.packs))  # paths are kept whole, to be copied
        say()
    say(f"{found.folder}: {plural(len(found.packs), 'pack')}, {size(sum(pack.bytes for pack in found.packs))}")
    if found.features:
        total = size(sum(one.bytes for one in found.features))
        say(f"{FEATURES}: {plural(len(found.features), 'file')}, {total}")
    for one in found.leftovers:
        say(f"{BROKEN}: {one.path.name}  {size(one.bytes)}")


def _table(packs: tuple[PackInfo, ...]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("pack", no_wrap=True)
    for name in ("size", "photos", "height x width", "last used"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("photos of", no_wrap=True)
    for pack in packs:
        pixels, used = f"{pack.size[0]} x {pack.size[1]}", datetime.fromtimestamp(pack.used).strftime("%Y-%m-%d %H:%M")
        table.add_row(pack.folder.name[:8], size(pack.bytes), f"{pack.photos:,}", pixels, used, visible(pack.root))
    return table
