"""Size and digest of photo files, so that an exchanged photo is found by name. N photos."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from maskcls.csvfile import read_csv
from maskcls.data.photos.images import each_image
from maskcls.data.photos.rgb import Pixels
from maskcls.errors import ResultError
from maskcls.files.digests import DIGEST_BYTES as DIGEST_BYTES

OTHER_PHOTOS = "photos are not the ones that the run began with: their content has changed"
RESTORE = "restore the photos, or train a new run"
COLUMNS = ["id", "bytes", "blake2b"]


def digest(data: bytes | memoryview) -> bytes:
    """Return the BLAKE2b digest of 16 bytes: as fast as SHA-256 with a processor's help, and fast without it."""
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()


@dataclass(frozen=True, eq=False)
class PhotoDigests:
    """What the files of N photos were.

    ids         of the rows, each once.
    size_N      (N,) int64, bytes of the file.
    digest_ND   (N, 16) uint8, `digest` of the file's bytes.
    """

    ids: Sequence[str]
    size_N: NDArray[np.int64]
    digest_ND: Pixels

    @cached_property
    def _place(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.ids)}

    def __contains__(self, name: str) -> bool:
        """Whether there is a photo of this id."""
        return name in self._place

    def of(self, ids: Sequence[str]) -> PhotoDigests:
        """Return those of the given rows, in their order; every id is known."""
        places = [self._place[name] for name in ids]
        return PhotoDigests(list(ids), self.size_N[places], self.digest_ND[places])

    def and_also(self, other: PhotoDigests) -> PhotoDigests:
        """Return both together; no id is in both."""
        size_N, digest_ND = np.append(self.size_N, other.size_N), np.vstack([self.digest_ND, other.digest_ND])
        return PhotoDigests([*self.ids, *other.ids], size_N, digest_ND)

    def changed(self, now: PhotoDigests) -> list[int]:
        """Return the rows in which another digest was read now; the ids are the same, in the same order."""
        return np.flatnonzero((self.digest_ND != now.digest_ND).any(axis=1)).tolist()

    @property
    def contents(self) -> dict[str, bytes]:
        """The digest of each photo, by id."""
        return {name: bytes(one) for name, one in zip(self.ids, self.digest_ND, strict=True)}

    def other_than(self, known: Mapping[str, bytes]) -> list[str]:
        """Return the ids, in the order of the rows, that have another digest in `known`; ids of one side pass."""
        return [name for name, one in self.contents.items() if known.get(name, one) != one]

    @property
    def sha256(self) -> str:
        """Identify the photos by their content and order."""
        return hashlib.sha256(self.digest_ND.tobytes()).hexdigest()

    def to_csv(self) -> bytes:
        """Return the table `id,bytes,blake2b`."""
        texts = [bytes(one).hex() for one in self.digest_ND]
        text: str = pd.DataFrame(dict(zip(COLUMNS, (self.ids, self.size_N, texts), strict=True))).to_csv(
            index=False, lineterminator="\n"
        )
        return text.encode()


def read_photo_digests(path: Path) -> PhotoDigests:
    """Read what `PhotoDigests.to_csv` wrote; raises DataError or ResultError when it is damaged."""
    text = read_csv(path, required=COLUMNS)
    try:
        size_N = np.array(text["bytes"].tolist(), dtype=np.int64)
        digests = bytes.fromhex("".join(text["blake2b"]))
        digest_ND = np.frombuffer(digests, np.uint8).reshape(len(text), DIGEST_BYTES)
    except ValueError:
        raise ResultError("a file of the run is damaged", where=str(path), fix="restore it, or train again") from None
    return PhotoDigests(text["id"].tolist(), size_N, digest_ND)


class CollectedDigests:
    """The digests of N files that are read in any order, on several threads."""

    def __init__(self, ids: Sequence[str]) -> None:
        self.found = PhotoDigests(list(ids), np.zeros(len(ids), np.int64), np.zeros((len(ids), DIGEST_BYTES), np.uint8))

    def add(self, row: int, data: bytes) -> None:
        """Take the bytes of a row's file."""
        self.found.size_N[row], self.found.digest_ND[row] = len(data), np.frombuffer(digest(data), np.uint8)


def digests_of_files(root: Path, paths: Sequence[str], ids: Sequence[str], *, threads: int) -> PhotoDigests:
    """Read the files, relative to root, and return their digests; raises DataError that lists all unreadable ones."""
    collected = CollectedDigests(ids)
    each_image(root, paths, collected.add, threads=threads)
    return collected.found


def digests_of_table(root: Path, frame: pd.DataFrame, *, threads: int) -> PhotoDigests:
    """Do what `digests_of_files` does for all rows of a manifest, whose paths are relative to root."""
    return digests_of_files(root, frame["path"].tolist(), frame["id"].tolist(), threads=threads)
