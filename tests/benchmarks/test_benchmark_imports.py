"""Every script of benchmarks/ can be imported: it asks for nothing of the package that does not exist."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
from project import BENCHMARKS_DIR

SCRIPTS = sorted(path.relative_to(BENCHMARKS_DIR).as_posix() for path in BENCHMARKS_DIR.rglob("*.py"))


def test_no_script_is_missed() -> None:
    assert len(SCRIPTS) >= 30


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_imported(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    script = BENCHMARKS_DIR / name
    before = set(sys.modules)
    monkeypatch.syspath_prepend(BENCHMARKS_DIR)
    monkeypatch.syspath_prepend(script.parent)  # as for a script that is started
    try:
        runpy.run_path(str(script))
    finally:
        for new in set(sys.modules) - before:  # such as benchmarks/data.py as `data`
            if BENCHMARKS_DIR in Path(getattr(sys.modules[new], "__file__", None) or "/").parents:
                del sys.modules[new]
