"""For any input: a configuration that is read back equal, or a message."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from option_values import BAD, BOUNDS, KEYS, OK

from maskcls.config import (
    flatten,
    load,
    to_yaml,
    validate,
)
from maskcls.config.yaml12 import parse_yaml
from maskcls.errors import MaskclsError
from maskcls.spelling import lookalikes

T = TypeVar("T")


def outcome(function: Callable[[], T]) -> T | MaskclsError:
    """Return the result, or the error with a message; any other exception fails the test."""
    try:
        return function()
    except MaskclsError as error:
        return error


def choose(keys: list[str]) -> st.SearchStrategy[list[str]]:
    """Draw overrides with accepted values for some of the keys."""
    pairs = st.sampled_from(keys).flatmap(
        lambda key: st.sampled_from(BOUNDS[key][0]).map(lambda value: f"{key}={value}")
    )
    return st.lists(pairs, max_size=8)


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)


CLASSES = st.lists(TEXT, min_size=2, max_size=4, unique=True).filter(lambda names: not lookalikes(names))


@settings(max_examples=40)
@given(choose(sorted(KEYS)), TEXT, CLASSES, st.floats(1e-300, 1e300))
def test_a_resolved_configuration_is_read_back_equal(
    tmp_path_factory: pytest.TempPathFactory, overrides: list[str], text: str, classes: list[str], lr: float
) -> None:
    cfg = outcome(lambda: load(None, overrides)[0])
    if isinstance(cfg, MaskclsError):
        # Accepted alone, not together.
        assert re.fullmatch(r"settings contradict each other|a setting is wrong|\d settings are wrong", cfg.what)
        return
    data = cfg.model_dump(mode="json")
    data["data"]["fixes"], data["optim"]["lr"] = text, lr
    data["tasks"][0] = {"name": data["tasks"][0]["name"], "classes": classes, "bins": []}
    cfg = validate(data)
    path = tmp_path_factory.getbasetemp() / "resolved.yaml"
    path.write_text(to_yaml(cfg), encoding="utf-8")
    again, origins = load(path)
    assert again == cfg
    assert to_yaml(again) == to_yaml(cfg)
    assert set(origins.values()) == {"resolved.yaml"}


WORDS = st.sampled_from(
    [
        *KEYS,
        *(v for _, v in OK),
        *(v for _, v in BAD),
        "separate.age",
        "a.b.c",
        "=",
        ".",
        "{",
        "[",
        ": ",
        ", ",
        "\0",
        "\ud800",
    ]
)
OVERRIDE_LIKE = st.one_of(
    st.text(max_size=20),
    st.lists(WORDS, max_size=5).map("".join),
    st.tuples(st.sampled_from(sorted(KEYS)), st.text(max_size=10) | WORDS).map("=".join),
)


@settings(max_examples=120)
@given(st.lists(OVERRIDE_LIKE, max_size=4), st.booleans())
def test_any_overrides_give_a_configuration_or_a_message(overrides: list[str], separate: bool) -> None:
    got = outcome(lambda: load(None, [*["model.heads=separate"] * separate, *overrides]))
    if isinstance(got, MaskclsError):
        assert got.exit_code in (2, 3)
        assert len(str(got).split("\n")) <= 6
    else:
        assert set(got[1]) == set(flatten(got[0].model_dump(mode="json")))


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["age", "mask"]),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(st.sampled_from([*sorted(KEYS), "age", "model", "lr", "", "."]), children, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=60)
@given(
    st.dictionaries(st.sampled_from(sorted({k.partition(".")[0] for k in KEYS} | KEYS)) | st.text(max_size=5), VALUES)
)
def test_any_data_gives_a_configuration_or_a_config_error(data: dict[str, Any]) -> None:
    cfg = outcome(lambda: validate(data))
    if isinstance(cfg, MaskclsError):
        assert cfg.exit_code == 3
        assert len(str(cfg).split("\n")) <= 6
    else:
        assert validate(parse_yaml(to_yaml(cfg), where="")) == cfg
