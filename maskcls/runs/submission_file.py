"""From labels to a submission, for predict and ensemble."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from maskcls.data.layouts.source import layout_named
from maskcls.files import OutputFile
from maskcls.labels import Ints
from maskcls.results.submissions.answers import ANSWER
from maskcls.results.submissions.write import Written, write_submission
from maskcls.schema import Config


def write_labels(
    output: Path,
    cfg: Config,
    rows: pd.DataFrame,
    labels_N: Ints,
    lineage: Mapping[str, Any],
    *,
    beside: Sequence[OutputFile] = (),
    force: bool,
) -> Written:
    """Write the joint labels (N,) of these rows in the form of the data set; see `write_submission`."""
    layout, decoded, extra = layout_named(cfg.data.format), cfg.space.decode(labels_N), {}
    if layout.task_columns:
        extra = {task.name: [task.classes[i] for i in decoded[task.name].tolist()] for task in cfg.space.tasks}
    return write_submission(
        output,
        header=(layout.id_column, ANSWER),
        ids=rows["id"].tolist(),
        labels=labels_N,
        space=cfg.space,
        lineage=lineage,
        extra_columns=extra,
        beside=beside,
        force=force,
    )


def data_name(data: Path) -> str:
    """Return the name of a data set in a run's folder."""
    path = data.resolve()
    return re.sub(r"[^A-Za-z0-9._-]+", "_", path.stem if path.is_file() else path.name) or "data"
