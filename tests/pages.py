"""The project's pages as text: code blocks, inline code, and the commands and settings in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import typer.main
from project import CONFIGS_DIR, PROJECT_DIR

from maskcls import cli, config
from maskcls.schema import Config

PAGE_FOLDERS = ("docs", "data", "benchmarks")  # and the project's own folder, without its subfolders
GENERATED = {"docs/configuration.md", "docs/errors.md", "docs/reference.md"}  # each has a test of its own
SETTING = re.compile(r"[a-z_]+(?:\.[\w-]+)*=[^\s=]")


def pages() -> list[Path]:
    below = [path for folder in PAGE_FOLDERS for path in (PROJECT_DIR / folder).rglob("*.md")]
    return sorted([*PROJECT_DIR.glob("*.md"), *(path for path in below if name_of(path) not in GENERATED)])


def name_of(page: Path) -> str:
    return page.relative_to(PROJECT_DIR).as_posix()


def fences(text: str) -> list[tuple[str, str]]:
    r"""Return the language and the content of every fenced block; "" where no language is given.

    >>> fences("```csv\na,b\n```\ntext\n```\nmaskcls x\n```\n")
    [('csv', 'a,b\n'), ('', 'maskcls x\n')]
    """
    return [(lang, body) for lang, body in re.findall(r"^```([^\n`]*)\n(.*?)^```$", text, re.M | re.S)]


def code_blocks(text: str, language: str = "") -> list[str]:
    """Return the fenced blocks of a language; those without one hold commands, settings and listings."""
    return [body for lang, body in fences(text) if lang == language]


def inline_code(text: str) -> list[str]:
    """Return inline code, each on one line."""
    return [" ".join(code.split()) for code in re.findall(r"(?<!`)`([^`]+)`(?!`)", without_fences(text))]


@cache
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


# --- whole commands, as they are typed


def texts_with_commands() -> dict[str, str]:
    """Return the text of every page, and of the header of every shipped configuration, by its path."""
    headers = sorted(CONFIGS_DIR.rglob("*.yaml"))
    return {name_of(path): path.read_text(encoding="utf8") for path in [*pages(), *headers]}


def typed_commands(text: str) -> list[str]:
    r"""Return the whole commands of a page or of a header, without comments: those of code blocks, none of inline code.

    >>> typed_commands("```\nmaskcls a \\\n    -o b  # c\nmaskcls d && maskcls e\nmaskcls VERB\n```\n\n    maskcls f\n")
    ['maskcls a -o b', 'maskcls d', 'maskcls e', 'maskcls f']
    """
    indented = re.findall(r"^    (.*)", without_fences(text), re.M)
    lines = [*joined("".join(code_blocks(text))), *joined("\n".join(indented))]
    lines += re.findall(r"^# command +(.*)", text, re.M)
    parts = [part.strip() for line in lines for part in re.sub(r"(?:^|\s)#.*", "", line).split("&&")]
    return [part for part in parts if re.match(r"(?:torchrun .*-- )?maskcls [a-z-]", part)]


def joined(text: str) -> list[str]:
    return re.sub(r"\s*\\\n\s*", " ", text).splitlines()


def without_fences(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
