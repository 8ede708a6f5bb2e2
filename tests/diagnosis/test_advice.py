"""What is advised against an error: settings that the training uses, whatever else is set."""

from __future__ import annotations

import math
import re

import pytest

from maskcls import config
from maskcls.config.keys import flatten
from maskcls.config.unused_settings import switched_off, unused_settings
from maskcls.diagnosis.with_training.advice import REDUCES, what_reduces
from maskcls.diagnosis.with_training.errors import check_errors
from maskcls.diagnosis.with_training.rare import check_rare_classes
from maskcls.groupnouns import PEOPLE
from maskcls.results.diagnosis.error_parts import ErrorPart, ErrorParts
from maskcls.results.diagnosis.finding import CHECKS, Finding
from maskcls.results.diagnosis.rare_classes import RareClass
from maskcls.schema import Config

FITTED = "model.train=heads"
USED = [
    (),
    (FITTED,),
    (FITTED, "heads.kind=mlp"),
    (FITTED, "heads.strength=0.5", "heads.augmented=2"),
    (FITTED, "heads.kind=mlp", "heads.balance=1", "train.seeds=2"),
    (FITTED, "model.heads=joint", "heads.balance=0.5"),
]
MISSED = RareClass("age", ">=60", 50, 9, 0, 3)


def unused(advice: str, settings: tuple[str, ...]) -> list[str]:
    """Return the advised settings without effect: those with a value are given, with all others of the same advice."""
    words = [word.rstrip(",;:") for word in re.findall(r"[a-z]+\.[a-z_]+=\S+", advice)]
    words = [word for word in words if not word.endswith("=FILE")]
    kept = [word for word in settings if not any(word.split("=")[0] == new.split("=")[0] for new in words)]
    cfg, origins = config.load(None, [*kept, *words])  # ConfigError for a setting that does not exist
    given = {word.split("=")[0] for word in words}
    lines = [line for line in unused_settings(cfg, origins) if line.split(" ")[0] in given]
    known = set(flatten(cfg.model_dump(mode="json")))
    named = {key for key in re.findall(r"[a-z]+\.[a-z_]+", advice) if key in known}
    return lines + list(switched_off(cfg, named - given))


def advised(cfg: Config) -> list[str]:
    rare = check_rare_classes([MISSED], cfg, "")
    return [*rare.next, *(step for part in REDUCES for step in what_reduces(part, cfg, PEOPLE))]


@pytest.mark.parametrize("settings", USED, ids=" ".join)
def test_only_settings_that_the_training_uses_are_advised(settings: tuple[str, ...]) -> None:
    cfg, _ = config.load(None, list(settings))
    assert not [found for step in advised(cfg) if (found := unused(step, settings))]


def test_settings_of_steps_have_no_effect_on_fitted_heads() -> None:
    steps = [step for step in advised(config.load(None)[0]) if "train.seeds" not in step]  # refused with them
    assert sum(bool(unused(step, (FITTED,))) for step in steps) >= 5


def test_values_in_use_are_not_advised() -> None:
    def text(*settings: str) -> str:
        return "\n".join(advised(config.load(None, [FITTED, *settings])[0]))

    assert "heads.strength" not in text()
    assert "heads.strength=auto" in text("heads.strength=0.5")
    assert "heads.kind=mlp" in text()
    assert "heads.kind=mlp" not in text("heads.kind=mlp")
    assert "train.seeds" not in text()
    assert "train.seeds=3" in text("heads.kind=mlp")
    assert "heads.augmented=4 " in text()
    assert "heads.augmented=2 " in text("heads.augmented=2")
    assert text().index("heads.balance=0.5") < text().index("heads.balance=1")
    assert "heads.balance=0.5" not in text("heads.balance=0.5")
    assert "heads.balance" not in text("heads.balance=1")


def test_the_largest_part_is_named_with_advice_for_the_training() -> None:
    parts = (ErrorPart("bias", 0.4, 0.3, 0.5), ErrorPart("variance", 0.1, 0.0, 0.2))

    def found(*settings: str) -> Finding:
        return check_errors([ErrorParts("joint", 0.6, 0.5, math.nan, parts)], config.load(None, list(settings))[0], "")

    assert found().next == REDUCES["bias"]
    assert "a training of the backbone as well: model.train=all" in found(FITTED).next


def test_every_check_is_about_photos_or_about_steps() -> None:
    """The causes of the checks that are made of fitted heads name no setting that these do not use."""
    kept = [one for one in CHECKS.values() if not one.needs_steps]
    assert len(kept) == 4
    for one in kept:
        assert not [found for cause in one.causes if (found := unused(cause, (FITTED,)))]
