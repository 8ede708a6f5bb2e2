"""Which weights each fold of a network uses: those of one epoch, or the average of several, chosen by the other folds.

Everything is read from the run folder, so every process, and a resumed run, comes to the same choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from maskcls.engine import checkpoint
from maskcls.engine.device import Accelerator
from maskcls.engine.fit import validation_reader
from maskcls.engine.infer import infer
from maskcls.files import none_for_nan
from maskcls.nn.average import soup
from maskcls.results.scores.epoch_choice import ranked_epochs
from maskcls.results.scores.tally import epoch_scores
from maskcls.rundir import FoldDir, WeightsDir
from maskcls.runs.summary import read_fold_summary
from maskcls.training.epochs.epoch_rows import read_tallies, tally_of
from maskcls.training.experiment import Experiment, Member

T = TypeVar("T")


def choose_weights(
    experiment: Experiment, member: Member, folds: Sequence[int], accelerator: Accelerator
) -> dict[int, WeightsDir]:
    """Return the weights that each fold uses, of those folds that are trained but not done.

    folds: all folds of this training. A fold that is done keeps its weights, and its rows count for the others; see
    `chosen_by_fewer`.
    """
    kept, select = kept_epochs(experiment, member), member.cfg.train.select
    folders = {k: experiment.fold_dir(member, k) for k in folds}
    found = {k: weights_by_epoch(folder, kept) for k, folder in folders.items() if not folder.done.exists()}
    if not kept:
        return {k: by_epoch[max(by_epoch)] for k, by_epoch in found.items()}
    counted, chosen = {k: read_tallies(experiment, member, k) for k in folds}, {}
    for k, by_epoch in found.items():
        ranked = ranked_epochs(_others(k, counted), sorted(by_epoch), select)
        parts = [by_epoch[epoch] for epoch in ranked[: member.cfg.average.soup]]
        chosen[k] = parts[0] if len(parts) == 1 else save_soup(experiment, member, k, parts, accelerator)
    return chosen


def kept_epochs(experiment: Experiment, member: Member) -> int:
    """Return of how many last epochs the weights are kept until one is chosen; 0: the last epoch is used."""
    fitted = member.cfg.model.train == "heads"  # without epochs
    last = experiment.leaky or fitted or member.cfg.train.select == "last"
    return 0 if last else member.cfg.train.keep_epochs


def chosen_by_fewer(experiment: Experiment, member: Member, folds: Sequence[int]) -> list[int]:
    """Return those of these folds that are done, were chosen by other folds than these, and can be chosen again."""
    kept = kept_epochs(experiment, member)
    folders = {k: experiment.fold_dir(member, k) for k in folds}
    return [
        k
        for k, folder in folders.items()
        if kept and folder.done.exists() and read_fold_summary(folder).among not in ((), tuple(folds))
        if has_candidates(folder, kept)
    ]


def has_candidates(folder: FoldDir, kept: int) -> bool:
    """Tell whether the weights of all of the last `kept` epochs of a trained network are on disk."""
    if not folder.last.meta.exists():
        return False
    last = checkpoint.read_meta(folder.last).epoch
    places = [folder.candidate(epoch) for epoch in range(max(0, last - kept + 1), last + 1)]
    return all(place.meta.exists() and place.tensors.exists() for place in places)


def weights_by_epoch(folder: FoldDir, kept: int) -> dict[int, WeightsDir]:
    """Return the weights on disk of a network that is trained, by epoch: the last `kept` ones.

    Those of earlier epochs, which a killed process may have left, in part or whole, are not in it.
    """
    last = checkpoint.read_meta(folder.last).epoch
    kept_here = {epoch: folder.candidate(epoch) for epoch in range(max(0, last - kept + 1), last + 1)}
    found = {epoch: place for epoch, place in kept_here.items() if place.meta.exists()}
    # The last weights are always there. Where the candidates are gone, the best weights are known to be the choice.
    metas = [(place, checkpoint.read_meta(place)) for place in (folder.best, folder.last) if place.meta.exists()]
    return found | {meta.epoch: place for place, meta in metas if not meta.soup}


def save_soup(
    experiment: Experiment, member: Member, k: int, parts: Sequence[WeightsDir], accelerator: Accelerator
) -> WeightsDir:
    """Commit the average of these weights, the best first, among the fold's candidates, and return where it is."""
    folder, rows = experiment.fold_dir(member, k), experiment.rows(member, k)
    by_epoch = {checkpoint.read_meta(part).epoch: part for part in parts}
    epochs, best = sorted(by_epoch), next(iter(by_epoch))
    tensors = soup([checkpoint.load_predictor(by_epoch[epoch]).network.state_dict() for epoch in epochs])
    predictor = checkpoint.load_predictor(parts[0])
    predictor.network.load_state_dict(tensors)
    reader, execution = validation_reader(rows, member.cfg, accelerator), experiment.plans[member.task].infer
    (prob,) = infer([predictor], reader, accelerator=accelerator, execution=execution)
    if accelerator.is_main_process:
        scores = {
            name: none_for_nan(value) for name, value in epoch_scores(tally_of(experiment, member, k, prob)).items()
        }
        checkpoint.save_weights(folder.soup, tensors, member.blueprint, epoch=best, scores=scores, soup=epochs)
    accelerator.wait_for_everyone()
    return folder.soup


def _others(k: int, by_fold: Mapping[int, T]) -> list[T]:
    return [value for j, value in by_fold.items() if j != k]
