"""The rules for the contents of a wheel and an sdist, on lists and metadata made by hand."""

from __future__ import annotations

import tomllib
import zipfile
from pathlib import Path

import contents
import pytest
import same_files
from project import PROJECT_DIR

TRACKED = ("LICENSE", "README.md", "Makefile", "configs/multi.yaml", "maskcls/cli.py", "maskcls/py.typed", "tests/a.py")
PROJECT = {
    "license": "Apache-2.0",
    "license-files": ["LICENSE"],
    "requires-python": ">=3.11",
    "optional-dependencies": {"serve": [], "export": []},
    "classifiers": ["Typing :: Typed"],
}
METADATA = """Metadata-Version: 2.4
Name: maskcls
Version: 1.2.3
License-Expression: Apache-2.0
License-File: LICENSE
Classifier: Typing :: Typed
Requires-Python: >=3.11
Provides-Extra: export
Provides-Extra: serve
Description-Content-Type: text/markdown

# The page
"""


def test_a_wheel_has_the_package_with_the_configurations_inside_and_no_test() -> None:
    assert contents.wheel_files(TRACKED) == {"maskcls/configs/multi.yaml", "maskcls/cli.py", "maskcls/py.typed"}


def test_an_sdist_has_what_its_patterns_name() -> None:
    found = contents.sdist_files((*TRACKED, ".ci/run", "docs/a.md", "docsx/b.md"), ["/maskcls", "/docs", "/*.md"])
    assert found == {"LICENSE", "README.md", "maskcls/cli.py", "maskcls/py.typed", "docs/a.md"}


def test_missing_and_unwanted_files_are_named() -> None:
    found = contents.differences({"a", "maskcls/__pycache__/x.pyc"}, {"a", "maskcls/py.typed"}, "w.whl")
    assert found == ["w.whl: maskcls/py.typed is missing", "w.whl: maskcls/__pycache__/x.pyc should not be in it"]


def test_right_metadata_has_no_fault() -> None:
    assert contents.metadata_faults(METADATA.encode(), PROJECT, "1.2.3", "# The page\n") == []


@pytest.mark.parametrize(
    ("line", "instead", "fault"),
    [
        ("Version: 1.2.3", "Version: 1.2.4", "METADATA: Version is"),
        ("License-File: LICENSE\n", "", "METADATA: License-File is None"),
        ("Provides-Extra: serve\n", "", "METADATA: Provides-Extra is"),
        ("text/markdown", "text/plain", "METADATA: Description-Content-Type is"),
        ("# The page", "", "METADATA: the description is not README.md"),
    ],
)
def test_wrong_metadata_is_named(line: str, instead: str, fault: str) -> None:
    (found,) = contents.metadata_faults(METADATA.replace(line, instead).encode(), PROJECT, "1.2.3", "# The page\n")
    assert found.startswith(fault)


def test_files_that_differ_between_two_wheels_are_named(tmp_path: Path) -> None:
    wheels = [tmp_path / "a.whl", tmp_path / "b.whl"]
    for wheel, files in zip(wheels, ({"x": "1", "y": "2"}, {"x": "1", "y": "3", "z": ""}), strict=True):
        with zipfile.ZipFile(wheel, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
    first, second = map(same_files.content, wheels)
    assert same_files.different(first, first) == []
    assert same_files.different(first, second) == ["y", "z"]


def test_the_systems_are_those_with_the_locks_that_a_run_needs() -> None:
    """`fcntl`, which locks a run, is not on Windows."""
    named = tomllib.loads((PROJECT_DIR / "pyproject.toml").read_text())["project"]["classifiers"]
    systems = [one.removeprefix("Operating System :: ") for one in named if one.startswith("Operating System")]
    assert sorted(systems) == ["MacOS", "POSIX :: Linux"]
