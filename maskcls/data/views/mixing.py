"""Mixing of two training images and their labels: CutMix, halves and mixup.

CutMix (Yun et al. 2019, arXiv:1905.04899) pastes a box of the partner image, "halves" its left or right part, and mixup
(Zhang et al. 2018, arXiv:1710.09412) blends the two images. The partner depends on (seed, epoch, image key) and on the
rows partners are drawn from. It is any row, not only one of the same batch, so dividing a step into pieces changes
nothing. B batch, M mixed rows of it, R training rows of a fold, K rows that may be partners, C classes of a head,
H height, W width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, assert_never

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maskcls.data.rows.batches import Rows
from maskcls.data.views.augment import to_device
from maskcls.data.views.keyed_random import HOP, Keys, uniforms
from maskcls.labels import Ints

Doubles = NDArray[np.float64]
MixKind = Literal["cutmix", "halves", "mixup"]
Partner = Literal["any", "same", "other"]

STREAM = 0x6D69780000000000  # larger than any user's seed, so that these numbers are independent of `draws.draw`
DRAWN = 5  # random numbers per image


@dataclass(frozen=True)
class Mixing:
    """How training images are mixed.

    kind     "cutmix": a box of the partner; "halves": its left or right part; "mixup": a blend of both.
    prob     probability that an image is mixed, in [0, 1].
    alpha    > 0: the image's own share is drawn from Beta(alpha, alpha), for cutmix (before clipping) and mixup.
    ratio    (low, high), 0 < low <= high < 1: range of the left part's share of the width, for halves.
    partner  see `build_pools`: a partner of any joint class, of the same class, or of another class.
    """

    kind: MixKind
    prob: float
    alpha: float
    ratio: tuple[float, float]
    partner: Partner


@dataclass(frozen=True)
class Pools:
    """The possible partners (pool) of each row: a range of the candidates, without a gap in that range.

    rows        (R,) int64, ascending: the rows that have a pool.
    candidates  (K + 1,) int64: rows sorted by joint label, then -1, which means no partner.
    first       (R,) int64: start of the row's range in `candidates`.
    count       (R,) int64: number of partners; 0: the row is not mixed.
    gap         (R,) int64: start of the gap.
    skipped     (R,) int64: length of the gap.
    """

    rows: Rows
    candidates: Rows
    first: Ints
    count: Ints
    gap: Ints
    skipped: Ints


@dataclass(frozen=True)
class MixDraws:
    """The mixing partners of a batch.

    partner  (B,) int64: the partner's row; -1 if the image is not mixed.
    share    (B,) float32 in [0, 1]: the weight of the image's own label; 1 if it is not mixed. With a box it is
             1 - pasted pixels / all pixels, rounded once to float32.
    box      (B, 4) int64: top, left, bottom, right of the partner's pixels; all 0 for none.
    blend    (B,) bool: True if every pixel is own * share + partner * (1 - share).
    """

    partner: Rows
    share: NDArray[np.float32]
    box: Ints
    blend: NDArray[np.bool_]

    def take(self, places: Ints) -> MixDraws:
        """Return the draws of the images at these indices of the batch."""
        return MixDraws(self.partner[places], self.share[places], self.box[places], self.blend[places])

    @property
    def mixed(self) -> Ints:
        """Indices (M,) int64 of the mixed images in the batch, ascending; partners are passed in this order."""
        return np.flatnonzero(self.partner >= 0)


def build_pools(rows_R: Rows, label_R: Ints, *, partner: Partner, allowed_R: NDArray[np.bool_] | None = None) -> Pools:
    """Find the possible partners of each row; the order of the rows has no effect.

    rows_R     int64, distinct manifest rows.
    label_R    int64 joint labels, -1 unknown.
    partner    "any": every row; "same": rows with the same joint label; "other": rows with another joint label. With
               "same" and "other", a row with an unknown label is not mixed and is no partner. With "any" it is mixed
               and may be a partner; its part of the target is zeros.
    allowed_R  bool, rows that may be partners; default: all. A row that is not allowed may still get a partner.

    A row is never its own partner; with an empty pool it is not mixed. Raises ValueError when a row occurs twice or the
    arrays differ in length.
    """
    allowed_R = np.ones(len(rows_R), dtype=np.bool_) if allowed_R is None else allowed_R
    if not len(np.unique(rows_R)) == len(rows_R) == len(label_R) == len(allowed_R):
        raise ValueError("rows must be distinct, with one label and one permission per row")
    order = np.argsort(rows_R)
    group_R = _pool_groups(label_R[order], partner)
    known_R = group_R >= 0
    found_K = np.flatnonzero(allowed_R[order] & known_R)
    found_K = found_K[np.argsort(group_R[found_K], kind="stable")]
    first, last = (np.searchsorted(group_R[found_K], group_R, side=side) for side in ("left", "right"))  # own group
    if partner == "other":
        start, stop = np.zeros_like(first), np.full_like(first, len(found_K))
        gap, skipped = first, last - first
    else:
        own = np.full(len(rows_R), -1)
        own[found_K] = np.arange(len(found_K))
        start, stop = first, last
        gap, skipped = np.maximum(own, 0), (own >= 0).astype(np.int64)
    candidates = np.append(rows_R[order][found_K], -1)
    return Pools(rows_R[order], candidates, start, (stop - start - skipped) * known_R, gap, skipped)


def _pool_groups(label_R: Ints, partner: Partner) -> Ints:
    """Return the group (R,) that defines a row's pool; a negative group has no pool."""
    match partner:
        case "any":
            return np.zeros_like(label_R)
        case "same" | "other":
            return label_R
        case _:
            assert_never(partner)


