"""The parts of the test files: each file in one of them, and parts of about the same size."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest
import yaml
from file_part import FilePart, read_part
from project import PACKAGE_DIR, PROJECT_DIR

TEST_FILES = sorted((PROJECT_DIR / "tests").rglob("test_*.py"))


@pytest.mark.parametrize("parts", [1, 3, 7])
def test_every_file_is_in_one_part(parts: int) -> None:
    found = [[path for path in TEST_FILES if FilePart(i + 1, parts).holds(path)] for i in range(parts)]
    assert sorted(path for files in found for path in files) == TEST_FILES
    assert len(TEST_FILES) > 400
    assert all(0.7 < len(files) * parts / len(TEST_FILES) < 1.3 for files in found)


def test_the_part_of_a_file_is_that_of_its_path_in_the_project() -> None:
    """By coreutils, `printf tests/test_api.py | sha256sum` ends with 79, an odd number: the second of two parts."""
    assert FilePart(2, 2).holds(PROJECT_DIR / "tests" / "test_api.py")
    assert not FilePart(1, 2).holds(PROJECT_DIR / "tests" / "test_api.py")
    assert FilePart(0x9 + 1, 16).holds(PROJECT_DIR / "tests" / "test_api.py")  # the last hexadecimal digit


def test_files_of_other_parts_are_not_read_and_what_is_no_python_is_left_to_pytest() -> None:
    path = PACKAGE_DIR / "labels.py"
    every = [FilePart(i, 3) for i in (1, 2, 3)]
    (mine,) = (part for part in every if part.holds(path))
    others = [part for part in every if part != mine]
    assert mine.pytest_ignore_collect(path) is None
    assert [part.pytest_ignore_collect(path) for part in others] == [True, True]
    for other in (PACKAGE_DIR, PROJECT_DIR / "README.md", Path("/elsewhere/test_a.py")):
        assert [part.pytest_ignore_collect(other) for part in every] == [None] * 3


@pytest.mark.parametrize("text", ["", "0/3", "4/3", "1/0", "1", "1/3/5", "-1/3", "1/3\n", "ALL"])
def test_another_text_is_no_part(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=re.escape(repr(text))):
        read_part(text)


def test_a_part_is_read() -> None:
    assert read_part("2/3") == FilePart(2, 3)
    assert read_part("all") == FilePart(1, 1)


def test_the_workflow_runs_every_part_once() -> None:
    jobs = yaml.safe_load((PROJECT_DIR / ".github/workflows/ci.yml").read_text())["jobs"]
    (odd,) = (job for job in jobs.values() if any("make test-odd" in step.get("run", "") for step in job["steps"]))
    assert odd["steps"][-1] == {"run": "make test-odd PART=${{ matrix.part }}"}
    parts = [read_part(text) for text in odd["strategy"]["matrix"]["part"]]
    assert parts == [FilePart(number, len(parts)) for number in range(1, len(parts) + 1)]
    assert len(parts) == 3
