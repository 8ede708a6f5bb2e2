"""The base class of every section of the configuration, and the ranges that several settings share."""

from __future__ import annotations

import os
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def without_nul(text: str) -> str:
    """Return text that may be part of a path; ValueError, in words that follow "expected", for a NUL character."""
    if "\0" in text:
        raise ValueError("text without a NUL character")
    return text


def with_home(path: str) -> str:
    """Return a path with `~` at its start as the home folder: no shell replaces it in a file or after `key=`."""
    return os.path.expanduser(path)


Share = Annotated[float, Field(ge=0, le=1)]
Kept = Annotated[float, Field(gt=0, le=1)]
Below = Annotated[float, Field(ge=0, lt=1)]
Inside = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Pixels = Annotated[int, Field(ge=8, le=4096)]
Text = Annotated[str, Field(min_length=1), AfterValidator(without_nul)]
FilePath = Annotated[Text, AfterValidator(with_home)]
TaskName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Auto = Literal["auto"]


class Section(BaseModel):
    """A part of the configuration: it cannot be changed, converts no types and rejects unknown keys.

    The text below a field is its description: meaning, unit and source. The type holds its range and default.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
