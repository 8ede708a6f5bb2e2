"""The Dockerfiles keep our rules: pinned images, no root, what is copied exists, and no photo can enter an image."""

from __future__ import annotations

import fnmatch
import json
import re
from pathlib import Path

import pytest
from project import PROJECT_DIR

from maskcls.config.installed_extras import PACKAGES

DOCKERFILES = sorted(path for path in (PROJECT_DIR / "docker").iterdir() if not path.name.endswith(".dockerignore"))
BUILT = ("dist/maskcls-0-py3-none-any.whl",)  # by `make dist`


def instructions(path: Path) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile with their text, comments left out and continued lines joined."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(name, text.strip()) for name, _, text in (line.partition(" ") for line in joined.splitlines() if line)]


def texts(path: Path, name: str) -> list[str]:
    return [text for found, text in instructions(path) if found == name]


def last_stage(path: Path) -> list[tuple[str, str]]:
    all_of_them = instructions(path)
    return all_of_them[max(number for number, (name, _) in enumerate(all_of_them) if name == "FROM") :]


def test_there_is_one_for_the_cpu_and_one_for_cuda() -> None:
    assert [path.name for path in DOCKERFILES] == ["Dockerfile", "Dockerfile.cuda"]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_images_are_pinned_to_the_tested_python(path: Path) -> None:
    images = [text.split()[0] for text in texts(path, "FROM")]
    assert len(images) == 2
    assert all(re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", image) for image in images)


def test_an_image_for_the_cpu_has_the_extras_of_the_lock_file() -> None:
    """The image for CUDA is installed from the lock file."""
    installed = re.findall(r"\$\{wheel\}\[([a-z,]+)\]", " ".join(texts(DOCKERFILES[0], "RUN")))
    locked = re.findall(r"--extra ([a-z]+)", (PROJECT_DIR / "Makefile").read_text())
    assert installed == [",".join(locked)]
    of_clusters = {"postgresql", "ray"}  # need servers beside the image
    assert sorted(locked) == sorted(PACKAGES.keys() - of_clusters)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_the_program_does_not_run_as_root_and_is_the_entry(path: Path) -> None:
    stage = last_stage(path)
    assert [text for name, text in stage if name == "USER"] == ["10001"]
    names = [name for name, _ in stage]
    assert names.index("RUN") < names.index("USER") < names.index("ENTRYPOINT")
    assert texts(path, "ENTRYPOINT") == ['["maskcls"]']
    assert json.loads(texts(path, "VOLUME")[0]) == ["/data", "/runs", "/cache"]
    assert "MASKCLS_CACHE=/cache" in texts(path, "ENV")[0]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_the_health_check_asks_the_server_on_its_default_port(path: Path) -> None:
    (check,) = texts(path, "HEALTHCHECK")
    command = json.loads(check[check.index("[") :])
    assert command[:2] == ["python", "-c"]
    compile(command[2], "the health check", "exec")
    assert "http://127.0.0.1:8000/health" in command[2]
    assert texts(path, "EXPOSE") == ["8000"]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_what_is_copied_exists_and_nothing_else_enters_the_build(path: Path) -> None:
    copied = [word for text in texts(path, "COPY") if "--from" not in text for word in text.split()[:-1]]
    ignored, *allowed = [
        line
        for line in path.with_name(f"{path.name}.dockerignore").read_text().splitlines()
        if not line.startswith("#")
    ]
    assert ignored == "*"
    assert sorted(allowed) == sorted(f"!{name}" for name in copied)
    for name in copied:
        assert (PROJECT_DIR / name).is_file() or fnmatch.filter(BUILT, name), name


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_what_is_installed_is_pinned_and_leaves_no_cache(path: Path) -> None:
    installs = re.findall(r"pip install [^&]+", " ".join(texts(path, "RUN")))
    assert len(installs) == 2
    for install in installs:
        assert "--no-cache-dir" in install
        assert re.search(r"--require-hashes|--constraint requirements\.txt|-r torch\.txt|--no-deps", install), install
