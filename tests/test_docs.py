"""The pages: links, paths, commands, options and settings exist, and phrases that readers stumbled over do not return.

Nothing is trained, except in the slow test that types every command of docs/after_training.md.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer.main
from project import CONFIGS_DIR, PACKAGE_DIR, PROJECT_DIR
from test_layers import RANK

from maskcls import cli, config
from maskcls.errors import MaskclsError
from maskcls.schema import Config

GLOSSARY = PROJECT_DIR / "docs" / "glossary.md"
PAGE_FOLDERS = ("docs", "data", "benchmarks")  # and the project's own folder, without its subfolders
GENERATED = {"docs/configuration.md"}  # has a test of its own
TABLES = {"benchmarks/methods.md", "benchmarks/full.md"}  # name the settings of a row one by one
PATH = re.compile(r"(?<![\w./~-])(?:maskcls|tests|configs|benchmarks|docs)/[\w./-]*\w/?")
TABLE_PATH = re.compile(r"`(maskcls/\w+(?:\.py|/))`(?=[^\n]*\|\n)")  # in a row of a table
SETTING = re.compile(r"[a-z_]+(?:\.[\w-]+)*=[^\s=]")
PLACEHOLDER = re.compile(r"[A-Z]+|\$\w+|…")

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
    "judge": r"\bjudg(?:e|es|ed|ing)\b",
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


# --- reading the pages


def pages() -> list[Path]:
    below = [path for folder in PAGE_FOLDERS for path in (PROJECT_DIR / folder).rglob("*.md")]
    return sorted([*PROJECT_DIR.glob("*.md"), *(path for path in below if name_of(path) not in GENERATED)])


def name_of(page: Path) -> str:
    return page.relative_to(PROJECT_DIR).as_posix()


def code_blocks(text: str) -> list[str]:
    """Return the fenced blocks without a language: commands, settings, listings."""
    return re.findall(r"^```\n(.*?)^```", text, re.M | re.S)


def inline_code(text: str) -> list[str]:
    """Return inline code, each on one line."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    return [" ".join(code.split()) for code in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose)]


def verbs() -> dict[str, set[str]]:
    """Return verb -> its options, such as "runs list" -> {"--base", "--sort", "--json", "--help"}."""
    return dict(_verbs(typer.main.get_command(cli.app), ""))


def _verbs(command: Any, path: str) -> Iterator[tuple[str, set[str]]]:
    for name, child in command.commands.items():
        if hasattr(child, "commands"):
            yield from _verbs(child, f"{path}{name} ")
        else:
            options = [opt for p in child.params for opt in (*p.opts, *p.secondary_opts) if opt.startswith("-")]
            yield path + name, {*options, "--help", "-h"}


def command_lines(text: str) -> list[list[str]]:
    """Return the words after `maskcls` of every command on a page, and of inline code that begins with a verb."""
    lines = [line for block in code_blocks(text) for line in re.sub(r"\\\n\s*", " ", block).splitlines()]
    found = []
    for line in [*lines, *inline_code(text)]:
        for part in re.split(r"&&|;", re.sub(r"(?:^|\s)#.*", "", line)):
            if "maskcls" in part.split():
                words = words_of(part)
                found.append(words[words.index("maskcls") + 1 :])
    first = {verb.split()[0] for verb in verbs()}
    short = [words_of(code) for code in inline_code(text) if code.split()[0] in first]
    return [*found, *(words for words in short if any(word.startswith("--") for word in words))]


