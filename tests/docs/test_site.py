"""The documentation site: two builders build it without a warning, its links are right, and it loads nothing remote."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from browser import browser_page, overflow
from project import PROJECT_DIR

GATHER = runpy.run_path(str(PROJECT_DIR / "docs" / "gather.py"))
CONFIG = PROJECT_DIR / "mkdocs.yml"
BUILDERS = {"zensical": ["zensical", "build", "--clean", "--strict"], "mkdocs": ["mkdocs", "build", "--strict"]}


class _Loader(yaml.SafeLoader):
    """Reads mkdocs.yml as the builders do, their own tags apart."""


def in_navigation(entry: Any) -> Iterator[str]:
    """Yield the files of a navigation.

    >>> list(in_navigation([{"A": "a.md"}, {"B": ["b.md", {"C": "c.md"}]}]))
    ['a.md', 'b.md', 'c.md']
    """
    if isinstance(entry, str):
        yield entry
    for part in entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else ():
        yield from in_navigation(part)


def test_every_page_has_one_place_in_the_navigation() -> None:
    places = list(in_navigation(yaml.load(CONFIG.read_text(encoding="utf8"), _Loader)["nav"]))
    found = [path for path in GATHER["site_files"]() if path.suffix == ".md"]
    assert len(found) >= 50
    decisions = {path.as_posix() for path in found if path.parts[:2] == ("docs", "adr")}
    there = {path.as_posix() for path in found} - decisions | {"docs/adr/index.md"}
    missing, gone = sorted(there - set(places)), sorted(set(places) - there)
    assert (missing, gone) == ([], []), f"mkdocs.yml, nav: add {missing}, remove {gone}"
    assert len(places) == len(set(places))


def test_the_list_of_decisions_names_every_one() -> None:
    links = re.findall(r"^- \[.*\d{1,4}.+\]\((\d{4})-[\w-]+\.md\)$", GATHER["decisions"](), re.M)
    assert len(links) >= 30
    assert len(links) == len(list((PROJECT_DIR / "docs" / "adr").glob("*.md")))


@dataclass
class Page(HTMLParser):
    """What one built page holds: places that links can lead to, links, and files it loads."""

    places: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.places |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and given.get("rel") not in ("canonical", "next", "prev"):
            self.loaded.append(given["href"])
        elif "src" in given:
            self.loaded.append(given["src"])


def read_pages(site: Path) -> dict[Path, Page]:
    """Return every page of a built site."""
    found = {}
    for path in sorted(site.rglob("*.html")):
        found[path] = Page()
        found[path].feed(path.read_text(encoding="utf8"))
    return found


def wrong_links(site: Path, pages: dict[Path, Page]) -> list[str]:
    """Return the links and files of the pages that lead nowhere, and files loaded from other machines."""
    wrong = []
    for path, page in pages.items():
        if path.name == "404.html":  # for a server; its links begin with /
            continue
        for link in [*page.links, *page.loaded]:
            parts = urlsplit(link)
            if parts.scheme:
                wrong += [f"{path.relative_to(site)} loads {link}"] * (link in page.loaded and parts.scheme != "data")
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            ok = target.is_file() and (
                not parts.fragment or unquote(parts.fragment) in pages[target].places | {"__top"}
            )
            wrong += [] if ok else [f"{path.relative_to(site)} links to {link}"]
    return wrong


@pytest.fixture(scope="module", params=["zensical", pytest.param("mkdocs", marks=pytest.mark.slow)])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site in a folder of its own; returns where it is."""
    folder = tmp_path_factory.mktemp(request.param)
    GATHER["gather"](folder / "build" / "pages")
    (folder / "mkdocs.yml").write_bytes(CONFIG.read_bytes())
    program, *words = BUILDERS[request.param]
    command = [str(Path(sys.executable).parent / program), *words]
    env = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in (done.stdout + done.stderr).lower(), done.stdout + done.stderr
    return folder / "build" / "site"


def test_links_of_the_site_lead_somewhere(site: Path) -> None:
    pages = read_pages(site)
    assert len(pages) >= 50
    assert sum(len(page.links) for page in pages.values()) >= 2000
    assert wrong_links(site, pages) == []


def test_a_wrong_link_is_seen(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<h1 id="x">A</h1><a href="#x"></a><a href="#y"></a><a href="b.html"></a><a href="https://a.b"></a>'
        '<script src="https://c.d/e.js"></script><img src="f.png"><link rel="stylesheet" href="https://g.h/i.css">'
    )
    found = wrong_links(tmp_path, read_pages(tmp_path))
    assert [text.split()[-1] for text in found] == ["#y", "b.html", "https://c.d/e.js", "f.png", "https://g.h/i.css"]


@pytest.mark.slow
def test_the_site_is_read_from_disk_on_any_width(site: Path) -> None:
    shown = 0
    for width in (390, 1280):
        for scheme in ("light", "dark"):
            with browser_page(width, scheme=scheme) as page:
                for name in ("index.html", "docs/tutorial.html", "docs/reference.html"):
                    page.goto((site / name).as_uri())
                    page.wait_for_function("document.fonts.status === 'loaded'")
                    assert overflow(page) <= 0, f"{name}, {width} pixels, {scheme}"
                    shown += 1
    assert shown == 12


@pytest.mark.slow
def test_the_search_works_from_disk(site: Path) -> None:
    with browser_page() as page:
        page.goto((site / "docs" / "tutorial.html").as_uri())
        page.wait_for_timeout(1000)
        page.keyboard.press("/")
        page.wait_for_timeout(1000)
        page.keyboard.type("CutMix", delay=500)  # Zensical's field loses letters that come faster
        found = page.locator(r"text=/^\d+ (results|matching documents)$/").first
        found.wait_for(timeout=20_000)
        assert 3 <= int(found.inner_text().split()[0]) <= 60
