"""Write docs/licences.md: `make licences`. Licences are read from the metadata of the installed packages."""

from __future__ import annotations

import re
from email.message import Message
from importlib.metadata import metadata
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements.txt"
PERMISSIVE = re.compile(r"(?i)\b(apache|0?bsd|mit|isc|zlib|psf|python software foundation|cc0|bsl-1\.0)\b")
# What a package's metadata does not say, or says about a part that is not permissive; read from its licence files.
NOTES = {
    "numpy": "the wheel contains libgfortran and libquadmath: GPL-3.0 with the GCC runtime exception, LGPL-2.1",
    "opencv-python-headless": "**not only permissive**: the wheel contains FFmpeg, LGPL-2.1, as separate libraries;"
    " libgfortran and libquadmath as in numpy",
    "scikit-learn": "the wheel contains libgomp: GPL-3.0 with the GCC runtime exception",
    "scipy": "the wheel contains libgfortran and libquadmath, as numpy",
    "torch": "the wheel contains libgomp and libgfortran: GPL-3.0 with the GCC runtime exception",
    "torchvision": "the CUDA wheel contains libraries of NVIDIA with NVIDIA's own licence",
    "tqdm": "**not only permissive**: parts are under MPL-2.0",
}
HEAD = """# Licences of other packages

maskcls itself is under [Apache-2.0](../LICENSE). It contains no code of others; it needs the packages below, which pip
installs separately. Versions are those of `requirements.txt`, licences those that the packages name. This page is
written by `make licences`.

Nearly all are permissive. Exceptions, if you pass on an environment or a Docker image with these packages in it:

- **tqdm**: parts under MPL-2.0. Changes of its files must be published when you pass them on.
- **opencv-python-headless**: its wheel contains FFmpeg under LGPL-2.1, as libraries that can be exchanged.
- **Compiler libraries** in wheels of numpy, scipy, scikit-learn, torch and OpenCV: GPL-3.0 with an exception for
  programs that are compiled with GCC (libgomp, libgfortran), and LGPL-2.1 (libquadmath).
- **CUDA**: on Linux, torch of PyPI installs NVIDIA's libraries (`nvidia-*`, `cuda-*`), most under NVIDIA's own licence,
  which is not a free one. The CPU build of torch installs none of them.

| package | version | licence | note |
|---|---|---|---|
"""


def needed_to_run() -> list[str]:
    """Return the names in the first part of requirements.txt."""
    first = REQUIREMENTS.read_text(encoding="utf-8").partition("# --- needed to develop")[0]
    return re.findall(r"^([\w.-]+)==", first, flags=re.M)


def licence_of(package: Message) -> str:
    """Return the licence that a package's metadata names: as an expression, in words, or by its classifiers.

    Where only a whole text is given, its first line that is not a rule. Raises ValueError where nothing is named.
    """
    said = str(package["License"] or "")
    classifiers = [str(one).split(" :: ")[-1] for one in package.get_all("Classifier", []) if "License ::" in str(one)]
    named = package["License-Expression"] or (said if "\n" not in said else "") or ", ".join(classifiers)
    named = named or next((line.strip() for line in said.splitlines() if re.search(r"\w", line)), "")
    if not named:
        raise ValueError(f"{package['Name']} names no licence")
    return str(named)


def row_of(name: str, package: Message) -> str:
    """Return the row of a package; ValueError for a licence that is not known as permissive and has no note."""
    licence, note = licence_of(package), NOTES.get(name, "")
    strange = [part for part in re.split(r"(?i) and | or |, ", licence) if not PERMISSIVE.search(part)]
    if strange and not note:
        raise ValueError(f"{name}: {strange} is not known as permissive; read its licence and add a note")
    return f"| {name} | {package['Version']} | {licence} | {note} |"


def page() -> str:
    """Return docs/licences.md."""
    return HEAD + "\n".join(row_of(name, metadata(name)) for name in needed_to_run()) + "\n"  # type: ignore[arg-type]


if __name__ == "__main__":
    print(page(), end="")
