"""JSON files with a type: checked when read, and written with only the keys that were set.

A file with other keys or types raises one ResultError that names the file, the key and the fault.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from maskcls import files
from maskcls.errors import ResultError

F = TypeVar("F", bound="JsonFile")


class JsonFile(BaseModel):
    """The content of a JSON file, or a part of it. Unknown keys are ignored; values are not converted."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)

    def to_json(self) -> dict[str, Any]:
        """Return plain data: the keys that were set, in the order of the fields."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


def read(path: Path, kind: type[F]) -> F:
    """Read a file of this kind; raises ResultError when it is missing, damaged, or has other keys or types."""
    return parse(files.read_json(path), kind, path)


def parse(data: object, kind: type[F], path: Path) -> F:
    """Check plain data that was read from `path`; raises ResultError when it has other keys or types."""
    try:
        return kind.model_validate_json(json.dumps(data))
    except ValidationError as error:
        fix = "restore the file, or train the run again"
        raise ResultError(
            "a file of the run has an unexpected form", where=str(path), got=first_fault(error), fix=fix
        ) from None


def first_fault(error: ValidationError) -> str:
    """Return the first fault that was found, with its key."""
    first = error.errors(include_url=False)[0]
    key = ".".join(map(str, first["loc"]))
    return f"{key}: {first['msg']}" if key else first["msg"]
