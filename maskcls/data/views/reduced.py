"""A photo reduced to the pixels that networks get, so that a large one need not wait in memory. H height, W width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from maskcls.data.photos.rgb import Pixels
from maskcls.data.views.transforms import ViewSpec, eval_view


@dataclass(frozen=True, eq=False)
class ReducedPhoto:
    """The eval views of one photo.

    views          uint8 (H, W, 3), one per spec.
    decoded_bytes  of the photo that they were made from.
    """

    views: tuple[Pixels, ...]
    decoded_bytes: int

    @property
    def nbytes(self) -> int:
        """Bytes of all views."""
        return sum(view.nbytes for view in self.views)


def reduced(photo_HWC: Pixels, specs: Sequence[ViewSpec]) -> ReducedPhoto:
    """Return the eval views of a decoded photo, which they keep no part of."""
    views = (eval_view(photo_HWC, spec) for spec in specs)
    return ReducedPhoto(tuple(view.copy() if view.base is not None else view for view in views), photo_HWC.nbytes)
