"""Wrong copies of tables, JSON and YAML that still look like them: odd cells, missing columns, other types."""

from __future__ import annotations

import copy
import csv
import io
import json
import re
from collections.abc import Sequence
from random import Random
from typing import Any

from soak.mutate_bytes import mutated

CELLS = (
    *("", " ", "0", "-1", "1.0", "1e3", "1e999", "nan", "NaN", "inf", "-inf", "None", "null", "true", "٣", "\uff11"),
    *("18", "17", "-0", "00", "+1", "0x10", "1_000", str(2**31), str(2**63), str(2**64), "9" * 400, "9" * 5000),
    *("=1+1", "@x", "../../etc/passwd", "/etc/passwd", "~", "a/../b", "a\\b", "C:\\x", "\x00", "a\x00b", "\x1b[31m"),
    *("é", "e\u0301", "\u200b", "\ufeff", "\u202e", "😀", "\ud800", "a\nb", "a\r\nb", '"', "'", ",", ";", "\t", "wear"),
    *("x" * 300, "x" * 70000, "wear ", " male", "Male", "age", "https://x/y.jpg", "./a", "a//b", ".", ".."),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2**31, 2**63, 2**70, 10**400, -(10**400), 0.5, 1e308, -0.0, "", "x", "\x00"),
    *([], {}, [[]], [None], {"": 0}, "\ud800", "x" * 1000, [1, "2", None], {"a": {"b": {"c": []}}}, float("nan")),
    *(float("inf"), "../..", "/dev/zero", "1e-3", "none", "nan", [0] * 1000, -5, 3.7, "é", "0" * 64),
)
YAML_TRICKS = (
    *(
        "a: &a [x]\nb: *a\n",
        "a: &a\n  <<: *a\n",
        "!!python/object/apply:os.system ['true']\n",
        "? [a]\n: b\n",
        "%YAML 1.1\n",
    ),
    *("<<: {seed: 1}\n", "seed: 0o17\n", "seed: 1_0\n", "seed: 2020-01-01\n", "seed: ~\n", "seed: yes\n", "- a\n"),
    *("--- a\n--- b\n", "seed: !!float x\n", "seed: !!binary x\n", "seed: !!set {a}\n", "seed: !!timestamp x\n"),
    *(
        "a: " + "[" * 3000 + "\n",
        "a: " + "{a: " * 500 + "\n",
        "seed: " + "9" * 6000 + "\n",
        "\t- a\n",
        "@\n",
        "seed: |\n x\n",
    ),
    *(
        "seed: .inf\n",
        "seed: .nan\n",
        "seed: 1e400\n",
        "seed: 0x" + "f" * 400 + "\n",
        "!!int '3': 3\n",
        "seed: !!int ''\n",
    ),
    *(
        "seed: !!int\n",
        "seed: !<tag:yaml.org,2002:int> 1:99\n",
        "=: 1\n",
        "seed: =\n",
        "? !!float 1\n: 2\n",
        "null: 1\n",
    ),
)


