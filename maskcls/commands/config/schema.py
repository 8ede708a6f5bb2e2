"""maskcls config schema: a JSON schema of configuration files, for editors."""

from __future__ import annotations

from typing import Any

from maskcls.config.files import BASE
from maskcls.schema import Config


def editor_schema() -> dict[str, Any]:
    """Return the JSON schema of a configuration file: names, descriptions, types, ranges and defaults.

    It is wider than what maskcls accepts in two ways: the values under dotted keys such as `optim.lr` and under
    `separate` are not checked.
    """
    schema = Config.model_json_schema()
    sections = [name for name, node in schema["properties"].items() if "$ref" in node]
    base = {
        "type": "string",
        "minLength": 1,
        "description": "File whose settings this file builds on: a path relative to this file, or a shipped name.",
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "maskcls configuration",
        "properties": {BASE: base, **schema["properties"]},
        "patternProperties": {rf"^({'|'.join([*sections, 'separate'])})\.": {}},
    }
