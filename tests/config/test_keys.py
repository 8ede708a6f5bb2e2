"""Dotted keys: parsed from the command line, and put into nested settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from option_values import refused

from maskcls.config import (
    load,
    parse_override,
    put,
)
from maskcls.errors import UsageError


@pytest.mark.parametrize(
    "text",
    [
        "optim.lr: 3\noptim: {lr: 4}",
        "optim: {lr: 4}\noptim.lr: 3",
        "separate: {age: {model.drop: 0.1, model: {drop: 0.2}}}",
    ],
)
def test_a_key_cannot_be_given_dotted_and_nested(yaml_file: Callable[[str], Path], text: str) -> None:
    path = yaml_file(text)
    error = refused(path=path)
    assert error.what == "a key is given twice"
    assert str(error.where).startswith(f"{path}: ")


@pytest.mark.parametrize("text", ["", "=", "=3", "seed", "seed:3", ".=3", "optim..lr=3", "optim.=3", ".lr=3"])
def test_what_is_no_override_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match=r"dotted\.key=value"):
        load(None, [text])


def test_an_override_may_contain_equals_signs_and_be_null() -> None:
    assert parse_override("model.weights=a=b.pt") == ("model.weights", "a=b.pt")
    assert parse_override("average.decay=") == ("average.decay", None)


@pytest.mark.parametrize(
    ("overrides", "what", "where"),
    [
        (["seed=1", "seed.x=2"], "this key has no parts", "command line: seed.x"),
        (["optim.lr=1", "optim.lr={x: 2}"], "this key has no parts", "command line: optim.lr.x"),
        (["optim.lr=1", "optim=3"], "this key is a section", "command line: optim"),
        (["a." * 33 + "b=1"], "this key has too many parts", "command line: " + "a." * 33 + "b"),
        (["model={heads: separate}", "separate={age: {optim.lr.x: 2}}"], "this key has no parts", None),
    ],
)
def test_keys_that_pass_through_a_value_or_replace_a_section(
    overrides: list[str], what: str, where: str | None
) -> None:
    error = refused(*overrides)
    assert (error.what, error.where) == (what, where or "command line: separate.age.optim.lr.x")


def test_put_makes_the_way_and_leaves_sections_alone() -> None:
    data: dict[str, Any] = {"a": {"b": 1}}
    put(data, "a.c.d", [1])
    put(data, "a", {})
    put(data, "e", {})
    assert data == {"a": {"b": 1, "c": {"d": [1]}}, "e": {}}


def test_a_file_with_no_settings_at_all_is_refused(yaml_file: Callable[[str], Path]) -> None:
    assert "mapping" in refused(path=yaml_file("")).what
