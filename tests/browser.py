"""Headless Chromium for tests of pages: skipped, visibly, where playwright or Chromium is missing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextmanager
def browser_page(width: int = 1280, height: int = 900, scheme: str = "light", **options: Any) -> Iterator[Any]:
    """Yield a page of a browser that is offline, `width` x `height` CSS pixels; an error of a script fails the test."""
    sync_api = pytest.importorskip("playwright.sync_api")
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, offline=True, **options
        )
        page = context.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        try:
            yield page
        finally:
            browser.close()
        assert not errors, errors


def axe_violations(page: Any) -> list[str]:
    """Return one line per violation that axe-core finds on the page as it is."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(page).response["violations"]
    return [f"{one['id']}: {one['help']}: {[node['target'] for node in one['nodes']][:3]}" for one in found]


def overflow(page: Any) -> int:
    """Return by how many pixels the page is wider than the window; 0 when it needs no sideways scrolling."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def main() -> None:
    """Save screenshots of a page: python tests/browser.py PAGE.html FOLDER."""
    import sys

    page_file, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for width in (390, 1280):
        for scheme in ("light", "dark"):
            with browser_page(width, scheme=scheme) as page:
                page.goto(page_file.as_uri())
                page.screenshot(path=folder / f"{page_file.stem}-{width}-{scheme}.png", full_page=True)
                print(f"{width} {scheme}: {overflow(page)} px too wide; axe: {axe_violations(page) or 'no violation'}")


if __name__ == "__main__":
    main()
