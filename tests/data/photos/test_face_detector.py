"""The face detector: which files it accepts, and what it makes of detections."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from maskcls import files
from maskcls.data.photos import face_detector
from maskcls.data.photos.crops import (
    Face,
    best_face,
)
from maskcls.data.photos.face_detector import YuNet, parse_faces
from maskcls.data.photos.images import read_image
from maskcls.errors import WeightsError

LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 232589\n"


def row(x: float, y: float, width: float, height: float, score: float) -> list[float]:
    return [x, y, width, height, *range(1000, 1010), score]


def test_detections_are_scaled_back() -> None:
    rows = np.array([row(10, 20, 30, 40, 0.5), row(-2, 0, 8, 4, 1.0)], dtype=np.float32)
    assert parse_faces(rows, 0.5, 2.0) == [Face(20, 10, 60, 20, 0.5), Face(-4, 0, 16, 2, 1.0)]
    assert parse_faces(None, 1, 1) == []
    assert parse_faces(rows[:0], 1, 1) == []


@pytest.mark.parametrize(
    "bad", [row(0, 0, 0, 9, 0.9), row(0, 0, 9, -1, 0.9), row(math.nan, 0, 9, 9, 0.9), row(0, 0, 9, math.inf, 0.9)]
)
def test_detections_without_an_area_are_dropped(bad: list[float]) -> None:
    assert parse_faces(np.array([bad, row(1, 2, 3, 4, 0.75)], dtype=np.float32), 1, 1) == [Face(1, 2, 3, 4, 0.75)]


def test_a_network_that_is_no_yunet_is_found_out() -> None:
    with pytest.raises(ValueError, match="15 numbers"):
        parse_faces(np.zeros((2, 5), dtype=np.float32), 1, 1)


def refused(path: Path, **options: bool) -> WeightsError:
    with pytest.raises(WeightsError) as caught:
        YuNet(path, **options)
    assert caught.value.where == str(path)
    assert "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4" in str(caught.value.expected)
    assert "face_detection_yunet_2023mar.onnx" in str(caught.value.expected)
    assert "opencv_zoo" in str(caught.value.fix)
    return caught.value


@pytest.mark.parametrize("any_model", [False, True])
def test_a_detector_that_is_not_there(tmp_path: Path, any_model: bool) -> None:
    error = refused(tmp_path / "yunet.onnx", any_model=any_model)
    assert error.got == "No such file or directory"


@pytest.mark.parametrize("data", [LFS_POINTER, b"<!doctype html>", b"\x89PNG"])
@pytest.mark.parametrize("any_model", [False, True])
def test_a_file_that_is_no_onnx_model(tmp_path: Path, data: bytes, any_model: bool) -> None:
    path = tmp_path / "yunet.onnx"
    path.write_bytes(data)
    error = refused(path, any_model=any_model)
    assert "not an ONNX model" in error.what
    assert data.decode("latin1").strip()[1:10] in str(error.got)


def test_an_unknown_file_is_refused_with_both_hashes(tmp_path: Path) -> None:
    path = tmp_path / "yunet.onnx"
    path.write_bytes(b"\x08\x07something else")
    error = refused(path)
    assert error.got == files.sha256(b"\x08\x07something else")
    assert "--any-detector" in str(error.fix)


def test_an_unknown_file_that_opencv_cannot_run(tmp_path: Path) -> None:
    path = tmp_path / "yunet.onnx"
    path.write_bytes(b"\x08\x07something else")
    error = refused(path, any_model=True)
    assert "OpenCV cannot run" in error.what
    assert cv2.__version__ in str(error.expected)


class StandIn:
    """Answers like cv2.FaceDetectorYN: one face where the pixels are pure red, in the pixels it is given."""

    made: list[StandIn]

    def __init__(self, *arguments: object) -> None:
        self.arguments, self.sizes = arguments, list[tuple[int, int]]()
        self.made.append(self)

    def setInputSize(self, size: tuple[int, int]) -> None:  # noqa: N802
        self.sizes.append(size)

    def detect(self, image_BGR: np.ndarray) -> tuple[int, np.ndarray | None]:
        assert image_BGR.shape[:2] == self.sizes[-1][::-1]
        rows, columns = np.nonzero((image_BGR[:, :, 2] > 128) & (image_BGR[:, :, 0] < 128))
        if not rows.size:
            return 1, None
        left, top = columns.min(), rows.min()
        return 1, np.array([row(left, top, np.ptp(columns) + 1, np.ptp(rows) + 1, 0.75)], dtype=np.float32)


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], YuNet]:
    """Return what opens a detector whose network is a stand-in."""
    path = tmp_path / "yunet.onnx"
    path.write_bytes(b"\x08")
    monkeypatch.setattr(StandIn, "made", [], raising=False)
    monkeypatch.setattr(face_detector.cv2, "FaceDetectorYN", SimpleNamespace(create=StandIn))
    return lambda: YuNet(path, any_model=True)


@pytest.mark.parametrize(
    ("size", "seen"),
    [((640, 480), (240, 320)), ((64, 80), (320, 256)), ((320, 100), (100, 320)), ((2000, 100), (16, 320))],
)
def test_photos_are_searched_at_one_size(
    stand_in: Callable[[], YuNet], size: tuple[int, int], seen: tuple[int, int]
) -> None:
    image = np.zeros((*size, 3), dtype=np.uint8)
    height, width = size
    image[height // 4 : height // 2, width // 4 : width // 2, 0] = 255  # red, in RGB
    (face,) = stand_in()(image)
    assert StandIn.made[-1].sizes[-1] == seen
    scale = max(size) / 320  # of one pixel the detector sees
    wanted = (width // 4, height // 4, width // 2 - width // 4, height // 2 - height // 4)
    assert (face.left, face.top, face.width, face.height) == pytest.approx(wanted, abs=1.01 * max(1.0, scale))
    assert face.score == 0.75


def test_a_photo_without_a_face_gives_none(stand_in: Callable[[], YuNet]) -> None:
    assert stand_in()(np.zeros((48, 36, 3), dtype=np.uint8)) == []


def test_every_thread_has_a_network_of_its_own(stand_in: Callable[[], YuNet]) -> None:
    from concurrent.futures import ThreadPoolExecutor
    from threading import Barrier

    find, meet = stand_in(), Barrier(3)

    def work(_: int) -> None:
        meet.wait()  # all three at a time, so no thread does the work of two
        find(np.zeros((48, 36, 3), dtype=np.uint8))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    assert len(StandIn.made) == 4  # one for the trial at the start
    assert all(network.arguments[3:] == (0.5, 0.3, 100) for network in StandIn.made)
    with ThreadPoolExecutor(1) as pool:
        list(pool.map(lambda _: find(np.zeros((48, 36, 3), dtype=np.uint8)), range(5)))
    assert len(StandIn.made) == 5


def test_opencvs_remarks_are_hidden_while_it_builds_only(stand_in: Callable[[], YuNet]) -> None:
    level = cv2.utils.logging.getLogLevel()
    stand_in()
    assert cv2.utils.logging.getLogLevel() == level


@pytest.mark.skipif("MASKCLS_YUNET" not in os.environ, reason="MASKCLS_YUNET names no YuNet model")
def test_yunet_itself_finds_drawn_faces(tmp_path: Path) -> None:
    from maskcls.data.drawn.faces import make_faces

    make_faces(tmp_path / "faces", people=4, seed=0, eval_people=1)
    find = YuNet(Path(os.environ["MASKCLS_YUNET"]))
    photos = sorted((tmp_path / "faces" / "train" / "images").glob("*/[!.]*"))
    assert len(photos) == 28
    best = [best_face(find(read_image(path)), (256, 192)) for path in photos]
    found = [face for face in best if face]
    assert len(found) >= 26  # drawn masks hide more than real ones
    # Drawn people stand in the middle and look at the camera.
    assert all(abs(face.middle[0] - 96) < 48 and 40 < face.width < 160 for face in found)
    assert find(np.full((300, 200, 3), 127, dtype=np.uint8)) == []
