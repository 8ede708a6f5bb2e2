"""Crop and resize of `eval_view` as tensor operations, for graphs that take photos of any size.

OpenCV's arithmetic for uint8 images is repeated step by step, so that the pixels are those of `cv2.resize`: INTER_AREA
adds weighted pixels in float32, columns first; INTER_LINEAR has whole-number weights of 11 bits and drops bits in
between. Source: modules/imgproc/src/resize.cpp of OpenCV.

B photos, H height and W width of the photos, h and w of the result, K pixels that may contribute to one new pixel.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from maskcls.data.views.transforms import ViewSpec, eval_view
from maskcls.results.photo_model import Photo

UNIT = 2048  # INTER_LINEAR's whole number for a weight of 1
LEAST = 1e-3  # INTER_AREA leaves out a pixel of which no larger share is covered
WHOLE = 2.220446049250313e-16  # a ratio this close to a whole number is one


def crop_and_resize(
    photos_BHWC: Tensor, *, crop: tuple[float, float], centre: tuple[float, float], size: tuple[int, int]
) -> Tensor:
    """Return (B, h, w, 3) float32, whole numbers 0..255: the pixels that `eval_view` makes of each photo.

    photos_BHWC           uint8 (B, H, W, 3); in an exported graph B, H and W may be dynamic.
    crop, centre, size    as in `ViewSpec`; each (height, width).
    """
    sides, (height, width) = photos_BHWC.shape[1:3], size
    rows, columns = (_window(side, *axis) for side, *axis in zip(sides, crop, centre, strict=True))
    row_taps, column_taps = (torch.arange(side // new + 2) for side, new in zip(sides, size, strict=True))

    def area(photos: Tensor, rows: Tensor, columns: Tensor, row_taps: Tensor, column_taps: Tensor) -> Tensor:
        return _area(photos, *_covered(rows, height, row_taps), *_covered(columns, width, column_taps))

    def linear(photos: Tensor, rows: Tensor, columns: Tensor, row_taps: Tensor, column_taps: Tensor) -> Tensor:
        return _linear(photos, *_neighbours(rows, height), *_neighbours(columns, width))

    shrinking = (rows[1] > height) & (columns[1] > width)
    operands = (photos_BHWC, rows, columns, row_taps, column_taps)
    if not torch.compiler.is_exporting():
        return area(*operands) if shrinking else linear(*operands)
    resized: Tensor = torch.cond(shrinking, area, linear, operands)
    return resized


def _window(side: int, share: float, centre: float) -> Tensor:
    """Return the first pixel of the crop and their number, (2,) float64, as `crop_window` does."""
    full = torch.full((), side, dtype=torch.float64)
    # As tensors: the ONNX exporter would round plain numbers to float32.
    shares = torch.tensor([share, centre], dtype=torch.float64)
    kept = torch.round(full * shares[0]).clamp(min=1)
    first = torch.minimum(torch.floor(full * shares[1] - kept / 2).clamp(min=0), full - kept)
    return torch.stack([first, kept])


def _covered(window: Tensor, new: int, taps_K: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return which pixels each new pixel covers, and how much.

    Returns their places (K, new) int64, the covered share of each (K, new) float64, the length that is averaged (new,)
    float64, and whether all lengths are one whole number, () bool.
    """
    first, kept = window[0], window[1]
    ratio = 1 / (new / kept)
    start = torch.arange(new, dtype=torch.float64) * ratio
    end = start + ratio
    place = torch.floor(start) + taps_K[:, None].to(torch.float64)
    share = torch.minimum(torch.minimum(place + 1, end) - torch.maximum(place, start), torch.ones_like(place))
    share = torch.where((share > LEAST) & (place < kept), share, torch.zeros_like(share))
    at = (first + torch.minimum(place, kept - 1)).to(torch.int64)
    return at, share, torch.minimum(ratio, kept - start), (ratio - torch.round(ratio)).abs() < WHOLE


