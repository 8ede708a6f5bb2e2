"""Every command, option and setting that the pages name exists, and is accepted by the command line as it is written.

Nothing is run; tests/docs/test_commands_run.py does that.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
import typer.main
from pages import (
    SETTING,
    code_blocks,
    command_lines,
    inline_code,
    is_key,
    leaf_names,
    name_of,
    pages,
    settings_of,
    texts_with_commands,
    typed_commands,
    verb_of,
    verbs,
)
from project import CONFIGS_DIR

from maskcls import cli, config
from maskcls.errors import MaskclsError
from maskcls.layoutnames import LayoutName
from maskcls.tuning.space.check_space import check_search_space
from maskcls.tuning.space.space_file import read_space

TABLES = {"benchmarks/methods.md", "benchmarks/full.md"}  # name the settings of a row one by one
SHORT = {"epochs=3", "epoch=3", "kind=cutmix", "lr=1e-4"}  # examples on pages that say a section may be left out
PLACEHOLDER = re.compile(r"[A-Z]+|\$\w+|…")


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
    anywhere = {option for options in verbs().values() for option in options} | {"--version"}
    own = {"--enabled"}  # of a sentence about what we do not write
    own |= {"--lr", "--shm-size"}  # of an error; of docker
    own |= {"--nproc_per_node", "--local_addr"}  # of torchrun
    own |= {"--multi_gpu", "--cpu", "--requeue", "--ntasks-per-node"}  # of accelerate; of sbatch
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
    if short := [text for text in real if text.partition("=")[0] in leaf_names() and text not in SHORT]:
        return f"{short} without a section"
    layouts = [[], *([f"data.format={name}"] for name in get_args(LayoutName))]  # some settings are of one layout
    tried = [_refused([*real, *layout], base) for layout in layouts[: 1 if "data.format" in str(real) else None]]
    return None if None in tried else tried[0]


def _refused(settings: Sequence[str], base: str) -> str | None:
    try:
        config.load(config.find(Path(base)), settings)
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


# --- whole commands, read by the command line itself


@cache
def command_line() -> Any:
    return typer.main.get_command(cli.app)


def parsed(command: str) -> dict[str, Any]:
    """Return what the command line reads from a command: the values of all its parameters. Errors are typer's."""
    words = shlex.split(re.sub(r"\$\w+", "0", command))
    words, verb = words[words.index("maskcls") + 1 :], command_line()
    while hasattr(verb, "commands"):
        name, *words = words
        assert name in verb.commands, f"no verb {name}: {command}"
        verb = verb.commands[name]
    return dict(verb.make_context(verb.name, words).params)


def test_whole_commands_are_read() -> None:
    seen = 0
    for name, text in texts_with_commands().items():
        for command in typed_commands(text):
            try:
                parsed(command)
            except Exception as error:  # typer's own exception types are private
                pytest.fail(f"{name}: {command}: {error}")
            seen += 1
    assert seen >= 145, seen


@pytest.mark.parametrize(
    "wrong",
    [
        *(
            "maskcls train",
            "maskcls train faces --confg multi",
            "maskcls unseal",
            "maskcls trian faces",
        ),
        *("maskcls runs prune --keep five", "maskcls data", "maskcls evaluate a.csv b.csv --answers c.csv d.csv"),
    ],
)
def test_a_command_that_cannot_be_read_is_seen(wrong: str) -> None:
    with pytest.raises((Exception, AssertionError)):
        parsed(wrong)


def test_configurations_on_pages_are_accepted(tmp_path: Path) -> None:
    seen = 0
    for page in pages():
        for block in code_blocks(page.read_text(encoding="utf8"), "yaml"):
            file = tmp_path / f"{seen}.yaml"
            file.write_text(block, encoding="utf8")
            if page.name == "tuning.md":  # a space of settings
                check_search_space(read_space(file), config.load(config.find(Path("multi")))[0], where=name_of(page))
            else:
                config.load(file)
            seen += 1
    assert seen >= 1, seen
