"""A table that maskcls wrote, such as a submission, compared with its sidecar, and with the run that made it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from maskcls import files
from maskcls.csvfile import read_columns
from maskcls.errors import MaskclsError, ResultError, UsageError
from maskcls.results.photo_contents import PHOTOS, contents_of
from maskcls.results.predictions import Predictions
from maskcls.results.submissions.checks import Check
from maskcls.results.submissions.write import SUBMISSION
from maskcls.results.synth.sample_columns import SAMPLES
from maskcls.rundir import RunDir
from maskcls.runs.integrity.file_check import compared, is_digested, read_check
from maskcls.runs.origin import origin_checks, read_submission_origin


def predictions_checks(path: Path) -> list[Check]:
    """Check a file of predictions (.npz) by the digest in it."""
    return [read_check(path.name, path, lambda: Predictions.load(path), digested=True)]


def refuse_comparing(what: Path, got: str, run: RunDir | None, data: Path | None) -> None:
    """Raise UsageError when a run or a data set is given to compare with what was not predicted with it: no submission.

    got  what it is.
    """
    given = [name for name, value in (("--run", run), ("--data", data)) if value is not None]
    if given:
        raise UsageError(
            f"only a submission is compared with {' and '.join(given)}",
            where=str(what),
            got=got,
            expected="a submission",
            fix=f"leave out {' and '.join(given)}",
        )


def table_checks(path: Path, run: RunDir | None, data: Path | None) -> list[Check]:
    """Check a table and its sidecar; of samples also their images, of a submission also the run, its weights and the
    photos that were predicted.

    run   None: the run of that name in the folder `runs` or the working folder, if there is one.
    data  the data set that was predicted; None: it is not compared.

    Raises UsageError for `run` or `data` with another table than a submission.
    """
    sidecar = files.sidecar_path(path)
    if not sidecar.is_file():
        return [Check(sidecar.name, "FAILED", "not there", (f"nothing says how {path.name} was made",))]
    whole = read_check(sidecar.name, sidecar, lambda: _content(sidecar), digested=is_digested(sidecar))
    if whole.verdict == "FAILED":
        return [whole]
    content = _content(sidecar)
    if content.get("kind") != SUBMISSION.kind:
        refuse_comparing(path, f"a table of another kind, {content.get('kind')}", run, data)
    checks = [whole, compared(path.name, path, str(content["sha256"]), sidecar.name)]
    if content.get("kind") == SAMPLES.kind:
        return [*checks, *_image_checks(path, content)]
    if content.get("kind") != SUBMISSION.kind:
        return checks
    _, origin = read_submission_origin(path)
    lineage: Mapping[str, Any] = origin.lineage if origin else {}
    return [*checks, *origin_checks(origin, run or _known_run(lineage), data)]


def _image_checks(path: Path, content: Mapping[str, Any]) -> Iterator[Check]:
    """Check the images beside a table of samples; those that are photos of a data set are not beside it."""
    from maskcls.data.photos.identity.photo_digests import digest  # imports Pillow
    from maskcls.data.photos.images import read_bytes

    columns = read_columns(path)
    known = contents_of(content.get(PHOTOS), columns["id"], path, SAMPLES)
    for one, name in zip(columns["id"], columns["path"], strict=True):
        image = path.parent / name
        if one not in known or content.get("generator") == "oversample":
            continue
        try:
            other = digest(read_bytes(image)) != known[one]
        except MaskclsError as error:
            yield Check(name, "FAILED", "digest in the sidecar", (error.brief,))
            continue
        yield Check(name, "FAILED" if other else "ok", "digest in the sidecar", ("another image",) if other else ())


def _content(sidecar: Path) -> dict[str, Any]:
    """Return the content of a sidecar; ResultError for one that was changed, or that maskcls did not write."""
    data = files.without_digest(files.read_json(sidecar, files.SIDECAR_FILE), sidecar, required=False)
    if not isinstance(data, dict) or not {"kind", "sha256"} <= data.keys():
        raise ResultError("this is no sidecar of maskcls", where=str(sidecar), expected="kind, sha256")
    return data


def _known_run(lineage: Mapping[str, Any]) -> RunDir | None:
    """Return the run of the name in a lineage, where it is in the folder `runs` or the working folder."""
    name = lineage.get("run")
    if not isinstance(name, str) or not name or Path(name).name != name:
        return None
    places = [RunDir(Path("runs") / name), RunDir(Path(name))]
    return next((run for run in places if run.env.is_file()), None)
