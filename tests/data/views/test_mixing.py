"""Mixing two images: who with whom, how much, and that the labels are shared as the pixels are."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from photos import PLAIN
from scipy import stats
from timm.data import mixup as timm_mixup
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import v2

from maskcls.data.views.draws import draw
from maskcls.data.views.mixing import (
    MixDraws,
    Mixing,
    Partner,
    Pools,
    _cutmix_box,
    build_pools,
    draw_mixes,
    mix_images,
    mix_targets,
)

CUTMIX = Mixing("cutmix", prob=1.0, alpha=1.0, ratio=(0.46, 0.54), partner="any")
HALVES, MIXUP = replace(CUTMIX, kind="halves"), replace(CUTMIX, kind="mixup")
KINDS = [CUTMIX, HALVES, MIXUP]
PARTNERS: list[Partner] = ["any", "same", "other"]
SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))
ROWS = 50


def pools_of(labels: list[int], partner: Partner, allowed: list[bool] | None = None) -> Pools:
    """Return the pools of the rows 0, 10, 20, …, one a label."""
    rows = 10 * np.arange(len(labels))
    allowed_R = None if allowed is None else np.array(allowed)
    return build_pools(rows, np.array(labels), partner=partner, allowed_R=allowed_R)


ANY = pools_of([0] * ROWS, "any")


def mixes_of(
    mixing: Mixing,
    keys: NDArray[Any],
    *,
    pools: Pools = ANY,
    rows: NDArray[Any] | None = None,
    seed: int = 0,
    epoch: int = 0,
    turns: NDArray[Any] | None = None,
    size: tuple[int, int] = (24, 18),
) -> MixDraws:
    """Draw for these keys, which stand for the rows 0, 10, 20, … over and over, if nothing else is said."""
    rows = 10 * (keys.astype(np.int64) % ROWS) if rows is None else rows
    epochs = np.full(len(keys), epoch)
    return draw_mixes(
        mixing, pools, rows, seed=seed, epoch_B=epochs, key_B=keys.astype(np.uint64), turn_B=turns, size=size
    )


def same(one: MixDraws, other: MixDraws) -> bool:
    return all(np.array_equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(MixDraws))


def at(mixes: MixDraws, places: NDArray[Any]) -> MixDraws:
    return MixDraws(mixes.partner[places], mixes.share[places], mixes.box[places], mixes.blend[places])


def by_hand(share: list[float], box: list[tuple[int, int, int, int]], blend: bool = False) -> MixDraws:
    """Return mixes of the partners 0, 10, …; an image of share 1 is not mixed."""
    shares = np.array(share, dtype=np.float32)
    partner = np.where(shares < 1, 10 * np.arange(len(share)), -1)
    return MixDraws(partner, shares, np.array(box, dtype=np.int64), (shares < 1) & blend)


def pictures(count: int, height: int = 7, width: int = 9, seed: int = 0) -> Tensor:
    numbers = np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)
    return torch.from_numpy(numbers)


# --- how much


@settings(deadline=None, max_examples=150)
@given(st.sampled_from([CUTMIX, HALVES]), SIZES, st.sampled_from([0.3, 1.0, 3.0]), st.integers(0, 2**32 - 1))
def test_the_share_is_that_of_the_pixels_left(mixing: Mixing, size: tuple[int, int], alpha: float, seed: int) -> None:
    mixes = mixes_of(replace(mixing, alpha=alpha, ratio=(0.2, 0.9)), np.arange(20), seed=seed, size=size)
    white = torch.ones(len(mixes.mixed), *size, 3, dtype=torch.uint8)
    mixed = mix_images(torch.zeros(20, *size, 3, dtype=torch.uint8), white, mixes)
    pasted = mixed[..., 0].sum(dim=(1, 2)).numpy()
    np.testing.assert_array_equal(mixes.share, (1 - pasted / (size[0] * size[1])).astype(np.float32))
    np.testing.assert_array_equal(pasted > 0, mixes.partner >= 0)
    assert mixes.share.dtype == np.float32
    assert not mixes.blend.any()


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (224, 224), (512, 384)])
def test_boxes_come_in_all_sizes_everywhere(size: tuple[int, int]) -> None:
    mixes = mixes_of(CUTMIX, np.arange(4000), size=size)
    top, left, bottom, right = mixes.box[mixes.mixed].T
    assert (top.min(), left.min(), bottom.max(), right.max()) == (0, 0, *size)
    assert (bottom > top).all()
    assert (right > left).all()
    assert top.max() >= 0.9 * size[0] - 1  # a small box in the last corner
    assert left.max() >= 0.9 * size[1] - 1
    assert mixes.share.min() < 0.3
    assert mixes.share[mixes.mixed].max() > 0.9
    inner = (top > 0) & (left > 0) & (bottom < size[0]) & (right < size[1])
    slack = 1 / min(size)  # sides are whole pixels
    assert inner.sum() > 400
    assert (np.abs((bottom - top) / size[0] - (right - left) / size[1])[inner] <= slack).all()  # the image's shape


@pytest.mark.parametrize("size", [(8, 8), (9, 7), (64, 48)])
def test_boxes_are_timms(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """timm's box for the same share and the same middle pixel."""
    u = np.random.default_rng(0).random((300, 3))
    ours = _cutmix_box(u[:, 0], u[:, 1], u[:, 2], size)
    for (share, down, across), box in zip(u.tolist(), ours.tolist(), strict=True):
        middle = iter([int(down * size[0]), int(across * size[1])])
        monkeypatch.setattr(timm_mixup.np.random, "randint", lambda *_, middle=middle, **__: next(middle))
        top, bottom, left, right = timm_mixup.rand_bbox((3, *size), share)
        assert box == [top, left, bottom, right]


