"""Photos by name, predicted in constant memory: in chunks, and in parts of a fixed length that are kept on disk.

N photos, J joint classes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from maskcls.data.photos.decode_ahead import Decoded, chunks, decode_each, decoded_chunks, one_ahead
from maskcls.errors import DataError
from maskcls.labels import UNKNOWN, Ints, LabelSpace
from maskcls.results.photo_model import PhotoModel
from maskcls.results.predicted.parts import StoredPart, part_path, read_part, write_part
from maskcls.results.predicted.plan import PredictionPlan
from maskcls.results.predicted.rows import PhotoRows


def predict_names(model: PhotoModel, names: Sequence[str], *, decide: bool, threads: int) -> PhotoRows:
    """Predict photos; one that cannot be read has label -1 and the reason in `errors`.

    decide   use the model's decision rule, otherwise the most probable joint class.
    threads  number of threads that decode.
    """
    decoded = decoded_chunks(names, at_least=model.decode_size, prepare=model.prepare, threads=threads)
    found = [_predicted(model, chunk, decide=decide) for chunk in decoded]
    return _joined(names, found, model.space)


def predict_parts(
    model: PhotoModel,
    names: Sequence[str],
    folder: Path,
    plan: PredictionPlan,
    *,
    threads: int,
    on_photos: Callable[[int], None] = lambda done: None,
    on_unreadable: Callable[[str], None] = lambda what: None,
) -> None:
    """Predict the parts of a plan that the folder lacks, and commit each when it is complete.

    names          of all photos of the plan, in order.
    on_photos      called with the number of photos of this shard that are done.
    on_unreadable  called with the name of every photo that cannot be read, and the reason.

    A part whose files have changed since is predicted again. The same parts are predicted in the same chunks whatever
    was there before, so a prediction that was interrupted gives the same bits.
    """
    todo = [number for number in plan.own_parts if not is_done(folder, plan, number, names)]
    done = plan.own_photos - sum(len(plan.rows(number)) for number in todo)
    found: list[PhotoRows] = []
    with ThreadPoolExecutor(threads) as pool:
        for number, stamp_N3, chunk, is_last in one_ahead(_chunks_of(todo, names, plan, model, pool, threads)):
            found.append(_predicted(model, chunk, decide=plan.decide))
            done += len(chunk)
            on_photos(done)
            if is_last:
                rows = _joined(_own(names, plan, number), found, model.space)
                write_part(folder, plan, number, StoredPart(rows, stamp_N3))
                found = []
                for name, error in zip(rows.names, rows.errors, strict=True):
                    if error:
                        on_unreadable(f"{name}: {error}")


def is_done(folder: Path, plan: PredictionPlan, number: int, names: Sequence[str]) -> bool:
    """Tell whether a part is there, and its photos are unchanged; ResultError for a damaged part."""
    if not part_path(folder, number).exists():
        return False
    return np.array_equal(read_part(folder, plan, number).stamp_N3, stamps(_own(names, plan, number)))


def stamps(names: Iterable[str]) -> Ints:
    """Return size in bytes and times of change in ns (N, 3) int64 of each file; -1 where there is none.

    The second time, of the entry on the disk, cannot be set: another file with the size and date of the first has
    another one.
    """
    return np.array([_stamp(name) for name in names], dtype=np.int64).reshape(-1, 3)


def _stamp(name: str) -> tuple[int, int, int]:
    try:
        info = os.stat(name)
    except OSError:
        return -1, -1, -1
    return info.st_size, info.st_mtime_ns, info.st_ctime_ns


def _own(names: Sequence[str], plan: PredictionPlan, number: int) -> Sequence[str]:
    rows = plan.rows(number)
    return names[rows.start : rows.stop]


def _chunks_of(
    parts: Sequence[int],
    names: Sequence[str],
    plan: PredictionPlan,
    model: PhotoModel,
    pool: ThreadPoolExecutor,
    threads: int,
) -> Iterator[tuple[int, Ints, list[Decoded], bool]]:
    """Yield the chunks of all parts in order: part, its stamps, photos, and whether they are its last."""
    for number in parts:
        own = _own(names, plan, number)
        left, stamp_N3 = len(own), stamps(own)
        each = decode_each(own, at_least=model.decode_size, prepare=model.prepare, pool=pool, ahead=2 * threads)
        for chunk in chunks(each):
            left -= len(chunk)
            yield number, stamp_N3, chunk, not left


def _predicted(model: PhotoModel, chunk: Sequence[Decoded], *, decide: bool) -> PhotoRows:
    """Predict the readable photos of a chunk; names are left to `_joined`."""
    photos = [one for one in chunk if not isinstance(one, DataError)]
    readable_N = np.array([not isinstance(one, DataError) for one in chunk])
    prob_NJ = np.zeros((len(chunk), model.space.size), dtype=np.float32)
    label_N = np.full(len(chunk), UNKNOWN, dtype=np.int64)
    if photos:
        prob_NJ[readable_N] = found = model.predict(photos)
        label_N[readable_N] = model.decide(found) if decide else found.argmax(axis=1)
    return PhotoRows([], prob_NJ, label_N, [one.brief if isinstance(one, DataError) else "" for one in chunk])


def _joined(names: Sequence[str], found: Sequence[PhotoRows], space: LabelSpace) -> PhotoRows:
    prob_NJ = np.concatenate([np.empty((0, space.size), dtype=np.float32), *(rows.prob_NJ for rows in found)])
    label_N = np.concatenate([np.empty(0, dtype=np.int64), *(rows.label_N for rows in found)])
    return PhotoRows(list(names), prob_NJ, label_N, [error for rows in found for error in rows.errors])
