"""Checks of an export that need no torch, so that its errors come at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from maskcls import config, files
from maskcls.config.installed_extras import check_extra
from maskcls.errors import ConfigError, UsageError
from maskcls.rundir import RunDir
from maskcls.runs.checks import OTHER_GROUPS, check_overrides
from maskcls.runs.decision_file import check_calibrated
from maskcls.runs.summary import averages_in_groups

CHANGEABLE = ("predict.views", "predict.networks")


def check_onnx_export(
    run: RunDir, output: Path, overrides: Sequence[str], *, decide: bool, check: int, force: bool
) -> None:
    """Raise what is wrong with an export before it begins.

    UsageError for a name that does not end in .onnx, for fewer than 0 photos, and for a decision rule that was fitted
    on averaged photos; BusyError when the output exists, unless `force`; ResourceError for missing packages;
    ResultError for what is no run, and with `decide` for one that is not calibrated; ConfigError for settings that do
    not change the exported model.
    """
    if output.suffix.lower() != ".onnx":
        raise UsageError("the file is ONNX", where="-o", got=str(output), expected="a name that ends in .onnx")
    if check < 0:
        raise UsageError("there is no such number of photos", where="--check", got=str(check), expected="0 or more")
    files.refuse_taken(output, force=force)
    check_overrides(run, overrides)
    for key in config.flatten(dict(map(config.parse_override, overrides))):
        if key not in CHANGEABLE:
            raise ConfigError(
                "this setting does not change the exported model", where=key, expected=" or ".join(CHANGEABLE)
            )
    check_extra("export", needed_by="maskcls export")
    if decide:
        check_calibrated(run)
        if averages_in_groups(run):
            got = "an exported model predicts every photo alone"
            raise UsageError(OTHER_GROUPS, where="--decide", got=got, fix="leave out --decide")
