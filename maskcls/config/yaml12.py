"""YAML as people expect it: the scalars of YAML 1.2, and only the plain part of the language.

PyYAML follows YAML 1.1, where `no` is false, `010` is eight, `12:30` is 750 and `1e-3` is text. Here decimal numbers,
with or without an exponent, are numbers, and the other three are text, like octal and hexadecimal numbers.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Hashable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError
from yaml.reader import ReaderError

from maskcls.errors import ConfigError
from maskcls.files import FileKind, read_file

MAX_BYTES = 1 << 14  # ten times a resolved configuration; reading that much takes under half a second
CONFIGURATION = FileKind("the configuration", ConfigError, MAX_BYTES)
MAX_DEPTH = 32
MAX_DIGITS = 100  # Python converts no numbers of some thousands of digits, and raises its own error

_KINDS = {type(None): "an empty document", list: "a list", str: "text", bool: "true or false"}
_SCALARS = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read one mapping from a file of at most `MAX_BYTES`; raises ConfigError."""
    raw = read_file(path, CONFIGURATION)
    try:
        text = raw.decode()  # PyYAML drops a byte order mark
    except UnicodeDecodeError as error:
        place = f"{path}, line {raw[: error.start].count(10) + 1}"
        raise ConfigError("the configuration is not UTF-8 text", where=place, fix="save it as UTF-8") from None
    data = parse_yaml(text, where=str(path))
    if not isinstance(data, dict):
        raise ConfigError(
            "the configuration is not a mapping",
            where=str(path),
            got=_KINDS.get(type(data), "a number"),
            expected="sections with settings, such as `optim: {lr: 1e-4}`",
        )
    return data


def parse_yaml(text: str, *, where: str) -> Any:
    """Read one YAML document into plain data with text as keys; an empty one is None.

    Repeated keys, anchors and aliases, tags, nesting deeper than `MAX_DEPTH` and more text than `MAX_BYTES` raise a
    ConfigError that names `where` and the line.

    >>> parse_yaml("{lr: 1e-3, name: no, start: 12:30}", where="example")
    {'lr': 0.001, 'name': 'no', 'start': '12:30'}
    """
    if len(text) > MAX_BYTES:
        raise _too_long(where)
    try:
        return copy.deepcopy(_document(text))
    except ReaderError as error:
        place = f"{where}, line {text.count(chr(10), 0, error.position) + 1}"
        got = f"the character {chr(error.character)!r}"
        raise ConfigError(
            "this is not valid YAML",
            where=place,
            got=got,
            fix="save the file as plain text, without control characters",
        ) from None
    except yaml.MarkedYAMLError as error:
        place = f"{where}, line {error.problem_mark.line + 1}" if error.problem_mark else where
        raise ConfigError(
            "this is not valid YAML",
            where=place,
            got=error.problem,
            fix="correct this line: one `key: value` per line, indented by spaces; text with `:` or `#` in quotes",
        ) from None


@lru_cache(maxsize=16)
def _document(text: str) -> Any:
    """Return the document of a text; a command reads the configuration of its run several times. Not to be changed."""
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def dump_yaml(data: Mapping[str, Any]) -> str:
    """Write plain data so that `parse_yaml` reads it back equal."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def quoted_yaml(text: str) -> str:
    """Write text as one double-quoted scalar on one line, which `parse_yaml` reads back equal, whatever it looks like.

    >>> quoted_yaml("no"), quoted_yaml("1e3")
    ('"no"', '"1e3"')
    """
    written: str = yaml.dump(text, Dumper=_Dumper, default_style='"', allow_unicode=True, width=math.inf)
    return written.removesuffix("\n")


def _too_long(where: str) -> ConfigError:
    return ConfigError(
        "the configuration is too long",
        where=where,
        expected=f"at most {MAX_BYTES // 1024} KiB",
        fix="name a configuration file",
    )


class _Loader(yaml.SafeLoader):
    """SafeLoader with the scalars above, keys as text, and none of the features that need care."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - PyYAML's own registry, emptied of the rules of YAML 1.1
    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if event.anchor is not None:
            raise ComposerError(None, None, "anchors and aliases are not allowed", event.start_mark)
        if event.tag is not None:
            raise ComposerError(None, None, f"the tag {event.tag!r} is not allowed", event.start_mark)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ComposerError(None, None, f"nested deeper than {MAX_DEPTH}", event.start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        mapping: dict[Hashable, Any] = {}
        first_line: dict[str, int] = {}
        for key_node, value_node in node.value:
            key, mark = key_node.value, key_node.start_mark
            if not isinstance(key_node, yaml.ScalarNode):
                raise ConstructorError(None, None, "a key must be text", mark)
            if key in mapping:
                raise ConstructorError(None, None, f"the key {key!r} is on line {first_line[key]} already", mark)
            mapping[key] = self.construct_object(value_node, deep=deep)
            first_line[key] = mark.line + 1
        return mapping

    def construct_yaml_int(self, node: Any) -> int:
        if len(node.value) > MAX_DIGITS:
            raise ConstructorError(None, None, f"a number of {len(node.value)} digits", node.start_mark)
        return int(node.value)


class _Dumper(yaml.SafeDumper):
    """SafeDumper that quotes text which YAML 1.1 or the rules above would read as something else."""

    def represent_str(self, text: str) -> yaml.ScalarNode:
        # Only double quotes keep every character: elsewhere, some of them count as line breaks.
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
_Dumper.add_representer(str, _Dumper.represent_str)
for _name, _pattern, _first in _SCALARS:
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(rf"(?:{_pattern})\Z"), _first)
