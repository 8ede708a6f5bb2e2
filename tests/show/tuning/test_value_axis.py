"""Where the values of a setting lie on an axis, and how they are written."""

import pytest

from maskcls.results.search.study import SearchDimension, SearchTrial
from maskcls.show.tuning.value_axis import broken_name, typical_low, value_axis, value_text, without_middle


def trials(*values) -> list[SearchTrial]:
    return [SearchTrial(n, "done", {"a": value}, 0.5) for n, value in enumerate(values)]


def test_numbers_lie_between_the_lowest_and_the_highest() -> None:
    axis = value_axis(SearchDimension("a"), trials(1, 3.0, 2))
    assert [axis.place(x) for x in (1, 2, 3)] == [0, 0.5, 1]
    assert axis.ticks() == [(0.0, "1"), (0.5, "2"), (1.0, "3")]


def test_a_logarithmic_setting_has_its_middle_at_the_geometric_mean() -> None:
    axis = value_axis(SearchDimension("a", is_log=True), trials(1e-4, 1e-2))
    assert axis.place(1e-3) == pytest.approx(0.5)
    assert [label for _, label in axis.ticks()] == ["0.0001", "0.001", "0.01"]


@pytest.mark.parametrize("is_log", [True, False])
@pytest.mark.parametrize("value", [0.0, 5, 1e-300, -2.5])
def test_a_single_value_lies_in_the_middle(value: float, is_log: bool) -> None:
    axis = value_axis(SearchDimension("a", is_log=is_log), trials(value, value))
    assert axis.place(value) == pytest.approx(0.5, abs=0.05)


def test_kinds_are_in_the_order_of_the_space_and_values_from_elsewhere_follow() -> None:
    axis = value_axis(SearchDimension("a", choices=("ce", "focal")), trials("focal", "other"))
    assert axis.kinds == ("ce", "focal", "other")
    assert [axis.place(x) for x in axis.kinds] == pytest.approx([1 / 6, 3 / 6, 5 / 6])


def test_truth_values_and_infinite_numbers_are_kinds() -> None:
    assert value_axis(SearchDimension("a"), trials(True, False)).kinds == ("true", "false")
    assert value_axis(SearchDimension("a"), trials(1.0, float("inf"))).kinds == ("1", "inf")
    assert value_axis(SearchDimension("a"), trials(None, 2)).kinds == ("null", "2")


def test_a_setting_that_no_trial_has_gets_no_axis() -> None:
    assert value_axis(SearchDimension("b"), trials(1)) is None


def test_of_many_kinds_every_few_one_is_labelled() -> None:
    axis = value_axis(SearchDimension("a", choices=tuple(range(20))), trials(0))
    assert [label for _, label in axis.ticks()] == ["0", "3", "6", "9", "12", "15", "18"]


def test_long_texts_lose_their_middle_and_control_characters_are_shown() -> None:
    assert without_middle("a" * 30 + "z") == "a" * 11 + "…" + "a" * 9 + "z"
    assert len(without_middle("x" * 100)) == 22
    assert value_text("a\x1b[31m\n") == "a\\x1b[31m\\n"


def test_a_name_has_at_most_three_lines_of_eighteen_characters() -> None:
    lines = broken_name("transforms." + "very_long_name_of_a_setting_" * 5).split("\n")
    assert len(lines) == 3
    assert max(map(len, lines)) <= 18
    assert broken_name("x" * 200).count("\n") == 2


def test_scores_far_below_the_others_do_not_set_the_axis() -> None:
    assert typical_low([0.1, 0.5, 0.52, 0.53, 0.55]) == 0.5
    assert typical_low([0.45, 0.5, 0.52, 0.53, 0.55]) == 0.45
    assert typical_low([0.5] * 5) == 0.5
    assert typical_low([0.0, 0.9]) == 0.0