def draw_mixes(
    mixing: Mixing,
    pools: Pools,
    rows_B: Rows,
    *,
    seed: int,
    epoch_B: Ints,
    key_B: Keys,
    turn_B: Ints | None = None,
    size: tuple[int, int],
) -> MixDraws:
    """Draw the partner of each image from (seed, epoch, image key, turn); a negative epoch means no partner.

    Every number is drawn even if it is not used, so that another probability changes only which images are mixed. The
    numbers are independent of those of `draws.draw` with the same seed. An image whose box is empty is not mixed.

    rows_B  manifest rows of the pools; ValueError for any other row.
    key_B   as for `draws.draw`.
    turn_B  how often the row was already used in this epoch; default: 0.
    size    (height, width) in pixels.
    """
    if turn_B is not None:
        key_B = key_B + turn_B.astype(np.uint64) * HOP
    fires, who, share, down, across = uniforms(seed ^ STREAM, epoch_B, key_B, DRAWN).T
    match mixing.kind:
        case "halves":
            box = _half(mixing.ratio[0] + share * (mixing.ratio[1] - mixing.ratio[0]), across < 0.5, size)
        case "cutmix":
            box = _cutmix_box(_beta(share, mixing.alpha), down, across, size)
        case "mixup":
            box = np.zeros((len(rows_B), 4), dtype=np.int64)
        case _:
            assert_never(mixing.kind)
    blend = mixing.kind == "mixup"
    area = (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])
    share_B = (_beta(share, mixing.alpha) if blend else 1 - area / (size[0] * size[1])).astype(np.float32)
    partner = _partners(pools, rows_B, who)
    mixed = (fires < mixing.prob) & (epoch_B >= 0) & (partner >= 0) & (share_B < 1)
    return MixDraws(
        np.where(mixed, partner, -1),
        np.where(mixed, share_B, np.float32(1)),
        box * mixed[:, None],
        mixed & blend,
    )


def _partners(pools: Pools, rows_B: Rows, u_B: Doubles) -> Rows:
    """Return one partner per row, chosen from its pool by a number in [0, 1); -1 if the pool is empty."""
    if not np.isin(rows_B, pools.rows).all():
        raise ValueError("a row has no pool")
    at = np.searchsorted(pools.rows, rows_B)
    place = pools.first[at] + (u_B * pools.count[at]).astype(np.int64)
    place += pools.skipped[at] * (place >= pools.gap[at])
    return pools.candidates[np.where(pools.count[at] > 0, place, -1)]


