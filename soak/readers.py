"""Everything that reads a file from outside, with files that it reads as they are.

A reader takes one path. It returns, or raises the program's own errors.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from maskcls import config
from maskcls.config.yaml12 import read_yaml
from maskcls.csvfile import read_columns
from maskcls.data.layouts import contest, source
from maskcls.data.photos.images import read_image
from maskcls.engine.checkpoint import load_predictor, load_state, read_meta
from maskcls.labels import CONTEST
from maskcls.nn.weights.weights_file import read_tensors
from maskcls.results.ensembles.external import read_member
from maskcls.results.people.group_file import read_groups
from maskcls.results.predictions import Predictions
from maskcls.results.pseudo.read_labels import read_pseudo
from maskcls.results.submissions.answers import read_answers
from maskcls.rundir import RunDir, WeightsDir
from maskcls.runs.choices.register import read_register
from maskcls.runs.decision import read_decision
from maskcls.runs.identity import identity_hashes
from maskcls.runs.recipe import read_recipe
from maskcls.runs.records.record import read_record
from maskcls.runs.records.times import read_times
from soak.mutate_bytes import Mutator
from soak.mutate_containers import mutated_photo, mutated_safetensors, mutated_zip
from soak.mutate_text import mutated_csv, mutated_json, mutated_yaml


@dataclass(frozen=True)
class Reader:
    """One reader.

    seeds  right files: name and content. A mutant of one is written under its name into the reader's folder.
    read   reads that file.
    """

    name: str
    seeds: list[tuple[str, bytes]]
    mutate: Mutator
    read: Callable[[Path], Any] = field(repr=False)


def readers(world: Path, folder: Path) -> Iterator[Reader]:
    """Yield every reader. `folder` is a copy of the world in which files are replaced by mutants."""
    yield Reader("photo", photos(world), mutated_photo, read_image)
    yield from _tables(world, folder)
    yield Reader("configuration", _files(world, "runs/a/config.yaml") + _shipped(), mutated_yaml, _read_config)
    yield Reader("starting weights", _weights(world), _weights_mutant, read_tensors)
    yield from _predictions(world)
    yield from _run_files(world, folder)


def _tables(world: Path, folder: Path) -> Iterator[Reader]:
    answers, submission = "faces/eval/answers.csv", "submission.csv"
    ids = read_columns(world / answers)
    first = next(iter(ids.values()))
    yield Reader(
        "table", _files(world, "table.csv"), mutated_csv, lambda path: source.read_labelled(path, "table", CONTEST)
    )
    yield Reader(
        "train.csv",
        _files(world, "faces/train/train.csv"),
        mutated_csv,
        lambda path: contest.read_train(path.parents[1], CONTEST),
    )
    yield Reader("answers", _files(world, answers), mutated_csv, lambda path: read_answers(path, CONTEST))
    seeds = _files(world, submission, "photos_p.csv", answers)
    yield Reader("submission", seeds, mutated_csv, lambda path: read_member(path, CONTEST))
    yield Reader(
        "groups",
        _files(world, "groups.csv", "groups_by_hand.csv"),
        mutated_csv,
        lambda path: read_groups(path, first, part=True),
    )
    run = RunDir(world / "runs" / "a")
    folds = identity_hashes(run)[run.folds.name]
    yield Reader(
        "pseudo labels",
        _files(world, "pseudo.csv", "pseudo_by_hand.csv"),
        mutated_csv,
        lambda path: read_pseudo(path, CONTEST, folds_sha256=folds, k=2, allow_leaky=True),
    )
    profiles = read_columns(world / "faces" / "train" / "train.csv")["path"]
    yield Reader(
        "corrections", _files(world, "fixes.csv"), mutated_csv, lambda path: contest.read_fixes(path, set(profiles))
    )
    for name, table in (("groups", "groups.csv"), ("pseudo labels", "pseudo.csv"), ("submission", submission)):
        sidecar = Path(table).with_suffix(".json").name
        read: Callable[[Path], Any] = {
            "groups": lambda path: read_groups(path.with_suffix(".csv"), first, part=True),
            "pseudo labels": lambda path: read_pseudo(
                path.with_suffix(".csv"), CONTEST, folds_sha256=folds, k=2, allow_leaky=True
            ),
            "submission": lambda path: read_member(path.with_suffix(".csv"), CONTEST),
        }[name]
        yield Reader(f"sidecar of {name}", _files(world, sidecar), mutated_json, read)


def _predictions(world: Path) -> Iterator[Reader]:
    seeds = _files(world, "runs/a/oof.npz", "runs/a/fold0/oof.npz")
    yield Reader("predictions", seeds, mutated_zip, Predictions.load)
    out = io.BytesIO()
    found = Predictions.load(world / "runs" / "a" / "oof.npz")
    np.savez(out, ids=found.ids, prob=found.prob)
    yield Reader(
        "predictions of others",
        [("theirs.npz", out.getvalue()), *seeds],
        mutated_zip,
        lambda p: read_member(p, CONTEST),
    )


def _run_files(world: Path, folder: Path) -> Iterator[Reader]:
    run = RunDir(folder / "runs" / "a")
    fold, best = run.fold(0), run.fold(0).best

    def named(*paths: Path) -> list[tuple[str, bytes]]:
        names = [path.relative_to(folder).as_posix() for path in paths if path.exists()]
        return _files(world, *names)

    yield Reader("state of resume", named(fold.state), mutated_safetensors, load_state)
    yield Reader("weights of a run", named(best.tensors), mutated_safetensors, lambda path: load_predictor(best))
    yield Reader("meta.json", named(best.meta), mutated_json, lambda path: read_meta(WeightsDir(path.parent)))
    records = named(run.env, run.summary, fold.summary, run.labels, fold.log, run.path / "notes.json")
    yield Reader("run record: JSON", records, mutated_json, lambda path: read_record(run))
    yield Reader("run record: tables", named(run.folds, run.manifest), mutated_csv, lambda path: read_record(run))
    yield Reader("times.json", named(run.times), mutated_json, lambda path: read_times(run))
    yield Reader("decision", named(run.decision), mutated_json, lambda path: read_decision(run))
    register = named(*sorted(run.path.parent.glob("choices.json")), *sorted(folder.glob("choices.json")))
    yield Reader("register of choices", register, mutated_json, lambda path: read_register(run))
    recipes = _files(world, "ensemble.recipe.yaml")
    yield Reader("recipe of an ensemble", recipes, mutated_yaml, lambda path: read_recipe(path, [], None, None))


def photos(world: Path) -> list[tuple[str, bytes]]:
    """Return photos in all forms that are read, small enough to decode in less than a millisecond."""
    image = Image.open(next((world / "faces" / "eval" / "images").iterdir())).convert("RGB").resize((36, 48))
    exif = image.getexif()
    exif[274] = 6
    saved = []
    for name, picture, options in (
        ("a.jpg", image, {"exif": exif}),
        ("b.jpg", image, {"progressive": True}),
        ("c.jpg", image.convert("L"), {}),
        ("d.jpg", image.convert("CMYK"), {}),
        ("e.png", image, {}),
        ("f.png", image.convert("RGBA"), {}),
        ("g.png", image.convert("P"), {}),
        ("h.png", image.convert("LA"), {}),
        ("i.bmp", image, {}),
        ("j.gif", image.convert("P"), {}),
        ("k.tif", image, {}),
        ("l.tif", image, {"compression": "tiff_lzw"}),
        ("m.webp", image, {}),
    ):
        out = io.BytesIO()
        picture.save(out, {"jpg": "JPEG", "tif": "TIFF"}.get(name[2:], name[2:].upper()), **options)
        saved.append((name, out.getvalue()))
    return saved


def _read_config(path: Path) -> object:
    return config.load(path)[0] if "recipes" not in path.parts else read_yaml(path)


def _weights(world: Path) -> list[tuple[str, bytes]]:
    (name, data), *_ = _files(world, "runs/a/fold0/best/weights.safetensors")
    tensors = read_tensors(world / name)
    few = dict(list(tensors.items())[:12])
    out = io.BytesIO()
    torch.save({"state_dict": few}, out)
    return [("w.safetensors", data), ("w.pt", out.getvalue())]


def _weights_mutant(rng: Any, data: bytes, others: Any) -> bytes:
    return (mutated_zip if data.startswith(b"PK") else mutated_safetensors)(rng, data, others)


def _shipped() -> list[tuple[str, bytes]]:
    found = config.files.shipped_files()
    return [(f"{name.replace('/', '-')}.yaml", path.read_bytes()) for name, path in sorted(found.items())]


def _files(world: Path, *names: str) -> list[tuple[str, bytes]]:
    return [(name, (world / name).read_bytes()) for name in names]
