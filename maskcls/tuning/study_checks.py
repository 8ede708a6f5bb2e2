"""What a search cannot do, told before its first trial."""

from __future__ import annotations

from maskcls import config
from maskcls.errors import BusyError, UsageError
from maskcls.rundir import RepeatsDir, RunDir, StagesDir, StudyDir
from maskcls.runs.repeats.repeat_runs import refuse_single
from maskcls.schema import Config


def refuse_other_folder(folder: StudyDir) -> None:
    """Raise BusyError where a search would mix with a run, or replace files; what a killed start left is its own."""
    if folder.facts.exists():
        return
    path, fix = folder.path, "choose another --study"
    if any(one.exists() for one in (RunDir(path).env, RepeatsDir(path).config, StagesDir(path).config)):
        raise BusyError("the folder holds a run", where=str(path), fix=fix)
    files = (folder.base, folder.database, folder.table, folder.result, folder.winner)
    written = (*files, folder.workers, folder.report.parent, path / "trials")
    begun = (
        folder.lock_file.exists() and config.written_settings(folder.base) is not None
    )  # it is written first, then study.json
    if taken := [one.name for one in written if one.exists() and not (begun and one == folder.base)]:
        raise BusyError("the folder holds files that a search would replace", where=str(path), offenders=taken, fix=fix)


def check_search(cfg: Config, sampler: str, trials: int | None) -> None:
    """Raise UsageError for what has no score, for repeats, and for zoom without --trials."""
    refuse_single(cfg)
    if cfg.data.leaky:
        fix = "leave it out, with pseudo labels and samples of networks that did not see the validation people"
        raise UsageError("a leaky run has no score to search by", where="data.leaky=true", fix=fix)
    if sampler == "zoom" and trials is None:
        fix = "give --trials: the space is narrowed after half of them, and after three quarters"
        raise UsageError("zoom needs the number of trials", where="--sampler zoom", fix=fix)