@pytest.mark.parametrize("alpha", [0.5, 1.0, 3.0])
def test_shares_are_beta_for_mixup_and_those_of_timm_for_cutmix(alpha: float, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = np.arange(4000)
    blended = mixes_of(replace(MIXUP, alpha=alpha), keys).share
    assert stats.kstest(blended, stats.beta(alpha, alpha).cdf).pvalue > 1e-3
    assert abs(blended.var() - 1 / (8 * alpha + 4)) < 0.008  # the variance of Beta(a, a); 5 standard errors
    cut = mixes_of(replace(CUTMIX, alpha=alpha), keys, size=(64, 48)).share
    random = np.random.default_rng(0)
    monkeypatch.setattr(timm_mixup.np.random, "randint", random.integers)  # timm draws from the global generator
    timms = [timm_mixup.cutmix_bbox_and_lam((64, 48), lam)[1] for lam in random.beta(alpha, alpha, 4000)]
    assert stats.ks_2samp(cut, timms).pvalue > 1e-3


def test_alpha_one_is_the_uniform_number_itself_and_others_keep_its_order() -> None:
    keys = np.arange(200)
    flat, peaked = (mixes_of(replace(MIXUP, alpha=alpha), keys).share for alpha in (1.0, 5.0))
    np.testing.assert_array_equal(np.argsort(flat), np.argsort(peaked))
    middle = mixes_of(replace(MIXUP, alpha=1 + 1e-9), keys).share  # goes through the inverse function
    np.testing.assert_allclose(flat, middle, atol=1e-6)


def test_halves_are_a_left_or_a_right_part_of_the_drawn_width() -> None:
    mixes = mixes_of(replace(HALVES, ratio=(0.3, 0.4)), np.arange(2000), size=(20, 100))
    top, left, bottom, right = mixes.box.T
    assert (top == 0).all()
    assert (bottom == 20).all()
    leftward = left == 0
    assert 888 < leftward.sum() < 1112  # 1000 +- 5 standard deviations of 22.4
    assert (right[~leftward] == 100).all()
    for cut in (right[leftward], left[~leftward]):
        assert set(cut.tolist()) == set(range(30, 41))
    np.testing.assert_array_equal(mixes.share, np.where(leftward, 100 - right, left).astype(np.float32) / 100)


@pytest.mark.parametrize(("ratio", "width", "cut"), [(0.5, 8, 4), (0.46, 9, 4), (0.54, 9, 5), (0.25, 224, 56)])
def test_a_ratio_without_width_is_that_cut(ratio: float, width: int, cut: int) -> None:
    box = mixes_of(replace(HALVES, ratio=(ratio, ratio)), np.arange(40), size=(8, width)).box
    assert {tuple(b) for b in box.tolist()} == {(0, 0, 8, cut), (0, cut, 8, width)}


def test_a_part_without_a_pixel_is_no_mixing() -> None:
    mixes = mixes_of(replace(HALVES, ratio=(0.01, 0.01)), np.arange(40), size=(8, 8))  # the cut is at the left border
    empty = mixes.partner < 0
    assert 5 < empty.sum() < 35
    assert (mixes.share[empty] == 1).all()
    assert not mixes.box[empty].any()
    assert (mixes.share[~empty] == 0).all()


# --- whether, and keyed on what


@pytest.mark.parametrize("mixing", KINDS)
def test_a_probability_is_how_often_and_changes_nothing_else(mixing: Mixing) -> None:
    keys = np.arange(1000)
    never, sometimes, always = (mixes_of(replace(mixing, prob=p), keys) for p in (0.0, 0.3, 1.0))
    assert never.mixed.size == 0
    assert 228 < sometimes.mixed.size < 372  # 300 +- 5 standard deviations of 14.5
    assert always.mixed.size > 985  # the rest has a box without a pixel
    assert same(at(always, sometimes.mixed), at(sometimes, sometimes.mixed))
    left = np.setdiff1d(keys, sometimes.mixed)
    assert (sometimes.share[left] == 1).all()
    assert not sometimes.box[left].any()
    assert not sometimes.blend[left].any()
    np.testing.assert_array_equal(always.blend, (always.partner >= 0) & (mixing.kind == "mixup"))


@pytest.mark.parametrize("mixing", KINDS)
@pytest.mark.parametrize("partner", PARTNERS)
def test_an_image_is_mixed_the_same_in_any_batch(mixing: Mixing, partner: Partner) -> None:
    pools = pools_of([i % 3 for i in range(ROWS)], partner)
    mixing = replace(mixing, prob=0.7, alpha=0.4)
    keys = np.arange(60)
    together = mixes_of(mixing, keys, pools=pools)
    assert same(together, mixes_of(mixing, keys, pools=pools))
    order = np.random.default_rng(0).permutation(60)
    assert same(at(together, order), mixes_of(mixing, keys[order], pools=pools))
    for i in range(60):
        assert same(at(together, np.array([i])), mixes_of(mixing, keys[[i]], pools=pools))


@pytest.mark.parametrize("part", ["seed", "epoch", "turn", "key"])
def test_every_part_of_the_key_changes_partner_and_share(part: str) -> None:
    keys, ones = np.arange(200), np.ones(200, dtype=np.int64)
    rows = 10 * (keys % ROWS)
    before = mixes_of(MIXUP, keys, rows=rows)
    changes: dict[str, dict[str, Any]] = {"seed": {"seed": 1}, "epoch": {"epoch": 1}, "turn": {"turns": ones}}
    keys = keys + 1000 if part == "key" else keys
    after = mixes_of(MIXUP, keys, rows=rows, **changes.get(part, {}))
    assert (before.partner == after.partner).sum() < 20  # by chance 1 in 49
    assert (before.share == after.share).sum() == 0


def test_turns_are_told_apart_and_the_first_is_the_default() -> None:
    keys = np.arange(50)
    shares = [mixes_of(MIXUP, keys, turns=np.full(50, turn)).share for turn in range(5)]
    np.testing.assert_array_equal(shares[0], mixes_of(MIXUP, keys).share)
    assert len(np.unique(np.stack(shares))) == 250


def test_a_negative_epoch_mixes_nothing() -> None:
    mixes = mixes_of(MIXUP, np.arange(50), epoch=-1)
    assert mixes.mixed.size == 0
    assert (mixes.share == 1).all()


def test_mixing_is_independent_of_augmentation() -> None:
    """With the same stream, an image would be flipped when and only when it is mixed."""
    keys, epochs = np.arange(4000, dtype=np.uint64), np.zeros(4000, dtype=np.int64)
    flipped = draw(replace(PLAIN, hflip=0.5), seed=3, epoch_B=epochs, key_B=keys).flipped
    mixed = mixes_of(replace(HALVES, prob=0.5), keys, seed=3)
    for trait in (mixed.partner >= 0, mixes_of(HALVES, keys, seed=3).box[:, 1] == 0):
        assert 1841 < (flipped == trait).sum() < 2159  # 2000 +- 5 standard deviations of 31.6


def test_what_is_drawn_of_one_image_is_uncorrelated() -> None:
    always = mixes_of(CUTMIX, np.arange(4000), size=(512, 512))
    often = mixes_of(replace(CUTMIX, prob=0.5), np.arange(4000)).partner >= 0
    top, left, bottom, right = always.box.T
    traits = np.stack([often, always.partner, always.share, top + bottom, left + right])
    assert np.abs(np.corrcoef(traits) - np.eye(5)).max() < 0.079  # 5 standard errors


# --- with whom

LABELS = st.lists(st.tuples(st.integers(-1, 2), st.booleans()), min_size=1, max_size=9)


def allowed_partners(row: int, labels: list[int], allowed: list[bool], partner: Partner) -> set[int]:
    """Follow the rules row by row."""
    found = set()
    for other, (label, may) in enumerate(zip(labels, allowed, strict=True)):
        known = label >= 0 and labels[row] >= 0
        fits = {"any": True, "same": known and label == labels[row], "other": known and label != labels[row]}
        if may and other != row and fits[partner]:
            found.add(10 * other)
    return found


@settings(deadline=None, max_examples=150)
@given(LABELS, st.sampled_from(PARTNERS), st.randoms(use_true_random=False))
def test_partners_are_those_of_the_rules(rows: list[tuple[int, bool]], partner: Partner, random: Any) -> None:
    labels, allowed = [label for label, _ in rows], [may for _, may in rows]
    order = list(range(len(rows)))
    random.shuffle(order)
    pools = build_pools(
        np.array([10 * i for i in order]),
        np.array([labels[i] for i in order]),
        partner=partner,
        allowed_R=np.array([allowed[i] for i in order]),
    )
    for row in range(len(rows)):
        got = mixes_of(MIXUP, np.arange(300), pools=pools, rows=np.full(300, 10 * row)).partner
        assert set(got.tolist()) == (allowed_partners(row, labels, allowed, partner) or {-1})


@pytest.mark.parametrize(
    ("partner", "want"), [("any", [0, 20, 30, 40, 50]), ("same", [20, 50]), ("other", [0, 30, 40])]
)
def test_every_partner_is_as_likely(partner: Partner, want: list[int]) -> None:
    pools = pools_of([0, 1, 1, 2, 0, 1], partner)
    count = 3000
    got = Counter(mixes_of(MIXUP, np.arange(count), pools=pools, rows=np.full(count, 10)).partner.tolist())
    assert sorted(got) == want
    expected = count / len(want)
    assert max(abs(n - expected) for n in got.values()) < 5 * (expected * (1 - 1 / len(want))) ** 0.5


def test_only_allowed_rows_are_partners_and_every_row_gets_one() -> None:
    old = [i >= 45 for i in range(ROWS)]
    mixes = mixes_of(HALVES, np.arange(1000), pools=pools_of([0] * ROWS, "any", old))
    assert set(mixes.partner.tolist()) == {450, 460, 470, 480, 490}
    assert (mixes.partner != 10 * (np.arange(1000) % ROWS)).all()


def test_rows_without_a_partner_stay_as_they_are() -> None:
    lonely = pools_of([0, 1, 1, -1], "same")
    rows = np.array([0, 10, 20, 30])
    assert mixes_of(MIXUP, np.arange(4), pools=lonely, rows=rows).partner.tolist() == [-1, 20, 10, -1]
    for partner in PARTNERS:
        mixes = mixes_of(HALVES, np.arange(1), pools=pools_of([0], partner))
        assert (mixes.partner.tolist(), mixes.share.tolist(), mixes.box.tolist()) == ([-1], [1.0], [[0, 0, 0, 0]])


def test_an_unknown_label_has_partners_under_any_alone() -> None:
    rows = np.array([0, 10])
    found = {p: mixes_of(MIXUP, np.arange(2), pools=pools_of([-1, 0], p), rows=rows).partner.tolist() for p in PARTNERS}
    assert found == {"any": [10, 0], "same": [-1, -1], "other": [-1, -1]}


def test_wrong_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="no pool"):
        mixes_of(MIXUP, np.arange(2), rows=np.array([10, 11]))
    for rows, labels, allowed in (([1, 1], [0, 0], [True] * 2), ([1, 2], [0] * 3, [True] * 2), ([1], [0], [True] * 2)):
        with pytest.raises(ValueError, match="distinct"):
            build_pools(np.array(rows), np.array(labels), partner="any", allowed_R=np.array(allowed))


