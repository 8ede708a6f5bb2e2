"""maskcls data cache: which packs of decoded photos there are, and deleting those not used for long."""

from __future__ import annotations

import time

from maskcls.data.photos.cache_folder import cache_folder, leftovers, packs, remove
from maskcls.errors import visible
from maskcls.show.data.cache import BROKEN, CacheList
from maskcls.show.runs.pruning import Deletion, PruneResult

DAY_S = 86_400


def list_packs() -> CacheList:
    """Return the packs, the one used last first, and the files that no run can use, which prune deletes."""
    return CacheList(cache_folder(), tuple(packs(cache_folder())), tuple(leftovers(cache_folder())))


def prune_cache(*, days: float, yes: bool) -> PruneResult:
    """Delete packs that were not used for `days` days, and files no run can use; without `yes` only say which."""
    every, left = packs(cache_folder()), leftovers(cache_folder())
    old = [pack for pack in every if time.time() - pack.used >= days * DAY_S]
    found = [(pack.folder, pack.bytes, f"photos of {visible(pack.root)}") for pack in old]
    found += [(one.path, one.bytes, BROKEN) for one in left]
    parts = []
    for path, size, what in found:
        kept_because = "" if not yes or remove(path) else "another process is building it"
        parts.append(Deletion(path.name, what, size, kept_because))
    total = sum(pack.bytes for pack in every) + sum(one.bytes for one in left)
    return PruneResult(tuple(parts), {}, total, None, deleted=yes)
