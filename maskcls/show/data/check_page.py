"""The HTML page of `maskcls data check`."""

from __future__ import annotations

from pathlib import Path


def check_page_name(page: Path, *, force: bool) -> None: ...


def write_check_page(found: object, page: Path, *, name: str, photos: bool) -> None: ...
