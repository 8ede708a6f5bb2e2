"""maskcls data crop: copy a data set with every photo cropped at its face; verbs read the copy like the original."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from maskcls import __version__, files
from maskcls.csvfile import TABLE
from maskcls.data.layouts.source import guess_layout, image_root, list_photos
from maskcls.data.photos import crops
from maskcls.data.photos.crops import ABOUT, Box, Detector, Face, Size, Window
from maskcls.data.photos.face_detector import YuNet
from maskcls.data.photos.images import decode, each_image
from maskcls.errors import BusyError, DataError, ResourceError, UsageError
from maskcls.machine import reading_threads
from maskcls.show.data.crop import LIST, Copy, Cropped, How
from maskcls.show.terminal.progress import Reporter

MARGIN, ASPECT = 0.3, (4, 3)


@dataclass(frozen=True)
class Recipe:
    """How photos are cropped.

    find      returns the faces of a photo; None: no photo is searched, and `window` says where to crop.
    detector  SHA-256 of its file.
    window    where faces usually are, of another set or `crops.USUAL`; None: it is learned from this set's train
              photos.
    like      SHA-256 of the file the window is from.
    fixed     True: the window crops every photo, also those whose own face is known.
    margin    share of the face's size, on each side.
    aspect    (height, width) of the crops, any two whole numbers in that proportion.
    """

    find: Detector | None = None
    detector: str | None = None
    window: Window | None = None
    like: str | None = None
    fixed: bool = False
    margin: float = MARGIN
    aspect: tuple[int, int] = ASPECT

    def box(self, face: Face, size: Size) -> Box:
        """Return what to keep around a face."""
        return crops.widen(face, margin=self.margin, aspect=self.aspect[0] / self.aspect[1], size=size)


@dataclass(frozen=True)
class _PhotoSource:
    """Photos below `root`, the tables to copy beside them, and how many of the photos, from the first, train."""

    root: Path
    tables: tuple[str, ...]
    paths: tuple[str, ...]
    train: int


_Found = tuple[Size, Face | None]


def crop(
    data: Path,
    out: Path,
    *,
    detector: Path | None,
    any_detector: bool,
    like: Path | None,
    fixed: bool,
    margin: float | None,
    aspect: str | None,
    report: Reporter,
) -> Copy:
    """Write a cropped copy of a data set to a new folder.

    data          the root of a contest data set, or a CSV table; it is only read.
    out           absent or an empty folder.
    detector      YuNet's ONNX file; any_detector: accept one that is not known.
    like          crops.json of another set, whose margin, aspect and window are used here.
    fixed         crop every photo at the window; without detector and like, at `crops.USUAL`.
    margin        share of the face's size on each side, `MARGIN` when None.
    aspect        height:width of the crops, 4:3 when None.

    Raises UsageError, WeightsError (the detector), BusyError (out holds something), DataError, ResourceError.
    """
    _check_options(detector, any_detector, like, fixed, margin, aspect)
    _check_free(out)
    found = YuNet(detector, any_model=any_detector) if detector else None
    if like:
        learned = crops.read_learned(like)
        recipe = Recipe(
            find=found,
            detector=found.sha256 if found else None,
            window=learned.window,
            like=files.file_sha256(like),
            fixed=found is None,
            margin=learned.margin,
            aspect=learned.aspect,
        )
    else:
        recipe = Recipe(
            find=found,
            detector=found.sha256 if found else None,
            window=None if found else crops.USUAL,
            fixed=fixed,
            margin=MARGIN if margin is None else margin,
            aspect=parse_aspect(aspect) if aspect else ASPECT,
        )
    return copy_cropped(data, out, recipe, report)


def copy_cropped(data: Path, out: Path, recipe: Recipe, report: Reporter) -> Copy:
    """Write the copy, whole or not at all: tables as they are, photos cropped and encoded again, crops.csv, crops.json.

    Raises as `crop` does.
    """
    source = _read(data)
    out = out.resolve()
    _check_apart(data, out)
    _check_names(source)
    _check_free(out)
    found: list[_Found] = []
    window, held = recipe.window, None
    if recipe.find:
        found = _search(source, recipe.find, report, only_train=recipe.fixed)
        window, held = _learned(source, found, recipe)
    try:
        with files.folder_aside(out) as draft:
            rows = _write_photos(source, draft, _chooser(found, window, recipe), report)
            copy = Copy(out, tuple(rows), source.train, window, held, recipe.margin, recipe.aspect)
            for name in source.tables:
                files.commit(draft / name, files.read_file(source.root / name, TABLE))
            files.commit(draft / LIST, _list(copy.rows))
            files.commit_json(draft / ABOUT, _about(copy, recipe))
            files.put_folder(draft, out)
    except OSError as error:
        got = error.strerror or str(error)
        raise ResourceError("cannot write the cropped copy", where=str(out), got=got, fix="nothing was kept") from None
    return copy


def parse_aspect(text: str) -> tuple[int, int]:
    """Read height:width; UsageError for anything else.

    >>> parse_aspect("4:3"), parse_aspect("128x96")
    ((4, 3), (128, 96))
    """
    match = re.fullmatch(r"([1-9][0-9]{0,3})[:x]([1-9][0-9]{0,3})", text)
    if match:
        height, width = int(match[1]), int(match[2])
        if max(height, width) <= crops.MOST_ASPECT * min(height, width):
            return height, width
    expected = f"height:width, such as 4:3 or 128x96, at most {crops.MOST_ASPECT} to 1"
    raise UsageError("the aspect cannot be read", where="--aspect", got=text, expected=expected)


def _check_options(
    detector: Path | None, any_detector: bool, like: Path | None, fixed: bool, margin: float | None, aspect: str | None
) -> None:
    if detector is None and like is None and not fixed:
        raise UsageError(
            "nothing says where the faces are",
            expected="--detector, --like or both; or --fixed, for where faces usually are in portraits",
            fix="name YuNet's file with --detector; a plain centre crop is transforms.crop, without a copy",
        )
    if any_detector and detector is None:
        raise UsageError("--any-detector without --detector", fix="name the detector's file, or leave it out")
    if like is not None and (margin is not None or aspect is not None):
        raise UsageError("--like brings its own margin and aspect", fix="leave out --margin and --aspect")
    if like is not None and detector is not None and fixed:
        raise UsageError(
            "--fixed crops every photo at the window of --like, so --detector has nothing to do", fix="leave it out"
        )
    if margin is not None and not 0 <= margin <= crops.MOST_MARGIN:
        raise UsageError("the margin is out of range", got=str(margin), expected=f"0..{crops.MOST_MARGIN:g}")


def _read(data: Path) -> _PhotoSource:
    """Find the tables and photos of a data set; only the columns that name photos are looked at."""
    name = guess_layout(data)
    found = list_photos(data, name)
    return _PhotoSource(image_root(data, name), found.tables, (*found.labelled, *found.unlabelled), len(found.labelled))


def _check_apart(data: Path, out: Path) -> None:
    if data.is_dir() and out.is_relative_to(data.resolve()):
        fix = "name a folder outside the data set"
        raise UsageError("the copy would stand inside the data set", where=str(out), fix=fix)


def _check_names(source: _PhotoSource) -> None:
    if absolute := [path for path in source.paths if os.path.isabs(path)]:
        fix = "write their paths relative to the table"
        raise DataError(
            "photos outside the data set cannot be copied", where=str(source.root), offenders=absolute, fix=fix
        )
    taken = sorted({LIST, ABOUT} & {*source.tables, *source.paths})
    if taken:
        fix = "rename it in the data set"
        raise DataError("the copy's own files have these names", where=str(source.root), offenders=taken, fix=fix)


def _check_free(out: Path) -> None:
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise BusyError(
            "the copy would overwrite what is there",
            where=str(out),
            expected="a new or an empty folder",
            fix="name another folder, or remove this one",
        )


def _search(source: _PhotoSource, find: Detector, report: Reporter, *, only_train: bool) -> list[_Found]:
    """Return the size and the best face of every photo; raises DataError that lists all that cannot be read."""
    paths = source.paths[: source.train] if only_train else source.paths
    if not paths:
        fix = "crop the train photos first, and give their crops.json with --like"
        raise DataError("there are no train photos to learn from", where=str(source.root), fix=fix)
    found: dict[int, _Found] = {}

    def look(row: int, data: bytes) -> None:
        image_HWC = decode(data, source.root / paths[row])
        size = image_HWC.shape[0], image_HWC.shape[1]
        found[row] = size, crops.best_face(find(image_HWC), size)

    _each(source.root, paths, look, "finding faces", report)
    if not any(face for _, face in found.values()):
        raise DataError(
            "no face was found in any photo",
            where=str(source.root),
            got=f"{len(found)} photos",
            fix="look at the photos; with --like alone, another set's crop serves",
        )
    return [found[row] for row in range(len(paths))]


def _learned(source: _PhotoSource, found: Sequence[_Found], recipe: Recipe) -> tuple[Window | None, float | None]:
    """Return the window, learned from train photos unless the recipe brings one, and the share of faces it holds."""
    measured = [(face, size) for size, face in found[: source.train] if face]
    window = recipe.window
    if window is None and measured:
        window = crops.learn([face for face, _ in measured], [size for _, size in measured])
    if window is None or not measured:
        return window, None
    held = [crops.holds(recipe.box(window.face(size), size), face) for face, size in measured]
    return window, sum(held) / len(held)


_Choice = tuple[How, float | None, Box]


def _chooser(found: Sequence[_Found] | None, window: Window | None, recipe: Recipe) -> Callable[[int, Size], _Choice]:
    """Return what decides how a photo, by its row and size, is cropped."""

    def choose(row: int, size: Size) -> _Choice:
        face = found[row][1] if found and not recipe.fixed else None
        if face:
            return "detector", face.score, recipe.box(face, size)
        # Where nothing was learned, the whole photo is used as the face, which gives the largest box at the centre.
        usual = window.face(size) if window else Face(0, 0, size[1], size[0])
        return "fixed" if recipe.fixed else "fallback", None, recipe.box(usual, size)

    return choose


def _write_photos(
    source: _PhotoSource, draft: Path, choose: Callable[[int, Size], _Choice], report: Reporter
) -> list[Cropped]:
    rows: dict[int, Cropped] = {}

    def write(row: int, data: bytes) -> None:
        path = source.paths[row]
        image_HWC = decode(data, source.root / path)
        size = image_HWC.shape[0], image_HWC.shape[1]
        how, score, box = choose(row, size)
        target = draft / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(crops.encode(crops.cut(image_HWC, box), target.name))
        rows[row] = Cropped(path, how, score, box, size)

    _each(source.root, source.paths, write, "cropping photos", report)
    return [rows[row] for row in range(len(source.paths))]


def _each(root: Path, paths: Sequence[str], work: Callable[[int, bytes], None], what: str, report: Reporter) -> None:
    each_image(
        root,
        paths,
        work,
        threads=reading_threads(None),
        on_progress=lambda done: report.images(what, done, len(paths)),
    )


def _list(rows: Sequence[Cropped]) -> bytes:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("path", "how", "score", *Box._fields))
    for row in rows:
        writer.writerow((row.path, row.how, "" if row.score is None else f"{row.score:.4f}", *row.box))
    return file.getvalue().encode()


def _about(copy: Copy, recipe: Recipe) -> dict[str, object]:
    return {
        "maskcls": __version__,
        "opencv": cv2.__version__,
        "detector": recipe.detector,
        "like": recipe.like,
        "fixed": recipe.fixed,
        "margin": recipe.margin,
        "aspect": list(recipe.aspect),
        "photos": len(copy.rows),
        "train": copy.train,
        "counts": {how: copy.counts[how] for how in ("detector", "fallback", "fixed")},
        "held": copy.held,
        "window": copy.window.to_json() if copy.window else None,
    }
