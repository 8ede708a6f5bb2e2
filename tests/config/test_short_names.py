"""Names without a section on the command line: completed where only one setting can be meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from option_values import refused

from maskcls import config
from maskcls.config.short_names import whole_key
from maskcls.schema import Config
from maskcls.schema.options import keys_by_name


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("train_bins=[29, 58]", "age.train_bins"),
        ("draw=weighted", "sampler.draw"),
        ("head=ordinal", "age.head"),
        ("given=mask", "age.given"),
        ("spread=3", "age.spread"),
        ("kind=cutmix", "mix.kind"),
        ("kind=swa", "average.kind"),
        ("epoch_fraction=0.25", "sampler.epoch_fraction"),
        ("lr=1e-3", "optim.lr"),
        ("heads=joint", "model.heads"),
        ("train=heads", "model.train"),
    ],
)
def test_a_name_of_one_setting_is_completed(word: str, key: str) -> None:
    name, _, value = word.partition("=")
    assert config.parse_override(word) == config.parse_override(f"{key}={value}")
    assert config.parse_override(word)[0] == key != name


def test_every_name_means_itself_one_setting_or_nothing() -> None:
    """A key of the configuration is read as another for a word of that alone; a name of several is none of them."""
    counted = 0
    for name, keys in keys_by_name().items():
        found = whole_key(name, object())
        if name in Config.model_fields:
            assert found == name
        else:
            assert found == (keys[0] if len(keys) == 1 else name)
        counted += 1
    assert counted > 90
    assert whole_key("separate", {}) == "separate"


def test_a_name_of_several_settings_is_refused_with_all_of_them() -> None:
    assert refused("patience=3").fix == "did you mean 'schedule.patience' or 'train.patience'?"


def test_a_file_names_the_section(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("lr: 1e-3\n")
    assert refused(path=path).fix == "did you mean 'optim.lr'?"
