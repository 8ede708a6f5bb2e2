"""A soup: the average of the weights of a fold's best epochs. Wortsman et al. 2022, arXiv:2203.05482."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from maskcls import files
from maskcls.engine import checkpoint
from maskcls.engine.device import Accelerator
from maskcls.engine.fit import flat_scores, validation_reader
from maskcls.engine.infer import infer
from maskcls.engine.step_plan import FoldRows
from maskcls.nn.average import soup
from maskcls.results.scores.metrics import score
from maskcls.rundir import FoldDir
from maskcls.training.experiment import (
    Experiment,
    Member,
)


def best_epochs(history: Sequence[Mapping[str, Any]], count: int) -> list[int]:
    """Return the epochs of the best validation scores, at most `count`, in their order; one without a score is none."""
    scored = [(-line["val/macro_f1"], epoch) for epoch, line in enumerate(history) if line["val/macro_f1"] is not None]
    return sorted(epoch for _, epoch in sorted(scored)[:count])


def _stir(experiment: Experiment, member: Member, folder: FoldDir, rows: FoldRows, accelerator: Accelerator) -> None:
    """Put the average of the best epochs in the place of the best one, if it scores higher on the fold's own rows.

    Wortsman et al. 2022, arXiv:2203.05482. Done once: the place then says what it holds.
    """
    meta = files.read_json(folder.best / checkpoint.META)
    epochs = sorted(int(path.name) for path in folder.soup.iterdir()) if folder.soup.is_dir() else []
    if len(epochs) < 2 or "soup" in meta:
        return
    tensors = soup([checkpoint.load_predictor(folder.soup / str(epoch)).network.state_dict() for epoch in epochs])
    predictor = checkpoint.load_predictor(folder.best)
    predictor.network.load_state_dict(tensors)
    reader, execution = validation_reader(rows, member.cfg, accelerator), experiment.plans[member.task].infer
    (prob,) = infer([predictor], reader, accelerator=accelerator, execution=execution)
    truth = {name: rows.labels[name][rows.valid] for name in member.space.names}
    scores = flat_scores(score(prob, truth, member.space), prob, truth, member.space)
    if accelerator.is_main_process and scores["macro_f1"] > meta["scores"]["macro_f1"]:
        blueprint, epoch = member.blueprint, meta["epoch"]
        checkpoint.save_weights(folder.best, tensors, blueprint, epoch=epoch, scores=scores, soup=epochs)
    accelerator.wait_for_everyone()
