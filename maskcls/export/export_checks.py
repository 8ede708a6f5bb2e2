"""Checks of an export that need no torch, so that its errors come at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import assert_never

from maskcls import config, files
from maskcls.config.installed_extras import check_extra
from maskcls.errors import BusyError, ConfigError, ResultError, UsageError
from maskcls.export.int8.options import Int8Options
from maskcls.export.targets import ENDINGS, Target, card_beside
from maskcls.export.timm_checks import check_timm_folder
from maskcls.rundir import RunDir
from maskcls.runs.checks import OTHER_GROUPS, check_overrides
from maskcls.runs.decision_file import check_calibrated
from maskcls.runs.identity import files_read
from maskcls.runs.read_labelled import LEAKY, is_leaky
from maskcls.runs.summary import averages_in_groups
from maskcls.show.card.versions import are_named_in

CHANGEABLE: Mapping[Target, tuple[str, ...]] = {
    "onnx": ("predict.views", "predict.networks"),
    "torch-export": ("predict.views", "predict.networks"),
    "safetensors": ("predict.networks",),
    "model-card": ("predict.views", "predict.networks"),
}
CARD = files.FileKind("the model card", ResultError, 16 << 20, "name another -o")
EXTRA: tuple[Target, ...] = ("onnx",)  # need the packages of the extra `export`
WHOLE: tuple[Target, ...] = ("onnx", "torch-export")  # hold everything from photo to class


def check_export(
    run: RunDir,
    output: Path,
    to: Target,
    overrides: Sequence[str],
    *,
    decide: bool,
    check: int,
    int8: Int8Options | None,
    force: bool,
) -> None:
    """Raise what is wrong with an export before it begins.

    UsageError for a name with another ending than the target's, for options that the target does not have, and for a
    decision rule that was fitted on averaged photos; BusyError when an output exists, unless `force`; ResourceError for
    missing packages; ResultError for what is no run, and with `decide` for one that is not calibrated; ConfigError for
    settings that do not change the exported model.
    """
    ending = ENDINGS.get(to)
    if ending is not None and output.suffix.lower() != ending:
        raise UsageError(
            f"--to {to} writes one file", where="-o", got=str(output), expected=f"a name that ends in {ending}"
        )
    if check < 0:
        raise UsageError("there is no such number of photos", where="--check", got=str(check), expected="0 or more")
    _check_options(to, decide=decide, int8=int8)
    _check_scored(run, int8)
    _check_output(run, output, to, force=force)
    check_overrides(run, overrides)
    for key in config.flatten(dict(map(config.parse_override, overrides))):
        if key not in CHANGEABLE[to]:
            expected = " or ".join(CHANGEABLE[to])
            raise ConfigError("this setting does not change the exported model", where=key, expected=expected)
    if to in EXTRA:
        check_extra("export", needed_by="maskcls export")
    if decide:
        check_calibrated(run)
        if averages_in_groups(run):
            got = "an exported model predicts every photo alone"
            raise UsageError(OTHER_GROUPS, where="--decide", got=got, fix="leave out --decide")


def _check_scored(run: RunDir, int8: Int8Options | None) -> None:
    """Raise ResultError for 8 bits of a run without held-out people to measure them on."""
    if int8 is not None and is_leaky(run):
        raise ResultError(LEAKY, where="--int8", fix="export without --int8")


def _check_output(run: RunDir, output: Path, to: Target, *, force: bool) -> None:
    match to:
        case "safetensors":
            files.check_outputs(output, inputs=files_read(run.path))
            check_timm_folder(output, force=force)
        case "onnx" | "torch-export" | "model-card":
            card = card_beside(output, to, run)
            files.refuse_finished(*{card} - {output}, output, inputs=files_read(run.path), force=force)
            if card.exists() and not force and not are_named_in(files.read_file(card, CARD), {output.name: ""}):
                raise BusyError("the output exists", where=str(card), fix=files.FORCE)
        case _:
            assert_never(to)


def _check_options(to: Target, *, decide: bool, int8: Int8Options | None) -> None:
    if decide and to not in WHOLE:
        raise UsageError(
            f"--to {to} has no place for a decision rule", where="--decide", fix=f"leave it out, or --to {WHOLE[0]}"
        )
    if int8 is None:
        return
    if to != "onnx":
        raise UsageError("8 bits are for ONNX files", where="--int8", got=f"--to {to}", fix="leave one of them out")
    if int8.calibration < 1:
        got = str(int8.calibration)
        raise UsageError("ranges need photos", where="--calibration", got=got, expected="1 or more")
    if not 0 <= int8.most_loss <= 1:
        got = str(int8.most_loss)
        raise UsageError("this is no macro-F1", where="--max-loss", got=got, expected="0 to 1")


def refuse_unused(
    to: Target, *, check: int | None, int8: bool, calibration: int | None, max_loss: float | None, data: Path | None
) -> None:
    """Raise UsageError for an option that was given and has no effect; None: not given."""
    if check is not None and to not in WHOLE:
        raise UsageError(f"--to {to} is not compared with the run", where="--check", fix="leave it out")
    for name, value in (("--calibration", calibration), ("--max-loss", max_loss)):
        if value is not None and not int8:
            raise UsageError("this option is for exports in 8 bits", where=name, fix="add --int8, or leave it out")
    if data is not None and not int8 and (to not in WHOLE or check == 0):
        got = f"--to {to}" if to not in WHOLE else "--check 0"
        raise UsageError("this export reads no photos of the run", where="--data", got=got, fix="leave out --data")
