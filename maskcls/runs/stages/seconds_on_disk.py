"""How long a stage took before it was killed, from the files that it had written."""

from __future__ import annotations

from maskcls import config
from maskcls.errors import MaskclsError
from maskcls.rundir import RunDir, StagesDir
from maskcls.runs.environment import read_environment
from maskcls.runs.networks import run_networks
from maskcls.runs.records.times import NETWORKS, read_times
from maskcls.runs.records.training_seconds import training_seconds
from maskcls.runs.stages.record import StagesRecord, is_finished


def with_known_seconds(folder: StagesDir, record: StagesRecord) -> StagesRecord:
    """Return the record with the seconds of stages whose process was killed before it could write them.

    They are at least those: a time on record is kept where it is longer.
    """
    stages = []
    for number, entry in enumerate(record.stages):
        run = folder.stage(number)
        if entry.took_s is None and run.env.exists():
            passed_s = max(entry.passed_s, round(seconds_on_disk(run), 1))
            entry = entry.model_copy(update={"passed_s": passed_s, "took_s": passed_s if is_finished(run) else None})
        stages.append(entry)
    return record.model_copy(update={"stages": tuple(stages)})


def seconds_on_disk(run: RunDir) -> float:
    """Return the seconds that a run is known to have taken: of what came before its networks, and of whole epochs.

    The rest is not on disk: an epoch that was not ended, and all around the epochs. 0 where the files cannot be read:
    the command that continues the run says what is wrong.
    """
    try:
        cfg, env, times = config.of_run(run.config), read_environment(run), read_times(run)
        jobs = {task: plan.fold_jobs for task, plan in (env.plans or {}).items()}
        trained_s = training_seconds(run, run_networks(cfg, env.folds), jobs)
    except MaskclsError:
        return 0.0
    parts = [one.seconds for one in times.commands] if times else []
    around_s = sum(part_s for seconds in parts for name, part_s in seconds.items() if name != NETWORKS)
    networks_s = sum(seconds.get(NETWORKS, 0.0) for seconds in parts)  # none of a command that was interrupted
    return around_s + max(trained_s, networks_s)
