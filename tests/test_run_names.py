"""Names of files inside a run are written in maskcls/rundir.py alone; this test takes them from there."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
from project import PACKAGE_DIR

from maskcls.rundir import FoldDir, RunDir, SynthDir, WeightsDir

# (file, text) -> why it is no name inside a run, or has to be written there. An entry that matches nothing fails.
ALLOWED: dict[tuple[str, str], str] = {
    ("verbs/after_training/combining.py", "pseudo.csv"): "the default output of pseudo-label, a file of the user's",
    ("verbs/synth/samples.py", "samples.csv"): "the default output of synth sample, a file of the user's",
    ("data/photos/cache_folder.py", ".lock"): "a lock in the photo cache",
}


def places(value: object) -> Iterator[Path]:
    """Yield the path of every property of a folder type, and of the folder types it leads to."""
    for name, attribute in vars(type(value)).items():
        if isinstance(attribute, property):
            found = getattr(value, name)
            if isinstance(found, Path) and "choices" in found.name:
                continue  # beside the run, not in it
            yield found if isinstance(found, Path) else found.path
            if isinstance(found, WeightsDir):
                yield from places(found)


def names() -> tuple[set[str], set[str]]:
    """Return the names of files and of folders inside a run."""
    home = Path("run")
    run, fold, made = RunDir(home), FoldDir(home), SynthDir(home)
    paths = [
        *places(run),
        *places(fold),
        *places(made.fold(0)),
        made.facts,
        made.fold(0).sheet(0),
        *places(run.tracker("csv", "fold0")),
        *places(run.jobs),
        *places(run.jobs.job("fold0")),
        run.fold(0, "age").path,
        run.fold(-1).path,
        run.test("d", "v", "n", "g", "a"),
    ]
    files, folders = set(), set()
    for path in paths:
        *inside, last = path.relative_to(home).parts
        folders.update(inside)
        (files if "." in last or last.isupper() else folders).add(last)
    return files - {"d-v-n-g-a.npz", "0.png"}, folders - {"age", "fold0", "csv"}


FILES, FOLDERS = names()


def test_the_names_are_those_of_the_folder_types() -> None:
    assert {"env.json", "meta.json", "weights.safetensors", "DONE", "decision.json", ".notes.lock", ".lock"} <= FILES
    assert {
        "best",
        "last",
        "candidates",
        "soup",
        "resume",
        "continued",
        "export",
        "checkpoints",
        "members",
        "refit",
        "report",
        "test",
        "tracking",
        "mlflow-files",
        "jobs",
        "submitit",
        "generator",
        "critic",
        "sheets",
    } == FOLDERS
    assert len(FILES) == 47


def written_names(source: str) -> Iterator[tuple[int, str]]:
    """Yield the texts in which a source writes a name inside a run: files anywhere, folders where paths are joined."""
    tree = ast.parse(source)
    documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    joined = {id(part) for node in ast.walk(tree) for part in joined_parts(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents:
            parts = set(PurePosixPath(node.value).parts)
            if parts & FILES or (id(node) in joined and parts & FOLDERS):
                yield node.lineno, node.value


def joined_parts(node: ast.AST) -> list[ast.expr]:
    """Return what a node joins to a path: `a / b`, `a.joinpath(b)`, `a.glob(b)`, `a.with_name(b)`."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        parts = [node.right]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        parts = list(node.args) if node.func.attr in {"joinpath", "glob", "rglob", "with_name"} else []
    else:
        parts = []
    inside = [value for part in parts if isinstance(part, ast.JoinedStr) for value in part.values]
    return parts + inside


@functools.cache
def findings() -> list[tuple[str, int, str]]:
    sources = {path: path.read_text(encoding="utf-8") for path in PACKAGE_DIR.rglob("*.py") if path.stem != "rundir"}
    assert len(sources) >= 150
    return [
        (path.relative_to(PACKAGE_DIR).as_posix(), line, text)
        for path, source in sources.items()
        for line, text in written_names(source)
    ]


def test_no_other_module_writes_a_name_inside_a_run() -> None:
    bad = [f"{file}:{line}: {text!r}" for file, line, text in findings() if (file, text) not in ALLOWED]

    assert not bad, "\n" + "\n".join(bad)


def test_every_exception_is_needed_and_explained() -> None:
    assert {(file, text) for file, _, text in findings()} >= ALLOWED.keys()
    assert all(reason.strip() for reason in ALLOWED.values())
    assert len(ALLOWED) == 3


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ('path / "env.json"', "env.json"),
        ('META = "meta.json"', "meta.json"),
        ('path.rglob("best/weights.safetensors")', "best/weights.safetensors"),
        ('run.path / "test" / name', "test"),
        ('run.path / f"members/{task}"', "members/"),
        ('path.with_name("DONE")', "DONE"),
    ],
)
def test_a_planted_name_is_found(source: str, text: str) -> None:
    assert [found for _, found in written_names(source)] == [text]


@pytest.mark.parametrize(
    "source",
    ['"""Reads env.json."""', 'kind = "refit"', 'a["test"]', 'name / "testing"', 'print("see env.json of a run")'],
)
def test_an_innocent_text_passes(source: str) -> None:
    assert list(written_names(source)) == []
