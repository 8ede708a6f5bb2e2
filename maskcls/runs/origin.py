"""How a submission says it was made, compared with the files that exist: sidecar, run, weights and data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from maskcls import files
from maskcls.data.layouts.source import guess_layout, image_root, read_unlabelled
from maskcls.data.rows import manifest as tables
from maskcls.errors import DataError, MaskclsError
from maskcls.files.source_code import code_sha256
from maskcls.labels import LabelSpace
from maskcls.machine import reading_threads
from maskcls.results.csv_with_origin import CODE, read_sidecar
from maskcls.results.submissions.checks import Check, check_of
from maskcls.results.submissions.write import SUBMISSION
from maskcls.rundir import RunDir
from maskcls.runs.identity import changed_files
from maskcls.runs.lineage import mappings, read_weights


@dataclass(frozen=True)
class SubmissionOrigin:
    """The content of a sidecar: the hash of the submission, its columns, its label space and its lineage.

    code  digest of the code that wrote it, see `code_sha256`; None for an earlier version.
    """

    sha256: str
    columns: tuple[str, ...]
    space: LabelSpace
    lineage: Mapping[str, Any]
    code: str | None = None

    @property
    def names_sealed_people(self) -> bool:
        """Whether the run, or a member of the ensemble, that predicted has sealed people."""
        name = RunDir(Path()).sealed.name  # a key of run_hashes, in the lineage of a run or of a member
        return any(name in lineage for lineage in mappings(self.lineage))


def read_submission_origin(path: Path) -> tuple[Check, SubmissionOrigin | None]:
    """Return whether a submission's sidecar describes this file, and its content if it can be read."""
    sidecar = files.sidecar_path(path)
    if not sidecar.is_file():
        return _without(f"no {sidecar.name} beside it")
    try:
        origin = read_sidecar(path, SUBMISSION, _parsed)
    except DataError as error:
        return Check("sidecar", "FAILED", sidecar.name, (f"it cannot be read: {error.got}",)), None
    if origin is None:
        return _without(f"{sidecar.name} is about something else")
    found = files.file_sha256(path) if path.is_file() else "of no file"
    faults = [] if found == origin.sha256 else [f"{sidecar.name} describes another file, sha256 {origin.sha256[:16]}…"]
    return check_of("sidecar", f"sha256 {found[:16]}…", faults), origin


def _parsed(data: Mapping[str, Any]) -> SubmissionOrigin:
    space = LabelSpace.from_json(data["label_space"]["tasks"])
    columns, lineage = tuple(map(str, data["columns"])), dict(data["lineage"])
    return SubmissionOrigin(str(data["sha256"]), columns, space, lineage, data.get(CODE))


def origin_checks(origin: SubmissionOrigin | None, run: RunDir | None, data: Path | None) -> list[Check]:
    """Compare the hashes in a sidecar with the run's files, its weights, the data set's rows, and this code."""
    lineage: Mapping[str, Any] = origin.lineage if origin else {}
    space = origin.space if origin else None
    checks = [_run_check(lineage, run), _weights_check(lineage, run), _data_check(lineage, space, data)]
    return [*checks, _code_check(origin)]


def _run_check(lineage: Mapping[str, Any], run: RunDir | None) -> Check:
    if run is None:
        return Check("run", "skipped", "no --run to compare with")
    hashes = lineage.get("run_hashes")
    if not isinstance(hashes, dict) or not hashes:
        return Check("run", "skipped", "the sidecar does not name a run")
    faults = [f"{name} has other content than when this was predicted" for name in changed_files(run, hashes)]
    return check_of("run", f"{', '.join(hashes)} of {lineage.get('run')}", faults)


def _weights_check(lineage: Mapping[str, Any], run: RunDir | None) -> Check:
    if run is None:
        return Check("weights", "skipped", "no --run to compare with")
    weights = lineage.get("weights")
    if not isinstance(weights, list) or not weights:
        return Check("weights", "skipped", "the sidecar names no weights")
    used = read_weights(weights)
    if used is None:
        return Check("weights", "FAILED", "cannot be compared", ("the sidecar's list of weights cannot be read",))
    there = {files.file_sha256(path) for path in run.best_weights()}
    faults = [
        f"{one}: sha256 {one.sha256[:16]}… is not among the run's weights" for one in used if one.sha256 not in there
    ]
    return check_of("weights", f"{len(weights)} networks", faults)


def _data_check(lineage: Mapping[str, Any], space: LabelSpace | None, data: Path | None) -> Check:
    expected = lineage.get("data_sha256")
    if data is None or space is None or expected is None:
        return Check("data", "skipped", "no --data to compare with" if data is None else "the sidecar names no data")
    try:
        frame = read_unlabelled(data, guess_layout(data), space)
        photos = _photos_fault(lineage, image_root(data, guess_layout(data)), frame)
    except MaskclsError as error:
        return Check("data", "warning", "cannot be compared", (error.what, *error.offenders))
    found = tables.sha256(frame)
    faults = [f"the photos to predict were others then, sha256 {str(expected)[:16]}…"] if found != expected else photos
    return check_of("data", f"sha256 {found[:16]}…", faults)


def _photos_fault(lineage: Mapping[str, Any], root: Path, frame: pd.DataFrame) -> list[str]:
    """Return what is wrong with the content of the photos, where the lineage names it."""
    expected = lineage.get("photos_sha256")
    if expected is None:
        return []
    from maskcls.data.photos.identity.photo_digests import digests_of_table  # Pillow

    found = digests_of_table(root, frame, threads=reading_threads(None)).sha256
    return [] if found == expected else ["photos have other content than those that were predicted"]


def _code_check(origin: SubmissionOrigin | None) -> Check:
    """Compare the code that wrote a submission with this one; other code is a warning: the answers may be right."""
    if origin is None or origin.code is None:
        return Check("code", "skipped", "the sidecar does not name the code")
    version, now = origin.lineage.get("maskcls", "of an unknown version"), code_sha256()
    faults = [] if origin.code == now else [f"other code of maskcls {version} wrote it, and may give other answers"]
    about = f"sha256 {str(origin.code)[:16]}…, maskcls {version}"
    return check_of("code", about, faults, bad="warning")


def _without(why: str) -> tuple[Check, None]:
    return Check("sidecar", "warning", why, ("nothing says how the file was made",)), None
