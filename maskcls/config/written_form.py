"""Whether a file of settings was written by a version of maskcls, and not by a person."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maskcls.config.keys import flatten
from maskcls.config.load import load
from maskcls.config.yaml12 import CONFIGURATION, dump_yaml, read_yaml
from maskcls.errors import MaskclsError
from maskcls.files import read_file

SHARED = 0.5  # of this version's settings; another version has some more or fewer, a person writes a few


def written_settings(path: Path) -> dict[str, Any] | None:
    """Return the settings in a file that has them all, in the form that maskcls writes; None for any other file.

    They may be of another version: its settings are not checked.
    """
    try:
        found = read_yaml(path)
        if dump_yaml(found).encode() != read_file(path, CONFIGURATION):
            return None
        keys = flatten(found).keys()
    except MaskclsError:
        return None
    own = flatten(load(None, [])[0].model_dump(mode="json")).keys()
    return found if len(own & keys) > SHARED * len(own) else None
