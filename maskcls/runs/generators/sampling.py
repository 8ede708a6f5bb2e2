"""Checks of the command line of `maskcls synth sample` that need no torch, so that errors come at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from maskcls import config, files
from maskcls.errors import ConfigError, UsageError, shell_word
from maskcls.results.csv_with_origin import check_free
from maskcls.results.synth.sample_columns import SAMPLES
from maskcls.results.synth.write_samples import images_folder
from maskcls.rundir import RunDir, SynthDir
from maskcls.runs.environment import read_environment
from maskcls.runs.identity import files_read
from maskcls.schema import Config

OF_SAMPLES = ("synth.per_class", "synth.copy_quantile", "synth.agree", "synth.weight", "data.cache")
OF_COPIES = ("synth.kind", "synth.classes", "synth.neighbours")  # of a run, which has no generators


def sampling_settings(folder: SynthDir, overrides: Sequence[str]) -> Config:
    """Return the configuration of generators, or of a run, with settings of its samples changed.

    ResultError for what is neither, ConfigError for other keys.
    """
    run = folder.experiment
    read_environment(run, generators=True)
    allowed = OF_SAMPLES if folder.facts.exists() else OF_SAMPLES + OF_COPIES
    plain = config.of_run(run.config).model_dump(mode="json")
    for key, value in map(config.parse_override, overrides):
        for leaf, part in config.flatten({key: value}).items():
            known = leaf.split(".")[0] in Config.model_fields
            if known and not leaf.startswith("device.") and ".".join(leaf.split(".")[:2]) not in allowed:
                raise ConfigError(
                    "this setting is not one of the samples",
                    where=leaf,
                    got=str(part),
                    expected=f"a key of device, or {', '.join(allowed)}",
                    fix="leave it out, or train other generators with maskcls synth train",
                )
            config.put(plain, leaf, part)
    return config.validate(plain, where="command line")


def needs_classifier(cfg: Config) -> bool:
    """Tell whether a network is needed: to compare labels, or to find copies among translations or difficult photos."""
    compares = cfg.synth.kind == "cyclegan" and cfg.synth.copy_quantile > 0
    return cfg.synth.kind == "oversample" or compares or cfg.synth.agree


def check_sampling(
    folder: SynthDir, output: Path, classifier: RunDir | None, cfg: Config, *, force: bool, data: Path | None = None
) -> None:
    """Raise what is wrong with samples before they are made.

    data  where the data set is now; None: where it was.

    UsageError for an output without an ending, for a run without generators and for a classifier that is missing, or
    that nothing needs; BusyError
    when the output exists, unless `force`; ResultError for a classifier that is no run.
    """
    env = read_environment(folder.experiment, generators=True)
    inputs = files_read(data or Path(env.data), folder.path, None if classifier is None else classifier.path)
    if not output.suffix:
        raise UsageError("the table needs an ending", where=str(output), expected="such as samples.csv")
    check_free(output, SAMPLES, inputs=[*inputs, folder.path], force=force)
    files.check_outputs(images_folder(output), inputs=[*inputs, folder.path])
    if images_folder(output).is_file():
        raise UsageError(
            "the folder of the images is a file", where=str(images_folder(output)), fix="choose another -o"
        )
    if not folder.facts.exists() and cfg.synth.kind != "oversample":
        raise UsageError(
            f"there is no generator of synth.kind={cfg.synth.kind}",
            where=str(folder.path),
            expected="a folder that maskcls synth train made; or a run, with synth.kind=oversample",
            fix=f"maskcls synth train {shell_word(folder.path)} --kind {cfg.synth.kind}",
        )
    if classifier is None and folder.facts.exists() and needs_classifier(cfg):
        raise UsageError(
            "no run is named whose networks compare the samples",
            where="--classifier",
            expected="a finished run with the folds of the generators",
            fix="name one, or leave out what needs it: synth.agree=false, for cyclegan synth.copy_quantile=0 too",
        )
    if classifier is not None and not needs_classifier(cfg):
        raise UsageError(
            "no run compares these samples",
            where="--classifier",
            got=f"synth.kind={cfg.synth.kind}, synth.agree=false",
            fix="leave it out, or set synth.agree=true",
        )
    if classifier is not None:
        read_environment(classifier)
