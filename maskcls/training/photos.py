"""Where a command's photos come from: the cache, filled when needed, or the files themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from maskcls.data.dataset import Photos
from maskcls.data.photos.cache import build_pack, check_room, open_pack
from maskcls.data.photos.identity.pack_pixels import PackPixels
from maskcls.data.photos.identity.photo_digests import PhotoDigests, digests_of_table
from maskcls.data.views.transforms import ViewSpec
from maskcls.engine.device import Accelerator
from maskcls.errors import ResourceError
from maskcls.machine import reading_threads
from maskcls.schema import Config
from maskcls.show.terminal.progress import Reporter

Views = Mapping[ViewSpec, PackPixels]


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
    build  False: use a cache that exists, and write nothing; problems of a build are reported all the same.
    Raises DataError that lists all photos that cannot be read; ResourceError when data.cache=on and there is no room.
    """
    if cfg.data.cache == "off":
        return {}
    wanted = list(dict.fromkeys(specs))
    found: list[PackPixels | None] = []
    if accelerator.is_local_main_process:
        found = [_first(root, paths, spec, cfg, report, build=build) for spec in wanted]
    accelerator.wait_for_everyone()
    if not accelerator.is_local_main_process:
        found = [_later(root, paths, spec) for spec in wanted]
    views = {spec: pixels for spec, pixels in zip(wanted, found, strict=True) if pixels is not None}
    return views if len(views) == len(wanted) else {}


def _first(
    root: Path, paths: list[str], spec: ViewSpec, cfg: Config, report: Reporter, *, build: bool
) -> PackPixels | None:
    """Build or open one pack; if that is impossible, print a note, or raise when data.cache=on asked for it."""
    try:
        if build:
            return build_pack(
                root,
                paths,
                spec,
                threads=reading_threads(cfg.device.workers),
                on_progress=lambda done: report.images("reading photos", done, len(paths)),
                on_note=report.note,
            )
        if (pixels := open_pack(root, paths, spec)) is None:
            check_room(len(paths), spec)
        return pixels
    except ResourceError as error:
        if cfg.data.cache == "on":
            raise
        report.note(f"photos are decoded every epoch: {error.what} ({error.where}: {error.got})")
        return None


def _later(root: Path, paths: list[str], spec: ViewSpec) -> PackPixels | None:
    """Open the pack that the machine's first process built; it reported any problem."""
    try:
        return open_pack(root, paths, spec)
    except ResourceError:
        return None


def digests_of_rows(root: Path, frame: pd.DataFrame, views: Views, cfg: Config) -> PhotoDigests:
    """Return what the files of a manifest's rows are: as the cache read them, or, without a cache, as they are now."""
    for pixels in views.values():
        return pixels.photo_digests(frame["id"].tolist())
    return digests_of_table(root, frame, threads=reading_threads(cfg.device.workers))


def open_photos(
    root: Path,
    frame: pd.DataFrame,
    specs: Sequence[ViewSpec],
    views: Views,
    *,
    seed: int,
    bare: bool = False,
    known: PhotoDigests | None = None,
) -> Photos:
    """Return the photos of a manifest in every spec, from `cached_views` or, if these are empty, from the files.

    known  what the files of these rows are; a file that is another one raises DataError when it is read.
    """
    cached, ids = [views[spec] for spec in specs] if views else None, frame["id"].tolist()
    digest_ND = None if known is None else known.of(ids).digest_ND
    return Photos(root, frame["path"].tolist(), ids, specs, seed=seed, cached=cached, bare=bare, digest_ND=digest_ND)
