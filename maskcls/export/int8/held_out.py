"""Held-out photos predicted by the float and the int8 network of their fold, and the speed of both."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx

from maskcls.data.rows import manifest as tables
from maskcls.export.int8.quantize import quantized
from maskcls.export.onnx_file import onnx_bytes, to_onnx
from maskcls.export.onnx_model import BATCH, OnnxModel, onnx_model
from maskcls.export.whole_model import whole_model
from maskcls.labels import Ints
from maskcls.results.comparison.int8_cost import Int8Cost, ModelSpeed, int8_cost
from maskcls.results.comparison.rows import CommonRows
from maskcls.results.photo_model import Photo
from maskcls.schema.group_noun import group_noun
from maskcls.show.terminal.progress import Reporter
from maskcls.training.experiment import Experiment
from maskcls.training.known_photos import known_photo
from maskcls.training.predicting.run_model import RunModel

MOST_PHOTOS = 20_000  # held-out photos; of larger data sets people are drawn
ROUNDS, FEWEST_ROUNDS, WARM_UP, MOST_S = 30, 5, 2, 30.0  # of measuring the speed
CALL_PHOTOS = 4


@dataclass(frozen=True)
class RunPhotos:
    """The labelled photos of a run's table, decoded as for this decode size; rows are those of the table."""

    experiment: Experiment
    decode_size: tuple[int, int]

    def read(self, row: int) -> Photo:
        """Return one photo, uint8 (H, W, 3); WeightsError if its content changed since the training."""
        return known_photo(self.experiment, row, at_least=self.decode_size)

    def draw(self, count: int, *, without: int | None = None) -> list[int]:
        """Return rows for calibration, at most `count`; without: a fold whose people are left out."""
        allowed_N = tables.real_rows(self.experiment.manifest)
        if without is not None:
            allowed_N = allowed_N & (self.experiment.fold != without)
        rows_n = np.flatnonzero(allowed_N)
        drawn: list[int] = np.random.default_rng(0).permutation(rows_n)[:count].tolist()
        return drawn

    def held_out(self, fold: int, most: int) -> list[int]:
        """Return the rows of a fold, of at most about `most` photos of people drawn at random."""
        rows_n = np.flatnonzero(self.experiment.fold == fold)
        if len(rows_n) <= most:
            found: list[int] = rows_n.tolist()
            return found
        person_n = self.experiment.people[rows_n]
        order = np.random.default_rng(0).permutation(np.unique(person_n))
        kept = np.cumsum([(person_n == person).sum() for person in order]) <= most
        chosen: list[int] = rows_n[np.isin(person_n, order[kept])].tolist()
        return chosen


def measure_int8(
    model: RunModel, photos: RunPhotos, folds: Sequence[int], *, calibration: int, report: Reporter
) -> Int8Cost:
    """Return what int8 costs on the held-out photos of these folds.

    model        the networks that have a score: predict.networks=folds.
    calibration  photos of each fold's training people.

    Every fold's networks are exported alone, quantized with photos of their own training people, and predict the photos
    of the fold's people; the most probable class is compared.
    """
    experiment = photos.experiment
    every = [row for fold in folds for row in photos.held_out(fold, MOST_PHOTOS // len(folds))]
    labels = np.zeros((2, len(experiment.manifest)), dtype=np.int64)
    used = calibration
    done = 0
    for fold in folds:
        with report.busy(f"quantizing the network of fold {fold}"):
            proto = to_onnx(whole_model(_of_fold(model, fold)))
            drawn = photos.draw(calibration, without=fold)
            small, used = quantized(proto, photos.read, drawn), min(used, len(drawn))
            both = [_opened(one, model) for one in (proto, small)]
        rows = photos.held_out(fold, MOST_PHOTOS // len(folds))
        for first in range(0, len(rows), BATCH):
            some = rows[first : first + BATCH]
            read = [photos.read(row) for row in some]
            for side, opened in enumerate(both):
                labels[side, some] = opened.predict(read).argmax(axis=1)
            done += len(some)
            report.images("comparing int8 with float", done, len(every))
    return int8_cost(_common_rows(experiment, every, labels), calibration=used, noun=group_noun(experiment.cfg))


def measure_speed(
    whole: onnx.ModelProto,
    small: onnx.ModelProto,
    model: RunModel,
    photo: Photo,
    clock: Callable[[], float] = time.perf_counter,
) -> ModelSpeed:
    """Return the photos per second of both models on one thread, measured in turns; clock: seconds, rising."""
    photos = [photo] * CALL_PHOTOS
    both = [_opened(one, model, threads=1) for one in (whole, small)]
    seconds: list[list[float]] = [[], []]
    start = clock()
    for turn in range(WARM_UP + ROUNDS):
        for side in (0, 1) if turn % 2 else (1, 0):
            before = clock()
            both[side].predict(photos)
            if turn >= WARM_UP:
                seconds[side].append(clock() - before)
        if clock() - start > MOST_S and len(seconds[0]) >= FEWEST_ROUNDS:
            break
    rates = [tuple(CALL_PHOTOS / one for one in of_side) for of_side in seconds]
    return ModelSpeed(rates[0], rates[1], CALL_PHOTOS)


def _of_fold(model: RunModel, fold: int) -> RunModel:
    places = [place for place, network in enumerate(model.networks) if network.fold == fold]
    networks, ready = [model.networks[place] for place in places], [model.ready[place] for place in places]
    return replace(model, networks=networks, ready=ready, decision=None)


def _opened(proto: onnx.ModelProto, model: RunModel, *, threads: int | None = None) -> OnnxModel:
    copied = onnx.ModelProto()
    copied.CopyFrom(proto)
    how = model.cfg.predict
    facts = {
        "tasks": model.space.to_json(),
        "decode_size": list(model.decode_size),
        "decision": None,
        "views": how.views,
        "networks": how.networks,
    }
    return onnx_model(onnx_bytes(copied, facts), where="--int8", threads=threads)


def _common_rows(experiment: Experiment, rows: Sequence[int], labels: Ints) -> CommonRows:
    frame = experiment.manifest.iloc[list(rows)]
    truth = {name: label_N[list(rows)] for name, label_N in experiment.labels.items()}
    people = frame["person"].tolist()
    space = experiment.cfg.space
    return CommonRows(frame["id"].tolist(), labels[0, list(rows)], labels[1, list(rows)], space, truth, people)
