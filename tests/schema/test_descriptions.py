"""Every option describes itself: a plain text with meaning and unit, which leaves range and default to the type."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest

from maskcls.schema import Config, Section
from maskcls.schema.options import NONE, TOP, Option, allowed, option_sections

SECTIONS = option_sections()
OPTIONS = [option for section in SECTIONS for option in section.options]
NUMBER = re.compile(r"(?<![\w.:/-])\d+(?:\.\d+)?(?![\w/:]|\.\d)")  # no part of a name, a reference or a range


def fields_of(section: type[Section], place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every field with its dotted place, also those of sections and of the entries of lists."""
    for name, field in section.model_fields.items():
        key = f"{place}{name}"
        inner = [kind for kind in (field.annotation, *get_args(field.annotation)) if isinstance(kind, type)]
        nested = [kind for kind in inner if issubclass(kind, Section)]
        yield key, field
        for kind in nested:
            yield from fields_of(kind, f"{key}." if kind is field.annotation else f"{key}[].")


FIELDS = dict(fields_of(Config))


def test_every_field_is_an_option_or_a_section() -> None:
    sections = {section.name for section in SECTIONS} - {TOP}
    assert len(FIELDS) == 203
    assert (len(sections), len(OPTIONS)) == (18, 185)
    assert set(FIELDS) == sections | {option.key for option in OPTIONS}


@pytest.mark.parametrize("section", [section for section in SECTIONS if section.name != TOP], ids=lambda s: s.name)
def test_every_section_says_what_it_is_about(section: Any) -> None:
    assert re.fullmatch(r"[A-Z].*\.", section.help)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.key)
def test_a_description_is_plain_text_that_ends_with_a_period(option: Option) -> None:
    assert re.fullmatch(r"[A-Za-z].{10,}\.", option.help), option.help
    assert len(option.help) < 600
    assert "  " not in option.help
    assert "\n" not in option.help


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.key)
def test_a_description_leaves_the_default_and_the_range_to_the_type(option: Option) -> None:
    text = re.sub(r"`[^`]*`|\([^()]*\)|arXiv:\S+", "", option.help)  # examples and references
    assert not re.search(r"\bdefaults?\b", text, re.IGNORECASE)
    # 0 and 1 may say what switches an option off; every other number belongs to the type.
    assert set(NUMBER.findall(text)) <= {"0", "1"}, text
    assert not re.search(r"\b(at least|at most|must be (above|below))\b \d", text)


@pytest.mark.parametrize("option", [o for o in OPTIONS if len(o.choices) > 1], ids=lambda option: option.key)
def test_a_description_explains_the_choices_that_do_not_explain_themselves(option: Option) -> None:
    obvious = {"device.type", "device.precision", "device.memory_format", "transforms.preset"}
    named = [choice for choice in option.choices if re.search(rf"\b{choice}\b", option.help)]
    if option.key not in obvious:
        assert len(named) >= len(option.choices) - 1, (option.help, named)


def test_a_number_in_a_text_is_found() -> None:
    """The patterns above can fail."""
    assert NUMBER.findall("at most 64 images, or 0.5 of them, arXiv:1905.04899, f1") == ["64", "0.5"]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("seed", "whole number from 0 to 4294967295"),
        ("data.leaky", "true | false"),
        ("data.format", "contest | folders | table"),
        ("model.weights", "text, or null"),
        ("optim.lr", "number above 0"),
        ("optim.weight_decay", "number at least 0"),
        ("optim.betas", "list of 1 to 3: number at least 0 and below 1, or null"),
        ("train.accumulate", "auto, or whole number from 1 to 1000000"),
        ("train.stages", "list: list of 2: whole number from 1 to 1000000; number above 0 and up to 1"),
        ("transforms.size", "list of 2: whole number from 8 to 4096"),
        ("tasks", "list of at least 1: entry"),
        ("tasks[].classes", "list of at least 2: text"),
        ("separate", "mapping"),
    ],
)
def test_allowed_values_are_written_in_words(key: str, words: str) -> None:
    (option,) = [option for option in OPTIONS if option.key == key]
    assert option.allowed == words


def test_a_type_without_words_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="bytes"):
        allowed({"type": "bytes"})


def test_defaults_are_those_of_the_types() -> None:
    defaults = {option.key: option.default for option in OPTIONS}
    plain = Config().model_dump(mode="json")
    assert defaults["optim.lr"] == plain["optim"]["lr"] == 3e-4
    assert defaults["tasks"] == plain["tasks"]
    assert [key for key, default in defaults.items() if default is NONE] == ["tasks[].name", "tasks[].classes"]
    for name, section in plain.items():
        for key, value in section.items() if isinstance(section, dict) and section else ():
            assert defaults[f"{name}.{key}"] == value
