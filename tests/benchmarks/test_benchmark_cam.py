"""The benchmark of class activation maps: its faces, boxes and figures by hand, and a short run as a whole."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from project import BENCHMARKS_DIR

from maskcls.data.drawn.people import people_of
from maskcls.data.drawn.traits import look_of

CAM = runpy.run_path(str(BENCHMARKS_DIR / "cam.py"))
HEIGHT, WIDTH = CAM["SIZE"]


@pytest.mark.parametrize("index", range(4))
def test_the_box_holds_the_face(index: int) -> None:
    look = look_of(people_of("eval", index + 1, 0)[index], 0)
    face = CAM["draw_face"](look, "eval", index, 0, 0)
    left, top, right, bottom = face.box
    assert face.pixels.shape == (HEIGHT, WIDTH, 3)
    assert 30 < right - left < WIDTH / 1.5
    assert 40 < bottom - top < HEIGHT / 1.5
    # Skin has its colour in the middle of the box, below the eyes and beside the nose, whatever the light.
    y, x = round(top + 0.62 * (bottom - top)), round(left + 0.25 * (right - left))
    red, green, blue = face.pixels[y - 2 : y + 3, x - 2 : x + 3].reshape(-1, 3).mean(axis=0)
    assert red > green > blue


def test_a_patch_moves_over_the_whole_box_and_changes_nothing_else() -> None:
    box, (height, width) = (30, 20, 100, 110), CAM["PATCH"]
    assert CAM["patch_at"](box, 0, 0) == (30, 20, 30 + width, 20 + height)
    assert CAM["patch_at"](box, 1, 1) == (100 - width, 110 - height, 100, 110)
    photo = np.full((HEIGHT, WIDTH, 3), 7, dtype=np.uint8)
    left, top, right, bottom = patch = CAM["patch_at"](box, 0.5, 0.25)
    changed = (CAM["with_patch"](photo, patch) != photo).any(axis=2)
    assert changed[top:bottom, left:right].all()
    assert changed.sum() == (bottom - top) * (right - left)
    assert (photo == 7).all()


def test_figures_by_hand() -> None:
    face = CAM["Face"](np.zeros((HEIGHT, WIDTH, 3), np.uint8), (0, 0, WIDTH, HEIGHT // 2))
    results = []
    for left, top in ((0, 0), (60, 0), (0, 60), (60, 60)):
        cam = np.zeros((HEIGHT, WIDTH), dtype=np.float32)
        cam[top : top + 10, left : left + 10] = 1  # inside the patch
        cam[-1, -1] = 50  # 50 of 150 at the lower right corner, which is also the peak
        results.append((face, (left, top, left + 20, top + 20), face.pixels, cam))
    results.append((face, (0, 0, 20, 20), face.pixels, np.zeros((HEIGHT, WIDTH), np.float32)))
    found = CAM["measure"](results)
    assert (found["maps"], found["empty maps"], found["peak in the patch"]) == (5, 1, 0)
    assert found["energy in the patch"] == pytest.approx(2 / 3)
    assert found["the patch's share of the image"] == pytest.approx(400 / (HEIGHT * WIDTH))
    assert found["energy in the face box"] == pytest.approx(2 / 3)
    assert found["the face box's share of the image"] == pytest.approx(0.5)
    assert (found["correlation across"], found["correlation down"]) == pytest.approx((1, 1))


@pytest.mark.slow
def test_a_short_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    out, picture = tmp_path / "out.json", tmp_path / "cam.png"
    words = ["--people", "8", "--new-people", "1", "--steps", "2", "--epochs", "1"]
    monkeypatch.setattr(sys, "argv", ["cam.py", *words, "--out", str(out), "--picture", str(picture)])
    CAM["main"]()
    assert json.loads(out.read_text())["maps"] == 4
    assert "| energy in the face box |" in capsys.readouterr().out
    assert picture.exists()
