"""Lengths of time as a person writes them."""

import pytest

from maskcls.durations import duration, parse_duration
from maskcls.errors import UsageError

READ = {
    "2h": 7200,
    "90s": 90,
    "1h30m": 5400,
    "1h 30m": 5400,
    "1 h 30 m 15 s": 5415,
    "45": 45,
    "0.5": 0.5,
    "1.5h": 5400,
    "2H": 7200,
    " 5m ": 300,
    "1d": 86_400,
    "1d12h": 129_600,
    "90m": 5400,
    "366d": 31_622_400,
}
REFUSED = (
    "",
    " ",
    "h",
    "0",
    "0s",
    "-5m",
    "5x",
    "m5",
    "30m1h",
    "1h1h",
    "1:30",
    "inf",
    "nan",
    "1e3",
    "٣h",
    "2h,",
    "367d",
)


@pytest.mark.parametrize(("text", "seconds"), READ.items())
def test_what_a_person_writes_is_read_in_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", REFUSED)
def test_anything_else_is_one_clear_message(text: str) -> None:
    with pytest.raises(UsageError) as found:
        parse_duration(text, "--budget")

    assert (found.value.where, found.value.got) == ("--budget", text)
    assert "2h" in str(found.value.fix)


def test_a_time_is_written_in_the_unit_in_which_it_is_read() -> None:
    assert [duration(s) for s in (0, 89, 90, 5399, 5400, 36_000)] == [
        "0 s",
        "89 s",
        "1.5 min",
        "90 min",
        "1.5 h",
        "10 h",
    ]
