"""A folder of small data sets, runs and damaged files, where commands fail in ways that a test knows."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
from finished_run import finish_run
from made_run import make_run
from PIL import Image
from safetensors.numpy import save_file
from tiny import PLAIN, RECIPE

from maskcls import files
from maskcls.data.drawn.faces import make_faces
from maskcls.labels import LabelSpace, Task
from maskcls.rundir import RunDir
from maskcls.runs.environment import FORMAT, read_environment, write_environment


def make_world(root: Path) -> Path:
    """Fill an empty folder; returns it. Commands are given in it, with relative paths."""
    root.mkdir(exist_ok=True)
    make_faces(root / "faces", people=12, seed=0, eval_people=3, size=(48, 36))
    make_run(root / "runs/a", root / "faces")
    make_run(root / "runs/b", root / "faces", seed=8)
    for run in (root / "runs/a", root / "runs/b"):
        _with_plans(run)
    _with_plans(finish_run(root / "runs/other", seed=3).path)
    for fold, rate in ((0, "1e-4"), (1, "1e-4"), (1, "2e-4")):
        one = finish_run(root / f"folds/{fold}-{rate}", trained=(fold,), settings=[f"optim.lr={rate}"])
        _with_plans(one.path, format=FORMAT, code="1" * 64)
    other_code = shutil.copytree(root / "folds/1-1e-4", root / "folds/1-other-code")
    _with_plans(other_code, format=FORMAT, code="0" * 64)
    finish_run(root / "runs/masks", LabelSpace((Task("mask", ("wear", "normal")),)))
    finish_run(root / "runs/leaky", leaky=True)
    gpu = finish_run(root / "gpu/a", settings=["device.type=cuda"])
    _with_plans(gpu.path)
    gpu.summary.unlink()
    (root / "runs/stopped").mkdir()
    (root / "runs/stopped/config.yaml").write_text("seed: 1\n")
    _changed(shutil.copytree(root / "runs/other", root / "runs/changed"))
    _newer(shutil.copytree(root / "runs/other", root / "runs/newer"))
    shutil.copytree(root / "runs/other", root / "runs/unfinished")
    for name in ("oof.npz", "summary.json", "fold1/DONE"):
        (root / "runs/unfinished" / name).unlink()
    _damage_photo(shutil.copytree(root / "faces", root / "damaged"))
    _tables(root)
    _configurations(root)
    _submissions(root)
    (root / "empty").mkdir()
    return root


def _with_plans(run: Path, **others: object) -> None:
    """Say how networks were computed, as a training does; without it a run counts as made by an earlier version."""
    found = RunDir(run)
    write_environment(found, read_environment(found).model_copy(update={"plans": {}, **others}))


def _changed(run: Path) -> None:
    (run / "manifest.csv").write_text((run / "manifest.csv").read_text() + "\n")


def _newer(run: Path) -> None:
    env = json.loads((run / "env.json").read_text())
    (run / "env.json").write_text(json.dumps(env | {"format": 99, "maskcls": "9.0.0"}))


def _damage_photo(faces: Path) -> None:
    first, second, third, *_ = sorted((faces / "train" / "images").rglob("*.jpg"))
    first.write_bytes(first.read_bytes()[:300])
    second.write_bytes(b"")
    third.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


def _tables(root: Path) -> None:
    tables = root / "tables"
    tables.mkdir()
    (tables / "empty.csv").write_text("")
    (tables / "semicolons.csv").write_text("path;group;age\na.jpg;p;30\n")
    (tables / "short_row.csv").write_text("path,group,age\na.jpg,p\n")
    (tables / "latin1.csv").write_bytes("path,group\ncafé.jpg,p\n".encode("latin1"))
    (tables / "open_quote.csv").write_text('path,group\n"a.jpg,p\n')
    (tables / "no_path.csv").write_text("photo,group\na.jpg,p\n")
    (tables / "page.csv").write_text("<!DOCTYPE html><html></html>\n")
    (tables / "outside.csv").write_text("path,group,mask\n../../secret.jpg,p,wear\n")
    (tables / "escape.csv").write_text("path,group,mask\na\x1b[31m[red].jpg,p,wear\n")
    (tables / "many.csv").write_text("path,group,mask\n" + "".join(f"absent{i}.jpg,p{i},wear\n" for i in range(14)))
    (tables / "fixes.csv").write_text("path,field,value\nnobody,gender,male\n")
    (tables / "groups.csv").write_text("id,person\na,b\n")


def _configurations(root: Path) -> None:
    _recipe(root / "small.yaml", *RECIPE, *PLAIN, "train.epochs=1", "train.fold_jobs=1")
    _recipe(root / "masks.yaml", *RECIPE, "tasks=[{name: mask, classes: [wear, normal]}]", "data.format=table")
    folder = root / "configs"
    folder.mkdir()
    (folder / "list.yaml").write_text("- a\n- b\n")
    (folder / "broken.yaml").write_text("optim: {lr: 1e-4\n")
    (folder / "twice.yaml").write_text("seed: 1\nseed: 2\n")
    (folder / "wrong.yaml").write_text("seed: -1\noptim: {lr: high}\ntrain: {epochs: 0}\n")
    (folder / "loop.yaml").write_text("base: loop.yaml\n")
    (folder / "unknown_key.space.yaml").write_text("optim.lrr: [1e-4, 1e-3]\n")
    (folder / "falling.space.yaml").write_text("optim.lr: {low: 1e-3, high: 1e-4}\n")
    (folder / "out_of_bounds.space.yaml").write_text("train.epochs: [0, 5]\n")


def _recipe(path: Path, *words: str) -> None:
    """Write a configuration of these settings alone; of two values of one setting, the later."""
    found = dict(word.split("=", 1) for word in words)
    path.write_text("".join(f"{key}: {value}\n" for key, value in found.items()))


def _submissions(root: Path) -> None:
    (root / "wrong.csv").write_text("ImageID,ans\na.jpg,99\n")
    (root / "answers.csv").write_text("ImageID,ans\na.jpg,3\na.jpg,3\n")
    (root / "text.npz").write_bytes(b"no npz")
    (root / "weights.pt").write_bytes(b"<html>not found</html>")
    files.commit(root / "model.onnx", b"no model")
    save_file({"other": np.zeros(2, np.float32)}, root / "other.safetensors")
    (root / "page.html").write_text("")
    os.mkfifo(root / "pipe.html")
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(root / "tiny.png")
