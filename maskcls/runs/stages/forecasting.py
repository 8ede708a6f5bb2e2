"""How long a stage will take, from the stage before it, and which one is taken next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from maskcls import config
from maskcls.rundir import RunDir
from maskcls.runs.environment import read_environment
from maskcls.runs.networks import run_networks
from maskcls.runs.records.times import NETWORKS, read_times
from maskcls.runs.records.training_seconds import training_seconds
from maskcls.runs.stages.ladder import StageSettings, stage_work
from maskcls.schema import Config

MARGIN = 1.25  # a forecast, times this, must fit into the time that is left
GROWTH = 8.0  # a stage takes at most so many times the time that has passed, so that a better result is never far


@dataclass(frozen=True)
class StageCost:
    """What a finished stage took, and what it did.

    work      see `ladder.stage_work`; networks: how many were trained.
    trained_s seconds of its epochs; networks_s: of everything about its networks, epochs included; whole_s: of all.
    """

    work: float
    networks: int
    trained_s: float
    networks_s: float
    whole_s: float

    def forecast_s(self, work: float, networks: int) -> float:
        """Return the seconds of a stage with other work and another number of networks.

        Its epochs take time in proportion to the work, the rest of its networks to their number, and all else as long
        as here: reading, starting, the page.

        >>> StageCost(work=100, networks=2, trained_s=20, networks_s=30, whole_s=45).forecast_s(work=400, networks=4)
        115.0
        """
        around_s = max(0.0, self.networks_s - self.trained_s) * networks / self.networks
        return max(0.0, self.whole_s - self.networks_s) + around_s + self.trained_s * work / self.work


def measures(rungs: Sequence[StageSettings], place: int) -> bool:
    """Tell whether a stage has no forecast, as none before it is like it, and is taken in any case.

    They are the first one, and after fitted heads the first one that trains networks. Behind the last there is none.
    """
    if place >= len(rungs):
        return False
    return place == 0 or (rungs[place - 1].fitted and not rungs[place].fitted)


def next_stage(
    rungs: Sequence[StageSettings], done: int, forecasts_s: Sequence[float], *, left_s: float, passed_s: float
) -> int | None:
    """Return the place on the ladder of the next stage; None where no further one fits into the time left.

    It is one that `measures`, if that comes next. Otherwise it is the largest whose forecast with MARGIN fits, and
    which takes at most GROWTH times the time that has passed. If none of those that fit is that short, it is the
    smallest that fits.

    done         place of the largest stage that is finished; -1: none.
    forecasts_s  seconds of each rung.
    """
    if measures(rungs, done + 1):
        return done + 1
    fitting = [place for place in range(done + 1, len(rungs)) if forecasts_s[place] * MARGIN <= left_s]
    if not fitting:
        return None
    near = [place for place in fitting if forecasts_s[place] <= GROWTH * passed_s]
    return near[-1] if near else fitting[0]


def forecasts(
    rungs: Sequence[StageSettings], cost: StageCost, cfg: Config, photos: int, folds: int | None
) -> list[float]:
    """Return the forecast seconds of every rung, from what a stage took; folds: how many are wanted, None: all."""
    return [cost.forecast_s(stage_work(rung, cfg, photos), network_count(rung, cfg, folds)) for rung in rungs]


def measured_cost(run: RunDir, settings: StageSettings, cfg: Config, photos: int, whole_s: float) -> StageCost:
    """Return what a finished stage took.

    cfg  of the ladder; whole_s: seconds of the stage, page included. Raises ResultError for damaged files.
    """
    own, env, times = config.of_run(run.config), read_environment(run), read_times(run)
    networks = run_networks(own, env.folds)
    jobs = {task: plan.fold_jobs for task, plan in (env.plans or {}).items()}
    trained_s = training_seconds(run, networks, jobs)
    timed_s = sum(one.seconds.get(NETWORKS, 0.0) for one in times.commands) if times else 0.0
    networks_s = max(timed_s, trained_s)
    return StageCost(stage_work(settings, cfg, photos), len(networks), trained_s, networks_s, max(whole_s, networks_s))


def planned_stages(rungs: Sequence[StageSettings], forecasts_s: Sequence[float], limit_s: float) -> list[int]:
    """Return the rungs that become stages within a time limit if every stage takes as long as forecast."""
    found: list[int] = []
    passed_s, place = 0.0, next_stage(rungs, -1, forecasts_s, left_s=limit_s, passed_s=0.0)
    while place is not None and passed_s + forecasts_s[place] <= limit_s:
        found.append(place)
        passed_s += forecasts_s[place]
        place = next_stage(rungs, place, forecasts_s, left_s=limit_s - passed_s, passed_s=passed_s)
    return found


def network_count(settings: StageSettings, cfg: Config, folds: int | None) -> int:
    """Return how many networks a stage trains; folds: how many are wanted, None: all."""
    return settings.seeds * len(config.members(cfg)) * (settings.folds if folds is None else folds)
