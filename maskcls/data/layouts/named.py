"""Photos that a user names: files, folders, patterns, tables, data sets and lists of names, in any mixture."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import blake2b
from pathlib import Path

from maskcls.csvfile import refuse_formulas
from maskcls.data.layouts.left_out import left_out_notes
from maskcls.data.layouts.source import guess_layout, image_root, unlabelled_paths
from maskcls.data.photos.photo_files import has_photo_suffix
from maskcls.errors import DataError, UsageError
from maskcls.files import FileKind, read_file, size_text

STDIN = "-"
LIST = "@"  # before the name of a text file with one path per line
NAMES = FileKind("the list of names", DataError, 1 << 30)  # ten million names
PATTERN = "*?["


@dataclass(frozen=True)
class NamedPhotos:
    """Photos to predict.

    names     paths that open from the working folder, each photo once.
    roots     the folders of the inputs, for the question how their photos were cropped.
    repeated  names of photos that had been named before, also by another path; they are not in `names`.
    notes     what was left out of the folders.
    given     the inputs as paths; of a list of names, its file.
    """

    names: list[str]
    roots: tuple[Path, ...]
    repeated: list[str]
    notes: tuple[str, ...] = ()
    given: tuple[Path, ...] = ()


def find_photos(what: Sequence[str], *, check_lists: bool) -> NamedPhotos:
    """Return the photos in the order of the inputs.

    A word is, in this order: `-`, names on stdin; `@FILE`, names in a text file; a folder in the contest's form, its
    photos to predict; a folder with the parts train and test, the photos of test, with a note; another folder, every
    photo below it, sorted; a CSV table, its rows in order; a file, itself; a pattern such as `photos/**/*.jpg`, the
    photos that match, sorted. A list has one path per line, relative to the working folder; blank lines are skipped.

    check_lists  whether a name in a list that is no file is an error here.

    Raises DataError that lists every word without photos and every name that a table cannot hold.
    """
    names: list[str] = []
    roots: list[Path] = []
    notes: list[str] = []
    faults: list[str] = []
    for word in what:
        try:
            found, root, left_out = _expanded(word, check_lists=check_lists)
        except _NothingError as error:
            faults.append(f"{word}: {error}")
            continue
        names += found
        roots.append(root)
        notes += [f"{word}: {note}" for note in left_out]
    if faults:
        raise DataError("nothing to predict was found", offenders=faults, fix="check the path or the pattern")
    _check_names(names)
    return replace(
        _each_once(names, roots),
        notes=tuple(notes),
        given=tuple(path for path in map(_list_of, what) if os.path.exists(path)),
    )


def has_pattern(word: str) -> bool:
    """Return whether a word that is no path is a pattern of names."""
    return any(sign in word for sign in PATTERN)


class _NothingError(Exception):
    """Why a word gives no photo."""


def _expanded(word: str, *, check_lists: bool) -> tuple[list[str], Path, Sequence[str]]:
    """Return the photos of one word, the folder they are below, and notes about what was left out of it."""
    path = Path(word)
    if word == STDIN or word.startswith(LIST):
        lines = _read_stdin() if word == STDIN else _read_list(_list_of(word))
        return _listed(lines, word, check=check_lists), Path(), []
    if os.path.isdir(word):
        names, notes = _of_data(path)
        return names, path, notes
    if path.suffix.lower() == ".csv" and os.path.isfile(word):
        names, notes = _of_data(path)
        return names, path.parent, notes
    if os.path.isfile(word):
        return [word], path.parent, []
    if os.path.exists(word):
        raise _NothingError("not a regular file")
    if not has_pattern(word):
        raise _NothingError(_why_missing(word))
    found = _Matched(sorted(glob.glob(word, recursive=True)))
    notes = left_out_notes(Path(), found)
    if not found.photos:
        raise _NothingError("; ".join(("no photo matches this pattern", *notes)))
    return found.photos, Path(word[: min(word.index(sign) for sign in PATTERN if sign in word)]).parent, notes


class _Matched:
    """What a pattern matches, sorted out as in a folder that is searched; folders are left out, and not counted."""

    def __init__(self, matches: Sequence[str]) -> None:
        others = [match for match in matches if not os.path.isdir(match)]
        self.photos = [match for match in others if has_photo_suffix(match) and os.path.isfile(match)]
        photos = set(self.photos)
        self.no_photos = [match for match in others if match not in photos]
        self.hidden: list[str] = []
        self.linked: list[str] = []


def _of_data(data: Path) -> tuple[list[str], Sequence[str]]:
    """Return the photos to predict of a folder or a table, by its layout; and the notes of its reader."""
    name = guess_layout(data)
    names, notes = unlabelled_paths(data, name)
    root = image_root(data, name)
    for row, path in enumerate(names):  # in place: there may be millions
        names[row] = os.path.join(root, path)
    return names, notes


def _why_missing(word: str) -> str:
    try:
        os.stat(word)
    except FileNotFoundError:
        return "no such file or folder"
    except OSError as error:  # such as no permission, or too long a name
        return error.strerror or str(error)
    raise AssertionError(word)


def _list_of(word: str) -> Path:
    return Path(word.removeprefix(LIST))


def _read_stdin() -> bytes:
    if sys.stdin is None:  # closed when the program started
        raise _NothingError("stdin is closed")
    data = sys.stdin.buffer.read(NAMES.most + 1)
    if len(data) > NAMES.most:
        raise _NothingError(f"more than {size_text(NAMES.most)} of names")
    return data


def _read_list(path: Path) -> bytes:
    try:
        return read_file(path, NAMES)
    except DataError as error:
        raise _NothingError(error.brief) from None


def _listed(data: bytes, word: str, *, check: bool) -> list[str]:
    try:
        lines = [line.removesuffix("\r") for line in data.decode("utf-8-sig").split("\n")]
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _NothingError(f"line {line} is not UTF-8 text") from None
    names = [os.path.expanduser(line) for line in lines if line.strip()]
    if not names:
        raise _NothingError("the list has no names")
    if check and (missing := [name for name in names if not os.path.isfile(name)]):
        raise DataError(
            "files of a list do not exist",
            where="stdin" if word == STDIN else word.removeprefix(LIST),
            expected="one path per line, from the working folder",
            offenders=missing,
            fix="correct the list, or write them as rows with an error: --skip-unreadable",
        )
    return names


def _check_names(names: Sequence[str]) -> None:
    if wrong := [repr(name) for name in names if not name.isprintable() and not _is_plain(name)]:
        expected = "UTF-8 text without line breaks and NUL"
        raise DataError("a file name cannot be written to a table", expected=expected, offenders=wrong, fix="rename it")
    refuse_formulas(names, fix="write ./ before the name")


def _is_plain(name: str) -> bool:
    return not any(c in "\0\r\n" or "\ud800" <= c <= "\udfff" for c in name)


def _each_once(names: Sequence[str], roots: Sequence[Path]) -> NamedPhotos:
    seen: set[bytes] = set()
    once, repeated = list[str](), list[str]()
    resolved = cache(os.path.realpath)

    def key(name: str) -> bytes:
        folder, _, base = name.rpartition("/")
        real = os.path.realpath(name) if os.path.islink(name) else os.path.join(resolved(folder or "."), base)
        return blake2b(real.encode(errors="surrogateescape"), digest_size=16).digest()

    for name in names:
        if (place := key(name)) in seen:
            repeated.append(name)
        else:
            seen.add(place)
            once.append(name)
    return NamedPhotos(once, tuple(dict.fromkeys(roots)), repeated)


def check_what(what: Sequence[str]) -> None:
    """Raise UsageError when stdin is read more than once."""
    if list(what).count(STDIN) > 1:
        raise UsageError("names on stdin can be read once", got="- twice", fix="give - once")
