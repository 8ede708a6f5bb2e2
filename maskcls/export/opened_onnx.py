"""ONNX files as a command line names them: by path, or by the run that they were exported from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from maskcls.errors import ConfigError, ResultError, UsageError, shell_word
from maskcls.export.onnx_model import BATCH, OnnxModel, open_onnx
from maskcls.rundir import RunDir

FIXED = ("views", "networks")  # facts of the file that are keys of `predict`


def open_onnx_file(path: Path, overrides: Sequence[str] = (), *, decide: bool = False) -> OnnxModel:
    """Open an exported file; without `decide`, the most probable class is chosen also where it has a decision rule.

    Raises what `open_onnx` raises; UsageError for `decide` with a file that has no rule, ConfigError for settings that
    differ from the file's or have no effect.
    """
    given = _settings(overrides)
    model = open_onnx(path, threads=_threads(given), batch_size=given.get("predict.batch_size", BATCH))
    for name in FIXED:
        _refuse_other(model.facts, name, given.get(f"predict.{name}", model.facts[name]), path, "RUN")
    if decide and model.decision is None:
        fix = "leave out --decide, or export the run with it: maskcls export RUN -o FILE --decide"
        raise UsageError("the model was exported without a decision rule", where=str(path), fix=fix)
    return model if decide else replace(model, decision=None)


def open_exported_run(run: RunDir, overrides: Sequence[str] = (), *, decide: bool = False) -> OnnxModel:
    """Open the file that was exported from a run to its usual place; `decide`: with the rule of the run.

    Raises what `open_onnx` raises; UsageError for a run without such a file, or with a rule that is fitted on all
    photos together; ResultError for a file of other weights than the run's; ConfigError for settings that differ from
    the file's or have no effect.
    """
    from maskcls.runs.checks import check_overrides
    from maskcls.runs.decision import read_decision, refuse_shift
    from maskcls.runs.environment import read_environment
    from maskcls.runs.networks import predicting_weights

    again = f"maskcls export {shell_word(run.path)}"
    if not run.onnx.exists():
        raise UsageError("the run is not exported", where=str(run.onnx), fix=again)
    given, cfg, env = _settings(overrides), check_overrides(run, overrides), read_environment(run)
    model = open_onnx(run.onnx, threads=_threads(given), batch_size=given.get("predict.batch_size", BATCH))
    for name in FIXED:
        _refuse_other(model.facts, name, getattr(cfg.predict, name), run.onnx, str(run.path))
    weights = sorted(network["sha256"] for network in model.facts["weights"])
    if weights != predicting_weights(run, cfg, env.folds) or model.facts["run_hashes"] != env.hashes:
        raise ResultError("the file was exported from other weights", where=str(run.onnx), fix=f"{again} --force")
    decision = read_decision(run) if decide else None
    refuse_shift(run, decision)
    return replace(model, decision=decision)


def _threads(given: Mapping[str, Any]) -> int | None:
    threads = given.get("device.threads", "auto")
    return None if threads == "auto" else threads


def _settings(overrides: Sequence[str]) -> dict[str, Any]:
    """Return the settings by dotted key; ConfigError for those that an exported file does not have."""
    if not overrides:
        return {}  # what a machine without the packages of a training asks for
    from maskcls import config
    from maskcls.runs.overrides import with_overrides

    # Refuses wrong values. Every value of predict.networks is right for a run that has all kinds of networks.
    with_overrides(config.load(None, ["train.refit=true", "train.continue_epochs=1"])[0], list(overrides))
    given = config.flatten(dict(map(config.parse_override, overrides)))
    allowed = ("device.threads", "predict.batch_size", *(f"predict.{name}" for name in FIXED))
    for key in given:
        if key not in allowed:
            raise ConfigError("this setting has no effect on an exported model", where=key, expected=", ".join(allowed))
    return given


def _refuse_other(facts: Mapping[str, Any], name: str, wanted: object, path: Path, run: str) -> None:
    if facts[name] != wanted:
        raise ConfigError(
            "the model was exported with another setting",
            where=str(path),
            got=f"predict.{name}={wanted}",
            expected=f"predict.{name}={facts[name]}",
            fix=f"leave it out, or export again: maskcls export {shell_word(run)} predict.{name}={wanted} --force",
        )
