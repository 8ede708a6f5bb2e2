"""The checks without training: at most a few steps on one batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from maskcls.diagnosis.probe import Probe, different_rows, watch_inputs
from maskcls.diagnosis.without_training.evaluation import check_evaluation, predicted_twice
from maskcls.diagnosis.without_training.first_loss import check_first_loss
from maskcls.diagnosis.without_training.fitting_labels import check_fitting_labels, labels_against_chance
from maskcls.diagnosis.without_training.gradient import check_gradient, gradient_sizes
from maskcls.diagnosis.without_training.inputs import check_inputs
from maskcls.diagnosis.without_training.layers import check_layers, trained_share
from maskcls.diagnosis.without_training.normalisation import check_normalisation, expected_images
from maskcls.diagnosis.without_training.one_batch import batch_probe, check_one_batch, fit_batch, search
from maskcls.diagnosis.without_training.split import check_split, descriptors_of, equal_pairs, people_on_both_sides
from maskcls.engine.normalisation import normalisation_of
from maskcls.labels import Ints
from maskcls.results.diagnosis.close_photos import close_photos
from maskcls.results.diagnosis.finding import CheckName, Finding
from maskcls.show.terminal.progress import Reporter

LOOKED_AT = 256  # photos whose pixels are examined
REPEATED = 32  # photos that are predicted twice
GRADIENTS = 6  # photos whose gradients are computed, each alone
PEOPLE = 150  # whose photos the simple models learn: more take longer than a minute
COMPARED = 6000  # photos that are compared with each other


def quick_checks(probe: Probe, wanted: Sequence[CheckName], report: Reporter) -> Iterator[Finding]:
    """Yield the findings of the wanted checks of one network that need no training."""
    torch.set_num_threads(probe.experiment.plans[probe.member.task].threads)
    made: dict[CheckName, Callable[[Probe], Finding]] = {
        "inputs": _inputs,
        "normalisation": _normalisation,
        "split": _split,
        "first loss": _first_loss,
        "evaluation": _evaluation,
        "layers": lambda one: check_layers(trained_share(one), one.member.task),
        "gradient": _gradient,
        "one batch": _one_batch,
        "labels": _labels,
    }
    for name, check in made.items():
        if name in wanted:
            with report.busy(f"checking {name}"):
                found = check(probe)
            yield found


def some_rows(probe: Probe, count: int) -> Ints:
    """Return at most `count` training rows of different classes."""
    return different_rows(probe.member.space.encode(probe.rows.labels), probe.rows.train, count, seed=0)


def rows_of_people(probe: Probe, people: int) -> Ints:
    """Return all rows, to train on and to validate, of at most so many people."""
    rows = np.sort(np.append(probe.rows.train, probe.rows.valid))
    who = np.random.default_rng(probe.cfg.seed).permutation(np.unique(probe.rows.people[rows]))[:people]
    return rows[np.isin(probe.rows.people[rows], who)]


def _first_step(probe: Probe) -> tuple[NDArray[np.float32], list[float]]:
    """Make the first steps of a training; returns the images the backbone got, and the first loss of each head."""
    network, seen = probe.network(), list[NDArray[np.float32]]()
    session = probe.session(network, 1)
    handle = watch_inputs(session.network, seen)
    steps = min(4, -(-LOOKED_AT // probe.cfg.train.batch_size))
    losses = [terms.tolist() for terms in probe.steps(session, steps, probe.cfg.optim.lr)]
    handle.remove()
    return np.concatenate(seen)[:LOOKED_AT], losses[0]


def _inputs(probe: Probe) -> Finding:
    return check_inputs(_first_step(probe)[0], probe.views(some_rows(probe, LOOKED_AT)), probe.member.task)


def _normalisation(probe: Probe) -> Finding:
    model, images = probe.cfg.model, _first_step(probe)[0]
    own = normalisation_of(model)
    expected = expected_images(probe.views(some_rows(probe, LOOKED_AT)), own.mean, own.std)
    trained = model.pretrained or model.weights is not None
    return check_normalisation(images, expected, probe.member.task, trained=trained)


def _split(probe: Probe) -> Finding:
    experiment, rows = probe.experiment, probe.rows
    numbers = people_on_both_sides(rows.people, rows.train, rows.valid)
    names = experiment.manifest["person"].to_numpy()
    both = sorted({str(name) for name in names[np.isin(rows.people, numbers)]})
    compared = rows_of_people(probe, len(names))[:COMPARED]
    fold_n = np.where(np.isin(compared, rows.valid), 0, experiment.fold[compared].astype(np.int64) + 2)
    views, ids = probe.views(compared), experiment.manifest["id"].to_numpy()[compared].tolist()
    close = close_photos(descriptors_of(views), rows.people[compared], fold_n)
    return check_split(both, close, ids, probe.member.task, probe.noun, equal_pairs(views, fold_n))


def _first_loss(probe: Probe) -> Finding:
    cfg, heads = probe.cfg, list(probe.network().specs.values())
    terms = [cfg.loss.terms(head.name) for head in heads]
    weights = [cfg.balance.weights.get(head.name, 1.0) for head in heads]
    return check_first_loss(heads, terms, weights, _first_step(probe)[1], probe.member.task)


def _evaluation(probe: Probe) -> Finding:
    few = probe.on(probe.rows.train, probe.rows.valid[:REPEATED])
    return check_evaluation(*predicted_twice(few), probe.member.task)


def _gradient(probe: Probe) -> Finding:
    return check_gradient(gradient_sizes(probe, some_rows(probe, GRADIENTS)), probe.member.task)


def _one_batch(probe: Probe) -> Finding:
    batch = batch_probe(probe)
    fits = search(lambda lr, steps: fit_batch(batch, lr, steps), probe.cfg.optim.lr)
    return check_one_batch(fits, probe.member.space.size, probe.member.task)


def _labels(probe: Probe) -> Finding:
    return check_fitting_labels(
        labels_against_chance(probe, rows_of_people(probe, PEOPLE)), probe.member.task, probe.noun
    )
