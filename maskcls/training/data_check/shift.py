"""Train against eval: pixel statistics, two-sample tests, class shares. N rows of a manifest, D features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from maskcls.data.findings import DataFinding, Item
from maskcls.data.photos.inspection import Inspection
from maskcls.data.photos.quality import by_name
from maskcls.data.rows import manifest
from maskcls.errors import DataError, ResourceError
from maskcls.labels import UNKNOWN, Floats, Ints, LabelSpace
from maskcls.results.decisions.bias_correction import fit_bias_correction
from maskcls.results.shift.between_parts import SIGNIFICANT, Shift
from maskcls.results.shift.class_shares import ClassShareEstimate, estimate_shares
from maskcls.results.shift.pixel_statistics import pixel_differences
from maskcls.results.shift.two_sample import two_sample_test
from maskcls.show.terminal.progress import Reporter
from maskcls.training.person_clustering import fit_person_clustering, group_photos

LEAST_SD = 0.2  # differences of pixel statistics below this, in standard deviations, are too small to matter
LEAST_ROWS = 10  # unseen ones of each class, for a correction of the probabilities before class shares are estimated
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class NetworkRows:
    """What a network returned for the N rows of a manifest.

    embedding_ND  (N, D) float32; rows of photos that cannot be read are 0.
    prob          probabilities (N, C) float32 of each task it predicts; {} for a network without heads.
    unseen_N      (N,) bool, labelled rows that it was not trained on, and all others. Photos it was trained on have
                  other embeddings than new ones, so only unseen rows are compared with eval.
    """

    embedding_ND: Floats
    prob: Mapping[str, Floats]
    unseen_N: Mask


def measure_shift(
    frame: pd.DataFrame,
    seen: Inspection,
    network: NetworkRows | None,
    space: LabelSpace,
    *,
    seed: int,
    report: Reporter,
) -> Shift | None:
    """Compare the readable rows to predict with those trained on; None where a part is empty.

    network  None: no embeddings are compared and no class shares estimated.
    """
    eval_N = (frame["split"] == "eval").to_numpy(dtype=bool)
    train_N, eval_N = ~eval_N & seen.readable_N, eval_N & seen.readable_N
    if not train_N.any() or not eval_N.any():
        return None
    with report.busy("grouping photos of one person"):
        person_N, grouped = _people(frame, seen.descriptor_ND, train_N, eval_N)
    both_N = train_N | eval_N
    measures = by_name(seen.measure_NM[both_N])
    pixels = pixel_differences({str(name): one for name, one in measures.items()}, eval_N[both_N], person_N[both_N])
    with report.busy("comparing train with eval"):
        tests = {"pixels": two_sample_test(seen.descriptor_ND[both_N], eval_N[both_N], person_N[both_N], seed=seed)}
        shares: tuple[ClassShareEstimate, ...] = ()
        if network is not None:
            fair_N = (train_N & network.unseen_N) | eval_N
            tests["embeddings"] = two_sample_test(
                network.embedding_ND[fair_N], eval_N[fair_N], person_N[fair_N], seed=seed
            )
            shares = _shares(frame, network, space, train_N, eval_N, person_N, seed)
    return Shift(grouped, pixels, {name: one for name, one in tests.items() if one is not None}, shares)


def shift_findings(shift: Shift) -> list[DataFinding]:
    """Return the differences that are significant and not tiny."""
    tests = [
        Item(
            (),
            f"{name}: eval told from train with AUC {one.auc:.3f}, by chance up to {one.chance:.3f} (p = {one.p:.3f})",
        )
        for name, one in shift.tests.items()
        if one.p < SIGNIFICANT
    ]
    pixels = [
        Item((), f"{one.name}: {one.first:.1f} in train, {one.second:.1f} in eval ({one.difference_sd:+.2f} sd)")
        for one in shift.pixels
        if one.p < SIGNIFICANT and abs(one.difference_sd) >= LEAST_SD
    ]
    shares = [
        Item(
            (),
            f"{one.task}={one.label}: train {one.known:.1%}, eval {one.share:.1%} [{one.low:.1%}..{one.high:.1%}]",
        )
        for one in shift.shares
        if one.differs
    ]
    return [
        DataFinding("shift-photos", tuple(tests)),
        DataFinding("shift-pixels", tuple(pixels)),
        DataFinding("shift-classes", tuple(shares)),
    ]


def _people(frame: pd.DataFrame, descriptor_ND: Floats, train_N: Mask, eval_N: Mask) -> tuple[Ints, bool]:
    """Return a person number (N,) of each row, of eval a group of similar photos; and whether grouping worked."""
    person_N = pd.factorize(frame["person"])[0].astype(np.int64)
    first = int(person_N.max(initial=0)) + 1
    try:
        names = frame.loc[train_N, "person"].tolist()
        clustering = fit_person_clustering(descriptor_ND[train_N], names, "train")
        person_N[eval_N] = first + group_photos(clustering.clusterer, descriptor_ND[eval_N])
    except (DataError, ResourceError):
        person_N[eval_N] = first + np.arange(int(eval_N.sum()))
        return person_N, False
    return person_N, True


def _shares(
    frame: pd.DataFrame,
    network: NetworkRows,
    space: LabelSpace,
    train_N: Mask,
    eval_N: Mask,
    person_N: Ints,
    seed: int,
) -> tuple[ClassShareEstimate, ...]:
    labels = manifest.labels(frame, space)
    found: list[ClassShareEstimate] = []
    for task in space.tasks:
        if task.name not in network.prob:
            continue
        known_N = train_N & (labels[task.name] != UNKNOWN)
        prob_NC, fit_N = network.prob[task.name], known_N & network.unseen_N
        if np.bincount(labels[task.name][fit_N], minlength=len(task.classes)).min() >= LEAST_ROWS:
            prob_NC = fit_bias_correction(prob_NC[fit_N], labels[task.name][fit_N]).rows(prob_NC).astype(np.float32)
        found += estimate_shares(
            task.name,
            task.classes,
            prob_NC[eval_N],
            person_N[eval_N],
            labels[task.name][known_N],
            person_N[known_N],
            seed=seed,
        )
    return tuple(found)
