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
from maskcls.nn.average import soup
from maskcls.results.scores.epoch_choice import better, ranked_epochs
from maskcls.results.scores.tally import epoch_scores
from maskcls.rundir import FoldDir, WeightsDir
from maskcls.runs.summary import read_fold_summary
from maskcls.training.epochs.epoch_rows import read_tallies, save_rows, soup_tally, tally_of
from maskcls.training.experiment import Experiment, Member

T = TypeVar("T")


def choose_weights(
    experiment: Experiment, member: Member, folds: Sequence[int], accelerator: Accelerator
) -> dict[int, WeightsDir]:
    """Return the weights that each fold uses, of those folds that are trained but not done.

    folds: all folds of this training. A fold that is done keeps its weights, and its rows count for the others.
    """
    folders, select = {k: experiment.fold_dir(member, k) for k in folds}, member.cfg.train.select
    found = {k: weights_by_epoch(folder) for k, folder in folders.items() if not folder.done.exists()}
    if select == "last" or experiment.leaky:
        return {k: by_epoch[max(by_epoch)] for k, by_epoch in found.items()}
    counted = {k: read_tallies(experiment, member, k) for k in folds}
    ranked = {k: ranked_epochs(_others(k, counted), sorted(by_epoch), select) for k, by_epoch in found.items()}
    chosen = {k: found[k][epochs[0]] for k, epochs in ranked.items()}
    if member.cfg.average.soup == 1 or len(folds) == 1:
        return chosen
    for k, epochs in ranked.items():
        save_soup(experiment, member, k, [found[k][epoch] for epoch in epochs[: member.cfg.average.soup]], accelerator)
    accelerator.wait_for_everyone()
    epoch_of = {k: ranked[k][0] if k in ranked else read_fold_summary(folders[k]).best_epoch for k in folds}
    singles = {k: tallies[epoch_of[k]] for k, tallies in counted.items() if tallies}
    soups = {k: soup_tally(experiment, member, k) or single for k, single in singles.items()}
    for k in chosen:
        if folders[k].soup.meta.exists() and better(_others(k, soups), _others(k, singles), select):
            chosen[k] = folders[k].soup
    return chosen


def weights_by_epoch(folder: FoldDir) -> dict[int, WeightsDir]:
    """Return the weights on disk of a network that is trained, by epoch."""
    kept = sorted(folder.candidates.iterdir()) if folder.candidates.is_dir() else []
    # The last weights are always there. Where the candidates are gone, the best weights are known to be the choice.
    places = [*map(WeightsDir, kept), folder.best, folder.last]
    metas = {place: checkpoint.read_meta(place) for place in places if place.meta.exists()}
    return {meta.epoch: place for place, meta in metas.items() if not meta.soup}


def save_soup(
    experiment: Experiment, member: Member, k: int, parts: Sequence[WeightsDir], accelerator: Accelerator
) -> None:
    """Commit the average of these weights, the best first, among the fold's candidates, and the average's rows.

    Nothing is written for a single one.
    """
    if len(parts) < 2:
        return
    folder, rows = experiment.fold_dir(member, k), experiment.rows(member, k)
    by_epoch = {checkpoint.read_meta(part).epoch: part for part in parts}
    epochs, best = sorted(by_epoch), next(iter(by_epoch))
    tensors = soup([checkpoint.load_predictor(by_epoch[epoch]).network.state_dict() for epoch in epochs])
    predictor = checkpoint.load_predictor(parts[0])
    predictor.network.load_state_dict(tensors)
    reader, execution = validation_reader(rows, member.cfg, accelerator), experiment.plans[member.task].infer
    (prob,) = infer([predictor], reader, accelerator=accelerator, execution=execution)
    if accelerator.is_main_process:
        save_rows(folder.soup_rows, prob)
        scores = epoch_scores(tally_of(experiment, member, k, folder.soup_rows))
        checkpoint.save_weights(folder.soup, tensors, member.blueprint, epoch=best, scores=scores, soup=epochs)


def _others(k: int, by_fold: Mapping[int, T]) -> list[T]:
    return [value for j, value in by_fold.items() if j != k]