def _area(
    photos_BHWC: Tensor,
    row_at: Tensor,
    row_share: Tensor,
    row_length: Tensor,
    row_whole: Tensor,
    column_at: Tensor,
    column_share: Tensor,
    column_length: Tensor,
    column_whole: Tensor,
) -> Tensor:
    """Average the area that each new pixel covers.

    With whole ratios the pixels are added first, and the sum is divided; for 2 x 2 pixels, halves are rounded up.
    """
    whole = row_whole & column_whole
    row_weight = torch.where(whole, row_share, row_share / row_length).to(torch.float32)
    column_weight = torch.where(whole, column_share, column_share / column_length).to(torch.float32)
    pixels = row_length[0] * column_length[0]
    factor = torch.where(whole, 1 / pixels, torch.ones_like(pixels)).to(torch.float32)
    wide = _weighted(photos_BHWC.transpose(1, 2), column_at, column_weight)  # (B, w, H, C)
    mean = _weighted(wide.transpose(1, 2), row_at, row_weight) * factor
    halves_up = whole & (row_length[0] == 2) & (column_length[0] == 2)
    return torch.where(halves_up, torch.floor(mean + 0.5), torch.round(mean))


def _weighted(values_BLMC: Tensor, at_Kn: Tensor, weight_Kn: Tensor) -> Tensor:
    """Return (B, n, M, C) float32: for each of the n the sum over K weighted entries of the axis of length L."""
    taken = values_BLMC[:, at_Kn].to(torch.float32)
    return (taken * weight_Kn[:, :, None, None]).sum(1)


def _neighbours(window: Tensor, new: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the two pixels that each new pixel lies between, (new,) int64 each, and their weights, float32 0..2048.

    At a border the two pixels are the same one.
    """
    first, kept = window[0], window[1]
    ratio = 1 / (new / kept)
    middle = ((torch.arange(new, dtype=torch.float64) + 0.5) * ratio - 0.5).to(torch.float32)
    before = torch.floor(middle)
    part, last = middle - before, kept - 1
    places = [first + torch.minimum(place.to(torch.float64).clamp(min=0), last) for place in (before, before + 1)]
    weights = [torch.round(share * UNIT) for share in (1 - part, part)]
    return places[0].to(torch.int64), places[1].to(torch.int64), weights[0], weights[1]


def _linear(
    photos_BHWC: Tensor,
    upper: Tensor,
    lower: Tensor,
    upper_weight: Tensor,
    lower_weight: Tensor,
    left: Tensor,
    right: Tensor,
    left_weight: Tensor,
    right_weight: Tensor,
) -> Tensor:
    """Interpolate between the neighbours. float32 holds the numbers of the first sum exactly, float64 all others."""
    beside = [photos_BHWC.index_select(2, at).to(torch.float32) for at in (left, right)]
    wide = beside[0] * left_weight[:, None] + beside[1] * right_weight[:, None]
    wide = torch.floor(wide / 16).to(torch.float64)
    rows = [
        torch.floor(wide.index_select(1, at) * weight.to(torch.float64)[:, None, None] / 65536)
        for at, weight in ((upper, upper_weight), (lower, lower_weight))
    ]
    return torch.floor((rows[0] + rows[1] + 2) / 4).to(torch.float32)


def resize_differences(photos: Sequence[Photo], specs: Sequence[ViewSpec]) -> tuple[float, int]:
    """Return the share of pixel values of `eval_view` that differ, in [0, 1], and the largest difference, 0..255."""
    differences = [_difference(photo, spec) for photo in photos for spec in specs]
    values = sum(found.numel() for found in differences)
    return sum(int((found > 0).sum()) for found in differences) / values, max(int(f.max()) for f in differences)


def _difference(photo: Photo, spec: ViewSpec) -> Tensor:
    found = crop_and_resize(torch.from_numpy(photo)[None], crop=spec.crop, centre=spec.crop_centre, size=spec.size)
    return (found[0] - torch.from_numpy(eval_view(photo, spec)).to(torch.float32)).abs()
