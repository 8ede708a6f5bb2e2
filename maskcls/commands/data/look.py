"""maskcls data look: the validation view and the augmented training views of some photos, as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from maskcls import config, files
from maskcls.data.dataset import Key, Photos
from maskcls.data.layouts.source import image_root, read_labelled
from maskcls.data.rows import manifest as tables
from maskcls.data.views.transforms import ViewSpec
from maskcls.engine.step_plan import FoldRows, StepPlan
from maskcls.errors import MaskclsError
from maskcls.labels import Ints, LabelSpace
from maskcls.runs.checks import check_picture
from maskcls.schema import Config, MixConfig
from maskcls.show.data.contact_sheet import ContactSheet, Views
from maskcls.show.terminal.sheet import contact_sheet
from maskcls.training.experiment import view_spec

LINE = 26  # characters a tile of the sheet is wide
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


def look(data: Path, cfg: Config, out: Path, *, photos: int = 8, draws: int = 6, force: bool = False) -> ContactSheet:
    """Write a PNG with a row for each photo: its validation view, then its train views in epochs 0 to `draws` - 1,
    exactly as they enter the network. Tasks whose networks have different views have separate rows.

    photos  photos to show, spread over the classes, by the configuration's seed.
    Raises BusyError when the output exists, unless `force`; UsageError when it is no .png.
    """
    check_picture(data, cfg, out, force=force)
    fixes = Path(cfg.data.fixes) if cfg.data.fixes else None
    frame = read_labelled(data, cfg.data.format, cfg.space, fixes)
    rows = spread(_joint(frame, cfg.space), photos, seed=cfg.seed)
    views: dict[tuple[ViewSpec, str], list[tuple[str, Config]]] = {}
    for name, member in config.members(cfg).items():
        views.setdefault((view_spec(member), member.mix.model_dump_json()), []).append((name, member))
    blocks, lines = [], []
    for (spec, _), members in views.items():
        names = ", ".join(name for name, _ in members)
        title = names if len(views) > 1 else "validation"
        step_plan = _step_plan(image_root(data, cfg.data.format), frame, spec, members[0][1])
        blocks.append([_row(step_plan, int(row), frame, cfg.space, draws, title) for row in rows])
        size, drawn = (
            f"{spec.size[0]} x {spec.size[1]} pixels",
            [*augmentation_phrases(spec), *mixing(members[0][1].mix)],
        )
        lines.append(Views(names, size, tuple(drawn)))
    _, png = cv2.imencode(".png", _stacked(blocks))
    files.commit(out, png.tobytes())
    return ContactSheet(out, data, len(rows), draws, tuple(lines))


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


def _row(step_plan: StepPlan, row: int, frame: pd.DataFrame, space: LabelSpace, draws: int, title: str) -> bytes:
    """Return a contact sheet of one photo."""
    labels = tables.labels(frame.iloc[[row]], space)
    named = [(task, int(labels[task.name][0])) for task in space.tasks]
    known = ", ".join(task.classes[i] if i >= 0 else f"{task.name} unknown" for task, i in named)
    plain = step_plan.rows.photos[Key(row)]
    if isinstance(plain, MaskclsError):
        raise plain
    images, captions = [plain[0]], [[title, *wrap(known, LINE)]]
    for epoch in range(draws):
        step = step_plan.step(np.array([row]), epoch)
        images.append(step_plan.images(step, epoch)[0])
        part = 0.0 if step.mixes is None else float(1 - step.mixes.share[0])
        captions.append([f"epoch {epoch}" + (f", {part:.0%} of another" if part else "")])
    return contact_sheet(images, captions)


def _stacked(blocks: Sequence[Sequence[bytes]]) -> NDArray[np.uint8]:
    """Return the sheets of all blocks below each other, BGR."""
    sheets = [cv2.imdecode(np.frombuffer(png, dtype=np.uint8), cv2.IMREAD_COLOR) for block in blocks for png in block]
    return np.asarray(np.vstack([sheet for sheet in sheets if sheet is not None]), dtype=np.uint8)
