"""Every error that the package can raise, read from its syntax trees; docs/errors.py writes the page of them.

A place is a call of an error type of maskcls/errors.py with its keywords, or a kind of file (`FileKind`), which has its
own error when it cannot be read. Constants, conditions, local variables, and parameters that functions of the same
module fill are followed. What is known only when the program runs becomes a word in capitals, such as RUN, or "…".
"""

from __future__ import annotations

import ast
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from maskcls import errors
from maskcls.errors import MaskclsError
from maskcls.files.reading import FileKind

PACKAGE_DIR = Path(errors.__file__).parent
KINDS = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, MaskclsError)}
PARTS = ("what", "where", "expected", "fix")
UNKNOWN = "…"
MOST = 8  # alternatives of one text; above, its parts that vary become "…"
DEEPEST = 6  # variables that are followed one after the other

# What is found in an expression of a message -> the word on the page; the first that fits.
WORDS = (
    (r"photos_of_other", "photos of other people"),
    (r"photos_of", "photos and people"),
    (r"one_group", "person"),
    (r"noun|\bmany\b|\bsaw\b|\bwho\b", "people"),
    (r"\bruns?\b|run\.path|missing_run", "RUN"),
    (r"backbone", "BACKBONE"),
    (r"\btask\b|task\.name", "TASK"),
    (r"\b(?:key|leaf|setting)\b", "KEY"),
    (r"table\.name", "the file"),
    (r"RUN_FILE\.name", "a file of the run"),
    (r"WEIGHTS\.name", "the weights"),
    (r"path|file|folder|csv|\bout\b|\broot\b|\bdata\b|output", "FILE"),
    (r"len\(|count|photos|rows|MOST|MAX|MIN|people|needed|free|level|\bk\b|FEWEST|SHORTEST|size|most\b", "N"),
)


@dataclass(frozen=True)
class Raised:
    """A place that makes an error. texts: for each of PARTS what it may be; empty where the error does not have it."""

    kind: type[MaskclsError]
    module: str
    line: int
    texts: Mapping[str, tuple[str, ...]]

    @property
    def passes_on(self) -> bool:
        """Say whether the message is that of another error, with a place or an advice added."""
        return self.texts["what"] == (UNKNOWN,)


@cache
def raised_errors() -> tuple[Raised, ...]:
    """Return every place of the package that makes an error, by module and line."""
    modules = sorted(path.relative_to(PACKAGE_DIR).as_posix() for path in PACKAGE_DIR.rglob("*.py"))
    return tuple(one for module in modules if module != "errors.py" for one in errors_of(module))


def errors_of(module: str) -> list[Raised]:
    """Return the errors of a module, by line; module: its path in the package, such as "data/dataset.py"."""
    found = []
    for function in [None, *functions(module)]:
        for call in calls(function or tree(module)):
            scope = Scope(module, function, call.lineno)
            if called(call) in KINDS:
                given = {one.arg: one.value for one in call.keywords} | {"what": call.args[0]}
                texts = {part: scope.texts(given.get(part)) for part in PARTS}
                found.append(Raised(KINDS[called(call)], module, call.lineno, texts))
            if called(call) == FileKind.__name__:
                found.append(error_of_kind(scope, call))
    return sorted(found, key=lambda one: one.line)


def error_of_kind(scope: Scope, call: ast.Call) -> Raised:
    """Return the error of a kind of file; its arguments are the name, the error type, the size and the fix."""
    name, error, _, *fix = call.args
    what = combined([("cannot read ",), scope.texts(ast.FormattedValue(name))])
    texts = {"what": what, "where": (), "expected": (), "fix": scope.texts(fix[0]) if fix else (FileKind.fix,)}
    return Raised(KINDS[ast.unparse(error)], scope.module, call.lineno, texts)


def called(call: ast.Call) -> str:
    """Return the name of what is called, without that of its module; "" for an expression."""
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


@cache
def tree(module: str) -> ast.Module:
    """Return the syntax tree of a module."""
    return ast.parse((PACKAGE_DIR / module).read_text(encoding="utf8"))


def functions(module: str) -> Iterator[ast.FunctionDef]:
    """Yield every function of a module, methods too."""
    return (node for node in ast.walk(tree(module)) if isinstance(node, ast.FunctionDef))


