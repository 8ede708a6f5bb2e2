"""Files of a run edited as if maskcls had written them so: with the digest of what they now say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maskcls import files, owned


def edit_json(path: Path, changes: Mapping[str, Any], *, without: tuple[str, ...] = ()) -> None:
    """Change entries of a JSON file, remove those named in `without`, and renew its digest."""
    data = {key: value for key, value in files.read_json(path).items() if key not in (*without, files.DIGEST)}
    new = data | dict(changes)
    with_digest = owned.environment_data if owned.PACKAGES_DIGEST in new else files.with_digest
    files.commit_json(path, with_digest(new))
