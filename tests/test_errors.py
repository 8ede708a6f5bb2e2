"""Messages, exit codes and the trip of an error between processes."""

import copy
import multiprocessing
import pickle

import pytest

from maskcls import errors
from maskcls.errors import Exit, MaskclsError, nearest, visible

# Written by hand: scripts depend on these numbers.
EXIT_CODES = {
    "OK": 0,
    "INTERNAL": 1,
    "USAGE": 2,
    "CONFIG": 3,
    "DATA": 4,
    "WEIGHTS": 5,
    "RESOURCE": 6,
    "BUSY": 7,
    "DIVERGED": 8,
    "RESULT": 9,
    "INTERRUPTED": 130,
    "PIPE": 141,
    "TERMINATED": 143,
}
KINDS = {
    "MaskclsError": ("internal", 1),
    "UsageError": ("usage", 2),
    "ConfigError": ("config", 3),
    "DataError": ("data", 4),
    "WeightsError": ("weights", 5),
    "ResourceError": ("resource", 6),
    "BusyError": ("busy", 7),
    "DivergedError": ("diverged", 8),
    "ResultError": ("result", 9),
}


def full(kind: type[MaskclsError] = MaskclsError, offenders: int = 12) -> MaskclsError:
    """Make an error with every part filled in."""
    items = [f"row {i}" for i in range(offenders)]
    return kind("bad rows", where="train.csv", got="-7", expected="0..120", fix="correct them", offenders=items)


def test_exit_codes_are_the_written_ones() -> None:
    assert len(EXIT_CODES) == 13
    assert {e.name: e.value for e in Exit} == EXIT_CODES


def test_every_kind_of_error_has_its_own_code_and_exit_code() -> None:
    kinds = {
        name: (kind.code, int(kind.exit_code))
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, MaskclsError)
    }
    assert len(kinds) == 9
    assert kinds == KINDS


def test_a_full_message_has_six_lines_in_this_order() -> None:
    assert full(offenders=2).lines() == [
        "error[internal] bad rows",
        "  2 in total: row 0; row 1",
        "  where: train.csv",
        "  got: -7",
        "  expected: 0..120",
        "  fix: correct them",
    ]


def test_parts_that_are_missing_leave_no_line_and_empty_ones_do() -> None:
    assert str(MaskclsError("odd")) == "error[internal] odd"
    assert MaskclsError("odd", got="").lines() == ["error[internal] odd", "  got: "]


@pytest.mark.parametrize(
    ("count", "end"), [(1, "row 0"), (10, "row 8; row 9"), (11, "row 9; … and 1 more"), (500, "; … and 490 more")]
)
def test_ten_offenders_are_shown_with_the_count_of_all(count: int, end: str) -> None:
    line = full(offenders=count).lines()[1]
    assert line.startswith(f"  {count} in total: row 0")
    assert line.endswith(end)
    assert line.count("row ") == min(count, 10)


def test_control_characters_cannot_add_lines_or_steer_the_terminal() -> None:
    hostile = "a\nb\x1b[31m\r\x07\u202e\x9b\ud800"
    error = MaskclsError(hostile, where=hostile, got=hostile, expected=hostile, fix=hostile, offenders=[hostile])
    lines = str(error).split("\n")
    assert len(lines) == 6
    assert all(line.isprintable() for line in lines)
    assert all(r"a\nb\x1b[31m\r\x07\u202e\x9b\ud800" in line for line in lines)


def test_readable_text_of_any_script_stays_as_it_is() -> None:
    text = "얼굴 사진 é 😀 [/red] 50 % \\n"
    assert visible(text) == text


def test_every_kind_survives_pickling_and_copying() -> None:
    seen = 0
    for name in KINDS:
        error = full(getattr(errors, name))
        error.add_note("while reading")
        for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
            assert type(twin) is type(error)
            assert twin.__dict__ == error.__dict__
            assert (str(twin), twin.args, twin.exit_code) == (str(error), error.args, error.exit_code)
            seen += 1
    assert seen == 18


def raise_full(_: int) -> None:
    raise full(errors.DataError)


def test_an_error_raised_in_a_worker_process_arrives_whole() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool, pytest.raises(errors.DataError) as caught:
        pool.map(raise_full, [0])
    assert caught.value.lines() == full(errors.DataError).lines()


@pytest.mark.parametrize(
    ("word", "expected"),
    [("hflp", "hflip"), ("HFLIP", "hflip"), ("Backbone", "backbone"), ("x", None), ("", None), ("zzzzz", None)],
)
def test_nearest(word: str, expected: str | None) -> None:
    assert nearest(word, ["none", "hflip", "backbone"]) == expected


def test_nearest_of_nothing_is_nothing() -> None:
    assert nearest("hflip", []) is None
