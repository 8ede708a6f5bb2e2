"""requirements.lock.txt holds the versions of requirements.txt, with hashes, and what torch needs on Linux besides."""

from __future__ import annotations

import re

from project import PROJECT_DIR

LOCK = (PROJECT_DIR / "requirements.lock.txt").read_text()
PINS = (PROJECT_DIR / "requirements.txt").read_text()
# requirements.txt leaves these out, since torch itself asks for exact versions; pip freeze does not list setuptools.
ONLY_IN_LOCK = re.compile(r"nvidia-.*|cuda-.*|triton|setuptools")


def versions(text: str) -> dict[str, str]:
    """Return version by normalised name."""
    found = re.findall(r"^([\w.-]+)==([^\s\\;]+)", text, flags=re.M)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


def needed_to_run() -> dict[str, str]:
    first, rest = re.split(r"^# --- needed to develop.*$", PINS, flags=re.M)
    assert "ruff" in versions(rest)
    return versions(first)


def test_every_version_is_that_of_requirements() -> None:
    pinned = versions(PINS)
    locked = {name: version for name, version in versions(LOCK).items() if not ONLY_IN_LOCK.fullmatch(name)}
    assert locked == {name: pinned.get(name) for name in locked}
    assert set(needed_to_run()) <= set(locked)
    assert {"onnxruntime", "pyarrow", "matplotlib", "cleanlab", "fastapi"} <= set(locked)  # of the extras
    assert "pytest" not in locked


def test_every_package_has_a_hash() -> None:
    packages = re.split(r"^(?=[\w.-]+==)", LOCK, flags=re.M)[1:]
    assert len(packages) == len(versions(LOCK)) > 80
    assert [text.split()[0] for text in packages if not re.search(r"--hash=sha256:[0-9a-f]{64}\b", text)] == []


def test_hashes_are_those_of_pypi() -> None:
    """Two files known from other lock files: an index that serves its own builds has other hashes."""
    for known in (
        "mdurl==0.1.2 84008a41e51615a49fc9966191ff91509e3c40b939176e643fd50a5c2196b8f8",
        "mpmath==1.3.0 a0b2b9fe80bbcd81a6647ff13108738cfb482d481d826cc0e02f5b35e5c88d2c",
    ):
        package, digest = known.split()
        _, _, after = LOCK.partition(f"{package} ")
        assert f"sha256:{digest}" in re.split(r"^\w", after, flags=re.M)[0]
