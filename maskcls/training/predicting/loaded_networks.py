"""Trained networks of a run, loaded to predict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from maskcls.engine.checkpoint import load_predictor, read_meta
from maskcls.engine.compute.candidates import Workload
from maskcls.engine.compute.choose import infer_execution
from maskcls.engine.compute.plan import Execution
from maskcls.engine.device import Accelerator
from maskcls.engine.infer import Predictor
from maskcls.engine.processes.deciding import decided_by_first
from maskcls.errors import ResultError, shell_word
from maskcls.rundir import FoldDir
from maskcls.runs.integrity.done_file import check_finished_with
from maskcls.runs.lineage import UsedWeights
from maskcls.runs.locks import run_lock
from maskcls.schema import Config
from maskcls.show.terminal.progress import Reporter
from maskcls.training.experiment import Experiment, Member
from maskcls.training.plans import listener_of
from maskcls.viewnames import parse_views


@dataclass(frozen=True)
class LoadedNetwork:
    """One trained network of the run: its task ("" for all tasks), seed and fold, and the hash of its weights."""

    task: str
    seed: int
    fold: int
    sha256: str
    predictor: Predictor

    @property
    def used(self) -> UsedWeights:
        """What a lineage says about it."""
        return UsedWeights(member=self.task, seed=self.seed, fold=self.fold, sha256=self.sha256)


def load_networks(experiment: Experiment, networks: Sequence[tuple[Member, int]]) -> list[LoadedNetwork]:
    """Load the best weights of these networks; ResultError when one of them is not finished."""
    left = [member.title(k) for member, k in networks if not experiment.fold_dir(member, k).done.exists()]
    if left:
        raise ResultError(
            "the run is not finished",
            where=str(experiment.run.path),
            offenders=left,
            fix=f"maskcls resume {shell_word(experiment.run.path)}",
        )
    with run_lock.reading(experiment.run):
        return [_load(member, k, experiment.fold_dir(member, k)) for member, k in networks]


def _load(member: Member, k: int, fold: FoldDir) -> LoadedNetwork:
    predictor, digest = load_predictor(fold.best), read_meta(fold.best).sha256
    check_finished_with(fold, digest)
    if predictor.space.fingerprint != member.space.fingerprint:
        raise ResultError(
            "the weights were trained for other classes than the run's",
            where=str(fold.best.path),
            fix="restore the folder of weights from a copy of the run",
        )
    return LoadedNetwork(member.task, member.cfg.seed, k, digest, predictor)


def prediction_execution(
    predictors: Sequence[Predictor], photos: int, cfg: Config, accelerator: Accelerator, report: Reporter
) -> Execution:
    """Return how the networks are computed here, chosen with the first of them by the first process."""
    first = predictors[0]
    passes = photos * len(parse_views(cfg.predict.views)) * len(predictors)
    network, size, batch = first.network, first.spec.size, cfg.predict.batch_size
    work = Workload(network.backbone, network, size, batch, images=0, predicted=passes, jobs=1)
    listener = listener_of(report)
    return decided_by_first(lambda: infer_execution(work, cfg, accelerator.device, listener=listener), accelerator)
