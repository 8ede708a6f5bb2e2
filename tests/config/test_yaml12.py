"""Reading YAML: what is a number, what is text, what is refused, and that nothing else can happen."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from effort import python_calls
from hypothesis import example, given, settings
from hypothesis import strategies as st

from maskcls.config.yaml12 import MAX_BYTES, MAX_DEPTH, dump_yaml, parse_yaml, read_yaml
from maskcls.errors import ConfigError

# text -> value, compared with its type
SCALARS: dict[str, Any] = {
    "1e-3": 0.001,
    "1E3": 1000.0,
    "-2.5e+2": -250.0,
    "1.": 1.0,
    ".5": 0.5,
    "0.5": 0.5,
    "3.0": 3.0,
    "3": 3,
    "-3": -3,
    "+3": 3,
    "0": 0,
    ".inf": float("inf"),
    "-.INF": -float("inf"),
    "true": True,
    "False": False,
    "null": None,
    "~": None,
    "": None,
    # Text under YAML 1.2, but false, 8, 750, a date, 10, 1000, 31, a merge and a value under YAML 1.1.
    "no": "no",
    "on": "on",
    "Yes": "Yes",
    "010": "010",
    "12:30": "12:30",
    "2024-01-02": "2024-01-02",
    "0b1010": "0b1010",
    "1_000": "1_000",
    "0x1F": "0x1F",
    "<<": "<<",
    "=": "=",
    # Looks like a number for a moment.
    ".": ".",
    "-": [None],
    "1e": "1e",
    "e3": "e3",
    "00.5": "00.5",
    "1.2.3": "1.2.3",
    "'3'": "3",
    '"true"': "true",
}


def test_scalars_have_the_types_of_yaml_1_2() -> None:
    assert len(SCALARS) == 37
    read = {text: parse_yaml(text, where="x") for text in SCALARS}
    assert {text: (type(v), v) for text, v in read.items()} == {text: (type(v), v) for text, v in SCALARS.items()}


def test_nan_is_a_number() -> None:
    assert repr(parse_yaml("[.nan, .NaN]", where="x")) == "[nan, nan]"


def test_keys_are_text_whatever_they_look_like() -> None:
    assert parse_yaml("{1: a, true: b, ~: c, no: d, <<: {e: f}}", where="x") == {
        "1": "a",
        "true": "b",
        "~": "c",
        "no": "d",
        "<<": {"e": "f"},
    }


# name -> text, line, part of what was got
REFUSED: dict[str, tuple[str, int, str]] = {
    "python object": ("a: !!python/object/apply:os.system [ls]", 1, "tag"),
    "own tag": ("a:\n- !x 1", 2, "tag"),
    "harmless tag": ("a: !!int 3", 1, "tag"),
    "empty tag": ("a: ! 3", 1, "tag"),
    "tag on a section": ("!!set {a, b}", 1, "tag"),
    "tag on a key": ("!!int a: 3", 1, "tag"),
    "alias": ("a: &x 1\nb: *x", 1, "anchors"),
    "alias of nothing": ("b: *x", 1, "anchors"),
    "alias bomb": (
        "\n".join(["a0: &a0 [x]"] + [f"a{i}: &a{i} [{f'*a{i - 1},' * 9}]" for i in range(1, 9)]),
        1,
        "anchors",
    ),
    "repeated key": ("a: 1\nb: 2\na: 3", 3, "'a' is on line 1 already"),
    "repeated key, quoted": ("a: 1\n'a': 3", 2, "already"),
    "repeated key, inside": ("x:\n  - {b: 1,\n     b: 1}", 3, "'b' is on line 2 already"),
    "list as key": ("? [a]\n: 1", 1, "key must be text"),
    "mapping as key": ("{{a: 1}: 1}", 1, "key must be text"),
    "deep list": ("[" * 3000, 1, "nested deeper than 32"),
    "deep mapping": ("{a: " * 3000, 1, "nested deeper than 32"),
    "deep block": ("- " * 3000, 1, "nested deeper than 32"),
    "NUL": ("a: 1\nb: \0", 2, r"'\x00'"),
    "escape": ("a: \x1b[31m", 1, r"'\x1b'"),
    "half a character": ("a: \ud800", 1, r"'\ud800'"),
    "tab": ("a:\n\tb: 1", 2, r"'\t'"),
    "two documents": ("a: 1\n---\nb: 2", 2, "another document"),
    "two values": ("a: b: c", 1, "not allowed here"),
    "open bracket": ("a: [1", 1, "expected ',' or ']'"),
    "open quote": ("a: 'x", 1, "end of stream"),
    "version 3": ("%YAML 3.0\n---\na", 1, "version"),
    "endless number": ("a: " + "9" * 5000, 1, "5000 digits"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_the_line_and_the_reason(name: str) -> None:
    text, line, got = REFUSED[name]
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, where="exp.yaml")
    assert caught.value.where == f"exp.yaml, line {line}"
    assert got in str(caught.value.got)


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_takes_no_more_work_than_the_text_is_long(name: str) -> None:
    text = REFUSED[name][0]
    assert python_calls(lambda: refusal(lambda: parse_yaml(text, where="x"))) < 2000 + 20 * len(text)


def test_the_refusals_are_all_there() -> None:
    assert len(REFUSED) == 27


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a: ", "}")])
def test_the_deepest_nesting_allowed(opening: str, closing: str) -> None:
    deep = MAX_DEPTH - (opening != "[")  # a mapping has a value at the bottom
    parse_yaml(opening * deep + closing * deep, where="x")
    with pytest.raises(ConfigError, match="nested deeper"):
        parse_yaml(opening * (deep + 1) + closing * (deep + 1), where="x")


def long_list(unit: str, size: int) -> str:
    return ("[" + unit * size)[: size - 4].rpartition(",")[0] + "]"


@pytest.mark.parametrize("unit", ["[],", "{a},", "a,", "1,"])
def test_twice_the_text_is_twice_the_work_up_to_the_longest_allowed(unit: str) -> None:
    text = long_list(unit, MAX_BYTES)
    whole = python_calls(lambda: parse_yaml(text, where="x"))
    half = python_calls(lambda: parse_yaml(long_list(unit, MAX_BYTES // 2), where="x"))
    assert 1.9 * half < whole < 2.1 * half
    with pytest.raises(ConfigError, match="too long"):
        parse_yaml(text + " " * (MAX_BYTES + 1 - len(text)), where="x")


# --- files


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "a.yaml", b"\xef\xbb\xbfname: \xec\x96\xbc")
    assert read_yaml(path) == {"name": "얼"}


@pytest.mark.parametrize(
    ("data", "got"),
    [
        (b"", "an empty document"),
        (b"# only a comment\n", "an empty document"),
        (b"null", "an empty document"),
        (b"- a", "a list"),
        (b"abc", "text"),
        (b"3", "a number"),
    ],
)
def test_a_document_that_is_no_mapping_is_refused(tmp_path: Path, data: bytes, got: str) -> None:
    with pytest.raises(ConfigError, match="not a mapping") as caught:
        read_yaml(written(tmp_path / "a.yaml", data))
    assert (caught.value.where, caught.value.got) == (str(tmp_path / "a.yaml"), got)


@pytest.mark.parametrize(
    ("data", "line"), [(b"a: 1\nb: \xff", 2), ("a: 1\nb: 얼".encode("cp949"), 2), ("a: 1".encode("utf-16"), 1)]
)
def test_other_encodings_are_refused(tmp_path: Path, data: bytes, line: int) -> None:
    with pytest.raises(ConfigError, match="not UTF-8") as caught:
        read_yaml(written(tmp_path / "a.yaml", data))
    assert caught.value.where == f"{tmp_path / 'a.yaml'}, line {line}"


@pytest.mark.parametrize("size", [MAX_BYTES + 1, (1 << 20) + 1])
def test_a_file_that_is_too_long_is_refused(tmp_path: Path, size: int) -> None:
    with pytest.raises(ConfigError, match="too large"):
        read_yaml(written(tmp_path / "a.yaml", b"a: 1\n" + b"#" * (size - 5)))
    written(tmp_path / "a.yaml", b"a: 1\n" + b"#" * (MAX_BYTES - 5))
    assert read_yaml(tmp_path / "a.yaml") == {"a": 1}


def test_a_path_without_a_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path, tmp_path / "nul\0.yaml", Path("/dev/zero")):
        with pytest.raises(ConfigError, match="cannot read") as caught:
            read_yaml(path)
        assert str(path) in str(caught.value.where)


# --- properties

SNIPPETS = [
    *SCALARS,
    *(text for text, _, _ in REFUSED.values() if len(text) < 50),
    *(
        ": ",
        "- ",
        "> ",
        "|2 ",
        "\n",
        "\r\n  ",
        "  ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "# ",
        "---\n",
        "...\n",
        "%",
        "@",
        "`",
        "\\",
    ),
    *("''", '"\\ud800"', "\u2028", "\x85", "\ufeff", "😀"),
]
YAML_LIKE = st.one_of(st.text(), st.lists(st.sampled_from(SNIPPETS), max_size=20).map("".join))
PLAIN: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**80), 10**80)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8"))
    | st.sampled_from([text for text in SCALARS if text.isprintable()]),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), children),
    max_leaves=4,
)


def refusal(read: Callable[[], object]) -> ConfigError | None:
    """Return the error a reader refuses with, if it does; any other exception fails the test."""
    try:
        read()
    except ConfigError as error:
        return error
    return None


@settings(max_examples=100)
@given(YAML_LIKE)
@example("a: !!timestamp 3")
@example("a: !!int x")
def test_any_text_is_read_or_refused_with_a_message(text: str) -> None:
    error = refusal(lambda: parse_yaml(text, where="x"))
    assert error is None or (str(error.where).startswith("x, line ") and error.got)


@settings(max_examples=60)
@given(st.binary())
def test_any_file_is_read_or_refused_with_a_message(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = written(tmp_path_factory.getbasetemp() / "any.yaml", data)
    error = refusal(lambda: read_yaml(path))
    assert error is None or str(error.where).startswith(str(path))


@settings(max_examples=60)
@given(st.dictionaries(st.text(st.characters(codec="utf-8")), PLAIN))
@example({"\x85": "a\x85 b\u2028\u2029\ufeff\x00\n"})
@example({"a": "1e3", "b": "010", "c": "no", "d": ["1e-05", 1e-05], "1": 1})
def test_what_is_written_is_read_back_equal(data: dict[str, Any]) -> None:
    back = parse_yaml(dump_yaml(data), where="x")
    assert repr(back) == repr(data)  # tells 1 from 1.0 and True, and 0.0 from -0.0


def test_text_that_older_yaml_would_misread_is_quoted() -> None:
    assert dump_yaml({"a": "no", "b": "12:30", "c": "1e3"}) == "a: 'no'\nb: '12:30'\nc: '1e3'\n"


def test_what_was_read_may_be_changed_and_the_same_text_is_read_as_before() -> None:
    first = parse_yaml("{a: [1, {b: 2}]}", where="x")
    first["a"][1]["b"] = 3
    first["c"] = 4
    assert parse_yaml("{a: [1, {b: 2}]}", where="y") == {"a": [1, {"b": 2}]}


def test_a_wrong_text_is_refused_each_time_with_its_own_place() -> None:
    for where in ("x", "y"):
        with pytest.raises(ConfigError) as caught:
            parse_yaml("{a: 1, a: 2}", where=where)
        assert caught.value.where == f"{where}, line 1"
