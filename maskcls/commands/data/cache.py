"""maskcls data cache: which decoded photos and features there are, and deleting those not used for long."""

from __future__ import annotations

import time

from maskcls.data.photos.cache_folder import cache_folder, feature_files, leftovers, packs, remove
from maskcls.errors import visible
from maskcls.show.data.cache import BROKEN, FEATURES, CacheList
from maskcls.show.runs.pruning import Deletion, PruneResult

DAY_S = 86_400


def list_packs() -> CacheList:
    """Return packs and files of features, those used last first, and the files that no run can use."""
    folder = cache_folder()
    return CacheList(folder, tuple(packs(folder)), tuple(leftovers(folder)), tuple(feature_files(folder)))


def prune_cache(*, days: float, yes: bool) -> PruneResult:
    """Delete packs and features not used for `days` days, and files no run can use; without `yes` only say which."""
    every, left, features = packs(cache_folder()), leftovers(cache_folder()), feature_files(cache_folder())
    old = [pack for pack in every if time.time() - pack.used >= days * DAY_S]
    found = [(pack.folder, pack.bytes, f"photos of {visible(pack.root)}") for pack in old]
    found += [(one.path, one.bytes, FEATURES) for one in features if time.time() - one.used >= days * DAY_S]
    found += [(one.path, one.bytes, BROKEN) for one in left]
    parts = []
    for path, size, what in found:
        kept_because = "" if not yes or remove(path) else "another process is building it"
        parts.append(Deletion(path.name, what, size, kept_because))
    total = sum(pack.bytes for pack in every) + sum(one.bytes for one in left) + sum(one.bytes for one in features)
    return PruneResult(tuple(parts), {}, total, None, deleted=yes)
