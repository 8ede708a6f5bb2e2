"""What no line of maskcls may do: run data as code, swallow an error, draw from hidden randomness, or be called utils.

The rules read the source text, so nothing has to be imported or triggered. Names are followed through import aliases:
`import numpy as np` and `from numpy import random` are the same to them.
"""

import ast
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from project import PROJECT_DIR

CODE_DIRS = ("maskcls", "benchmarks")  # benchmarks/ may be absent; the floor below would notice an absent maskcls/
NAMED_DIRS = (*CODE_DIRS, "tests")

# FLOORS. Raise them as the house fills up.
FEWEST_CODE_FILES = 60
FEWEST_NAMED_FILES = 105

SHAPELESS_NAMES = {"utils", "util", "common", "helpers", "helper", "base", "misc"}
PICKLES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "shelve", "marshal"}
PICKLE_READERS = {"joblib.load", "joblib.dump"}
UNSAFE_YAML = {f"yaml.{kind}_load{all_}" for kind in ("unsafe", "full") for all_ in ("", "_all")}
SAFE_YAML_LOADERS = {"yaml.SafeLoader", "yaml.CSafeLoader"}
SHELLS = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"}
# Everything else in numpy.random draws from, or seeds, one state shared by the whole process.
OWN_GENERATORS = {"default_rng", "Generator", "SeedSequence", "BitGenerator", "PCG64", "PCG64DXSM", "Philox"}
PATHS = {"path", "folder", "run", "data", "root", "file", "study", "output", "answers", "trunk", "faces", "submission"}
BROAD = {"Exception", "BaseException"}

Finding = tuple[str, int]  # rule, line


