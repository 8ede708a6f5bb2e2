"""maskcls data cache: what decoded photos are kept, and which may go."""

from __future__ import annotations

import json as text
import time
from dataclasses import asdict
from datetime import datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from maskcls.commands.progress import say
from maskcls.data.cache import PackInfo, cache_folder, packs, remove

DAY_S = 86_400


def show(*, json: bool) -> None:
    """Print the packs, the one used last first."""
    found = packs(cache_folder())
    if json:
        say(text.dumps([asdict(pack) | {"folder": str(pack.folder)} for pack in found]))
        return
    if found:
        Console(highlight=False).print(_table(found))
    say(f"{cache_folder()}: {len(found)} pack(s), {sum(pack.bytes for pack in found) / 1e6:,.1f} MB")


def prune(*, days: float, dry_run: bool) -> None:
    """Delete the packs that were not used for `days` days, and say which."""
    freed = 0
    for pack in packs(cache_folder()):
        if time.time() - pack.used < days * DAY_S:
            continue
        line = f"{pack.folder.name}  {pack.bytes / 1e6:,.1f} MB  {pack.root}"
        if not dry_run and not remove(pack):
            say(f"kept, it is just being made: {line}")
            continue
        say(f"{'would delete' if dry_run else 'deleted'}: {line}")
        freed += pack.bytes
    say(f"{freed / 1e6:,.1f} MB {'would be ' if dry_run else ''}freed")


def _table(found: list[PackInfo]) -> Table:
    table = Table("pack", box=None, pad_edge=False, header_style="bold")
    for name in ("MB", "photos", "height x width", "last used"):
        table.add_column(name, justify="right")
    table.add_column("photos of", overflow="fold")
    for pack in found:
        size, used = f"{pack.size[0]} x {pack.size[1]}", datetime.fromtimestamp(pack.used).strftime("%Y-%m-%d %H:%M")
        name = pack.folder.name[:8]
        table.add_row(name, f"{pack.bytes / 1e6:,.1f}", str(pack.photos), size, used, escape(pack.root))
    return table
