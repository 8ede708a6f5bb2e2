"""A model soup: the average of the weights of a fold's best epochs. Wortsman et al. 2022, arXiv:2203.05482."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from maskcls.engine import checkpoint
from maskcls.engine.device import Accelerator
from maskcls.engine.fit import flat_scores, validation_reader
from maskcls.engine.infer import infer
from maskcls.engine.step_plan import FoldRows
from maskcls.nn.average import soup
from maskcls.results.scores.metrics import score
from maskcls.rundir import FoldDir
from maskcls.training.experiment import Experiment, Member


def best_epochs(history: Sequence[Mapping[str, Any]], count: int) -> list[int]:
    """Return the at most `count` epochs with the best validation scores, ascending; no epoch without a score."""
    scored = [(-line["val/macro_f1"], epoch) for epoch, line in enumerate(history) if line["val/macro_f1"] is not None]
    return sorted(epoch for _, epoch in sorted(scored)[:count])


def use_soup_if_better(
    experiment: Experiment, member: Member, folder: FoldDir, rows: FoldRows, accelerator: Accelerator
) -> None:
    """Replace the best weights by the soup if it scores higher on the fold's validation rows.

    Done once: the meta.json of the best weights then lists the epochs of the soup.
    """
    meta = checkpoint.read_meta(folder.best)
    epochs = sorted(int(path.name) for path in folder.soup.iterdir()) if folder.soup.is_dir() else []
    if len(epochs) < 2 or meta.soup:
        return
    tensors = soup([checkpoint.load_predictor(folder.soup_epoch(epoch)).network.state_dict() for epoch in epochs])
    predictor = checkpoint.load_predictor(folder.best)
    predictor.network.load_state_dict(tensors)
    reader, execution = validation_reader(rows, member.cfg, accelerator), experiment.plans[member.task].infer
    (prob,) = infer([predictor], reader, accelerator=accelerator, execution=execution)
    truth = {name: rows.labels[name][rows.valid] for name in member.space.names}
    scores = flat_scores(score(prob, truth, member.space), prob, truth, member.space)
    best = meta.scores["macro_f1"]
    assert best is not None
    if accelerator.is_main_process and scores["macro_f1"] > best:
        checkpoint.save_weights(folder.best, tensors, member.blueprint, epoch=meta.epoch, scores=scores, soup=epochs)
    accelerator.wait_for_everyone()
