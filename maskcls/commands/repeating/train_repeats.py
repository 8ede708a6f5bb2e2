"""maskcls train with folds.repeats: train the runs of a repeated cross-validation, or the rest of them."""

from __future__ import annotations

from collections.abc import Callable

from maskcls import config, files
from maskcls.rundir import RepeatsDir, RunDir
from maskcls.runs.choices.tried import add_repeats
from maskcls.runs.networks import predicting, run_networks
from maskcls.runs.repeats.repeat_runs import repeat_config, repeat_runs
from maskcls.runs.repeats.repeat_scores import RepeatedScores, score_repeats
from maskcls.schema import Config


def begin_repeats(
    folder: RepeatsDir,
    cfg: Config,
    *,
    train: Callable[[Config, RunDir], object],
    resume: Callable[[RunDir], object],
) -> RepeatedScores:
    """Train all repeats of a new folder; what `train` and `resume` do for one run is handed in.

    The folder's settings are written first: from then on `maskcls resume` knows what is left to do.
    """
    files.commit(folder.config, config.to_yaml(cfg).encode())
    return continue_repeats(folder, train=train, resume=resume)


def continue_repeats(
    folder: RepeatsDir, *, train: Callable[[Config, RunDir], object], resume: Callable[[RunDir], object]
) -> RepeatedScores:
    """Finish every repeat, in their order, and average their out-of-fold rows.

    Raises what training or resuming a run raises.
    """
    cfg = config.of_run(folder.config)
    for number, run in enumerate(repeat_runs(folder)):
        if run.env.exists():
            resume(run)
        else:
            train(repeat_config(cfg, number), run)
    networks = len(predicting(run_networks(cfg, range(cfg.folds.k)), cfg.predict.networks)) * cfg.folds.repeats
    scores = score_repeats(folder, repeat_runs(folder), folds=cfg.folds.k, networks=networks)
    add_repeats(folder)
    return scores
