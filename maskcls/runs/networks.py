"""Which networks a run has, where each is stored, and which of them predict new photos."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from maskcls import config
from maskcls.rundir import REFIT, FoldDir, RunDir
from maskcls.runs.integrity.done_file import read_done
from maskcls.schema import Config

Kind = Literal["scored", "continued", "refit"]
Choice = Literal["folds", "continued", "refit", "all"]  # the values of predict.networks
PREDICTING: Mapping[Choice, tuple[Kind, ...]] = {
    "folds": ("scored",),
    "continued": ("continued",),
    "refit": ("refit",),
    "all": ("scored", "refit"),
}


@dataclass(frozen=True)
class RunNetwork:
    """One network of a run.

    task  "" for a network about all tasks.
    fold  the fold that validates it; REFIT for a network trained on all rows.
    kind  scored: has a score on its fold; continued: trained further from its best weights; refit: trained on all rows.
          The last two have no validation rows.
    name  distinguishes it from the fold's other networks: `age`, `seed1`, `age-seed1`, or "" for a single network.
    """

    task: str
    seed: int
    fold: int
    kind: Kind
    name: str

    @property
    def scored(self) -> bool:
        """Whether it has out-of-fold rows and a score."""
        return self.kind == "scored"

    @property
    def title(self) -> str:
        """What it is called in messages."""
        where = "all rows" if self.fold == REFIT else f"fold {self.fold}"
        return " ".join(part for part in (self.name, where, "continued" if self.kind == "continued" else "") if part)

    def folder(self, run: RunDir) -> FoldDir:
        """Return where its files are."""
        folder = run.fold(self.fold, self.name)
        return folder.continued if self.kind == "continued" else folder


def seeds(cfg: Config) -> range:
    """Return the seeds of a fold's networks."""
    return range(cfg.seed, cfg.seed + cfg.train.seeds)


def network_name(cfg: Config, task: str, seed: int) -> str:
    """Return what distinguishes a network from the fold's other networks."""
    return "-".join(part for part in (task, f"seed{seed}" if cfg.train.seeds > 1 else "") if part)


def run_networks(cfg: Config, folds: Sequence[int]) -> tuple[RunNetwork, ...]:
    """Return every network of these folds: those scored, those continued, those trained on all rows.

    Within a kind: seed by seed, the tasks of a seed in their order, the folds of a task.
    """
    kinds: list[tuple[Kind, Sequence[int]]] = [("scored", folds)]
    if cfg.train.continue_epochs:
        kinds.append(("continued", folds))
    if cfg.train.refit:
        kinds.append(("refit", (REFIT,)))
    return tuple(
        RunNetwork(task, seed, k, kind, network_name(cfg, task, seed))
        for kind, ks in kinds
        for seed in seeds(cfg)
        for task in config.members(cfg)
        for k in ks
    )


def predicting(networks: Iterable[RunNetwork], choice: Choice) -> list[RunNetwork]:
    """Return the networks that predict new photos under this value of predict.networks."""
    return [network for network in networks if network.kind in PREDICTING[choice]]


def predicting_weights(run: RunDir, cfg: Config, folds: Sequence[int]) -> list[str]:
    """Return the sha256 of the weights that predict new photos, sorted; "" for a network that is not finished."""
    return sorted(weights_hash(one.folder(run)) for one in predicting(run_networks(cfg, folds), cfg.predict.networks))


def weights_hash(folder: FoldDir) -> str:
    """Return the sha256 of a finished network's weights, "" before that; raises ResultError for a damaged file."""
    done = read_done(folder)
    return done.weights if done else ""
