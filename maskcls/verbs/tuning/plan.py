"""What `maskcls tune --dry-run` does: the space, and how long a search takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from maskcls.schema import Config as Settings
    from maskcls.tuning.space.space import Space


def show_plan(
    data: Path,
    cfg: Settings,
    space: Space,
    sampler: str,
    *,
    trials: int | None,
    workers: int,
    budget_s: float | None,
    json: bool,
) -> None:
    """Print what a search would try, and how long it takes."""
    from maskcls.rundir import RunDir
    from maskcls.show.terminal.progress import LOADING, Reporter
    from maskcls.show.tuning.search_result import print_plan
    from maskcls.tuning.space.space_file import to_plain

    with Reporter() as report:
        with report.busy(LOADING):
            from maskcls.training.forecast import forecast, planned
        trial_s = forecast(planned(data, cfg, RunDir(Path("runs/study/trials/0000")), None), None, report).seconds
    count = trials if sampler != "grid" else min(space.grid_size() + 1, trials or space.grid_size() + 1)
    about = {
        "space": to_plain(space),
        "sampler": sampler,
        "trials": count,
        "workers": workers,
        "grid_points": space.grid_size(),
        "trial_s": trial_s,
        "seconds": None if count is None else trial_s * count / workers,
        "budget_s": budget_s,
    }
    print_plan(about, json=json)
