"""One name, one thing: what a module defines has a name that no other module gives to something else."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import maskcls

PACKAGE_DIR = Path(maskcls.__file__).parent
FEWEST = {"modules": 200, "classes": 200, "functions": 600}  # what is read; fewer means that something was not found

# Functions of one name that are always written with their module, each with the reason.
SHARED = {
    "build": "manifest.build and folds.build make the two tables of a data set",
    "load": "config.load reads settings; maskcls.load, the Python API's, reads a model",
    "from_csv": "manifest.from_csv and folds.from_csv read what their to_csv wrote",
    "read": "owned.read and typedjson.read read a JSON file with a type, the former one of a run",
    "sha256": "files.sha256 is of bytes; manifest.sha256 and folds.sha256 are of the bytes of their to_csv",
    "to_csv": "manifest.to_csv and folds.to_csv write the two tables of a data set",
}

NO_TERMS = {  # words that are no term of the field, in no name; what to write instead
    "judg": "scored, labelled, validated",
    "worth": "gain, proven",
}
TERMS_KEPT = {
    "worth_it": "a key of decision.json",
    "synth_judge": "the verb `synth judge`",
}


@functools.cache
def read_package() -> dict[str, str]:
    """Return the text of every module by its dotted name without the package's."""
    paths = sorted(PACKAGE_DIR.rglob("*.py"))
    return {".".join(path.relative_to(PACKAGE_DIR).with_suffix("").parts): path.read_text("utf-8") for path in paths}


@functools.cache  # several tests ask for the names of every module
def defined(text: str) -> tuple[list[str], list[str]]:
    """Return the names of the classes and of the functions at the top of a module."""
    body = ast.parse(text).body
    kinds = (ast.ClassDef, ast.FunctionDef)
    of_class, of_function = ([node.name for node in body if isinstance(node, kind)] for kind in kinds)
    return of_class, of_function


def classes(sources: dict[str, str]) -> dict[str, list[str]]:
    """Return the modules that define each class; a leading underscore is not a part of the name."""
    found: dict[str, list[str]] = {}
    for module, text in sources.items():
        for name in defined(text)[0]:
            found.setdefault(name.lstrip("_"), []).append(module)
    return found


def functions(sources: dict[str, str]) -> dict[str, list[str]]:
    """Return the modules that define each public top-level function."""
    found: dict[str, list[str]] = {}
    for module, text in sources.items():
        for name in defined(text)[1]:
            if not name.startswith("_"):
                found.setdefault(name, []).append(module)
    return found


def is_pair(modules: list[str]) -> bool:
    """Tell whether these are a verb and the command it starts, which share the verb's name on purpose.

    A function of the Python API may have that name too.
    """
    return sorted(unit for m in modules if (unit := m.partition(".")[0]) != "api") == ["commands", "verbs"]


def repeated(found: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return the names that several modules define, other than a verb and its command."""
    return {name: modules for name, modules in found.items() if len(modules) > 1 and not is_pair(modules)}


def identifiers(text: str) -> Iterator[str]:
    """Yield the names a module gives: classes, functions, parameters, variables and attributes."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.arg(arg=name) | ast.Name(id=name):
                yield name
            case ast.Attribute(attr=name):
                yield name


def with_term(text: str) -> set[str]:
    """Return the names of a module that hold a word of NO_TERMS."""
    words = re.compile("|".join(NO_TERMS), re.IGNORECASE)
    return {name for name in identifiers(text) if words.search(name)}


# --- the package


def test_the_whole_package_is_read() -> None:
    sources = read_package()

    assert len(sources) >= FEWEST["modules"]
    assert sum(map(len, classes(sources).values())) >= FEWEST["classes"]
    assert sum(map(len, functions(sources).values())) >= FEWEST["functions"]


def test_no_two_classes_have_the_same_name() -> None:
    assert repeated(classes(read_package())) == {}


def test_no_two_functions_have_the_same_name_unless_a_reason_is_written() -> None:
    found = repeated(functions(read_package()))

    assert {name: modules for name, modules in found.items() if name not in SHARED} == {}
    assert SHARED.keys() - found.keys() == set(), "remove the names that one module alone defines"
    assert len(SHARED) == 6
    assert all(reason.strip() for reason in SHARED.values())


def test_functions_of_one_name_are_imported_with_their_module() -> None:
    pattern = re.compile(rf"^\s*from maskcls\.data\.rows\.\w+ import .*\b({'|'.join(SHARED)})\b", re.MULTILINE)

    assert {module: pattern.findall(text) for module, text in read_package().items() if pattern.search(text)} == {}


def test_a_verb_shares_its_name_with_its_command() -> None:
    pairs = sorted(name for name, modules in functions(read_package()).items() if is_pair(modules))

    assert len(pairs) == 20, pairs


def test_names_are_terms_of_the_field() -> None:
    found = {name for text in read_package().values() for name in with_term(text)}

    assert found == TERMS_KEPT.keys()
    assert all(reason.strip() for reason in TERMS_KEPT.values())


# --- the rules can fail


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ({"a.x": "class Rows: ...", "b.y": "class _Rows: ..."}, {"Rows": ["a.x", "b.y"]}),
        ({"a.x": "class Rows: ...", "b.y": "def f():\n    class Rows: ..."}, {}),  # inside a function, of no concern
        ({"a.x": "class Rows: ...", "b.y": "class Row: ..."}, {}),
    ],
)
def test_a_planted_class_is_found(sources: dict[str, str], expected: dict[str, list[str]]) -> None:
    assert repeated(classes(sources)) == expected


@pytest.mark.parametrize(
    ("modules", "expected"),
    [
        (["results.a", "results.b"], True),
        (["verbs.training", "commands.group"], False),
        (["verbs.training", "verbs.data"], True),
        (["verbs.training", "commands.group", "results.a"], True),
        (["results.a"], False),
    ],
)
def test_a_planted_function_is_found(modules: list[str], expected: bool) -> None:
    found = repeated(functions(dict.fromkeys(modules, "def group(): ...\ndef _group(): ...")))

    assert found == ({"group": modules} if expected else {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("class Judged: ...", {"Judged"}),
        ("def f(judged): return judged.rows", {"judged"}),
        ("x = row.unjudged", {"unjudged"}),
        ("'the judge'  # a judge", set()),
    ],
)
def test_a_planted_word_is_found(text: str, expected: set[str]) -> None:
    assert with_term(text) == expected
