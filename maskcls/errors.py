"""Errors that reach the user as one clear message and an exit code.

Every error gives what is wrong, where, the value found, the value expected and how to fix it. The exit codes are part
of the command line's interface: they do not change.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from enum import IntEnum
from typing import Self

SHOWN_OFFENDERS = 10


class Exit(IntEnum):
    """Exit codes of every command."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    CONFIG = 3
    DATA = 4
    WEIGHTS = 5
    RESOURCE = 6
    BUSY = 7
    DIVERGED = 8
    RESULT = 9
    INTERRUPTED = 130
    PIPE = 141
    TERMINATED = 143


def shell_word(path: object) -> str:
    """Return a path as one word of a command that a person may paste into a shell.

    >>> shell_word("runs/a"), shell_word("my runs/a")
    ('runs/a', "'my runs/a'")
    """
    return shlex.quote(str(path))


class Stopped(BaseException):
    """SIGTERM was received. Not an Exception, so that no `except Exception` catches it."""


class MaskclsError(Exception):
    """An error the user can act on.

    what       the error in one line.
    where      file, row and column, or key path.
    got        the value found; expected: the values allowed.
    fix        one action that helps.
    offenders  every wrong item; the message shows the first ten and the count.
    """

    code = "internal"
    exit_code = Exit.INTERNAL

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        got: str | None = None,
        expected: str | None = None,
        fix: str | None = None,
        offenders: Sequence[str] = (),
    ) -> None:
        super().__init__(what)
        self.what, self.where, self.got, self.expected, self.fix = what, where, got, expected, fix
        self.offenders = tuple(offenders)

    @property
    def brief(self) -> str:
        """What is wrong and the value found, without the place: for a list whose entries begin with the place."""
        return self.what + (f" ({self.got})" if self.got else "")

    def with_fix(self, fix: str) -> Self:
        """Return the same error with another action that helps."""
        kept = {name: getattr(self, name) for name in ("where", "got", "expected", "offenders")}
        return type(self)(self.what, fix=fix, **kept)

    def with_where(self, where: str) -> Self:
        """Return the same error with another place."""
        kept = {name: getattr(self, name) for name in ("got", "expected", "fix", "offenders")}
        return type(self)(self.what, where=where, **kept)

    def lines(self) -> list[str]:
        """Return the message as at most six lines, such as `where: …`; control characters are made visible."""
        lines = [f"error[{self.code}] {self.what}"]
        for name in ("where", "got", "expected", "fix"):
            value = getattr(self, name)
            if value is not None:
                lines.append(f"  {name}: {value}")
        if self.offenders:
            lines.insert(1, f"  {_listed(self.offenders)}")
        return [visible(line) for line in lines]

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions cross process borders (loader workers); the default would lose the keyword-only parts.
        return _rebuild, (type(self), self.what, dict(self.__dict__))


class UsageError(MaskclsError):
    """The command line cannot be understood."""

    code, exit_code = "usage", Exit.USAGE


class ConfigError(MaskclsError):
    """The configuration is wrong."""

    code, exit_code = "config", Exit.CONFIG


class DataError(MaskclsError):
    """A table or an image is wrong."""

    code, exit_code = "data", Exit.DATA


class WeightsError(MaskclsError):
    """Weights or a checkpoint cannot be used."""

    code, exit_code = "weights", Exit.WEIGHTS


class ResourceError(MaskclsError):
    """A resource is missing: disk, memory, device, network."""

    code, exit_code = "resource", Exit.RESOURCE


class BusyError(MaskclsError):
    """The output exists already, or another process holds the run."""

    code, exit_code = "busy", Exit.BUSY


class DivergedError(MaskclsError):
    """Training produced a number that is not finite."""

    code, exit_code = "diverged", Exit.DIVERGED


class ResultError(MaskclsError):
    """A result failed its own check."""

    code, exit_code = "result", Exit.RESULT


def visible(text: str) -> str:
    """Show control characters as escapes, so that a file name cannot control the terminal.

    >>> visible("a\\x1b[31m")
    'a\\\\x1b[31m'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def nearest(word: str, known: Sequence[str]) -> str | None:
    """Return the entry of `known` most similar to `word`, ignoring upper and lower case; None when nothing is close.

    >>> nearest("Focall", ["ce", "focal"])
    'focal'
    """
    import difflib  # only needed for errors

    by_lower = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def _listed(offenders: Sequence[str]) -> str:
    shown = "; ".join(offenders[:SHOWN_OFFENDERS])
    more = len(offenders) - SHOWN_OFFENDERS
    return f"{len(offenders)} in total: {shown}" + (f"; … and {more} more" if more > 0 else "")


def _rebuild(kind: type[MaskclsError], what: str, state: dict[str, object]) -> MaskclsError:
    error = kind(what)
    error.__dict__.update(state)
    return error
