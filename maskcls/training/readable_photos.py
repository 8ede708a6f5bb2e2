"""Whether photos can be read: every one decoded once."""

from __future__ import annotations

from pathlib import Path

from maskcls.data.photos.images import check_images
from maskcls.machine import reading_threads
from maskcls.schema import Config
from maskcls.show.terminal.progress import Reporter


def check_photos(root: Path, paths: list[str], cfg: Config, report: Reporter) -> None:
    """Decode every photo once, showing progress; raises one DataError that lists all that cannot be read."""
    threads = reading_threads(cfg.device.workers)
    check_images(
        root, paths, threads=threads, on_progress=lambda done: report.images("checking photos", done, len(paths))
    )
