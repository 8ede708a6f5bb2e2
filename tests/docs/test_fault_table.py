"""The table of faults is complete: every fault once, with tests that exist, or with the reason why it has none."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache

from project import PROJECT_DIR

PAGE = (PROJECT_DIR / "docs" / "faults.md").read_text(encoding="utf8")
SUMS = {"I": 20, "C": 17, "K": 15, "W": 16, "R": 22, "D": 11, "P": 7, "S": 15, "X": 15}
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
CODES = {"", *map(str, (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 130, 141, 143))}


def rows() -> list[list[str]]:
    """Return the cells of each fault: id, fault, what maskcls does, exit codes, tests or a reason."""
    found = [[cell.strip() for cell in line.strip("|").split(" |")] for line in PAGE.splitlines()]
    return [cells for cells in found if re.fullmatch(r"[A-Z]\d+", cells[0])]


@cache
def names_in(path: str) -> frozenset[str]:
    """Return the names of the tests in a file."""
    tree = ast.parse((PROJECT_DIR / path).read_text(encoding="utf8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_every_fault_has_one_row() -> None:
    ids = [cells[0] for cells in rows()]
    assert ids == [f"{group}{number}" for group, count in SUMS.items() for number in range(1, count + 1)]
    assert len(ids) == 138
    assert Counter(name[0] for name in ids) == SUMS
    written = dict(re.findall(r"^\| ([A-Z]): [^|]*\| (\d+) \|$", PAGE, flags=re.MULTILINE))
    assert written == {group: str(count) for group, count in SUMS.items()}


def test_every_named_test_exists() -> None:
    named = TEST.findall(PAGE)
    assert len(named) > 240
    missing = [f"{path}::{name}" for path, name in named if name not in names_in(path) or not name.startswith("test_")]
    assert missing == []


def test_every_fault_has_a_test_or_a_reason() -> None:
    for name, fault, answer, codes, last in rows():
        assert fault.endswith((".", "?")), name
        assert answer.endswith("."), name
        assert set(codes.split(", ")) <= CODES, name
        assert TEST.fullmatch(last.split("<br>")[0]) or len(last.split()) >= 5, name
