"""Tasks of a table or of class folders that no configuration describes: read from the data when a command starts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maskcls.data.layouts.source import guess_layout
from maskcls.data.proposal.of_data import label_settings, read_labels
from maskcls.errors import shell_word
from maskcls.schema import Config
from maskcls.schema.group_noun import group_noun


def described_settings(data: Path, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return `tasks` and the section `data`; {} if they are given, and for data in the contest's layout.

    data   existing data.
    given  the settings that a person gave, nested. With `tasks`, or with data.format=contest or table, nothing is read:
           a table of the contest's tasks needs no others.

    Raises DataError for data in which no task is found.
    """
    section = given.get("data", {})
    layout = section.get("format", "") if isinstance(section, Mapping) else "wrong"
    if "tasks" in given or layout not in ("", "folders") or guess_layout(data) == "contest":
        return {}
    return label_settings(read_labels(data, group=str(section.get("group", "auto"))).labels)


def reading_note(data: Path, cfg: Config) -> str:
    """Return the note that says what was read, and how to keep it."""
    tasks = ", ".join(f"{task.name} ({len(task.classes)} classes)" for task in cfg.tasks)
    groups = "" if cfg.data.group in ("auto", "none") else f"; photos of one {group_noun(cfg)[0]} stay in one fold"
    return f"tasks read from {data}: {tasks}{groups}. Write them down with: maskcls data init {shell_word(data)}"
