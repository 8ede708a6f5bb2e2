"""Faults that the log of a generator's training shows."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from maskcls.config.unused_settings import KINDS
from maskcls.results.synth.training_watch import ADVICE, FEWEST_LINES, image_kind, watch_findings
from maskcls.schema import SynthConfig

SETTING = re.compile(r"synth\.\w+")


def log(name: str, values: Sequence[float]) -> list[dict[str, float]]:
    return [{"step": step, name: value} for step, value in enumerate(values)]


def names(lines: Sequence[dict[str, float]]) -> list[str]:
    return [one.name for one in watch_findings(lines, "dcgan")]


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("diversity", [0.1, 0.5, 0.8, 0.6, 0.2, 0.1, 0.1, 0.1, 0.1], ["mode-collapse"]),
        ("diversity", [0.01] * 9, ["mode-collapse"]),
        ("diversity", [0.0, 0.01, 0.02, 0.05, 0.08, 0.1, 0.15, 0.2, 0.25], ["too-short"]),
        ("diversity", [0.0, 0.01, 0.02, 0.2, 0.5, 0.8, 0.9, 0.9, 0.9], []),
        ("diversity_backward", [0.01] * 9, ["mode-collapse"]),
        ("accuracy", [0.5, 0.6, 0.7, 0.9, 0.98, 0.99, 0.99, 1.0, 1.0], ["strong-discriminator"]),
        ("accuracy", [1.0, 1.0, 1.0, 0.9, 0.8, 0.7, 0.7, 0.7, 0.7], []),
        ("gradient_critic", [1.0, 2.0, 1.0, 3.0, 9.0, 80.0, 500.0, 900.0, 2000.0], ["divergence"]),
        ("loss_critic", [-1.0, -2.0, -1.0, -3.0, -9.0, -80.0, -500.0, -900.0, -2000.0], ["divergence"]),
        ("gradient_critic", [100.0, 50.0, 20.0, 10.0, 9.0, 8.0, 7.0, 7.0, 7.0], []),
        ("gradient_critic", [0.01, 0.01, 0.01, 0.1, 0.2, 0.5, 1.0, 1.0, 1.0], []),
        ("gap", [0.0] * 4 + [1e6] * 5, []),
    ],
)
def test_each_fault_is_named_by_its_number(name: str, values: list[float], expected: list[str]) -> None:
    assert names(log(name, values)) == expected


def test_a_short_log_says_nothing() -> None:
    lines = log("diversity", [0.01] * FEWEST_LINES)
    assert names(lines[:-1]) == []
    assert names(lines) == ["mode-collapse"]
    assert names([]) == []


def test_a_fault_is_told_once_with_numbers_and_advice() -> None:
    both = [{"diversity_a": 0.01, "diversity_b": 0.02, "accuracy": 1.0} for _ in range(9)]
    found = watch_findings(both, "dcgan")
    assert [one.name for one in found] == ["strong-discriminator", "mode-collapse"]
    assert "1%" in found[1].what
    assert "diversity_a" in found[1].what
    assert all("synth." in one.advice for one in found)
    assert found[0].to_json().keys() == {"name", "what", "advice"}


def test_one_line_out_of_three_is_enough_for_a_number() -> None:
    lines: list[dict[str, float]] = [{"accuracy": 1.0} if step % 3 == 0 else {"gap": 1.0} for step in range(18)]
    assert names(lines) == ["strong-discriminator"]


@pytest.mark.parametrize("kind", ADVICE)
def test_advice_names_settings_of_its_kind_alone(kind: str) -> None:
    assert image_kind(kind) == kind
    of_kinds = KINDS["synth.kind"]
    advice = ADVICE[image_kind(kind)]
    named = {key for text in (advice.collapse, advice.strong, advice.divergence) for key in SETTING.findall(text)}
    assert len(named) >= 4
    assert {f"synth.{name}" for name in SynthConfig.model_fields} >= named
    assert [key for key in named if kind not in of_kinds.get(key, [kind])] == []


def test_other_kinds_have_no_log() -> None:
    with pytest.raises(ValueError, match="makes no images"):
        image_kind("smote")
