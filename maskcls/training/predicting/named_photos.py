"""What is said of named photos before they are predicted: refusals, notes, and the lineage of their table."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from maskcls.data.layouts.named import NamedPhotos
from maskcls.rundir import RunDir
from maskcls.runs.decision import read_decision
from maskcls.runs.lineage import RunLineage
from maskcls.runs.records.sealed_people import refuse_sealed_photos
from maskcls.runs.summary import read_summary
from maskcls.show.terminal.progress import Reporter
from maskcls.show.terminal.text import plural
from maskcls.training.predicting.other_cropping import cropped_root, note_other_cropping, trained_root

SHOWN_NAMES = 3


def check_photos_of_run(run: RunDir, photos: NamedPhotos, report: Reporter) -> None:
    """Raise DataError for photos of people who are still sealed; note photos cropped in another way than the run's."""
    refuse_sealed_photos(run, trained_root(run), Path(), photos.names)
    for root in dict.fromkeys(map(cropped_root, photos.roots)):
        note_other_cropping(run, root, report)


def note_repeated(photos: NamedPhotos, report: Reporter) -> None:
    """Print notes about photos that are named more than once, and about what was left out of folders."""
    for note in photos.notes:
        report.note(note)
    if names := photos.repeated:
        shown = ", ".join(names[:SHOWN_NAMES]) + (", …" if len(names) > SHOWN_NAMES else "")
        report.note(f"{plural(len(names), 'name')} of photos that were named before, also by another path: {shown}")


def lineage_of_photos(
    model: Path, origin: Mapping[str, Any], what: Sequence[str], names_sha256: str, *, decide: bool
) -> dict[str, Any]:
    """Return the lineage for the sidecar of a table: a `RunLineage` for a run, else the model's origin and the data.

    what  the inputs as they were given; only the last part of each path is kept.
    """
    data = ", ".join(os.path.basename(word.rstrip("/")) or word for word in what[:SHOWN_NAMES])
    about = {"data": data + (", …" if len(what) > SHOWN_NAMES else ""), "data_sha256": names_sha256}
    if model.is_file():
        return {**origin, **about}
    run = RunDir(model)
    summary = read_summary(run)
    score = summary.pooled.macro_f1 if summary and summary.pooled else None
    lineage = RunLineage.model_validate_json(json.dumps({**origin, **about, "oof_macro_f1": score}))
    return (lineage.with_decision(read_decision(run)) if decide else lineage).to_json()
