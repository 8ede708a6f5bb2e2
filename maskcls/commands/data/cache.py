"""maskcls data cache: what decoded photos are kept, and which may go."""

from __future__ import annotations

import json as text
import time
from dataclasses import asdict
from datetime import datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from maskcls.data.photos.cache_folder import PackInfo, cache_folder, leftovers, packs, remove
from maskcls.errors import visible
from maskcls.show.progress import say

DAY_S = 86_400


def show(*, json: bool) -> None:
    """Print the packs, the one used last first, and what no run can use, which prune frees."""
    found, left = packs(cache_folder()), leftovers(cache_folder())
    if json:
        told = [asdict(pack) | {"folder": str(pack.folder), "broken": False} for pack in found]
        told += [{"folder": str(one.path), "bytes": one.bytes, "broken": True} for one in left]
        say(text.dumps(told))
        return
    if found:
        Console(highlight=False).print(_table(found))
    say(f"{cache_folder()}: {len(found)} pack(s), {_megabytes(sum(pack.bytes for pack in found))}")
    for one in left:
        say(f"broken, or of a build that was killed: {one.path.name}  {_megabytes(one.bytes)}")


def prune(*, days: float, dry_run: bool) -> None:
    """Delete the packs that were not used for `days` days, and whatever no run can use, and say which."""
    old = [pack for pack in packs(cache_folder()) if time.time() - pack.used >= days * DAY_S]
    found = [(pack.folder, pack.bytes, visible(pack.root)) for pack in old]
    found += [(one.path, one.bytes, "broken, or of a build that was killed") for one in leftovers(cache_folder())]
    freed = 0
    for path, size, what in found:
        line = f"{path.name}  {_megabytes(size)}  {what}"
        if not dry_run and not remove(path):
            say(f"kept, it is just being made: {line}")
            continue
        say(f"{'would delete' if dry_run else 'deleted'}: {line}")
        freed += size
    say(f"{_megabytes(freed)} {'would be ' if dry_run else ''}freed")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def _table(found: list[PackInfo]) -> Table:
    table = Table("pack", box=None, pad_edge=False, header_style="bold")
    for name in ("MB", "photos", "height x width", "last used"):
        table.add_column(name, justify="right")
    table.add_column("photos of", overflow="fold")
    for pack in found:
        size, used = f"{pack.size[0]} x {pack.size[1]}", datetime.fromtimestamp(pack.used).strftime("%Y-%m-%d %H:%M")
        name = pack.folder.name[:8]
        table.add_row(name, f"{pack.bytes / 1e6:,.1f}", str(pack.photos), size, used, escape(visible(pack.root)))
    return table
