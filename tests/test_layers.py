"""The order of the packages, read from the source: who may import whom, and where heavy packages may be loaded.

    cli -> {verbs, api} -> commands -> serve -> {diagnosis, export, jobs, synth, tuning} -> training -> show -> runs
    -> engine
    -> {nn, data, results} -> owned -> {rundir, typedjson} -> config -> {schema, csvfile}
    -> {files, labels, machine, startup, backbone, layoutnames, lossterms, viewnames, groupnouns, durations}
    -> {errors, spelling}

Nothing is imported here. Every import statement counts, also inside functions and under TYPE_CHECKING, because a
dependency is a dependency; only the rule about a quick command line looks at what runs at import time.
"""

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from project import PACKAGE_DIR

# Raise it as the package grows: a scan that sees fewer modules has missed some.
FEWEST_MODULES = 250

# A unit is a package or a module right below maskcls/. It may import itself and every unit of a lower rank.
RANK = {
    "errors": 0,
    "spelling": 0,
    "backbone": 1,
    "files": 1,
    "labels": 1,
    "csvfile": 2,
    "machine": 1,
    "startup": 1,
    "layoutnames": 1,
    "lossterms": 1,
    "viewnames": 1,
    "groupnouns": 1,
    "durations": 1,
    "schema": 2,
    "config": 3,
    "rundir": 4,
    "typedjson": 4,
    "owned": 5,
    "nn": 6,
    "data": 6,
    "results": 6,
    "engine": 7,
    "runs": 8,
    "show": 9,
    "training": 10,
    "diagnosis": 11,
    "export": 11,
    "synth": 11,
    "jobs": 11,
    "tuning": 11,
    "serve": 12,
    "commands": 13,
    "api": 14,
    "verbs": 14,
    "cli": 15,
    "__main__": 16,
}
ROOT = ""  # maskcls/__init__.py itself: open to everybody (the version), imports nothing of the package

# (importing module, imported unit) -> why the plan bends here. An entry that matches nothing fails.
EXCEPTIONS: dict[tuple[str, str], str] = {
    ("maskcls", "api"): "`maskcls.load` and the other functions are names of the package; types only, loaded when used",
}

WIDEST = 16  # modules in a folder, __init__.py apart

ARRAYS_ONLY = {
    "errors",
    "spelling",
    "labels",
    "machine",
    "startup",
    "backbone",
    "layoutnames",
    "lossterms",
    "viewnames",
    "groupnouns",
    "durations",
    "schema",
    "config",
    "files",
    "rundir",
    "typedjson",
    "owned",
    "results",
    "runs",
    "csvfile",
}
DEEP_PACKAGES = {"torch", "torchvision", "timm", "albumentations", "albucore", "cv2"}

# What `maskcls --help` must not wait for: written down in cli.py itself, and through what cli.py imports. numpy is
# missing from the second set, because the modules below may be built on it.
SLOW_FOR_CLI = {
    "torch",
    "torchvision",
    "timm",
    "accelerate",
    "albumentations",
    "cv2",
    "pandas",
    "numpy",
    "scipy",
    "sklearn",
}
SLOW_THROUGH_CLI = SLOW_FOR_CLI - {"numpy"}

# A command returns a value, show/ prints it, and verbs connect the two.
SILENT = {"commands", "verbs"}
PRINTERS = {"print", "sys.stdout.write", "typer.echo", "typer.secho"}
JSON_WRITERS = {"maskcls.show.terminal.json_output", "maskcls.show.pages.page"}  # to stdout; into a page

RULES = {
    *("layer", "unknown unit", "arrays only", "nn reads config", "albumentations", "accelerate", "slow cli"),
    *("command", "prints", "json"),
}


@dataclass(frozen=True)
class Import:
    """One imported thing: a dotted name, the line, and whether it is loaded when the module is."""

    name: str
    line: int
    at_import_time: bool

    @property
    def top(self) -> str:
        return self.name.partition(".")[0]


@dataclass(frozen=True)
class Violation:
    rule: str
    module: str
    line: int
    got: str

    def __str__(self) -> str:
        return f"{self.module}:{self.line}: {self.rule}: {self.got}"


# --- reading


