"""The check of one file of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from maskcls import files
from maskcls.errors import MaskclsError, ResultError
from maskcls.results.submissions.checks import Check, Status
from maskcls.runs.folders.unknown_files import unknown_places

TEXT = (".json", ".jsonl", ".npy", "")  # what ends with a line of JSON; DONE has no ending
OTHER_END = "its last line does not end as it was written: blanks behind it, or no line end"
EARLIER = "not compared: of an earlier version, without a digest"


def compared(name: str, path: Path, expected: str, source: str, *, bad: Status = "FAILED") -> Check:
    """Compare the sha256 of a file's bytes with the one that `source` names; a file that is missing differs."""
    try:
        found = files.file_sha256(path)
    except MaskclsError as error:
        return Check(name, bad, f"sha256 in {source}", (error.brief,))
    if found == expected:
        return Check(name, "ok", f"sha256 in {source}")
    return Check(name, bad, f"sha256 in {source}", (f"sha256 {found[:12]}…, expected {expected[:12]}…",))


def read_check(name: str, path: Path, read: Callable[[], object], *, digested: bool) -> Check:
    """Return the check of a file by its reader, which compares digest and owner.

    A file that ends with a line of JSON has to end as it was written, too: readers skip blanks behind it.

    digested  whether the file carries a digest; otherwise it is of an earlier version, and nothing is compared.
    """
    about = "digest and owner"
    try:
        read()
        if digested and ends_otherwise(path):
            return Check(name, "FAILED", about, (OTHER_END,))
    except MaskclsError as error:
        expected = f"; expected {error.expected}" if error.expected else ""
        return Check(name, "FAILED", about, (error.brief + expected,))
    return Check(name, "ok", about) if digested else Check(name, "skipped", EARLIER)


def unknown_checks(folder: Path, unknown: Iterable[Path], known: Iterable[Path], of: str) -> Iterator[Check]:
    """Yield a warning per unknown file below a folder, and one per folder of them; see `unknown_places`.

    of  what would have such a file, such as "run".
    """
    for place, count in unknown_places(folder, unknown, known).items():
        what = "no file" if count == 1 else f"a folder of {count} files; no folder"
        yield Check(place, "warning", "unknown", (f"{what} of this {of} has this name",))


def ends_otherwise(path: Path) -> bool:
    """Tell whether a file that maskcls ends with a line of JSON has no line end, or more than that behind the line."""
    end = files.read_file(path, files.RUN_FILE)[-2:]
    return path.suffix in TEXT and (not end.endswith(b"\n") or end.isspace())


def is_digested(path: Path) -> bool:
    """Tell whether a JSON file carries a digest; True for a damaged one, of which the reader says what is wrong."""
    try:
        data = files.read_json(path)
    except ResultError:
        return True
    return isinstance(data, dict) and files.DIGEST in data
