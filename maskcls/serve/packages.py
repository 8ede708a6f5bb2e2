"""Whether the packages of the server are installed; none of them is imported."""

from __future__ import annotations

from importlib.util import find_spec

from maskcls.errors import ResourceError

# What is imported, and what pip installs, as in the extra `serve` of pyproject.toml.
SERVER_PACKAGES = {
    "fastapi": "fastapi",
    "prometheus_client": "prometheus-client",
    "python_multipart": "python-multipart",
    "uvicorn": "uvicorn",
}


def check_server_packages() -> None:
    """Raise ResourceError, with the command that installs them, if packages of the server are missing."""
    missing = [name for module, name in SERVER_PACKAGES.items() if find_spec(module) is None]
    if missing:
        raise ResourceError(
            "packages of the server are not installed", got=", ".join(missing), fix="pip install 'maskcls[serve]'"
        )
