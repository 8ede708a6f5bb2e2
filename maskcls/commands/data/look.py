"""maskcls data look: the validation view and the augmented training views of some photos, as one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from maskcls import config, files
from maskcls.data.dataset import Key, Photos
from maskcls.data.layouts.source import image_root, read_labelled
from maskcls.data.photos.images import read_image
from maskcls.data.photos.rgb import Pixels
from maskcls.data.rows import manifest as tables
from maskcls.data.rows.sealing import split_sealed
from maskcls.data.views.marks import crop_outline, showing_boxes, view_marks
from maskcls.data.views.transforms import ViewSpec
from maskcls.engine.step_plan import FoldRows, StepPlan
from maskcls.errors import MaskclsError
from maskcls.files import OutputFile
from maskcls.labels import Ints, LabelSpace
from maskcls.runs.checks import check_picture
from maskcls.schema import Config, MixConfig
from maskcls.show.data.contact_sheet import ContactSheet, PhotoViews, TrainingView, Views
from maskcls.show.data.look_page import look_page
from maskcls.show.data.marked_tiles import photo_tile, view_tile
from maskcls.show.pictures.fonts import missing_note
from maskcls.show.pictures.lettering import text_lines
from maskcls.show.terminal.sheet import TEXT_PX, TILE_PX, contact_sheet
from maskcls.training.experiment import view_spec

LINE = 26  # characters of a path that a tile shows
# What switches each random step on, and the settings that say how strong it is, in the order they are applied.
STEPS: dict[str, tuple[str, ...]] = {
    "hflip": (),
    "zoom": ("zoom_share",),
    "geometry": ("shift", "scale", "rotate_deg"),
    "colour": ("brightness", "contrast", "saturation", "hue"),
    "randaugment": ("randaugment_magnitude",),
    "cutout": ("cutout_size",),
    "erasing": ("erasing_boxes", "erasing_area", "erasing_fill"),
    "grid_dropout": ("grid_unit", "grid_ratio"),
    "gray": (),
    "clahe": (),
    "sharpen": (),
    "blur": (),
}


@dataclass(frozen=True, eq=False)
class Tile:
    """One picture of a row of the sheet, RGB uint8, and its lines."""

    image: Pixels
    lines: list[str]


def look(
    data: Path,
    cfg: Config,
    out: Path,
    *,
    photos: int = 8,
    draws: int = 6,
    boxes: bool = True,
    page: Path | None = None,
    with_photos: bool = False,
    force: bool = False,
) -> ContactSheet:
    """Write a PNG with a row for each photo: its validation view, then its train views in epochs 0 to `draws` - 1,
    exactly as they enter the network. Tasks whose networks have different views have separate rows.

    photos       photos to show, spread over the classes, by the configuration's seed; of nobody who is sealed.
    boxes        put the whole photo in front, with the outline of each view, and draw hidden and pasted boxes on the
                 views.
    page         write an HTML page, too, with the mixing partner and the target of each view.
    with_photos  embed the pictures in the page; else it names the photos and links to the PNG.

    Raises BusyError when an output exists, unless `force`; UsageError for a picture that is no .png, or a photo.
    """
    check_picture(data, cfg, out, page=page, with_photos=with_photos, force=force)
    (frame, notes), root = _rows(data, cfg), image_root(data, cfg.data.format)
    files.check_outputs(out, inputs=(root / path for path in frame["path"]))
    chosen = spread(_joint(frame, cfg.space), photos, seed=cfg.seed)
    kinds: dict[tuple[ViewSpec, str, str], list[tuple[str, Config]]] = {}
    for name, member in config.members(cfg).items():
        own = "" if member.mix.partner == "any" else name  # else partners depend on the classes of the task
        kinds.setdefault((view_spec(member), member.mix.model_dump_json(), own), []).append((name, member))
    blocks, lines, rows = [], [], []
    for (spec, _, _), members in kinds.items():
        names = ", ".join(name for name, _ in members)
        plan = _step_plan(root, frame, spec, members[0][1])
        for row in chosen.tolist():
            shown = _photo_views(plan, row, frame, cfg.space, draws, names)
            rows.append(shown)
            title = names if len(kinds) > 1 else "validation"
            blocks.append(_tiles(plan, row, shown, cfg.space.names, boxes=boxes, title=title))
        size = f"{spec.size[0]} x {spec.size[1]} pixels"
        lines.append(Views(names, size, (*augmentation_phrases(spec), *mixing(members[0][1].mix))))
    sheets = [contact_sheet([tile.image for tile in block], [tile.lines for tile in block]) for block in blocks]
    _, png = cv2.imencode(".png", _stacked(sheets))
    named = missing_note(name for task in cfg.space.tasks for name in task.classes)
    found = ContactSheet(out, data, len(chosen), draws, tuple(lines), tuple(rows), page, named, notes)
    outputs = [OutputFile(out, png.tobytes())]
    if page is not None:
        pictures = [[tile.image for tile in block] for block in blocks] if with_photos else None
        outputs.append(OutputFile(page, look_page(page, found, root, pictures).encode()))
    files.commit_outputs(outputs, force=force)
    return found


def spread(label_N: Ints, count: int, *, seed: int) -> NDArray[np.int64]:
    """Return the rows of at most `count` photos that differ in class as much as possible, in the order of classes.

    Of fewer photos than classes, the classes lie evenly among all; of more, every class comes before any comes again.
    label_N  int64, -1 for unknown, which counts as a class.
    """
    mixed = np.random.default_rng(seed).permutation(len(label_N))
    turn = pd.Series(label_N[mixed]).groupby(label_N[mixed]).cumcount().to_numpy()
    order = mixed[np.lexsort((label_N[mixed], turn))]
    classes = len(np.unique(label_N))
    if count < classes:
        order = order[np.linspace(0, classes - 1, count).round().astype(np.int64)]
    chosen = order[:count]
    return np.asarray(chosen[np.argsort(label_N[chosen], kind="stable")], dtype=np.int64)


def augmentation_phrases(spec: ViewSpec) -> list[str]:
    """Return what is drawn in training, a phrase for each step that is on: its probability or count, its strengths."""
    found = []
    for name, strengths in STEPS.items():
        if value := getattr(spec, name):
            parts = [f"{part} {_plain(getattr(spec, part))}" for part in strengths if getattr(spec, part)]
            found.append(f"{name} {_plain(value)}" + (f" ({', '.join(parts)})" if parts else ""))
    return found or ["no augmentation"]


def mixing(how: MixConfig) -> list[str]:
    """Return how images are mixed, as one phrase; none where they are not."""
    if how.kind == "none":
        return []
    chosen = [f"{name} {', '.join(classes)}" for name, classes in how.partner_classes.items()]
    return [f"{how.kind} {how.prob:g} ({'; '.join([f'partner {how.partner}', *chosen])})"]


def _plain(value: object) -> str:
    if isinstance(value, tuple):
        return " to ".join(map(_plain, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _joint(frame: pd.DataFrame, space: LabelSpace) -> Ints:
    return space.encode(tables.labels(frame, space))


def _step_plan(root: Path, frame: pd.DataFrame, spec: ViewSpec, cfg: Config) -> StepPlan:
    """Return a training on all rows; a row's partners so come from all of them, not from those of one fold."""
    photos = Photos(root, frame["path"].tolist(), frame["id"].tolist(), [spec], seed=cfg.seed)
    everybody, nobody = np.arange(len(frame)), np.zeros(0, dtype=np.int64)
    people = pd.factorize(frame["person"])[0].astype(np.int64)
    labels, values = tables.labels(frame, cfg.space), tables.values(frame, cfg.space)
    weight = frame["weight"].to_numpy(np.float32)
    return StepPlan(FoldRows(photos, everybody, nobody, labels, values, people, weight), cfg)


