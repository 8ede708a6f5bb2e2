"""How many rows of each class a run was trained on: with labels of the data set, with pseudo labels, and samples."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from maskcls.csvfile import read_columns
from maskcls.data.rows import manifest as tables
from maskcls.results.added.set_names import ALL
from maskcls.runs.reported.reported_run import ReportedRun
from maskcls.schema import Config
from maskcls.show.data.class_counts import class_counts
from maskcls.show.pages.table import Table


def source_table(reported: ReportedRun) -> Table | None:
    """Return the rows per class and source; None for a run that has no rows but the data set's own.

    Of pseudo labels and samples a fold has rows of its own: the fewest and the most of all folds.
    """
    cfg, run = reported.config, reported.run
    named = {"pseudo labels": (cfg.data.pseudo, run.pseudo), "samples": (cfg.data.synth, run.samples)}
    added = {head: _spans(path, cfg) for head, (given, path) in named.items() if given is not None}
    if not added:
        return None
    frame = tables.from_csv(run.manifest, cfg.space)
    rows = [
        [task, name, f"{photos:,}", *(spans[task, name] for spans in added.values())]
        for task, name, _, photos in class_counts(frame[tables.real_rows(frame)], cfg.space)
    ]
    return Table(["task", "class", "labelled", *(f"{head} per fold" for head in added)], rows, "Rows by source")


def _spans(path: Path, cfg: Config) -> dict[tuple[str, str], str]:
    """Return the number of added rows per fold, {(task, class): fewest and most}; those of leaky ones are equal."""
    columns = read_columns(path)
    sets = columns.get("set", [ALL] * len(columns["id"]))
    folds = [str(k) for k in range(cfg.folds.k)] if set(sets) - {ALL} else [ALL]
    spans = {}
    for task in cfg.space.tasks:
        found = Counter(zip(sets, columns[task.name], strict=True))
        for name in task.classes:
            counts = [found[fold, name] for fold in folds]
            least, most = min(counts), max(counts)
            spans[task.name, name] = f"{least:,}" if least == most else f"{least:,} .. {most:,}"
    return spans
