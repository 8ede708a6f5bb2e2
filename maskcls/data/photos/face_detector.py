"""Face detection with OpenCV's YuNet."""

from __future__ import annotations

import math
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from maskcls import files
from maskcls.data.photos.crops import Face
from maskcls.data.photos.images import read_bytes
from maskcls.data.photos.rgb import Pixels
from maskcls.errors import DataError, WeightsError

WORK_PX = 320  # longer side of the detector's input image


SURE_ENOUGH = 0.5  # lowest score of a face; a mask can halve the score


OVERLAP = 0.3  # of two detections with a larger overlap (IoU), the one with the lower score is dropped


MOST_FACES = 100


ROW = 15  # numbers per detection: x, y, width, height, five landmarks, score


ZOO = "https://github.com/opencv/opencv_zoo/tree/main/models/face_detection_yunet"


# From OpenCV Zoo: the first for OpenCV 4; the second is the same network with any input size, for OpenCV 5.
KNOWN_DETECTORS = {
    "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4": "face_detection_yunet_2023mar.onnx",
    "ebafce4e3c118d6554634be5c27ab333b4c047a9a8c3faf1d7cf93101c22f0f0": "face_detection_yunet_2026may.onnx",
}


KNOWN = " or ".join(f"{name}, SHA-256 {digest}" for digest, name in KNOWN_DETECTORS.items())


class YuNet:
    """Detects faces with OpenCV's YuNet; call it with RGB (H, W, 3) uint8. Every thread has its own network.

    Reference: Wu et al. 2023, YuNet: A Tiny Millisecond-level Face Detector, Machine Intelligence Research 20.

    Photos are resized to a longer side of `WORK_PX`, so that time and recall do not depend on the camera.

    path       the ONNX file, which is never downloaded.
    any_model  True: accept a file that is not one of `KNOWN_DETECTORS`.

    Raises WeightsError when the file is missing, is not an ONNX model, is unknown, or OpenCV cannot run it.
    """

    def __init__(self, path: Path, *, any_model: bool = False) -> None:
        self.path, self.sha256 = path, _checked(path, any_model=any_model)
        self._own, self._building = threading.local(), threading.Lock()
        try:
            self(np.zeros((WORK_PX, WORK_PX, 3), dtype=np.uint8))
        except (cv2.error, ValueError, TypeError) as error:
            raise WeightsError(
                "OpenCV cannot run this face detector",
                where=str(path),
                got=(str(error).strip().splitlines() or [""])[0],
                expected=f"{KNOWN}; this is OpenCV {cv2.__version__}",
                fix=f"get the file for your OpenCV from {ZOO}",
            ) from None

    def __call__(self, image_HWC: Pixels) -> list[Face]:
        """Return the faces of a photo with a score of `SURE_ENOUGH` or more."""
        height, width = image_HWC.shape[:2]
        factor = WORK_PX / max(height, width)
        size = max(1, round(width * factor)), max(1, round(height * factor))
        how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        small_BGR = np.ascontiguousarray(cv2.resize(image_HWC, size, interpolation=how)[:, :, ::-1])
        network = self._network()
        network.setInputSize(size)
        return parse_faces(network.detect(small_BGR)[1], size[0] / width, size[1] / height)

    def _network(self) -> Any:
        if not hasattr(self._own, "network"):
            with self._building:
                self._own.network = _quietly_built(self.path)
        return self._own.network


def parse_faces(rows_FK: NDArray[np.float32] | None, x_factor: float, y_factor: float) -> list[Face]:
    """Convert YuNet's detections (F, 15), or None without faces, into faces in pixels of the original photo.

    x_factor, y_factor  factors by which the photo's width and height were multiplied.

    Raises ValueError for another shape. A detection without an area, or with a number that is not finite, is dropped.
    """
    if rows_FK is None:
        return []
    if rows_FK.ndim != 2 or rows_FK.shape[1] != ROW:
        raise ValueError(f"detections of shape {rows_FK.shape}, expected {ROW} numbers each")
    found = rows_FK[:, [0, 1, 2, 3, ROW - 1]].astype(np.float64) / (x_factor, y_factor, x_factor, y_factor, 1.0)
    return [Face(*row) for row in found.tolist() if all(map(math.isfinite, row)) and row[2] > 0 and row[3] > 0]


def _quietly_built(path: Path) -> Any:
    """Return OpenCV's detector, without OpenCV's log messages: errors are raised as exceptions too."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        return cv2.FaceDetectorYN.create(str(path), "", (WORK_PX, WORK_PX), SURE_ENOUGH, OVERLAP, MOST_FACES)
    finally:
        cv2.utils.logging.setLogLevel(level)


def _checked(path: Path, *, any_model: bool) -> str:
    """Check a detector's file and return its SHA-256; raises WeightsError."""
    fix = f"get {' or '.join(KNOWN_DETECTORS.values())} from {ZOO} and name the file; maskcls downloads nothing"
    try:
        data = read_bytes(path)
    except DataError as error:
        what = f"the face detector: {error.what}"
        raise WeightsError(what, where=str(path), got=error.got, expected=KNOWN, fix=fix) from None
    if not data.startswith(b"\x08"):  # the first field of every ONNX model: the format version
        raise WeightsError("this is not an ONNX model", where=str(path), got=repr(data[:40]), expected=KNOWN, fix=fix)
    digest = files.sha256(data)
    if digest not in KNOWN_DETECTORS and not any_model:
        fix = f"get the file from {ZOO}, or use yours with --any-detector"
        raise WeightsError("unknown face detector", where=str(path), got=digest, expected=KNOWN, fix=fix)
    return digest
