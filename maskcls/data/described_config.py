"""The configuration of a training: where nobody says what the tasks are, a table or class folders say it themselves.

Heavy packages are imported only where labels have to be read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from maskcls import config
from maskcls.config import SettingOrigin
from maskcls.data.layouts.contest_parts import has_contest_parts
from maskcls.schema import Config


def load_described(
    data: Path, files: Sequence[Path] | None, overrides: Sequence[str]
) -> tuple[Config, dict[str, SettingOrigin], str]:
    """Resolve as `config.load`; tasks that nobody gave are read from the data set.

    Returns the configuration, the origins of its values, and a note of what was read; "" if nothing was.
    """

    def read(given: Mapping[str, Any]) -> Mapping[str, Any]:
        if "tasks" in given or not data.exists() or has_contest_parts(data):
            return {}  # without the reader, which imports pandas
        from maskcls.data.proposal.undescribed import described_settings

        return described_settings(data, given)

    cfg, origins = config.load_above(read, f"read from {data.name}", files, overrides)
    if origins["tasks"].given or not origins["tasks"].startswith("read from "):
        return cfg, origins, ""
    from maskcls.data.proposal.undescribed import reading_note

    return cfg, origins, reading_note(data, cfg)
