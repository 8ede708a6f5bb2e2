"""Where a command's photos come from: the cache, filled when need be, or the files themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from maskcls.commands.progress import Reporter
from maskcls.data.cache import build_pack, open_pack
from maskcls.data.dataset import Photos
from maskcls.data.images import Pixels
from maskcls.data.transforms import ViewSpec
from maskcls.engine.device import Accelerator
from maskcls.errors import ResourceError
from maskcls.machine import reading_threads
from maskcls.schema import Config

Views = Mapping[ViewSpec, Pixels]


def cached_views(
    root: Path,
    paths: list[str],
    specs: Sequence[ViewSpec],
    cfg: Config,
    accelerator: Accelerator,
    report: Reporter,
    *,
    build: bool = True,
) -> Views:
    """Return the eval views (N, H, W, 3) of every spec from the cache; {} when photos have to be decoded when used.

    One process of each machine fills the cache, and the others wait for it.
    build  False: use what is there already, and write nothing.
    Raises DataError that lists all photos that cannot be read; ResourceError when data.cache=on and there is no room.
    """
    if cfg.data.cache == "off":
        return {}
    found: dict[ViewSpec, Pixels | None] = {}
    if build and accelerator.is_local_main_process:
        found = {spec: _built(root, paths, spec, cfg, report) for spec in dict.fromkeys(specs)}
    accelerator.wait_for_everyone()
    found = found or {spec: open_pack(root, paths, spec) for spec in dict.fromkeys(specs)}
    views = {spec: pixels for spec, pixels in found.items() if pixels is not None}
    return views if len(views) == len(found) else {}


def _built(root: Path, paths: list[str], spec: ViewSpec, cfg: Config, report: Reporter) -> Pixels | None:
    try:
        return build_pack(
            root,
            paths,
            spec,
            threads=reading_threads(cfg.device.workers),
            on_progress=lambda done: report.images("reading photos", done, len(paths)),
        )
    except ResourceError as error:
        if cfg.data.cache == "on":
            raise
        report.note(f"photos are decoded every epoch: {error.what} ({error.where}: {error.got})")
        return None


def open_photos(
    root: Path, frame: pd.DataFrame, specs: Sequence[ViewSpec], views: Views, *, seed: int, bare: bool = False
) -> Photos:
    """Return the photos of a manifest in every spec, from `cached_views` or, if these are empty, from the files."""
    cached = [views[spec] for spec in specs] if views else None
    return Photos(root, frame["path"].tolist(), frame["id"].tolist(), specs, seed=seed, cached=cached, bare=bare)
