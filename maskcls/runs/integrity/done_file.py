"""DONE: that a network is finished, and the hash of each of its files. The last file of a network that is written."""

from __future__ import annotations

import json
import re

from pydantic import Field

from maskcls import files, owned, typedjson
from maskcls.errors import ResultError, WeightsError
from maskcls.rundir import FoldDir
from maskcls.typedjson import JsonFile

DONE = files.FileKind("the hash of the weights", ResultError, 1 << 20, files.RUN_FILE.fix)
EARLIER = re.compile(r"[0-9a-f]{64}")  # the whole content in runs of format 1: the hash of the weights


class Done(JsonFile):
    """The content of DONE.

    weights  sha256 of the weights that predict.
    files    sha256 of the network's files, by path in its folder: all but those that `runs prune` deletes, and the log,
             which holds times and has a digest of its own. Empty in runs of earlier versions.
    """

    weights: str
    files: dict[str, str] = Field(default_factory=dict)


def mark_done(folder: FoldDir, weights: str) -> None:
    """Commit DONE of a network whose other files are all written. weights: sha256 of its best tensors."""
    named = [folder.best.meta, folder.oof, folder.plain_heads, folder.balanced_heads, folder.summary]
    named += [folder.frozen_heads]
    named += [folder.first_batch, *folder.all_epoch_rows()]
    found = {path.relative_to(folder.path).as_posix(): files.file_sha256(path) for path in named if path.exists()}
    tensors = folder.best.tensors.relative_to(folder.path).as_posix()
    owned.write(folder.done, folder.root, Done(weights=weights, files={tensors: weights, **found}))


def read_done(folder: FoldDir) -> Done | None:
    """Read DONE; None for a network that is not finished, ResultError when it is damaged, changed or another's."""
    path = folder.done
    if not path.exists():
        return None
    try:
        text = files.read_file(path, DONE).decode("ascii").strip()
        data = {"weights": text} if EARLIER.fullmatch(text) else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ResultError(
            "the hash of the weights cannot be read",
            where=str(path),
            got=str(error),
            fix="restore the file from a copy of the run",
        ) from None
    return typedjson.parse(owned.without_owner(data, path, folder.root), Done, path)


def check_finished_with(folder: FoldDir, weights: str) -> None:
    """Raise WeightsError unless a network was finished with these weights. weights: sha256 of its best tensors."""
    done = read_done(folder)
    if done is not None and done.weights != weights:
        raise WeightsError(
            "these are not the weights that the network was finished with",
            where=str(folder.best.path),
            got=f"sha256 {weights[:12]}…",
            expected=f"sha256 {done.weights[:12]}…, as in {folder.done}",
            fix="restore the folder, or train the network again",
        )
