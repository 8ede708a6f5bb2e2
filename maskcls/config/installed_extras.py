"""Whether the packages of an extra of pyproject.toml are installed; none of them is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Literal

from maskcls.errors import ResourceError

ExtraName = Literal["export", "parquet", "report", "serve"]

# The names under which the packages of an extra are imported. Trackers are in installed_trackers.py.
PACKAGES: Mapping[ExtraName, tuple[str, ...]] = {
    "export": ("onnx", "onnxscript", "onnxruntime"),
    "parquet": ("pyarrow",),
    "report": ("matplotlib", "fontTools", "cleanlab"),
    "serve": ("fastapi", "prometheus_client", "python_multipart", "uvicorn"),
}
FIGURES = ("matplotlib", "fontTools")  # of `report`: what draws figures, and finds fonts for pictures
LABEL_FAULTS = ("cleanlab",)  # of `report`: a second opinion on labels


def missing_packages(extra: ExtraName, packages: Sequence[str] = ()) -> list[str]:
    """Return the packages of an extra that are not installed; of `packages` alone, unless it is empty."""
    return [name for name in packages or PACKAGES[extra] if find_spec(name) is None]


def check_extra(extra: ExtraName, *, needed_by: str, packages: Sequence[str] = ()) -> None:
    """Raise ResourceError, with the command that installs them, if packages of an extra are missing.

    needed_by  what needs them, such as "maskcls serve" or a file's name.
    packages   those that are needed; empty: all of the extra.
    """
    if missing := missing_packages(extra, packages):
        raise ResourceError(not_installed(missing), where=needed_by, fix=installation(extra))


def not_installed(missing: Sequence[str]) -> str:
    """Return what to tell the user of missing packages.

    >>> not_installed(["onnx", "onnxscript"])
    'onnx and onnxscript are not installed'
    """
    return f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed"


def installation(extra: ExtraName) -> str:
    """Return the command that installs an extra."""
    return f"pip install 'maskcls[{extra}]'"
