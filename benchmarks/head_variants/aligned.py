"""A copy of the training photos in which every face has the same place, size and angle.

N photos, L = 5 landmarks: the pupils, the tip of the nose and the corners of the mouth.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maskcls.data.photos.face_detector import MOST_FACES, OVERLAP, WORK_PX, YuNet
from maskcls.data.photos.images import read_image
from maskcls.training.experiment import Experiment

Points = NDArray[np.float64]

SURE_ENOUGH = 0.3  # lowest score of a face, below that of `maskcls data crop`
LANDMARKS = slice(4, 14)  # of a detection: x, y, width, height, five pairs of coordinates, score


def aligned_copy(data: Path, experiment: Experiment, folder: Path, detector: Path) -> int:
    """Write an aligned copy of a data set's training part; returns the number of photos with a face.

    The faces go where the mean of all photos' landmarks is; no label has a part in it. A photo without a face is copied
    as it is. Every photo is resized to the size of the first, and stored without loss.
    """
    YuNet(detector)  # refuses a file that is no such detector
    finder = cv2.FaceDetectorYN.create(str(detector), "", (WORK_PX, WORK_PX), SURE_ENOUGH, OVERLAP, MOST_FACES)
    root, names = Path(experiment.photo_root), list(experiment.photo_paths)
    height, width = read_image(root / names[0]).shape[:2]
    images = [cv2.resize(read_image(root / name), (width, height), interpolation=cv2.INTER_AREA) for name in names]
    found = [landmarks(finder, image) for image in images]
    mean_L2 = np.mean([one for one in found if one is not None], axis=0)
    relative = root.resolve().relative_to(data.resolve())
    for name, image, one in zip(names, images, found, strict=True):
        place = (folder / relative / name).with_suffix(".png")
        place.parent.mkdir(parents=True, exist_ok=True)
        if one is not None:
            matrix = similarity(one, mean_L2)
            image = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)
        Image.fromarray(image).save(place)
    shutil.copy(data / "train" / "train.csv", folder / "train" / "train.csv")  # last: a finished copy has it
    return sum(one is not None for one in found)


def landmarks(finder: cv2.FaceDetectorYN, image_HWC: NDArray[np.uint8]) -> Points | None:
    """Return the landmarks (L, 2) of the most certain face in pixels of the photo; None without a face."""
    height, width = image_HWC.shape[:2]
    size = round(width * WORK_PX / max(height, width)), round(height * WORK_PX / max(height, width))
    finder.setInputSize(size)
    rows = finder.detect(np.ascontiguousarray(cv2.resize(image_HWC, size)[:, :, ::-1]))[1]
    if rows is None:
        return None
    best: Points = rows[np.argmax(rows[:, -1]), LANDMARKS].reshape(-1, 2).astype(np.float64)
    return best * (width / size[0], height / size[1])


def similarity(from_L2: Points, to_L2: Points) -> Points:
    """Return the rotation, scaling and shift (2, 3) that moves points nearest to others, by least squares.

    >>> square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    >>> similarity(square, 2 * square[:, ::-1] * (-1, 1) + (3, 4)).round(9) + 0.0
    array([[ 0., -2.,  3.],
           [ 2.,  0.,  4.]])
    """
    start, end = from_L2 - from_L2.mean(axis=0), to_L2 - to_L2.mean(axis=0)
    length = (start**2).sum()
    along = (start * end).sum() / length
    across = (start[:, 0] * end[:, 1] - start[:, 1] * end[:, 0]).sum() / length
    turn = np.array([[along, -across], [across, along]])
    return np.column_stack([turn, to_L2.mean(axis=0) - turn @ from_L2.mean(axis=0)])
