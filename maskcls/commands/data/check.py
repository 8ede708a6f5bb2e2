"""maskcls data check: read every row and photo of a data set."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from maskcls.data.layouts.source import image_root, layout_named, read_labelled, read_unlabelled
from maskcls.data.rows.repeated_photos import same_photos
from maskcls.schema import Config
from maskcls.show.data.check import DataCheck
from maskcls.show.terminal.progress import Reporter
from maskcls.training.readable_photos import check_photos


def check(data: Path, cfg: Config, report: Reporter) -> DataCheck:
    """Return the tables of a data set whose every row and photo can be read, and the photos with equal pixels.

    Raises DataError for a row or photo that cannot be read.
    """
    fixes = Path(cfg.data.fixes) if cfg.data.fixes else None
    frames = {"train": read_labelled(data, cfg.data.format, cfg.space, fixes)}
    if layout_named(cfg.data.format).has_unlabelled(data):
        frames["eval"] = read_unlabelled(data, cfg.data.format, cfg.space)
    root = image_root(data, cfg.data.format)
    frame = pd.concat(frames.values(), ignore_index=True)
    groups = check_photos(root, frame["path"].tolist(), cfg, report)
    return DataCheck(frames, cfg.space, tuple(same_photos(frame, groups, cfg.space)))
