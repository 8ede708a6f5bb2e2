"""Views of a batch, moved pixel by pixel."""

from __future__ import annotations

import pytest
import torch

from maskcls.engine.tta import SINGLE, hflip, identity, shifted, views_of, zoom
from maskcls.viewnames import SETS, parse_views
from maskcls.viewnames import SINGLE as NAMES

COUNTS = {"none": 1, "hflip": 2, "zoom": 2, "hflip_zoom": 4, "hflip_zooms": 8, "shifts": 5}


def numbered(height: int, width: int) -> torch.Tensor:
    """Return (2, 3, H, W) in which every pixel is different."""
    return torch.arange(2 * 3 * height * width, dtype=torch.float32).reshape(2, 3, height, width)


def test_the_names_are_those_of_the_configuration() -> None:
    assert tuple(SINGLE) == NAMES
    assert {name: len(views_of(name)) for name in SETS} == COUNTS
    assert all(views_of(name)[0] is identity for name in SETS)
    assert {single for views in SETS.values() for single in views} == set(NAMES)


def test_single_views_can_be_joined_in_any_order() -> None:
    assert views_of("flip+none") == (hflip, identity)
    assert parse_views("up") == ("up",)


@pytest.mark.parametrize("text", ["", "none+", "none+none", "none+plain", "hflip+none", "flp", "none flip", "NONE"])
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(ValueError, match="one of none, hflip"):
        parse_views(text)


def test_a_near_name_is_told() -> None:
    with pytest.raises(ValueError, match="did you mean 'zoomed'"):
        parse_views("none+zomed")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("none,hflip", "only pseudo-label --views takes a list with commas"),
        ("none+hflip", "'hflip' is a set of views: none\\+flip"),
        ("qqq", "'qqq' is no view"),
    ],
)
def test_a_hint_says_what_to_write(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        parse_views(text)


def test_an_older_name_means_the_same() -> None:
    assert parse_views("plain") == parse_views("none") == ("none",)
    assert parse_views("plain+flip") == parse_views("none+flip") == ("none", "flip")


def test_none_changes_nothing() -> None:
    images = numbered(4, 5)
    (view,) = views_of("none")
    assert torch.equal(view(images), images)


def test_hflip_mirrors_columns_and_undoes_itself() -> None:
    images = torch.tensor([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]])
    assert hflip(images).tolist() == [[[[3, 2, 1], [6, 5, 4]]]]
    assert torch.equal(hflip(hflip(numbered(5, 4))), numbered(5, 4))
    assert views_of("hflip")[1] is hflip


@pytest.mark.parametrize(
    ("name", "side", "kept", "first"),
    [
        *[("zoomed", *rest) for rest in ((20, 18, 1), (10, 9, 0), (21, 19, 1), (128, 115, 6))],
        *[("zoomed_80", *rest) for rest in ((20, 16, 2), (96, 77, 9), (128, 102, 13))],
        *[("zoomed_70", *rest) for rest in ((20, 14, 3), (96, 67, 14), (128, 90, 19))],
    ],
)
def test_zoom_spreads_the_central_part(name: str, side: int, kept: int, first: int) -> None:
    """A ramp stays a ramp under linear interpolation, so each pixel's source can be written down."""
    ramp = torch.arange(side, dtype=torch.float32).expand(1, 1, side, side)
    last = first + kept - 1
    want = [min(max(first + (x + 0.5) * kept / side - 0.5, first), last) for x in range(side)]
    (view,) = views_of(name)
    got = view(ramp)
    assert got.shape == ramp.shape
    for row in (0, side // 2, side - 1):
        assert got[0, 0, row].tolist() == pytest.approx(want, abs=1e-4)  # float32 near 100
    assert view(ramp.transpose(2, 3))[0, 0, :, 0].tolist() == pytest.approx(want, abs=1e-4)


@pytest.mark.parametrize(
    ("down", "right", "want"),
    [
        (0, 0, [[1, 2, 3], [4, 5, 6], [7, 8, 9]]),
        (1, 0, [[1, 2, 3], [1, 2, 3], [4, 5, 6]]),
        (-1, 0, [[4, 5, 6], [7, 8, 9], [7, 8, 9]]),
        (0, 1, [[1, 1, 2], [4, 4, 5], [7, 7, 8]]),
        (0, -1, [[2, 3, 3], [5, 6, 6], [8, 9, 9]]),
        (1, -2, [[3, 3, 3], [3, 3, 3], [6, 6, 6]]),
    ],
)
def test_a_shift_repeats_the_edge(down: int, right: int, want: list[list[int]]) -> None:
    images = torch.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    assert shifted(images, down=down, right=right)[0, 0].tolist() == want


def test_shifts_go_four_ways_by_a_share_of_the_side() -> None:
    images = numbered(50, 100)
    got = [view(images) for view in views_of("shifts")]
    want = [shifted(images, down=d, right=r) for d, r in ((0, 0), (-2, 0), (2, 0), (0, -4), (0, 4))]
    assert len(got) == 5
    assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))


def test_hflip_zoom_is_every_combination() -> None:
    images = numbered(21, 20)
    got = [view(images) for view in views_of("hflip_zoom")]
    want = [images, hflip(images), zoom(images), hflip(zoom(images))]
    assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))
    assert len({view.numpy().tobytes() for view in got}) == 4


def test_hflip_zooms_are_four_zooms_and_their_mirror_images() -> None:
    images = numbered(40, 30)
    got = [view(images) for view in views_of("hflip_zooms")]
    kept = [images, zoom(images, 0.9), zoom(images, 0.8), zoom(images, 0.7)]
    want = [view for one in kept for view in (one, hflip(one))]
    assert [len(got), len(want)] == [8, 8]
    assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))
    assert len({view.numpy().tobytes() for view in got}) == 8


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("size", [(33, 47), (8, 8), (9, 128), (64, 48)])
def test_shapes_types_and_the_original_are_kept(name: str, size: tuple[int, int]) -> None:
    images = numbered(*size)
    for view in views_of(name):
        for given in (images, images.to(memory_format=torch.channels_last)):
            out = view(given)
            assert out.shape == images.shape
            assert out.dtype == images.dtype
    assert torch.equal(images, numbered(*size))