def _rows(data: Path, cfg: Config) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the rows to train on, and the notes of their reader.

    Sealed people are left out, as the pictures may lead to a choice.
    """
    fixes, how = Path(cfg.data.fixes) if cfg.data.fixes else None, cfg.folds
    frame = read_labelled(data, cfg.data.format, cfg.space, fixes, cfg.data.group)
    notes = tables.notes(frame)
    if how.sealed:
        frame, _ = split_sealed(frame, cfg.space, share=how.sealed, seed=how.sealed_seed, stratify=how.stratify)
    return frame, notes


def _photo_views(
    plan: StepPlan, row: int, frame: pd.DataFrame, space: LabelSpace, draws: int, networks: str
) -> PhotoViews:
    """Return how the first training views of one photo are made."""
    path, labels = str(frame["path"].iloc[row]), tables.labels(frame, space)
    known = {t.name: t.classes[label] for t in space.tasks if (label := int(labels[t.name][row])) >= 0}
    views = tuple(_training_view(plan, row, epoch, frame, space) for epoch in range(draws))
    return PhotoViews(networks, path, known, views)


def _training_view(plan: StepPlan, row: int, epoch: int, frame: pd.DataFrame, space: LabelSpace) -> TrainingView:
    step, labels = plan.step(np.array([row]), epoch), tables.labels(frame, space)
    loaded, turns = step.loaded
    draws = plan.rows.photos.draws(0, loaded, np.full(len(loaded), epoch), turns)
    spec = plan.rows.photos.specs[0]
    own, *others = (view_marks(draws, place, spec, spec.size).hidden for place in range(len(loaded)))
    if step.mixes is None or not others:
        return TrainingView(epoch, None, None, own, target_shares(labels, row, None, 1.0, space))
    partner, share = int(loaded[1]), float(step.mixes.share[0])
    top, left, bottom, right = step.mixes.box[0].tolist()
    pasted = None if step.mixes.blend[0] else (top, left, bottom, right)
    target = target_shares(labels, row, partner, share, space)
    path = str(frame["path"].iloc[partner])
    return TrainingView(epoch, path, pasted, showing_boxes(own, others[0], pasted), target)


def target_shares(
    labels: Mapping[str, Ints], row: int, partner: int | None, share: float, space: LabelSpace
) -> dict[str, dict[str, float]]:
    """Return the share of each class in the target of each task, the row's own class first.

    share  of the row itself; the rest is the partner's. A part without a label is left out, and so is a task without
           any.
    """
    found: dict[str, dict[str, float]] = {}
    for task in space.tasks:
        shares: dict[str, float] = {}
        for one, part in ((row, share), (partner, 1 - share)):
            if one is not None and (label := int(labels[task.name][one])) >= 0:
                shares[task.classes[label]] = shares.get(task.classes[label], 0.0) + part
        if shares:
            found[task.name] = shares
    return found


def _tiles(plan: StepPlan, row: int, shown: PhotoViews, tasks: Sequence[str], *, boxes: bool, title: str) -> list[Tile]:
    """Return the pictures of one photo: the whole photo, if boxes are drawn, the validation view, and each epoch's."""
    unknown = [f"{task} unknown" for task in tasks if task not in shown.labels]
    known = text_lines(", ".join([*shown.labels.values(), *unknown]), size=TEXT_PX, width=TILE_PX)
    plain = plan.rows.photos[Key(row)]
    if isinstance(plain, MaskclsError):
        raise plain
    tiles = [Tile(view_tile(plain[0], (), None) if boxes else plain[0], [title, *known])]
    if boxes:
        tiles.insert(0, Tile(_photo_tile(plan, row, len(shown.views)), [_end(shown.path), "and its views"]))
    for view in shown.views:
        image = plan.images(plan.step(np.array([row]), view.epoch), view.epoch)[0]
        image = view_tile(image, view.hidden, view.pasted) if boxes else image
        tiles.append(Tile(image, _view_lines(view)))
    return tiles