def calls(node: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls in a function or a module, without those of the functions inside."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef):
            if isinstance(child, ast.Call):
                yield child
            yield from calls(child)


# --- texts of expressions


@dataclass(frozen=True)
class Scope:
    """A line of a function, or of a module, where names have values."""

    module: str
    function: ast.FunctionDef | None
    line: float
    depth: int = 0

    def texts(self, node: ast.expr | None) -> tuple[str, ...]:
        """Return what a text may be; nothing for None."""
        match node:
            case None | ast.Constant(value=None):
                return ()
            case ast.Constant(value=value):
                return (str(value),)
            case ast.JoinedStr(values=values):
                return combined([self.texts(part) for part in values])
            case ast.FormattedValue(value=value):
                found = self.texts(value)
                return found if found not in ((), (UNKNOWN,)) else (word_for(ast.unparse(value)),)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return combined([self.texts(left), self.texts(right)])
            case ast.IfExp(body=one, orelse=other):
                return different([*self.texts(one), *self.texts(other)])
            case ast.BoolOp(values=values):
                return different([text for value in values for text in self.texts(value)])
            case ast.Name(id=name) if self.depth < DEEPEST:
                return different([text for scope, value in self.values(name) for text in scope.texts(value)])
            case _:
                return (UNKNOWN,)

    def values(self, name: str) -> list[tuple[Scope, ast.expr | None]]:
        """Return the expressions that a name may have here, each with the scope that it is read in."""
        function, deeper = self.function, self.depth + 1
        if function is None:
            if found := values_before(tree(self.module).body, name, self.line):
                return [(Scope(self.module, None, math.inf, deeper), value) for value in found]
            home = imported_from(self.module, name)
            return Scope(home, None, math.inf, deeper).values(name) if home else [(self, ast.Constant(UNKNOWN))]
        if found := values_before(function.body, name, self.line):
            return [(Scope(self.module, function, value.lineno, deeper), value) for value in found]
        if given := [*self.arguments(name)]:
            return given
        return Scope(self.module, None, math.inf, deeper).values(name)

    def arguments(self, name: str) -> Iterator[tuple[Scope, ast.expr | None]]:
        """Yield what functions of the same module give for a parameter."""
        assert self.function is not None
        names = [one.arg for one in self.function.args.args]
        if name not in names + [one.arg for one in self.function.args.kwonlyargs]:
            return
        for caller in functions(self.module):
            for call in (one for one in calls(caller) if called(one) == self.function.name):
                given = dict(zip(names, call.args, strict=False)) | {one.arg: one.value for one in call.keywords}
                yield Scope(self.module, caller, call.lineno, self.depth + 1), given.get(name)


def values_before(body: Sequence[ast.stmt], name: str, line: float) -> list[ast.expr]:
    """Return what a name may have been set to when a line is reached: by the last statement that sets it."""
    for statement in reversed([one for one in body if one.lineno <= line]):
        if (statement.end_lineno or 0) >= line:
            for block in blocks(statement):
                if block[0].lineno <= line <= (block[-1].end_lineno or 0) and (
                    found := values_before(block, name, line)
                ):
                    return found
        found = [value for node in ast.walk(statement) for key, value in set_by(node) if key == name]
        if found:
            return found
    return []


def blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    """Yield the blocks of statements in one statement."""
    parts = [statement, *getattr(statement, "handlers", ()), *getattr(statement, "cases", ())]
    found = (getattr(part, name, None) for part in parts for name in ("body", "orelse", "finalbody"))
    return (block for block in found if block)


def set_by(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield the names that a node sets, also those of `a, b = 1, 2`, with their values."""
    match node:
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield name, value
        case ast.NamedExpr(target=ast.Name(id=name), value=value):
            yield name, value
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            yield name, value
        case ast.Assign(targets=[ast.Tuple(elts=names)], value=value):
            values = value.elts if isinstance(value, ast.Tuple) else itertools.repeat(value)
            yield from ((one.id, each) for one, each in zip(names, values, strict=False) if isinstance(one, ast.Name))


def imported_from(module: str, name: str) -> str | None:
    """Return the module of the package that a name is imported from."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.ImportFrom) and name in [one.asname or one.name for one in node.names]:
            path = f"{(node.module or '').removeprefix('maskcls').lstrip('.').replace('.', '/')}.py"
            return path if (PACKAGE_DIR / path).is_file() else None
    return None


def word_for(expression: str) -> str:
    """Return the word on the page for an expression in a message.

    >>> word_for("run.path"), word_for("len(faults)"), word_for("x")
    ('RUN', 'N', '…')
    """
    return next((word for pattern, word in WORDS if re.search(pattern, expression)), UNKNOWN)


def combined(parts: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return a text made of parts: every combination, unless those are too many.

    >>> combined([("a ",), ("b", "c"), ()])
    ('a b', 'a c')
    """
    if math.prod(len(part) or 1 for part in parts) > MOST:
        parts = [part if len(part) < 2 else (UNKNOWN,) for part in parts]
    return different(["".join(words) for words in itertools.product(*(part or ("",) for part in parts))])


def different(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the texts without repetitions, in their order, and without "…" where another one is known."""
    found = tuple(dict.fromkeys(texts))
    return tuple(text for text in found if text != UNKNOWN) or found
