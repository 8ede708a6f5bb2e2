"""Whether the packages of an extra of pyproject.toml are installed; none of them is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Literal

from maskcls.errors import ResourceError

ExtraName = Literal["export", "jobs", "parquet", "postgresql", "ray", "report", "serve", "tune"]

# The names under which the packages of an extra are imported. Trackers are in installed_trackers.py.
PACKAGES: Mapping[ExtraName, tuple[str, ...]] = {
    "export": ("onnx", "onnxscript", "onnxruntime"),
    "jobs": ("submitit",),
    "parquet": ("pyarrow",),
    "postgresql": ("psycopg",),
    "ray": ("ray",),
    "report": ("matplotlib", "fontTools", "cleanlab"),
    "serve": ("fastapi", "prometheus_client", "python_multipart", "uvicorn"),
    "tune": ("optuna",),
}
FIGURES = ("matplotlib", "fontTools")  # of `report`: what draws figures, and finds fonts for pictures
LABEL_FAULTS = ("cleanlab",)  # of `report`: a second opinion on labels


def check_extra(extra: ExtraName, *, needed_by: str, packages: Sequence[str] = ()) -> None:
    """Raise the error of `missing_extra` if packages of an extra are missing."""
    if error := missing_extra(extra, needed_by=needed_by, packages=packages):
        raise error


def missing_extra(extra: ExtraName, *, needed_by: str, packages: Sequence[str] = ()) -> ResourceError | None:
    """Return the error that names missing packages of an extra and the command that installs them; None without any.

    needed_by  what needs them, such as "maskcls serve" or a file's name.
    packages   those that are needed; empty: all of the extra.
    """
    missing = [name for name in packages or PACKAGES[extra] if find_spec(name) is None]
    if not missing:
        return None
    return ResourceError(
        f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed",
        where=needed_by,
        fix=f"pip install 'maskcls[{extra}]'",
    )