def _view_lines(view: TrainingView) -> list[str]:
    if view.partner is None:
        return [f"epoch {view.epoch}"]
    lines = [line for share in view.shares for line in text_lines(share, size=TEXT_PX, width=TILE_PX)]
    return [f"epoch {view.epoch}, mixed with", _end(view.partner), *lines]


def _end(path: str) -> str:
    """Return as much of the end of a path as a tile is wide."""
    return path if len(path) <= LINE else f"...{path[3 - LINE :]}"


def _photo_tile(plan: StepPlan, row: int, epochs: int) -> Pixels:
    """Return the whole photo with the validation crop, and the outlines of the training views that differ from it."""
    photos, spec = plan.rows.photos, plan.rows.photos.specs[0]
    image = read_image(photos.root / str(photos.paths[row]), at_least=(TILE_PX, TILE_PX))
    size = image.shape[:2]
    found = {}
    for epoch in range(epochs):
        step = plan.step(np.array([row]), epoch)
        marks = view_marks(photos.draws(0, step.rows, np.array([epoch]), step.turns), 0, spec, (size[0], size[1]))
        if marks.moved:
            found[epoch] = marks.outline
    return photo_tile(image, crop_outline(spec, (size[0], size[1])), found)


def _stacked(sheets: Sequence[bytes]) -> Pixels:
    """Return the sheets below each other, BGR."""
    read = [cv2.imdecode(np.frombuffer(png, dtype=np.uint8), cv2.IMREAD_COLOR) for png in sheets]
    found = [sheet for sheet in read if sheet is not None]
    width = max(sheet.shape[1] for sheet in found)
    padded = [np.pad(one, ((0, 0), (0, width - one.shape[1]), (0, 0)), constant_values=255) for one in found]
    return np.asarray(np.vstack(padded), dtype=np.uint8)
