"""Do class activation maps follow a mask patch that is moved over a drawn face?

    python benchmarks/cam.py [--people 150] [--epochs 8] [--backbone test_resnet] [--out cam.json] [--picture cam.png]

Faces are drawn without masks. On half of the photos a patch in the colours of a mask is pasted at a random place of the
face, and a network is trained to tell whether there is one. On new people the patch is moved over a grid of places,
and the map of the class `patch` is compared with the place of the patch. Printed, as means over all places:

accuracy              of the network on the new faces, half of these photos with a patch; below 0.9 the maps mean little
energy in the patch   share of the map's sum inside the patch, beside the patch's share of the image
energy in the face    share of the map's sum inside the face box, beside that box's share of the image
peak in the patch     share of maps whose highest value lies in the patch
correlation           between the centre of the patch and the centre of mass of the map, across and down

The map has only a few places, so its enlarged version is blurred by about one of them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from maskcls import config
from maskcls.commands.train import train
from maskcls.data.drawn.canvas import Pixels, mirrored, place
from maskcls.data.drawn.look import Look, face_outline
from maskcls.data.drawn.people import Split, generator, people_of
from maskcls.data.drawn.photo import PAINT_HEIGHT_PX, draw_photo
from maskcls.data.drawn.scene import place_head
from maskcls.data.drawn.traits import look_of
from maskcls.engine.cam import EXACT, cam_grids, energy_inside, enlarged
from maskcls.engine.checkpoint import load_predictor
from maskcls.engine.device import normalise
from maskcls.engine.infer import Predictor
from maskcls.rundir import RunDir
from maskcls.show.pictures.overlay import overlay
from maskcls.show.terminal.progress import Reporter

Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels
SIZE = (160, 128)  # height and width in pixels
PATCH = (30, 44)
CLASSES = "tasks=[{name: mask, classes: [patch, none]}]"
PER_PERSON = 6  # photos


@dataclass(frozen=True)
class Face:
    """A drawn face without a mask, and the box around it."""

    pixels: Pixels
    box: Box


def draw_face(look: Look, split: Split, index: int, shot: int, seed: int) -> Face:
    """Draw a face; its place is drawn a second time with the same random numbers, to know the box."""
    rng = generator(seed, split, index, 2 + shot)
    pixels = draw_photo(look, "normal", look.mask_order[0], rng=rng, size=SIZE)
    factor = max(1, -(-PAINT_HEIGHT_PX // SIZE[0]))
    canvas = place_head((SIZE[0] * factor, SIZE[1] * factor), look, generator(seed, split, index, 2 + shot))
    outline = place(canvas, mirrored(face_outline(look))) / factor
    (left, top), (right, bottom) = np.floor(outline.min(axis=0)).astype(int), np.ceil(outline.max(axis=0)).astype(int)
    return Face(pixels, (max(0, int(left)), max(0, int(top)), min(SIZE[1], int(right)), min(SIZE[0], int(bottom))))


def patch_at(box: Box, across: float, down: float) -> Box:
    """Return the patch at shares across and down of the room that it has in a box."""
    height, width = PATCH
    left = round(box[0] + across * (box[2] - box[0] - width))
    top = round(box[1] + down * (box[3] - box[1] - height))
    return left, top, left + width, top + height


def with_patch(pixels: Pixels, box: Box) -> Pixels:
    """Return the photo with a patch: light blue, with three pleats and a darker edge."""
    left, top, right, bottom = box
    found = pixels.copy()
    cv2.rectangle(found, (left, top), (right - 1, bottom - 1), (160, 205, 225), -1)
    for y in np.linspace(top, bottom, 5)[1:-1].round().astype(int).tolist():
        cv2.line(found, (left, y), (right - 1, y), (120, 165, 190), 1)
    cv2.rectangle(found, (left, top), (right - 1, bottom - 1), (110, 150, 175), 1)
    return found


def write_data(folder: Path, people: int, seed: int) -> Path:
    """Write the photos to train on and their table; every second photo of a person has a patch."""
    rows = ["path,group,mask"]
    for person in people_of("train", people, seed):
        look = look_of(person, seed)
        for shot in range(PER_PERSON):
            face = draw_face(look, "train", person.index, shot, seed)
            rng = np.random.default_rng((seed, person.index, shot))
            patched = shot % 2 == 0
            pixels = with_patch(face.pixels, patch_at(face.box, *rng.random(2))) if patched else face.pixels
            name = f"{person.folder}/{shot}.png"
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / name), pixels[:, :, ::-1])
            rows.append(f"{name},{person.folder},{'patch' if patched else 'none'}")
    table = folder / "table.csv"
    table.write_text("\n".join([*rows, ""]), encoding="utf-8")
    return table


def train_network(folder: Path, people: int, epochs: int, backbone: str, seed: int) -> Predictor:
    """Train on one fold of the drawn photos and return its network."""
    overrides = [CLASSES, "data.format=table", f"model.backbone={backbone}", f"train.epochs={epochs}", f"seed={seed}"]
    overrides += [f"transforms.size=[{SIZE[0]}, {SIZE[1]}]", "transforms.preset=none", "folds.k=2", "optim.lr=4e-3"]
    overrides += [
        "train.batch_size=16",
        "device.threads=1",
        "device.precision=fp32",
        "data.cache=off",
        "predict.views=none",
        "average.kind=none",
    ]
    cfg, _ = config.load(None, overrides)
    run = RunDir(folder / "run")
    with Reporter() as report:
        train(write_data(folder / "data", people, seed), cfg, run, folds="0", report=report)
    return load_predictor(run.fold(0).best)


def moved(predictor: Predictor, people: int, steps: int, seed: int) -> Iterator[tuple[Face, Box, Pixels, Any]]:
    """Yield each new face, a place of the patch, the photo with it, and the map of the class `patch`."""
    device, shares = torch.device("cpu"), np.linspace(0, 1, steps)
    for person in people_of("eval", people, seed):
        face = draw_face(look_of(person, seed), "eval", person.index, 0, seed)
        boxes = [patch_at(face.box, x, y) for y in shares for x in shares]
        photos = np.stack([with_patch(face.pixels, box) for box in boxes])
        nothing = np.zeros(len(boxes), dtype=np.int64)
        grids = cam_grids(predictor, torch.from_numpy(photos), "mask", nothing, nothing, device)
        for box, photo, grid in zip(boxes, photos, grids, strict=True):
            yield face, box, photo, enlarged(grid, SIZE)


def accuracy(predictor: Predictor, people: int, steps: int, seed: int) -> float:
    """Return the network's mean accuracy on the new faces with a patch at every place, and without one."""
    parts: dict[bool, list[Pixels]] = {True: [], False: []}
    for person in people_of("eval", people, seed):
        face = draw_face(look_of(person, seed), "eval", person.index, 0, seed)
        parts[False].append(face.pixels)
        shares = np.linspace(0, 1, steps)
        parts[True] += [with_patch(face.pixels, patch_at(face.box, x, y)) for y in shares for x in shares]
    found = []
    for patched, photos in parts.items():
        images = torch.from_numpy(np.stack(photos))
        spec = predictor.spec
        with torch.no_grad():
            logits = predictor.network(normalise(images, mean=spec.mean, std=spec.std, execution=EXACT))["mask"]
        found.append(float((logits.argmax(dim=1) == (0 if patched else 1)).float().mean()))
    return float(np.mean(found))


