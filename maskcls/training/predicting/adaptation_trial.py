"""Every fold's own photos, changed by a planted shift, predicted plainly and adapted to: labels without their labels.

N out-of-fold rows, J joint classes, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from maskcls.data.dataset import Photos, batches
from maskcls.data.views.planted_shift import Shift, keeps_person, plant
from maskcls.engine.adaptation.batch_statistics import has_batch_norm
from maskcls.engine.compute.plan import Execution
from maskcls.engine.device import Accelerator
from maskcls.engine.infer import Predictor, infer, open_reader
from maskcls.labels import Floats, Ints
from maskcls.results.decisions.bias_correction import BiasCorrection, bias_corrected, fit_bias_correction
from maskcls.results.decisions.bias_rule import class_shares
from maskcls.results.decisions.expected_rule import expected_rule
from maskcls.results.decisions.shifted_labels import shifted_labels
from maskcls.results.shift.coral import FeatureMoments
from maskcls.runs.overrides import with_overrides
from maskcls.schema import Config
from maskcls.training.experiment import Experiment
from maskcls.training.predicting.adapted_networks import (
    MOST_PHOTOS,
    AdaptingRows,
    adapt_network,
    check_adaptable,
    moments_of,
)
from maskcls.training.predicting.loaded_networks import LoadedNetwork, load_networks
from maskcls.training.predicting.people_halves import half_of_people
from maskcls.training.prediction import joint

Method = Literal["coral", "adabn", "expected", "em"]
ONE_IN = 5  # people of the most common class that a shift of class shares keeps


@dataclass(frozen=True, eq=False)
class AdaptedRows:
    """Out-of-fold rows of shifted photos, predicted in several ways.

    row_N    (N,) int64, rows of the manifest.
    plain_N  (N,) joint labels of the networks as they are; label_by_method: of the adapted ones.
    skipped  by method, why it was not tried.
    """

    row_N: Ints
    plain_N: Ints
    label_by_method: Mapping[str, Ints]
    skipped: Mapping[str, str]


@dataclass(frozen=True)
class Remembered:
    """What does not depend on the shift, by sha256 of the weights: for several shifts of one run and settings.

    clean    probabilities of the fold's photos as they are.
    moments  by the half of the fold's people too: of the features that its photos are mapped to.
    """

    clean: dict[str, Floats] = field(default_factory=dict)
    moments: dict[tuple[str, int], FeatureMoments] = field(default_factory=dict)


def adapt_out_of_fold(
    experiment: Experiment,
    folds: Sequence[int],
    shift: Shift,
    overrides: Sequence[str],
    accelerator: Accelerator,
    on_images: Callable[[int], None] = lambda count: None,
    remembered: Remembered | None = None,
) -> AdaptedRows:
    """Predict each fold's own photos after a planted shift, with networks adapted to them without their labels.

    adabn: statistics are those of the fold's shifted photos, all together, as `predict` takes those of the photos to
    predict. coral: the fold's people are divided into halves (see `half_of_people`). The shifted photos of each half
    are mapped to the features of the other half's photos as they are, in place of those of the validation photos that
    `predict` aims at. So nobody is on both sides, and the network has seen nobody.
    expected, em: decision rules for macro-F1 after bias-corrected temperatures, which are fitted on the other folds'
    photos without the shift, as a run has them when it is calibrated; em also estimates the class shares. What em gains
    over expected is due to the shares.

    Raises DataError for a fold with fewer than LEAST_PHOTOS photos.
    """
    cfg, space = with_overrides(experiment.cfg, list(overrides)), experiment.cfg.space
    methods, known = get_args(Method), remembered or Remembered()
    skipped: dict[str, str] = {}
    prob_by_fold: dict[int, dict[str, Floats]] = {}
    rows_by_fold, clean_by_fold = dict[int, Ints](), dict[int, Floats]()
    for k in folds:
        networks = load_networks(experiment, experiment.predicting([k], "folds"))
        fold_N = np.flatnonzero(experiment.fold == k)
        rows_by_fold[k] = row_N = _kept(experiment, fold_N) if shift == "shares" else fold_N
        check_adaptable([], len(row_N), cfg)
        if any(not has_batch_norm(one.predictor.network) for one in networks):
            skipped["adabn"] = "the backbone has no batch norm"
        found: dict[str, list[Floats]] = {"clean": [], "none": [], "coral": [], "adabn": []}
        for network in networks:
            found_here = _of_network(
                experiment, network, fold_N, row_N, shift, cfg, accelerator, skipped, known, on_images
            )
            for name, prob in found_here.items():
                found[name].append(prob)
        ids_N = experiment.manifest["id"].to_numpy(np.str_)
        clean_by_fold[k] = joint(networks, found.pop("clean"), ids_N[fold_N], space).prob
        prob_by_fold[k] = {
            name: joint(networks, probs, ids_N[row_N], space).prob for name, probs in found.items() if probs
        }
    label_by_method: dict[str, Ints] = {}
    for method in methods:
        if method in skipped:
            continue
        if method in ("expected", "em"):
            shifted = method == "em"
            labels = [
                _ruled(
                    experiment, [j for j in folds if j != k], clean_by_fold, prob_by_fold[k]["none"], shifted=shifted
                )
                for k in folds
            ]
        else:
            labels = [prob_by_fold[k][method].argmax(axis=1) for k in folds]
        label_by_method[method] = np.concatenate(labels).astype(np.int64)
    plain_N = np.concatenate([prob_by_fold[k]["none"].argmax(axis=1) for k in folds]).astype(np.int64)
    return AdaptedRows(np.concatenate([rows_by_fold[k] for k in folds]), plain_N, label_by_method, skipped)


def _of_network(
    experiment: Experiment,
    network: LoadedNetwork,
    fold_N: Ints,
    row_N: Ints,
    shift: Shift,
    cfg: Config,
    accelerator: Accelerator,
    skipped: Mapping[str, str],
    known: Remembered,
    on_images: Callable[[int], None],
) -> dict[str, Floats]:
    """Return probabilities of the fold's photos (`clean`), and of the shifted ones: plain (`none`) and adapted."""
    member = next(m for m in experiment.members if (m.task, m.cfg.seed) == (network.task, network.seed))
    execution, ids = experiment.plans[member.task].infer, experiment.manifest["id"].to_numpy(np.str_)
    own = experiment.rows(member, network.fold).photos
    images_NHWC = _images(own, fold_N, accelerator)
    place_N = np.searchsorted(fold_N, row_N)
    clean = _in_memory(images_NHWC, ids[fold_N], network.predictor)
    if network.sha256 not in known.clean:
        known.clean[network.sha256] = _predict(network.predictor, clean, cfg, accelerator, execution)
    shifted = _in_memory(plant(shift, images_NHWC[place_N], ids[row_N].tolist()), ids[row_N], network.predictor)
    found = {"clean": known.clean[network.sha256]}
    on_images(len(fold_N))
    found["none"] = _predict(network.predictor, shifted, cfg, accelerator, execution)
    on_images(len(row_N))
    if "adabn" not in skipped:
        new = AdaptingRows.of(shifted, np.arange(len(row_N)), ids[row_N])
        adapted, _ = adapt_network(network.predictor, new, None, cfg, accelerator, execution)
        found["adabn"] = _predict(adapted, shifted, cfg, accelerator, execution)
        on_images(len(row_N))
    found["coral"] = np.zeros_like(found["none"])
    half_N = half_of_people(experiment.manifest["person"].iloc[fold_N].tolist())
    for half in (0, 1):
        place_n = np.flatnonzero(half_N[place_N] == half)
        if not len(place_n):
            continue  # class shares were changed, and nobody of this half is left
        if (network.sha256, half) not in known.moments:
            other_n = np.flatnonzero(half_N != half)
            source = AdaptingRows.of(clean, other_n, ids[fold_N[other_n]]).some(MOST_PHOTOS)
            known.moments[network.sha256, half] = moments_of(network.predictor, source, cfg, accelerator, execution)
        new = AdaptingRows.of(shifted, place_n, ids[row_N[place_n]])
        aim = known.moments[network.sha256, half]
        adapted, _ = adapt_network(network.predictor, new, aim, cfg, accelerator, execution)
        found["coral"][place_n] = _predict(adapted, shifted, cfg, accelerator, execution, place_n)
        on_images(len(place_n))
    return found


