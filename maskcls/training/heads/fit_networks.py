"""All networks of a run with model.train=heads: their features once, then the heads of every fold.

N rows of the manifest, V views, D features, J joint classes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from maskcls import files
from maskcls.data.dataset import Key
from maskcls.engine import checkpoint
from maskcls.engine.device import Accelerator
from maskcls.engine.fit import EpochResult
from maskcls.engine.infer import joint_probabilities
from maskcls.engine.step_plan import FoldRows
from maskcls.errors import MaskclsError, UsageError
from maskcls.files import none_for_nan
from maskcls.labels import Floats
from maskcls.nn.network import Network
from maskcls.results.predicted.view_means import mean_over_views
from maskcls.results.scores.tally import epoch_scores, tally
from maskcls.runs.integrity.done_file import mark_done
from maskcls.runs.integrity.epoch_log import write_log
from maskcls.runs.summary import HeadChoice, scored_fold, write_fold_summary
from maskcls.show.terminal.progress import Reporter
from maskcls.show.terminal.sheet import contact_sheet
from maskcls.training.experiment import Experiment, Member
from maskcls.training.fold import SHEET_IMAGES, class_captions, finish_leaky, save_scored_rows
from maskcls.training.heads.blas_threads import one_thread_of_blas
from maskcls.training.heads.fold_heads import FoldHead, fit_fold_heads, set_heads
from maskcls.training.heads.frozen_features import FrozenFeatures, frozen_features
from maskcls.viewnames import view_mean


def fit_networks(experiment: Experiment, wanted: Sequence[int], accelerator: Accelerator, report: Reporter) -> None:
    """Fit the heads of every network of the wanted folds that is not done, and of the one of all rows.

    A network is one unit of work: an interrupted run fits the one that is not done again, and ends with the same bits.

    Raises UsageError in several processes.
    """
    if accelerator.num_processes > 1:
        raise UsageError(
            "heads are fitted by one process",
            where="model.train=heads",
            got=f"{accelerator.num_processes} processes",
            fix="start one process",
        )
    for member in experiment.members:
        undone = [
            k
            for one, k in experiment.trainings(wanted)
            if one.name == member.name and not experiment.fold_dir(one, k).done.exists()
        ]
        if not undone:
            continue
        began_s = time.monotonic()
        torch.set_num_threads(experiment.plans[member.task].threads)
        features = frozen_features(experiment, member, accelerator, report)
        # Of features from the cache, what they took: with another image size they would have to be computed.
        features_s = max(features.seconds, time.monotonic() - began_s)
        jobs = max(1, min(experiment.plans[member.task].threads, len(undone)))
        rows = {k: experiment.rows(member, k) for k in undone}
        every_VND = features.all_views
        what = f"fitting heads{f' of {member.name}' if member.name else ''}"
        with report.busy(what), one_thread_of_blas(), ThreadPoolExecutor(jobs) as pool:
            fits = {k: pool.submit(_timed_fit, every_VND, rows[k], experiment, member) for k in undone}
            for k in undone:
                heads, fit_s = fits[k].result()
                _save(experiment, member, k, rows[k], features, heads, features_s / len(undone) + fit_s, accelerator)


def _timed_fit(
    feature_VND: Floats, rows: FoldRows, experiment: Experiment, member: Member
) -> tuple[dict[str, FoldHead], float]:
    began_s = time.monotonic()
    fold_N = experiment.fold.astype(np.int64)
    return fit_fold_heads(feature_VND, rows, fold_N, member.cfg), time.monotonic() - began_s


def _save(
    experiment: Experiment,
    member: Member,
    k: int,
    rows: FoldRows,
    features: FrozenFeatures,
    heads: Mapping[str, FoldHead],
    seconds: float,
    accelerator: Accelerator,
) -> None:
    """Commit a network with its fitted heads, its predictions of the validation rows and their scores; DONE is last."""
    folder = experiment.fold_dir(member, k)
    set_heads(features.network, heads)
    prob_nJ = feature_probabilities(features.network, features.eval_VND[:, rows.valid], member)
    truth = {name: rows.labels[name][rows.valid] for name in member.space.names}
    scores = epoch_scores(tally(prob_nJ, truth, member.space))
    losses = {name: head.loss for name, head in heads.items()}
    photos_per_s = len(experiment.manifest) / seconds if seconds else 0.0
    train = {"loss": sum(losses.values())} | losses
    line = EpochResult(0, 0, 0.0, train, scores, seconds, photos_per_s, True).to_json()
    files.commit(folder.first_batch, first_photos(rows, member))
    write_log(folder, [line])
    logged = {name: none_for_nan(value) for name, value in scores.items()}
    tensors = features.network.inference_state()
    checkpoint.save_weights(folder.last, tensors, member.blueprint, epoch=0, scores=logged)
    checkpoint.copy_weights(folder.last, folder.best)
    meta = checkpoint.read_meta(folder.best)
    if not len(rows.valid):
        mark_done(folder, meta.sha256)
    elif experiment.leaky:
        finish_leaky(folder, meta, accelerator)
    else:
        found = save_scored_rows(experiment, member, k, rows, prob_nJ)
        chosen = {
            name: HeadChoice(strength=head.strength, scale=head.scale, loss=none_for_nan(head.loss))
            for name, head in heads.items()
        }
        write_fold_summary(folder, scored_fold(0, (), found).model_copy(update={"heads": chosen}))
        mark_done(folder, meta.sha256)


@torch.inference_mode()
def feature_probabilities(network: Network, feature_VnD: Floats, member: Member) -> Floats:
    """Return the joint probabilities (n, J) float32 of features (V, n, D), averaged over the views as `infer` does."""
    views, count, _ = feature_VnD.shape
    if not count:
        return np.empty((0, member.space.size), dtype=np.float32)
    flat = torch.from_numpy(np.ascontiguousarray(feature_VnD.reshape(views * count, -1)))
    logits = {name: network.heads[name](flat) for name in network.specs}
    joint = joint_probabilities(logits, network.specs, member.space).reshape(views, count, -1)
    return mean_over_views(joint, view_mean(member.cfg.predict.views))


def first_photos(rows: FoldRows, member: Member) -> bytes:
    """Draw the first training photos as the backbone gets them, with their labels; a PNG."""
    first = rows.train[:SHEET_IMAGES]
    views = rows.photos.__getitems__([Key(int(row)) for row in first])
    if isinstance(views, MaskclsError):
        raise views
    return contact_sheet(list(views[0]), class_captions(first, rows, member))
