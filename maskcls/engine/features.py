"""Features of photos before the heads of a network.

n requested rows, V views, B batch, D features.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from accelerate import Accelerator

from maskcls.engine.compute.plan import Execution
from maskcls.engine.infer import Predictor, Reader, passes, prepare
from maskcls.errors import ResultError
from maskcls.labels import Floats
from maskcls.viewnames import parse_views


def view_features(
    predictor: Predictor,
    reader: Reader,
    *,
    accelerator: Accelerator,
    execution: Execution,
    on_images: Callable[[int], None] = lambda count: None,
) -> Floats:
    """Return the features (V, n, D) float32 of the reader's rows in its views, in one process.

    The photos are read and computed as `infer` does. on_images: called with the number of images just finished.

    Raises ResultError for a feature that is not finite.
    """
    ready, views = prepare(predictor, accelerator, execution), len(parse_views(reader.views))
    feature_VnD = np.empty((views, reader.count, _width(ready)), dtype=np.float32)
    for places, (feature,) in passes([ready], reader, execution, call=lambda network, images: network.trunk(images)):
        real = places >= 0
        feature_VnD[:, places[real]] = feature.float().cpu().numpy().reshape(views, len(places), -1)[:, real]
        on_images(int(real.sum()))
    if broken := int((~np.isfinite(feature_VnD)).any(axis=(0, 2)).sum()):
        raise ResultError(
            "a network returned a feature that is not finite",
            got=f"NaN or infinity in {broken} of {reader.count} rows",
            fix="use device.precision=fp32; if it stays, train the fold again",
        )
    return feature_VnD


@torch.inference_mode()
def _width(ready: Predictor) -> int:
    device = next(ready.network.parameters()).device
    return int(ready.network.trunk(torch.zeros(1, 3, *ready.spec.size, device=device)).shape[1])
