"""Every option as data, read from the types and their descriptions: key, description, default and allowed values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from maskcls.schema.root import Config

Node = Mapping[str, Any]  # a part of a JSON schema

TOP = ""  # the name of the section of options that are in no section
NONE = object()  # the default of an option that must be given


@dataclass(frozen=True)
class Option:
    """One option.

    key      dotted, such as optim.lr; tasks[].name is the name of each entry of the list `tasks`.
    allowed  the values it takes, in words. choices: those of them that are fixed words.
    default  as plain data; NONE where a value must be given.
    """

    key: str
    help: str
    allowed: str
    choices: tuple[str, ...]
    default: Any


@dataclass(frozen=True)
class OptionSection:
    """A section of the configuration: its name (TOP for options in no section), what it is about, its options."""

    name: str
    help: str
    options: tuple[Option, ...]


def option_sections() -> list[OptionSection]:
    """Return every option of the configuration, by section, in the order in which a configuration is written."""
    schema = Config.model_json_schema()
    top: list[Option] = []
    sections: list[OptionSection] = []
    for name, node in schema["properties"].items():
        if "$ref" in node:
            sections.append(_section(name, _definition(schema, node)))
            continue
        top.append(_option(name, node))
        if "$ref" in node.get("items", ()):
            entry = _definition(schema, node["items"])
            top += [_option(f"{name}[].{field}", child) for field, child in entry["properties"].items()]
    return [OptionSection(TOP, "", tuple(top)), *sections]


def keys_by_name() -> dict[str, tuple[str, ...]]:
    """Return for each name of an option its dotted keys, those of all sections that have an option of this name.

    >>> keys_by_name()["patience"], keys_by_name()["seed"]
    (('schedule.patience', 'train.patience'), ('seed', 'folds.seed'))
    """
    fields = {name: getattr(field.annotation, "model_fields", None) for name, field in Config.model_fields.items()}
    found: dict[str, tuple[str, ...]] = {name: (name,) for name, own in fields.items() if own is None}
    for section, own in fields.items():
        for name in own or ():
            found[name] = (*found.get(name, ()), f"{section}.{name}")
    return found


def _section(name: str, definition: Node) -> OptionSection:
    options = [_option(f"{name}.{field}", node) for field, node in definition["properties"].items()]
    return OptionSection(name, _one_line(definition["description"]), tuple(options))


def _definition(schema: Node, node: Node) -> Node:
    definition: Node = schema["$defs"][node["$ref"].rpartition("/")[2]]
    return definition


def _option(key: str, node: Node) -> Option:
    return Option(key, _one_line(node["description"]), allowed(node), tuple(_choices(node)), node.get("default", NONE))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _choices(node: Node) -> Iterator[str]:
    for part in node.get("anyOf", [node]):
        yield from map(str, part.get("enum", ()))
        if "const" in part:
            yield str(part["const"])


def allowed(node: Node) -> str:
    """Say in words which values a part of the JSON schema allows.

    >>> allowed({"anyOf": [{"exclusiveMinimum": 0, "maximum": 1, "type": "number"}, {"type": "null"}]})
    'number above 0 and up to 1, or null'
    """
    if "anyOf" in node:
        parts = [allowed(part) for part in node["anyOf"]]
        return ("; or " if any(";" in part for part in parts) else ", or ").join(parts)
    if "enum" in node:
        return " | ".join(node["enum"])
    if "const" in node:
        return str(node["const"])
    match node.get("type"):
        case "boolean":
            return "true | false"
        case "null":
            return "null"
        case "integer":
            return f"whole number {_range(node)}".strip()
        case "number":
            return f"number {_range(node)}".strip()
        case "string":
            return "text"
        case "array":
            return _list(node)
        case "object":
            return "mapping"
        case None:  # a reference to the type of the entries of a list
            return "entry"
        case other:
            raise AssertionError(f"a type without words: {other}")


def _list(node: Node) -> str:
    if "prefixItems" in node:
        parts = [allowed(part) for part in node["prefixItems"]]
        if len(set(parts)) == 1:
            return f"list of {len(parts)}: {parts[0]}"
        return f"list of {len(parts)}: {'; '.join(parts)}"
    low, high = node.get("minItems", 0), node.get("maxItems")
    count = f" of {low} to {high}" if high else f" of at least {low}" if low else ""
    return f"list{count}: {allowed(node['items'])}"


def _range(node: Node) -> str:
    """Write the range of a number: `from 0 to 1`, `above 0 up to 1`, `at least 0`, `above 0 and below 1`."""
    low = {"minimum": "at least {}", "exclusiveMinimum": "above {}"}
    high = {"maximum": "up to {}", "exclusiveMaximum": "below {}"}
    if "minimum" in node and "maximum" in node:
        return f"from {_number(node['minimum'])} to {_number(node['maximum'])}"
    parts = [text.format(_number(node[name])) for name, text in (low | high).items() if name in node]
    return " and ".join(parts)


def _number(value: float) -> str:
    return f"{value:.12g}"
