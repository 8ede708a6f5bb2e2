"""docs/licences.md names each package that a run needs, in the version of requirements.txt."""

from __future__ import annotations

import re
from email.message import Message
from importlib.metadata import distribution

import licences
import pytest
from project import PROJECT_DIR

PAGE = (PROJECT_DIR / "docs" / "licences.md").read_text()


def described(**fields: str) -> Message:
    message = Message()
    for name, value in fields.items():
        message[name.replace("_", "-")] = value
    return message


def test_the_page_is_what_the_command_writes() -> None:
    assert licences.page() == PAGE


def test_the_page_has_the_versions_of_requirements() -> None:
    first = (PROJECT_DIR / "requirements.txt").read_text().partition("# --- needed to develop")[0]
    pinned = re.findall(r"^([\w.-]+)==(\S+)$", first, flags=re.M)
    assert len(pinned) > 50
    assert re.findall(r"^\| ([\w.-]+) \| (\S+) \|", PAGE, flags=re.M)[1:] == pinned


def test_a_licence_is_read_from_the_field_that_names_it() -> None:
    assert licences.licence_of(described(License_Expression="MIT", License="BSD")) == "MIT"
    text = described(
        License="Copyright 1999\nPermission is hereby", Classifier="License :: OSI Approved :: BSD License"
    )
    assert licences.licence_of(text) == "BSD License"
    with pytest.raises(ValueError, match="thing names no licence"):
        licences.licence_of(described(Name="thing", Classifier="Topic :: Games"))


def test_a_licence_that_is_not_permissive_needs_a_note() -> None:
    with pytest.raises(ValueError, match="not known as permissive"):
        licences.row_of("thing", described(Name="thing", License="MIT AND GPL-3.0", Version="1"))
    assert "MPL-2.0" in licences.row_of("tqdm", described(Name="tqdm", License="MPL-2.0 AND MIT", Version="1"))


def test_the_libraries_of_the_notes_are_in_the_wheels() -> None:
    """If one has left a wheel, its note is out of date. Linux only: other wheels contain others."""
    for package, library in (
        ("opencv-python-headless", "libavcodec"),
        ("numpy", "libgfortran"),
        ("scikit-learn", "libgomp"),
        ("torch", "libgomp"),
    ):
        files = [file.name for file in distribution(package).files or ()]
        assert any(name.startswith(library) for name in files), f"{package}: {library}"
        assert library.removeprefix("lib")[:5] in licences.NOTES[package] or package.startswith("opencv")
