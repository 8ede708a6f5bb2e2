"""Copy the project's pages to build/pages, where mkdocs.yml reads them, with a list of decisions: python docs/gather.py

The pages stay where a reader of the repository looks for them: README.md and CONTRIBUTING.md at its top, others in
data/ and benchmarks/. MkDocs and Zensical read one folder only. The copy has the same layout, so links between pages
stay valid.
"""

from __future__ import annotations

import shutil
from pathlib import Path

PROJECT_DIR = Path(__file__).resolve().parents[1]
SHOWN = ("docs/pictures/*", "docs/site/*", "docs/cluster/*")
PAGES = ("*.md", "LICENSE", "data/*.md", "benchmarks/**/*.md", "docs/**/*.md", *SHOWN)


def site_files() -> list[Path]:
    """Return the files of the site, pages and what they show, relative to the project's folder."""
    found = {path for pattern in PAGES for path in PROJECT_DIR.glob(pattern)}
    return sorted(path.relative_to(PROJECT_DIR) for path in found)


def decisions() -> str:
    """Return a page that lists the decisions, each by its title."""
    pages = sorted((PROJECT_DIR / "docs" / "adr").glob("[0-9]*.md"))
    titles = [page.read_text(encoding="utf8").splitlines()[0].removeprefix("# ") for page in pages]
    lines = [f"- [{title}]({page.name})" for page, title in zip(pages, titles, strict=True)]
    return "\n".join(["# Decisions", "", "What could have been decided differently, with reasons.", "", *lines, ""])


def gather(target: Path) -> int:
    """Replace a folder by a copy of the site's files in their layout; returns their number."""
    shutil.rmtree(target, ignore_errors=True)
    files = site_files()
    for file in files:
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PROJECT_DIR / file, target / file)
    (target / "docs" / "adr" / "index.md").write_text(decisions(), encoding="utf8")
    return len(files)


if __name__ == "__main__":
    folder = PROJECT_DIR / "build" / "pages"
    print(f"{folder}: {gather(folder)} files")
