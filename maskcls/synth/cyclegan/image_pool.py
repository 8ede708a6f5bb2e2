"""Earlier generated images from which a part of the discriminator's images is taken.

Source: Shrivastava et al. 2017, arXiv:1612.07828, in the form of CycleGAN (arXiv:1703.10593, section 4).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class ImagePool:
    """At most `capacity` images, of one shape.

    images_PCHW  the images, P <= capacity; with P = 0 the shape is (0,).
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.images_PCHW = torch.empty(0)

    def exchange(self, images_BCHW: Tensor, *, stored_B: Sequence[bool], slot_B: Sequence[int]) -> Tensor:
        """Give new images, one after the other, and get as many: new ones or stored ones.

        While the pool is not full, an image is stored and returned. When it is full, an image for which stored_B is
        true replaces the one in its slot, which is returned; any other image is returned and not stored.

        images_BCHW  the new images.
        stored_B     true with probability 1/2.
        slot_B       a place in the full pool, uniform in 0..capacity-1.

        Returns new tensors (B, C, H, W) without gradients. With capacity 0 they are the new images.
        """
        images_BCHW = images_BCHW.detach()
        if self.capacity == 0:
            return images_BCHW.clone()
        if len(self.images_PCHW) == 0:
            self.images_PCHW = images_BCHW.new_empty((0, *images_BCHW.shape[1:]))
        room = self.capacity - len(self.images_PCHW)
        self.images_PCHW = torch.cat([self.images_PCHW, images_BCHW[:room]])
        result_BCHW = images_BCHW.clone()
        for b in range(room, len(images_BCHW)):
            if stored_B[b]:
                result_BCHW[b] = self.images_PCHW[slot_B[b]]
                self.images_PCHW[slot_B[b]] = images_BCHW[b]
        return result_BCHW