def words_of(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:  # an apostrophe in a listing
        return line.split()


def verb_of(words: Sequence[str]) -> list[str]:
    """Return the verbs that a command line names: two for `runs list|note`, none for `--help` or a group alone.

    >>> verb_of(["runs", "list|note", "runs/a"]), verb_of(["data"]), verb_of(["data", "look"]), verb_of(["trian", "a"])
    (['runs list', 'runs note'], [], ['data look'], ['trian'])
    """
    known = verbs()
    groups = {verb.rpartition(" ")[0] for verb in known} | {verb.partition(" ")[0] for verb in known if " " in verb}
    named = [""]
    for word in words:
        named = [f"{name} {part}".strip() for name in named for part in word.split("|")]
        if all(name in known for name in named) or not set(named) & groups:
            return [name for name in named if not name.startswith("-")]
    return []


def settings_of(line: str) -> list[str]:
    """Return the settings of a line as a shell passes them; empty unless the line begins with a setting.

    Raises ValueError where a shell would read something else than was meant, for want of quotes.

    >>> settings_of("age.head=fine 'age.fine_bins=[20, 30]'")
    ['age.head=fine', 'age.fine_bins=[20, 30]']
    >>> settings_of("mask=0.9,age=0.8"), settings_of('rare="loss.age=f1 sampler.power=1"')
    ([], [])
    """
    if not SETTING.match(line.lstrip("'")) or not is_key(line.lstrip("'").partition("=")[0]):
        return []
    words = shlex.split(line)
    if re.search(r"[][(){}*<>|&;]", re.sub(r"'[^']*'", "", line)) or not all(SETTING.match(word) for word in words):
        raise ValueError(f"put quotes around it: {line}")
    return words


def is_key(text: str) -> bool:
    """Tell whether a word before `=` means a setting, right or wrong; `mask` of `mask=0.9,age=0.8` does not."""
    return "." in text or text in leaf_names() or text in Config.model_fields


def leaf_names() -> set[str]:
    """Return the last parts of all dotted keys, such as `lr` of `optim.lr`."""
    keys = config.flatten(Config().model_dump(mode="json"))
    return {key.rpartition(".")[2] for key in keys if "." in key} - Config.model_fields.keys()


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


# --- commands and settings


def test_commands_and_options_exist() -> None:
    known, seen, options = verbs(), 0, 0
    for page in pages():
        for words in command_lines(page.read_text(encoding="utf8")):
            for verb in [] if words and PLACEHOLDER.fullmatch(words[0]) else verb_of(words):
                assert verb in known, f"{name_of(page)}: maskcls {' '.join(words)}"
                given = {word.partition("=")[0] for word in words if word.startswith("-")}
                assert given <= known[verb], f"{name_of(page)}: {verb} has no {given - known[verb]}"
                seen, options = seen + 1, options + len(given)
    assert seen >= 90, seen
    assert options >= 80, options


def test_options_named_alone_exist() -> None:
    anywhere = {option for options in verbs().values() for option in options} | {"--version", "--nproc_per_node"}
    own = {"--enabled"}  # of a sentence about what we do not write
    seen = 0
    for page in pages():
        if page.parent.name == "benchmarks":  # names options of its own programs too
            continue
        for code in inline_code(page.read_text(encoding="utf8")):
            if code.startswith("--"):
                seen += 1
                assert code.split()[0].partition("=")[0] in anywhere | own, f"{name_of(page)}: {code}"
    assert seen >= 15, seen


def test_settings_are_accepted_as_written() -> None:
    seen = 0
    for page in (page for page in pages() if name_of(page) not in TABLES):
        text = page.read_text(encoding="utf8")
        lines = [*inline_code(text), *(line for block in code_blocks(text) for line in block.splitlines())]
        for line in lines:
            if found := settings_of(line):
                seen += len(found)
                assert refusal(found) is None, f"{name_of(page)}: {refusal(found)}"
    assert seen >= 70, seen


def test_settings_of_commands_are_accepted_as_written() -> None:
    seen = 0
    for page in pages():
        for words in command_lines(page.read_text(encoding="utf8")):
            found = [word for word in words if SETTING.match(word) and is_key(word.partition("=")[0])]
            seen += len(found)
            base = words[words.index("--config") + 1] if "--config" in words else "multi"
            if not (CONFIGS_DIR / f"{base}.yaml").exists():
                continue
            refused = refusal(found, base)
            assert refused is None, f"{name_of(page)}: {' '.join(words)}: {refused}"
    assert seen >= 15, seen


def refusal(settings: Sequence[str], base: str = "multi") -> str | None:
    """Return why settings cannot be typed on top of a configuration, or None. Words in capitals stand for a value."""
    real = [text for text in settings if not PLACEHOLDER.fullmatch(text.partition("=")[2])]
    bare = [text for text in real if "." not in text.partition("=")[0] and text.partition("=")[0] in leaf_names()]
    if bare:
        return f"{bare} without a section"
    try:
        config.load(config.find(Path(base)), real)
    except MaskclsError as error:
        return "; ".join(error.lines())
    return None


@pytest.mark.parametrize(
    "wrong",
    ["train_bins=[29, 58]", "draw=weighted", "optim.lrr=1", "loss.all=focall", "age.head=fine", "epoch_fraction=0.25"],
)
def test_a_setting_that_cannot_be_typed_is_seen(wrong: str) -> None:
    assert refusal([wrong]) is not None


def test_a_setting_that_needs_quotes_is_seen() -> None:
    for wrong in ("age.train_bins=[29, 58]", "loss.all=0.5*ce+f1", "loss.all=focal(gamma=1)", "optim.lr=1 or more"):
        with pytest.raises(ValueError, match="quotes"):
            settings_of(wrong)


def expanded(word: str, folder: Path) -> list[str]:
    """Return a word as a shell expands it in a folder: a pattern becomes the files of that name."""
    return sorted(str(path.relative_to(folder)) for path in folder.glob(word)) if "*" in word else [word]


@pytest.mark.slow
def test_every_command_of_a_page_runs_as_written(tmp_path: Path) -> None:
    """Type docs/after_training.md from the first command to the last, in an empty folder."""
    text = (PROJECT_DIR / "docs" / "after_training.md").read_text(encoding="utf8")
    lines = [line for block in code_blocks(text) for line in block.splitlines() if line.startswith("maskcls ")]
    for line in lines:
        words = [word for typed in shlex.split(line) for word in expanded(typed, tmp_path)]
        done = subprocess.run([sys.executable, "-m", *words], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    assert len(lines) >= 20, lines


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
    files = sorted([*PACKAGE_DIR.rglob("*.py"), *(PROJECT_DIR / "benchmarks").rglob("*.py")])
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
