"""A Python in which the packages of the extra `report` are not installed, and the same for a test in this process."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path

import pytest

from maskcls.config import installed_extras
from maskcls.config.installed_extras import PACKAGES

GONE = PACKAGES["report"]
# Python imports it when it starts, also in the processes that the program itself starts.
SITECUSTOMIZE = f"""
import sys
from importlib.machinery import PathFinder

class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {GONE} else PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Without
"""
assert PathFinder in sys.meta_path


def run_without(folder: Path, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python with these words; `folder` gets the file that hides the packages."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(SITECUSTOMIZE)
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, *words],
        env=os.environ | {"PYTHONPATH": path},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def hide_report_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the checks of extras in this process find none of the packages."""
    monkeypatch.setattr(installed_extras, "find_spec", lambda name: None if name in GONE else find_spec(name))
