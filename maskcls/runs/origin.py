"""Where a submission says it comes from, compared with the files that are there: sidecar, run, weights and data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskcls import files
from maskcls.data.layouts.source import guess_layout, read_unlabelled
from maskcls.data.rows import manifest as tables
from maskcls.errors import MaskclsError, ResultError
from maskcls.labels import LabelSpace
from maskcls.results.submissions.checks import Check, judge
from maskcls.results.submissions.write import KIND
from maskcls.rundir import RunDir
from maskcls.runs.judged import changed_files

NAMES = ("sidecar", "run", "weights", "data")  # of the checks made here


@dataclass(frozen=True)
class Origin:
    """What a sidecar tells: the hash of the submission's bytes, its columns, its labels' meaning and its lineage."""

    sha256: str
    columns: tuple[str, ...]
    space: LabelSpace
    lineage: Mapping[str, Any]


def read_origin(path: Path) -> tuple[Check, Origin | None]:
    """Return whether a submission's sidecar describes this very file, and what it tells where it can be read."""
    sidecar = files.sidecar_path(path)
    if not sidecar.is_file():
        return _without(f"no {sidecar.name} beside it")
    try:
        data = files.read_json(sidecar)
        if not isinstance(data, dict) or data.get("kind") != KIND:
            return _without(f"{sidecar.name} is about something else")
        space = LabelSpace.from_json(data["label_space"]["tasks"])
        origin = Origin(str(data["sha256"]), tuple(map(str, data["columns"])), space, dict(data["lineage"]))
    except (ResultError, KeyError, TypeError, ValueError) as error:
        return Check("sidecar", "FAILED", sidecar.name, (f"it cannot be read: {getattr(error, 'got', error)}",)), None
    found = files.file_sha256(path) if path.is_file() else "of no file"
    faults = [] if found == origin.sha256 else [f"{sidecar.name} describes another file, sha256 {origin.sha256[:16]}…"]
    return judge("sidecar", f"sha256 {found[:16]}…", faults), origin


def origin_checks(origin: Origin | None, run: RunDir | None, data: Path | None) -> list[Check]:
    """Compare the hashes a sidecar tells with the run's files, its weights, and the data set's rows."""
    lineage: Mapping[str, Any] = origin.lineage if origin else {}
    space = origin.space if origin else None
    return [_run_check(lineage, run), _weights_check(lineage, run), _data_check(lineage, space, data)]


def _run_check(lineage: Mapping[str, Any], run: RunDir | None) -> Check:
    if run is None:
        return Check("run", "skipped", "no --run to compare with")
    hashes = lineage.get("run_hashes")
    if not isinstance(hashes, dict) or not hashes:
        return Check("run", "skipped", "the sidecar tells of no run")
    faults = [f"{name} has other content than when this was predicted" for name in changed_files(run, hashes)]
    return judge("run", f"{', '.join(hashes)} of {lineage.get('run')}", faults)


def _weights_check(lineage: Mapping[str, Any], run: RunDir | None) -> Check:
    if run is None:
        return Check("weights", "skipped", "no --run to compare with")
    weights = lineage.get("weights")
    if not isinstance(weights, list) or not weights:
        return Check("weights", "skipped", "the sidecar tells of no weights")
    if not all(isinstance(one, dict) and isinstance(one.get("sha256"), str) for one in weights):
        return Check("weights", "FAILED", "cannot be compared", ("the sidecar's list of weights cannot be read",))
    there = {files.file_sha256(path) for path in run.path.rglob("best/weights.safetensors")}
    faults = [
        f"{' '.join(f'{key} {value}' for key, value in one.items() if key != 'sha256' and value != '')}: "
        f"sha256 {one['sha256'][:16]}… is none of the run's"
        for one in weights
        if one["sha256"] not in there
    ]
    return judge("weights", f"{len(weights)} networks", faults)


def _data_check(lineage: Mapping[str, Any], space: LabelSpace | None, data: Path | None) -> Check:
    expected = lineage.get("data_sha256")
    if data is None or space is None or expected is None:
        return Check("data", "skipped", "no --data to compare with" if data is None else "the sidecar tells of no data")
    try:
        found = tables.sha256(read_unlabelled(data, guess_layout(data), space))
    except MaskclsError as error:
        return Check("data", "warning", "cannot be compared", (error.what, *error.offenders))
    faults = [] if found == expected else [f"the rows asked for were others then, sha256 {str(expected)[:16]}…"]
    return judge("data", f"sha256 {found[:16]}…", faults)


def _without(why: str) -> tuple[Check, None]:
    return Check("sidecar", "warning", why, ("nothing says where the file comes from",)), None
