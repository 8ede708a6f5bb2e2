"""The out-of-fold rows of several runs on the same data, joined by id, with labels, values and photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maskcls import config
from maskcls.data.layouts.fixes import FixRow, fix_rows
from maskcls.data.layouts.layout import Layout
from maskcls.data.layouts.source import image_root, layout_named
from maskcls.data.rows import manifest as tables
from maskcls.errors import ResultError
from maskcls.labels import Floats, Ints, LabelSpace
from maskcls.results.rows_by_id import rows_of
from maskcls.rundir import RunDir
from maskcls.runs.environment import read_environment
from maskcls.runs.read_labelled import read_out_of_fold
from maskcls.schema import Config


@dataclass(frozen=True, eq=False)
class LabelRows:
    """N labelled photos that at least one of the runs predicts, sorted by id.

    ids, path_N, person_N  text; path_N is relative to `root`.
    given, values          {task: (N,) int}, -1 = unknown; values of tasks with bins only, such as years.
    parts                  per run, the photos it predicts (M,) as numbers, and its joint probabilities (M, J).
    data, cfg              data set and configuration of the first run.
    earlier                corrections that the runs were trained with.
    """

    ids: Sequence[str]
    path_N: Sequence[str]
    person_N: NDArray[np.str_]
    given: Mapping[str, Ints]
    values: Mapping[str, Ints]
    parts: Sequence[tuple[Ints, Floats]]
    space: LabelSpace
    data: Path
    cfg: Config
    earlier: Sequence[FixRow]

    @property
    def layout(self) -> Layout:
        """The layout of the data set."""
        return layout_named(self.cfg.data.format)

    @property
    def root(self) -> Path:
        """The folder of the photos."""
        return image_root(self.data, self.cfg.data.format)


def read_label_rows(runs: Sequence[RunDir]) -> LabelRows:
    """Read one or more finished runs.

    Raises ResultError for runs of other data, tasks, labels or corrections than the first, and what
    `read_out_of_fold` raises.
    """
    first = runs[0]
    data, cfg = Path(read_environment(first).data), config.of_run(first.config)
    frame = tables.from_csv(first.manifest, cfg.space).set_index("id", drop=False)
    parts_by_id = []
    for run in runs:
        labelled = read_out_of_fold(run)
        if labelled.space.fingerprint != cfg.space.fingerprint:
            mine, theirs = labelled.space.first_difference(cfg.space)
            raise ResultError(
                "the runs have other tasks",
                where=str(run.path),
                got=mine,
                expected=theirs,
                fix="name runs of the same tasks",
            )
        _check_labels(run, first, frame, labelled.ids, labelled.truth)
        assert labelled.prob_NJ is not None
        parts_by_id.append((list(labelled.ids), labelled.prob_NJ))
    ids = sorted(set().union(*(own for own, _ in parts_by_id)))
    frame = frame.loc[ids]
    return LabelRows(
        ids=ids,
        path_N=frame["path"].tolist(),
        person_N=frame["person"].to_numpy(np.str_),
        given=tables.labels(frame, cfg.space),
        values=tables.values(frame, cfg.space),
        parts=[(rows_of(ids, own), prob_MJ) for own, prob_MJ in parts_by_id],
        space=cfg.space,
        data=data,
        cfg=cfg,
        earlier=fix_rows(Path(cfg.data.fixes)) if cfg.data.fixes else [],
    )


def _check_labels(run: RunDir, first: RunDir, frame: object, ids: Sequence[str], truth: Mapping[str, Ints]) -> None:
    """Raise ResultError when a run has rows that the first run's table lacks, or other labels for them."""
    import pandas as pd

    assert isinstance(frame, pd.DataFrame)
    known = set(frame.index)
    if strange := [repr(id) for id in ids if id not in known]:
        fix = "name runs on the same data"
        raise ResultError("photos are not in the first run", where=str(run.path), offenders=strange, fix=fix)
    own = frame.loc[list(ids)]
    differs_N = np.zeros(len(ids), dtype=bool)
    for name, label_N in truth.items():
        differs_N |= own[name].to_numpy(np.int64, na_value=-1) != label_N
    if differs_N.any():
        raise ResultError(
            "photos have other labels than in the first run",
            where=str(run.path),
            expected=f"the labels of {first.path}",
            offenders=[repr(ids[row]) for row in np.flatnonzero(differs_N).tolist()],
            fix="name runs with the same data.fixes",
        )
