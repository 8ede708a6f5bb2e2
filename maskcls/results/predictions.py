"""`Predictions`: image ids and one joint probability row per image, the shared result type of all models.

N images, J joint classes, M members of an ensemble. Rows are joined by id, never by position. The file is an
uncompressed npz without pickle with a digest of its content, and equal predictions give equal bytes.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from maskcls import files
from maskcls.errors import ResultError, WeightsError
from maskcls.files.arrays import read_arrays
from maskcls.labels import Floats, Ints, LabelSpace
from maskcls.results.rows_by_id import check_same_ids, rows_of

if TYPE_CHECKING:
    import pandas as pd

Texts = NDArray[np.str_]

SUM_TOLERANCE = 1e-3  # float32 rows of half-precision models stay well within it; logits or raw scores do not
ENTRIES = {"ids", "prob", "meta"}
# A million photos and a thousand joint classes are 4 GB.
PREDICTIONS = files.FileKind("predictions", ResultError, 8 << 30, "run the step that writes them")
DAMAGE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    SyntaxError,
    RuntimeError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
)


@dataclass(frozen=True, eq=False)
class Predictions:
    """Joint probabilities by image id.

    ids      (N,) text, unique. A list is taken too, but only of str: `1` and `"1"` are different ids.
    prob     (N, J) float32, finite, not negative, rows sum to 1 within 1e-3. Stored as given, not rescaled.
    space    the label space whose joint classes the columns are.
    lineage  plain JSON data: which run, fold, weights, data, views. It comes back from a file as JSON has it, so
             tuples are lists.

    The arrays are read-only views; compare two values by `to_bytes()`.
    Raises ResultError when a condition does not hold; the message names the first ids at fault.
    """

    ids: Texts
    prob: Floats
    space: LabelSpace
    lineage: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ids_N, prob_NJ = _texts(self.ids), np.asarray(self.prob)
        _check_shape(ids_N, prob_NJ, self.space)
        _check_unique(ids_N)
        _check_rows(ids_N, prob_NJ)
        lineage = json.loads(json.dumps(dict(self.lineage), allow_nan=False))
        for name, value in (("ids", _read_only(ids_N)), ("prob", _read_only(prob_NJ.astype(np.float32, copy=False)))):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "lineage", lineage)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"Predictions({len(self):,} rows, {self.space.size:,} joint classes of {', '.join(self.space.names)})"

    def labels(self) -> Ints:
        """Return the most probable joint class of each row, (N,) int64; the lowest index wins a tie."""
        best_N: Ints = np.argmax(self.prob, axis=1).astype(np.int64)
        return best_N

    def frame(self, labels_N: Ints | None = None) -> pd.DataFrame:
        """Return a table with one row per photo: `id`, per task the class, then every class's probability.

        Columns: `id`; one per task with the class name; one per class of each task, `mask/wear` and so on, with the
        probability, float32, summed over the other tasks.
        labels_N  joint classes (N,) decided otherwise, as `Model.decide` returns them; None: the most probable.
        """
        import pandas as pd

        of_task = self.space.decode(self.labels() if labels_N is None else labels_N)
        columns: dict[str, Any] = {"id": self.ids.tolist()}
        for task in self.space.tasks:
            columns[task.name] = [task.classes[label] for label in of_task[task.name].tolist()]
        for name, prob_NC in self.space.marginals(self.prob).items():
            for number, label in enumerate(self.space.task(name).classes):
                columns[f"{name}/{label}"] = prob_NC[:, number]
        return pd.DataFrame(columns)

    def align(
        self, ids: Sequence[str] | Texts, *, names: tuple[str, str] = ("the predictions", "the ids")
    ) -> Predictions:
        """Return the same rows in the order of `ids`.

        ids    every id of these predictions, once.
        names  how to call the two sides in the message.

        Raises DataError naming both counts and the first ids that one side lacks.
        """
        wanted_N = _texts(ids)
        if np.array_equal(wanted_N, self.ids):
            return self
        _check_unique(wanted_N)
        check_same_ids(self.ids.tolist(), wanted_N.tolist(), names=names)
        order_N = rows_of(self.ids.tolist(), wanted_N.tolist(), names=names)
        return Predictions(wanted_N, self.prob[order_N], self.space, self.lineage)

    def to_bytes(self) -> bytes:
        """Return the npz file: `ids`, `prob`, and `meta`, one JSON text with label space, lineage and digests."""
        about = {"version": 1, "tasks": self.space.to_json(), "lineage": self.lineage, "arrays": _arrays_digest(self)}
        meta = json.dumps(files.with_digest(about), sort_keys=True)
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            for name, array in (("ids", self.ids), ("prob", self.prob), ("meta", np.array(meta))):
                # A ZipInfo made by hand carries 1980-01-01, so the bytes do not depend on the clock.
                with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, array, version=(1, 0), allow_pickle=False)
        return buffer.getvalue()

    def save(self, path: Path) -> str:
        """Commit the npz file whole or not at all and return its sha256; raises ResourceError."""
        return files.commit(path, self.to_bytes())

    @staticmethod
    def load(path: Path) -> Predictions:
        """Read a file that `save` wrote; raises ResultError when it is missing, damaged or not of this form."""
        return Predictions.from_bytes(files.read_file(path, PREDICTIONS), path)

    @staticmethod
    def from_bytes(raw: bytes, path: Path) -> Predictions:
        """Return what `to_bytes` was called on; ResultError as `load`, which names `path`."""
        try:
            return _parse(raw)
        except ResultError as error:
            raise ResultError(
                f"damaged predictions: {error.what}",
                where=str(path),
                got=error.got,
                fix="delete the file and run the step that writes it again",
            ) from None
        except DAMAGE as error:
            raise ResultError(
                "damaged predictions",
                where=str(path),
                got=f"{len(raw)} bytes; {type(error).__name__}: {error}",
                expected="an npz file written by maskcls",
                fix="delete the file and run the step that writes it again",
            ) from None

    @staticmethod
    def mean(members: Sequence[Predictions], *, names: Sequence[str] = ()) -> Predictions:
        """Average M members row by row; ids and their order are the first member's.

        names  what to call the members in a message, one each; "member 1", "member 2" ... by default.

        The sum is taken in float64. The lineage lists the members' lineages.
        Raises DataError when a member's ids differ from the first's, WeightsError when its label space does.
        """
        names = member_names(members, names)
        first, total_NJ = members[0], members[0].prob.astype(np.float64)
        for member, name in zip(members[1:], names[1:], strict=True):
            check_same_space(first, member, (names[0], name))
            total_NJ += member.align(first.ids, names=(name, names[0])).prob
        lineage = {"mean": [member.lineage for member in members]}
        return Predictions(first.ids, (total_NJ / len(members)).astype(np.float32), first.space, lineage)

    @staticmethod
    def concat(parts: Sequence[Predictions], *, names: Sequence[str] = ()) -> Predictions:
        """Join parts with different rows, such as the folds' own validation rows, in the order given.

        names  as for `mean`.

        The lineage lists the parts' lineages. Raises ResultError when an id is in two parts, WeightsError when
        the label spaces differ.
        """
        names = member_names(parts, names)
        for part, name in zip(parts[1:], names[1:], strict=True):
            check_same_space(parts[0], part, (names[0], name))
        ids_N = np.concatenate([part.ids for part in parts])
        prob_NJ = np.concatenate([part.prob for part in parts])
        return Predictions(ids_N, prob_NJ, parts[0].space, {"concat": [part.lineage for part in parts]})


def _parse(raw: bytes) -> Predictions:
    arrays = read_arrays(raw)
    if arrays.keys() != ENTRIES:
        raise ValueError(f"the entries are {sorted(arrays)}")
    meta = files.without_digest(json.loads(str(arrays["meta"])), Path("meta"), required=False)
    if meta["version"] != 1:
        raise ValueError(f"version {meta['version']} is not known")
    space = LabelSpace.from_json(meta["tasks"])
    found = Predictions(arrays["ids"], arrays["prob"], space, meta["lineage"])
    if meta.get("arrays", digest := _arrays_digest(found)) != digest:  # files of earlier versions have none
        raise ResultError(
            "ids or probabilities were changed after maskcls wrote them",
            fix="restore the file, or run the step that writes it again",
        )
    return found


def _arrays_digest(predictions: Predictions) -> str:
    """Return a digest of ids and probabilities, the same for every width of the text."""
    ids = json.dumps(predictions.ids.tolist()).encode()
    prob_NJ = np.ascontiguousarray(predictions.prob, dtype="<f4")
    return files.sha256(files.sha256(ids).encode() + prob_NJ.tobytes())


def _texts(ids: Sequence[str] | Texts) -> Texts:
    """Return ids as (N,) unicode of the narrowest width; ResultError for anything but text."""
    if not (isinstance(ids, np.ndarray) and ids.dtype.kind == "U"):
        # numpy would turn numbers into text and drop trailing NULs, and either changes an id.
        strange = [repr(item) for item in ids if not isinstance(item, str) or item.endswith("\0")]
        if strange:
            raise ResultError("an id is not plain text", expected="text (str)", offenders=strange)
    texts = np.asarray(list(ids) if not isinstance(ids, np.ndarray) else ids, dtype=np.str_)
    width = int(np.strings.str_len(texts).max(initial=1))
    return np.ascontiguousarray(texts.astype(f"<U{width}", copy=False))


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def _check_shape(ids_N: Texts, prob_NJ: NDArray[Any], space: LabelSpace) -> None:
    expected = (len(ids_N), space.size)
    if ids_N.ndim != 1 or prob_NJ.shape != expected:
        raise ResultError(
            "ids and probabilities do not fit together",
            got=f"ids of shape {ids_N.shape}, probabilities of shape {prob_NJ.shape}",
            expected=f"one row per id and one column per joint class, {expected}",
        )
    if prob_NJ.dtype.kind != "f":
        raise ResultError("probabilities must be floating point", got=str(prob_NJ.dtype), expected="float32")


def _check_unique(ids_N: Texts) -> None:
    names = ids_N.tolist()
    if len(set(names)) == len(names):
        return
    seen: set[str] = set()
    repeated = dict.fromkeys(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
    raise ResultError("an id occurs twice", expected="every id once", offenders=[repr(name) for name in repeated])


def _check_rows(ids_N: Texts, prob_NJ: NDArray[Any]) -> None:
    with np.errstate(invalid="ignore"):  # inf - inf; such a row is named below
        sums_N = prob_NJ.sum(axis=1, dtype=np.float64)
    finite_N = np.isfinite(prob_NJ).all(axis=1)
    for bad_N, what in (
        (~finite_N, "probabilities are not finite"),
        (finite_N & (prob_NJ < 0).any(axis=1), "a probability is negative"),
        (finite_N & (np.abs(sums_N - 1) > SUM_TOLERANCE), "a row of probabilities does not sum to 1"),
    ):
        if bad_N.any():
            rows = np.flatnonzero(bad_N)
            raise ResultError(
                what,
                got=f"first in row {rows[0]}: sum {sums_N[rows[0]]:.6g}",
                expected="finite values of at least 0, each row summing to 1",
                fix="check the weights that made these rows; nothing was written",
                offenders=[str(name) for name in ids_N[rows]],
            )


def check_same_space(first: Predictions, other: Predictions, names: tuple[str, str]) -> None:
    if first.space.fingerprint == other.space.fingerprint:
        return
    mine, theirs = first.space.first_difference(other.space)
    raise WeightsError(
        "predictions of different label spaces cannot be joined",
        where=f"{names[0]} and {names[1]}",
        got=f"first difference: {mine} and {theirs}",
        expected="the same tasks, class order and bins",
        fix="use runs trained with the same tasks",
    )


def member_names(members: Sequence[Predictions], names: Sequence[str]) -> list[str]:
    if not members:
        raise ValueError("no predictions to join")
    if names and len(names) != len(members):
        raise ValueError(f"{len(names)} names for {len(members)} predictions")
    return list(names) or [f"member {i}" for i in range(1, len(members) + 1)]
