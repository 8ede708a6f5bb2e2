"""What heads on the backbone score before it is trained: the baseline that a training is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from maskcls.engine.device import Accelerator
from maskcls.results.predictions import Predictions
from maskcls.runs.integrity.oof_file import has_frozen_heads, read_frozen_heads
from maskcls.schema import AgeConfig, Config, HeadsConfig
from maskcls.show.terminal.progress import Reporter
from maskcls.training.experiment import Experiment, Member
from maskcls.training.heads.blas_threads import one_thread_of_blas
from maskcls.training.heads.fit_networks import feature_probabilities
from maskcls.training.heads.fittable import why_too_large, why_unfittable
from maskcls.training.heads.fold_heads import fit_fold_heads, set_heads
from maskcls.training.heads.frozen_features import frozen_features


def save_baseline(experiment: Experiment, folds: Sequence[int], accelerator: Accelerator, report: Reporter) -> None:
    """Commit, for every fold that is not done, what fitted heads on the starting weights predict for its rows.

    The heads are those of model.train=heads with the default settings of `heads`. There is none for a backbone with
    random weights, pseudo labels with probabilities, a leaky run and a training in several processes; a line says so
    where train.baseline is true. With auto, there is none either where the features take too much memory, and a line
    says that.

    Raises ResultError for rows on disk that cannot be used: a training would find them at its end.
    """
    if experiment.cfg.train.baseline and not experiment.leaky:
        saved_baseline(experiment, folds)
    if why := without_baseline(experiment, accelerator):
        if experiment.cfg.train.baseline is True:
            report.note(f"no baseline of fitted heads: {why}")
        return
    undone = [(plain, _undone(experiment, plain, folds)) for plain in baseline_networks(experiment)]
    if any(left for _, left in undone) and (why := too_large_baseline(experiment)):
        report.note(f"no baseline of fitted heads: {why}; train.baseline=true computes it all the same")
        return
    for plain, left in undone:
        if not left:
            continue
        features = frozen_features(experiment, plain, accelerator, report)
        every_VND = features.all_views
        fold_N, ids_N = experiment.fold.astype("int64"), experiment.manifest["id"].to_numpy()
        for k in left:
            rows = experiment.rows(plain, k)
            with report.busy(f"fitting the baseline of {experiment.title(plain, k)}"), one_thread_of_blas():
                heads = fit_fold_heads(every_VND, rows, fold_N, plain.cfg)
            set_heads(features.network, heads)
            prob_nJ = feature_probabilities(features.network, features.eval_VND[:, rows.valid], plain)
            lineage = {"fold": k, "heads": plain.cfg.heads.kind, "views": plain.cfg.predict.views}
            rows_of_fold = Predictions(ids_N[rows.valid], prob_nJ, plain.space, lineage)
            rows_of_fold.save(experiment.fold_dir(plain, k).frozen_heads)


def saved_baseline(experiment: Experiment, folds: Sequence[int]) -> dict[tuple[str, int], Predictions]:
    """Return the rows of the baseline that are on disk, by task and fold; ResultError for files that cannot be used."""
    ids_N, found = experiment.manifest["id"].to_numpy(), {}
    for member in experiment.kinds:
        for k in folds:
            folder = experiment.fold_dir(member, k)
            if has_frozen_heads(folder):
                found[member.task, k] = read_frozen_heads(folder, ids_N[experiment.fold == k].tolist())
    return found


def _undone(experiment: Experiment, member: Member, folds: Sequence[int]) -> list[int]:
    folders = {k: experiment.fold_dir(member, k) for k in folds}
    return [k for k, folder in folders.items() if not folder.frozen_heads.exists() and not folder.done.exists()]


def without_baseline(experiment: Experiment, accelerator: Accelerator) -> str:
    """Say why there is no baseline; "" where there is one."""
    if experiment.cfg.model.train == "heads" or not experiment.cfg.train.baseline:
        return "none is wanted"
    models = [member.cfg.model for member in experiment.kinds]
    if not all(model.pretrained or model.weights for model in models):
        return "the backbone has random weights"
    if accelerator.num_processes > 1:
        return "it is computed by one process alone"
    return "the run is leaky" if experiment.leaky else why_unfittable(experiment)


def too_large_baseline(experiment: Experiment) -> str:
    """Say how much memory a baseline that nobody asked for would take, if that is too much; "" otherwise."""
    if experiment.cfg.train.baseline != "auto":
        return ""
    return why_too_large(experiment, baseline_networks(experiment))


def baseline_networks(experiment: Experiment) -> list[Member]:
    """Return the networks of a fold with plain heads that are fitted, of the default settings of `heads`."""
    return [replace(member, cfg=_with_fitted_heads(member.cfg)) for member in experiment.kinds]


def _with_fitted_heads(cfg: Config) -> Config:
    return cfg.model_copy(
        update={
            "model": cfg.model.model_copy(update={"train": "heads"}),
            "heads": HeadsConfig(),
            "age": AgeConfig(drop=cfg.age.drop),
        }
    )
