"""A folder of unknown files is named once, and never one in which something is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from maskcls.runs.folders.unknown_files import unknown_places

TOP = Path("r")


@pytest.mark.parametrize(
    ("unknown", "known", "places"),
    [
        ((), ("config.yaml",), {}),
        (("a", "b"), (), {"a": 1, "b": 1}),  # the folder itself is known
        (("x/a",), (), {"x/a": 1}),
        (("x/a", "x/y/b", "x/y/z/c"), ("config.yaml",), {"x": 3}),
        (("x/y/a", "x/y/b"), ("x/known",), {"x/y": 2}),
        (("x/a", "x/b"), ("x/known",), {"x/a": 1, "x/b": 1}),
        (("x/a", "x/b"), ("x",), {"x/a": 1, "x/b": 1}),
        (("xy/a", "xy/b"), ("x/known",), {"xy": 2}),
    ],
)
def test_places(unknown: tuple[str, ...], known: tuple[str, ...], places: dict[str, int]) -> None:
    assert unknown_places(TOP, [TOP / name for name in unknown], [TOP / name for name in known]) == places
