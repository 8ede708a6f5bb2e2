"""maskcls data check: read every row and photo of a data set."""

from __future__ import annotations

from pathlib import Path

from maskcls.data.layouts.source import image_root, read_labelled, read_unlabelled
from maskcls.schema import Config
from maskcls.show.data.check import DataCheck
from maskcls.show.progress import Reporter
from maskcls.training.readable_photos import check_photos


def check(data: Path, cfg: Config, report: Reporter) -> DataCheck:
    """Return the tables of a data set whose every row and photo can be read; raises DataError otherwise."""
    fixes = Path(cfg.data.fixes) if cfg.data.fixes else None
    frames = {"train": read_labelled(data, cfg.data.format, cfg.space, fixes)}
    if cfg.data.format == "contest" and (data / "eval").exists():
        frames["eval"] = read_unlabelled(data, cfg.data.format, cfg.space)
    root = image_root(data, cfg.data.format)
    paths = [path for frame in frames.values() for path in frame["path"].tolist()]
    check_photos(root, paths, cfg, report)
    return DataCheck(frames, cfg.space)
