"""Checks of the command lines of `maskcls synth train` and `resume` that need no torch, so that errors come at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from maskcls import config, files
from maskcls.data.layouts.source import check_data
from maskcls.errors import BusyError, ConfigError, DataError, UsageError, shell_word
from maskcls.rundir import RunDir, SynthDir
from maskcls.runs.checks import check_cache, refuse_existing, wanted_folds
from maskcls.runs.environment import read_environment
from maskcls.runs.folders.killed_start import has_digest, strange_files
from maskcls.runs.locks.run_lock import last_holder
from maskcls.schema import Config

ALONE = ("seed", "data.cache", "train.save_minutes")
GAN_KINDS = ("dcgan", "wgan-gp")


def changes_generator(key: str) -> bool:
    """Tell whether a dotted key may be changed where the settings of a run are used for generators."""
    return key.startswith(("synth.", "device.")) or key in ALONE


def settings_of_run(run: RunDir, overrides: Sequence[str]) -> tuple[Config, dict[str, config.SettingOrigin]]:
    """Return the configuration of a run with settings of generators changed, and the origin of each value.

    What the run has is of origin "default".

    Raises ConfigError for other keys, ResultError for what is no run.
    """
    read_environment(run)
    plain = config.of_run(run.config).model_dump(mode="json")
    origins = dict.fromkeys(config.flatten(plain), config.DEFAULT)
    for key, value in map(config.parse_override, overrides):
        for leaf, part in config.flatten({key: value}).items():
            if leaf.split(".")[0] in Config.model_fields and not changes_generator(leaf):
                raise ConfigError(
                    "data, folds and networks are those of the run",
                    where=leaf,
                    got=str(part),
                    expected=f"a key of synth or device, or {', '.join(ALONE)}",
                    fix="leave it out, or give the data set instead of the run",
                )
            config.put(plain, leaf, part)
            origins[leaf] = config.SettingOrigin("command line", layer=1, given=True)
    return config.validate(plain, where="command line"), origins


def check_synth_training(
    source: Path, cfg: Config, folder: SynthDir, folds: str | None, minutes: float | None, moved: Path | None = None
) -> None:
    """Raise what is wrong with the training of generators before it begins.

    source  a run folder, or a data set. moved: where the data set of the run is now; None: where it was.

    UsageError for folds that do not exist, for no time and for moved data without a run, ConfigError for settings that
    no network can be trained with, DataError for missing data, BusyError when the folder holds generators or a run
    already.
    """
    wanted_folds(folds, cfg.folds.k)
    check_minutes(minutes)
    check_kind(source, cfg, folds, minutes)
    if cfg.synth.kind in GAN_KINDS and cfg.synth.batch_size < 2:
        raise ConfigError(
            "the generator normalises over the batch",
            where="synth.batch_size",
            got=str(cfg.synth.batch_size),
            expected="2 or more",
        )
    run = RunDir(source)
    if moved is not None and not run.env.is_file():
        fix = "leave it out, and give the data set itself"
        raise UsageError("only the data set of a run is named apart from it", where="--data", got=str(moved), fix=fix)
    known = Path(read_environment(run).data) if run.env.is_file() else source
    data = moved or known
    try:
        check_data(data, cfg.data.format)
    except DataError as error:
        if moved is not None or not run.env.is_file():
            raise
        raise error.with_fix("restore it, or say where it is now: --data PATH") from None
    check_cache(data, cfg)
    inputs = [data, *([source] if run.env.is_file() else [])]
    if cfg.synth.kind == "smote":  # its heads are a run, which begins as other runs do
        files.check_outputs(folder.path, inputs=inputs)
        refuse_existing(folder.experiment, data)
    else:
        refuse_existing_generators(folder, inputs)


def check_kind(source: Path, cfg: Config, folds: str | None, minutes: float | None) -> None:
    """Raise UsageError for a kind that is not trained, and for smote without a run or with options it does not have."""
    if cfg.synth.kind == "oversample":
        raise UsageError(
            "copies of photos need no generator",
            where="synth.kind=oversample",
            fix="maskcls synth sample RUN synth.kind=oversample",
        )
    if cfg.synth.kind != "smote":
        return
    if not RunDir(source).env.is_file():
        raise UsageError(
            "examples between embeddings are made with the networks of a run",
            where="synth.kind=smote",
            got=str(source),
            expected="a finished run",
            fix="train a run first, and give its folder",
        )
    given = [name for name, value in (("--folds", folds), ("--minutes", minutes)) if value is not None]
    if given:
        raise UsageError(
            "the heads of all networks of a run are fitted again together",
            where=", ".join(given),
            fix="leave it out",
        )


def check_minutes(minutes: float | None) -> None:
    """Raise UsageError for a time limit that is none."""
    if minutes is not None and not 0 < minutes < float("inf"):
        raise UsageError("no such time", where="--minutes", got=str(minutes), expected="a number above 0")


def refuse_existing_generators(folder: SynthDir, inputs: Sequence[Path]) -> None:
    """Raise BusyError when the folder holds generators, a run, or files that would be replaced; UsageError inside the
    data set or the run.

    Generators begin with env.json, the last file of their identity. What a killed process wrote before is replaced.
    """
    run = folder.experiment
    files.check_folder(run.path, name="the generators", option="--run")
    files.check_outputs(run.path, inputs=list(inputs))
    if run.env.exists() and folder.facts.exists():
        fix = f"choose another --run, or continue them with: maskcls synth resume {shell_word(run.path)}"
        raise BusyError("the folder holds generators already", where=str(run.path), fix=fix)
    if taken := [run.env.name] if run.env.exists() else strange_files(run) + _strange_facts(folder):
        raise BusyError(
            "the folder holds files that generators would replace",
            where=str(run.path),
            offenders=taken,
            fix="choose another --run, or move them away",
        )


def _strange_facts(folder: SynthDir) -> list[str]:
    """Return the name of the file of facts where it is there and no killed training wrote it."""
    own = last_holder(folder.experiment) is not None and has_digest(folder.facts)
    return [folder.facts.name] if folder.facts.exists() and not own else []
