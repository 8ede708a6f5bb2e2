"""Spaces: read from YAML, refused with a message that names what is wrong, walked, checked, narrowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from maskcls import config
from maskcls.config.files import shipped_files, shipped_spaces
from maskcls.config.yaml12 import parse_yaml
from maskcls.errors import ConfigError, UsageError
from maskcls.schema import Config
from maskcls.tuning.pruning import worse_over_folds
from maskcls.tuning.samplers import best_of_stage, grid_points, params_of
from maskcls.tuning.space.check_space import check_search_space, epochs_compare, unused_dimensions
from maskcls.tuning.space.narrow import narrowed
from maskcls.tuning.space.space import Choices, Range, Space
from maskcls.tuning.space.space_file import find_space, parse_space, read_space, to_plain
from maskcls.tuning.space.trial_config import all_settings, with_values
from maskcls.tuning.storage import check_storage, without_password


def space_of(text: str) -> Space:
    """Read a space from YAML."""
    return parse_space(parse_yaml(text, where="space.yaml"), where="space.yaml")


@pytest.fixture(scope="module")
def base() -> Config:
    """A base configuration of the contest's tasks."""
    return config.load(Path("multi"))[0]


NESTED = """
schedule.kind:
  cases:
    cosine: {schedule.end_share: [0.0, 0.01, 0.1]}
    linear: {}
    wsd: {schedule.decay_share: {low: 0.1, high: 0.5, step: 0.2}}
optim.lr: [0.001, 0.01]
"""


def test_the_shipped_spaces_fit_the_shipped_recipe_and_are_no_configurations(base: Config) -> None:
    assert sorted(shipped_spaces()) == ["contest", "quick", "thorough"]
    for name in shipped_spaces():
        found = read_space(find_space(name))
        check_search_space(found, base, where=name)
        assert epochs_compare(found)
        assert parse_space(to_plain(found), where=name) == found
    assert not [name for name in shipped_files() if "quick" in name or "thorough" in name]


def test_a_grid_with_cases_has_the_settings_of_each_case_alone() -> None:
    found = space_of(NESTED)
    assert found.grid_size() == (3 + 1 + 3) * 2 == len(list(found.grid()))
    assert {"schedule.kind": "linear", "optim.lr": 0.01} in list(found.grid())
    assert {"schedule.kind": "wsd", "schedule.decay_share": 0.3, "optim.lr": 0.001} in list(found.grid())
    assert all(("schedule.decay_share" in one) == (one["schedule.kind"] == "wsd") for one in found.grid())
    assert parse_space(to_plain(found), where="x") == found
    assert found.conditional
    assert [key for key, _ in found.every()] == [
        *("schedule.kind", "schedule.end_share", "schedule.decay_share", "optim.lr"),
    ]


@pytest.mark.parametrize(
    ("dimension", "points"),
    [
        (Range(0.0, 1.0), [0.0, 0.333333333333, 0.666666666667, 1.0]),
        (Range(1e-4, 1e-1, log=True), [1e-4, 1e-3, 1e-2, 1e-1]),
        (Range(0.0, 0.5, step=0.2), [0.0, 0.2, 0.4]),
        (Range(3, 5, whole=True), [3, 4, 5]),
        (Range(1, 100, whole=True), [1, 34, 67, 100]),
    ],
)
def test_the_points_of_a_range(dimension: Range, points: list[float]) -> None:
    assert dimension.points() == points
    assert all(dimension.contains(point) for point in points)


def test_what_a_range_contains() -> None:
    steps = Range(0.0, 0.5, step=0.1)
    assert steps.contains(0.30000000000000004)
    assert not steps.contains(0.25)
    assert not steps.contains(0.6)
    assert not Range(1, 5, whole=True).contains(2.5)
    assert not Range(0.0, 1.0).contains(True)
    assert not Range(0.0, 1.0).contains(None)


def test_values_that_are_equal_in_python_are_told_apart() -> None:
    found = Choices((1, True, None, [1, 2]))
    assert [found.number(value) for value in (1, True, None, [1, 2], "[1, 2]", 2)] == [0, 1, 2, 3, 3, None]
    assert params_of(Space({"a": found}), {"a": [1, 2]}) == {"a": "[1, 2]"}


def test_the_base_is_inside_a_space_or_not() -> None:
    found = space_of(NESTED)
    known = {"schedule.kind": "wsd", "schedule.decay_share": 0.3, "schedule.end_share": 7.0, "optim.lr": 0.01}
    assert found.inside(known) == {"schedule.kind": "wsd", "schedule.decay_share": 0.3, "optim.lr": 0.01}
    assert found.inside(known | {"optim.lr": 0.02}) is None
    assert found.inside(known | {"schedule.kind": "step"}) is None


