"""The two rules of the pool of generated images, against a plain loop over a list."""

import numpy as np
import torch

from maskcls.synth.cyclegan.image_pool import ImagePool


def numbered(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float32).reshape(-1, 1, 1, 1)


def values(images: torch.Tensor) -> list[float]:
    return images.flatten().tolist()


def test_an_image_is_stored_and_returned_while_there_is_room() -> None:
    pool = ImagePool(3)

    assert values(pool.exchange(numbered(1, 2), stored_B=[True, True], slot_B=[0, 0])) == [1, 2]
    assert values(pool.images_PCHW) == [1, 2]


def test_a_full_pool_gives_the_stored_one_or_the_new_one() -> None:
    pool = ImagePool(2)
    pool.exchange(numbered(1, 2), stored_B=[True, True], slot_B=[1, 1])

    assert values(pool.exchange(numbered(3, 4), stored_B=[False, True], slot_B=[0, 1])) == [3, 2]
    assert values(pool.images_PCHW) == [1, 4]


def test_the_pool_fills_within_a_batch_and_a_slot_may_come_twice() -> None:
    pool = ImagePool(1)

    assert values(pool.exchange(numbered(1, 2, 3), stored_B=[True, True, True], slot_B=[0, 0, 0])) == [1, 1, 2]
    assert values(pool.images_PCHW) == [3]


def test_without_capacity_all_images_are_new() -> None:
    pool, images = ImagePool(0), numbered(1, 2)
    returned = pool.exchange(images, stored_B=[True, True], slot_B=[0, 0])

    assert values(returned) == [1, 2]
    assert returned.data_ptr() != images.data_ptr()
    assert len(pool.images_PCHW) == 0


def test_what_is_returned_has_no_gradient_and_is_nobody_elses_memory() -> None:
    pool, images = ImagePool(2), numbered(1, 2).requires_grad_()
    returned = pool.exchange(images * 1, stored_B=[True, True], slot_B=[0, 0])
    returned += 10

    assert not returned.requires_grad
    assert values(pool.images_PCHW) == [1, 2]


def test_the_pool_is_that_of_a_loop_over_a_list() -> None:
    rng, pool, stored = np.random.default_rng(0), ImagePool(7), list[float]()
    replaced = 0
    for step in range(40):
        new = [step * 10.0 + b for b in range(3)]
        coin_B, slot_B = rng.random(3) < 0.5, rng.integers(0, 7, 3)
        expected = []
        for value, coin, slot in zip(new, coin_B, slot_B, strict=True):
            if len(stored) < 7:
                stored.append(value)
                expected.append(value)
            elif coin:
                expected.append(stored[slot])
                stored[slot] = value
                replaced += 1
            else:
                expected.append(value)

        assert values(pool.exchange(numbered(*new), stored_B=coin_B.tolist(), slot_B=slot_B.tolist())) == expected
        assert values(pool.images_PCHW) == stored
    assert replaced > 30