def _beta(u_B: Doubles, alpha: float) -> Doubles:
    """Transform uniform numbers into Beta(alpha, alpha) by the inverse of its distribution function."""
    if alpha == 1:
        return u_B
    from scipy.special import betaincinv  # slow to import, and not needed for alpha = 1

    share: Doubles = betaincinv(alpha, alpha, u_B)
    return share


def _cutmix_box(share_B: Doubles, down_B: Doubles, across_B: Doubles, size: tuple[int, int]) -> Ints:
    """Return boxes (B, 4) with 1 - share of the area and the image's aspect, centred at a uniform pixel; clipped."""
    height, width = size
    sides = np.sqrt(1 - share_B)
    tall, wide = (height * sides).astype(np.int64), (width * sides).astype(np.int64)
    top = (down_B * height).astype(np.int64) - tall // 2
    left = (across_B * width).astype(np.int64) - wide // 2
    return np.stack([top, left, top + tall, left + wide], axis=1).clip(0, [height, width, height, width])


def _half(ratio_B: Doubles, leftward_B: NDArray[np.bool_], size: tuple[int, int]) -> Ints:
    """Return boxes (B, 4) of full height, left or right of a cut at `ratio` of the width."""
    height, width = size
    cut = np.rint(ratio_B * width).astype(np.int64)
    left, right = np.where(leftward_B, 0, cut), np.where(leftward_B, cut, width)
    return np.stack([np.zeros_like(cut), left, np.full_like(cut, height), right], axis=1)


def mix_images(images_BHWC: Tensor, partners_MHWC: Tensor, mixes: MixDraws) -> Tensor:
    """Mix the partners into the images; returns a new tensor on the images' device, without waiting for it.

    images_BHWC    uint8, or float32 in 0..255.
    partners_MHWC  the partners of `mixes.mixed`, in that order; same device and dtype.

    The dtype is kept; a batch with a blend becomes float32 in 0..255. Raises ValueError unless there are M partners.
    """
    _check(partners_MHWC, mixes)
    out = images_BHWC.to(torch.float32 if mixes.blend.any() else images_BHWC.dtype, copy=True)
    for i, partner_HWC in zip(mixes.mixed.tolist(), partners_MHWC, strict=True):
        if mixes.blend[i]:
            share = float(mixes.share[i])
            out[i].mul_(share).add_(partner_HWC, alpha=1 - share)
        else:
            top, left, bottom, right = mixes.box[i].tolist()
            out[i, top:bottom, left:right] = partner_HWC[top:bottom, left:right]
    return out


def mix_targets(target_BC: Tensor, partner_MC: Tensor, mixes: MixDraws) -> Tensor:
    """Return targets (B, C): share * own + (1 - share) * partner; rows that are not mixed are unchanged.

    A row's sum is its weight, so an unknown label (zeros) adds nothing. All tasks use the same mixes. The call does not
    wait for the device.

    target_BC   float, any row sums.
    partner_MC  targets of the partners of `mixes.mixed`, in that order; same device and dtype.

    Raises ValueError unless there are M partners.

    >>> mixes = MixDraws(np.array([7, -1]), np.array([0.75, 1], dtype=np.float32), np.array([[0, 0, 1, 1], [0] * 4]),
    ...               np.array([False, False]))
    >>> mix_targets(torch.eye(2), torch.tensor([[0.0, 1.0]]), mixes).tolist()
    [[0.75, 0.25], [0.0, 1.0]]
    """
    _check(partner_MC, mixes)
    share_B = to_device(mixes.share, target_BC.device)
    mixed_M = to_device(mixes.mixed, target_BC.device)
    return (share_B[:, None] * target_BC).index_add(0, mixed_M, (1 - share_B[mixed_M])[:, None] * partner_MC)


def _check(partners: Tensor, mixes: MixDraws) -> None:
    if len(partners) != len(mixes.mixed):
        raise ValueError(f"{len(mixes.mixed)} images are mixed, with {len(partners)} partners")
