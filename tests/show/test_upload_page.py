"""The page for uploads in a real browser, against a real server of a fake model."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from browser import axe_violations, browser_page, overflow
from fake_photo_model import png
from photo_server import TOKEN, PhotoServer, photo_server

from maskcls.show.pages.upload import upload_page

# Puts files into an event as a person who drops or pastes them does.
SEND_FILES = """([event, files]) => {
  const carried = new DataTransfer();
  for (const [name, data] of files) {
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
    carried.items.add(new File([bytes], name, { type: "image/png" }));
  }
  const options = { bubbles: true, cancelable: true };
  const made = event === "drop" ? new DragEvent("drop", { ...options, dataTransfer: carried })
    : new ClipboardEvent("paste", { ...options, clipboardData: carried });
  document.getElementById("drop").dispatchEvent(made);
}"""


@pytest.fixture(scope="module")
def server() -> Iterator[PhotoServer]:
    """Return a server that takes two photos of together 100 kB per request, and asks for a token."""
    with photo_server(max_photos=2, max_megabytes=1, wait_ms=0, token=TOKEN) as started:
        yield started


def give(page: Any, event: str, *files: tuple[str, bytes]) -> None:
    page.evaluate(SEND_FILES, [event, [[name, base64.b64encode(data).decode()] for name, data in files]])


def results(page: Any, count: int) -> list[str]:
    """Return the text of all results, when so many are there and none is in work."""
    page.wait_for_function(
        "count => document.querySelectorAll('#results > li').length === count && !document.querySelector('.pending')",
        arg=count,
    )
    return [" ".join(one.split()) for one in page.locator("#results > li").all_inner_texts()]


def test_photos_are_dropped_pasted_and_chosen(server: PhotoServer) -> None:
    with browser_page(offline=False) as page:
        page.goto(server.url)
        page.fill("#token", TOKEN)
        give(page, "drop", ("a.png", png(7)), ("bad.png", b"no image"), ("b.png", png(0)))
        first, bad, third = results(page, 3)
        assert "a.png incorrect, male, 30-59 (83.0 %)" in first
        assert "mask wear 6.0 % incorrect 88.0 % normal 6.0 %" in first
        assert "wear, male, <30 (83.0 %)" in third
        assert "bad.png Failed: not an image: text" in bad
        assert page.inner_text("#status") == "2 photos predicted, 1 failed."
        chosen = page.locator("#results > li:first-child .chosen .name").all_inner_texts()
        assert chosen == ["incorrect", "male", "30-59"]
        widths = page.locator("#results > li:first-child .bars").first.locator(".fill")
        assert [one.get_attribute("style") for one in widths.all()] == ["width: 6%;", "width: 88%;", "width: 6%;"]
        page.wait_for_selector("#results > li:first-child canvas[aria-label='a.png']")
        assert axe_violations(page) == []

        give(page, "paste", ("pasted.png", png(17)))
        assert "normal, female, >=60" in results(page, 4)[0]
        page.set_input_files("#files", [{"name": "c.png", "mimeType": "image/png", "buffer": png(6)}])
        assert "incorrect, male, <30" in results(page, 5)[0]
        page.click("#clear")
        assert results(page, 0) == []
        assert page.evaluate("document.activeElement.id") == "choose"


def test_what_the_server_refuses_is_said(server: PhotoServer) -> None:
    with browser_page(offline=False) as page:
        failed = []
        page.on("response", lambda answer: failed.append(answer.status))
        page.goto(server.url)
        give(page, "drop", ("large.png", png(1) + bytes(1_000_000)))
        assert results(page, 1) == ["large.png Failed: larger than 1 MB"]
        assert failed == [200]  # the page: it does not even send what is too large
        page.click("#clear")
        page.evaluate("() => { window.fetch = async () => { throw new TypeError('down'); }; }")
        give(page, "drop", ("a.png", png(1)))
        assert results(page, 1) == ["a.png Failed: the server cannot be reached"]


@pytest.mark.slow
def test_a_wrong_token_is_said(server: PhotoServer) -> None:
    answer = '{"version": 1, "error": {"what": "the token is missing or wrong", "expected": "Bearer"}}'
    with browser_page(offline=False) as page:
        page.goto(server.url)
        # A real 401 is an error on the console, which fails the test.
        page.evaluate("text => { window.fetch = async () => new Response(text); }", answer)
        give(page, "drop", ("a.png", png(1)))
        assert results(page, 1) == ["a.png Failed: the token is missing or wrong; Bearer"]


def test_a_photo_of_the_camera_is_predicted(server: PhotoServer) -> None:
    with browser_page(offline=False, permissions=["camera"]) as page:
        page.goto(server.url)
        page.fill("#token", TOKEN)
        page.focus("#open-camera")
        page.keyboard.press("Enter")
        page.wait_for_function("() => document.getElementById('video').videoWidth > 0")
        assert page.get_attribute("#open-camera", "aria-expanded") == "true"
        assert page.evaluate("document.activeElement.id") == "shoot"
        assert axe_violations(page) == []
        page.keyboard.press("Enter")
        (found,) = results(page, 1)
        assert found.startswith("camera ")
        assert "Failed" not in found
        page.click("#close-camera")
        assert page.is_hidden("#camera")
        assert page.evaluate("document.getElementById('video').srcObject") is None


def test_without_a_camera_there_is_no_button() -> None:
    """A page that is not of localhost or https has no camera."""
    with browser_page() as page:
        page.set_content(upload_page(max_photos=2, max_megabytes=1, needs_token=False))
        assert page.is_visible("#choose")
        assert page.is_hidden("#open-camera")
        assert page.locator("#token").count() == 0


@pytest.mark.parametrize("scheme", ["dark", pytest.param("light", marks=pytest.mark.slow)])
def test_long_names_fit_a_narrow_screen(server: PhotoServer, scheme: str) -> None:
    with browser_page(360, scheme=scheme, offline=False) as page:
        page.goto(server.url)
        page.fill("#token", TOKEN)
        give(page, "drop", ("a" * 120 + ".png", png(3)), ("bad.png", b"no image"))
        results(page, 2)
        assert overflow(page) == 0
        assert axe_violations(page) == []
