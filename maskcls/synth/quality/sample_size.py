"""Photos in the size of samples: a small image of a photo has other features than the photo itself.

n photos, D features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from maskcls.data.photos.header_sizes import header_size
from maskcls.data.rows.batches import Rows
from maskcls.data.views.transforms import ViewSpec, crop_window
from maskcls.engine.step_plan import FoldRows
from maskcls.show.terminal.progress import Reporter
from maskcls.synth.embedded.frozen_features import Extractor, FeatureRows, feature_rows, image_features, with_features
from maskcls.synth.loop.synth_rows import view_images
from maskcls.training.experiment import Experiment


def sample_size(paths: Sequence[Path], spec: ViewSpec) -> tuple[int, int] | None:
    """Return the median height and width in pixels of what the view crops sample images to.

    None where a network loses nothing by it: it sees no more pixels per side; and without images.
    """
    if not paths:
        return None
    windows = [crop_window(header_size(path), spec) for path in paths]
    height, width = (int(np.median([window[axis].stop - window[axis].start for window in windows])) for axis in (0, 1))
    return (height, width) if height < spec.size[0] or width < spec.size[1] else None


def features_like_samples(
    experiment: Experiment,
    rows: FoldRows,
    row_n: Rows,
    extractor: Extractor,
    size: tuple[int, int] | None,
    report: Reporter,
) -> FeatureRows:
    """Return rows of a fold with the features that they have in the size of samples, as the filter for copies has them.

    size  see `sample_size`.
    """
    if size is None:
        return feature_rows(experiment, rows, row_n, extractor, report)
    images_nHWC = view_images(experiment, row_n, replace(extractor.spec, size=size))
    return with_features(experiment, rows, row_n, image_features(extractor, images_nHWC, report))
