"""Whether the files of a pack are those that were written."""

from __future__ import annotations

import mmap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from maskcls.data.photos.cache_folder import ABOUT, PIXELS, ROWS, read_info
from maskcls.data.photos.identity.pack_rows import PackRows, parse_pack_rows
from maskcls.data.photos.identity.photo_digests import digest
from maskcls.errors import ResultError
from maskcls.files import WRITTEN_FILE, opened, read_file
from maskcls.machine import reading_threads


def check_pack(folder: Path) -> list[str]:
    """Return every fault of a pack, each beginning with the name of its file; all pixels are read.

    A pack of an earlier version of the cache is a fault too: nothing uses it.
    """
    rows, faults = pack_form(folder)
    return faults if rows is None else _pixel_faults(folder, rows)


def pack_form(folder: Path) -> tuple[PackRows | None, list[str]]:
    """Return what a pack was made from, or what is wrong with its files; of the pixels, only their number is checked.

    >>> pack_form(Path("no-such-pack"))
    (None, ['rows.bin: No such file or directory'])
    """
    try:
        rows = parse_pack_rows(read_file(folder / ROWS, WRITTEN_FILE))
        if rows is None:
            return None, [f"{ROWS}: damaged, or of another version"]
        info = read_info(folder)
        if info is None or digest(read_file(folder / ABOUT, WRITTEN_FILE)) != rows.about:
            return None, [f"{ABOUT}: not the description that was written with {ROWS}"]
        count, wanted = len(rows.stamps), len(rows.stamps) * info.size[0] * info.size[1] * 3
        if info.photos != count:
            return None, [f"{ABOUT}: {info.photos} photos, but {ROWS} has {count}"]
        if (size := (folder / PIXELS).stat().st_size) != wanted:
            return None, [f"{PIXELS}: {size} bytes, expected {wanted}"]
    except ResultError as error:
        return None, [f"{Path(str(error.where)).name}: {error.got}"]
    except OSError as error:
        return None, [f"{PIXELS}: {error.strerror}"]
    return rows, []


def _pixel_faults(folder: Path, rows: PackRows) -> list[str]:
    if not (count := len(rows.view_ND)):
        return []
    with opened(folder / PIXELS, WRITTEN_FILE) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as pixels:
        view = len(pixels) // count

        def wrong(row: int) -> bool:
            with memoryview(pixels) as whole, whole[row * view : (row + 1) * view] as part:
                return digest(part) != bytes(rows.view_ND[row])

        with ThreadPoolExecutor(reading_threads(None)) as pool:
            found = [row for row, is_wrong in enumerate(pool.map(wrong, range(count))) if is_wrong]
    return [f"{PIXELS}: the view of photo {row + 1} of {count} is not the one that was written" for row in found]
