"""maskcls data check: read every row and photo, and say what is there or what is wrong."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from maskcls.data.layouts.source import image_root, read_labelled, read_unlabelled
from maskcls.data.photos.images import check_images
from maskcls.data.rows import folds as folding
from maskcls.labels import LabelSpace
from maskcls.machine import reading_threads
from maskcls.schema import Config
from maskcls.show.progress import Reporter


def check(data: Path, cfg: Config) -> None:
    """Print the class counts of a data set whose every row and photo can be read; raises DataError otherwise."""
    fixes = Path(cfg.data.fixes) if cfg.data.fixes else None
    frames = {"train": read_labelled(data, cfg.data.format, cfg.space, fixes)}
    if cfg.data.format == "contest" and (data / "eval").exists():
        frames["eval"] = read_unlabelled(data, cfg.data.format, cfg.space)
    root = image_root(data, cfg.data.format)
    paths = [path for frame in frames.values() for path in frame["path"].tolist()]
    with Reporter() as report:
        check_photos(root, paths, cfg, report)
    console = Console(highlight=False)
    console.print(class_table(frames["train"], cfg.space))
    for name, frame in frames.items():
        people = frame["person"].nunique() if name == "train" else None
        console.print(f"{name}: {len(frame)} photos" + (f" of {people} people" if people else "") + ", all readable")


def check_photos(root: Path, paths: list[str], cfg: Config, report: Reporter) -> None:
    """Decode every photo once, showing progress; raises one DataError that lists all that cannot be read."""
    threads = reading_threads(cfg.device.workers)
    check_images(
        root, paths, threads=threads, on_progress=lambda done: report.images("checking photos", done, len(paths))
    )


def class_table(frame: pd.DataFrame, space: LabelSpace) -> Table:
    """Return a table of people and photos by task and class."""
    whole = pd.DataFrame({"id": frame["id"], "person": frame["person"], "fold": 0})
    counts = folding.fold_counts(frame, whole, space)
    table = Table("task", "class", box=None, pad_edge=False, header_style="bold")
    for name in ("people", "photos"):
        table.add_column(name, justify="right")
    for row in counts[counts["task"] != "all"].itertuples(index=False):
        table.add_row(row[1], row[2], str(row[3]), str(row[4]))
    return table
