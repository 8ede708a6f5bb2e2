"""Whether the packages of an extra of pyproject.toml are installed; none of them is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Literal

from maskcls.errors import ResourceError

ExtraName = Literal["export", "parquet", "serve"]

# The names under which the packages of an extra are imported. Trackers are in installed_trackers.py.
PACKAGES: Mapping[ExtraName, tuple[str, ...]] = {
    "export": ("onnx", "onnxscript", "onnxruntime"),
    "parquet": ("pyarrow",),
    "serve": ("fastapi", "prometheus_client", "python_multipart", "uvicorn"),
}


def check_extra(extra: ExtraName, *, needed_by: str, packages: Sequence[str] = ()) -> None:
    """Raise ResourceError, with the command that installs them, if packages of an extra are missing.

    needed_by  what needs them, such as "maskcls serve" or a file's name.
    packages   those that are needed; empty: all of the extra.
    """
    missing = [name for name in packages or PACKAGES[extra] if find_spec(name) is None]
    if missing:
        raise ResourceError(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed",
            where=needed_by,
            fix=f"pip install 'maskcls[{extra}]'",
        )
