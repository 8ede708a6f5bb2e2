"""Random changes before the discriminator: against loops, and with gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from maskcls.synth.gans.diff_augment import DOWN, DRAWS, LEFT, RIGHT, TOP, diff_augment

NEUTRAL = 0.5  # of every draw of colour: no change
HEIGHT, WIDTH = 16, 24


def images(batch: int = 3) -> torch.Tensor:
    return torch.randn(batch, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def draws(batch: int = 3) -> torch.Tensor:
    return torch.full((batch, DRAWS), NEUTRAL, dtype=torch.float64)


def test_no_part_and_neutral_numbers_change_nothing() -> None:
    given = images()
    assert diff_augment(given, torch.rand(3, DRAWS), ()) is given
    torch.testing.assert_close(diff_augment(given, draws(), ("colour",)), given, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(diff_augment(given, draws(), ("translation",)), given)


def test_colour_by_hand() -> None:
    uniform_BD = draws(1)
    uniform_BD[0, :3] = torch.tensor([0.75, 0.25, 1.0])
    made = diff_augment(images(1), uniform_BD, ("colour",)).numpy()[0]
    image = images(1).numpy()[0] + 0.25
    grey = image.mean(axis=0)
    image = grey + 0.5 * (image - grey)
    np.testing.assert_allclose(made, image.mean() + 1.5 * (image - image.mean()), rtol=1e-10)


@pytest.mark.parametrize(("down", "right", "shift"), [(0.0, 0.999, (-2, 3)), (0.999, 0.0, (2, -3)), (0.5, 0.5, (0, 0))])
def test_translation_equals_a_loop(down: float, right: float, shift: tuple[int, int]) -> None:
    uniform_BD = draws(1)
    uniform_BD[0, DOWN], uniform_BD[0, RIGHT] = down, right
    given = images(1).numpy()[0]
    expected = np.zeros_like(given)
    for y in range(HEIGHT):
        for x in range(WIDTH):
            if 0 <= y - shift[0] < HEIGHT and 0 <= x - shift[1] < WIDTH:
                expected[:, y, x] = given[:, y - shift[0], x - shift[1]]
    np.testing.assert_array_equal(diff_augment(images(1), uniform_BD, ("translation",)).numpy()[0], expected)


@pytest.mark.parametrize(("top", "left"), [(0.0, 0.0), (0.5, 0.5), (0.999, 0.3)])
def test_cutout_hides_a_box_of_half_of_each_side(top: float, left: float) -> None:
    uniform_BD = draws(1)
    uniform_BD[0, TOP], uniform_BD[0, LEFT] = top, left
    made = diff_augment(torch.ones(1, 3, HEIGHT, WIDTH), uniform_BD, ("cutout",))[0, 0].numpy()
    centre = int(top * (HEIGHT + 1)), int(left * (WIDTH + 1))
    expected = np.ones((HEIGHT, WIDTH))
    for y in range(HEIGHT):
        for x in range(WIDTH):
            inside = -4 <= y - centre[0] < 4 and -6 <= x - centre[1] < 6
            expected[y, x] = 0 if inside else 1
    np.testing.assert_array_equal(made, expected)


def test_every_image_has_numbers_of_its_own_and_passes_its_gradient() -> None:
    parts = ("colour", "translation", "cutout")
    uniform_BD = torch.rand(3, DRAWS, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    together = diff_augment(images(), uniform_BD, parts)
    alone = [diff_augment(images()[i : i + 1], uniform_BD[i : i + 1], parts) for i in range(3)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-12, atol=1e-12)
    given = images(2)[:, :, :4, :4].clone().requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x: diff_augment(x, uniform_BD[:2], parts), given)
    assert torch.autograd.gradgradcheck(lambda x: diff_augment(x, uniform_BD[:2], parts).square(), given)