# --- the images


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(KINDS), SIZES, st.booleans(), st.integers(0, 2**32 - 1))
def test_mixing_is_a_plain_loop_over_pixels(mixing: Mixing, size: tuple[int, int], as_float: bool, seed: int) -> None:
    mixes = mixes_of(replace(mixing, prob=0.6), np.arange(5), seed=seed, size=size)
    images, partners = pictures(5, *size), pictures(len(mixes.mixed), *size, seed=1)
    want = images.double().numpy()
    for place, partner in zip(mixes.mixed.tolist(), partners.double().numpy(), strict=True):
        top, left, bottom, right = mixes.box[place]
        for y in range(size[0]):
            for x in range(size[1]):
                if mixes.blend[place]:
                    share = float(mixes.share[place])
                    want[place, y, x] = share * want[place, y, x] + (1 - share) * partner[y, x]
                elif top <= y < bottom and left <= x < right:
                    want[place, y, x] = partner[y, x]
    if as_float:
        images, partners = images.float(), partners.float()
    before = images.clone(), partners.clone()
    got = mix_images(images, partners, mixes)
    assert got.dtype == (torch.float32 if as_float or mixes.blend.any() else torch.uint8)
    np.testing.assert_allclose(got.double().numpy(), want, rtol=0, atol=1e-4 if mixes.blend.any() else 0)  # float32
    assert got.data_ptr() != images.data_ptr()
    assert torch.equal(images, before[0])
    assert torch.equal(partners, before[1])


