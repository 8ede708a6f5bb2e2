"""The configuration of a run with the origin of each value: what differs from the defaults first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from maskcls import config
from maskcls.runs.records.settings import assignment, settings_of
from maskcls.runs.reported.reported_run import ReportedRun
from maskcls.schema import Config
from maskcls.show.pages.table import Table
from maskcls.show.report.section import PageSettings
from maskcls.show.terminal.text import plural

UNRECORDED = "not recorded"
RESOLVED = "resolved by maskcls"  # absolute paths, the normalisation of the backbone, and the like


@dataclass(frozen=True)
class ResolvedSetting:
    """One setting. value, default: as they are given on the command line; default "" for one that is no default key."""

    key: str
    value: str
    default: str
    origin: str

    @property
    def differs(self) -> bool:
        """Whether its value is not the default."""
        return self.value != self.default


def configuration_section(reported: ReportedRun, settings: PageSettings) -> Mapping[str, Any]:
    """Return a table of the settings that are not the default, and one of all others."""
    found = resolved_settings(reported.config, reported.environment.origins)
    changed, rest = [one for one in found if one.differs], [one for one in found if not one.differs]
    return {
        "line": f"{plural(len(changed), 'setting')} of {len(found):,} differ from the default.",
        "recorded": reported.environment.origins is not None,
        "changed": _setting_table(changed),
        "rest": Table(["setting", "value", "origin"], [[one.key, one.value, one.origin] for one in rest]),
        "rest_title": f"{plural(len(rest), 'setting')} with their default",
    }


def resolved_settings(cfg: Config, origins: Mapping[str, str] | None) -> list[ResolvedSetting]:
    """Return every setting of a run with its default and origin, in the order of the configuration.

    origins  as in env.json: of the settings that are no default; None: not recorded.
    """
    values, defaults = settings_of(cfg), settings_of(Config())
    return [
        ResolvedSetting(key, _written(key, value), _written(key, defaults[key]) if key in defaults else "", origin)
        for key, value in values.items()
        for origin in [_origin(key, key not in defaults or defaults[key] != value, origins)]
    ]


def _origin(key: str, changed: bool, origins: Mapping[str, str] | None) -> str:
    if origins is None:
        return UNRECORDED if changed else str(config.DEFAULT)
    return origins.get(key, RESOLVED if changed else str(config.DEFAULT))


def _written(key: str, value: object) -> str:
    return assignment(key, value).removeprefix(f"{key}=")


def _setting_table(found: list[ResolvedSetting]) -> Table:
    rows = [[one.key, one.value, one.default or "-", one.origin] for one in found]
    return Table(["setting", "value", "default", "origin"], rows)
