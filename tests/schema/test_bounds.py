"""The surface of the configuration, and the bounds of every option."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from option_values import BAD, BOUNDS, COMPANIONS, KEYS, OK, leaf, refused
from pydantic import ValidationError

from maskcls.config import (
    flatten,
    load,
)
from maskcls.config.yaml12 import parse_yaml
from maskcls.labels import CONTEST
from maskcls.schema import Config, TaskConfig


def test_the_options_are_the_written_ones() -> None:
    assert len(KEYS) == 181
    assert set(flatten(Config().model_dump(mode="json"))) == KEYS
    assert set(TaskConfig.model_fields) == {"name", "classes", "bins"}


def test_every_option_has_a_row_in_the_table_of_bounds() -> None:
    assert set(BOUNDS) == KEYS
    assert all(good and bad for good, bad in BOUNDS.values())
    assert (len(OK), len(BAD)) == (453, 965)


def bounds_of(node: dict[str, Any], root: dict[str, Any], key: str = "") -> Iterator[tuple[str, str, float]]:
    """Yield (key, kind of bound, number) for every number in a JSON schema that limits a value."""
    if "$ref" in node:
        node = root["$defs"][node["$ref"].rpartition("/")[2]]
    for kind in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        if kind in node:
            yield key, kind, node[kind]
    for name, child in node.get("properties", {}).items():
        yield from bounds_of(child, root, f"{key}.{name}".strip("."))
    for child in (*node.get("anyOf", ()), *node.get("prefixItems", ()), *filter(None, [node.get("items")])):
        if isinstance(child, dict):
            yield from bounds_of(child, root, key)


def test_the_table_stands_on_every_bound_of_the_schema() -> None:
    schema = Config.model_json_schema()
    seen = 0
    for key, kind, number in bounds_of(schema, schema):
        row = "tasks" if key.startswith("tasks") else key
        good, bad = (json.dumps([parse_yaml(text, where="") for text in column]) for column in BOUNDS[row])
        # A bound that belongs to the range is accepted, one that does not is refused.
        assert f"{number:g}" in numbers_in(bad if kind.startswith("exclusive") else good), (key, kind, number)
        seen += 1
    assert seen == 248


def numbers_in(text: str) -> set[str]:
    """Return every number in a text, in one spelling."""
    return {f"{float(n):g}" for n in re.findall(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?", text)}


@pytest.mark.parametrize("key", BOUNDS)
def test_values_on_the_bounds_are_accepted_as_they_are(key: str) -> None:
    for value in BOUNDS[key][0]:
        cfg, origins = load(None, [*COMPANIONS.get(key, ()), f"{key}={value}"])
        got, expected = leaf(cfg, key), parse_yaml(value, where="")
        if key == "tasks":
            expected = [{"bins": [], **task} for task in expected]
        assert got == expected, value
        assert origins[key] == "command line"


@pytest.mark.parametrize("key", BOUNDS)
def test_values_beyond_the_bounds_are_refused_by_name(key: str) -> None:
    for value in BOUNDS[key][1]:
        error = refused(*COMPANIONS.get(key, ()), f"{key}={value}")
        assert error.exit_code == 3
        assert key in f"{error.where} {error.expected} {error.offenders}", value
        assert error.expected or error.offenders, value


def test_the_default_configuration_is_the_contest() -> None:
    cfg, origins = load(None)
    assert cfg == Config()
    assert cfg.space == CONTEST
    assert set(origins) == KEYS
    assert set(origins.values()) == {"default"}


def test_a_configuration_cannot_be_changed() -> None:
    cfg = Config()
    with pytest.raises(ValidationError):
        cfg.optim.lr = 1.0  # type: ignore[misc]
