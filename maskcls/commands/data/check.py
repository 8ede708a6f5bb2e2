"""maskcls data check: read every row and photo, and say what is there or what is wrong."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from maskcls.data.layouts.source import image_root, layout_named, read_labelled, read_unlabelled
from maskcls.schema import Config
from maskcls.show.class_counts import class_table
from maskcls.show.progress import Reporter
from maskcls.training.readable_photos import check_photos


def check(data: Path, cfg: Config) -> None:
    """Print the class counts of a data set whose every row and photo can be read; raises DataError otherwise."""
    fixes = Path(cfg.data.fixes) if cfg.data.fixes else None
    frames = {"train": read_labelled(data, cfg.data.format, cfg.space, fixes)}
    if layout_named(cfg.data.format).has_unlabelled(data):
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