def test_boxes_and_labels_are_torchvisions() -> None:
    """torchvision gives a whole batch one box, and every image its neighbour."""
    images, labels = pictures(4), torch.tensor([0, 2, 1, 4])
    own = functional.one_hot(labels, 5).float()
    params = {"labels": labels, "batch_size": 4, "box": (2, 1, 6, 7), "lam_adjusted": 1 - 24 / 63}
    theirs = v2.CutMix(num_classes=5)
    mixes = by_hand([1 - 24 / 63] * 4, [(1, 2, 7, 6)] * 4)
    want = theirs.transform(images.permute(0, 3, 1, 2), params).permute(0, 2, 3, 1)
    assert torch.equal(mix_images(images, images.roll(1, 0), mixes), want)
    torch.testing.assert_close(mix_targets(own, own.roll(1, 0), mixes), theirs.transform(labels, params))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.75])
def test_blends_and_labels_are_torchvisions_and_timms(share: float) -> None:
    images, labels = pictures(4), torch.tensor([0, 2, 1, 4])
    own = functional.one_hot(labels, 5).float()
    params = {"labels": labels, "batch_size": 4, "lam": share}
    theirs = v2.MixUp(num_classes=5)
    mixes = by_hand([share] * 4, [(0, 0, 0, 0)] * 4, blend=True)
    want = theirs.transform(images.float(), params)
    torch.testing.assert_close(mix_images(images, images.roll(1, 0), mixes), want, rtol=0, atol=1e-4)
    torch.testing.assert_close(mix_targets(own, own.roll(1, 0), mixes), theirs.transform(labels, params))
    of_timm = timm_mixup.mixup_target(labels, 5, lam=share)  # the partner from the batch turned round
    torch.testing.assert_close(mix_targets(own, own.flip(0), mixes), of_timm)


