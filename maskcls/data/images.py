"""`read_image` under the name that it had before `photos/`: scripts outside the package import it."""

from maskcls.data.photos.images import read_image

__all__ = ["read_image"]