def module_name(path: Path, package_dir: Path = PACKAGE_DIR) -> str:
    """Name a file the way Python does: maskcls/data/dataset.py is maskcls.data.dataset, a package is its __init__."""
    parts = [package_dir.name, *path.relative_to(package_dir).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def read_package() -> dict[str, tuple[str, bool]]:
    """Return module -> (source, is a package) for every file of the package."""
    files = sorted(PACKAGE_DIR.rglob("*.py"))
    return {module_name(p): (p.read_text(encoding="utf-8"), p.name == "__init__.py") for p in files}


def unit_of(module: str) -> str:
    """Return the unit of a maskcls module: maskcls.data.rows.folds is in data, maskcls itself is the root."""
    _, _, rest = module.partition(".")
    return rest.partition(".")[0]


def is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def walk(node: ast.AST, at_import_time: bool = True) -> Iterator[tuple[ast.AST, bool]]:
    """Yield every node with whether it runs when the module is imported."""
    yield node, at_import_time
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        at_import_time = False
    if isinstance(node, ast.If) and is_type_checking(node.test):
        for child in node.body:
            yield from walk(child, False)
        for child in node.orelse:
            yield from walk(child, at_import_time)
        return
    for child in ast.iter_child_nodes(node):
        yield from walk(child, at_import_time)


def absolute(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    """Spell out a relative `from` import: in maskcls.data.rows.folds, `from . import x` is from maskcls.data."""
    if node.level == 0:
        return node.module or ""
    here = module.split(".") if is_package else module.split(".")[:-1]
    base = here[: len(here) - (node.level - 1)]
    return ".".join([*base, *([node.module] if node.module else [])])


@functools.cache  # several tests ask for the imports of every module
def imports_of(source: str, module: str, *, is_package: bool = False) -> list[Import]:
    """List every import of a source text, as absolute dotted names, dynamic ones with a literal name included."""
    found = []
    for node, now in walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [Import(alias.name, node.lineno, now) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = absolute(node, module, is_package)
            found += [Import(f"{base}.{alias.name}", node.lineno, now) for alias in node.names]
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in {"import_module", "__import__"}:
                found.append(Import(str(node.args[0].value), node.lineno, now))
    return found


def is_command(module: str) -> bool:
    return module.startswith("maskcls.commands.")


COMMANDS = [name for name, (_, package) in read_package().items() if is_command(name) and not package]
COMMAND_FOLDERS = [name for name, (_, package) in read_package().items() if is_command(name) and package]


# --- checking


def target_unit(name: str) -> str:
    """Return the unit an absolute maskcls name belongs to; __version__ and its like belong to the root."""
    unit = unit_of(name)
    return ROOT if unit.startswith("__") and unit not in RANK else unit


def violations(module: str, source: str, *, is_package: bool = False) -> list[Violation]:
    """Hold one module against every rule that needs no other module."""
    unit = unit_of(module)
    if unit != ROOT and unit not in RANK:
        return [
            Violation("unknown unit", module, 1, f"{unit!r} has no place in RANK. fix: give it one, or move the file")
        ]
    bad = []
    for imp in imports_of(source, module, is_package=is_package):

        def report(rule: str, imp: Import = imp) -> None:
            bad.append(Violation(rule, module, imp.line, f"imports {imp.name}"))

        if imp.top == "maskcls":
            target = target_unit(imp.name)
            if target != ROOT and target not in RANK:
                report("unknown unit")
            elif not may_import(unit, target) and (module, target) not in EXCEPTIONS:
                report("layer")
            if unit == "nn" and target in ("config", "schema"):
                report("nn reads config")
        if is_command(module) and imports_command(imp.name, module):
            report("command")
        if unit in ARRAYS_ONLY and imp.top in DEEP_PACKAGES:
            report("arrays only")
        if imp.top in {"albumentations", "albucore"} and module != "maskcls.data.views.transforms":
            report("albumentations")
        if imp.top == "accelerate" and unit != "engine":
            report("accelerate")
        if unit in ("cli", "verbs") and imp.at_import_time and imp.top in SLOW_FOR_CLI:
            report("slow cli")
        if unit in SILENT and imp.top == "rich":
            report("prints")
    return bad + [Violation(rule, module, line, got) for rule, line, got in printed(source, module)]


def printed(source: str, module: str) -> Iterator[tuple[str, int, str]]:
    """Yield what a module prints that has to leave that to show/, and JSON that is not written in the one place."""
    unit = unit_of(module)
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name, keywords = ast.unparse(node.func), {keyword.arg: keyword.value for keyword in node.keywords}
        err = keywords.get("err")
        on_stderr = isinstance(err, ast.Constant) and err.value is True
        if unit in SILENT and name in PRINTERS and not on_stderr:
            yield "prints", node.lineno, f"calls {name}"
        if unit in {"show", "verbs"} and module not in JSON_WRITERS and name.rpartition(".")[2] in {"dump", "dumps"}:
            yield "json", node.lineno, f"calls {name}"


def may_import(unit: str, target: str) -> bool:
    if target in (ROOT, unit):
        return True
    return unit != ROOT and RANK[target] < RANK[unit]


def imports_command(name: str, module: str) -> bool:
    """Tell whether a dotted name is in a command's module other than `module`."""
    return is_command(name) and name != module and not name.startswith(f"{module}.")


def imported_modules(module: str, sources: dict[str, tuple[str, bool]]) -> set[str]:
    """Return the modules among `sources` that a module imports, also inside functions; not the packages they are in."""
    source, is_package = sources[module]
    found = set()
    for imp in imports_of(source, module, is_package=is_package):
        name = imp.name
        while name and name not in sources:  # the last parts may be names inside a module
            name = name.rpartition(".")[0]
        found.add(name)
    return found - {module, ""}


def circles(sources: dict[str, tuple[str, bool]]) -> list[list[str]]:
    """Return the groups of modules that import each other, directly or through others, however late."""
    direct = {module: imported_modules(module, sources) for module in sources}
    reached = {module: reach(module, direct) for module in sources}
    groups = {frozenset({m, *(other for other in reached[m] if m in reached[other])}) for m in sources}
    return sorted(sorted(group) for group in groups if len(group) > 1)


def reach(start: str, direct: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    todo = [*direct[start]]
    while todo:
        module = todo.pop()
        if module not in found:
            found.add(module)
            todo += direct[module]
    return found


def too_wide(folders: dict[str, int]) -> list[str]:
    """Name the folders with more than `WIDEST` modules."""
    return [f"{folder}: {count} modules, at most {WIDEST}" for folder, count in folders.items() if count > WIDEST]


def loaded_with(start: str, sources: dict[str, tuple[str, bool]]) -> list[Violation]:
    """Follow what is loaded when `start` is, and report each slow package on the way."""
    bad, seen, todo = [], set(), [start]
    while todo:
        module = todo.pop()
        if module in seen or module not in sources:
            continue
        seen.add(module)
        source, is_package = sources[module]
        for imp in imports_of(source, module, is_package=is_package):
            if not imp.at_import_time:
                continue
            if imp.top in SLOW_THROUGH_CLI:
                bad.append(
                    Violation("slow cli", module, imp.line, f"imports {imp.name}, and {start} loads this module")
                )
            # a.b.c loads a, a.b and a.b.c; the last part may also be a name inside a.b
            parts = imp.name.split(".")
            todo += [".".join(parts[:n]) for n in range(1, len(parts) + 1)]
    return bad


def used_exceptions(sources: dict[str, tuple[str, bool]]) -> set[tuple[str, str]]:
    """Return the (module, unit) pairs that would break the layer rule if nothing were excepted."""
    return {
        (module, target)
        for module, (source, is_package) in sources.items()
        for imp in imports_of(source, module, is_package=is_package)
        if imp.top == "maskcls"
        and (target := target_unit(imp.name)) in RANK
        and not may_import(unit_of(module), target)
    }


# --- the package


def test_imports_run_one_way() -> None:
    sources = read_package()
    assert len(sources) >= FEWEST_MODULES, sorted(sources)

    bad = [v for module, (source, is_pkg) in sources.items() for v in violations(module, source, is_package=is_pkg)]

    assert not bad, "\n" + "\n".join(map(str, bad))


def test_the_command_line_starts_without_the_slow_packages() -> None:
    bad = loaded_with("maskcls.cli", read_package())

    assert not bad, "\n" + "\n".join(map(str, bad))


def test_every_exception_is_needed_and_explained() -> None:
    stale = EXCEPTIONS.keys() - used_exceptions(read_package())

    assert not stale
    assert all(reason.strip() for reason in EXCEPTIONS.values())


def test_every_verb_has_one_command_file() -> None:
    """The rule "command" says that none of them imports another."""
    assert sum(map(is_command, read_package())) == len(COMMANDS) + len(COMMAND_FOLDERS)
    assert len(COMMANDS) == 51, COMMANDS
    assert len(COMMAND_FOLDERS) == 12, COMMAND_FOLDERS


def test_no_modules_import_each_other_in_a_circle() -> None:
    # The root names the API for type checkers; every module may import the root for the version.
    assert circles({name: source for name, source in read_package().items() if name != "maskcls"}) == []


def test_no_folder_is_wider_than_a_screen() -> None:
    counts: dict[str, int] = {}
    for path in PACKAGE_DIR.rglob("*.py"):
        if path.name != "__init__.py":
            folder = str(path.parent.relative_to(PACKAGE_DIR.parent))
            counts[folder] = counts.get(folder, 0) + 1
    assert len(counts) >= 20

    assert too_wide(counts) == []


# --- the rules can fail

PLANTED = [
    ("layer", "maskcls.results.scores.metrics", "from maskcls.engine.infer import predict"),
    ("layer", "maskcls.engine.fit", "import maskcls.show.report"),
    ("layer", "maskcls.data.rows.folds", "from maskcls.results import metrics"),
    ("layer", "maskcls.nn.losses", "def f():\n    from maskcls.data import dataset"),
    ("layer", "maskcls.results.scores.metrics", "from ...commands import train"),
    ("layer", "maskcls.labels", "from maskcls import config"),
    ("layer", "maskcls.config", "from . import rundir"),
    ("layer", "maskcls.errors", "if TYPE_CHECKING:\n    from maskcls.labels import LabelSpace"),
    ("layer", "maskcls.commands.train", "from maskcls.cli import app"),
    ("layer", "maskcls", "from maskcls.errors import MaskclsError"),
    ("unknown unit", "maskcls.shared.things", "import os"),
    ("unknown unit", "maskcls.data.rows.folds", "from maskcls.shared import things"),
    ("arrays only", "maskcls.results.scores.metrics", "import torch"),
    ("arrays only", "maskcls.results.ensembles.combine", "def f():\n    from torch.nn import functional"),
    ("arrays only", "maskcls.labels", "import cv2"),
    ("arrays only", "maskcls.config", "import importlib\nimportlib.import_module('timm')"),
    ("nn reads config", "maskcls.nn.network", "from maskcls.schema import ModelConfig"),
    ("nn reads config", "maskcls.nn.network", "from maskcls import config"),
    ("albumentations", "maskcls.data.photos.images", "import albumentations as A"),
    ("albumentations", "maskcls.engine.tta", "from albumentations.pytorch import ToTensorV2"),
    ("accelerate", "maskcls.commands.train", "from accelerate import Accelerator"),
    ("command", "maskcls.commands.predicting.predict", "from maskcls.commands.train import train"),
    ("command", "maskcls.commands.runs.prune", "def f():\n    from maskcls.commands.runs import note"),
    ("command", "maskcls.commands.runs.list", "from .note import note"),
    ("slow cli", "maskcls.cli", "import pandas as pd"),
    ("slow cli", "maskcls.cli", "class Table:\n    import numpy"),
    ("prints", "maskcls.commands.train", "def f():\n    print('done')"),
    ("prints", "maskcls.commands.train", "import sys\nsys.stdout.write('done')"),
    ("prints", "maskcls.commands.train", "import typer\ntyper.echo('done', err=False)"),
    ("prints", "maskcls.commands.data.check", "def f():\n    from rich.table import Table"),
    ("prints", "maskcls.verbs.training", "import typer\ntyper.echo('done')"),
    ("json", "maskcls.show.answers.ensemble", "import json\ndef f():\n    return json.dumps({})"),
]

INNOCENT = [
    (
        "maskcls.results.scores.metrics",
        "import numpy as np\nfrom maskcls.labels import LabelSpace\nfrom .predictions import P",
    ),
    (
        "maskcls.commands.train",
        "from maskcls.engine import fit\nfrom maskcls.show.terminal.progress import Reporter\nimport torch",
    ),
    ("maskcls.verbs.options", "import typer\ntyper.echo('interrupted', err=True)"),
    ("maskcls.show.terminal.text", "from rich.console import Console\nprint('done')"),
    ("maskcls.show.terminal.json_output", "from json import dumps\nprint(dumps({}))"),
    ("maskcls.data.views.transforms", "import albumentations as A"),
    (
        "maskcls.engine.fit",
        "from accelerate import Accelerator\nfrom maskcls.nn.losses import loss\nfrom . import infer",
    ),
    ("maskcls.cli", "def train():\n    import torch\n    from maskcls.commands import train"),
    ("maskcls.rundir", "from maskcls import __version__\nfrom maskcls.errors import MaskclsError"),
    ("maskcls.__main__", "from maskcls.cli import main"),
    ("maskcls.results.scores.metrics", "import torchlight"),  # a prefix of a name is not the name
]


@pytest.mark.parametrize(("rule", "module", "source"), PLANTED)
def test_a_planted_import_is_found(rule: str, module: str, source: str) -> None:
    assert rule in {v.rule for v in violations(module, source)}


@pytest.mark.parametrize(("module", "source"), INNOCENT)
def test_an_innocent_import_passes(module: str, source: str) -> None:
    assert violations(module, source) == []


def test_every_rule_has_a_planted_case() -> None:
    assert {rule for rule, _, _ in PLANTED} == RULES


def test_a_relative_import_in_a_package_file_starts_at_the_package() -> None:
    assert [i.name for i in imports_of("from .folds import x", "maskcls.data", is_package=True)] == [
        "maskcls.data.folds.x"
    ]
    assert [i.name for i in imports_of("from ..nn import x", "maskcls.data", is_package=True)] == ["maskcls.nn.x"]


def test_a_slow_package_behind_two_imports_is_found() -> None:
    sources = {
        "maskcls": ("", True),
        "maskcls.cli": ("from maskcls.commands import train", False),
        "maskcls.commands": ("", True),
        "maskcls.commands.train": ("from maskcls.data.rows.folds import make", False),
        "maskcls.data": ("import pandas", True),
        "maskcls.data.rows.folds": ("def make():\n    import torch\nimport sklearn.model_selection", False),
    }

    bad = loaded_with("maskcls.cli", sources)

    assert {(v.module, v.got.split(",")[0]) for v in bad} == {
        ("maskcls.data", "imports pandas"),
        ("maskcls.data.rows.folds", "imports sklearn.model_selection"),
    }


def test_an_exception_excuses_its_module_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EXCEPTIONS, ("maskcls.nn.losses", "results"), "planted")
    source = "from maskcls.results import metrics"

    assert violations("maskcls.nn.losses", source) == []
    assert [v.rule for v in violations("maskcls.nn.mixing", source)] == ["layer"]
    assert used_exceptions({"maskcls.nn.losses": (source, False)}) == {("maskcls.nn.losses", "results")}


@pytest.mark.parametrize("late", [False, True])
def test_a_planted_circle_is_found(late: bool) -> None:
    back = "def f():\n    from maskcls.data.rows import folds" if late else "import maskcls.data.rows.folds"
    sources = {
        "maskcls": ("", True),
        "maskcls.data": ("", True),
        "maskcls.data.rows": ("", True),
        "maskcls.data.rows.folds": ("from maskcls.data.rows.manifest import real_rows", False),
        "maskcls.data.rows.manifest": ("from ..dataset import Photos", False),
        "maskcls.data.dataset": (back, False),
        "maskcls.results": ("from maskcls.data import dataset", True),
    }
    assert circles(sources) == [["maskcls.data.dataset", "maskcls.data.rows.folds", "maskcls.data.rows.manifest"]]

    assert circles(sources | {"maskcls.data.dataset": ("import maskcls.data.rows", False)}) == []


def test_a_planted_wide_folder_is_found() -> None:
    assert too_wide({"maskcls/nn": WIDEST, "maskcls/data": WIDEST + 1}) == ["maskcls/data: 17 modules, at most 16"]
