"""docs/errors.md is what docs/errors.py prints; every error of the package is on it, with what to do."""

from __future__ import annotations

import ast
import re
import runpy
import sys
from typing import Any

import pytest
from project import PACKAGE_DIR, PROJECT_DIR
from test_docs import BANNED, BANNED_ON_PAGES, stumbles

from maskcls.errors import Exit, MaskclsError

PAGE = (PROJECT_DIR / "docs" / "errors.md").read_text(encoding="utf8")
WRITER = runpy.run_path(str(PROJECT_DIR / "docs" / "errors.py"))
# Errors without a fix and without an expected value -> where what to do is said.
CURE_ELSEWHERE = {
    "N settings are wrong": "each of the listed settings says what is expected",
    "gone, or changed by hand: …": "a line of `runs list`; no command ends with it",
    "made by an earlier maskcls, cannot be continued: no plans in env.json": "as above",
    "an error in the report": "a warning at the end of a training, which names the command that writes the page again",
}


def raised() -> tuple[Any, ...]:
    """Return every place of the package that makes an error; read when a test asks, as it takes seconds, and once."""
    found: tuple[Any, ...] = WRITER["raised_errors"]()
    return found


def test_the_page_is_current() -> None:
    assert WRITER["error_page"]() == PAGE, f"fix: {WRITER['COMMAND']}"


def test_no_error_of_the_package_is_left_out() -> None:
    """Counted in another way: by the text of the source."""
    kinds = "|".join(kind.__name__ for kind in MaskclsError.__subclasses__())
    files = [path for path in PACKAGE_DIR.rglob("*.py") if path.name != "errors.py" or path.parent != PACKAGE_DIR]
    calls = [re.findall(rf"\b(?:{kinds}|MaskclsError|FileKind)\(", path.read_text(encoding="utf8")) for path in files]
    assert sum(map(len, calls)) == len(raised())
    assert len(raised()) >= 540
    on_page = {" ".join(text.replace("\\", "").split()) for text in re.findall(r"^\| (.*?) \|", PAGE, re.M)}
    shown = [one for one in raised() if not one.passes_on]
    assert [one for one in shown if not any(row.startswith(one.texts["what"][0]) for row in on_page)] == []
    assert len(raised()) - len(shown) <= 10


def test_every_error_says_what_to_do() -> None:
    without = {one.texts["what"][0] for one in raised() if not one.texts["fix"] and not one.texts["expected"]}
    assert without == CURE_ELSEWHERE.keys()


def test_every_topic_and_every_exit_code_has_its_part() -> None:
    for code in Exit:
        assert (f"\n## {int(code)}: " in PAGE) == (code != Exit.OK)
    for topic in WRITER["TOPICS"]:
        assert f"\n### {topic}\n" in PAGE
    assert PAGE.count("\n$ maskcls ") >= 60


def test_links_lead_somewhere() -> None:
    headings = {WRITER["anchor"](title) for title in re.findall(r"^## (.*)", PAGE, re.M)}
    links = re.findall(r"\]\(([^)]+)\)", PAGE)
    assert len(links) >= 15
    for link in links:
        file, _, part = link.partition("#")
        assert (PROJECT_DIR / "docs" / file).exists()
        assert file or part in headings, link


def test_messages_hold_no_banned_phrase() -> None:
    assert stumbles(PAGE, BANNED | BANNED_ON_PAGES) == []


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ('"a" + f"b{len(x)}"', ("abN",)),
        ('"a" if x else "b"', ("a", "b")),
        ("LOCAL", ("one", "two")),
        ("parameter", ("given",)),
        ("repr(x)", ("…",)),
    ],
)
def test_texts_of_expressions(source: str, texts: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    reading = sys.modules["raised_errors"]
    code = """
def f(parameter):
    if x:
        LOCAL = "one"
    else:
        LOCAL = "two"
    pass

def g():
    f("given")
"""
    monkeypatch.setattr(reading, "tree", lambda _: ast.parse(code))
    function = next(iter(reading.functions("any")))
    scope = reading.Scope("any", function, 7)
    assert scope.texts(ast.parse(source, mode="eval").body) == texts