def test_partners_are_taken_in_the_order_of_the_mixed_images() -> None:
    mixes = by_hand([1, 0.5, 1, 0.5], [(0, 0, 0, 0), (0, 0, 7, 9), (0, 0, 0, 0), (0, 0, 7, 9)])
    assert mixes.mixed.tolist() == [1, 3]
    images, partners = pictures(4), pictures(2, seed=1)
    want = torch.stack([images[0], partners[0], images[2], partners[1]])
    assert torch.equal(mix_images(images, partners, mixes), want)
    got = mix_targets(torch.eye(4), torch.eye(4)[[2, 0]], mixes)
    assert got.tolist() == [[1, 0, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 1, 0], [0.5, 0, 0, 0.5]]


def test_a_view_in_another_memory_order_is_mixed_too() -> None:
    """What `augment_on_device` gives is channels first, and seen through `permute`."""
    mixes = by_hand([0.5, 1], [(1, 2, 4, 5), (0, 0, 0, 0)])
    images, partners = pictures(2), pictures(1, seed=1)
    turned = [t.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1) for t in (images, partners)]
    assert torch.equal(mix_images(*turned, mixes), mix_images(images, partners, mixes))


@pytest.mark.parametrize("mixing", KINDS)
def test_nothing_is_asked_of_the_device(mixing: Mixing) -> None:
    """A meta tensor holds no numbers: whoever had to wait for one would fail."""
    mixes = mixes_of(mixing, np.arange(6))
    count = len(mixes.mixed)
    images = torch.empty(6, 24, 18, 3, dtype=torch.uint8, device="meta")
    mixed = mix_images(images, images[:count], mixes)
    targets = mix_targets(torch.empty(6, 5, device="meta"), torch.empty(count, 5, device="meta"), mixes)
    assert (mixed.device.type, mixed.shape) == ("meta", images.shape)
    assert (targets.device.type, targets.shape) == ("meta", (6, 5))