class Source:
    """A parsed file with its import aliases."""

    def __init__(self, text: str) -> None:
        self.tree = ast.parse(text)
        self.nodes = list(ast.walk(self.tree))
        self.aliases: dict[str, str] = {}
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for a in node.names:
                    self.aliases[a.asname or a.name.partition(".")[0]] = (
                        a.name if a.asname else a.name.partition(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                for a in node.names:
                    self.aliases[a.asname or a.name] = f"{node.module}.{a.name}"

    def dotted(self, node: ast.expr | None) -> str:
        """Spell out a name or attribute chain, aliases resolved; anything else is the empty string."""
        if isinstance(node, ast.Name):
            return self.aliases.get(node.id, node.id)
        if isinstance(node, ast.Attribute) and (left := self.dotted(node.value)):
            return f"{left}.{node.attr}"
        return ""

    def calls(self) -> Iterator[tuple[str, ast.Call]]:
        for node in self.nodes:
            if isinstance(node, ast.Call):
                yield self.dotted(node.func), node

    def imported(self) -> Iterator[tuple[str, int]]:
        for node in self.nodes:
            if isinstance(node, ast.Import):
                yield from ((a.name, node.lineno) for a in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                yield from ((f"{node.module}.{a.name}", node.lineno) for a in node.names)


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((k.value for k in call.keywords if k.arg == name), None)


def is_constant(node: ast.expr | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


# --- the rules: each takes a Source and yields line numbers


def pickles(src: Source) -> Iterator[int]:
    yield from (line for name, line in src.imported() if name.partition(".")[0] in PICKLES)
    for name, call in src.calls():
        reads = isinstance(call.func, ast.Attribute) and call.func.attr in {"read_pickle", "to_pickle"}
        if name in PICKLE_READERS or reads:
            yield call.lineno


def torch_load_of_code(src: Source) -> Iterator[int]:
    for name, call in src.calls():
        if name in {"torch.load", "torch.serialization.load", "torch.hub.load", "torch.jit.load"} and not is_constant(
            keyword(call, "weights_only"), True
        ):
            yield call.lineno


def numpy_load_of_code(src: Source) -> Iterator[int]:
    for _, call in src.calls():
        allow = keyword(call, "allow_pickle")
        if allow is not None and not is_constant(allow, False):
            yield call.lineno


def unsafe_yaml(src: Source) -> Iterator[int]:
    ours = {
        node.name
        for node in src.nodes
        if isinstance(node, ast.ClassDef) and any(src.dotted(base) in SAFE_YAML_LOADERS for base in node.bases)
    }
    for name, call in src.calls():
        if name in UNSAFE_YAML:
            yield call.lineno
        elif name in {"yaml.load", "yaml.load_all"}:
            loader = keyword(call, "Loader") or (call.args[1] if len(call.args) > 1 else None)
            if src.dotted(loader) not in SAFE_YAML_LOADERS | ours:
                yield call.lineno


def evaluation(src: Source) -> Iterator[int]:
    yield from (c.lineno for name, c in src.calls() if name in {"eval", "exec", "builtins.eval", "builtins.exec"})


def shells(src: Source) -> Iterator[int]:
    for name, call in src.calls():
        shell = keyword(call, "shell")
        if name in SHELLS or (shell is not None and not is_constant(shell, False)):
            yield call.lineno


def imports_by_value(src: Source) -> Iterator[int]:
    for name, call in src.calls():
        if name in {"importlib.import_module", "__import__", "builtins.__import__"}:
            literal = call.args and isinstance(call.args[0], ast.Constant)
            if not literal:
                yield call.lineno


def raises(body: list[ast.stmt]) -> bool:
    """Say whether a raise stands in the body itself, not in a function defined there."""
    todo: list[ast.AST] = list(body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Raise):
            return True
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            todo += ast.iter_child_nodes(node)
    return False


def swallowed_errors(src: Source) -> Iterator[int]:
    for node in src.nodes:
        if isinstance(node, ast.ExceptHandler):
            caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            broad = any(kind is None or src.dotted(kind).removeprefix("builtins.") in BROAD for kind in caught)
            if broad and not raises(node.body):
                yield node.lineno
    for name, call in src.calls():
        if name == "contextlib.suppress" and any(src.dotted(arg) in BROAD for arg in call.args):
            yield call.lineno


def shared_randomness(src: Source) -> Iterator[int]:
    for node in src.nodes:
        if isinstance(node, ast.Attribute | ast.Name):
            first, _, rest = src.dotted(node).partition("numpy.random.")
            if not first and rest and rest.partition(".")[0] not in OWN_GENERATORS:
                yield node.lineno
    yield from module_level_generators(src)


def module_level_generators(src: Source) -> Iterator[int]:
    """Find generators made while a module is imported: a state every caller shares, however well seeded."""
    todo: list[ast.AST] = list(src.tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.Call) and src.dotted(node.func) == "numpy.random.default_rng":
            yield node.lineno
        todo += ast.iter_child_nodes(node)


def click_imports(src: Source) -> Iterator[int]:
    """typer carries its own click since 0.26: a second one would be another library with the same name."""
    for name, line in src.imported():
        if name.partition(".")[0] == "click" or name.startswith("typer._"):
            yield line


def unquoted_paths(src: Source) -> Iterator[int]:
    """Find a command to be pasted into a shell with a path that may have a space, see `errors.shell_word`."""
    for node in src.nodes:
        if not isinstance(node, ast.JoinedStr):
            continue
        before = ""
        for part in node.values:
            if isinstance(part, ast.Constant):
                before += str(part.value)
            elif isinstance(part, ast.FormattedValue):
                name = src.dotted(part.value).rpartition(".")[2]
                if re.search(r"\bmaskcls [a-z]", before) and name in PATHS:
                    yield part.lineno


RULES: dict[str, Callable[[Source], Iterator[int]]] = {
    "pickle": pickles,
    "torch.load": torch_load_of_code,
    "allow_pickle": numpy_load_of_code,
    "yaml": unsafe_yaml,
    "eval": evaluation,
    "shell": shells,
    "import by value": imports_by_value,
    "swallowed error": swallowed_errors,
    "shared randomness": shared_randomness,
    "click": click_imports,
    "path in a command": unquoted_paths,
}


def findings(text: str) -> list[Finding]:
    src = Source(text)
    return sorted({(rule, line) for rule, check in RULES.items() for line in check(src)})


def python_files(dirs: tuple[str, ...]) -> list[Path]:
    return sorted(p for d in dirs for p in (PROJECT_DIR / d).rglob("*.py"))


# --- the house


def test_no_file_does_what_is_forbidden() -> None:
    files = python_files(CODE_DIRS)
    assert len(files) >= FEWEST_CODE_FILES, files

    bad = [
        f"{path.relative_to(PROJECT_DIR)}:{line}: {rule}"
        for path in files
        for rule, line in findings(path.read_text(encoding="utf-8"))
    ]

    assert not bad, "\n" + "\n".join(bad)


def test_every_file_has_a_name_that_keeps_something_out() -> None:
    files = python_files(NAMED_DIRS)
    assert len(files) >= FEWEST_NAMED_FILES, files

    assert [p for p in files if is_shapeless(p)] == []


def is_shapeless(path: Path) -> bool:
    return not SHAPELESS_NAMES.isdisjoint({path.stem, *path.relative_to(PROJECT_DIR).parent.parts})


def test_tests_cannot_reach_the_network() -> None:
    """192.0.2.0/24 is set aside for documentation: no host answers there, so only the guard can be quick."""
    with socket.socket() as sock:
        with pytest.raises(pytest.fail.Exception, match="reached for the network"):
            sock.connect(("192.0.2.1", 80))
        with pytest.raises(pytest.fail.Exception, match="reached for the network"):
            sock.connect_ex(("192.0.2.1", 80))
    with pytest.raises(pytest.fail.Exception, match=r"example\.invalid"):
        socket.create_connection(("example.invalid", 443))


def test_tests_can_reach_this_machine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()


# --- the rules can fail

PLANTED = [
    ("pickle", "import pickle"),
    ("pickle", "from cloudpickle import loads"),
    ("pickle", "import pandas as pd\npd.read_pickle(path)"),
    ("pickle", "from joblib import load\nload(path)"),
    ("torch.load", "import torch\ntorch.load(path)"),
    ("torch.load", "import torch as t\nt.load(path, weights_only=False)"),
    ("torch.load", "from torch import load\nload(path, weights_only=safe)"),
    ("allow_pickle", "import numpy as np\nnp.load(path, allow_pickle=True)"),
    ("allow_pickle", "import numpy as np\nnp.load(path, allow_pickle=flag)"),
    ("yaml", "import yaml\nyaml.load(text)"),
    ("yaml", "import yaml\nyaml.load(text, Loader=yaml.FullLoader)"),
    ("yaml", "from yaml import unsafe_load as read\nread(text)"),
    ("yaml", "import yaml\nclass L(yaml.Loader): ...\nyaml.load(text, Loader=L)"),
    ("eval", "eval(text)"),
    ("eval", "exec(open(path).read())"),
    ("shell", "import subprocess\nsubprocess.run(cmd, shell=True)"),
    ("shell", "import os\nos.system(cmd)"),
    ("import by value", "import importlib\nimportlib.import_module(cfg.model)"),
    ("import by value", "from importlib import import_module\nimport_module(f'maskcls.{name}')"),
    ("import by value", "__import__(name)"),
    ("swallowed error", "try:\n    f()\nexcept Exception:\n    pass"),
    ("swallowed error", "try:\n    f()\nexcept:\n    x = 1"),
    (
        "swallowed error",
        "def g():\n    try:\n        f()\n    except (ValueError, BaseException) as e:\n        return None",
    ),
    ("swallowed error", "try:\n    f()\nexcept Exception:\n    def later():\n        raise"),
    ("swallowed error", "import contextlib\nwith contextlib.suppress(Exception):\n    f()"),
    ("shared randomness", "import numpy as np\ndef f():\n    return np.random.rand(3)"),
    ("shared randomness", "import numpy as np\nnp.random.seed(0)"),
    ("shared randomness", "from numpy import random\nshuffle = random.shuffle"),
    ("shared randomness", "from numpy.random import randint\nrandint(3)"),
    ("shared randomness", "import numpy as np\nRNG = np.random.default_rng(0)"),
    ("click", "import click"),
    ("click", "from typer._click import Context"),
    ("path in a command", "f'continue with: maskcls resume {run.path}'"),
    ("path in a command", "f'maskcls predict {shell_word(run.path)} --data {data}'"),
]

INNOCENT = [
    "import torch\nstate = torch.load(path, weights_only=True)",
    "import numpy as np\nnp.load(path, allow_pickle=False)\nnp.load(path)",
    "import yaml\nyaml.safe_load(text)\nyaml.load(text, Loader=yaml.SafeLoader)",
    "import yaml\nclass Strict(yaml.SafeLoader): ...\nyaml.load(text, Loader=Strict)",
    "model.eval()\nframe.eval",
    "import subprocess\nsubprocess.run(['git', 'status'], shell=False)",
    "import importlib\nimportlib.import_module('torch')",
    "try:\n    f()\nexcept Exception as e:\n    if clean():\n        raise Wrapped from e",
    "try:\n    f()\nexcept FileNotFoundError:\n    pass",
    "import contextlib\nwith contextlib.suppress(FileNotFoundError):\n    f()",
    "import numpy as np\ndef f(seed: int, rng: np.random.Generator):\n    return np.random.default_rng(seed).random()",
    "import random\nrandom.shuffle",  # the standard library's, not numpy's
    "f'{run.path}: continue with: maskcls resume {shell_word(run.path)} --folds {fold}'",
]


@pytest.mark.parametrize(("rule", "text"), PLANTED)
def test_a_planted_line_is_found(rule: str, text: str) -> None:
    assert [found for found, _ in findings(text)] == [rule]


@pytest.mark.parametrize("text", INNOCENT)
def test_an_innocent_line_passes(text: str) -> None:
    assert findings(text) == []


def test_every_rule_has_a_planted_line() -> None:
    assert {rule for rule, _ in PLANTED} == RULES.keys()


@pytest.mark.parametrize("name", ["maskcls/utils.py", "maskcls/nn/base.py", "tests/helpers/faces.py"])
def test_a_planted_name_is_found(name: str) -> None:
    assert is_shapeless(PROJECT_DIR / name)
