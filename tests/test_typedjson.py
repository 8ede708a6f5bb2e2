"""JSON files with a type: what is written is what was given, and what is of another form is refused with its key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import Field

from maskcls import files, typedjson
from maskcls.errors import ResultError
from maskcls.typedjson import JsonFile


class Small(JsonFile):
    name: str
    counts: tuple[int, ...]
    share: float | None
    extra: dict[str, float] = Field(default_factory=dict)


SMALL = Small(name="가", counts=(1, 2), share=None)


def test_only_the_keys_that_were_given_are_written_in_the_order_of_the_fields(tmp_path: Path) -> None:
    files.commit_json(tmp_path / "a.json", Small(share=0.1, counts=(), name="x", extra={"b": 2.0, "a": 1.0}).to_json())
    whole = json.loads((tmp_path / "a.json").read_text())
    assert list(whole) == ["name", "counts", "share", "extra"]
    assert list(whole["extra"]) == ["b", "a"]
    files.commit_json(tmp_path / "b.json", SMALL.to_json())
    assert (tmp_path / "b.json").read_text() == '{\n "name": "가",\n "counts": [\n  1,\n  2\n ],\n "share": null\n}\n'


def test_what_was_written_comes_back_and_is_written_the_same(tmp_path: Path) -> None:
    files.commit_json(tmp_path / "a.json", SMALL.to_json())
    back = typedjson.read(tmp_path / "a.json", Small)
    assert back == SMALL
    files.commit_json(tmp_path / "b.json", back.to_json())
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


@pytest.mark.parametrize(
    ("data", "got"),
    [
        ({"name": "x", "counts": [1]}, "share: Field required"),
        ({"name": 3, "counts": [1], "share": 0.5}, "name: "),
        ({"name": "x", "counts": [1, "2"], "share": 0.5}, "counts.1: "),
        ({"name": "x", "counts": [1.5], "share": 0.5}, "counts.0: "),
        ({"name": "x", "counts": [True], "share": 0.5}, "counts.0: "),
        ({"name": "x", "counts": [1], "share": "0.5"}, "share: "),
        ([1], "Input should be an object"),
        (None, "Input should be an object"),
    ],
)
def test_another_form_is_refused_with_the_key(tmp_path: Path, data: object, got: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(data))
    with pytest.raises(ResultError, match="unexpected form") as caught:
        typedjson.read(path, Small)
    assert caught.value.where == str(path)
    assert str(caught.value.got).startswith(got)
    assert caught.value.fix


def test_unknown_keys_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"name": "x", "counts": [], "share": 1, "later": {}}')
    assert typedjson.read(tmp_path / "a.json", Small).share == 1.0


def test_a_missing_and_a_damaged_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="missing"):
        typedjson.read(tmp_path / "a.json", Small)
    (tmp_path / "a.json").write_text('{"share": NaN')
    with pytest.raises(ResultError, match="cannot be read"):
        typedjson.read(tmp_path / "a.json", Small)