def test_a_missing_partner_is_refused() -> None:
    mixes = by_hand([0.5, 0.5], [(0, 0, 1, 1)] * 2)
    with pytest.raises(ValueError, match="2 images are mixed, with 1"):
        mix_images(pictures(2), pictures(1), mixes)
    with pytest.raises(ValueError, match="2 images are mixed, with 3"):
        mix_targets(torch.eye(2), torch.eye(3, 2), mixes)


# --- the targets


def test_a_row_keeps_its_weight_and_an_unknown_label_adds_nothing() -> None:
    mixes = by_hand([0.75, 0.75, 0.75, 1], [(0, 0, 1, 1)] * 3 + [(0, 0, 0, 0)])
    own = torch.tensor([[2.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 0.3]])
    partner = torch.tensor([[0.0, 1.0], [0.0, 4.0], [0.0, 0.0]])
    before = own.clone()
    got = mix_targets(own, partner, mixes)
    assert got.tolist()[:3] == [[1.5, 0.25], [0.0, 1.0], [0.75, 0.0]]
    assert torch.equal(got[3], own[3])  # exactly as it was
    assert torch.equal(own, before)


@pytest.mark.parametrize("kind", ["cutmix", "halves", "mixup"])
def test_the_loss_of_a_mixture_is_the_mixture_of_the_losses(kind: Literal["cutmix", "halves", "mixup"]) -> None:
    mixes = mixes_of(replace(CUTMIX, kind=kind, prob=0.8), np.arange(32))
    random = torch.Generator().manual_seed(0)
    labels, others = (torch.randint(0, 6, (32,), generator=random) for _ in range(2))
    logits = torch.randn(32, 6, generator=random, dtype=torch.float64, requires_grad=True)
    own, partner = (functional.one_hot(x, 6).double() for x in (labels, others[mixes.mixed]))
    loss = functional.cross_entropy(logits, mix_targets(own, partner, mixes), reduction="none")
    share = torch.from_numpy(mixes.share).double()
    first, second = (functional.cross_entropy(logits, x, reduction="none") for x in (labels, others))
    want = share * first + (1 - share) * second
    torch.testing.assert_close(loss, want, rtol=1e-6, atol=1e-6)  # shares are float32
    (got_gradient,) = torch.autograd.grad(loss.sum(), logits, retain_graph=True)
    (want_gradient,) = torch.autograd.grad(want.sum(), logits)
    torch.testing.assert_close(got_gradient, want_gradient, rtol=1e-6, atol=1e-6)
    assert 10 < len(mixes.mixed) < 32
