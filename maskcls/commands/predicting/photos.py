"""maskcls predict RUN WHAT…: photos of any kind to tables of classes and probabilities, in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from maskcls.data.layouts.named import NamedPhotos, check_what, find_photos
from maskcls.errors import BusyError, UsageError
from maskcls.export.open_model import Engine, open_model
from maskcls.labels import LabelSpace
from maskcls.machine import reading_threads
from maskcls.results.photo_model import PhotoModel
from maskcls.results.predicted.gather import WantedTables, cannot_read, refuse_unreadable, write_tables
from maskcls.results.predicted.parts import unreadable
from maskcls.results.predicted.plan import (
    PART_PHOTOS,
    PredictionPlan,
    RunningHash,
    open_plan,
    parts_folder,
    remove_parts,
)
from maskcls.results.predicted.rows import PhotoRows
from maskcls.results.predicted.table_file import WrittenTable, check_not_an_output
from maskcls.rundir import RunDir
from maskcls.runs.checks import check_photo_prediction
from maskcls.runs.decision import read_decision
from maskcls.runs.identity import files_read, named_path
from maskcls.runs.locks.run_lock import lock_new
from maskcls.show.terminal.progress import Reporter
from maskcls.show.terminal.text import plural
from maskcls.training.predicting.named_photos import check_photos_of_run, lineage_of_photos, note_repeated
from maskcls.training.predicting.stream import predict_names, predict_parts

NO_RULE = "no decision rule had a proven gain: the most probable class is predicted"
MOST_PRINTED = 10  # photos that are printed without an output


@dataclass(frozen=True)
class PhotoRequest:
    """What the user asked for; see `maskcls predict --help`. engine: None, chosen by the model."""

    what: tuple[str, ...]
    wanted: WantedTables = field(default_factory=WantedTables)
    overrides: tuple[str, ...] = ()
    engine: Engine | None = None
    decide: bool = False
    shard: tuple[int, int] | None = None


@dataclass(frozen=True)
class PredictedPhotos:
    """What was predicted.

    rows    without an output: the photos, with their probabilities.
    tables  with an output: what was written.
    shard   with --shard: the folder of its parts. photos: of this call.
    """

    space: LabelSpace
    photos: int
    unreadable: int
    rows: PhotoRows | None = None
    tables: tuple[WrittenTable, ...] = ()
    shard: Path | None = None


def predict_photos(model: Path, asked: PhotoRequest, report: Reporter) -> PredictedPhotos:
    """Predict the photos that were named and write their tables, or return the rows of a few.

    Predictions are kept in parts beside the first table until all are there: the same command continues an interrupted
    one and gives the same bits.

    Raises what `check_photo_prediction`, `find_photos` and `open_model` raise; DataError that lists photos that cannot
    be read, unless they are skipped; BusyError when an output exists, or the parts are of another prediction.
    """
    workers = check_photo_prediction(model, asked.overrides, decide=asked.decide)
    check_what(asked.what)
    asked.wanted.check(files_read(model, *map(named_path, asked.what)))
    with report.busy("listing photos"):
        photos = find_photos(asked.what, check_lists=not asked.wanted.skip_unreadable)
    note_repeated(photos, report)
    check_not_an_output(asked.wanted.paths, photos.names, photos.given)
    if not asked.wanted.paths and len(photos.names) > MOST_PRINTED:
        got = plural(len(photos.names), "photo")
        fix = "name a table to write: -o answers.csv, or --probabilities p.csv"
        raise UsageError(f"more than {MOST_PRINTED} photos are not printed", got=got, fix=fix)
    if model.is_dir():
        check_photos_of_run(RunDir(model), photos, report)
        if asked.decide and read_decision(RunDir(model)).rule is None:
            report.note(NO_RULE)
    if asked.shard is not None and asked.shard[1] > max(1, len(photos.names)):
        got, fix = f"{asked.shard[1]} shards of {plural(len(photos.names), 'photo')}", "divide them into fewer"
        raise UsageError("there are more shards than photos", where="--shard", got=got, fix=fix)
    opened = open_model(model, asked.overrides, engine=asked.engine, decide=asked.decide, report=report)
    threads = reading_threads(workers)
    if asked.wanted.paths:
        return _in_parts(model, opened, photos, asked, threads, report)
    rows = predict_names(opened, photos.names, decide=asked.decide, threads=threads)
    faults = [f"{name}: {error}" for name, error in zip(rows.names, rows.errors, strict=True) if error]
    if faults and not asked.wanted.skip_unreadable:
        raise cannot_read(faults)
    return PredictedPhotos(opened.space, len(rows), len(faults), rows)


def _in_parts(
    model: Path, opened: PhotoModel, photos: NamedPhotos, asked: PhotoRequest, threads: int, report: Reporter
) -> PredictedPhotos:
    plan = _plan(model, opened, photos.names, asked)
    folder = parts_folder(asked.wanted.paths[0], asked.shard)
    with _locked(folder):
        if open_plan(folder, plan):
            report.note(f"continuing with the parts in {folder}")
        predict_parts(
            opened,
            photos.names,
            folder,
            plan,
            threads=threads,
            on_photos=lambda done: report.images("predicting", done, plan.own_photos),
            on_unreadable=_note_once(report, skip=asked.wanted.skip_unreadable),
        )
        shards = [(folder, plan)]
        if asked.shard is not None:
            if not asked.wanted.skip_unreadable:
                refuse_unreadable(shards)
            return PredictedPhotos(opened.space, plan.own_photos, len(unreadable(shards)), shard=folder)
        tables = write_tables(shards, asked.wanted)
        remove_parts(folder)
    return PredictedPhotos(opened.space, plan.photos, tables[0].unreadable, tables=tuple(tables))


def _plan(model: Path, opened: PhotoModel, names: Sequence[str], asked: PhotoRequest) -> PredictionPlan:
    digest = RunningHash(names).sha256
    return PredictionPlan(
        model=dict(opened.origin),
        lineage=lineage_of_photos(model, opened.origin, asked.what, digest, decide=asked.decide),
        tasks=opened.space.to_json(),
        settings=tuple(asked.overrides),
        decide=asked.decide,
        photos=len(names),
        names_sha256=digest,
        part_photos=PART_PHOTOS,
        shard=asked.shard or (1, 1),
    )


def _note_once(report: Reporter, *, skip: bool) -> Callable[[str], None]:
    later = "their rows have an error" if skip else "they are listed at the end, and no table is written"
    return lambda what: report.once(f"some photos cannot be read: {later}")


def _locked(folder: Path) -> ExitStack:
    """Hold the folder of parts for this process; BusyError when another one predicts into it."""
    stack = ExitStack()
    try:
        stack.enter_context(lock_new(RunDir(folder)))
    except BusyError as error:
        raise BusyError(
            "another process predicts into this folder", where=str(folder), got=error.got, fix="wait for it"
        ) from None
    return stack