def _ruled(
    experiment: Experiment,
    others: Sequence[int],
    clean_by_fold: Mapping[int, Floats],
    prob_NJ: Floats,
    *,
    shifted: bool,
) -> Ints:
    """Return labels for macro-F1 of rows (N, J), by what the other folds' rows calibrate; shifted: for their shares."""
    space = experiment.cfg.space
    other_N = np.concatenate([np.flatnonzero(experiment.fold == k) for k in others])
    marginals = space.marginals(np.concatenate([clean_by_fold[k] for k in others]))
    corrections: dict[str, BiasCorrection] = {
        name: fit_bias_correction(marginals[name], experiment.labels[name][other_N]) for name in space.names
    }
    joint_N = space.encode({name: label_N[other_N] for name, label_N in experiment.labels.items()})
    corrected_NJ = bias_corrected(prob_NJ, corrections, space)
    if shifted:
        return shifted_labels(corrected_NJ, class_shares(joint_N, space.size), space)
    return expected_rule(corrected_NJ).labels(corrected_NJ)


def _kept(experiment: Experiment, row_N: Ints) -> Ints:
    """Return the rows without most people of the most common class of the task whose rarest class has fewest people."""
    people = experiment.manifest["person"]
    counts = {
        name: [people[label_N == c].nunique() for c in range(len(experiment.cfg.space.task(name).classes))]
        for name, label_N in experiment.labels.items()
    }
    name = min(counts, key=lambda n: min(counts[n]))
    common_N = experiment.labels[name][row_N] == int(np.argmax(counts[name]))
    kept_N = np.array([keeps_person(one, one_in=ONE_IN) for one in people.iloc[row_N].tolist()])
    left_N: Ints = row_N[~common_N | kept_N]
    return left_N


def _images(photos: Photos, row_N: Ints, accelerator: Accelerator) -> NDArray[np.uint8]:
    reader = open_reader(photos, row_N, accelerator=accelerator, views="none", batch_size=64, workers=0)
    return np.concatenate([images.numpy() for (images,) in batches(reader.source)])


def _in_memory(images_NHWC: NDArray[np.uint8], id_N: NDArray[np.str_], predictor: Predictor) -> Photos:
    return Photos(Path(), [], id_N.tolist(), [predictor.spec], seed=0, cached=[images_NHWC])


def _predict(
    predictor: Predictor,
    photos: Photos,
    cfg: Config,
    accelerator: Accelerator,
    execution: Execution,
    row_N: Ints | None = None,
) -> Floats:
    reader = open_reader(
        photos,
        np.arange(len(photos)) if row_N is None else row_N,
        accelerator=accelerator,
        views=cfg.predict.views,
        batch_size=cfg.predict.batch_size,
        workers=0,
    )
    (prob,) = infer([predictor], reader, accelerator=accelerator, execution=execution)
    return prob