def test_a_trial_has_the_values_and_else_the_base(base: Config) -> None:
    values: dict[str, Any] = {"optim.lr": 0.5, "transforms.size": [64, 48], "age.train_bins": [30, 59]}
    found = with_values(base, values, where="x")
    assert (found.optim.lr, found.transforms.size, found.age.train_bins) == (0.5, (64, 48), (30, 59))
    changed = {key for key, value in all_settings(found).items() if value != all_settings(base)[key]}
    assert {key for key in changed if "." in key} == set(values)


def test_an_option_of_the_backbone_is_searched_alone_or_with_all_others(base: Config) -> None:
    """A whole section of options replaces what the base has; a single one stands beside it."""
    base = with_values(base, {"model.options": {"act_layer": "gelu"}}, where="x")
    beside = with_values(base, {"model.options.pad_type": "same"}, where="x")
    assert beside.model.options == {"act_layer": "gelu", "pad_type": "same"}
    for whole in ({}, {"pad_type": "same"}):
        assert with_values(base, {"model.options": whole}, where="x").model.options == whole
    assert all_settings(beside)["model.options"] == beside.model.options
    for text in ("model.options.pad_type: ['', same]", "model.options: [{}, {pad_type: same}]"):
        check_search_space(space_of(text), base, where="x")
    with pytest.raises(ConfigError, match=r"transforms\.size in its place"):
        check_search_space(space_of("model.options.img_size: [32, 64]"), base, where="x")


@pytest.mark.parametrize(
    ("text", "where", "got"),
    [
        ("optim.lrr: [1.0]", "space.yaml: optim.lrr", "an unknown key"),
        ("optim.lr: {low: -1, high: 1}", "space.yaml: optim.lr", "-1.0"),
        ("optim.lr: {low: 0.1, high: 1, hihg: 2}", "space.yaml: optim.lr", "hihg"),
        ("optim.lr: {low: 1, high: 0.1}", "space.yaml: optim.lr", '{"low": 1, "high": 0.1}'),
        ("optim.lr: {low: 0, high: 0.1, log: true}", "space.yaml: optim.lr", '{"low": 0}'),
        ("optim.lr: {low: 1, high: 2, log: true, step: 1}", "space.yaml: optim.lr", '{"log": true, "step": 1}'),
        ("optim.lr: {low: 1, high: 2, step: 3}", "space.yaml: optim.lr", '{"step": 3}'),
        ("train.epochs: {low: 1.5, high: 2, int: true}", "space.yaml: train.epochs", '{"low": 1.5}'),
        ("optim.lr: {low: 1}", "space.yaml: optim.lr", '{"high": null}'),
        ("optim.lr: []", "space.yaml: optim.lr", "0 values"),
        ("optim.lr: [0.1, 0.1]", "space.yaml: optim.lr", "0.1"),
        ("optim: {lr: [1.0]}", "space.yaml: optim", '{"lr": [1.0]}'),
        ("optim.lr: 0.1", "space.yaml: optim.lr", "0.1"),
        ("folds.k: [2, 3]", "space.yaml: folds.k", None),
        ("seed: [0, 1]", "space.yaml: seed", None),
        ("model.heads: [joint, multy]", "space.yaml: model.heads", '"multy"'),
        (
            "balance.learned: [true]\nbalance.weights: [{age: 2.0}]",
            "space.yaml: balance.learned, balance.weights",
            'balance.learned=true, balance.weights={"age": 2.0}',
        ),
        ("{}", "space.yaml", None),
        (
            "schedule.kind: {cases: {cosine: {optim.lr: [0.1]}, linear: {optim.lr: [0.2]}}}",
            "space.yaml: optim.lr",
            None,
        ),
        ("optim.lr: [0.1]\nschedule.kind: {cases: {cosine: {optim.lr: [0.1]}}}", "space.yaml: optim.lr", None),
        ("schedule.kind: {cases: {cosine: [1]}}", "space.yaml: schedule.kind=cosine", "[1]"),
    ],
)
def test_a_wrong_space_is_refused_before_the_first_trial(text: str, where: str, got: str | None, base: Config) -> None:
    with pytest.raises(ConfigError) as caught:
        check_search_space(space_of(text), base, where="space.yaml")
    assert (caught.value.where, caught.value.got) == (where, got)
    assert caught.value.expected or caught.value.fix


