"""The epochs of a run's networks, from their logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from maskcls.errors import ResultError
from maskcls.rundir import REFIT, RunDir
from maskcls.runs.integrity.epoch_log import read_log
from maskcls.runs.networks import RunNetwork, run_networks
from maskcls.runs.summary import read_fold_summary
from maskcls.schema import Config


@dataclass(frozen=True)
class NetworkLog:
    """The log of one network.

    title   names it, such as `fold 0` or `age-seed1 fold 0`.
    lines   one per epoch, as in log.jsonl: `train/loss`, `val/macro_f1`, `lr`, `seconds` and others; None: no value.
    chosen  the epoch, from 0, whose weights are used; None for a network without validation rows.
    """

    network: RunNetwork
    title: str
    lines: tuple[Mapping[str, float | None], ...]
    chosen: int | None

    def column(self, key: str) -> list[float | None]:
        """Return one number per epoch; None where there is none."""
        return [line.get(key) for line in self.lines]


def read_logs(run: RunDir, cfg: Config, folds: Sequence[int]) -> tuple[NetworkLog, ...]:
    """Read the log of every network of these folds that has one; raises ResultError when a file is damaged."""
    found = [one for one in run_networks(cfg, folds) if one.folder(run).log.exists()]
    return tuple(NetworkLog(one, network_title(one), _lines(run, one), _chosen(run, one)) for one in found)


def network_title(network: RunNetwork) -> str:
    """Name a network, for people.

    >>> network_title(RunNetwork("age", 0, 2, "scored", "age")), network_title(RunNetwork("", 0, -1, "refit", ""))
    ('age fold 2', 'all rows')
    """
    part = "all rows" if network.fold == REFIT else f"fold {network.fold}"
    return f"{network.name} {part}{' continued' if network.kind == 'continued' else ''}".strip()


def _lines(run: RunDir, network: RunNetwork) -> tuple[Mapping[str, float | None], ...]:
    folder = network.folder(run)
    try:
        return tuple({str(key): _number(value) for key, value in line.items()} for line in read_log(folder))
    except AttributeError as error:
        raise ResultError(
            "a log cannot be read", where=str(folder.log), got=repr(error), fix="restore it from a copy of the run"
        ) from None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _chosen(run: RunDir, network: RunNetwork) -> int | None:
    folder = network.folder(run)
    return read_fold_summary(folder).best_epoch if network.scored and folder.summary.exists() else None
