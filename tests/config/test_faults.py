"""How a wrong configuration is reported."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from effort import python_calls
from option_values import BAD, refused
from pydantic import ValidationError

from maskcls.config import (
    load,
    put,
    validate,
)
from maskcls.config.faults import EXPECTED
from maskcls.config.yaml12 import parse_yaml
from maskcls.errors import ConfigError, UsageError
from maskcls.schema import Config

VIEWS = (
    "one of none, hflip, zoom, hflip_zoom, hflip_zooms, shifts, or different ones of "
    "none, flip, zoomed, flip_zoomed, zoomed_80, flip_zoomed_80, zoomed_70, flip_zoomed_70, up, down, left, right "
    "joined by +, with or without geometric: before it"
)


@pytest.mark.parametrize(
    ("override", "expected", "fix"),
    [
        ("predict.views=hflp", f"{VIEWS} (did you mean 'hflip'?)", None),
        ("predict.views=HFLIP", f"{VIEWS} (did you mean 'hflip'?)", None),
        ("predict.view=hflip", "one of adapt, batch_size, groups, networks, views", "did you mean 'views'?"),
        ("optim.clip_norm=off", "a number or null", None),
        ("optim.momentum=1", "less than 1.0 or null", None),
        ("train.epochs=0", "at least 1", None),
        ("train.epochs=3.0", "a whole number", None),
        ("model=resnet18", "a section", None),
        ("model.weights=3", "text or null", None),
        ("transforms.size=96", "a list", None),
        ("transforms.crop=0.9", "a list", None),
        ("train.lr=3", None, "did you mean 'optim.lr'?"),
        ("epoch=3", None, "did you mean 'train.epochs'?"),
        ("train.seed=3", None, "did you mean 'seed' or 'folds.seed'?"),
        ("patience=3", None, "did you mean 'schedule.patience' or 'train.patience'?"),
        ("xyzzy=3", None, None),
        ("optm.lr=3", None, "did you mean 'optim'?"),
        ("tasks=[{name: t, classes: [a, b], binz: [1]}]", "one of bins, classes, name", "did you mean 'bins'?"),
        ("tasks=[]", "a list of at least 1", None),
        ("tasks=[{name: t}]", "a value", None),
        ("transforms.size=[96]", "a value", None),
        # A type with two alternatives is one fault, which names both.
        ("device.threads=two", "auto or a whole number", None),
        ("device.threads=0", "auto or at least 1", None),
        ("train.fold_jobs=65", "auto or at most 64", None),
        ("train.accumulate=Auto", "auto or a whole number", "did you mean 'auto'?"),
    ],
)
def test_messages_say_what_to_write_instead(override: str, expected: str | None, fix: str | None) -> None:
    error = refused(override)
    assert error.what == "a setting is wrong"
    assert error.fix == fix
    assert expected is None or error.expected == expected


def test_pydantic_s_own_words_are_never_needed() -> None:
    kinds = set()
    for key, value in BAD:
        try:
            Config.model_validate_json(json.dumps(nested(key, parse_yaml(value, where=""))))
        except ValidationError as error:
            kinds |= {e["type"] for e in error.errors()}
    worded = {"extra_forbidden", "value_error", "literal_error"}
    assert kinds - worded == set(EXPECTED)  # each sentence is used, and no other is missing


def nested(key: str, value: Any) -> dict[str, Any]:
    data: dict[str, Any] = {}
    put(data, key, value)
    return data


def test_one_wrong_item_is_one_refused() -> None:
    error = refused("tasks=[{name: age, classes: [a, b, c], binz: [30, 60]}]")
    assert error.where == "command line: tasks.0.binz"
    assert error.offenders == ()


def test_all_faults_are_reported_at_once_each_with_its_place(yaml_file: Callable[[str], Path]) -> None:
    path = yaml_file("optim: {lr: fast, clip_norm: 0}\nzzz: 1")
    alone = refused(path=path)
    assert alone.where == str(path)
    assert alone.offenders == (
        'optim.lr: expected a number, got "fast"',
        "optim.clip_norm: expected more than 0.0 or null, got 0",
        "zzz: expected one of age, average, balance, data, device, folds, heads, loss, mix, model, optim, predict, "
        "sampler, schedule, seed, separate, synth, tasks, track, tracking, train, transforms, got an unknown key",
    )
    both = refused("model.drop=1", "optim.clip_norm=-1", path=path)
    assert both.what == "4 settings are wrong"
    assert both.where == f"{path} and command line"
    assert [line.partition(" expected")[0] for line in both.offenders] == [
        "command line: model.drop:",
        "optim.lr:",
        "command line: optim.clip_norm:",
        "zzz:",
    ]


def test_a_fault_says_which_source_it_stands_in(yaml_file: Callable[[str], Path]) -> None:
    path = yaml_file("seed: 3")
    assert refused("nonsense.x=1", path=path).where == "command line: nonsense"
    assert refused("tasks=[{name: t}]", path=path).where == "command line: tasks.0.classes"
    path = yaml_file("nonsense: {x: 1}")
    assert refused("seed=3", path=path).where == f"{path}: nonsense"


def test_long_values_are_cut() -> None:
    assert len(str(refused("optim.lr=" + "x" * 5000))) < 200
    assert len(str(refused("optim.lr=1", "optim=" + "x" * 5000))) < 200
    with pytest.raises(UsageError) as caught:
        load(None, ["x" * 5000])
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("value", ['"\\ud800"', "[.nan]"])
def test_data_that_json_cannot_hold_is_refused(value: str) -> None:
    with pytest.raises(ConfigError):
        load(None, [f"model.backbone={value}"])
    with pytest.raises(ConfigError, match="not plain data") as caught:
        validate({"model": {"backbone": object()}}, where="here")
    assert caught.value.where == "here"


def test_twice_the_faults_are_twice_the_work(yaml_file: Callable[[str], Path]) -> None:
    def work(faults: int) -> int:
        path = yaml_file("".join(f"k{i}: 1\n" for i in range(faults)))
        assert len(refused(path=path).offenders) == faults
        return python_calls(lambda: refused(path=path))

    assert work(1600) < 2.1 * work(800)
