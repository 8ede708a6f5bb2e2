"""Facts in the metadata of an ONNX file: one text per fact, as JSON. Needs no other package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from maskcls.errors import WeightsError

FORMAT = 1  # raised when a fact is renamed or removed, or its meaning changes
PREFIX = "maskcls."


def to_metadata(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the entries of an ONNX file's `metadata_props`.

    >>> to_metadata({"views": "hflip"})
    {'maskcls.format': '1', 'maskcls.views': '"hflip"'}
    """
    every = {"format": FORMAT, **facts}
    return {PREFIX + name: json.dumps(value, ensure_ascii=False, allow_nan=False) for name, value in every.items()}


def from_metadata(entries: Mapping[str, str], *, where: str) -> dict[str, Any]:
    """Return the facts; raises WeightsError for a file that is not from `maskcls export`, or from a newer one."""
    if PREFIX + "format" not in entries:
        raise WeightsError(
            "this ONNX file is not from maskcls export",
            where=where,
            expected="a file that has the classes and the preparation of photos in its metadata",
            fix="maskcls export RUN -o model.onnx",
        )
    try:
        facts = {
            name.removeprefix(PREFIX): json.loads(text) for name, text in entries.items() if name.startswith(PREFIX)
        }
    except ValueError as error:
        raise WeightsError(
            "the metadata of the ONNX file is damaged",
            where=where,
            got=str(error),
            fix="export the run again: maskcls export RUN -o FILE",
        ) from None
    if facts["format"] != FORMAT:
        raise WeightsError(
            "this ONNX file was made by another version of maskcls",
            where=where,
            got=f"format {facts['format']}, maskcls {facts.get('maskcls')}",
            expected=f"format {FORMAT}",
            fix="install that version, or export the run again",
        )
    return facts