def mutated_csv(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Return a wrong copy of a CSV: one to three changes of cells, rows, columns, header, quoting or encoding."""
    if rng.random() < 0.3:
        return mutated(rng, data, others)
    rows = list(csv.reader(io.StringIO(data.decode("utf-8", "replace"))))
    for _ in range(rng.choice((1, 1, 2, 3))):
        rng.choice((_cell, _cell, _cell, _rows, _columns, _header))(rng, rows)
    return _form(rng, rows)


def mutated_json(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Return a wrong copy of a JSON file, or of JSON lines: other values, types, keys, depths; sometimes bytes."""
    if rng.random() < 0.3:
        return mutated(rng, data, others)
    try:
        tree = json.loads(data)
    except ValueError:
        return mutated(rng, data, others)
    for _ in range(rng.choice((1, 1, 2, 3))):
        tree = _changed_tree(rng, tree)
    text = json.dumps(tree)
    if rng.random() < 0.1:
        text = rng.choice((_doubled_key(text), "[" * 100_000 + text, text + text, "\ufeff" + text, text + "\x00"))
    return text.encode("utf-8", "surrogatepass")


def mutated_yaml(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Return a wrong copy of a YAML file: odd values in its lines, lines moved, tricks of the language; or bytes."""
    if rng.random() < 0.25:
        return mutated(rng, data, others)
    lines = data.decode("utf-8", "replace").splitlines(keepends=True)
    for _ in range(rng.choice((1, 1, 2, 4))):
        place = rng.randrange(len(lines) + 1)
        kind = rng.random()
        if kind < 0.5 and lines:
            place = min(place, len(lines) - 1)
            value = rng.choice((*CELLS, *map(repr, VALUES)))
            lines[place] = re.sub(r"(:|-) ?[^\n]*", lambda m, value=value: m[1] + " " + value, lines[place], count=1)
        elif kind < 0.7:
            lines.insert(place, rng.choice(YAML_TRICKS))
        elif kind < 0.85 and lines:
            del lines[min(place, len(lines) - 1)]
        elif lines:
            line = rng.choice(lines)
            lines.insert(place, rng.choice((line, "  " + line, line.lstrip(), line.replace(":", "", 1))))
    return "".join(lines).encode("utf-8", "surrogatepass")


def _cell(rng: Random, rows: list[list[str]]) -> None:
    filled = [row for row in rows if row]
    if filled:
        row = rng.choice(filled)
        place = rng.randrange(len(row))
        row[place] = rng.choice(
            (*CELLS, row[place] + rng.choice(CELLS), row[place].upper(), rng.choice(rng.choice(filled)))
        )


def _rows(rng: Random, rows: list[list[str]]) -> None:
    if not rows:
        return
    place = rng.randrange(len(rows))
    kind = rng.randrange(5)
    if kind == 0:
        del rows[place]
    elif kind == 1:
        rows.insert(rng.randrange(len(rows)), list(rows[place]))
    elif kind == 2:
        rows[place] = rows[place] + [rng.choice(CELLS)]
    elif kind == 3:
        rows[place] = rows[place][:-1]
    else:
        rows.insert(place, [])


def _columns(rng: Random, rows: list[list[str]]) -> None:
    width = len(rows[0]) if rows else 0
    if not width:
        return
    one, other = rng.randrange(width), rng.randrange(width)
    kind = rng.randrange(4)
    for row in rows:
        if len(row) != width:
            continue
        if kind == 0:
            del row[one]
        elif kind == 1:
            row.insert(other, row[one])
        elif kind == 2:
            row[one], row[other] = row[other], row[one]
        else:
            row.append(rng.choice(CELLS))


def _header(rng: Random, rows: list[list[str]]) -> None:
    if rows and rows[0]:
        place = rng.randrange(len(rows[0]))
        name = rows[0][place]
        rows[0][place] = rng.choice((*CELLS, name.upper(), name + " ", name + "s", rng.choice(rows[0])))


def _form(rng: Random, rows: list[list[str]]) -> bytes:
    out = io.StringIO()
    quoting = rng.choice((csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
    end = rng.choice(("\n", "\n", "\n", "\r\n", "\r"))
    writer = csv.writer(out, delimiter=rng.choice(",,,,;\t"), quoting=quoting, lineterminator=end)
    writer.writerows(rows)
    text = out.getvalue()
    encoding = rng.choice((*["utf-8"] * 6, "utf-8-sig", "utf-16", "latin-1"))
    return text.encode(encoding, "surrogatepass" if encoding.startswith("utf") else "replace")


def _changed_tree(rng: Random, tree: Any) -> Any:
    places = list(_places(tree))
    if not places or rng.random() < 0.03:
        return _value(rng)
    holder, key = rng.choice(places)
    kind = rng.random()
    if kind < 0.6:
        holder[key] = _value(rng)
    elif kind < 0.75:
        del holder[key]
    elif kind < 0.85:
        other, place = rng.choice(places)
        if place in (other if isinstance(other, dict) else range(len(other))):
            holder[key] = copy.deepcopy(other[place])
    elif isinstance(holder, dict):
        holder[rng.choice((*filter(lambda v: isinstance(v, str), VALUES), str(key) + "x"))] = _value(rng)
    else:
        holder.insert(key, _value(rng))
    return tree


def _value(rng: Random) -> Any:
    return copy.deepcopy(rng.choice(VALUES))  # lists and dictionaries among them are changed later


def _places(tree: Any) -> Any:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield tree, key
        yield from _places(value)


def _doubled_key(text: str) -> str:
    found = re.search(r'"[^"]+": ', text)
    return text.replace(found[0], f"{found[0]}0, {found[0]}", 1) if found else text
