"""The files that one command writes: they belong together, and are committed together, the main file last.

Before its work a command is refused when all of its files are there, by `refuse_finished`. A part of them is what a
killed command leaves: the same command does its work again and writes the missing ones, and those that are there have
to hold the same bytes. So nothing is replaced unless --force asks for it, and a killed command only has to be given
again. What --force replaces stays as `.bak`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from maskcls.errors import BusyError, ResourceError
from maskcls.files.atomic import (
    AsideFile,
    as_unwritten,
    commit,
    regular_target,
    sync_folder,
    write_synced,
)
from maskcls.files.digests import sha256
from maskcls.files.file_locks import NO_LOCKS, wait_for_lock
from maskcls.files.output_names import check_outputs
from maskcls.files.own_folders import make_parents
from maskcls.files.reading import WRITTEN_FILE, file_sha256, read_file
from maskcls.files.temporaries import sweep, temporary_file

FORCE = "choose another -o, or replace it with --force"
LOCK_S = 2.0
LARGEST_LEFTOVER = 64 << 20  # bytes, of a sidecar


def _is_none(content: bytes) -> bool:
    return False


@dataclass(frozen=True)
class OutputFile:
    """A file to write.

    content      its bytes, or the file that holds them.
    is_leftover  tells from the bytes of another file at `path`, while the main file is missing, whether a killed
                 command wrote it, so that it may be replaced. It is asked for small files alone: sidecars, cards.
    """

    path: Path
    content: bytes | AsideFile
    is_leftover: Callable[[bytes], bool] = _is_none

    @property
    def sha256(self) -> str:
        """Hex SHA-256 of the bytes."""
        return sha256(self.content) if isinstance(self.content, bytes) else self.content.sha256

    @property
    def bytes(self) -> int:
        """Number of bytes."""
        return len(self.content) if isinstance(self.content, bytes) else self.content.bytes


def refuse_finished(*paths: Path, inputs: Iterable[Path], force: bool = False) -> None:
    """Raise what is wrong with the places of the outputs of a command, before its work; the main file comes last.

    inputs  files and folders that the command reads, see `check_outputs`: they are never written to.

    UsageError for an output that is an input, is inside one, or is another output. BusyError when all of them are
    there, or the main file alone, which no kill leaves; with `force` they may be there. ResourceError for a place that
    is no regular file, or in no folder that can be written.
    """
    check_outputs(*paths, inputs=inputs)
    for path in paths:
        check_place(path)
    there = [path for path in paths if path.exists()]
    if there and not force and (len(there) == len(paths) or there == [paths[-1]]):
        raise BusyError("the output exists", where=" and ".join(map(str, there)), fix=FORCE)


def check_place(path: Path) -> None:
    """Raise ResourceError for an output that cannot be written there: a folder, a device, a folder without rights."""
    with as_unwritten(path):
        target = regular_target(path)
        folder = next(folder for folder in target.parents if folder.exists())
        if not folder.is_dir():
            raise ResourceError("the output is below a file", where=str(folder), fix="choose another path")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ResourceError("the folder cannot be written", where=str(folder), fix="choose another path")


def commit_outputs(outputs: Sequence[OutputFile], *, force: bool, check: Callable[[], None] = lambda: None) -> None:
    """Write the files of a command that are not there yet, in this order; the main file comes last.

    force  replace files that hold other bytes; each stays beside the new one as `.bak`.
    check  is called when all are written; when it raises, everything is put back.

    Leftover temporary files in the same folders are removed. Raises BusyError that names the first file that is there
    with other bytes, unless `force`; ResourceError when a file cannot be written. After any error everything is as it
    was.
    """
    for output in outputs:
        with as_unwritten(output.path, output.bytes):
            make_parents(regular_target(output.path))
    targets = [regular_target(output.path) for output in outputs]
    with _one_at_a_time(targets[-1].parent), _put_back_on_failure() as written:
        new = [(output, target) for output, target in zip(outputs, targets, strict=True) if not _holds(target, output)]
        if not force:
            _refuse_other(new, main_is_there=targets[-1].exists())
        for output, target in new:
            with as_unwritten(output.path, output.bytes):
                written.append((target, _back_up(target) if force and target.exists() else None))
                _write(output, target)
        for folder in {target.parent for _, target in new}:
            with as_unwritten(folder):
                sync_folder(folder)
        check()
    sweep(*(target.parent for target in targets))


def _holds(target: Path, output: OutputFile) -> bool:
    """Tell whether the bytes to write are there already."""
    with as_unwritten(target):
        return target.exists() and target.stat().st_size == output.bytes and file_sha256(target) == output.sha256


def _refuse_other(new: Sequence[tuple[OutputFile, Path]], *, main_is_there: bool) -> None:
    for output, target in new:
        with as_unwritten(target):
            if target.exists() and (main_is_there or not _is_leftover(target, output)):
                raise BusyError(
                    "the output exists with other content",
                    where=str(output.path),
                    expected="no file, or what a killed command wrote that is given again",
                    fix=FORCE,
                )


def _is_leftover(target: Path, output: OutputFile) -> bool:
    return target.stat().st_size <= LARGEST_LEFTOVER and output.is_leftover(read_file(target, WRITTEN_FILE))


def _write(output: OutputFile, target: Path) -> None:
    if isinstance(output.content, AsideFile):
        os.replace(output.content.path, target)
        return
    with temporary_file(target.parent) as (temporary, handle):
        write_synced(handle, output.content)
        os.replace(temporary, target)


def _back_up(target: Path) -> Path:
    """Give a file a second name, `.bak`; it keeps its own until the moment it is replaced."""
    backup = target.with_name(target.name + ".bak")
    backup.unlink(missing_ok=True)
    try:
        os.link(target, backup)
    except OSError:  # a disk without hard links
        commit(backup, read_file(target, WRITTEN_FILE))
    return backup


@contextmanager
def _put_back_on_failure() -> Iterator[list[tuple[Path, Path | None]]]:
    """Yield a list of files with their backups; when the block raises, restore them, or remove what is new."""
    written: list[tuple[Path, Path | None]] = []
    try:
        yield written
    except BaseException:
        for target, backup in written:
            with suppress(OSError):  # the first error is the one to report
                if backup is None:
                    target.unlink(missing_ok=True)
                else:
                    os.replace(backup, target)
        raise


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Hold the folder of the main file, so that two commands do not mix their files.

    The other one needs milliseconds. Who holds the folder for longer does something else with it, and is not waited
    for; on a disk without locks, nobody waits.
    """
    with as_unwritten(folder):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with as_unwritten(folder):
            try:
                wait_for_lock(handle, most_s=LOCK_S)
            except OSError as error:
                if error.errno not in NO_LOCKS:
                    raise
        yield
    finally:
        os.close(handle)
