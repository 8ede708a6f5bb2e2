"""log.jsonl: one line per epoch, or every few steps of a generator. The last one also has the owner of the file and a
digest of all lines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from maskcls import files, owned
from maskcls.errors import ResultError
from maskcls.rundir import FoldDir, SynthFoldDir

LINES = "lines"


def write_log(folder: FoldDir | SynthFoldDir, history: Sequence[Mapping[str, Any]]) -> None:
    """Commit the log of a network: a line per epoch, from the first on, at least one."""
    lines = [dict(line) for line in history]
    rest = owned.with_owner({LINES: lines}, folder.log, folder.root)
    lines[-1] = lines[-1] | {key: value for key, value in rest.items() if key != LINES}
    files.commit(folder.log, "".join(json.dumps(line) + "\n" for line in lines).encode())


def read_log(folder: FoldDir | SynthFoldDir) -> list[dict[str, Any]]:
    """Read what `write_log` wrote, a line per epoch; ResultError when it is missing, damaged, changed or another's."""
    path = folder.log
    try:
        lines = files.read_json_lines(path)
        last = lines[-1] if lines else {}
        rest = {key: last.pop(key) for key in (owned.OWNER, files.DIGEST) if key in last}
    except (AttributeError, TypeError) as error:
        raise ResultError(
            "a log cannot be read", where=str(path), got=repr(error), fix="restore it from a copy of the run"
        ) from None
    found: list[dict[str, Any]] = owned.without_owner({LINES: lines, **rest}, path, folder.root)[LINES]
    return found
