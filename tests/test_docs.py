"""The pages: links and paths exist, and phrases that readers stumbled over do not return.

Commands and settings: tests/docs/.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from pages import code_blocks, inline_code, name_of, pages
from project import CONFIGS_DIR, PACKAGE_DIR, PROJECT_DIR
from test_layers import RANK

GLOSSARY = PROJECT_DIR / "docs" / "glossary.md"
PATH = re.compile(r"(?<![\w./~-])(?:maskcls|tests|configs|benchmarks|docs)/[\w./-]*\w/?")
CONFLICT = re.compile(r"^(?:<{7} .*|={7}|>{7} .*)$", re.MULTILINE)
TABLE_PATH = re.compile(r"`(maskcls/\w+(?:\.py|/))`(?=[^\n]*\|\n)")  # in a row of a table

# Each pattern: one phrase that readers stumbled over. The left part of "one row a photo" is a list, because "gives each
# photo a class" is good English.
COUNTED = (
    "adapter|answer|batch|column|core|direction|dot|experiment|file|generator|head|hundred|idea|image|job|label|labels|"
    "line|member|minutes|ms|network|pack|photo|photos|process|row|run|seconds|sentence|set|sigmoid|"
    "table|temperature|thread|threshold|training|variance|weight|workflow"
)
PER = (
    "batch|bin|boundary|class|core|data set|epoch|fold|head|image|joint class|line|member|network|person|photo|pixel|"
    "process|row|run|sample|seed|step|task|verb|view"
)
BANNED = {
    "a for per": rf"\b(?:{COUNTED}) an? (?:{PER})\b",
    "currency": r"\bcurrency\b",
    "door": r"\bfront door\b|\| door \|",
    "ground floor": r"\bground (?:floor|in |level)|\bthe floors\b",
    "house": r"\b(?:the|our) house\b|\bhouse plan\b",
    "sidecar tells": r"\bsidecars? (?:tells?|says?|knows?)\b",
    "nobody can judge": r"\bnobody can judge\b|\bnobody judges\b",
    "the truth is": r"\btruth is (?:missing|known|unknown)\b",
    "answer together": r"\banswers? together\b|\banswer as one\b|\banswers? alone\b",
    "by look": r"\bby look\b|\blook alone\b",
    "clear of 0": r"\bclear of 0\b|\bholds 0\b",
    "probabilities believed": r"\bbe believed\b|\bbelievable\b",
    "is worth": r"\b(?:are|is|was|be) (?:it )?worth (?!reading)|\bnot worth it\b|\bwhat \w+ is worth\b",
    "anew": r"\banew\b",
    "dealt": r"\bare dealt\b|\bdeals? them\b",
    "leaves": r"\bhow every error leaves\b",
    "stands": r"\bstands? (?:twice|more than once|alone|beside|below)\b|\bstand(?:s|ing)? on (?:the|disk)\b",
    "tells": r"\btells? (?:of|how|which|why|what)\b",
    "ours": r"\b(?:no|none of|not) ours\b|\b(?:is|are) not for us\b",
    "learnt": r"\blearnt\b",
    "had": r"\bcannot be had\b|\bat hand\b|\bto spare\b|\bin force\b",
    "shared out": r"\bshared? out\b|\bearns? its place\b|\bcomes? up again\b",
    "persons": r"\bfell silent\b|\bcalls? home\b|\bflatters?\b|\bchatter\b|\bhangs? on\b|\bgoes without saying\b",
    "door of code": r"\bown door\b|\bon the way out\b|\bleaves? with\b|\bas a rule\b",
    "judge": r"(?<![._/\"])(?<!synth )\bjudg(?:e|es|ed|ing)\b",  # synth judge is a verb
    "alike": r"\balike\b",
    "teacher": r"\bteachers?\b",
    "in all": r"\bin all: ",
    "loss without": r"\bloss without\b",
    "pays": r"\bif it pays\b|\bdoes it pay\b|\b(?:that|which|views) pays?\b",
}


# Only on pages: a docstring may use these words in another sense.
BANNED_ON_PAGES = {
    "way to compute": r"\bhow to compute\b|\bways? (?:to compute|of computing)\b",
    "enters the network": r"\b(?:enters|entered) the network\b",
    "after the winners": r"\b(?:experiments|recipes) after the\b",
    "walk": r"\bfirst walk\b",
    "golden rules": r"\bgolden rules?\b",
    "overlay": r"\boverlay\b",
    "silence": r"\bin silence\b",
    "at once": r"\bat once\b",
    "whatever": r"\bwhatever\b",
    "honest": r"\bhonest\b",
    "stand for": r"\bstands? for\b",
}


# --- paths and links


def test_relative_links_lead_somewhere() -> None:
    seen = 0
    for page in pages():
        for target in re.findall(r"(?:\]\(|src=\")([^)\s\"]+)[)\"]", page.read_text(encoding="utf8")):
            if re.match(r"[a-z]+:|#", target):
                continue
            seen += 1
            assert (page.parent / target.partition("#")[0]).exists(), f"{name_of(page)} links to {target}"
    assert seen >= 35, seen


def test_no_file_holds_both_sides_of_a_merge() -> None:
    seen = 0
    for file in [*pages(), *PACKAGE_DIR.rglob("*.py"), *PACKAGE_DIR.rglob("*.j2"), *CONFIGS_DIR.rglob("*.yaml")]:
        seen += 1
        found = CONFLICT.findall(file.read_text(encoding="utf8"))
        assert not found, f"{name_of(file)} holds a merge that was not finished: {found}"
    assert seen >= 500, seen


def test_named_paths_exist() -> None:
    seen = 0
    for page in pages():
        text = page.read_text(encoding="utf8")
        for path in PATH.findall("\n".join([*code_blocks(text), *inline_code(text)])):
            seen += 1
            assert (PROJECT_DIR / path).exists(), f"{name_of(page)} names {path}"
    assert seen >= 100, seen


def test_a_path_that_is_missing_is_seen() -> None:
    found = PATH.findall("see maskcls/nowhere.py and ~/.cache/maskcls/x, tests/data/, configs/recipes/union.yaml.")
    assert found == ["maskcls/nowhere.py", "tests/data/", "configs/recipes/union.yaml"]


def test_the_index_of_places_is_long_enough() -> None:
    text = (PROJECT_DIR / "docs" / "README.md").read_text(encoding="utf8")
    section = text.partition("## Where would I change")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 15
    assert [row for row in rows if not PATH.search(row)] == []


def import_order(text: str) -> list[set[str]]:
    """Return the units of the import order that CONTRIBUTING.md prints, the highest first.

    >>> import_order("```\\ncli > {nn, data}\\n    > errors\\n```\\n") == [{"cli"}, {"nn", "data"}, {"errors"}]
    True
    """
    (block,) = [block for block in code_blocks(text) if block.startswith("cli > ")]
    return [set(re.findall(r"\w+", part)) for part in block.split(">")]


def test_the_printed_import_order_is_the_enforced_one() -> None:
    by_rank: dict[int, set[str]] = {}
    for unit, rank in RANK.items():
        if unit != "__main__":
            by_rank.setdefault(rank, set()).add(unit)
    printed = import_order((PROJECT_DIR / "CONTRIBUTING.md").read_text(encoding="utf8"))
    assert len(printed) >= 10
    assert printed == [by_rank[rank] for rank in sorted(by_rank, reverse=True)]


def test_the_table_of_packages_names_every_package() -> None:
    text = (PROJECT_DIR / "docs" / "README.md").read_text(encoding="utf8")
    section = text.partition("## Packages")[2].partition("| inside")[0]
    named = {Path(path).relative_to("maskcls").parts[0].removesuffix(".py") for path in TABLE_PATH.findall(section)}
    assert named == RANK.keys() - {"__main__"}


# --- words


def test_the_glossary_stays_short() -> None:
    lines = GLOSSARY.read_text(encoding="utf8").splitlines()
    terms = [line.split("|")[1].strip() for line in lines if line.startswith("| ")][1:]
    assert len(lines) <= 40
    assert len(terms) >= 25
    assert len(set(terms)) == len(terms)


def stumbles(text: str, banned: Mapping[str, str] = BANNED) -> list[str]:
    """Return the banned phrases in a text, each as it stands there."""
    plain = " ".join(text.split())
    return [match.group() for pattern in banned.values() for match in re.finditer(pattern, plain, re.I)]


def test_pages_hold_no_banned_phrase() -> None:
    found = pages()
    assert len(found) >= 20
    banned = BANNED | BANNED_ON_PAGES
    assert {name_of(page): bad for page in found if (bad := stumbles(page.read_text(encoding="utf8"), banned))} == {}


def test_code_holds_no_banned_phrase() -> None:
    files = sorted(
        [*PACKAGE_DIR.rglob("*.py"), *(PROJECT_DIR / "benchmarks").rglob("*.py"), *(PROJECT_DIR / "soak").rglob("*.py")]
    )
    assert len(files) >= 100
    bad = {str(file.relative_to(PROJECT_DIR)): stumbles(file.read_text(encoding="utf8")) for file in files}
    assert {name: phrases for name, phrases in bad.items() if phrases} == {}


@pytest.mark.parametrize(
    "bad",
    [
        *(
            "one network a fold",
            "the labels a fold",
            "one row a\nphoto",
            "the one currency",
            "the sidecar tells of no run",
        ),
        *("nobody can judge it", "the truth is missing", "photos answer together", "is not clear of 0", "chosen anew"),
        *("groups by look alone", "not worth it", "the ground floor", "the house", "people are dealt into folds"),
        *("be believed", "how every error leaves", "| door | cli.py", "which views pay"),
        *("an id stands twice", "tells how it was made", "the file is none of ours", "can be learnt", "cannot be had"),
        *("as it is judged", "photos look alike", "the teacher's labels", "2 in all: row 0", "the loss without it"),
        *("strata are shared out", "a worker fell silent", "the dict's own door"),
    ],
)
def test_a_banned_phrase_is_seen(bad: str) -> None:
    assert stumbles(f"before {bad} after")


@pytest.mark.parametrize(
    "bad",
    [
        *("speed of each way to compute", "How to compute", "what entered the network", "recipes after the winners"),
        *("for several tasks at once", "whatever its name", "one honest score", "`DATA` stands for ours"),
        *("A first walk", "Golden rules", "corrections are an overlay", "must not pass in silence"),
    ],
)
def test_a_phrase_that_is_banned_on_pages_is_seen(bad: str) -> None:
    assert stumbles(f"before {bad} after", BANNED_ON_PAGES)
    assert stumbles(f"before {bad} after") == []


def test_good_phrases_are_not_banned() -> None:
    good = "one network per fold; each photo gets a class; a run on disk; the background; worth reading; name a task"
    assert stumbles("a letter stands for a size; share the cache; learned weights; tell apart; leave it out") == []
    assert stumbles(good) == stumbles("copy a data set; the floor of 0; no intervals hold 0") == []
