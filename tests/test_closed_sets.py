"""Choices by name are complete: a name that is added to a closed set is handled everywhere, or mypy and tests fail.

A `match` over names ends in `case _: assert_never(...)`, which mypy proves to be unreachable, or in a `raise`. A chain
of `if` and `elif` that compares one value with several names would hide a missing case, so it is a `match` as well.
"""

import ast
from collections.abc import Iterator
from typing import get_args

import pytest
from project import PACKAGE_DIR

from maskcls.data.drawn.look import MASK_KINDS, Garment, MaskKind
from maskcls.data.drawn.mask import SHAPES, SLIP_SHARES, SLIPS, Slip
from maskcls.data.drawn.scene import NECKLINE_Y
from maskcls.data.rows.sampling import Draw
from maskcls.data.views.mixing import MixKind, Partner
from maskcls.data.views.transforms import ErasingFill
from maskcls.lossterms import KINDS, WEIGHTINGS, LossKind, Weighting
from maskcls.nn.schedule import Kind as ScheduleKind
from maskcls.results.ensembles.methods import METHODS, EnsembleMethod
from maskcls.schema import MixConfig, SamplerConfig, ScheduleConfig, Section, TransformsConfig

# (module, function) -> why its `match` or chain need not be closed. An entry that matches nothing fails.
OPEN = {
    ("data/layouts/contest.py", "_fix_fault"): "the field of a row of a CSV file: any text, reported as a fault",
    ("data/photos/cache_folder.py", "read_info"): "the shape of a JSON document, not a name",
    ("engine/step_plan.py", "_group"): "joint, person or the name of any task",
    ("results/scores/epoch_choice.py", "criterion"): "tasks, loss, last, macro_f1 or the name of any task",
    ("config/faults.py", "_fault"): "pydantic's kinds of faults: an open set",
    ("engine/compute/timing.py", "_wait"): "torch's device types: an open set",
    ("training/side_by_side.py", "_receive"): "names of the reporter's methods",
}


def functions(tree: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield every `match` and `if` with the name of the function around it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield from ((node.name, inner) for inner in ast.walk(node) if isinstance(inner, ast.Match | ast.If))


def names_of(pattern: ast.pattern) -> set[str]:
    parts = pattern.patterns if isinstance(pattern, ast.MatchOr) else [pattern]
    values = [part.value for part in parts if isinstance(part, ast.MatchValue)]
    return {value.value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)}


def is_closed(match: ast.Match) -> bool:
    """Whether the last case catches everything and only raises; a `match` over other things than names counts too."""
    last = match.cases[-1]
    catches_all = isinstance(last.pattern, ast.MatchAs) and last.pattern.pattern is None and last.guard is None
    first = last.body[0]
    never = (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Call)
        and isinstance(first.value.func, ast.Name)
        and first.value.func.id == "assert_never"
    )
    return catches_all and (never or isinstance(first, ast.Raise))


def compared(test: ast.expr) -> tuple[str, str] | None:
    """Return (what, name) of a test `what == "name"`."""
    if isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Eq) and len(test.ops) == 1:
        right = test.comparators[0]
        if isinstance(right, ast.Constant) and isinstance(right.value, str) and right.value:
            return ast.unparse(test.left), right.value
    return None


def open_choices(source: str, file: str) -> list[tuple[str, str]]:
    """Return (file, function) of every choice by name that is not closed."""
    found = []
    by_value: dict[tuple[str, str], set[str]] = {}
    for function, node in functions(ast.parse(source)):
        if isinstance(node, ast.Match) and not is_closed(node):
            found.append((file, function))
        elif isinstance(node, ast.If) and (pair := compared(node.test)):
            by_value.setdefault((function, pair[0]), set()).add(pair[1])
    return found + [(file, function) for (function, _), names in by_value.items() if len(names) > 1]


def test_every_choice_by_name_is_closed() -> None:
    files = sorted(PACKAGE_DIR.rglob("*.py"))
    assert len(files) >= 150
    found = set()
    matches = 0
    for path in files:
        source = path.read_text(encoding="utf-8")
        matches += sum(isinstance(node, ast.Match) for node in ast.walk(ast.parse(source)))
        found |= set(open_choices(source, path.relative_to(PACKAGE_DIR).as_posix()))
    assert matches >= 25
    assert found == set(OPEN), f"new: {sorted(found - set(OPEN))}, gone: {sorted(set(OPEN) - found)}"


@pytest.mark.parametrize(
    ("body", "closed"),
    [
        ("match x:\n  case 'a': return 1\n  case _: assert_never(x)", True),
        ("match x:\n  case 'a': return 1\n  case _: raise ValueError(x)", True),
        ("match x:\n  case 'a': return 1\n  case _: pass", False),
        ("match x:\n  case 'a': return 1", False),
        ("match x:\n  case 'a': return 1\n  case _ if y: assert_never(x)", False),
        ("if x == 'a': return 1\n elif x == 'b': return 2\n else: return 3", False),
        ("if x == 'a': return 1\n if x == 'b': return 2", False),
        ("if x == 'a': return 1\n if y == 'b': return 2", True),
    ],
)
def test_the_scan_sees_an_open_choice(body: str, closed: bool) -> None:
    source = "def f(x, y):\n " + body.replace("\n  ", "\n   ").replace("\nif", "\n if")
    assert open_choices(source, "x.py") == ([] if closed else [("x.py", "f")])


def options(section: type[Section], name: str) -> set[str]:
    return set(get_args(section.model_fields[name].annotation))


def test_lists_of_names_agree_with_their_types() -> None:
    assert set(KINDS) == set(get_args(LossKind))
    assert set(WEIGHTINGS) == set(get_args(Weighting))
    assert set(METHODS) == set(get_args(EnsembleMethod))
    assert len(METHODS) == 11
    assert set(SHAPES) == set(MASK_KINDS) == set(get_args(MaskKind))
    assert set(NECKLINE_Y) == set(get_args(Garment))
    assert len(SLIPS) == len(SLIP_SHARES) == len(get_args(Slip)) == 4


def test_options_and_the_types_below_have_the_same_names() -> None:
    """The schema names what a user may write, the packages below what they compute."""
    assert options(ScheduleConfig, "kind") == set(get_args(ScheduleKind))
    assert options(SamplerConfig, "draw") == set(get_args(Draw))
    assert options(MixConfig, "kind") == {"none", *get_args(MixKind)}
    assert options(MixConfig, "partner") == set(get_args(Partner))
    assert options(TransformsConfig, "erasing_fill") == set(get_args(ErasingFill))