def share_of_image(box: Box) -> float:
    """Return the share of the image that a box covers."""
    return (box[2] - box[0]) * (box[3] - box[1]) / (SIZE[0] * SIZE[1])


def centre_of_mass(cam_HW: NDArray[np.float32]) -> tuple[float, float]:
    """Return the mean place (x, y) of a map in pixels, weighted by its values; NaN for an empty map."""
    y, x = np.indices(cam_HW.shape)
    total = cam_HW.sum()
    return (float((cam_HW * x).sum() / total), float((cam_HW * y).sum() / total)) if total else (np.nan, np.nan)


def measure(results: list[tuple[Face, Box, Pixels, Any]]) -> dict[str, float]:
    """Return the figures named at the top; empty maps are counted and left out of the others."""
    full = [(face, box, cam) for face, box, _, cam in results if cam.any()]
    peaks = [np.unravel_index(int(cam.argmax()), SIZE) for _, _, cam in full]
    inside = [b[0] <= x < b[2] and b[1] <= y < b[3] for (y, x), (_, b, _) in zip(peaks, full, strict=True)]
    masses = np.array([centre_of_mass(cam) for _, _, cam in full])
    centres = np.array([((b[0] + b[2]) / 2, (b[1] + b[3]) / 2) for _, b, _ in full])
    return {
        "maps": len(results),
        "empty maps": len(results) - len(full),
        "energy in the patch": float(np.mean([energy_inside(cam, box) for _, box, cam in full])),
        "the patch's share of the image": float(np.mean([share_of_image(box) for _, box, _ in full])),
        "energy in the face box": float(np.mean([energy_inside(cam, face.box) for face, _, cam in full])),
        "the face box's share of the image": float(np.mean([share_of_image(face.box) for face, _, _ in full])),
        "peak in the patch": float(np.mean(inside)),
        "correlation across": float(np.corrcoef(centres[:, 0], masses[:, 0])[0, 1]),
        "correlation down": float(np.corrcoef(centres[:, 1], masses[:, 1])[0, 1]),
    }


def picture(results: list[tuple[Face, Box, Pixels, Any]], steps: int) -> Image.Image:
    """Return the maps of the first face, at their places of the patch."""
    tiles = [overlay(photo, cam) for _, _, photo, cam in results[: steps * steps]]
    rows = [np.hstack(tiles[i : i + steps]) for i in range(0, len(tiles), steps)]
    return Image.fromarray(np.vstack(rows))


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=150)
    parser.add_argument("--new-people", type=int, default=20)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--backbone", default="test_resnet")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--picture", type=Path, default=None)
    return parser


def main() -> None:
    """Train, move the patch, print the figures as a table, and write them as JSON."""
    given = argument_parser().parse_args()
    with tempfile.TemporaryDirectory() as folder:
        predictor = train_network(Path(folder), given.people, given.epochs, given.backbone, given.seed)
    results = list(moved(predictor, given.new_people, given.steps, given.seed))
    figures = {"accuracy": accuracy(predictor, given.new_people, given.steps, given.seed)} | measure(results)
    print("| figure | value |\n|---|---|")
    for name, value in figures.items():
        print(f"| {name} | {value:.3f} |" if isinstance(value, float) else f"| {name} | {value} |")
    if given.picture:
        picture(results, given.steps).save(given.picture)
    if given.out:
        given.out.write_text(json.dumps({"backbone": given.backbone, **figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
