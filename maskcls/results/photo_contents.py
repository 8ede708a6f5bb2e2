"""What the photos of a table were: the digests of their files, in the table's sidecar, so that others are named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from maskcls import files
from maskcls.errors import DataError
from maskcls.files.digests import DIGEST_BYTES
from maskcls.results.csv_with_origin import TableKind

PHOTOS = "photos_blake2b"  # key of a sidecar; those of earlier versions, and tables made by hand, have none


def contents_entry(digest_of: Mapping[str, bytes]) -> dict[str, str]:
    """Return the entry of a sidecar: the digests, 16 bytes each, in the order of the sorted ids; none of no photos.

    >>> contents_entry({"b": bytes(16), "a": bytes(range(16))})
    {'photos_blake2b': '000102030405060708090a0b0c0d0e0f00000000000000000000000000000000'}
    """
    return {PHOTOS: b"".join(digest_of[name] for name in sorted(digest_of)).hex()} if digest_of else {}


def contents_of(entry: object, ids: Iterable[str], path: Path, table: TableKind) -> dict[str, bytes]:
    """Return {id: digest} of the photos of a table; {} where its sidecar has no such entry (None).

    ids  of the table's rows, in any order; an id may repeat.

    Raises DataError for an entry that is not of so many photos.
    """
    if entry is None:
        return {}
    names = sorted(set(ids))
    try:
        found = bytes.fromhex(str(entry))
        if len(found) != DIGEST_BYTES * len(names):
            raise ValueError(f"{len(found):,} bytes of digests, expected {DIGEST_BYTES * len(names):,}")
    except ValueError as error:
        raise DataError(
            f"the digests of photos in the sidecar of {table.name} cannot be read",
            where=str(files.sidecar_path(path)),
            got=str(error),
            expected=f"{DIGEST_BYTES} bytes for each of {len(names)} photos",
            fix=table.fix,
        ) from None
    return {name: found[DIGEST_BYTES * row : DIGEST_BYTES * (row + 1)] for row, name in enumerate(names)}