def test_settings_without_effect_are_named_and_refused_where_there_are_no_others(base: Config) -> None:
    def lines(text: str) -> list[str]:
        return unused_dimensions(space_of(text), base, where="space.yaml")

    line = 'mix.alpha has no effect: mix.kind is "none"'
    assert lines("mix.alpha: [0.5, 1.0]\noptim.lr: [0.1, 0.2]") == [line]
    assert lines("mix.alpha: [0.5, 1.0]\nmix.kind: [none, mixup]") == []
    with pytest.raises(ConfigError, match="no setting of the space has an effect") as caught:
        lines("mix.alpha: [0.5, 1.0]")
    assert (caught.value.where, caught.value.offenders) == ("space.yaml", (line,))


def test_an_unknown_space_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="did you mean 'quick'"):
        find_space("quik")


def test_narrowing_keeps_a_margin_and_never_widens() -> None:
    found = narrowed(
        space_of("optim.lr: {low: 1.0e-4, high: 1.0, log: true}\nloss.all: [ce, f1]\n" + NESTED.split("optim.lr")[0]),
        [
            {"optim.lr": 1e-4, "loss.all": "f1", "schedule.kind": "wsd", "schedule.decay_share": 0.3},
            {"optim.lr": 1e-2, "loss.all": "f1", "schedule.kind": "linear"},
        ],
    )
    lr, loss, kind = (found.dimensions[key] for key in ("optim.lr", "loss.all", "schedule.kind"))
    assert isinstance(lr, Range)
    assert lr.low == 1e-4  # no lower than it was
    assert lr.high == pytest.approx(10**-1.5)  # half of four decades, and an eighth of them more
    assert loss == Choices(("f1",))
    assert isinstance(kind, Choices)
    assert kind.values == ("cosine", "linear", "wsd")  # the best do not agree
    assert kind.cases[2].dimensions["schedule.decay_share"] == Range(0.1, 0.5, step=0.2)


def test_narrowing_without_the_best_changes_nothing() -> None:
    assert narrowed(space_of(NESTED), []) == space_of(NESTED)


def test_the_best_of_a_stage_are_a_quarter_and_at_least_three() -> None:
    trials = [(float(number), {"number": number}) for number in range(20)]
    assert [one["number"] for one in best_of_stage(trials)] == [19, 18, 17, 16, 15]
    assert [one["number"] for one in best_of_stage(trials[:5])] == [4, 3, 2]
    assert best_of_stage(trials[:2]) == []


def test_a_grid_that_is_too_large_is_refused() -> None:
    with pytest.raises(UsageError, match="6,773,760 points"):
        grid_points(read_space(find_space("thorough")), 0, None)


def test_the_order_of_a_grid_depends_on_the_seed_alone() -> None:
    found = space_of(NESTED)
    one, again, other = (grid_points(found, seed, None) for seed in (0, 0, 1))
    assert one == again != other
    assert sorted(map(repr, one)) == sorted(map(repr, other))
    base = {"schedule.kind": "linear", "optim.lr": 0.01}
    assert len(grid_points(found, 0, base)) == len(one) - 1


# 1/8: of the signs of three differences, one of eight is all negative; four: 1/16.
@pytest.mark.parametrize(
    ("own", "p"),
    [
        ({"0": 0.1, "1": 0.2}, None),  # too few
        ({"0": 0.1, "1": 0.2, "2": 0.3}, 1 / 8),
        ({"0": 0.1, "1": 0.2, "2": 0.3, "3": 0.2}, 1 / 16),
        ({"0": 0.1, "1": 0.2, "2": 0.6}, None),
        ({"0": 0.5, "1": 0.6, "2": 0.7}, None),  # better
        ({"5": 0.1, "6": 0.2, "7": 0.3}, None),  # no fold in common
    ],
)
def test_folds_that_are_worse_than_those_of_the_best(own: dict[str, float], p: float | None) -> None:
    best = {"0": 0.4, "1": 0.41, "2": 0.47, "3": 0.45}
    assert worse_over_folds(own, best) == (None if p is None else pytest.approx(p))


@pytest.mark.parametrize("url", ["journal.log", "mysql://a/b", "postgresql://me:secret@host/db", "redis://x"])
def test_storages_that_several_workers_cannot_share_are_refused_without_the_password(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_storage(url)
    assert "secret" not in str(caught.value)


def test_a_password_is_not_shown() -> None:
    assert without_password("postgresql+psycopg://me:a@b:c@host:5/db") == "postgresql+psycopg://me:***@host:5/db"
    assert without_password("sqlite:////tmp/a.db") == "sqlite:////tmp/a.db"
