"""epochs/….npy: the probabilities of a fold's validation rows after one epoch.

n validation rows of a fold, J joint classes. A line of JSON after the array, which NumPy does not read, names the owner
of the file and carries a digest.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np

from maskcls import files, owned
from maskcls.errors import ResultError
from maskcls.files.arrays import read_array_and_rest
from maskcls.labels import Floats
from maskcls.results.predictions import PREDICTIONS

FIX = "restore it, or delete the folder of this fold and resume the run"
EPOCH_ROWS = files.FileKind("the rows of an epoch", ResultError, PREDICTIONS.most, FIX)


def save_rows(path: Path, prob: Floats, *, root: Path | None = None) -> None:
    """Commit probabilities (n, J) as a .npy file of float32.

    root  the run it is in; None: it is in no run.
    """
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, prob.astype(np.float32, copy=False), version=(1, 0), allow_pickle=False)
    array = buffer.getvalue()
    about = owned.with_owner({"sha256": files.sha256(array)}, path, root)
    files.commit(path, array + b"\n" + json.dumps(about).encode() + b"\n")


def read_rows(path: Path, shape: tuple[int, int] | None = None, *, root: Path | None = None) -> Floats:
    """Read what `save_rows` wrote; ResultError when it is damaged, changed, of another shape or another run's.

    shape  (n, J); None: any.
    """
    what = "cannot read the rows of an epoch"
    data = files.read_file(path, EPOCH_ROWS)
    try:
        prob, rest = read_array_and_rest(data)
        about = json.loads(rest) if rest else {}
    except (ValueError, EOFError, SyntaxError, TypeError, RecursionError) as error:
        raise ResultError(what, where=str(path), got=str(error), fix=FIX) from None
    if (shape is not None and prob.shape != shape) or prob.dtype != np.float32:
        got, expected = f"{prob.dtype} {prob.shape}", f"float32 {shape}"
        raise ResultError(what, where=str(path), got=got, expected=expected, fix=FIX)
    found = owned.without_owner(about, path, root, required=bool(rest))
    if found.get("sha256", sha := files.sha256(data[: len(data) - len(rest)])) != sha:
        raise ResultError("the rows of an epoch were changed after maskcls wrote them", where=str(path), fix=FIX)
    return prob
