"""Every script of benchmarks/ can be imported, and takes the arguments that the pages name."""

from __future__ import annotations

import argparse
import re
import runpy
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pages import code_blocks, inline_code, joined, texts_with_commands, without_fences
from project import BENCHMARKS_DIR

SCRIPTS = sorted(path.relative_to(BENCHMARKS_DIR).as_posix() for path in BENCHMARKS_DIR.rglob("*.py"))


class Parsed(BaseException):
    """The arguments were accepted; nothing else of the script is run."""


@pytest.fixture(autouse=True)
def no_module_stays() -> Iterator[None]:
    """Forget modules of benchmarks/, such as data.py as `data`; hide those of tests/ with the same names."""
    names = {Path(script).stem for script in SCRIPTS}
    hidden = {name: sys.modules.pop(name) for name in names & sys.modules.keys()}
    before = set(sys.modules)
    yield
    for new in set(sys.modules) - before:
        if BENCHMARKS_DIR in Path(getattr(sys.modules[new], "__file__", None) or "/").parents:
            del sys.modules[new]
    sys.modules.update(hidden)


def start(name: str, monkeypatch: pytest.MonkeyPatch, run_name: str = "imported") -> None:
    script = BENCHMARKS_DIR / name
    monkeypatch.syspath_prepend(BENCHMARKS_DIR)
    monkeypatch.syspath_prepend(script.parent)  # as for a script that is started
    runpy.run_path(str(script), run_name=run_name)


def test_no_script_is_missed() -> None:
    assert len(SCRIPTS) >= 30


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_imported(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    start(name, monkeypatch)


def documented() -> list[str]:
    """Return the commands of all pages that start a script of benchmarks/, without comments."""
    found: dict[str, None] = {}
    for text in texts_with_commands().values():
        lines = [*inline_code(text), *joined("".join(code_blocks(text)))]
        lines += joined("\n".join(re.findall(r"^    (.*)", without_fences(text), re.M)))
        found |= dict.fromkeys(re.sub(r"\s+#.*", "", line) for line in lines if line.startswith("python benchmarks/"))
    return [line for line in found if "…" not in line and "[" not in line]


def test_most_scripts_are_documented() -> None:
    assert len(documented()) >= 25


@pytest.mark.slow
@pytest.mark.parametrize("line", documented())
def test_documented_arguments_are_accepted(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def ending(real: Callable[..., Any]) -> Callable[..., Any]:
        def parse(self: argparse.ArgumentParser, *given: Any) -> None:
            real(self, *given)
            raise Parsed

        return parse

    for name in ("parse_args", "parse_intermixed_args"):
        monkeypatch.setattr(argparse.ArgumentParser, name, ending(getattr(argparse.ArgumentParser, name)))
    words = shlex.split(line)[1:]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(Parsed):
        start(words[0].removeprefix("benchmarks/"), monkeypatch, "__main__")
