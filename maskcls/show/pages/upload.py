"""The page of `maskcls serve`, on which photos are dropped, chosen, pasted or taken, and the answers are shown."""

from __future__ import annotations

from maskcls.show.pages.page import render_page

SAME_SERVER = "connect-src 'self'"  # the one request of the page: its photos, to the server it came from


def upload_page(*, max_photos: int, max_megabytes: int, needs_token: bool) -> str:
    """Return the HTML.

    max_photos, max_megabytes  of one request; the page sends more photos in several requests.
    needs_token                ask for the token of the server.
    """
    limits = {"maxPhotos": max_photos, "maxBytes": max_megabytes * 1_000_000}
    return render_page(
        "upload",
        title="Predict photos",
        script="upload",
        data=limits,
        allowed=SAME_SERVER,
        max_megabytes=max_megabytes,
        needs_token=needs_token,
    )
