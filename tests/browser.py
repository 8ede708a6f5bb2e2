"""Headless Chromium for tests of pages: skipped, visibly, where playwright or Chromium is missing.

One browser serves all tests of a process, since a start takes a second; each page has a context of its own, which
shares neither storage nor cookies. tests/conftest.py closes the browser at the end.
"""

from __future__ import annotations

import shutil
from asyncio import events
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

# A camera that shows a moving pattern; a page gets it only with the permission `camera` of its context.
CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class Chromium:
    """The browser of this process, started at the first page."""

    def __init__(self) -> None:
        sync_api = pytest.importorskip("playwright.sync_api")
        found = next(filter(None, map(shutil.which, NAMES)), None)
        if found is None:
            pytest.skip("no Chromium on this machine")
        self.playwright = sync_api.sync_playwright().start()
        self.browser = self.playwright.chromium.launch(executable_path=found, args=["--no-sandbox", *CAMERA])
        self.loop = events._get_running_loop()
        self.leave()

    def enter(self) -> None:
        """Make playwright's event loop the running one of this thread."""
        events._set_running_loop(self.loop)

    def leave(self) -> None:
        """Give the thread back: other tests, which may start a loop of their own, must not see playwright's."""
        events._set_running_loop(None)

    def close(self) -> None:
        self.enter()
        self.browser.close()
        self.playwright.stop()


started: list[Chromium] = []


def close_browser() -> None:
    """Close the browser if one was started."""
    while started:
        started.pop().close()


@contextmanager
def browser_page(
    width: int = 1280, height: int = 900, scheme: str = "light", *, offline: bool = True, **options: Any
) -> Iterator[Any]:
    """Yield a page of a browser, `width` x `height` CSS pixels; an error of a script fails the test.

    offline  True: no address can be reached, not even this machine's.
    """
    if not started:
        started.append(Chromium())
    chromium = started[0]
    chromium.enter()
    errors: list[str] = []
    try:
        viewport = {"width": width, "height": height}
        context = chromium.browser.new_context(viewport=viewport, color_scheme=scheme, offline=offline, **options)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        try:
            yield page
        finally:
            context.close()
    finally:
        chromium.leave()
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
    close_browser()


if __name__ == "__main__":
    main()
