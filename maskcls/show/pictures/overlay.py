"""A class activation map on the image it explains. H x W pixels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from maskcls.labels import Floats

STRONGEST = 0.7  # share of the map's colour where the map is 1; where it is 0, the image alone shows


def overlay(view_HW3: NDArray[np.uint8], cam_HW: Floats) -> NDArray[np.uint8]:
    """Return the view in grey (H, W, 3) uint8 under the colours of a map in [0, 1]: none, then blue to yellow.

    The colours are matplotlib's viridis scheme, which readers with colour blindness can tell apart.
    """
    levels = np.rint(np.clip(cam_HW, 0, 1) * 255).astype(np.uint8)
    colours = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)
    grey = cv2.cvtColor(view_HW3, cv2.COLOR_RGB2GRAY)[..., None]
    share = (STRONGEST * np.clip(cam_HW, 0, 1))[..., None]
    return np.asarray(np.rint(grey * (1 - share) + colours * share), dtype=np.uint8)
