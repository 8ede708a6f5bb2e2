"""Checks of a command line that need no torch, so that its errors come at once."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from maskcls import config, files
from maskcls.config.installed_trackers import check_trackers
from maskcls.csvfile import TABLE
from maskcls.data.layouts.source import check_data
from maskcls.data.photos.cache_folder import cache_folder
from maskcls.errors import BusyError, DataError, UsageError, WeightsError, shell_word
from maskcls.nn.weights.file_kinds import with_advice
from maskcls.results.csv_with_origin import check_free
from maskcls.results.pseudo.label_columns import PSEUDO_LABELS
from maskcls.results.pseudo.rule_options import read_rule
from maskcls.results.rows_by_id import check_same_ids
from maskcls.results.submissions.write import SUBMISSION
from maskcls.rundir import PretrainedTrunk, RepeatsDir, RunDir, StagesDir, StudyDir, SynthDir
from maskcls.runs.decision_file import check_calibrated
from maskcls.runs.environment import read_environment
from maskcls.runs.folders.killed_start import strange_files, whose_files
from maskcls.runs.identity import files_read
from maskcls.runs.integrity.oof_file import read_run_oof
from maskcls.runs.overrides import RULE_WITHOUT_ADAPTATION, refuse_adapting, refuse_predicting, with_overrides
from maskcls.runs.records.noun import noun_of_run
from maskcls.runs.records.record import read_record
from maskcls.runs.repeats.repeat_runs import (
    check_resuming_repeats,
    is_repeated,
    members_of,
    refuse_begun,
    refuse_single,
)
from maskcls.runs.stages.record import is_staged, refuse_begun_stages
from maskcls.schema import Config

WEIGHTS = files.FileKind("the weights", WeightsError, files.RUN_FILE.most)
ALL_TOGETHER = "averaging over similar photos needs all photos together"
ADAPTED_TOGETHER = "networks are adapted to all photos together"
OTHER_GROUPS = "the run's decision rule was fitted with other groups"


def check_training(data: Path, cfg: Config, folds: str | None) -> None:
    """Raise UsageError for folds that do not exist, ConfigError for missing trackers, DataError or WeightsError for
    missing data and files.
    """
    wanted_folds(folds, cfg.folds.k)
    check_trackers(cfg)
    fix = "train without it; then maskcls tta RUN --adapt, and maskcls predict RUN … predict.adapt=…"
    refuse_adapting(cfg, "networks are adapted to photos to predict, not in a training", fix)
    check_data(data, cfg.data.format)
    check_cache(data, cfg)
    for name in ("fixes", "pseudo", "synth"):
        file = getattr(cfg.data, name)
        if file is not None and not Path(file).exists():
            raise DataError("there is no such file", where=f"data.{name}", got=file, fix="check the path")
        if file is not None:
            files.check_file(Path(file), TABLE)
    for name, member in config.members(cfg).items():
        if (file := member.model.weights) is not None and not Path(file).exists():
            where = f"separate.{name}.model.weights" if name else "model.weights"
            raise WeightsError("there is no such file", where=where, got=file, fix="check the path")
        if file is not None:
            files.check_file(Path(file), with_advice(WEIGHTS, Path(file)))


def check_pretraining(data: Path, cfg: Config, trunk: PretrainedTrunk, *, force: bool) -> None:
    """Raise what is wrong with a pretraining before it begins.

    UsageError for a name that is no .safetensors; BusyError when the output exists, unless `force`; DataError or
    WeightsError for missing data and files.
    """
    if trunk.path.suffix != ".safetensors":
        raise UsageError(
            "a trunk is written as safetensors", where="-o", got=str(trunk.path), expected="a name.safetensors"
        )
    weights = [Path(file) for file in [cfg.model.weights] if file]
    # With a state, the command that wrote the outputs was killed before it was complete: it is given again.
    again = force or trunk.state.exists()
    files.refuse_finished(trunk.about, trunk.path, inputs=files_read(data, *weights), force=again)
    check_data(data, cfg.data.format)
    check_cache(data, cfg)
    for file in weights:
        if not file.exists():
            raise WeightsError("there is no such file", where="model.weights", got=str(file), fix="check the path")
        files.check_file(file, with_advice(WEIGHTS, file))


def check_self_training(data: Path, cfg: Config, unlabelled: Path | None, rule: Mapping[str, Any]) -> None:
    """Raise what is wrong with a self-training before its first round: UsageError, ConfigError or DataError."""
    if cfg.data.pseudo is not None:
        raise UsageError("self-training makes its own pseudo labels", where="data.pseudo", fix="set it to null")
    refuse_single(cfg)
    check_training(data, cfg, None)
    check_data(unlabelled or data, cfg.data.format)
    read_rule(rule, cfg.space)


def check_resuming(run: RunDir, folds: str | None) -> None:
    """Raise ResultError for what is no run, UsageError for folds that do not exist, ConfigError for lost trackers."""
    if is_staged(run):
        check_trackers(config.of_run(StagesDir(run.path).config))
        return
    if is_repeated(run):
        check_resuming_repeats(RepeatsDir(run.path), folds)
        check_trackers(config.of_run(RepeatsDir(run.path).config))
        return
    read_environment(run)
    cfg = config.of_run(run.config)
    wanted_folds(folds, cfg.folds.k)
    check_trackers(cfg)


def check_unsealing(run: RunDir) -> None:
    """Raise ResultError for what is no run, UsageError for one without sealed people."""
    read_environment(run)
    if not run.sealed.exists():
        fix = "train with folds.sealed=0.1; whom a network has seen cannot be sealed later"
        raise UsageError(f"the run has no sealed {noun_of_run(run)[1]}", where=str(run.path), fix=fix)


def check_prediction(
    run: RunDir,
    data: Path,
    output: Path,
    overrides: Sequence[str],
    *,
    decide: bool = False,
    groups: Path | None = None,
    force: bool,
) -> None:
    """Raise what is wrong with a prediction before it begins.

    BusyError when the output exists, unless `force`; ResultError for what is no run, and for one that is not calibrated
    with `decide`; ConfigError for settings that do not change predictions, DataError for missing data; UsageError for
    options that exclude each other, and for other groups than the decision rule was fitted with.
    """
    check_free(output, SUBMISSION, inputs=files_read(run.path, data, groups), force=force)
    for member in members_of(run):
        cfg = check_overrides(member, overrides)
    if is_repeated(run) and decide:
        fix = f"leave out --decide, or maskcls ensemble {shell_word(run.path)}/repeat* --decide"
        raise UsageError("a decision rule belongs to one run", where="--decide", got=str(run.path), fix=fix)
    check_data(data, cfg.data.format, settable=False)
    check_cache(data, cfg)
    if groups is not None and not groups.exists():
        raise DataError("there is no such file", where="--groups", got=str(groups), fix="check the path")
    if groups is not None:
        files.check_file(groups, TABLE)
    if groups is not None and config.setting(overrides, "predict.groups"):
        raise UsageError("--groups and predict.groups= set the same", fix="give one of them")
    if not decide:
        return
    refuse_adapting(cfg, RULE_WITHOUT_ADAPTATION, "leave out one of them")
    if groups is not None:
        fix = f"maskcls ensemble {shell_word(run.path)} --groups … --oof-groups … --decide"
        raise UsageError(OTHER_GROUPS, where="--decide, --groups", fix=fix)
    own, asked = config.of_run(run.config).predict.groups, cfg.predict.groups
    if asked != own:
        where = f"--decide, predict.groups={asked}"
        raise UsageError(OTHER_GROUPS, where=where, expected=own, fix="leave out one of them")
    check_calibrated(run)


def check_photo_prediction(model: Path, overrides: Sequence[str], *, decide: bool) -> int | None:
    """Raise what is wrong with a prediction of named photos before it begins; return `device.workers` of a run.

    model  a run folder, or a file of a model, of which only the settings are checked here.

    ResultError for what is no run, and for one that is not calibrated with `decide`; ConfigError for settings that do
    not change predictions; UsageError for those that need all photos together, and for the cache, which is not used.
    """
    if config.setting(overrides, "data.cache"):
        fix = "leave it out: every photo is decoded once, in memory"
        raise UsageError("named photos are not kept in the cache", where="data.cache", fix=fix)
    run = RunDir(model)
    cfg = with_overrides(Config(), list(overrides)) if model.is_file() else check_overrides(run, overrides)
    if cfg.predict.groups != "none":
        where = f"predict.groups={cfg.predict.groups}"
        fix = "predict.groups=none for single photos, or one data set with --data"
        raise UsageError(ALL_TOGETHER, where=where, fix=fix)
    refuse_adapting(cfg, ADAPTED_TOGETHER, "name one data set with --data")
    if decide and not model.is_file():
        own = config.of_run(run.config).predict.groups
        if own != "none":
            raise UsageError(OTHER_GROUPS, where="--decide", expected=f"predict.groups={own}", fix="leave out --decide")
        check_calibrated(run)
    return cfg.device.workers


def check_overrides(run: RunDir, overrides: Sequence[str]) -> Config:
    """Return a run's configuration with settings of a prediction changed.

    Raises ResultError for what is no run, ConfigError for settings that do not change predictions.
    """
    read_environment(run)
    return with_overrides(config.of_run(run.config), list(overrides))


def check_trying_views(run: RunDir, overrides: Sequence[str]) -> None:
    """Raise what is wrong with `tta` before it begins, as `check_overrides`; UsageError for settings that it makes."""
    refuse_predicting(overrides, "tta tries every view, with the networks of the folds, without groups")
    refuse_adapting(check_overrides(run, overrides), "tta tries every view with the networks as they are")


def check_labelling(
    runs: Sequence[RunDir],
    data: Path,
    output: Path,
    rule: Mapping[str, Any],
    views: Sequence[str],
    overrides: Sequence[str],
    *,
    force: bool,
) -> None:
    """Raise what is wrong with pseudo-labelling before it begins: as `check_overrides`, for each run and view.

    BusyError when the output exists, unless `force`; DataError for missing data; UsageError for a wrong rule, and for
    settings that the command makes itself.
    """
    check_free(output, PSEUDO_LABELS, inputs=files_read(data, *(run.path for run in runs)), force=force)
    refuse_predicting(overrides, "pseudo-label uses the networks of the folds, the views of --views, and no groups")
    for run in runs:
        for view in views or [""]:
            check_overrides(run, [*overrides, *([f"predict.views={view}"] if view else [])])
    first = check_overrides(runs[0], overrides)
    check_data(data, first.data.format, settable=False)
    check_cache(data, first)
    read_rule(rule, first.space)


def check_picture(
    data: Path, cfg: Config, output: Path, *, page: Path | None = None, with_photos: bool = False, force: bool
) -> None:
    """Raise what is wrong with `data look` before it begins.

    UsageError for a picture without .png in its name, and for photos without a page; BusyError when an output exists,
    unless `force`; DataError for missing data.
    """
    files.check_picture_name(output)
    if page is not None:
        files.check_page_name(page)
    if with_photos and page is None:
        raise UsageError("--with-photos embeds photos in a page", expected="--page FILE", fix="give both, or neither")
    files.refuse_finished(output, *([page] if page is not None else []), inputs=[data], force=force)
    check_data(data, cfg.data.format)


def check_same_rows(runs: Sequence[RunDir]) -> None:
    """Raise DataError unless the runs have out-of-fold rows of the same ids; runs without such rows are left out."""
    scored = [(run, read_run_oof(run).ids.tolist()) for run in runs if run.oof.exists()]
    for run, ids in scored[1:]:
        first, first_ids = scored[0]
        shares = [_sealed_share(one) for one in (first, run)]
        if set(first_ids) != set(ids) and shares[0] != shares[1]:
            many = noun_of_run(first)[1]
            raise DataError(
                f"the runs have other sealed {many}, and so other out-of-fold rows",
                where=f"{first.path} and {run.path}",
                got=" and ".join(shares),
                expected="one value of folds.sealed and folds.sealed_seed",
                fix=f"combine runs of the same sealed {many}",
            )
        check_same_ids(ids, first_ids, names=(str(run.path), str(first.path)))


def _sealed_share(run: RunDir) -> str:
    folds = config.of_run(run.config).folds
    return f"folds.sealed={folds.sealed}, folds.sealed_seed={folds.sealed_seed}"


def check_cache(data: Path, cfg: Config) -> None:
    """Raise UsageError when photos would be kept in a folder inside the data set."""
    if cfg.data.cache != "off":
        place = cache_folder()
        try:
            files.check_outputs(place, inputs=[data])
        except UsageError as error:
            fix = "set MASKCLS_CACHE to a folder outside it, or data.cache=off"
            raise UsageError("the cache is inside the data set", where=str(place), got=str(data), fix=fix) from error


def refuse_existing(run: RunDir, data: Path) -> None:
    """Raise BusyError when the folder holds a run, or files that a run would replace; UsageError inside the data set.

    A run begins with env.json, the last file of its identity. What a killed process wrote before that is replaced, see
    `strange_files`.
    """
    files.check_folder(run.path, name="the run", option="--run")
    files.check_outputs(run.path, inputs=[data])
    refuse_begun(RepeatsDir(run.path))
    refuse_begun_stages(StagesDir(run.path))
    if StudyDir(run.path).facts.exists():
        raise BusyError("the folder holds a search for settings", where=str(run.path), fix="choose another --run")
    if SynthDir(run.path).facts.exists():
        raise BusyError("the folder holds generators", where=str(run.path), fix="choose another --run")
    if run.env.exists():
        if read_record(run).state == "finished":
            raise BusyError("the folder holds a finished run", where=str(run.path), fix="choose another --run")
        raise BusyError(
            "the folder holds an unfinished run",
            where=str(run.path),
            fix=f"choose another --run, or continue it with: maskcls resume {shell_word(run.path)}",
        )
    if taken := strange_files(run):
        raise BusyError(
            "the folder holds files that a run would replace",
            where=str(run.path),
            got=whose_files(run),
            offenders=taken,
            fix="choose another --run, or move them away",
        )


def refuse_repeated(runs: Sequence[RunDir]) -> None:
    """Raise UsageError for a run that is given twice, also by two paths."""
    folders = [os.path.realpath(run.path) for run in runs]
    if twice := sorted({str(run.path) for run, folder in zip(runs, folders, strict=True) if folders.count(folder) > 1}):
        raise UsageError("a run is given twice", got=", ".join(twice), fix="give each run once")


def wanted_folds(text: str | None, k: int) -> tuple[int, ...]:
    """Read `--folds 0,2`; None means all. Raises UsageError for anything but fold numbers 0..k-1."""
    if text is None:
        return tuple(range(k))
    parts = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch("[0-9]{1,4}", part) and int(part) < k for part in parts):
        raise UsageError(
            "no such fold", where="--folds", got=repr(text), expected=f"numbers from 0 to {k - 1}, such as 0,2"
        )
    return tuple(sorted({int(part) for part in parts}))
