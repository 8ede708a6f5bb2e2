"""Whether photos are still those that a table of groups, of pseudo labels or of samples was made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from maskcls.errors import DataError
from maskcls.results.people.group_file import Groups

if TYPE_CHECKING:  # it imports Pillow
    from maskcls.data.photos.identity.photo_digests import PhotoDigests


def refuse_other_groups(path: Path, groups: Groups, copies: Iterable[PhotoDigests]) -> None:
    """Raise DataError that names the photos whose content is not what was grouped.

    copies  of the photos to average, one or more: the groups are of one of them. The error is about the first.
    """
    first = None
    for now in copies:
        if not now.other_than(groups.contents):
            return
        first = now if first is None else first
    if first is not None:
        _refuse("grouped", path, groups.contents, first, "or make the groups again with maskcls group")


def refuse_other_added(source: str, path: Path, contents: Mapping[str, bytes], now: PhotoDigests) -> None:
    """Raise DataError that names added photos whose content is not what it was when their table was made.

    source  "pseudo" or "synth". now: of the training's photos.
    """
    if source == "pseudo":
        _refuse("labelled", path, contents, now, "or label them again with maskcls pseudo-label")
    else:
        _refuse("made as samples", path, contents, now, "or make them again with maskcls synth sample")


def _refuse(done: str, path: Path, contents: Mapping[str, bytes], now: PhotoDigests, fix: str) -> None:
    if other := now.other_than(contents):
        raise DataError(
            f"photos are not the ones that were {done}: their content has changed",
            where=str(path),
            offenders=[repr(name) for name in other],
            fix=f"restore the photos, {fix}",
        )
